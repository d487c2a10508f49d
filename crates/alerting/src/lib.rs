//! Samples to events: rules are evaluated as samples come, and what becomes of alerts is kept,
//! shown and told.
//!
//! ```text
//! samples ─▶ evaluator ─┬─ transitions ─▶ journal
//!                       └─▶ desk ─┬─▶ alerts/active (state)
//! API ──────────────────────▶     └─▶ notifier ─▶ webhooks
//! ```
//!
//! The evaluator and the desk have a thread each; the notifier is a task. Where state topics are
//! kept is [`StateTopics`]' business, which the crate above implements.
//!
//! | module | what it is |
//! |---|---|
//! | `evaluator` | the rules' thread: samples in, transitions to journal and board; the rules' state on the disk (`wal`) |
//! | `live`, `following` | standing queries: who follows them, what is recorded under names, and their answers on their way to `query/…` |
//! | `charge` | whether this server is the one that tells of alerts |
//! | `desk` | the alerts' desk: from the rules and the API to records, board and notifier |
//! | `notifier` | runs the dispatcher on the clock, and brings notifications to webhooks |
//! | `push` | subscriptions of browsers, and what they are told through their push services |
//! | `record` | what the rules' log has of a stretch of time, in one file |
//! | `standby` | another node that has the rules' state, and takes over with it |
//! | `reload`, `rule_files` | reads rule files and Alertmanager's configuration, and reads them again |
//!
//! `docs/internals/rules.md` and `docs/internals/alerts.md` tell the whole.

mod charge;
mod desk;
mod evaluator;
mod events;
mod figures;
mod following;
mod history;
mod live;
mod log_files;
mod notifier;
mod push;
mod record;
mod rehousing;
mod reload;
mod rule_files;
mod standby;
mod states;
#[cfg(test)]
mod tests;
mod unanswered;

pub use charge::Charge;
pub use desk::{Alerting, AlertingParts, Run as DeskRun, new_silence_id};
pub use evaluator::{Beginning, EvaluatorParts, RecordKept, SampleIntake, Source, restore, spawn};
pub use events::{ALERTS_ACTIVE, place_of_series};
pub use figures::Figures;
pub use following::{Editor, Followed, LiveQueries, Recorded, Recording};
pub use history::{AlertThen, AskedThen, BoardThen, History, HistoryPage, Horizon, Measured};
pub use live::{CostReport, Follower, LiveQuery, NamedQuery, NewNamedQuery, PartsReport, Register};
pub use notifier::{
    AlertmanagerConfigError, Notifier, NotifierParts, Reach, Run as NotifierRun,
    load as load_alertmanager_config,
};
pub use push::{
    Courier, ListedSubscription, NewSubscription, Owner, Push, PushParts, Standing, Subscribed,
    SubscriptionState, VapidKey, VapidKeyError,
};
pub use record::{RecordEnd, RecordError, RecordHeader, RecordReader, RecordWriter, write_record};
pub use reload::{
    Also, Concerned, Hangups, InForce, LastRead, Paused, Reload, ReloadParts, TakeEffect,
};
pub use rule_files::{
    RuleFileText, RuleFiles, RuleFilesError, load as load_rules, read as read_rule_files,
};
pub use standby::{
    Begun, Named, NotRead, Noted, Notice, Piece, Place, Standby, StandbyMode, StandbyReport,
    StandbyStage, StateCopy, Want,
};
pub use states::{NotShown, StateTopics};
