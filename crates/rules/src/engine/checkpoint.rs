//! What an engine has and what it changes, in the language of the log; what there is, piece by
//! piece.

use std::sync::Arc;

use bellwire_model::Fingerprint;

use super::Engine;
use super::alerts::AlertEntry;
use super::change::Change;
use super::ids::PartId;
use super::parts::Members;
use crate::rule::Rule;
use crate::storage::{Point, SeriesId};
use crate::wal::{PartName, SavedAlert, Writer};

/// Transitions that were not announced in one record: they are few.
const UNTOLD_AT_ONCE: usize = 64;

/// How far a checkpoint has come; the default is its beginning.
#[derive(Debug, Default)]
pub struct Checkpoint(Stage);

/// What a checkpoint writes next.
#[derive(Debug)]
enum Stage {
    /// The series from this place on.
    Series(usize),
    /// The samples that wait for their time. They are few.
    Ahead,
    /// What rules record, from one rule on.
    Recorded(NextRule),
    /// These alerts.
    Alerts(Vec<Fingerprint>),
    /// What was not announced, from this place on.
    Untold(usize),
    Complete,
}

/// The place of a rule.
#[derive(Debug, Default)]
struct NextRule {
    place: usize,
    /// The one before it: where that is another one meanwhile, rules have moved.
    last: Option<Arc<Rule>>,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Series(0)
    }
}

impl Engine {
    /// Writes a log from now on. Take a [`checkpoint`](Self::checkpoint) to begin with.
    pub fn keep_log(&mut self) {
        self.log.keep();
        self.alerts.note_changes();
    }

    /// What happened since the last call, for [`State::read`](crate::wal::State::read).
    pub fn take_log(&mut self) -> Vec<u8> {
        self.log.take()
    }

    /// Whatever has changed so far has been announced: who goes on from the log need not do it.
    pub fn mark_announced(&mut self) {
        self.log.mark_announced();
    }

    /// A part records other series than before.
    pub(super) fn log_recorded(&mut self, part: PartId, series: &[SeriesId]) {
        if self.log.is_kept() {
            let name = self.part_name(part);
            self.log.recorded(&name, series.iter().map(|id| self.series.number(*id)));
        }
    }

    /// At the end of a step: says how alerts are now, and what has become of them.
    pub(super) fn log_alerts(&mut self, changes: &[Change]) {
        if !self.log.is_kept() {
            return;
        }
        for fingerprint in self.alerts.take_changed() {
            let is_news = self.alerts.set_logged(fingerprint);
            let saved = match self.alerts.get(fingerprint) {
                Some(_) if !is_news => continue,
                Some(entry) => self.saved(entry),
                None => {
                    self.log.ended(fingerprint);
                    continue;
                }
            };
            self.log.alert(&saved);
        }
        self.log.changed(changes);
        self.log.end_step(self.now);
    }

    /// An alert as it is written down.
    fn saved(&self, entry: &AlertEntry) -> SavedAlert {
        SavedAlert {
            alert: entry.current(&self.scene()),
            element: entry.element.clone(),
            kept_since: entry.kept_since,
            part: entry.owner.map(|owner| self.part_name(owner)),
        }
    }

    /// A part as another process knows it.
    fn part_name(&self, part: PartId) -> PartName {
        let key = match self.parts.get(part).members() {
            Members::One(id) => self.series.labels(*id),
            Members::Grouped(grouped) => self.storage().pairs().labels(grouped.key()),
        };
        PartName { rule: self.rules.get(part.rule).identity, key }
    }

    /// The next piece of a checkpoint, of about `bytes` bytes; nothing once it is complete.
    ///
    /// Pieces may be taken between steps. What the steps change meanwhile is in the log, which
    /// must be read from the checkpoint's first piece on.
    pub fn checkpoint(&self, checkpoint: &mut Checkpoint, bytes: usize) -> Option<Vec<u8>> {
        let mut writer = Writer::default();
        writer.step(self.now);
        while writer.len() < bytes {
            let next = match &mut checkpoint.0 {
                Stage::Series(place) => self.write_series(place, bytes, &mut writer),
                Stage::Ahead => {
                    self.write_ahead(&mut writer);
                    Some(Stage::Recorded(NextRule::default()))
                }
                Stage::Recorded(next) => self.write_recorded(next, &mut writer),
                Stage::Alerts(left) => self.write_alert(left, &mut writer),
                Stage::Untold(place) => self.write_untold(place, &mut writer),
                Stage::Complete if writer.is_time_alone() => return None,
                Stage::Complete => break,
            };
            if let Some(next) = next {
                checkpoint.0 = next;
            }
        }
        Some(writer.take())
    }

    /// Says what comes next, once it is through; so do those below.
    fn write_series(&self, place: &mut usize, bytes: usize, writer: &mut Writer) -> Option<Stage> {
        for (next, id) in self.series.from(*place) {
            *place = next;
            let number = self.series.number(id);
            writer.series(number, &self.series.labels(id));
            writer.points(number, self.series.storage().points(id).iter().copied());
            if writer.len() >= bytes {
                return None;
            }
        }
        Some(Stage::Ahead)
    }

    fn write_ahead(&self, writer: &mut Writer) {
        for (id, reading) in self.series.ahead() {
            let point = Point { time: reading.time.as_ms(), value: reading.value };
            writer.sample(self.series.number(id), point);
        }
    }

    /// Where rules have changed meanwhile, it begins anew: one that stays may have another place.
    fn write_recorded(&self, next: &mut NextRule, writer: &mut Writer) -> Option<Stage> {
        let rule_at = |place: usize| self.rules.at(place).map(|id| &self.rules.get(id).rule);
        if let Some(last) = &next.last
            && !rule_at(next.place - 1).is_some_and(|rule| Arc::ptr_eq(rule, last))
        {
            *next = NextRule::default();
        }
        let Some(rule) = self.rules.at(next.place) else {
            let all = self.alerts.iter().map(|entry| entry.alert.fingerprint);
            return Some(Stage::Alerts(all.collect()));
        };
        next.place += 1;
        next.last = Some(Arc::clone(&self.rules.get(rule).rule));
        for (number, part) in self.parts.of(rule).iter() {
            if !part.recorded().is_empty() {
                let name = self.part_name(PartId { rule, number });
                writer.recorded(&name, part.recorded().iter().map(|id| self.series.number(*id)));
            }
        }
        None
    }

    fn write_alert(&self, left: &mut Vec<Fingerprint>, writer: &mut Writer) -> Option<Stage> {
        let Some(fingerprint) = left.pop() else { return Some(Stage::Untold(0)) };
        if let Some(entry) = self.alerts.get(fingerprint) {
            writer.alert(&self.saved(entry));
        }
        None
    }

    /// What is announced meanwhile is told in the log, and so is what changes. The last record is
    /// empty: even where there is nothing, all of it is there.
    fn write_untold(&self, place: &mut usize, writer: &mut Writer) -> Option<Stage> {
        let next = self.log.untold_from(*place).take(UNTOLD_AT_ONCE);
        *place += next.len();
        let is_last = next.len() == 0;
        writer.untold(next);
        is_last.then_some(Stage::Complete)
    }
}
