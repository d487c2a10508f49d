//! What each step changed, for the write-ahead log: see [`wal`](crate::wal).

use std::collections::VecDeque;

use bellwire_model::limits::TRANSITIONS_UNTOLD_MAX;
use bellwire_model::{Fingerprint, Labels, Timestamp, Transition};

use super::change::Change;
use super::series::Reading;
use crate::storage::Point;
use crate::wal::{PartName, SavedAlert, Writer};

/// How much time may pass without a word in the log, in milliseconds: a longer silence is time
/// that the engine did not run.
const SILENCE_MAX_MS: i64 = 1_000;

/// A log, where one is kept; else nothing is written.
#[derive(Debug, Default)]
pub(super) struct Log {
    writing: Option<Writing>,
    /// What has changed and was not announced yet. Where no log is kept, only what was left behind
    /// by the one before it.
    untold: VecDeque<Transition>,
}

/// A log that is being written.
#[derive(Debug, Default)]
struct Writing {
    writer: Writer,
    /// How long the log was when the step began.
    before: usize,
    /// The time that was told last.
    told: Option<Timestamp>,
}

impl Log {
    /// Writes from now on.
    pub(super) fn keep(&mut self) {
        self.writing.get_or_insert_default();
    }

    pub(super) fn is_kept(&self) -> bool {
        self.writing.is_some()
    }

    /// What was written since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.writing.as_mut().map(|log| log.writer.take()).unwrap_or_default()
    }

    /// Goes on with what a process before this one may not have announced, and what has changed
    /// since.
    pub(super) fn inherit(&mut self, untold: Vec<Transition>, changes: &[Change]) {
        self.remember(untold.into_iter().chain(announced(changes)));
    }

    /// How alerts have changed in this step.
    pub(super) fn changed(&mut self, changes: &[Change]) {
        let Some(log) = &mut self.writing else { return };
        let turned: Vec<Transition> = announced(changes).collect();
        if !turned.is_empty() {
            log.writer.untold(turned.iter());
            self.remember(turned);
        }
    }

    /// Beyond the bound the oldest are forgotten: by then nobody was told anything for long.
    fn remember(&mut self, turned: impl IntoIterator<Item = Transition>) {
        self.untold.extend(turned);
        let above = self.untold.len().saturating_sub(TRANSITIONS_UNTOLD_MAX);
        self.untold.drain(..above);
    }

    /// Whatever has changed so far has been announced: who goes on from the log need not do it.
    pub(super) fn mark_announced(&mut self) {
        let was_told = std::mem::take(&mut self.untold).is_empty();
        if let Some(log) = self.writing.as_mut().filter(|_| !was_told) {
            log.writer.told();
        }
    }

    /// What was not announced, from this place on.
    pub(super) fn untold_from(&self, place: usize) -> impl ExactSizeIterator<Item = &Transition> {
        self.untold.range(place.min(self.untold.len())..)
    }

    /// A step begins.
    pub(super) fn step(&mut self, now: Timestamp) {
        let Some(log) = &mut self.writing else { return };
        log.before = log.writer.len();
        log.writer.step(now);
    }

    /// Says that time has passed, where nothing else was said for a while.
    pub(super) fn time(&mut self, now: Timestamp) {
        let Some(log) = &mut self.writing else { return };
        let silent_since = log.told.map_or(i64::MIN, Timestamp::as_ms);
        if now.as_ms().saturating_sub(silent_since) >= SILENCE_MAX_MS {
            log.writer.step(now);
            log.told = Some(now);
        }
    }

    /// A step ends: its time is taken back where nothing happened at it.
    pub(super) fn end_step(&mut self, now: Timestamp) {
        let Some(log) = &mut self.writing else { return };
        if log.writer.is_time_alone() {
            log.writer.truncate(log.before);
        } else {
            log.told = Some(now);
        }
    }

    pub(super) fn series(&mut self, number: u64, labels: &Labels) {
        let Some(log) = &mut self.writing else { return };
        log.writer.series(number, labels);
    }

    pub(super) fn gone(&mut self, number: u64) {
        let Some(log) = &mut self.writing else { return };
        log.writer.gone(number);
    }

    pub(super) fn sample(&mut self, number: u64, reading: Reading) {
        let Some(log) = &mut self.writing else { return };
        let point = Point { time: reading.time.as_ms(), value: reading.value };
        log.writer.sample(number, point);
    }

    pub(super) fn recorded(
        &mut self,
        part: &PartName,
        numbers: impl ExactSizeIterator<Item = u64>,
    ) {
        let Some(log) = &mut self.writing else { return };
        log.writer.recorded(part, numbers);
    }

    pub(super) fn alert(&mut self, saved: &SavedAlert) {
        let Some(log) = &mut self.writing else { return };
        log.writer.alert(saved);
    }

    pub(super) fn ended(&mut self, fingerprint: Fingerprint) {
        let Some(log) = &mut self.writing else { return };
        log.writer.ended(fingerprint);
    }
}

/// The changes that are announced.
fn announced(changes: &[Change]) -> impl Iterator<Item = Transition> {
    changes.iter().filter_map(|change| match change {
        Change::Transition(turned) => turned.kind.is_announced().then(|| turned.clone()),
        Change::Removed(_) | Change::Recorded(_) => None,
    })
}
