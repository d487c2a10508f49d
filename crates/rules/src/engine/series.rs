//! The series that rules select, each with its newest sample and with what its rules make of it.

use std::collections::BTreeMap;

use bellwire_model::{Fingerprint, Labels, Timestamp};
use rustc_hash::FxHashMap;

use super::rules::RuleId;

/// The bits of the value by which Prometheus says that a series has ended.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The place of a series in the table; reused once the series is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesId(u32);

/// A value and when it was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) time: Timestamp,
    pub(super) value: f64,
}

impl Reading {
    pub(super) fn is_stale_marker(self) -> bool {
        self.value.to_bits() == STALE_BITS
    }
}

/// A series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    /// The newest visible sample, until it leaves the lookback. A stale marker is one too.
    pub(super) newest: Option<Reading>,
    /// Whether its lookback timer is set.
    pub(super) has_timer: bool,
    /// The rules that select it, in the order of the files.
    pub(super) slots: Box<[Slot]>,
    /// Samples that wait for their time.
    ahead: u32,
    /// The step that touched it last.
    touched: u64,
}

/// What a rule makes of a series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) rule: RuleId,
    pub(super) standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    /// It was never evaluated.
    New,
    /// It raises no alert.
    Idle,
    /// It raises this alert.
    Raised(Fingerprint),
}

/// All series.
#[derive(Debug, Default)]
pub(super) struct SeriesTable {
    ids: FxHashMap<Labels, SeriesId>,
    series: Vec<Option<Series>>,
    free: Vec<SeriesId>,
    ahead: BTreeMap<(Timestamp, SeriesId), f64>,
    step: u64,
}

impl SeriesTable {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn find(&self, labels: &Labels) -> Option<SeriesId> {
        self.ids.get(labels).copied()
    }

    pub(super) fn get(&self, id: SeriesId) -> &Series {
        self.series[id.0 as usize].as_ref().expect("ids in use are of series that are remembered")
    }

    pub(super) fn get_mut(&mut self, id: SeriesId) -> &mut Series {
        self.series[id.0 as usize].as_mut().expect("ids in use are of series that are remembered")
    }

    pub(super) fn insert(&mut self, labels: Labels, rules: &[RuleId]) -> SeriesId {
        let slots = rules.iter().map(|rule| Slot { rule: *rule, standing: Standing::New });
        let series = Series {
            labels: labels.clone(),
            newest: None,
            has_timer: false,
            slots: slots.collect(),
            ahead: 0,
            touched: 0,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.series.push(None);
            SeriesId(self.series.len() as u32 - 1)
        });
        self.series[id.0 as usize] = Some(series);
        self.ids.insert(labels, id);
        id
    }

    /// Forgets a series, unless samples of it are still to come.
    pub(super) fn forget(&mut self, id: SeriesId) {
        if self.get(id).ahead == 0 {
            let series = self.series[id.0 as usize].take().expect("it was there a line ago");
            self.ids.remove(&series.labels);
            self.free.push(id);
        }
    }

    pub(super) fn begin_step(&mut self) {
        self.step += 1;
    }

    /// Whether this is the first touch of the series in this step.
    pub(super) fn touch(&mut self, id: SeriesId) -> bool {
        let step = self.step;
        std::mem::replace(&mut self.get_mut(id).touched, step) != step
    }

    /// Keeps a reading until its time. Of several with one time the last counts.
    pub(super) fn put_ahead(&mut self, id: SeriesId, reading: Reading) {
        if self.ahead.insert((reading.time, id), reading.value).is_none() {
            self.get_mut(id).ahead += 1;
        }
    }

    /// The next reading whose time has come.
    pub(super) fn take_ahead(&mut self, now: Timestamp) -> Option<(SeriesId, Reading)> {
        let entry = self.ahead.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((time, id), value) = entry.remove_entry();
        self.get_mut(id).ahead -= 1;
        Some((id, Reading { time, value }))
    }

    /// When the next reading becomes visible.
    pub(super) fn next_ahead(&self) -> Option<Timestamp> {
        self.ahead.first_key_value().map(|((time, _), _)| *time)
    }

    pub(super) fn ahead_len(&self) -> usize {
        self.ahead.len()
    }
}
