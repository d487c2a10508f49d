//! What becomes of each rule, and what an expression looks at, for people to look at. Whatever may
//! be much is taken in pieces, so that no alert waits for long.

use std::sync::Arc;

use bellwire_model::limits::REPORT_PIECE_LOOKS;
use bellwire_model::{Alert, AlertState, Fingerprint};

use super::Engine;
use super::alerts::AlertEntry;
use super::health::Health;
use super::ids::RuleId;
use crate::alert_series::{ALERTS, ALERTS_FOR_STATE};
use crate::evaluation::{Allowance, Question};
use crate::reading::{AlertCopy, Reading};
use crate::rule::Rule;
use crate::storage::{Size, Snapshot, Storage};

/// A rule, and what it gives now.
#[derive(Clone, Debug)]
pub struct RuleReport {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The alerts that it raises, pending and firing, in no order.
    pub alerts: Vec<Arc<Alert>>,
    /// How its evaluations go.
    pub health: Health,
    /// Series that it selects, and the parts that these fall into; in tick mode it is one part, and
    /// no series are kept for it.
    pub series: usize,
    pub parts: usize,
}

/// All rules in the order of the files, with what they give; a report is taken in pieces.
#[derive(Debug, Default)]
pub struct Report {
    /// The place of the next rule.
    next: usize,
    /// The rule before it: where that is another one meanwhile, it begins anew.
    last: Option<Arc<Rule>>,
    rules: Vec<RuleReport>,
}

/// Pending, firing and kept alerts, taken in pieces; each is as it is when it is looked at.
#[derive(Debug, Default)]
pub struct AlertReport {
    /// Those that were there when it began.
    left: Option<Vec<Fingerprint>>,
    alerts: Vec<Arc<Alert>>,
}

/// What a query looks at, taken in pieces and as of one instant. The series of alerts are in it as
/// they are then, also where no rule names them and none are kept.
///
/// Once it has begun it must be taken to its end: another one may wait for that. It ends soon where
/// its [`Waiter`](crate::Waiter) is gone.
#[derive(Debug)]
pub struct Excerpt {
    reading: Option<Reading>,
    /// Whether its snapshot is the one that is open.
    is_open: bool,
}

impl Excerpt {
    /// One for a query, within what that may take.
    pub fn new(question: Arc<Question>, allowance: Allowance) -> Self {
        Self { reading: Some(Reading::new(question, allowance)), is_open: false }
    }
}

impl Engine {
    /// Goes on with a report on the rules that are wanted; nothing until it is complete.
    pub fn report(
        &self,
        report: &mut Report,
        is_wanted: impl Fn(&Rule) -> bool,
    ) -> Option<Vec<RuleReport>> {
        let rule_at = |place: usize| self.rules.at(place).map(|id| &self.rules.get(id).rule);
        if let Some(last) = &report.last
            && !rule_at(report.next - 1).is_some_and(|rule| Arc::ptr_eq(rule, last))
        {
            *report = Report::default();
        }
        let mut looks = 0;
        while looks < REPORT_PIECE_LOOKS {
            let Some(id) = self.rules.at(report.next) else {
                return Some(std::mem::take(&mut report.rules));
            };
            let (rule, parts) = (&self.rules.get(id).rule, self.parts.of(id));
            report.next += 1;
            report.last = Some(Arc::clone(rule));
            looks += 1;
            if self.rules.get(id).query.is_none() && is_wanted(rule) {
                let alerts: Vec<_> = self.raised(id).collect();
                let count = parts.iter().count();
                looks += alerts.len() + count;
                let (rule, health, series) = (Arc::clone(rule), parts.health(), parts.series());
                report.rules.push(RuleReport { rule, alerts, health, series, parts: count });
            }
        }
        None
    }

    /// Goes on with a report on alerts; nothing until it is complete.
    pub fn report_alerts(&self, report: &mut AlertReport) -> Option<Vec<Arc<Alert>>> {
        let all = || self.alerts.iter().map(|entry| entry.alert.fingerprint).collect();
        let left = report.left.get_or_insert_with(all);
        let scene = self.scene();
        for _ in 0..REPORT_PIECE_LOOKS {
            let Some(fingerprint) = left.pop() else {
                return Some(std::mem::take(&mut report.alerts));
            };
            let entry = self.alerts.get(fingerprint);
            report.alerts.extend(entry.map(|entry| entry.current(&scene)));
        }
        None
    }

    /// Goes on with an excerpt; nothing until it is complete, and nothing after that. One for which
    /// a piece is not enough waits until the one before it is complete.
    pub fn excerpt(&mut self, excerpt: &mut Excerpt) -> Option<Reading> {
        let reading = excerpt.reading.as_mut()?;
        let is_complete = if excerpt.is_open {
            Self::read_on(self.series.storage_mut(), reading)
        } else {
            let (is_complete, snapshot) = self.begin_reading(reading);
            if let Some(snapshot) = snapshot {
                self.series.storage_mut().open(snapshot);
                excerpt.is_open = true;
            }
            is_complete
        };
        if is_complete { excerpt.reading.take() } else { None }
    }

    fn read_on(storage: &mut Storage, reading: &mut Reading) -> bool {
        let (is_complete, size) = storage.read_on();
        let goes_on = reading.hold(size) && !is_complete;
        if !goes_on && let Some(snapshot) = storage.close() {
            reading.take(snapshot);
        }
        !goes_on
    }

    /// Takes the first piece; says whether it was the last, and what is to be opened where not.
    fn begin_reading(&self, reading: &mut Reading) -> (bool, Option<Snapshot>) {
        let storage = self.series.storage();
        let wanted = reading.wanted(self.now);
        let is_small = Snapshot::is_small(storage, &wanted);
        if !reading.hold(Size::default()) {
            return (true, None);
        }
        if !is_small && storage.has_open() {
            return (false, None);
        }
        let mut snapshot = reading.begin(storage, (self.now, wanted));
        reading.take_alerts(self.alerts_for(reading));
        let is_complete = if is_small {
            snapshot.take_all(storage);
            true
        } else {
            snapshot.turn(storage)
        };
        if is_complete || !reading.hold(snapshot.size()) {
            reading.take(snapshot);
            return (true, None);
        }
        (false, Some(snapshot))
    }

    /// What gives the series of alerts that a reading may select and that are not kept.
    fn alerts_for(&self, reading: &Reading) -> Vec<AlertCopy> {
        if self.rules.names_alerts() || !reading.may_select([ALERTS, ALERTS_FOR_STATE]) {
            return Vec::new();
        }
        // Whoever asks may have taken the time before the last step.
        let recent = self.now.saturating_sub(self.terms.settings.lookback / 2);
        let copy = |entry: &AlertEntry| {
            let Alert { state, active_at, fired_at, .. } = *entry.alert;
            let time = fired_at.unwrap_or(active_at).max(recent);
            let labels = entry.alert.labels.clone();
            (state != AlertState::Resolved).then_some(AlertCopy { labels, state, active_at, time })
        };
        self.alerts.iter().filter_map(copy).collect()
    }

    pub(super) fn raised(&self, rule: RuleId) -> impl Iterator<Item = Arc<Alert>> {
        let raised = self.parts.of(rule).iter().flat_map(|(_, part)| part.raised());
        let entries = raised.filter_map(|fingerprint| self.alerts.get(*fingerprint));
        let scene = self.scene();
        entries.map(move |entry| entry.current(&scene))
    }
}
