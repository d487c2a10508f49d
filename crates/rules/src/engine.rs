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
//!
//! What it holds belongs to types that keep their own timers and that nobody else reaches into:
//!
//! | type | what it owns |
//! |---|---|
//! | [`RuleTable`] | what the rules say; it never changes |
//! | [`SeriesTable`] | series and their samples, also those ahead of the time; when each leaves |
//! | [`PartTable`] | the parts of rules: their series, what they give, when each is evaluated |
//! | [`AlertTable`] | alerts, their lives, and when time alone changes them |
//! | [`Ticks`] | when groups in tick mode are evaluated |
//! | [`Log`] | what is written down of each step |
//! | [`Queries`] | what standing queries have come to, and how much they may still look at |
//!
//! The engine itself is what goes from one of them to another: a file for each errand.

mod alert_series;
mod alerts;
mod change;
mod checkpoint;
mod evaluation;
mod figures;
mod groups;
mod health;
mod ids;
mod intake;
mod levels;
mod log;
mod numbers;
mod parts;
mod queries;
mod recording;
mod replacement;
mod report;
mod resume;
mod rules;
mod scene;
mod series;
mod standing;
mod terms;
mod ticking;
mod ticks;
mod timers;

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{Alert, Sample, Timestamp};

use self::alerts::{AlertTable, Unraised};
pub use self::change::{Change, Recorded};
pub use self::checkpoint::Checkpoint;
pub use self::figures::{
    AlertFigures, CutFigures, DroppedFigures, Failures, Figures, RefusedSample, RefusedSamples,
    SampleRefusal,
};
pub use self::health::Health;
use self::ids::PartId;
use self::intake::Untaken;
use self::log::Log;
use self::parts::{PART_BYTES, PartTable, RuleParts};
use self::queries::Queries;
pub use self::queries::{Answered, QueryBeginning, QueryEnding, QueryRefusal, StandingQuery};
pub use self::report::{AlertReport, Excerpt, Report, RuleReport};
use self::rules::{RuleEntry, RuleTable, Shape};
use self::scene::Scene;
use self::series::SeriesTable;
pub(crate) use self::standing::Standing;
pub use self::terms::Settings;
use self::terms::Terms;
use self::ticks::Ticks;
use crate::evaluation::column::Spare;
use crate::rule::{Parts, RuleSet};
use crate::storage::{SeriesId, Storage};

/// Bytes that a selector adds to each series that it selects: what says that the series touches a
/// part, and the part, or a place in one that it shares.
pub(crate) fn series_bytes(parts: &Parts) -> usize {
    let in_part = match parts {
        Parts::EachSeries => PART_BYTES,
        Parts::By(_) | Parts::Without(_) | Parts::Whole => size_of::<SeriesId>(),
    };
    size_of::<PartId>() + in_part
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
    terms: Terms,
    now: Timestamp,
    rules: RuleTable,
    series: SeriesTable,
    parts: PartTable,
    alerts: AlertTable,
    ticks: Ticks,
    log: Log,
    untaken: Untaken,
    failures: Failures,
    queries: Queries,
    /// When a sample last came that a rule selects.
    sampled_at: Option<Timestamp>,
    /// Room that evaluations use one after the other.
    spare: Spare,
}

impl Engine {
    /// An engine for these rules.
    pub fn new(rules: RuleSet) -> Self {
        Self::with_settings(rules, Settings::default())
    }

    /// An engine with other bounds than the default ones.
    pub fn with_settings(rules: RuleSet, settings: Settings) -> Self {
        let rules = RuleTable::new(rules, settings.lookback);
        Self {
            now: Timestamp::MIN,
            series: SeriesTable::new(&settings),
            parts: PartTable::new(&rules),
            alerts: AlertTable::default(),
            ticks: Ticks::new(&rules),
            log: Log::default(),
            untaken: Untaken::default(),
            failures: Failures::default(),
            queries: Queries::default(),
            sampled_at: None,
            spare: Spare::default(),
            terms: Terms::new(settings),
            rules,
        }
    }

    /// Applies a batch whole, then evaluates what it touched once. Timers that were due before
    /// `now` come first, as if [`Engine::advance`] had been called for them. Ask
    /// [`take_refused`](Self::take_refused) for what does not count of it.
    pub fn apply(&mut self, now: Timestamp, samples: &[Sample]) -> Vec<Change> {
        self.untaken.begin_batch();
        let mut changes = Vec::new();
        let now = self.reach(now, &mut changes);
        self.step(now, samples, &mut changes);
        changes
    }

    /// The samples of the batch that was applied last that do not count.
    pub fn take_refused(&mut self) -> RefusedSamples {
        self.untaken.take_batch()
    }

    /// Runs the timers that are due before a time, and says which time to go on with: time never
    /// goes back.
    fn reach(&mut self, now: Timestamp, changes: &mut Vec<Change>) -> Timestamp {
        let now = now.max(self.now);
        self.ticks.mind(&self.rules, (self.now, now));
        while let Some(due) = self.next_of_rules().filter(|due| *due < now) {
            self.queries.set_behind(now.saturating_since(due));
            self.step(due, &[], changes);
        }
        self.queries.set_behind(Duration::ZERO);
        now
    }

    /// Runs the timers that are due at or before `now`, in the order of their times. Each change
    /// bears the exact time at which its timer was due.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        self.ticks.mind(&self.rules, (self.now, now));
        while let Some(due) = self.next_of_rules().filter(|due| *due <= now) {
            self.queries.set_behind(now.saturating_since(due));
            self.step(due, &[], &mut changes);
        }
        self.queries.set_behind(Duration::ZERO);
        self.now = now.max(self.now);
        // However far behind they are, queries are evaluated once: what they would have come to
        // meanwhile is nothing to anybody, and rules have their time.
        if self.parts.has_touched_queries() || self.next_deadline().is_some_and(|due| due <= now) {
            self.step(self.now, &[], &mut changes);
        }
        self.log.time(self.now);
        changes
    }

    /// When to call [`Engine::advance`] next at the latest. There may turn out to be no change.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let next = [self.next_of_rules(), self.queries.next_due()];
        next.into_iter().flatten().min().map(|due| due.max(self.now))
    }

    /// The same, but for queries that are late.
    fn next_of_rules(&self) -> Option<Timestamp> {
        let Self { series, parts, alerts, ticks, .. } = self;
        let next = [series.next_due(), parts.next_due(), alerts.next_due(), ticks.next_due()];
        // A series that is recorded with the times of long ago leaves the lookback at once.
        next.into_iter().flatten().min().map(|due| due.max(self.now))
    }

    /// Every alert that is pending, firing or resolved and kept, with its newest value.
    pub fn active(&self) -> impl Iterator<Item = Arc<Alert>> {
        let scene = self.scene();
        self.alerts.iter().map(move |entry| entry.current(&scene))
    }

    /// The alerts that have another value since the last call, with it. There may turn out to be no
    /// difference.
    pub fn take_read(&mut self) -> Vec<Arc<Alert>> {
        let (read, scene) = (self.alerts.take_read(), self.scene());
        let mut read: Vec<_> = read.into_iter().collect();
        read.sort_unstable();
        let entries = read.into_iter().filter_map(|read| self.alerts.get(read));
        entries.map(|entry| entry.current(&scene)).collect()
    }

    /// The samples that rules may look at, as of the last step.
    pub fn storage(&self) -> &Storage {
        self.series.storage()
    }

    /// What it holds and has done.
    pub fn figures(&self) -> Figures {
        let Unraised { duplicate, invalid, refused, refused_rule } = self.alerts.unraised().clone();
        Figures {
            rules: self.rules.len(),
            rules_failing: self.count_rules(|_, parts| parts.is_failing()),
            rules_without_series: self.count_rules(Self::lacks_series),
            sampled_at: self.sampled_at,
            series: self.series.len(),
            samples_ahead: self.series.ahead_len(),
            alerts: self.alerts.figures(),
            dropped: self.untaken.dropped(),
            samples_kept_bytes: self.series.kept_bytes(),
            cut: self.untaken.cut().clone(),
            evaluations_spaced: self.parts.spaced(),
            refused_metric: self.untaken.metric().map(Box::from),
            alerts_duplicate: duplicate,
            alerts_invalid: invalid,
            alerts_refused: refused,
            refused_rule,
            failures: self.failures.clone(),
        }
    }

    /// How many rules there are of some kind.
    fn count_rules(&self, is_one: impl Fn(&RuleEntry, &RuleParts) -> bool) -> usize {
        let ids = self.rules.ids().filter(|id| self.rules.get(*id).query.is_none());
        ids.filter(|id| is_one(self.rules.get(*id), self.parts.of(*id))).count()
    }

    /// Whether a rule selects series, and there are none: perhaps its name is misspelt, or its
    /// sensors are silent.
    fn lacks_series(entry: &RuleEntry, parts: &RuleParts) -> bool {
        entry.shape != Shape::Ticked
            && !entry.rule.plan.selections.is_empty()
            && parts.series() == 0
    }

    /// What alerts are made from now.
    fn scene(&self) -> Scene<'_> {
        let (terms, rules, storage) = (&self.terms, &self.rules, self.series.storage());
        Scene { now: self.now, terms, rules, storage }
    }

    /// The alerts, and what they are made from now.
    fn alerts_mut(&mut self) -> (&mut AlertTable, Scene<'_>) {
        let (terms, rules, storage) = (&self.terms, &self.rules, self.series.storage());
        (&mut self.alerts, Scene { now: self.now, terms, rules, storage })
    }

    /// One instant.
    fn step(&mut self, now: Timestamp, samples: &[Sample], changes: &mut Vec<Change>) {
        debug_assert!(now >= self.now, "time never goes back");
        self.now = now;
        self.log.step(now);
        let before = changes.len();
        // 1. What becomes visible: samples that waited for this time, then the batch.
        while let Some((id, reading)) = self.series.take_ahead(now) {
            self.take_reading(id, reading);
            self.note_sampled(id);
        }
        for (place, sample) in samples.iter().enumerate() {
            if let Err(refusal) = self.take(sample) {
                self.untaken.note(place, refusal, sample);
            }
        }
        self.settle();
        // 2. What ends or moves: series that leave the lookback, parts that asked to be woken,
        //    alerts that were pending or kept for long enough.
        let silent = self.expire();
        self.parts.touch_due(now);
        let (due, owners) = self.alerts.take_due(now);
        for owner in owners {
            self.parts.touch(owner, now);
        }
        // 3. One evaluation of everything touched, and of what that touches in turn.
        self.evaluate_touched(changes);
        // 4. What nobody has spoken for: restored alerts, resolved ones, series.
        let (alerts, scene) = self.alerts_mut();
        for fingerprint in due {
            alerts.end_orphan(&scene, fingerprint, changes);
        }
        alerts.forget_due(now, changes);
        self.forget(silent);
        self.series.clean();
        self.parts.clean();
        self.log_alerts(&changes[before..]);
    }

    fn evaluate_touched(&mut self, changes: &mut Vec<Change>) {
        let ticking = self.ticks.take_due(&self.rules, self.now);
        for level in 0..self.parts.query_level() {
            let parts = self.parts.begin_level(level);
            for group in &ticking {
                if self.rules.group(*group).level as usize == level {
                    self.tick(*group, changes);
                }
            }
            for part in &parts {
                self.evaluate(*part, changes);
                self.settle();
                let shape = &self.rules.get(part.rule).shape;
                self.parts.end_evaluation(*part, shape, self.series.storage_mut().pairs_mut());
            }
            self.parts.end_level(level, parts);
        }
        if !self.queries.is_behind() {
            self.evaluate_queries();
        }
        self.parts.end_levels();
    }
}
