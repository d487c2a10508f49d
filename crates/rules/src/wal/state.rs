//! What records come to.

use std::collections::BTreeMap;

use bellwire_model::{Fingerprint, Labels, NameSet, RuleName, Timestamp, Transition};
use rustc_hash::FxHashSet;

use super::read::{Reader, Record};
use super::untold::Untold;
use super::{Corrupt, PartName, SavedAlert, SavedSeries};
use crate::rule::RuleSet;
use crate::storage::grow_by_little;
use crate::unit::Unit;

/// What an engine was when its last record was written.
#[derive(Debug)]
pub struct State {
    /// The time of the last step.
    pub(crate) now: Timestamp,
    /// Whether nobody knows how long nothing has run since.
    pub(crate) is_pause_unknown: bool,
    /// By number, which is the order in which they began.
    pub(crate) series: BTreeMap<u64, SavedSeries>,
    pub(crate) alerts: BTreeMap<Fingerprint, SavedAlert>,
    /// What parts of rules record.
    pub(crate) recorded: BTreeMap<PartName, Vec<u64>>,
    /// What has changed and may not have been announced.
    untold: Untold,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now: Timestamp::MIN,
            is_pause_unknown: false,
            series: BTreeMap::new(),
            alerts: BTreeMap::new(),
            recorded: BTreeMap::new(),
            untold: Untold::default(),
        }
    }
}

impl State {
    /// Reads whole records, as they came from one [`take_log`](crate::Engine::take_log) or
    /// [`checkpoint`](crate::Engine::checkpoint). What comes before a broken record counts.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let mut reader = Reader::new(bytes);
        while reader.left() > 0 {
            self.apply(reader.next(bytes.len())?);
        }
        Ok(())
    }

    /// When the last step was that is in it.
    pub fn ended_at(&self) -> Timestamp {
        self.now
    }

    /// The transitions that may not have been announced, in the order in which they happened.
    ///
    /// A process that is killed between writing down a step and announcing what it changed leaves
    /// them behind. Their ids make it harmless to announce some of them again.
    pub fn untold(&self) -> Vec<Transition> {
        self.untold.transitions(self.now, |alert| self.alerts.get(&alert))
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
        let names: NameSet<(&str, &str)> = names.map(|name| (&*name.group, &*name.alert)).collect();
        let is_of_unit = |saved: &SavedAlert| match (&saved.part, saved.alert.rule()) {
            (Some(part), _) => is_own(part),
            (None, Some(name)) => names.contains(&(&*name.group, &*name.alert)),
            (None, None) => false,
        };
        let (alerts, others): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.alerts).into_iter().partition(|(_, saved)| is_of_unit(saved));
        self.alerts = others;
        let is_rule = |name: &RuleName| names.contains(&(&*name.group, &*name.alert));
        let untold = self.untold.take(|alert| alerts.contains_key(&alert), is_rule);
        let series = self.series_of(rules, &recorded);
        let Self { now, is_pause_unknown, .. } = *self;
        Self { now, is_pause_unknown, series, alerts, recorded, untold }
    }

    /// The series that rules select or record.
    fn series_of(
        &self,
        rules: &RuleSet,
        recorded: &BTreeMap<PartName, Vec<u64>>,
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

    /// Takes one record.
    pub(crate) fn apply(&mut self, record: Record) {
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
                self.untold.note(saved.alert.fingerprint);
                self.alerts.insert(saved.alert.fingerprint, *saved);
            }
            Record::Untold(transitions) => self.untold.extend(transitions),
            Record::Told => self.untold.clear(self.now),
            Record::Ended(fingerprint) => _ = self.alerts.remove(&fingerprint),
            Record::Recorded(part, series) if series.is_empty() => {
                self.recorded.remove(&part);
            }
            Record::Recorded(part, series) => _ = self.recorded.insert(part, series),
        }
    }
}
