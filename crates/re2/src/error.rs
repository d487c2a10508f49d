//! Why a text is no regular expression, in the words of Go's package `regexp`.

use std::fmt;

use thiserror::Error;

use crate::limits::REGEX_BYTES_MAX;

/// Why a text is no regular expression, or none that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not RE2's syntax.
    #[error("error parsing regexp: {code}: `{text}`")]
    Syntax {
        /// What is wrong.
        code: ErrorCode,
        /// The part that is wrong.
        text: Box<str>,
    },
    /// What it compiles to takes more than [`REGEX_BYTES_MAX`].
    #[error(
        "error parsing regexp: expression too large: compiled it takes more than \
         {REGEX_BYTES_MAX} bytes; repeat smaller classes, or fewer times, or use fewer groups"
    )]
    TooLarge,
}

/// What is wrong with an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A range of a class that is none, or a class of an unknown name.
    CharRange,
    /// An escape that there is not.
    Escape,
    /// A group's name that is none.
    NamedCapture,
    /// What follows `(?`.
    PerlOperator,
    /// A repetition of a repetition.
    NestedRepetition,
    /// A repetition too often, or whose end is below its start.
    RepetitionCount,
    /// A class that is not closed.
    MissingBracket,
    /// A group that is not closed.
    MissingParenthesis,
    /// A repetition of nothing.
    MissingArgument,
    /// A backslash at the end.
    TrailingBackslash,
    /// A group that was never opened is closed.
    UnexpectedParenthesis,
    /// Groups within groups, too many.
    NestingDepth,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CharRange => "invalid character class range",
            Self::Escape => "invalid escape sequence",
            Self::NamedCapture => "invalid named capture",
            Self::PerlOperator => "invalid or unsupported Perl syntax",
            Self::NestedRepetition => "invalid nested repetition operator",
            Self::RepetitionCount => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParenthesis => "missing closing )",
            Self::MissingArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParenthesis => "unexpected )",
            Self::NestingDepth => "expression nests too deeply",
        })
    }
}

impl ErrorCode {
    /// The error about this part.
    pub(crate) fn at(self, text: &str) -> Error {
        Error::Syntax { code: self, text: text.into() }
    }
}
