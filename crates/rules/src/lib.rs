//! Samples and time to alert transitions: a pure function.
//!
//! [`load`] turns Prometheus rule files into a [`RuleSet`]; an [`Engine`] of it takes samples and
//! the time and says how alerts changed. Nothing here reads a clock or does I/O: the same rules,
//! samples and times give the same [`Change`]s with the same ids, whoever computes them.
//!
//! ```text
//! rule files ── load ──▶ RuleSet ─┐
//!                                 ▼
//! samples, time ─────────────▶ Engine ──▶ Change (Transition | Removed)
//!                                 └─────▶ next_deadline: when to call it again
//! ```
//!
//! Prometheus evaluates on a tick; the engine evaluates when something can have changed: when
//! samples arrive, and at the exact instants at which a series leaves its lookback, a sample from
//! the future becomes due, or an alert has been pending for as long as `for` asks.
//! The result is what Prometheus would compute with an evaluation interval of one millisecond.

mod duration;
mod engine;
mod expression;
mod load;
mod number;
mod rule;
mod selector;
mod template;

pub use engine::{AlertFigures, Change, DroppedFigures, Engine, Figures, Settings};
pub use expression::{ExpressionError, ExpressionReason};
pub use load::{LoadError, Reason, RuleFile, inspect, load};
pub use rule::{Group, Rule, RuleSet};
pub use template::{TemplateError, TemplateReason};
