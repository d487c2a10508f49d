//! Evaluates rules as samples and time come in.
//!
//! Everything happens in a step: one instant, whatever becomes visible or ends at it, and then one
//! evaluation of each rule for each series that was touched. [`Engine::apply`] is a step with
//! samples; [`Engine::advance`] is a step for every instant at which a timer is due. So a batch is
//! applied whole before anything is evaluated, and nothing is evaluated twice at one instant.
//!
//! ```text
//!         samples ─┐
//! due from ahead ──┼─▶ newest reading of a series ─▶ touched ─▶ evaluate ─▶ alerts ─▶ Change
//! lookback ends ───┤                                    ▲                      │
//! `for` has passed ┴────────────────────────────────────┘◀───── timers ────────┘
//! ```

mod alerts;
mod evaluation;
mod rules;
mod series;
mod timers;

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{
    ALERTS_ACTIVE_MAX, LOOKBACK, RESOLVED_RETENTION, SAMPLES_AHEAD_MAX, SERIES_MAX,
};
use bellwire_model::{Alert, AlertState, Fingerprint, Sample, Timestamp, Transition};

use self::alerts::{AlertTable, Entry};
use self::rules::RuleIndex;
use self::series::{Reading, SeriesId, SeriesTable};
use self::timers::Timers;
use crate::rule::RuleSet;

/// The bounds and times that an engine works with; the defaults are those of
/// [`limits`](bellwire_model::limits).
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a series is present after its newest sample.
    pub lookback: Duration,
    /// How long a resolved alert is kept.
    pub resolved_retention: Duration,
    /// Series that are remembered.
    pub series_max: usize,
    /// Samples that wait for their time.
    pub samples_ahead_max: usize,
    /// Alerts that are remembered; beyond it the oldest resolved ones go, then new ones are refused.
    pub alerts_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lookback: LOOKBACK,
            resolved_retention: RESOLVED_RETENTION,
            series_max: SERIES_MAX,
            samples_ahead_max: SAMPLES_AHEAD_MAX,
            alerts_max: ALERTS_ACTIVE_MAX,
        }
    }
}

/// What a step changed, in the order in which it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An alert changed its state.
    Transition(Transition),
    /// An alert is forgotten: delete it from whatever shows alerts. It follows the transition of
    /// a pending alert to inactive, and comes when a resolved one has been kept for long enough.
    Removed(Fingerprint),
}

/// What an engine holds and has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rules.
    pub rules: usize,
    /// Series that are remembered now.
    pub series: usize,
    /// Samples that wait for their time now.
    pub samples_ahead: usize,
    /// Pending, firing and resolved alerts now.
    pub alerts: AlertFigures,
    /// Samples that were dropped.
    pub dropped: DroppedFigures,
    /// The metric of the series that was refused last because there were too many.
    pub refused_metric: Option<Box<str>>,
    /// Evaluations that raised no alert because another one has the same labels.
    pub alerts_duplicate: u64,
    /// Evaluations that raised no alert because its labels break a bound.
    pub alerts_invalid: u64,
    /// Evaluations that raised no alert because there are too many.
    pub alerts_refused: u64,
}

/// Alerts by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertFigures {
    /// Their condition holds, but not long enough yet.
    pub pending: usize,
    /// They fire.
    pub firing: usize,
    /// They fired, and are still kept.
    pub resolved: usize,
}

/// Samples that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedFigures {
    /// Older than the newest sample of their series, or than the lookback.
    pub late: u64,
    /// Ahead of the time when too many others were.
    pub ahead: u64,
    /// Of a new series when there were too many.
    pub series: u64,
}

/// Turns samples and time into changes of alerts.
///
/// Of each series only the newest sample counts. A late one is dropped and changes nothing. Of
/// several with one time the last counts: sensors without a clock get the time of arrival, and two
/// readings within a millisecond must not lose the newer one. A sample ahead of the time waits for
/// it.
///
/// Time never goes back: an earlier `now` than the last is read as the last.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    rules: RuleIndex,
    series: SeriesTable,
    alerts: AlertTable,
    timers: Timers,
    now: Timestamp,
    dropped: DroppedFigures,
    refused_metric: Option<Box<str>>,
    /// The series touched in this step, each once, in the order of the touches.
    touched: Vec<SeriesId>,
}

impl Engine {
    /// An engine for these rules.
    pub fn new(rules: RuleSet) -> Self {
        Self::with_settings(rules, Settings::default())
    }

    /// An engine with other bounds than the default ones.
    pub fn with_settings(rules: RuleSet, settings: Settings) -> Self {
        Self {
            settings,
            rules: RuleIndex::new(rules),
            series: SeriesTable::default(),
            alerts: AlertTable::default(),
            timers: Timers::default(),
            now: Timestamp::MIN,
            dropped: DroppedFigures::default(),
            refused_metric: None,
            touched: Vec::new(),
        }
    }

    /// Applies a batch whole, then evaluates what it touched once. Timers that were due before
    /// `now` come first, as if [`Engine::advance`] had been called for them.
    pub fn apply(&mut self, now: Timestamp, samples: &[Sample]) -> Vec<Change> {
        let now = now.max(self.now);
        let mut changes = Vec::new();
        while let Some(due) = self.next_deadline().filter(|due| *due < now) {
            self.step(due, &[], &mut changes);
        }
        self.step(now, samples, &mut changes);
        changes
    }

    /// Runs the timers that are due at or before `now`, in the order of their times. Each change
    /// bears the exact time at which its timer was due.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(due) = self.next_deadline().filter(|due| *due <= now) {
            self.step(due, &[], &mut changes);
        }
        self.now = now.max(self.now);
        changes
    }

    /// When to call [`Engine::advance`] next at the latest. There may turn out to be no change.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.timers.next(), self.series.next_ahead()].into_iter().flatten().min()
    }

    /// Every alert that is pending, firing or resolved and kept, with its newest value.
    pub fn active(&self) -> impl Iterator<Item = Arc<Alert>> {
        self.alerts.iter().map(|entry| entry.current(&self.rules, &self.series))
    }

    /// Puts alerts back after a restart, as they were in the journal or in another engine.
    ///
    /// A firing or pending alert stays as it is until its series says otherwise, at most until the
    /// lookback from `now` has passed; from the first sample on it is like any other. A resolved
    /// one is kept for what is left of its retention.
    pub fn restore(&mut self, now: Timestamp, alerts: impl IntoIterator<Item = Alert>) {
        self.now = now.max(self.now);
        for alert in alerts {
            let fingerprint = alert.fingerprint;
            let is_resolved = alert.state == AlertState::Resolved;
            let due = match alert.resolved_at.filter(|_| is_resolved) {
                Some(at) => at.saturating_add(self.settings.resolved_retention),
                None => self.now.saturating_add(self.settings.lookback),
            };
            let has_room = self.alerts.len() < self.settings.alerts_max;
            if due <= self.now || !has_room || self.alerts.get(fingerprint).is_some() {
                continue;
            }
            let timers =
                if is_resolved { &mut self.timers.retention } else { &mut self.timers.alerts };
            timers.arm(due, fingerprint);
            let newest = Reading { time: alert.sample_time, value: alert.value };
            self.alerts.insert(Entry {
                alert: Arc::new(alert),
                newest,
                owner: None,
                due: Some(due),
            });
        }
    }

    /// What it holds and has done.
    pub fn figures(&self) -> Figures {
        let alerts = &self.alerts;
        Figures {
            rules: self.rules.len(),
            series: self.series.len(),
            samples_ahead: self.series.ahead_len(),
            alerts: alerts.figures(),
            dropped: self.dropped,
            refused_metric: self.refused_metric.clone(),
            alerts_duplicate: alerts.duplicate,
            alerts_invalid: alerts.invalid,
            alerts_refused: alerts.refused,
        }
    }

    /// One instant.
    fn step(&mut self, now: Timestamp, samples: &[Sample], changes: &mut Vec<Change>) {
        self.now = now;
        self.series.begin_step();
        // 1. What becomes visible: samples that waited for this time, then the batch.
        while let Some((id, reading)) = self.series.take_ahead(now) {
            self.record(id, reading);
        }
        for sample in samples {
            self.take(sample);
        }
        // 2. What ends: series that leave the lookback, alerts that were pending for long enough.
        let expired = self.expire();
        let due = self.timers.alerts.take_due(now);
        for (_, fingerprint) in &due {
            if let Some(owner) = self.alerts.get(*fingerprint).and_then(|entry| entry.owner) {
                self.touch(owner.series);
            }
        }
        // 3. One evaluation of everything touched.
        let touched = std::mem::take(&mut self.touched);
        for id in &touched {
            self.evaluate(*id, changes);
        }
        self.touched = touched;
        self.touched.clear();
        // 4. What nobody has spoken for: restored alerts, resolved ones, series.
        for (_, fingerprint) in due {
            self.end_orphan(fingerprint, changes);
        }
        for (_, fingerprint) in self.timers.retention.take_due(now) {
            self.alerts.remove(fingerprint);
            changes.push(Change::Removed(fingerprint));
        }
        for id in expired {
            self.series.forget(id);
        }
    }

    /// Takes a sample of a batch.
    fn take(&mut self, sample: &Sample) {
        let reading = Reading { time: sample.time, value: sample.value };
        let is_ahead = reading.time > self.now;
        if reading.time.saturating_add(self.settings.lookback) <= self.now {
            self.dropped.late += 1;
            return;
        }
        let known = self.series.find(&sample.series);
        if is_ahead && self.series.ahead_len() >= self.settings.samples_ahead_max {
            // Counted only if a rule would have seen it.
            if known.is_some() || !self.rules.select(&sample.series).is_empty() {
                self.dropped.ahead += 1;
            }
            return;
        }
        let Some(id) = known.or_else(|| self.begin_series(sample)) else { return };
        if is_ahead {
            self.series.put_ahead(id, reading);
        } else {
            self.record(id, reading);
        }
    }

    /// Remembers a series that is new, if a rule selects it.
    fn begin_series(&mut self, sample: &Sample) -> Option<SeriesId> {
        let rules = self.rules.select(&sample.series);
        if rules.is_empty() {
            return None;
        }
        if self.series.len() >= self.settings.series_max {
            self.dropped.series += 1;
            self.refused_metric = sample.series.metric_name().map(Box::from);
            return None;
        }
        Some(self.series.insert(sample.series.clone(), &rules))
    }

    /// Makes a visible reading the newest of its series, if it is.
    fn record(&mut self, id: SeriesId, reading: Reading) {
        let series = self.series.get_mut(id);
        if series.newest.is_some_and(|newest| newest.time > reading.time) {
            self.dropped.late += 1;
            return;
        }
        series.newest = Some(reading);
        // One timer for each series, however many samples: when it is due it is set anew.
        if !series.has_timer {
            series.has_timer = true;
            self.timers.series.arm(reading.time.saturating_add(self.settings.lookback), id);
        }
        self.touch(id);
    }

    fn touch(&mut self, id: SeriesId) {
        if self.series.touch(id) {
            self.touched.push(id);
        }
    }

    /// The series whose newest sample leaves the lookback now.
    fn expire(&mut self) -> Vec<SeriesId> {
        let mut expired = Vec::new();
        for (_, id) in self.timers.series.take_due(self.now) {
            let series = self.series.get_mut(id);
            let newest = series.newest.expect("a series with a timer has a reading");
            let end = newest.time.saturating_add(self.settings.lookback);
            if end > self.now {
                self.timers.series.arm(end, id);
            } else {
                series.newest = None;
                series.has_timer = false;
                expired.push(id);
                self.touch(id);
            }
        }
        expired
    }
}
