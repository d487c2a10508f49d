//! What records come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_model::{Alert, Fingerprint, Labels, Timestamp};
use rustc_hash::FxHashMap;

use super::read::{Reader, Record};
use super::{Corrupt, PartName};
use crate::storage::Point;

/// What an engine was when its last record was written.
#[derive(Debug)]
pub struct State {
    /// The time of the last step.
    pub(crate) now: Timestamp,
    /// By number, which is the order in which they began.
    pub(crate) series: BTreeMap<u64, SavedSeries>,
    pub(crate) alerts: BTreeMap<Fingerprint, SavedAlert>,
    /// What parts of rules record.
    pub(crate) recorded: FxHashMap<PartName, Vec<u64>>,
}

/// A series and its samples, in the order in which they came.
#[derive(Debug)]
pub(crate) struct SavedSeries {
    pub(crate) labels: Labels,
    pub(crate) points: Vec<Point>,
}

/// An alert, and what else an engine knows of it.
#[derive(Clone, Debug)]
pub(crate) struct SavedAlert {
    pub(crate) alert: Arc<Alert>,
    /// The labels of the element that it comes from.
    pub(crate) element: Labels,
    /// Since when it fires although its condition no longer holds.
    pub(crate) kept_since: Option<Timestamp>,
    /// Who raises it.
    pub(crate) part: Option<PartName>,
}

impl Default for State {
    fn default() -> Self {
        let (series, alerts) = (BTreeMap::new(), BTreeMap::new());
        Self { now: Timestamp::MIN, series, alerts, recorded: FxHashMap::default() }
    }
}

impl State {
    /// Reads whole records, as they came from one [`take_log`](crate::Engine::take_log) or
    /// [`checkpoint`](crate::Engine::checkpoint). What comes before a broken record counts.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let mut reader = Reader::new(bytes);
        while reader.left() > 0 {
            let at = bytes.len() - reader.left();
            let record = reader.record().ok_or(Corrupt { at })?;
            self.apply(record);
        }
        Ok(())
    }

    /// When the last step was that is in it.
    pub fn ended_at(&self) -> Timestamp {
        self.now
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Step(now) => self.now = self.now.max(now),
            Record::Series(number, labels) => {
                let points = Vec::new();
                self.series.entry(number).or_insert(SavedSeries { labels, points });
            }
            Record::Gone(number) => _ = self.series.remove(&number),
            // What comes for a series that is gone was written while a checkpoint was taken.
            Record::Sample(number, point) => {
                if let Some(series) = self.series.get_mut(&number) {
                    series.points.push(point);
                }
            }
            Record::Points(number, points) => {
                if let Some(series) = self.series.get_mut(&number) {
                    series.points = points;
                }
            }
            Record::Alert(saved) => _ = self.alerts.insert(saved.alert.fingerprint, *saved),
            Record::Ended(fingerprint) => _ = self.alerts.remove(&fingerprint),
            Record::Recorded(part, series) if series.is_empty() => {
                self.recorded.remove(&part);
            }
            Record::Recorded(part, series) => _ = self.recorded.insert(part, series),
        }
    }
}
