//! What each step changed, for the write-ahead log: see [`wal`](crate::wal).

use bellwire_model::Timestamp;

use super::Engine;
use super::alerts::Entry;
use super::partitions::Members;
use super::series::{Reading, Subscription};
use crate::storage::{Point, SeriesId};
use crate::wal::{PartName, SavedAlert, Writer};

/// How much time may pass without a word in the log, in milliseconds: a longer silence is time
/// that the engine did not run.
const SILENCE_MAX_MS: i64 = 1_000;

/// A log that is being written.
#[derive(Debug, Default)]
pub(super) struct Log {
    writer: Writer,
    /// How long the log was when the step began.
    before: usize,
    /// The time that was told last.
    told: Option<Timestamp>,
    /// Whether all that has changed was announced.
    is_announced: bool,
}

impl Engine {
    /// Writes a log from now on. Take a [`checkpoint`](Self::checkpoint) to begin with.
    pub fn keep_log(&mut self) {
        self.log.get_or_insert_default();
        self.alerts.note_changes();
    }

    /// What happened since the last call, for [`State::read`](crate::wal::State::read).
    pub fn take_log(&mut self) -> Vec<u8> {
        self.log.as_mut().map(|log| log.writer.take()).unwrap_or_default()
    }

    /// Whatever has changed so far has been announced: who goes on from the log need not do it.
    pub fn mark_announced(&mut self) {
        let Some(log) = self.log.as_mut().filter(|log| !log.is_announced) else { return };
        log.writer.told();
        log.is_announced = true;
    }

    /// Whether all that has changed was announced, as far as the log knows.
    pub(super) fn is_announced(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.is_announced)
    }

    pub(super) fn log_step(&mut self) {
        let Some(log) = &mut self.log else { return };
        log.before = log.writer.len();
        log.writer.step(self.now);
    }

    /// Says that time has passed, where nothing else was said for a while.
    pub(super) fn log_time(&mut self) {
        let Some(log) = &mut self.log else { return };
        let silent_since = log.told.map_or(i64::MIN, Timestamp::as_ms);
        if self.now.as_ms().saturating_sub(silent_since) >= SILENCE_MAX_MS {
            log.writer.step(self.now);
            log.told = Some(self.now);
        }
    }

    pub(super) fn log_series(&mut self, id: SeriesId) {
        let Some(log) = &mut self.log else { return };
        log.writer.series(self.series.state(id).number, &self.series.labels(id));
    }

    pub(super) fn log_gone(&mut self, id: SeriesId) {
        let Some(log) = &mut self.log else { return };
        log.writer.gone(self.series.state(id).number);
    }

    pub(super) fn log_sample(&mut self, id: SeriesId, reading: Reading) {
        let Some(log) = &mut self.log else { return };
        let point = Point { time: reading.time.as_ms(), value: reading.value };
        log.writer.sample(self.series.state(id).number, point);
    }

    pub(super) fn log_recorded(&mut self, part: Subscription, series: &[SeriesId]) {
        if self.log.is_none() {
            return;
        }
        let name = self.part_name(part);
        let Some(log) = &mut self.log else { return };
        let numbers = series.iter().map(|id| self.series.state(*id).number);
        log.writer.recorded(&name, numbers);
    }

    /// At the end of a step: says how alerts are now, and takes the step's time back where nothing
    /// happened at it.
    pub(super) fn log_alerts(&mut self) {
        if self.log.is_none() {
            return;
        }
        for fingerprint in self.alerts.take_changed() {
            let saved = match self.alerts.get(fingerprint) {
                Some(entry) if entry.logged == Some(entry.mark()) => continue,
                Some(entry) => Some((entry.mark(), self.saved(entry))),
                None => None,
            };
            let Some(log) = &mut self.log else { return };
            match saved {
                Some((mark, saved)) => {
                    log.writer.alert(&saved);
                    log.is_announced = false;
                    self.alerts.set_logged(fingerprint, mark);
                }
                None => log.writer.ended(fingerprint),
            }
        }
        let Some(log) = &mut self.log else { return };
        if log.writer.is_time_alone() {
            log.writer.truncate(log.before);
        } else {
            log.told = Some(self.now);
        }
    }

    /// An alert as it is written down.
    pub(super) fn saved(&self, entry: &Entry) -> SavedAlert {
        SavedAlert {
            alert: self.current(entry),
            element: entry.element.clone(),
            kept_since: entry.kept_since,
            part: entry.owner.map(|owner| self.part_name(owner)),
        }
    }

    /// A part as another process knows it.
    pub(super) fn part_name(&self, part: Subscription) -> PartName {
        let entry = self.rules.get(part.rule);
        let key = match &entry.partitions.get(part.partition).members {
            Members::One(id) => self.series.labels(*id),
            Members::Grouped(grouped) => grouped.key().clone(),
        };
        PartName { rule: entry.identity, key }
    }
}
