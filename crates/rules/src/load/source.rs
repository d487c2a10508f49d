//! Places in a rule file: a byte as line and column, and a byte of a YAML text as a byte of the
//! file, whatever way the text is written.

use std::sync::Arc;

use granit_parser::ScalarStyle;

use super::RuleFile;
use super::yaml::Scalar;

/// A file's text and where its lines start.
pub(super) struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &RuleFile<'a>) -> Self {
        let breaks = file.text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            file: file.name.into(),
            text: file.text,
            line_starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    pub(super) fn file(&self) -> Arc<str> {
        self.file.clone()
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Both from 1; the column counts characters.
    pub(super) fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// Where in the file the byte `offset` of a YAML text was written.
    ///
    /// Line breaks and indentation may be folded away, but all other characters stay, in order.
    /// So the place of a character is found by counting those before it. An offset at the end is
    /// the place after the last character.
    pub(super) fn offset_within(&self, scalar: &Scalar, offset: usize) -> usize {
        let before = scalar.text[..offset].chars().filter(|c| !is_space(*c)).count();
        let written = &self.text[scalar.written.clone()];
        let mut place = scalar.written.start;
        let mut seen = 0;
        for piece in Pieces::new(written, scalar.style) {
            if !piece.says.is_none_or(is_space) {
                if seen == before {
                    return scalar.written.start + piece.start;
                }
                seen += 1;
                place = scalar.written.start + piece.end;
            }
        }
        place
    }
}

/// Characters that folding adds and takes away.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// A piece of a written text and the character it stands for, where it does for one.
struct Piece {
    start: usize,
    end: usize,
    says: Option<char>,
}

/// The pieces of a written text.
struct Pieces<'a> {
    written: &'a str,
    style: ScalarStyle,
    next: usize,
}

impl<'a> Pieces<'a> {
    fn new(written: &'a str, style: ScalarStyle) -> Self {
        let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        let written = if quoted { &written[..written.len() - 1] } else { written };
        Self { written, style, next: usize::from(quoted) }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let start = self.next;
        let rest = &self.written[start..];
        let first = rest.chars().next()?;
        let (bytes, says) = match (self.style, first) {
            (ScalarStyle::SingleQuoted, '\'') => (2, Some('\'')),
            (ScalarStyle::DoubleQuoted, '\\') => escape(rest),
            _ => (first.len_utf8(), Some(first)),
        };
        self.next = start + bytes;
        Some(Piece { start, end: self.next, says })
    }
}

/// The length of an escape in a double-quoted text, and what it stands for.
fn escape(text: &str) -> (usize, Option<char>) {
    let Some(kind) = text[1..].chars().next() else { return (1, None) };
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        // A line break that is escaped is no character at all.
        '\n' | '\r' => return (2, None),
        't' | 'n' | 'r' => return (2, Some(' ')),
        // Whatever it stands for, it is one character; only spaces must be told apart.
        kind => return (1 + kind.len_utf8(), Some(kind)),
    };
    let code = text.get(2..2 + digits).and_then(|code| u32::from_str_radix(code, 16).ok());
    (2 + digits, code.and_then(char::from_u32))
}
