//! How rules are evaluated: as samples arrive, or on a tick.

use std::fmt;

use crate::expression::ExpressionReason;

/// How rules are evaluated where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleMode {
    /// As samples arrive, and when time alone changes something.
    #[default]
    Stream,
    /// At each interval of their group, as Prometheus does.
    Tick,
}

impl RuleMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Stream, Self::Tick];

    /// The mode as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Tick => "tick",
        }
    }
}

/// How a rule is evaluated, and why it is on a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// As samples arrive.
    Stream,
    /// At each interval of its group.
    Tick(TickReason),
}

impl Mode {
    /// The mode without the reason.
    pub fn rule_mode(&self) -> RuleMode {
        match self {
            Self::Stream => RuleMode::Stream,
            Self::Tick(_) => RuleMode::Tick,
        }
    }
}

/// Why a rule is evaluated on a tick.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TickReason {
    /// Its group says so.
    Group,
    /// The configuration says so, and its group nothing else.
    Setting,
    /// Its expression has a part that is evaluated on a tick only.
    Expression {
        /// The line in its file, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The part, and where it belongs.
        reason: ExpressionReason,
    },
}

impl fmt::Display for TickReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group => f.write_str("its group has `mode: tick`"),
            Self::Setting => f.write_str("`rule_mode` is `tick`"),
            Self::Expression { line, column, reason } => write!(f, "{line}:{column}: {reason}"),
        }
    }
}
