//! Texts and characters as Go's source code writes them, read and written.

use std::fmt::Write as _;

/// Which characters are written as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// All that can be seen.
    Printable,
    /// Those of ASCII that can be seen.
    Ascii,
}

/// The text that `"…"` or `` `…` `` stands for. Bytes that are no UTF-8 are replaced.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let inner = text.get(1..text.len() - 1)?;
    if text.starts_with('`') {
        return Some(inner.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        if c != '\\' {
            bytes.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (escape, after) = escape(&rest[1..], '"')?;
        match escape {
            Escape::Byte(byte) => bytes.push(byte),
            Escape::Character(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = after;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number of the character that `'…'` stands for.
pub(super) fn unquoted_character(text: &str) -> Option<u32> {
    let inner = text.get(1..text.len() - 1)?;
    let first = inner.chars().next()?;
    let (number, rest) = if first == '\\' {
        let (escape, rest) = escape(&inner[1..], '\'')?;
        let number = match escape {
            Escape::Byte(byte) => u32::from(byte),
            Escape::Character(c) => u32::from(c),
        };
        (number, rest)
    } else {
        (u32::from(first), &inner[first.len_utf8()..])
    };
    rest.is_empty().then_some(number)
}

enum Escape {
    Byte(u8),
    Character(char),
}

/// What stands behind a backslash, and the rest.
fn escape(text: &str, quote: char) -> Option<(Escape, &str)> {
    let first = text.chars().next()?;
    let simple = |c: char| Some((Escape::Character(c), &text[1..]));
    let digits = |from: usize, count: usize, radix: u32| {
        let digits = text.get(from..from + count)?;
        let is_number = digits.chars().all(|c| c.is_digit(radix));
        let number = u32::from_str_radix(digits, radix).ok().filter(|_| is_number)?;
        Some((number, &text[from + count..]))
    };
    match first {
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        '\\' => simple('\\'),
        c if c == quote => simple(c),
        'x' => digits(1, 2, 16).map(|(number, rest)| (Escape::Byte(number as u8), rest)),
        '0'..='7' => {
            let (number, rest) = digits(0, 3, 8)?;
            Some((Escape::Byte(u8::try_from(number).ok()?), rest))
        }
        'u' | 'U' => {
            let (number, rest) = digits(1, if first == 'u' { 4 } else { 8 }, 16)?;
            Some((Escape::Character(char::from_u32(number)?), rest))
        }
        _ => None,
    }
}

/// `text` in double quotes.
pub(super) fn quoted(text: &str, charset: Charset) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        push_escaped(&mut quoted, c, ('"', charset));
    }
    quoted.push('"');
    quoted
}

/// A character in single quotes.
pub(super) fn quoted_character(c: char, charset: Charset) -> String {
    let mut quoted = String::from('\'');
    push_escaped(&mut quoted, c, ('\'', charset));
    quoted.push('\'');
    quoted
}

fn push_escaped(text: &mut String, c: char, (quote, charset): (char, Charset)) {
    let simple = match c {
        '\u{7}' => Some('a'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{b}' => Some('v'),
        c if c == quote || c == '\\' => Some(c),
        _ => None,
    };
    if let Some(simple) = simple {
        text.extend(['\\', simple]);
    } else if is_printable(c) && (charset == Charset::Printable || c.is_ascii()) {
        text.push(c);
    } else {
        let number = u32::from(c);
        _ = match number {
            0..0x20 | 0x7f => write!(text, "\\x{number:02x}"),
            ..0x1_0000 => write!(text, "\\u{number:04x}"),
            _ => write!(text, "\\U{number:08x}"),
        };
    }
}

/// Whether a character can be seen, as Go's `strconv.IsPrint` has it.
pub(super) fn is_printable(c: char) -> bool {
    // Behind a letter, because a mark that combines is escaped only where it has none.
    let mut behind_a_letter = [0; 5];
    behind_a_letter[0] = b'a';
    let length = c.encode_utf8(&mut behind_a_letter[1..]).len();
    let text = str::from_utf8(&behind_a_letter[..=length]).expect("a letter and a character");
    matches!(c, '\\' | '"' | '\'') || text.escape_debug().nth(1) == Some(c)
}

/// Whether a text can stand in backquotes.
pub(super) fn fits_backquotes(text: &str) -> bool {
    let fits = |c: char| !matches!(c, '`' | '\u{7f}' | '\u{feff}') && (c >= ' ' || c == '\t');
    text.chars().all(fits)
}
