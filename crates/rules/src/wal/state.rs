//! What records come to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{
    Alert, AlertState, Fingerprint, Labels, Timestamp, Transition, TransitionKind,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::read::{Reader, Record};
use super::{Corrupt, PartName, SavedAlert, SavedSeries};
use crate::rule::RuleSet;
use crate::storage::grow_by_little;
use crate::unit::Unit;

/// How old what was not announced may be where nothing says when something was: the journal knows
/// ids for longer.
const UNTOLD_AGE: Duration = Duration::from_hours(1);

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
    /// When whatever had changed had been announced the last time, as far as is known.
    told_at: Option<Timestamp>,
    /// Alerts that have changed since.
    untold: BTreeSet<Fingerprint>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now: Timestamp::MIN,
            series: BTreeMap::new(),
            alerts: BTreeMap::new(),
            recorded: FxHashMap::default(),
            told_at: None,
            untold: BTreeSet::new(),
        }
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

    /// The transitions that may not have been announced, one of each kind of each alert.
    ///
    /// A process that is killed between writing down a step and announcing what it changed leaves
    /// them behind. Their ids make it harmless to announce some of them again.
    pub fn untold(&self) -> Vec<Transition> {
        let since = self.told_at.unwrap_or(self.now.saturating_sub(UNTOLD_AGE));
        let mut transitions = Vec::new();
        for saved in self.untold.iter().filter_map(|untold| self.alerts.get(untold)) {
            let SavedAlert { alert, kept_since, .. } = saved;
            let lost_at = kept_since.filter(|_| alert.state == AlertState::DataLost);
            let mut tell = |kind, time: Option<Timestamp>, state| {
                let Some(time) = time.filter(|time| *time >= since) else { return };
                let resolved_at = alert.resolved_at.filter(|_| state == AlertState::Resolved);
                let alert = Arc::new(Alert { state, resolved_at, ..(**alert).clone() });
                transitions.push(Transition { kind, time, alert });
            };
            tell(TransitionKind::Firing, alert.fired_at, AlertState::Firing);
            tell(TransitionKind::DataLost, lost_at, AlertState::DataLost);
            tell(TransitionKind::Resolved, alert.resolved_at, AlertState::Resolved);
        }
        transitions.sort_by_key(|transition| (transition.time, transition.alert.fingerprint));
        transitions
    }

    /// Takes what a unit of the rules knows, for an engine of its own, wherever that is. Series that
    /// others look at as well are in both.
    #[must_use = "it is no longer in the whole"]
    pub fn take_unit(&mut self, unit: &Unit) -> Self {
        let rules = unit.rules();
        let identities = rules.identities();
        let is_own = |part: &PartName| identities.contains(&part.rule);
        let (recorded, others) =
            std::mem::take(&mut self.recorded).into_iter().partition(|(part, _)| is_own(part));
        self.recorded = others;
        let names = rules.groups().iter().flat_map(|group| &group.rules).map(|rule| &rule.name);
        let names: FxHashSet<(&str, &str)> =
            names.map(|name| (&*name.group, &*name.alert)).collect();
        let is_of_unit = |saved: &SavedAlert| match (&saved.part, saved.alert.rule()) {
            (Some(part), _) => is_own(part),
            (None, Some(name)) => names.contains(&(&*name.group, &*name.alert)),
            (None, None) => false,
        };
        let (alerts, others): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.alerts).into_iter().partition(|(_, saved)| is_of_unit(saved));
        self.alerts = others;
        let (untold, others) = std::mem::take(&mut self.untold)
            .into_iter()
            .partition(|fingerprint| alerts.contains_key(fingerprint));
        self.untold = others;
        let series = self.series_of(rules, &recorded);
        Self { now: self.now, series, alerts, recorded, told_at: self.told_at, untold }
    }

    /// The series that rules select or record.
    fn series_of(
        &self,
        rules: &RuleSet,
        recorded: &FxHashMap<PartName, Vec<u64>>,
    ) -> BTreeMap<u64, SavedSeries> {
        let recorded: FxHashSet<u64> = recorded.values().flatten().copied().collect();
        let rules = || rules.groups().iter().flat_map(|group| &group.rules);
        let selects = |labels: &Labels| {
            let mut selections = rules().flat_map(|rule| &rule.plan.selections);
            selections.any(|selection| selection.selector.selects(labels))
        };
        let own = self
            .series
            .iter()
            .filter(|(number, saved)| recorded.contains(number) || selects(&saved.labels));
        own.map(|(number, saved)| (*number, saved.clone())).collect()
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
                    grow_by_little(&mut series.points);
                    series.points.push(point);
                }
            }
            Record::Points(number, points) => {
                if let Some(series) = self.series.get_mut(&number) {
                    series.points = points;
                }
            }
            Record::Alert(saved) => {
                self.untold.insert(saved.alert.fingerprint);
                self.alerts.insert(saved.alert.fingerprint, *saved);
            }
            Record::Told => {
                self.told_at = Some(self.now);
                self.untold.clear();
            }
            Record::Ended(fingerprint) => _ = self.alerts.remove(&fingerprint),
            Record::Recorded(part, series) if series.is_empty() => {
                self.recorded.remove(&part);
            }
            Record::Recorded(part, series) => _ = self.recorded.insert(part, series),
        }
    }
}
