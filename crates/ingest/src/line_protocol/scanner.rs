//! The lexer of line protocol: one pass over the text, no copy but of what has escapes.
//!
//! ```text
//! weather,site=oslo temp=21.5,ok=t,note="a \"b\"" 1700000000000000000
//! ╰─ a ─╯ ╰─ b ───╯ ╰──────── c ────────────────╯ ╰─────── d ───────╯
//! a measurement()   b tag() until None   c field() until None   d timestamp()
//! ```

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr_iter;

use crate::decoded::{Refusal, quoted};

/// Bytes that are more than themselves in some place of a line.
const SPECIAL: [u8; 5] = *b",= \\\n";

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FieldValue {
    /// Any kind of number, or a boolean as 1 or 0.
    Number(f64),
    /// A string.
    Text,
}

/// Where in a body the next part begins.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Where the line begins.
    line_start: usize,
    /// Up to here line breaks are counted.
    counted: usize,
    line_breaks: usize,
    /// Whether no field of the line was read yet.
    before_fields: bool,
}

type Pair<'a, V> = Option<(Cow<'a, str>, V)>;

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line_start: 0, counted: 0, line_breaks: 0, before_fields: true }
    }

    /// How many lines ended before the current place.
    pub(super) fn line_breaks(&mut self) -> usize {
        let passed = &self.text.as_bytes()[self.counted..self.at];
        self.line_breaks += memchr_iter(b'\n', passed).count();
        self.counted = self.at;
        self.line_breaks
    }

    /// Goes to the next line that is neither empty nor a comment; false at the end.
    pub(super) fn skip_to_content(&mut self) -> bool {
        loop {
            match self.peek() {
                None => return false,
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'#') => self.skip_until(|_| false),
                Some(_) => {
                    self.line_start = self.at;
                    self.before_fields = true;
                    return true;
                }
            }
        }
    }

    /// Leaves a line that cannot be read on, whatever is wrong and wherever: what a sensor wrote
    /// into a string must never be read as a line.
    pub(super) fn skip_line(&mut self) {
        self.at = line_end(self.text.as_bytes(), self.line_start);
    }

    /// The line as far as it was read, in places of the text.
    pub(super) fn line(&self) -> Range<usize> {
        self.line_start..self.at
    }

    pub(super) fn measurement(&mut self) -> Result<Cow<'a, str>, Refusal> {
        let name = self.token(|byte| matches!(byte, b',' | b' '));
        if name.is_empty() {
            return Err(syntax("a line begins with its measurement"));
        }
        Ok(name)
    }

    /// The next tag; `None` where the fields begin.
    pub(super) fn tag(&mut self) -> Result<Pair<'a, Cow<'a, str>>, Refusal> {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(b' ') => return Ok(None),
            _ => return Err(syntax("fields are missing: `measurement,tag=a field=1`")),
        }
        let name = self.token(|byte| matches!(byte, b',' | b'=' | b' '));
        if name.is_empty() {
            return Err(syntax("a tag has no name: is there a comma too many?"));
        }
        if self.peek() != Some(b'=') {
            return Err(syntax(format!("the tag `{}` has no value", quoted(&name))));
        }
        self.at += 1;
        let value = self.token(|byte| matches!(byte, b',' | b'=' | b' '));
        if value.is_empty() {
            return Err(syntax(format!("the tag `{}` has no value", quoted(&name))));
        }
        if self.peek() == Some(b'=') {
            let detail = format!("the tag `{}` has a second `=`: write `\\=`", quoted(&name));
            return Err(syntax(detail));
        }
        Ok(Some((name, value)))
    }

    /// The next field; `None` where the timestamp or the line's end is.
    pub(super) fn field(&mut self) -> Result<Pair<'a, FieldValue>, Refusal> {
        if self.before_fields {
            self.skip_spaces();
            self.before_fields = false;
        } else if self.peek() == Some(b',') {
            self.at += 1;
        } else {
            return Ok(None);
        }
        let name = self.token(|byte| matches!(byte, b',' | b'=' | b' '));
        if self.peek() != Some(b'=') {
            return Err(match name.as_ref() {
                "" => syntax("a field is missing: `measurement,tag=a field=1`"),
                name => syntax(format!("the field `{}` has no value", quoted(name))),
            });
        }
        if name.is_empty() {
            return Err(syntax("a field has no name"));
        }
        self.at += 1;
        if self.peek() == Some(b'"') {
            self.skip_string()?;
            return Ok(Some((name, FieldValue::Text)));
        }
        let start = self.at;
        self.skip_until(|byte| matches!(byte, b',' | b' ' | b'\r'));
        let value = &self.text[start..self.at];
        let Some(number) = number(value) else {
            let (name, value) = (quoted(&name), quoted(value));
            let forms = "1.5, 2i, 2u, t, f or \"text\"";
            let detail = format!("the field `{name}` is `{value}`, which is none of {forms}");
            return Err(Refusal::new("field_invalid", detail));
        };
        Ok(Some((name, FieldValue::Number(number))))
    }

    /// The line's timestamp where it has one; then the line is read.
    pub(super) fn timestamp(&mut self) -> Result<Option<i64>, Refusal> {
        let after_field = self.at;
        self.skip_spaces();
        let start = self.at;
        self.skip_until(|byte| matches!(byte, b' ' | b'\r'));
        let digits = &self.text[start..self.at];
        if !digits.is_empty() && after_field == start {
            let detail = format!("`{}` follows a field without a comma or space", quoted(digits));
            return Err(syntax(detail));
        }
        while matches!(self.peek(), Some(b' ' | b'\r')) {
            self.at += 1;
        }
        if !matches!(self.peek(), None | Some(b'\n')) {
            let detail = "text follows the timestamp: spaces in names are written `\\ `";
            return Err(syntax(detail));
        }
        if digits.is_empty() {
            return Ok(None);
        }
        let Ok(units) = digits.parse() else {
            let detail = format!("the timestamp `{}` is no 64-bit integer", quoted(digits));
            return Err(Refusal::new("timestamp_invalid", detail));
        };
        Ok(Some(units))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    fn skip_until(&mut self, ends: impl Fn(u8) -> bool) {
        let rest = &self.text.as_bytes()[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n' || ends(*byte));
        self.at += end.unwrap_or(rest.len());
    }

    /// Text up to one of `ends` or the line's end. A backslash makes a comma, an equals sign or a
    /// space a part of the text; before anything else it is itself.
    fn token(&mut self, ends: impl Fn(u8) -> bool) -> Cow<'a, str> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut has_escapes = false;
        loop {
            let rest = &bytes[self.at..];
            let Some(plain) = first_special(rest) else {
                self.at = bytes.len();
                break;
            };
            self.at += plain;
            let byte = bytes[self.at];
            if byte == b'\\' && matches!(bytes.get(self.at + 1), Some(b',' | b'=' | b' ')) {
                has_escapes = true;
                self.at += 2;
            } else if byte == b'\n' || ends(byte) {
                break;
            } else {
                self.at += 1;
            }
        }
        let token = &self.text[start..self.at];
        if has_escapes { Cow::Owned(unescaped(token)) } else { Cow::Borrowed(token) }
    }

    /// A string may hold line breaks; without its end, only its first line is lost.
    fn skip_string(&mut self) -> Result<(), Refusal> {
        let end = string_end(self.text.as_bytes(), self.at);
        self.at = end.ok_or_else(|| syntax("a string has no closing quote"))?;
        Ok(())
    }
}

/// The first of the special bytes. Eight bytes are looked at together, since most are none.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Sets the highest bit of each byte that is a special one. It may be set for bytes behind
        // such a one as well, for none before the first.
        let found = SPECIAL.iter().fold(0, |found, special| {
            let differs = word ^ (ONES * u64::from(*special));
            found | (differs.wrapping_sub(ONES) & !differs & HIGHEST)
        });
        if found != 0 {
            return Some(8 * place + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|byte| SPECIAL.contains(byte));
    found.map(|place| 8 * words.len() + place)
}

/// What is behind the string whose opening quote is at `start`; nothing where it has no end.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of the line that begins at `start`, be it right or wrong: its first line break outside of
/// strings. A string begins at a quote behind a field's equals sign; tags have none.
fn line_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut in_fields) = (start, false);
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'\n' => return at,
            b'\\' if matches!(bytes.get(at + 1), Some(b',' | b'=' | b' ')) => at + 2,
            b'=' if in_fields && bytes.get(at + 1) == Some(&b'"') => {
                string_end(bytes, at + 1).unwrap_or(at + 1)
            }
            b' ' => {
                in_fields = true;
                at + 1
            }
            _ => at + 1,
        };
    }
    bytes.len()
}

fn syntax(detail: impl Into<String>) -> Refusal {
    Refusal::new("line_invalid", detail)
}

fn unescaped(token: &str) -> String {
    let mut text = String::with_capacity(token.len());
    let mut characters = token.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped =
            characters.next_if(|next| character == '\\' && matches!(next, ',' | '=' | ' '));
        text.push(escaped.unwrap_or(character));
    }
    text
}

/// A field's value that is not a string.
fn number(text: &str) -> Option<f64> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Some(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => return Some(0.0),
        _ => {}
    }
    if let Some(digits) = text.strip_suffix('i') {
        return digits.parse::<i64>().ok().map(|number| number as f64);
    }
    if let Some(digits) = text.strip_suffix('u') {
        return digits.parse::<u64>().ok().map(|number| number as f64);
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for length in 0..40 {
            for other in 0..=u8::MAX {
                let mut bytes = vec![other; length];
                let first = SPECIAL.contains(&other).then_some(0).filter(|_| length > 0);
                assert_eq!(first_special(&bytes), first, "{length} times {other}");
                for place in 0..length {
                    bytes[place] = SPECIAL[place % SPECIAL.len()];
                    let found = first_special(&bytes);
                    assert_eq!(found, first.or(Some(place)), "{bytes:?}");
                    bytes[place] = other;
                }
            }
        }
    }
}
