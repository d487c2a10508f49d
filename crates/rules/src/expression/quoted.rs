//! Texts in quotes, as Go reads them.

/// The text that stands in quotes, or what is wrong with it.
pub(crate) fn unquoted(quoted: &str) -> Result<String, String> {
    let mut characters = quoted.chars();
    let (quote, end) = (characters.next(), characters.next_back());
    let inner = characters.as_str();
    let quote = match (quote, end) {
        (Some('`'), Some('`')) if !inner.contains('`') => return Ok(inner.to_owned()),
        (Some(quote @ ('"' | '\'')), Some(end)) if quote == end => quote,
        _ => return Err(format!("{quoted} is no text in quotes")),
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => rest = escape(rest, quote, &mut bytes)?,
            '\n' => return Err("unterminated quoted string".to_owned()),
            c if c == quote => return Err(format!("{quoted} is no text in quotes")),
            _ => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    // What is no UTF-8 is no label's name or value either; these are Prometheus' words.
    String::from_utf8(bytes).map_err(|_| format!("invalid label name {quoted}"))
}

/// Appends what stands for an escape; returns what follows it. Escapes of bytes may make one
/// character together.
fn escape<'a>(rest: &'a str, quote: char, bytes: &mut Vec<u8>) -> Result<&'a str, String> {
    let Some(kind) = rest.chars().next() else {
        return Err("escape sequence not terminated".to_owned());
    };
    let after = &rest[kind.len_utf8()..];
    let (digits, base, after) = match kind {
        '0'..='7' => (3, 8, rest),
        'x' => (2, 16, after),
        'u' => (4, 16, after),
        'U' => (8, 16, after),
        _ => {
            let control = match kind {
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0C',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0B',
                '\\' => '\\',
                c if c == quote => quote,
                other => return Err(format!("unknown escape sequence `\\{other}`")),
            };
            bytes.push(control as u8);
            return Ok(after);
        }
    };
    let illegal = || "illegal character in escape sequence".to_owned();
    let written = after.get(..digits).ok_or_else(illegal)?;
    let is_digit = written.chars().all(|c| c.is_digit(base));
    let code = u32::from_str_radix(written, base).ok().filter(|_| is_digit).ok_or_else(illegal)?;
    if digits <= 3 {
        let byte = u8::try_from(code).map_err(|_| illegal())?;
        bytes.push(byte);
    } else {
        let invalid = || "escape sequence is an invalid Unicode code point".to_owned();
        let character = char::from_u32(code).ok_or_else(invalid)?;
        bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
    }
    Ok(&after[digits..])
}

/// A text in quotes of which every reader of them makes the same.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_in_go() {
        let table = [
            (r#""a\"b\\c""#, "a\"b\\c"),
            (r"'it\'s'", "it's"),
            (r"`\d+`", r"\d+"),
            ("`a\nb`", "a\nb"),
            (r#""\xc3\xa9\303\251\u00e9\U000000e9é""#, "ééééé"),
            (r#""\a\b\f\n\r\t\v""#, "\x07\x08\x0C\n\r\t\x0B"),
            ("\"\"", ""),
        ];
        for (text, expected) in table {
            assert_eq!(unquoted(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(unquoted(&quoted(expected)).as_deref(), Ok(expected), "{text}");
        }
        let wrong = [
            r#""\'""#,
            r#"'\"'"#,
            r#""\q""#,
            r#""\x4""#,
            r#""\400""#,
            r#""\ud800""#,
            r#""\xff""#,
            "\"a\nb\"",
            "\"",
            "'a\"",
            "a",
            "",
            r#""\x+1""#,
            "\"\\x4é\"",
        ];
        for text in wrong {
            assert!(unquoted(text).is_err(), "{text}");
        }
    }
}
