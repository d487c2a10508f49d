//! What an engine must not forget, as bytes: a write-ahead log and its checkpoints.
//!
//! An engine with a log ([`Engine::keep_log`]) says after each step what the step changed
//! ([`Engine::take_log`]). A checkpoint says in the same language what there is
//! ([`Engine::checkpoint`]); it may be taken piece by piece while steps go on, because whatever
//! changes meanwhile is in the log from the checkpoint's beginning on, and reading a record twice
//! changes nothing. A [`State`] reads a checkpoint, then the log behind it, and
//! [`Engine::resume`] goes on from there.
//!
//! | record | what it says |
//! |---|---|
//! | step | the time; the times behind it are told as distances from it |
//! | series | a series and its number, which no other one ever has |
//! | gone | a series is forgotten |
//! | sample | a series has a sample |
//! | points | these are a series' samples |
//! | alert | an alert as it is now, and the part of a rule that raises it |
//! | ended | an alert is forgotten |
//! | recorded | the series that a part of a rule records |
//! | told | whatever had changed until here has been announced |
//! | untold | how alerts have changed, which has yet to be announced; at the end of a checkpoint all of it |
//!
//! Each record is a kind and numbers of variable length, texts with their lengths before them.
//!
//! [`Engine::keep_log`]: crate::Engine::keep_log
//! [`Engine::take_log`]: crate::Engine::take_log
//! [`Engine::checkpoint`]: crate::Engine::checkpoint
//! [`Engine::resume`]: crate::Engine::resume

mod lead;
mod read;
mod saved;
mod state;
mod untold;
mod write;

use bellwire_model::{Alert, AlertState, Labels, Timestamp, TransitionKind};
use thiserror::Error;

pub use self::lead::ClockLead;
pub(crate) use self::read::{Reader, Record};
pub(crate) use self::saved::{SavedAlert, SavedSeries};
pub use self::state::State;
pub(crate) use self::write::Writer;

/// The bytes are not what an engine wrote.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the record that begins at byte {at} is none")]
pub struct Corrupt {
    /// Where the record begins.
    pub at: usize,
}

/// The kinds of records; the numbers are on disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Step = 1,
    Series = 2,
    Gone = 3,
    Sample = 4,
    Points = 5,
    Alert = 6,
    Ended = 7,
    Recorded = 8,
    Told = 9,
    Untold = 10,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Step,
        Self::Series,
        Self::Gone,
        Self::Sample,
        Self::Points,
        Self::Alert,
        Self::Ended,
        Self::Recorded,
        Self::Told,
        Self::Untold,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The kinds of transitions that are announced; their places are on disks.
const TRANSITIONS: [TransitionKind; 3] =
    [TransitionKind::Firing, TransitionKind::DataLost, TransitionKind::Resolved];

/// A part of a rule, the same in every process with this rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartName {
    /// [`Rule::identity`](crate::rule::Rule::identity).
    pub(crate) rule: u64,
    /// What its series have in common: all labels where the part is one series.
    pub(crate) key: Labels,
}

/// What of an alert is written down; where nothing of it changes, nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlertMark<P> {
    pub(crate) state: AlertState,
    pub(crate) active_at: Timestamp,
    pub(crate) fired_at: Option<Timestamp>,
    pub(crate) resolved_at: Option<Timestamp>,
    pub(crate) kept_since: Option<Timestamp>,
    pub(crate) owner: Option<P>,
}

impl<P> AlertMark<P> {
    pub(crate) fn of(alert: &Alert, kept_since: Option<Timestamp>, owner: Option<P>) -> Self {
        let Alert { state, active_at, fired_at, resolved_at, .. } = *alert;
        Self { state, active_at, fired_at, resolved_at, kept_since, owner }
    }
}
