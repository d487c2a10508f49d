//! What an engine has, in the language of the log, piece by piece.

use bellwire_model::Fingerprint;

use super::Engine;
use super::series::Subscription;
use crate::storage::Point;
use crate::wal::Writer;

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
    /// What rules record, from this rule on.
    Recorded(usize),
    /// These alerts.
    Alerts(Vec<Fingerprint>),
    Complete,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Series(0)
    }
}

impl Engine {
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
                    Some(Stage::Recorded(0))
                }
                Stage::Recorded(rule) => self.write_recorded(rule, &mut writer),
                Stage::Alerts(left) => self.write_alert(left, &mut writer),
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
            let number = self.series.state(id).number;
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
            writer.sample(self.series.state(id).number, point);
        }
    }

    fn write_recorded(&self, index: &mut usize, writer: &mut Writer) -> Option<Stage> {
        let Some(rule) = self.rules.at(*index) else {
            let all = self.alerts.iter().map(|entry| entry.alert.fingerprint);
            return Some(Stage::Alerts(all.collect()));
        };
        *index += 1;
        let partitions = &self.rules.get(rule).partitions;
        for partition in partitions.ids() {
            let recorded = &partitions.get(partition).recorded;
            if !recorded.is_empty() {
                let name = self.part_name(Subscription { rule, partition });
                writer.recorded(&name, recorded.iter().map(|id| self.series.state(*id).number));
            }
        }
        None
    }

    fn write_alert(&self, left: &mut Vec<Fingerprint>, writer: &mut Writer) -> Option<Stage> {
        let Some(fingerprint) = left.pop() else {
            if self.is_announced() {
                writer.told();
            }
            return Some(Stage::Complete);
        };
        if let Some(entry) = self.alerts.get(fingerprint) {
            writer.alert(&self.saved(entry));
        }
        None
    }
}
