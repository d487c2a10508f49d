//! Warnings and hints that come with a value.

use std::fmt;

/// Something that whoever asked should know, although there is a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub kind: NoteKind,
    /// The byte of the expression that it is about.
    pub offset: usize,
    /// What there is to know.
    pub text: Box<str>,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The value may not be what was asked for.
    Warning,
    /// The expression may not be what was meant.
    Info,
}

impl Note {
    /// The note as Prometheus writes it: with the line and column in `expression`.
    pub fn in_expression(&self, expression: &str) -> String {
        let before = &expression[..self.offset.min(expression.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, str::len) + 1;
        format!("{self} ({line}:{column})")
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            NoteKind::Warning => "warning",
            NoteKind::Info => "info",
        };
        write!(f, "PromQL {kind}: {}", self.text)
    }
}
