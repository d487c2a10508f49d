//! What each step changed, for the write-ahead log: see [`wal`](crate::wal).

use bellwire_model::{Fingerprint, Labels, Timestamp};

use super::series::Reading;
use crate::storage::Point;
use crate::wal::{PartName, SavedAlert, Writer};

/// How much time may pass without a word in the log, in milliseconds: a longer silence is time
/// that the engine did not run.
const SILENCE_MAX_MS: i64 = 1_000;

/// A log, where one is kept; else nothing is written.
#[derive(Debug, Default)]
pub(super) struct Log(Option<Writing>);

/// A log that is being written.
#[derive(Debug, Default)]
struct Writing {
    writer: Writer,
    /// How long the log was when the step began.
    before: usize,
    /// The time that was told last.
    told: Option<Timestamp>,
    /// Whether all that has changed was announced.
    is_announced: bool,
}

impl Log {
    /// Writes from now on.
    pub(super) fn keep(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(super) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// What was written since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.as_mut().map(|log| log.writer.take()).unwrap_or_default()
    }

    /// Whatever has changed so far has been announced: who goes on from the log need not do it.
    pub(super) fn mark_announced(&mut self) {
        let Some(log) = self.0.as_mut().filter(|log| !log.is_announced) else { return };
        log.writer.told();
        log.is_announced = true;
    }

    /// Whether all that has changed was announced, as far as the log knows.
    pub(super) fn is_announced(&self) -> bool {
        self.0.as_ref().is_some_and(|log| log.is_announced)
    }

    /// A step begins.
    pub(super) fn step(&mut self, now: Timestamp) {
        let Some(log) = &mut self.0 else { return };
        log.before = log.writer.len();
        log.writer.step(now);
    }

    /// Says that time has passed, where nothing else was said for a while.
    pub(super) fn time(&mut self, now: Timestamp) {
        let Some(log) = &mut self.0 else { return };
        let silent_since = log.told.map_or(i64::MIN, Timestamp::as_ms);
        if now.as_ms().saturating_sub(silent_since) >= SILENCE_MAX_MS {
            log.writer.step(now);
            log.told = Some(now);
        }
    }

    /// A step ends: its time is taken back where nothing happened at it.
    pub(super) fn end_step(&mut self, now: Timestamp) {
        let Some(log) = &mut self.0 else { return };
        if log.writer.is_time_alone() {
            log.writer.truncate(log.before);
        } else {
            log.told = Some(now);
        }
    }

    pub(super) fn series(&mut self, number: u64, labels: &Labels) {
        let Some(log) = &mut self.0 else { return };
        log.writer.series(number, labels);
    }

    pub(super) fn gone(&mut self, number: u64) {
        let Some(log) = &mut self.0 else { return };
        log.writer.gone(number);
    }

    pub(super) fn sample(&mut self, number: u64, reading: Reading) {
        let Some(log) = &mut self.0 else { return };
        let point = Point { time: reading.time.as_ms(), value: reading.value };
        log.writer.sample(number, point);
    }

    pub(super) fn recorded(
        &mut self,
        part: &PartName,
        numbers: impl ExactSizeIterator<Item = u64>,
    ) {
        let Some(log) = &mut self.0 else { return };
        log.writer.recorded(part, numbers);
    }

    pub(super) fn alert(&mut self, saved: &SavedAlert) {
        let Some(log) = &mut self.0 else { return };
        log.writer.alert(saved);
        log.is_announced = false;
    }

    pub(super) fn ended(&mut self, fingerprint: Fingerprint) {
        let Some(log) = &mut self.0 else { return };
        log.writer.ended(fingerprint);
    }
}
