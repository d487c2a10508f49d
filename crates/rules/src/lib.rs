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
//! There are two evaluators, and that is one more than there need be. The plain one (`evaluation`)
//! computes elements with their labels, as Prometheus does: it answers queries, has the words for
//! what is wrong, and the labels of an alert that begins. But labels cost many times what numbers
//! do, and those of a rule's series change seldom. So an engine that has seen them once evaluates
//! by numbers alone (`evaluation::column`), for which it asks nothing but the samples; mostly that
//! says that nothing has changed, and is all. Both make numbers with the same functions, and tests
//! compare them to the last bit.
//!
//! An engine can write down what changes and go on from there in another process: see [`State`].
//!
//! To read the crate, begin with these modules:
//!
//! - `load` and `rule`: from files to rules, with the place of everything that is wrong;
//! - `expression` and `plan`: an expression as text, and as a typed tree; `plan::partition` finds
//!   the parts of it that do not know of each other;
//! - `storage`: the samples that expressions may look at;
//! - `evaluation`: the plain evaluator behind [`query`], with a module for each family of operators,
//!   and `evaluation::{outline, column}`, which come to the same by numbers alone;
//! - `engine`: steps, and the types that own series, parts, alerts and ticks, each with its timers;
//! - `wal`: what an engine writes down;
//! - [`replay`]: what other rules would have done with what was written down;
//! - `template`: the texts of labels and annotations;
//! - `threshold`: what an expression compares with which numbers, for people to look at;
//! - `tick`, [`promqltest`] and [`ruletest`]: evaluation as Prometheus does it, for tests.
//!
//! `docs/internals/rules.md` tells the whole, with the thread that feeds an engine.

mod alert_series;
mod cost;
mod ending;
mod engine;
mod evaluation;
mod expression;
mod load;
mod number;
mod patterns;
mod plan;
pub mod promqltest;
mod reading;
pub mod replay;
mod rule;
pub mod ruletest;
mod selector;
mod series_text;
mod short_list;
mod sight;
mod storage;
mod template;
mod threshold;
mod tick;
mod unit;
mod wal;

use bellwire_model::duration;
pub use cost::Cost;
pub use engine::{
    AlertFigures, AlertReport, Answered, Change, Checkpoint, CutFigures, DroppedFigures, Engine,
    Excerpt, Failures, Figures, Health, QueryBeginning, QueryEnding, QueryRefusal, Recorded,
    RefusedSample, RefusedSamples, Report, RuleReport, SampleRefusal, Settings, StandingQuery,
};
pub use evaluation::{
    Allowance, Answer, Conventions, Element, EvaluationError, NameRemoval, Note, NoteKind,
    QueryMemory, Question, Series, Span, Value, Waiter, query, query_range,
};
pub use expression::tree::syntax_tree;
pub use expression::{ExpressionError, ExpressionReason, Tier};
pub use load::{LoadError, Reason, RuleFile, UnknownFields, inspect, load, load_in};
pub use number::{plain_text, sample_text, scientific_text};
pub use plan::Plan;
pub use reading::Reading;
pub use rule::{
    ALERT_NAME, AlertRule, Group, GroupSettings, Mode, OnDataLost, Parts, RecordRule, Rule,
    RuleKind, RuleMode, RuleSet, TickReason,
};
pub use storage::Storage;
pub use template::{Externals, TemplateError, TemplateReason};
pub use threshold::{Threshold, thresholds};

pub use unit::Unit;
pub use wal::{ClockLead, Corrupt, State};
