//! Samples and time to alert transitions and recorded values: a pure function.
//!
//! [`load`] turns Prometheus rule files into a [`RuleSet`]; an [`Engine`] of it takes samples and
//! the time and says how alerts changed. Nothing here reads a clock or does I/O: the same rules,
//! samples and times give the same [`Change`]s with the same ids, whoever computes them.
//!
//! ```text
//! rule files ── load ──▶ RuleSet ─┐
//!                                 ▼
//! samples, time ─────────────▶ Engine ──▶ Change (Transition | Removed | Recorded)
//!                                 └─────▶ next_deadline: when to call it again
//!
//! expression ──▶ Plan ─┐
//! samples ──▶ Storage ─┴─ query ──▶ Answer
//! ```
//!
//! Prometheus evaluates on a tick; the engine evaluates when something can have changed: when
//! samples arrive, and at the exact instants at which time alone changes what a rule comes to.
//! The result is what Prometheus would compute with an evaluation interval of one millisecond.
//!
//! An engine can write down what changes and go on from there in another process: see [`State`].
//!
//! [`query`] is the plain evaluator, which the engine uses too. [`promqltest`] and [`ruletest`]
//! run Prometheus' own tests with it.

mod alert_series;
mod condition;
mod cost;
mod ending;
mod engine;
mod evaluation;
mod expression;
mod load;
mod number;
mod plan;
pub mod promqltest;
mod rule;
pub mod ruletest;
mod selector;
mod series_text;
mod storage;
mod template;
mod tick;
mod wal;

use bellwire_model::duration;
pub use cost::{Cost, Parts};
pub use engine::{
    AlertFigures, Change, Checkpoint, DroppedFigures, Engine, Failures, Figures, Health, Recorded,
    RefusedSamples, RuleReport, SampleRefusal, Settings,
};
pub use evaluation::{
    Answer, Conventions, Element, EvaluationError, NameRemoval, Note, NoteKind, Series, Span,
    Value, query, query_range,
};
pub use expression::tree::syntax_tree;
pub use expression::{ExpressionError, ExpressionReason, Tier};
pub use load::{LoadError, Reason, RuleFile, UnknownFields, inspect, load, load_in};
pub use number::{plain_text, scientific_text};
pub use plan::Plan;
pub use rule::{
    AlertRule, Group, GroupSettings, Mode, OnDataLost, RecordRule, Rule, RuleKind, RuleMode,
    RuleSet, TickReason,
};
pub use storage::Storage;
pub use template::{Externals, TemplateError, TemplateReason};

pub use wal::{Corrupt, State};
