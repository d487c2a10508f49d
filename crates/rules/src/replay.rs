//! What other rules would have done with the samples that were.
//!
//! A record is what an engine wrote down (see [`wal`](crate::wal)): a checkpoint, and the log behind
//! it. It has the samples as they counted, each with the time at which it arrived, and what became
//! of alerts. [`Replay`] gives the samples to an engine of other rules, in the time of then, and
//! compares what both say.
//!
//! The engine goes on from the state at the record's beginning, as a server does whose rules are
//! changed: windows are full, and alerts with the same labels go on. What rules recorded then counts
//! as samples, unless one of the other rules records the same name.

mod checks;
mod comparison;
mod draft;
mod episodes;
mod text;
mod ticks;

use std::sync::Arc;

use bellwire_model::limits::{CLOCK_LEAD_MAX, REPLAY_GAPS_MAX, RESTART_GAP};
use bellwire_model::{Labels, NameSet, RuleName, Sample, Timestamp};
use rustc_hash::FxHashMap;

pub use self::comparison::{Compared, Difference};
pub use self::draft::{DraftedTest, TestDraft, TestError};
pub use self::episodes::Episode;
use self::episodes::Episodes;
use crate::alert_series::{ALERTS, ALERTS_FOR_STATE};
use crate::engine::{Change, Engine, Failures, Settings};
use crate::rule::{RuleKind, RuleSet};
use crate::wal::{ClockLead, Corrupt, Reader, Record, State};

/// A piece of a record, as an engine wrote it.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// The first piece of the checkpoint with which a process began; what comes behind it calls
    /// series by other numbers than what came before.
    Start(&'a [u8]),
    /// A later piece of that checkpoint.
    Checkpoint(&'a [u8]),
    /// A piece of the log.
    Log(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// Its records.
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Start(bytes) | Self::Checkpoint(bytes) | Self::Log(bytes) => bytes,
        }
    }
}

/// What a piece is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Checkpoint,
    Log,
}

/// The time to compare; without an end until the record's.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// What has ended before is left out.
    pub from: Timestamp,
    /// What came later is not looked at.
    pub to: Timestamp,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { from: Timestamp::MIN, to: Timestamp::MAX }
    }
}

/// Other rules, on their way through a record.
#[derive(Debug)]
pub struct Replay {
    rules: RuleSet,
    settings: Settings,
    stretch: Stretch,
    /// Until the record's checkpoint is complete.
    opening: Option<Box<Opening>>,
    /// When the rules began to look.
    began: Option<Timestamp>,
    course: Option<Course>,
    names: Names,
    then: Episodes,
    now: Episodes,
    seen: Seen,
}

/// The checkpoint is read, and what of the log was written meanwhile.
#[derive(Debug)]
struct Opening {
    state: State,
    /// The time of the checkpoint's last piece: what came later is in the log alone.
    complete_at: Timestamp,
}

/// An engine on its way.
#[derive(Debug)]
struct Course {
    engine: Engine,
    /// The time of the step whose samples are gathered.
    step_at: Timestamp,
    batch: Vec<Sample>,
}

/// Series by their numbers, and what is not taken of them.
#[derive(Debug)]
struct Names {
    /// The series whose samples count.
    by_number: FxHashMap<u64, Labels>,
    /// What the rules give themselves.
    own: NameSet<Box<str>>,
    /// What each rule looks at.
    wanted: Vec<(Arc<RuleName>, Box<str>)>,
}

/// What was there.
#[derive(Debug, Default)]
struct Seen {
    samples: u64,
    series: u64,
    metrics: NameSet<Box<str>>,
    gaps: Vec<(Timestamp, Timestamp)>,
    gaps_left_out: u64,
    set_back: Vec<(Timestamp, Timestamp)>,
    is_done: bool,
}

/// What a replay comes to.
#[derive(Debug)]
pub struct Outcome {
    /// When the rules began to look.
    pub began: Timestamp,
    /// When they ended.
    pub ended: Timestamp,
    /// Samples that they got.
    pub samples: u64,
    /// Series that were there, each process's counted by itself.
    pub series: u64,
    /// When nothing was recorded for longer than a restart may take, from and to.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// More such times, which are not listed.
    pub gaps_left_out: u64,
    /// When the clock had been far ahead and was set back, from and to, as far as these are listed; what
    /// was told of later times is told of so much earlier ones.
    pub set_back: Vec<(Timestamp, Timestamp)>,
    /// All times that an alert fired, or would have, in their order.
    pub alerts: Vec<Compared>,
    /// Metrics that a rule names and of which the record has nothing: no rule looked at them then.
    pub unseen: Vec<(Arc<RuleName>, Box<str>)>,
    /// Evaluations that have failed.
    pub failures: Failures,
}

/// The times of the first and the last step that a piece tells of; nothing where it tells of none.
/// What is behind a broken record does not count.
pub fn steps(bytes: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let mut reader = Reader::new(bytes);
    let mut steps: Option<(Timestamp, Timestamp)> = None;
    while reader.left() > 0 {
        match reader.next(bytes.len()) {
            Ok(Record::Step(at)) => steps = Some((steps.map_or(at, |(first, _)| first), at)),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    steps
}

/// Why a record cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It is damaged, or by another version.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// It does not begin with a checkpoint.
    #[error("it does not begin with a checkpoint")]
    NoCheckpoint,
    /// Alerts fire more often than can be compared.
    #[error(
        "alerts fire more than {} times: look at less of it",
        bellwire_model::limits::REPLAY_EPISODES_MAX
    )]
    TooMuch,
    /// All of it is later than what is looked at.
    #[error("it begins at {}, after what is asked for", .0.rfc3339())]
    BeginsLater(Timestamp),
    /// All of it is earlier than what is looked at.
    #[error("it ends at {}, before what is asked for", .0.rfc3339())]
    EndsEarlier(Timestamp),
}

impl Replay {
    /// Rules that have yet to see anything.
    pub fn new(rules: RuleSet, settings: Settings, stretch: Stretch) -> Self {
        let names = Names::of(&rules);
        Self {
            rules,
            settings,
            stretch,
            opening: Some(Box::default()),
            began: None,
            course: None,
            names,
            then: Episodes::new(stretch.from),
            now: Episodes::new(stretch.from),
            seen: Seen::default(),
        }
    }

    /// Whether what comes is later than what is looked at.
    pub fn is_done(&self) -> bool {
        self.seen.is_done
    }

    /// Takes the next piece.
    pub fn read(&mut self, piece: Piece<'_>) -> Result<(), ReplayError> {
        let bytes = piece.bytes();
        let part = if matches!(piece, Piece::Log(_)) { Part::Log } else { Part::Checkpoint };
        if matches!(piece, Piece::Start(_)) {
            self.names.by_number.clear();
            if let Some((at, _)) = steps(bytes) {
                self.start(at);
            }
        }
        let mut reader = Reader::new(bytes);
        while reader.left() > 0 && !self.seen.is_done {
            let record = reader.next(bytes.len())?;
            let is_later = |opening: &mut Box<Opening>| opening.is_behind(&record, part);
            if self.opening.as_mut().is_some_and(is_later) {
                self.begin()?;
            }
            match &mut self.opening {
                None => self.run(record, part),
                Some(opening) => {
                    self.names.note(&record, &mut self.seen);
                    opening.state.apply(record);
                }
            }
        }
        if self.then.is_overfull() || self.now.is_overfull() {
            return Err(ReplayError::TooMuch);
        }
        Ok(())
    }

    /// What there was, after the last piece.
    pub fn finish(mut self) -> Result<Outcome, ReplayError> {
        if self.opening.is_some() {
            self.begin()?;
        }
        self.flush();
        let (Some(began), Some(Course { engine, step_at, .. })) = (self.began, self.course) else {
            return Err(ReplayError::NoCheckpoint);
        };
        if step_at < self.stretch.from {
            return Err(ReplayError::EndsEarlier(step_at));
        }
        let Seen { samples, series, metrics, gaps, gaps_left_out, set_back, .. } = self.seen;
        let mut unseen = self.names.wanted;
        unseen.retain(|(_, metric)| !metrics.contains(metric));
        Ok(Outcome {
            began,
            ended: step_at,
            samples,
            series,
            gaps,
            gaps_left_out,
            set_back,
            alerts: comparison::compare(self.then.into_tracks(), self.now.into_tracks()),
            unseen,
            failures: engine.figures().failures,
        })
    }

    /// The checkpoint is complete: the rules go on from there.
    fn begin(&mut self) -> Result<(), ReplayError> {
        let opening = self.opening.take().ok_or(ReplayError::NoCheckpoint)?;
        let Opening { state, complete_at } = *opening;
        if complete_at == Timestamp::MIN {
            return Err(ReplayError::NoCheckpoint);
        }
        if complete_at > self.stretch.to {
            return Err(ReplayError::BeginsLater(complete_at));
        }
        let alerts = || state.alerts.values().map(|saved| &*saved.alert);
        for episodes in [&mut self.then, &mut self.now] {
            episodes.end_others(alerts(), complete_at);
            alerts().for_each(|alert| episodes.go_on(alert));
        }
        let (rules, settings) = (self.rules.clone(), self.settings.clone());
        let (engine, changes) = Engine::resume(rules, settings, state, complete_at);
        let (step_at, batch) = (complete_at, Vec::new());
        self.began.get_or_insert(complete_at);
        self.course = Some(Course { engine, step_at, batch });
        self.tell(&changes);
        Ok(())
    }

    /// A process begins. Where the clock of the one before was far ahead it has moved all times back, and
    /// goes on from there: so do the rules, with what that process knew.
    fn start(&mut self, at: Timestamp) {
        let reached = self.course.as_ref().map_or(Timestamp::MIN, |course| course.step_at);
        if reached.saturating_since(at) <= CLOCK_LEAD_MAX {
            return;
        }
        self.flush();
        let lead = ClockLead::of(at, reached);
        self.then.correct(lead);
        self.now.correct(lead);
        if self.seen.set_back.len() < REPLAY_GAPS_MAX {
            self.seen.set_back.push((reached, at));
        }
        self.course = None;
        self.opening = Some(Box::default());
    }

    fn run(&mut self, record: Record, part: Part) {
        self.names.note(&record, &mut self.seen);
        match record {
            Record::Step(at) => self.step(at),
            // One from ahead comes again when its time has come.
            Record::Sample(number, point) if part == Part::Log => {
                let Some(course) = &mut self.course else { return };
                let time = Timestamp::from_ms(point.time);
                let series = self.names.by_number.get(&number);
                if let Some(series) = series.filter(|_| time <= course.step_at) {
                    self.seen.samples += 1;
                    course.batch.push(Sample { series: series.clone(), value: point.value, time });
                }
            }
            Record::Untold(transitions) => {
                for transition in &transitions {
                    self.then.tell(transition);
                }
            }
            Record::Series(..)
            | Record::Gone(_)
            | Record::Sample(..)
            | Record::Points(..)
            | Record::Alert(_)
            | Record::Ended(_)
            | Record::Recorded(..)
            | Record::Told => {}
        }
    }

    /// The next step begins.
    fn step(&mut self, at: Timestamp) {
        self.flush();
        let Some(course) = &mut self.course else { return };
        let before = course.step_at;
        let mut changes = Vec::new();
        if at > self.stretch.to {
            self.seen.is_done = true;
            course.step_at = self.stretch.to.max(before);
            changes = course.engine.advance(course.step_at);
        } else {
            course.step_at = at.max(before);
            if at.saturating_since(before) > RESTART_GAP {
                changes = course.engine.pass_over(at);
                self.seen.note_gap(before, at);
            }
        }
        self.tell(&changes);
    }

    /// Gives the samples of a step to the rules.
    fn flush(&mut self) {
        let Some(Course { engine, step_at, batch, .. }) = &mut self.course else { return };
        let changes =
            if batch.is_empty() { engine.advance(*step_at) } else { engine.apply(*step_at, batch) };
        batch.clear();
        self.tell(&changes);
    }

    fn tell(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Transition(transition) = change {
                self.now.tell(transition);
            }
        }
    }
}

impl Default for Opening {
    fn default() -> Self {
        Self { state: State::default(), complete_at: Timestamp::MIN }
    }
}

impl Opening {
    /// Whether a record is of a time after the checkpoint was complete. Notes the time of a piece.
    fn is_behind(&mut self, record: &Record, part: Part) -> bool {
        match record {
            Record::Step(at) if part == Part::Log => *at > self.complete_at,
            Record::Step(at) => {
                self.complete_at = self.complete_at.max(*at);
                false
            }
            _ => false,
        }
    }
}

/// The names of series that rules give themselves.
fn own(rules: &RuleSet) -> impl Iterator<Item = &str> {
    let all = rules.groups().iter().flat_map(|group| &group.rules);
    let recording = all.filter(|rule| matches!(rule.kind, RuleKind::Record(_)));
    recording.map(|rule| &*rule.name.alert).chain([ALERTS, ALERTS_FOR_STATE])
}

impl Names {
    fn of(rules: &RuleSet) -> Self {
        let all = || rules.groups().iter().flat_map(|group| &group.rules);
        let own: NameSet<Box<str>> = own(rules).map(Box::from).collect();
        let mut wanted: Vec<(Arc<RuleName>, Box<str>)> = Vec::new();
        for rule in all() {
            let metrics = rule.plan.selections.iter().filter_map(|s| s.selector.metric_name());
            for metric in metrics.filter(|metric| !own.contains(*metric)) {
                let is_new = |(name, known): &(Arc<RuleName>, Box<str>)| {
                    !Arc::ptr_eq(name, &rule.name) || **known != *metric
                };
                if wanted
                    .iter()
                    .rev()
                    .take_while(|(name, _)| Arc::ptr_eq(name, &rule.name))
                    .all(is_new)
                {
                    wanted.push((rule.name.clone(), metric.into()));
                }
            }
        }
        Self { by_number: FxHashMap::default(), own, wanted }
    }

    /// Series come and go.
    fn note(&mut self, record: &Record, seen: &mut Seen) {
        match record {
            Record::Series(number, labels) => {
                let metric = labels.metric_name().unwrap_or_default();
                if !seen.metrics.contains(metric) {
                    seen.metrics.insert(metric.into());
                }
                if !self.own.contains(metric)
                    && self.by_number.insert(*number, labels.clone()).is_none()
                {
                    seen.series += 1;
                }
            }
            Record::Gone(number) => _ = self.by_number.remove(number),
            _ => {}
        }
    }
}

impl Seen {
    fn note_gap(&mut self, from: Timestamp, to: Timestamp) {
        if self.gaps.len() < REPLAY_GAPS_MAX {
            self.gaps.push((from, to));
        } else {
            self.gaps_left_out += 1;
        }
    }
}
