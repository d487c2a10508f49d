//! What an expression is made of as text, and why one is refused.
//!
//! `promql-parser` reads the meaning, through `front`, which gives it tokens that it cannot misread;
//! the tokens beside it say where everything stands.

mod front;
pub(crate) mod quoted;
pub(crate) mod syntax;
pub(crate) mod token;
pub(crate) mod tree;

use std::fmt;

use bellwire_model::limits::{EXPRESSION_DEPTH_MAX, EXPRESSION_REGEX_BYTES_MAX};
use promql_parser::parser::Expr;
use thiserror::Error;

use self::token::Token;
use crate::patterns::Patterns;

/// Reads the meaning of an expression whose tokens are known, and how many bytes the regular
/// expressions of its selectors take.
pub(crate) fn parse(
    text: &str,
    tokens: &[Token],
    patterns: &mut Patterns,
) -> Result<(Expr, usize), ExpressionError> {
    front::parse(text, tokens, patterns)?
        .map_err(|said| syntax::error(text, tokens, &said, patterns))
}

/// Why an expression is refused, and where: `offset` counts bytes of its text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct ExpressionError {
    /// Where in the text.
    pub offset: usize,
    /// Why.
    pub reason: ExpressionReason,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExpressionReason {
    /// There is none.
    #[error("the expression is empty")]
    Empty,
    /// It is no `PromQL`; the text says why.
    #[error("{text}")]
    Syntax {
        /// What is wrong.
        text: Box<str>,
    },
    /// It has more tokens than are read.
    #[error("an expression has at most {} tokens", token::TOKENS_MAX)]
    TooLong,
    /// Its parts are within parts of parts deeper than is read.
    #[error("an expression is at most {EXPRESSION_DEPTH_MAX} levels deep")]
    TooDeep,
    /// Its regular expressions take more than [`EXPRESSION_REGEX_BYTES_MAX`].
    #[error(
        "the regular expressions of an expression take at most {EXPRESSION_REGEX_BYTES_MAX} bytes \
         compiled: repeat smaller classes, or fewer times"
    )]
    RegexesTooLarge,
    /// A part of the language that is not evaluated, or not by rules.
    #[error("{what} is not supported: it is {tier}")]
    Unsupported {
        /// The part.
        what: Box<str>,
        /// Where it belongs.
        tier: Tier,
    },
    /// A part of the language that rules have in tick mode only.
    #[error("{what} is {tier}: it is evaluated on a tick")]
    OnTick {
        /// The part.
        what: Box<str>,
        /// Where it belongs.
        tier: Tier,
    },
    /// An expression that comes to something that a rule cannot use.
    #[error("a rule's expression is a vector or a number, this one is {0}")]
    NotForRules(&'static str),
    /// An expression that comes to something that cannot be followed.
    #[error("a query that is followed is a vector or a number, this one is {0}")]
    NotFollowed(&'static str),
    /// It selects the series of alerts.
    #[error("the series of alerts cannot be followed by a query: follow `alerts/active`")]
    AlertsFollowed,
}

/// Where a part of `PromQL` belongs that is not supported. The reference says what is in which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tier {
    /// What few rules use: native histograms, `@`, looking ahead, experimental functions.
    Third,
    /// An extension that Prometheus does not have.
    None,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Third => "of tier 3",
            Self::None => "no part of Prometheus",
        })
    }
}
