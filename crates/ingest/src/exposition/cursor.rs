//! A place in a text, and the few steps that its grammar is made of.

use memchr::{memchr, memchr2, memchr3};

/// Whether a byte may stand in a metric name; a digit may not begin one.
const IS_NAME: [bool; 256] = {
    let mut is_name = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        is_name[byte] = matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b':');
        byte += 1;
    }
    is_name
};

/// Whether a quoted text may hold line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaks {
    Taken,
    Refused,
}

/// Where the next part begins.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// What was read since `start`.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes on if the next byte is this one, which is ASCII.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Goes on if this is what follows.
    pub(super) fn eat_text(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text.as_bytes());
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// The rest of the line, without its line break.
    pub(super) fn line(&mut self) -> &'a str {
        let start = self.at;
        self.at += memchr(b'\n', self.rest()).unwrap_or(self.rest().len());
        self.since(start)
    }

    /// A metric name; empty where none begins.
    pub(super) fn metric_name(&mut self) -> &'a str {
        self.name(|byte| IS_NAME[usize::from(byte)])
    }

    /// A label name; empty where none begins.
    pub(super) fn label_name(&mut self) -> &'a str {
        self.name(|byte| IS_NAME[usize::from(byte)] && byte != b':')
    }

    /// What is between two quotes, escapes as they are; nothing where there is no second one.
    pub(super) fn quoted(&mut self, breaks: Breaks) -> Option<&'a str> {
        if !self.eat(b'"') {
            return None;
        }
        let start = self.at;
        loop {
            let rest = self.rest();
            let found = match breaks {
                Breaks::Taken => memchr2(b'"', b'\\', rest),
                Breaks::Refused => memchr3(b'"', b'\\', b'\n', rest),
            };
            let end = found?;
            match (rest[end], rest.get(end + 1)) {
                (b'"', _) => {
                    self.at += end + 1;
                    return Some(&self.text[start..self.at - 1]);
                }
                (b'\\', Some(escaped)) if *escaped != b'\n' => self.at += end + 2,
                _ => return None,
            }
        }
    }

    /// What comes before one of these bytes, which are ASCII, or the end.
    pub(super) fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let rest = self.rest();
        self.at += rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        self.since(start)
    }

    fn name(&mut self, is_name: impl Fn(u8) -> bool) -> &'a str {
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return "";
        }
        self.until(|byte| !is_name(byte))
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }
}
