//! Evaluates rules as samples and time come in.
//!
//! Everything happens in a step: one instant, whatever becomes visible or ends at it, and then one
//! evaluation of each part of a rule that was touched. [`Engine::apply`] is a step with samples;
//! [`Engine::advance`] is a step for every instant at which a timer is due. So a batch is applied
//! whole before anything is evaluated, and nothing is evaluated twice at one instant. What rules
//! record are samples of the same instant, which rules further down the chain see.
//!
//! ```text
//!         samples ─┐
//! due from ahead ──┼─▶ series ─▶ touched ─▶ evaluate ─┬─▶ alerts ─▶ Change
//!         timers ──┘     ▲          parts             │
//!                        └────────────────────────────┴─▶ recorded ─▶ Change
//! ```

mod alert_series;
mod alerts;
mod checkpoint;
mod evaluation;
mod figures;
mod health;
mod levels;
mod lifecycle;
mod log;
mod membership;
mod numbers;
mod orphans;
mod partitions;
mod recording;
mod replacement;
mod report;
mod resume;
mod rules;
mod series;
mod standing;
mod ticks;
mod timers;

use std::sync::Arc;
use std::time::Duration;

use self::alerts::{AlertTable, Entry};
pub use self::checkpoint::Checkpoint;
pub use self::figures::{
    AlertFigures, DroppedFigures, Failures, Figures, RefusedSamples, SampleRefusal,
};
pub use self::health::Health;
use self::log::Log;
use self::membership::Origin;
use self::partitions::PARTITION_BYTES;
pub use self::report::RuleReport;
use self::rules::{RuleId, RuleTable, Shape};
use self::series::{Added, Reading, SeriesTable, Subscription};
pub(crate) use self::standing::Standing;
use self::timers::Timers;
use crate::evaluation::column::Spare;
use crate::evaluation::{Answer, Conventions, Element, EvaluationError, Value, query};
use crate::plan::Plan;
use crate::rule::{Parts, RuleSet};
use crate::storage::{SeriesId, Storage};
use crate::template::{Externals, Queries};
use bellwire_model::limits::{
    ALERTS_ACTIVE_MAX, DATA_LOST_RETENTION, LOOKBACK, RESOLVED_RETENTION, SAMPLES_AHEAD_MAX,
    SERIES_MAX, SERIES_RESERVED,
};
use bellwire_model::{
    Alert, AlertState, Fingerprint, Labels, RuleName, Sample, Timestamp, Transition,
};

/// Bytes that a selector adds to each series that it selects: what says that the series touches a
/// part, and the part, or a place in one that it shares.
pub(crate) fn series_bytes(parts: &Parts) -> usize {
    let in_part = match parts {
        Parts::EachSeries => PARTITION_BYTES,
        Parts::By(_) | Parts::Without(_) | Parts::Whole => size_of::<SeriesId>(),
    };
    size_of::<Subscription>() + in_part
}

/// The bounds and times that an engine works with; the defaults are those of
/// [`limits`](bellwire_model::limits).
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a series is present after its newest sample.
    pub lookback: Duration,
    /// How long a resolved alert is kept.
    pub resolved_retention: Duration,
    /// Series that are remembered.
    pub series_max: usize,
    /// Series beyond these that only rules themselves may begin.
    pub series_reserved: usize,
    /// Samples that wait for their time.
    pub samples_ahead_max: usize,
    /// Alerts that are remembered; beyond it the oldest resolved ones go, then new ones are refused.
    pub alerts_max: usize,
    /// What templates may name beside the labels and the value.
    pub externals: Externals,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lookback: LOOKBACK,
            resolved_retention: RESOLVED_RETENTION,
            series_max: SERIES_MAX,
            series_reserved: SERIES_RESERVED,
            samples_ahead_max: SAMPLES_AHEAD_MAX,
            alerts_max: ALERTS_ACTIVE_MAX,
            externals: Externals::default(),
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
    /// A series that a recording rule gives has another value.
    Recorded(Recorded),
}

/// A value that a recording rule gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The rule.
    pub rule: Arc<RuleName>,
    /// The series, its metric name that of the rule.
    pub series: Labels,
    /// Its value; nothing where the series has ended.
    pub value: Option<f64>,
    /// When.
    pub time: Timestamp,
}

/// Turns samples and time into changes of alerts.
///
/// Of each series as many samples are kept as rules look at; mostly the newest alone. A late one
/// counts from now on where rules look back so far, else it is dropped. Of several with one time
/// the last counts: sensors without a clock get the time of arrival, and two readings within a
/// millisecond must not lose the newer one. A sample ahead of the time waits for it.
///
/// Time never goes back: an earlier `now` than the last is read as the last.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    conventions: Conventions,
    rules: RuleTable,
    series: SeriesTable,
    alerts: AlertTable,
    timers: Timers,
    now: Timestamp,
    dropped: DroppedFigures,
    refusals: Refusals,
    failures: Failures,
    touched: Touched,
    log: Option<Log>,
    /// Room that evaluations use one after the other.
    spare: Spare,
}

/// Samples for which there was no room.
#[derive(Debug, Default)]
struct Refusals {
    /// The metric of the last one.
    metric: Option<Box<str>>,
    /// Those of the batch that was applied last.
    of_batch: RefusedSamples,
}

/// The parts of rules that were touched in a step, each once.
#[derive(Debug, Default)]
struct Touched {
    /// By the level of the rule, in the order of the touches.
    by_level: Vec<Vec<Subscription>>,
    /// The level that is evaluated just now.
    current: Option<u32>,
    /// The number of the step.
    step: u64,
}

impl Engine {
    /// An engine for these rules.
    pub fn new(rules: RuleSet) -> Self {
        Self::with_settings(rules, Settings::default())
    }

    /// An engine with other bounds than the default ones.
    pub fn with_settings(rules: RuleSet, settings: Settings) -> Self {
        let rules = RuleTable::new(rules, settings.lookback);
        let by_level = vec![Vec::new(); rules.depth()];
        let lookback = settings.lookback;
        let mut engine = Self {
            settings,
            conventions: Conventions { lookback, ..Conventions::default() },
            rules,
            series: SeriesTable::default(),
            alerts: AlertTable::default(),
            timers: Timers::default(),
            now: Timestamp::MIN,
            dropped: DroppedFigures::default(),
            refusals: Refusals::default(),
            failures: Failures::default(),
            touched: Touched { by_level, current: None, step: 1 },
            log: None,
            spare: Spare::default(),
        };
        engine.rules.ids().for_each(|rule| engine.begin_whole(rule));
        engine
    }

    /// A rule that has a value although there is no series is evaluated in its first step; one in
    /// tick mode only when its group ticks.
    fn begin_whole(&mut self, rule: RuleId) {
        let entry = self.rules.get_mut(rule);
        if matches!(entry.shape, Shape::Whole | Shape::Ticked) {
            let selectors = entry.rule.plan.selections.len();
            let partition = entry.partitions.find_or_insert(Labels::empty(), selectors);
            self.touch(Subscription { rule, partition });
        }
    }

    /// Applies a batch whole, then evaluates what it touched once. Timers that were due before
    /// `now` come first, as if [`Engine::advance`] had been called for them. Ask
    /// [`take_refused`](Self::take_refused) for what there was no room for.
    pub fn apply(&mut self, now: Timestamp, samples: &[Sample]) -> Vec<Change> {
        self.refusals.of_batch = RefusedSamples::default();
        let mut changes = Vec::new();
        let now = self.reach(now, &mut changes);
        self.step(now, samples, &mut changes);
        changes
    }

    /// The samples of the batch that was applied last for which there was no room.
    pub fn take_refused(&mut self) -> RefusedSamples {
        std::mem::take(&mut self.refusals.of_batch)
    }

    /// Runs the timers that are due before a time, and says which time to go on with: time never
    /// goes back.
    fn reach(&mut self, now: Timestamp, changes: &mut Vec<Change>) -> Timestamp {
        let now = now.max(self.now);
        self.mind_ticks(now);
        while let Some(due) = self.next_deadline().filter(|due| *due < now) {
            self.step(due, &[], changes);
        }
        now
    }

    /// Runs the timers that are due at or before `now`, in the order of their times. Each change
    /// bears the exact time at which its timer was due.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        self.mind_ticks(now);
        while let Some(due) = self.next_deadline().filter(|due| *due <= now) {
            self.step(due, &[], &mut changes);
        }
        self.now = now.max(self.now);
        self.log_time();
        changes
    }

    /// When to call [`Engine::advance`] next at the latest. There may turn out to be no change.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let next = [self.timers.next(), self.series.next_ahead()].into_iter().flatten().min();
        // A series that is recorded with the times of long ago leaves the lookback at once.
        next.map(|due| due.max(self.now))
    }

    /// Every alert that is pending, firing or resolved and kept, with its newest value.
    pub fn active(&self) -> impl Iterator<Item = Arc<Alert>> {
        self.alerts.iter().map(|entry| self.current(entry))
    }

    /// The samples that rules may look at, as of the last step.
    pub fn storage(&self) -> &Storage {
        self.series.storage()
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
            let due = match (alert.state, alert.resolved_at) {
                (AlertState::Resolved, Some(at)) => {
                    at.saturating_add(self.settings.resolved_retention)
                }
                (AlertState::DataLost, _) => alert.sample_time.saturating_add(DATA_LOST_RETENTION),
                _ => self.now.saturating_add(self.patience()),
            };
            let has_room = self.alerts.len() < self.settings.alerts_max;
            if due <= self.now || !has_room || !self.makes_way(&alert) {
                continue;
            }
            let timers =
                if is_resolved { &mut self.timers.retention } else { &mut self.timers.alerts };
            timers.arm(due, fingerprint);
            let newest = Reading { time: alert.sample_time, value: alert.value };
            self.alerts.insert(Entry {
                alert: Arc::new(alert),
                element: Labels::empty(),
                newest,
                owner: None,
                kept_since: None,
                due: Some(due),
                logged: None,
            });
        }
    }

    /// Whether nothing is known of a restored alert, or only that it had ended before it began.
    fn makes_way(&mut self, restored: &Alert) -> bool {
        let Some(known) = self.alerts.get(restored.fingerprint) else { return true };
        let ended_before =
            known.alert.state == AlertState::Resolved && known.alert.active_at < restored.active_at;
        if ended_before {
            if let Some(due) = known.due {
                self.timers.retention.cancel(due, restored.fingerprint);
            }
            self.alerts.remove(restored.fingerprint);
        }
        ended_before
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
            refused_metric: self.refusals.metric.clone(),
            alerts_duplicate: alerts.duplicate,
            alerts_invalid: alerts.invalid,
            alerts_refused: alerts.refused,
            refused_rule: alerts.refused_rule.clone(),
            failures: self.failures.clone(),
        }
    }

    /// One instant.
    fn step(&mut self, now: Timestamp, samples: &[Sample], changes: &mut Vec<Change>) {
        debug_assert!(now >= self.now, "time never goes back");
        self.now = now;
        self.log_step();
        // 1. What becomes visible: samples that waited for this time, then the batch.
        while let Some((id, reading)) = self.series.take_ahead(now) {
            self.take_reading(id, reading);
        }
        for (place, sample) in samples.iter().enumerate() {
            if let Err(refusal) = self.take(sample) {
                self.refusals.of_batch.note(place, refusal);
            }
        }
        // 2. What ends or moves: series that leave the lookback, parts that asked to be woken,
        //    alerts that were pending or kept for long enough.
        let silent = self.expire();
        for (due, part) in self.timers.partitions.take_due(now) {
            if self.rules.get_mut(part.rule).partitions.end_wake(part.partition, due) {
                self.touch(part);
            }
        }
        let due = self.timers.alerts.take_due(now);
        for (_, fingerprint) in &due {
            if let Some(entry) = self.alerts.get_mut(*fingerprint) {
                entry.due = entry.due.filter(|_| entry.owner.is_none());
                if let Some(owner) = entry.owner {
                    self.touch(owner);
                }
            }
        }
        // 3. One evaluation of everything touched, and of what that touches in turn.
        self.evaluate_touched(changes);
        // 4. What nobody has spoken for: restored alerts, resolved ones, series.
        for (_, fingerprint) in due {
            self.end_orphan(fingerprint, changes);
        }
        for (_, fingerprint) in self.timers.retention.take_due(now) {
            self.alerts.remove(fingerprint);
            changes.push(Change::Removed(fingerprint));
        }
        self.forget(silent);
        self.clean_timers();
        self.touched.step += 1;
        self.log_alerts();
    }

    fn clean_timers(&mut self) {
        if self.timers.series.is_cluttered() {
            let series = &self.series;
            self.timers.series.clean(|due, id| series.state(id).timer == Some(due));
        }
        if self.timers.partitions.is_cluttered() {
            let rules = &self.rules;
            let is_armed = |due, part: Subscription| {
                rules.get(part.rule).partitions.wakes_at(part.partition, due)
            };
            self.timers.partitions.clean(is_armed);
        }
    }

    fn evaluate_touched(&mut self, changes: &mut Vec<Change>) {
        let ticking = self.take_ticking();
        for level in 0..self.touched.by_level.len() {
            self.touched.current = Some(level as u32);
            for group in &ticking {
                if self.rules.group(*group).level == level as u32 {
                    self.tick(*group, changes);
                }
            }
            let parts = std::mem::take(&mut self.touched.by_level[level]);
            for part in &parts {
                self.evaluate(*part, changes);
                // A part whose series went before its last alert ended has nothing left to do.
                let entry = self.rules.get(part.rule);
                if entry.shape != Shape::Whole && entry.partitions.is_idle(part.partition) {
                    self.remove_part(part.rule, part.partition);
                }
            }
            // The room is used again in the next step.
            self.touched.by_level[level] = parts;
            self.touched.by_level[level].clear();
        }
        self.touched.current = None;
    }

    /// Takes a sample of a batch, unless there is no room for it.
    fn take(&mut self, sample: &Sample) -> Result<(), SampleRefusal> {
        let reading = Reading { time: sample.time, value: sample.value };
        let known = self.series.find(&sample.series);
        if self.is_late(sample, known) {
            self.dropped.late += 1;
            return Ok(());
        }
        let is_ahead = reading.time > self.now;
        if is_ahead && self.series.ahead_len() >= self.settings.samples_ahead_max {
            // Counted only if a rule would have seen it.
            if known.is_some() || !self.rules.select(&sample.series).is_empty() {
                self.dropped.ahead += 1;
                self.refusals.metric = sample.series.metric_name().map(Box::from);
                return Err(SampleRefusal::Ahead);
            }
            return Ok(());
        }
        let id = match known {
            Some(id) => id,
            None => match self.begin_series(&sample.series, Origin::Sent)? {
                Some(id) => id,
                None => return Ok(()),
            },
        };
        if is_ahead {
            self.log_sample(id, reading);
            self.series.put_ahead(id, reading);
        } else {
            self.take_reading(id, reading);
        }
        Ok(())
    }

    /// Whether no rule looks back as far as a sample. A series that is new, or that was forgotten,
    /// may come with all that its sensor has kept.
    fn is_late(&self, sample: &Sample, known: Option<SeriesId>) -> bool {
        let lookback = self.settings.lookback;
        let is_out_of = |window: Duration| sample.time.saturating_add(window) <= self.now;
        if !is_out_of(lookback) {
            return false;
        }
        is_out_of(match known {
            Some(id) => self.series.state(id).keep,
            None if is_out_of(self.rules.keep_max()) => return true,
            None => self.keep(&self.rules.select(&sample.series)),
        })
    }

    /// Takes a reading that is not ahead of the time.
    fn take_reading(&mut self, id: SeriesId, reading: Reading) {
        if self.series.add(id, reading) == Added::Late {
            self.dropped.late += 1;
            return;
        }
        self.log_sample(id, reading);
        // One timer for each series, however many samples: mostly it is set anew when it is due.
        let due = reading.time.saturating_add(self.settings.lookback);
        if self.series.state(id).timer.is_none_or(|timer| timer > due) {
            self.arm_series(id, due);
        }
        self.touch_series(id);
    }

    fn arm_series(&mut self, id: SeriesId, due: Timestamp) {
        if self.series.state_mut(id).timer.replace(due).is_some() {
            self.timers.series.cancel();
        }
        self.timers.series.arm(due, id);
    }

    fn touch_series(&mut self, id: SeriesId) {
        for index in 0..self.series.state(id).subscriptions.len() {
            self.touch(self.series.state(id).subscriptions[index]);
        }
    }

    fn touch(&mut self, part: Subscription) {
        let entry = self.rules.get_mut(part.rule);
        if entry.shape == Shape::Ticked {
            return;
        }
        if self.touched.current.is_some_and(|current| entry.level <= current) {
            // Rules that feed each other in a circle see each other's results the next time.
            let next = self.now.saturating_add(self.interval(part));
            return self.wake_part(part, Some(next));
        }
        if entry.partitions.touch(part.partition, self.touched.step) {
            self.touched.by_level[entry.level as usize].push(part);
        }
    }

    /// The newest sample of a series, if it is within the lookback and no stale marker.
    fn newest_visible(&self, id: SeriesId) -> Option<Reading> {
        let newest = self.series.newest(id).filter(|newest| !newest.is_stale_marker())?;
        let time = Timestamp::from_ms(newest.time);
        let is_visible = time.saturating_add(self.settings.lookback) > self.now;
        is_visible.then_some(Reading { time, value: newest.value })
    }
}

impl Queries for Engine {
    fn query(&self, text: &str) -> Result<Vec<Element>, String> {
        let plan = Plan::parse(text).map_err(|error| error.to_string())?;
        let answer = query(&plan, self.series.storage(), &self.conventions, self.now);
        match answer.map_err(|error: EvaluationError| error.to_string())? {
            Answer { value: Value::Vector(elements), .. } => Ok(elements),
            Answer { value: Value::Scalar(value), .. } => {
                Ok(vec![Element { labels: Labels::empty(), value }])
            }
            _ => Err("query result is not a vector or scalar".into()),
        }
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
