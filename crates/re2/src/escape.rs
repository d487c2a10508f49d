//! Escapes of one character: `\n`, `\101`, `\x{1F600}`, `\.`.

use crate::error::{Error, ErrorCode};

/// The code point that the escape at the start of `text` stands for, and what follows it. It may be
/// one of those that are no characters, as `\x{D800}`.
pub(crate) fn read(text: &str) -> Result<(u32, &str), Error> {
    let mut characters = text[1..].chars();
    let Some(escaped) = characters.next() else {
        return Err(ErrorCode::TrailingBackslash.at(""));
    };
    let rest = characters.as_str();
    let control = match escaped {
        'a' => 0x07,
        'f' => 0x0C,
        'n' => u32::from('\n'),
        'r' => u32::from('\r'),
        't' => u32::from('\t'),
        'v' => 0x0B,
        '0' => return Ok(octal(0, rest)),
        // A single digit would refer to what a group has matched, which RE2 does not do.
        '1'..='7' if rest.starts_with(is_octal) => {
            return Ok(octal(u32::from(escaped) - u32::from('0'), rest));
        }
        'x' => return hexadecimal(text, rest),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        _ => return Err(refusal(text, rest)),
    };
    Ok((control, rest))
}

/// Up to three digits, of which `first` has been read.
fn octal(first: u32, mut rest: &str) -> (u32, &str) {
    let mut value = first;
    for _ in 1..3 {
        let Some(digit) = rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
        value = value * 8 + digit;
        rest = &rest[1..];
    }
    (value, rest)
}

fn is_octal(character: char) -> bool {
    character.is_digit(8)
}

/// Two digits, or any number of them in braces.
fn hexadecimal<'a>(text: &'a str, rest: &'a str) -> Result<(u32, &'a str), Error> {
    let mut characters = rest.chars();
    let Some(first) = characters.next() else { return Err(refusal(text, rest)) };
    if first != '{' {
        let second = characters.next();
        let rest = characters.as_str();
        let digits = (first.to_digit(16), second.and_then(|c| c.to_digit(16)));
        let (Some(high), Some(low)) = digits else { return Err(refusal(text, rest)) };
        return Ok((high * 16 + low, rest));
    }
    let mut value = None;
    loop {
        let next = characters.next();
        let rest = characters.as_str();
        let digit = match (next, value) {
            (Some('}'), Some(value)) => return Ok((value, rest)),
            (Some(c), _) => c.to_digit(16),
            (None, _) => None,
        };
        let grown = digit.map(|digit| value.unwrap_or(0) * 16 + digit);
        value = grown.filter(|value| *value <= u32::from(char::MAX));
        if value.is_none() {
            return Err(refusal(text, rest));
        }
    }
}

/// The error about what was read of the escape.
fn refusal(text: &str, rest: &str) -> Error {
    ErrorCode::Escape.at(&text[..text.len() - rest.len()])
}
