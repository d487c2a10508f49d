//! Why a body cannot be read.

use std::fmt;

use crate::decoded::quoted;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line that cannot be read, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
    /// How the line begins.
    excerpt: Box<str>,
}

impl Error {
    pub(super) fn new(line: usize, fault: Fault, text: &str) -> Self {
        Self { line, fault, excerpt: quoted(text).into() }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault.as_str())?;
        if self.excerpt.is_empty() { Ok(()) } else { write!(f, ": {:?}", self.excerpt) }
    }
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A byte that is not UTF-8.
    Utf8,
    /// Neither a name, a brace nor a comment.
    Start,
    /// No metric name, or an empty one.
    NoName,
    /// A second metric name within the braces.
    NameTwice,
    /// Something else than a label where one is due.
    LabelName,
    /// A label without `=`.
    LabelEquals,
    /// A label without a quoted value, or without its closing quote.
    LabelValue,
    /// Two labels without a comma in between.
    Comma,
    /// No value, or something that is no number.
    Value,
    /// A time that is no number of its unit.
    Time,
    /// Something behind the sample.
    LineEnd,
    /// A `HELP`, `TYPE` or `UNIT` of no name.
    MetadataName,
    /// A `HELP`, `TYPE` or `UNIT` without its text.
    MetadataText,
    /// A type that the format does not have.
    Type,
    /// A unit that its name does not end with.
    Unit,
    /// A comment in `OpenMetrics`, which has none.
    Comment,
    /// `OpenMetrics` without `# EOF`.
    NoEnd,
    /// Something behind `# EOF`.
    AfterEnd,
}

impl Fault {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "the text is not UTF-8",
            Self::Start => "a line begins with a name, a brace or a comment",
            Self::NoName => "the metric name is missing",
            Self::NameTwice => "there are two metric names",
            Self::LabelName => "a label name is due",
            Self::LabelEquals => "an equals sign is due behind the label name",
            Self::LabelValue => "a quoted label value is due",
            Self::Comma => "a comma or a closing brace is due behind the label",
            Self::Value => "the value is no number",
            Self::Time => "the time is no number of its unit",
            Self::LineEnd => "something follows the sample",
            Self::MetadataName => "HELP, TYPE or UNIT is of no metric name",
            Self::MetadataText => "HELP, TYPE or UNIT has no text",
            Self::Type => "the format has no such type",
            Self::Unit => "the metric name does not end with its unit",
            Self::Comment => "OpenMetrics has no comments but HELP, TYPE, UNIT and EOF",
            Self::NoEnd => "the text does not end with # EOF",
            Self::AfterEnd => "something follows # EOF",
        }
    }
}
