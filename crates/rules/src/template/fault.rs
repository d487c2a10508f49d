//! Why a text is no template.

use thiserror::Error;

/// Levels of blocks and parentheses of a template; the tree is walked by recursion.
pub(super) const DEPTH_MAX: usize = 32;

/// Why a text is no template, and where: `offset` counts bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct TemplateError {
    /// Where in the text.
    pub offset: usize,
    /// Why.
    pub reason: TemplateReason,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateReason {
    /// An action that does not end.
    #[error("this `{{{{` has no `}}}}`")]
    Unclosed,
    /// An `if`, `with`, `range`, `define` or `block` that does not end.
    #[error("this `{{{{ {0} }}}}` has no `{{{{ end }}}}`")]
    NoEnd(&'static str),
    /// Something where something else belongs.
    #[error("unexpected `{0}`")]
    Unexpected(Box<str>),
    /// An action that ends too early.
    #[error("this action ends too early")]
    TooShort,
    /// A function that does not exist.
    #[error("there is no function `{0}`")]
    Function(Box<str>),
    /// A variable that does not exist.
    #[error("there is no variable `{0}`")]
    Variable(Box<str>),
    /// Digits that are no number, or one that is too large.
    #[error("`{0}` is no number")]
    Number(Box<str>),
    /// A complex number: no function of rules takes one.
    #[error("`{0}` is a complex number, which templates of rules do not take")]
    Complex(Box<str>),
    /// A text or a character that does not end, or with an escape that does not exist.
    #[error("`{0}` is no text")]
    Text(Box<str>),
    /// `break` or `continue` outside `range`.
    #[error("`{0}` stands outside `range`")]
    OutsideRange(Box<str>),
    /// Two templates of one name.
    #[error("there are two templates `{0}`")]
    DefinedTwice(Box<str>),
    /// A value that is given another, though it is no function.
    #[error("`{0}` takes no arguments")]
    NoFunction(Box<str>),
    /// Blocks within blocks deeper than is read.
    #[error("a template has at most {DEPTH_MAX} levels")]
    TooDeep,
}

pub(super) type Parsed<T> = Result<T, TemplateError>;

pub(super) fn fault(offset: usize, reason: TemplateReason) -> TemplateError {
    TemplateError { offset, reason }
}
