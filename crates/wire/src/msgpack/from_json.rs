//! JSON to `MessagePack` in one pass, without building the values in between.

use bellwire_model::limits::NESTING_MAX;

use super::scalar::{self, Container};

/// The value that JSON stands for. What is no JSON becomes a string.
pub fn from_json(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    write_at(&mut out, json, 0);
    out
}

/// The same as a member of a map.
pub(super) fn write_value(out: &mut Vec<u8>, json: &[u8]) {
    write_at(out, json, 1);
}

fn write_at(out: &mut Vec<u8>, json: &[u8], depth: usize) {
    let start = out.len();
    let mut reader = Reader { rest: json, out };
    let is_read = reader.value(depth).is_some() && reader.rest.trim_ascii().is_empty();
    if !is_read {
        out.truncate(start);
        scalar::text(out, &String::from_utf8_lossy(json));
    }
}

/// Reads values off the front of `rest`. `None`: this is no JSON. It takes some texts that are
/// not quite JSON; what comes here was checked when it came in.
struct Reader<'a, 'o> {
    rest: &'a [u8],
    out: &'o mut Vec<u8>,
}

impl<'a> Reader<'a, '_> {
    fn value(&mut self, depth: usize) -> Option<()> {
        self.skip_space();
        match self.rest.first()? {
            b'{' => self.container(Container::Map, depth),
            b'[' => self.container(Container::Array, depth),
            b'"' => self.string(),
            b't' => self.word(b"true").map(|()| self.out.push(scalar::TRUE)),
            b'f' => self.word(b"false").map(|()| self.out.push(scalar::FALSE)),
            b'n' => self.word(b"null").map(|()| self.out.push(scalar::NIL)),
            _ => self.number(),
        }
    }

    /// Its head says how many values there are, which only its end shows.
    fn container(&mut self, container: Container, depth: usize) -> Option<()> {
        if depth >= NESTING_MAX {
            let text = self.skip_container()?;
            scalar::text(self.out, &String::from_utf8_lossy(text));
            return Some(());
        }
        let end = if container == Container::Map { b'}' } else { b']' };
        let at = self.out.len();
        self.out.push(0);
        self.take(1)?;
        self.skip_space();
        let mut count = 0;
        while self.rest.first()? != &end {
            if count > 0 {
                self.word(b",")?;
                self.skip_space();
            }
            if container == Container::Map {
                self.string()?;
                self.skip_space();
                self.word(b":")?;
            }
            self.value(depth + 1)?;
            self.skip_space();
            count += 1;
        }
        self.take(1)?;
        scalar::container_head(self.out, at, container, count);
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.word(b"\"")?;
        let end = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if self.rest[end] == b'"' {
            let text = self.take(end)?;
            self.take(1)?;
            scalar::text(self.out, &String::from_utf8_lossy(text));
            return Some(());
        }
        let mut text = Vec::new();
        loop {
            let plain = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            text.extend_from_slice(self.take(plain)?);
            if self.take(1)? == b"\"" {
                break;
            }
            self.escape(&mut text)?;
        }
        scalar::text(self.out, &String::from_utf8_lossy(&text));
        Some(())
    }

    /// What is behind a backslash. Half of a surrogate pair becomes U+FFFD.
    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let character = match self.take(1)?[0] {
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode_escape()?,
            other => char::from(other),
        };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }

    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if let Some(rest) = self.rest.strip_prefix(b"\\u")
            && (0xD800..0xDC00).contains(&first)
        {
            let before = std::mem::replace(&mut self.rest, rest);
            let second = self.four_digits()?;
            let pair = char::decode_utf16([first, second]).next()?;
            if let Ok(character) = pair {
                return Some(character);
            }
            self.rest = before;
        }
        Some(char::from_u32(first as u32).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Option<u16> {
        let digits = std::str::from_utf8(self.take(4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<()> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        if let Ok(number) = text.parse::<i64>() {
            scalar::integer(self.out, number);
        } else if let Ok(number) = text.parse::<u64>() {
            scalar::unsigned(self.out, number);
        } else {
            scalar::float(self.out, text.parse().ok()?);
        }
        Some(())
    }

    /// The text of an array or object, however deep it is.
    fn skip_container(&mut self) -> Option<&'a [u8]> {
        let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
        for (index, byte) in self.rest.iter().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = is_string,
                b'"' => is_string = !is_string,
                b'[' | b'{' if !is_string => depth += 1,
                b']' | b'}' if !is_string => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return self.take(index + 1);
            }
        }
        None
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(front)
    }
}
