//! The UTF-8 syntax: a strict one, in which names and values stand in quotes unless they have
//! none of the characters that the syntax itself uses.

use std::str::Chars;

use super::{Matcher, MatcherError, Matchers, MatchersBuilder, Operator, Unreadable};

/// Matchers with commas between them, in braces or without; or why there is no room for them.
pub(super) fn matchers(text: &str) -> Result<Result<Matchers, MatcherError>, Unreadable> {
    let text = text.trim();
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or(Unreadable)?,
        None => text,
    };
    let mut rest = inner.trim_start();
    let mut builder = MatchersBuilder::default();
    while !rest.is_empty() {
        let (name, after) = word(rest)?;
        let (operator, after) = Operator::at_start(after.trim_start()).ok_or(Unreadable)?;
        let (value, after) = word(after.trim_start())?;
        let matcher = Matcher::new(&name, operator, &value).map_err(|_| Unreadable)?;
        if let Err(refusal) = builder.push(matcher) {
            return Ok(Err(refusal));
        }
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => {}
            None => return Err(Unreadable),
        }
    }
    Ok(Ok(builder.finish()))
}

/// Whether a word with this character stands in quotes.
pub(super) fn is_reserved(character: char) -> bool {
    character.is_whitespace() || "{}!=~,\\\"'`".contains(character)
}

/// A name or a value, and what follows it.
fn word(text: &str) -> Result<(String, &str), Unreadable> {
    if let Some(quoted) = text.strip_prefix('"') {
        return unquoted(quoted);
    }
    let end = text.find(is_reserved).unwrap_or(text.len());
    if end == 0 {
        return Err(Unreadable);
    }
    Ok((text[..end].to_owned(), &text[end..]))
}

/// What stands before the closing quote, with the escapes of Go's texts, and what follows it.
fn unquoted(text: &str) -> Result<(String, &str), Unreadable> {
    // Escapes name bytes, several of which may make one character.
    let mut bytes = Vec::new();
    let mut characters = text.chars();
    loop {
        match characters.next().ok_or(Unreadable)? {
            '"' => break,
            '\n' => return Err(Unreadable),
            '\\' => escape(&mut characters, &mut bytes)?,
            character => push(&mut bytes, character),
        }
    }
    let word = String::from_utf8(bytes).map_err(|_| Unreadable)?;
    Ok((word, characters.as_str()))
}

fn push(bytes: &mut Vec<u8>, character: char) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What follows a backslash.
fn escape(characters: &mut Chars<'_>, bytes: &mut Vec<u8>) -> Result<(), Unreadable> {
    let first = characters.next().ok_or(Unreadable)?;
    match first {
        'a' => bytes.push(0x07),
        'b' => bytes.push(0x08),
        'f' => bytes.push(0x0C),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(0x0B),
        '\\' | '"' => bytes.push(first as u8),
        'x' => bytes.push(number(characters, 2, 16)? as u8),
        'u' => push(bytes, char::from_u32(number(characters, 4, 16)?).ok_or(Unreadable)?),
        'U' => push(bytes, char::from_u32(number(characters, 8, 16)?).ok_or(Unreadable)?),
        '0'..='7' => {
            let high = first.to_digit(8).ok_or(Unreadable)?;
            let byte = high * 64 + number(characters, 2, 8)?;
            bytes.push(u8::try_from(byte).map_err(|_| Unreadable)?);
        }
        _ => return Err(Unreadable),
    }
    Ok(())
}

/// A number of exactly so many digits.
fn number(characters: &mut Chars<'_>, digits: usize, radix: u32) -> Result<u32, Unreadable> {
    (0..digits).try_fold(0u32, |number, _| {
        let digit = characters.next().and_then(|c| c.to_digit(radix)).ok_or(Unreadable)?;
        number.checked_mul(radix).and_then(|shifted| shifted.checked_add(digit)).ok_or(Unreadable)
    })
}
