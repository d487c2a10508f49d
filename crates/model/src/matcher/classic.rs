//! The classic syntax: a tolerant one, in which a value needs no quotes and a backslash that
//! escapes nothing is a backslash. Names are those of Prometheus before it knew UTF-8.

use super::{Matcher, MatcherError, Matchers, MatchersBuilder, Operator};

/// Matchers with commas between them. A brace before and one behind are passed over.
pub(super) fn matchers(text: &str) -> Result<Matchers, MatcherError> {
    let text = text.trim();
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let mut builder = MatchersBuilder::default();
    pieces(text).into_iter().try_for_each(|piece| builder.push(matcher(piece)?))?;
    Ok(builder.finish())
}

/// What stands between commas that are not within quotes. Nothing behind the last comma is no
/// piece, so that a list may end with one.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b',' if !is_quoted => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            b'"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    if !text[start..].trim().is_empty() {
        pieces.push(&text[start..]);
    }
    pieces
}

/// One matcher.
pub(super) fn matcher(text: &str) -> Result<Matcher, MatcherError> {
    let trimmed = text.trim();
    let malformed = || MatcherError::Format { text: trimmed.into() };
    let name_end = trimmed.find(|c| !is_name(c)).ok_or_else(malformed)?;
    let (name, rest) = trimmed.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(malformed());
    }
    let (operator, value) = Operator::at_start(rest.trim_start()).ok_or_else(malformed)?;
    Matcher::new(name, operator, &unescaped(value.trim_start())?)
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | ':')
}

/// The value that `written` stands for.
fn unescaped(written: &str) -> Result<String, MatcherError> {
    let unquoted = written.strip_prefix('"');
    let mut needs_quote = unquoted.is_some();
    let mut characters = unquoted.unwrap_or(written).chars().peekable();
    let mut value = String::with_capacity(written.len());
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next_if(|next| matches!(next, 'n' | '"' | '\\')) {
                Some('n') => value.push('\n'),
                Some(escaped) => value.push(escaped),
                None => value.push('\\'),
            },
            '"' if needs_quote && characters.peek().is_none() => needs_quote = false,
            '"' => return Err(MatcherError::Quote { value: written.into() }),
            _ => value.push(character),
        }
    }
    if needs_quote { Err(MatcherError::Quote { value: written.into() }) } else { Ok(value) }
}
