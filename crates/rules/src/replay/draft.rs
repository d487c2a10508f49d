//! A test of rules, in the format of `promtool test rules`, from what was recorded.
//!
//! Such a test has a value of each series at each tick, and compares what fires at some of them. So
//! samples are put on ticks, the newest of each interval, and what is compared is what the replay has
//! found where nothing changes for a while. What comes out otherwise by ticks, or with samples on
//! ticks, is left out, and told.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::limits::{TEST_CELLS_MAX, TEST_CHECKS_MAX};
use bellwire_model::{Labels, Timestamp};

use super::checks::{Check, checks};
use super::text::{self, Head};
use super::ticks::Ticks;
use super::{Outcome, Piece, Stretch, own};
use crate::load::{LoadAs, LoadError, RuleFile, Scope, UnknownFields, inspect_as};
use crate::rule::{RuleMode, RuleSet};
use crate::ruletest::{Probed, probe};
use crate::series_text::Cell;
use crate::storage::Point;
use crate::wal::{Corrupt, Reader, Record};

/// Gathers what a test needs of a record, which is read once more for it.
#[derive(Debug)]
pub struct TestDraft<'a> {
    outcome: &'a Outcome,
    /// The rules as tests read them, and as a server does.
    by_ticks: RuleSet,
    streamed: RuleSet,
    ticks: Ticks,
    /// The series that the rules select, by number.
    by_number: BTreeMap<u64, Labels>,
    /// By tick the newest sample, with its time.
    series: BTreeMap<Labels, BTreeMap<u32, Point>>,
    cells: usize,
}

/// A test that was made.
#[derive(Clone, Debug)]
pub struct DraftedTest {
    /// The file.
    pub text: String,
    /// How far apart its ticks are.
    pub interval: Duration,
    /// How often alerts are compared.
    pub checks: usize,
    /// What is not compared, and why.
    pub left_out: Vec<String>,
}

/// Why there is no test.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The record is damaged.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// There are too many values.
    #[error(
        "a test would have more than {TEST_CELLS_MAX} values: look at less with `--from` and `--to`, name fewer rules, or take a larger `--test-interval`"
    )]
    TooLarge,
    /// The rules cannot be read as tests read them.
    #[error("the rules cannot be tested: {0}")]
    Rules(LoadError),
    /// Nothing is left to compare.
    #[error("there is nothing to compare: {0}")]
    Nothing(String),
}

impl<'a> TestDraft<'a> {
    /// A test of these rule files about a replay of them, with ticks so far apart.
    pub fn new(
        rules: &[RuleFile<'_>],
        outcome: &'a Outcome,
        stretch: Stretch,
        interval: Option<Duration>,
    ) -> Result<Self, TestError> {
        let read = |scope, mode| {
            let unknown_fields = UnknownFields::Refused;
            let (set, errors) = inspect_as(rules, LoadAs { scope, mode, unknown_fields });
            errors.into_iter().next().map_or(Ok(set), |error| Err(TestError::Rules(error)))
        };
        let by_ticks = read(Scope::Tests, RuleMode::Tick)?;
        let streamed = read(Scope::Server, RuleMode::Stream)?;
        let ticks = Ticks::of(&streamed, outcome, stretch, interval).ok_or(TestError::TooLarge)?;
        let (by_number, series) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { outcome, by_ticks, streamed, ticks, by_number, series, cells: 0 })
    }

    /// Takes the next piece.
    pub fn read(&mut self, piece: Piece<'_>) -> Result<(), TestError> {
        let bytes = piece.bytes();
        if matches!(piece, Piece::Start(_)) {
            self.by_number.clear();
        }
        let mut reader = Reader::new(bytes);
        while reader.left() > 0 {
            match reader.next(bytes.len())? {
                Record::Series(number, labels) => {
                    if self.selects(&labels) {
                        self.by_number.insert(number, labels);
                    }
                }
                Record::Gone(number) => _ = self.by_number.remove(&number),
                Record::Sample(number, point) => self.put(number, point),
                Record::Points(number, points) => {
                    for point in points {
                        self.put(number, point);
                    }
                }
                Record::Step(_)
                | Record::Alert(_)
                | Record::Ended(_)
                | Record::Recorded(..)
                | Record::Told
                | Record::Untold(_) => {}
            }
            if self.cells > TEST_CELLS_MAX {
                return Err(TestError::TooLarge);
            }
        }
        Ok(())
    }

    /// The test, for rule files with these names, by what it is called.
    pub fn finish(self, name: &str, rule_files: &[String]) -> Result<DraftedTest, TestError> {
        let Self { outcome, by_ticks, streamed, ticks, .. } = &self;
        let (mut wanted, mut left_out) = checks(outcome, streamed, *ticks);
        if wanted.len() > TEST_CHECKS_MAX {
            left_out.push(format!("all behind the first {TEST_CHECKS_MAX} checks"));
            wanted.truncate(TEST_CHECKS_MAX);
        }
        let series: Vec<(Labels, Vec<Cell>)> =
            self.series.iter().map(|(labels, cells)| (labels.clone(), laid_out(cells))).collect();
        let asked: Vec<_> = wanted.iter().map(|check| (check.after, check.name.clone())).collect();
        let probed = probe((by_ticks, streamed), series.clone(), ticks.interval, &asked);
        let probed = probed.map_err(|error| TestError::Nothing(error.into()))?;
        let mut checks = Vec::new();
        for (check, probed) in wanted.iter().zip(probed) {
            match agreed(check, &probed) {
                Ok(()) => checks.push(probed),
                Err(reason) => left_out.push(reason),
            }
        }
        if checks.is_empty() {
            let reason = left_out.first().cloned();
            let reason = reason.unwrap_or_else(|| "no rule raises an alert".to_owned());
            return Err(TestError::Nothing(reason));
        }
        let head = Head { name, rule_files, ticks: *ticks };
        let text = text::file(head, &series, &checks);
        Ok(DraftedTest { text, interval: ticks.interval, checks: checks.len(), left_out })
    }

    /// Whether the rules look at a series that they do not give themselves.
    fn selects(&self, labels: &Labels) -> bool {
        let rules = || self.streamed.groups().iter().flat_map(|group| &group.rules);
        let metric = labels.metric_name().unwrap_or_default();
        let is_own = own(&self.streamed).any(|name| *name == *metric);
        !is_own
            && rules()
                .flat_map(|rule| &rule.plan.selections)
                .any(|selection| selection.selector.selects(labels))
    }

    /// Puts a sample on the tick at its time or behind it, where there is no newer one.
    fn put(&mut self, number: u64, point: Point) {
        let Some(labels) = self.by_number.get(&number) else { return };
        let Some(tick) = self.ticks.behind(Timestamp::from_ms(point.time)) else { return };
        if !self.series.contains_key(labels) {
            self.series.insert(labels.clone(), BTreeMap::new());
        }
        let Some(cells) = self.series.get_mut(labels) else { return };
        let before = cells.len();
        let cell = cells.entry(tick).or_insert(point);
        if cell.time <= point.time {
            *cell = point;
        }
        self.cells += cells.len() - before;
    }
}

/// A value or nothing for each tick.
fn laid_out(cells: &BTreeMap<u32, Point>) -> Vec<Cell> {
    let last = cells.last_key_value().map_or(0, |(tick, _)| *tick as usize + 1);
    let mut all = vec![Cell::Nothing; last];
    for (tick, point) in cells {
        all[*tick as usize] = Cell::Value(point.value);
    }
    all
}

/// Whether a test finds what the replay has found, in both ways of evaluating.
fn agreed(check: &Check, probed: &Probed) -> Result<(), String> {
    let labels = |alerts: &[(Labels, Labels)]| -> Vec<Labels> {
        alerts.iter().map(|(labels, _)| labels.clone()).collect()
    };
    let mut wanted = check.firing.clone();
    wanted.sort_by(|one, other| one.iter().cmp(other.iter()));
    let (ticked, streamed) = (labels(&probed.by_ticks), labels(&probed.as_samples_arrive));
    if ticked == wanted && probed.by_ticks == probed.as_samples_arrive {
        return Ok(());
    }
    let told = |labels: &[Labels]| match labels {
        [] => "nothing".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let (at, name) = (check.at.rfc3339(), &check.name);
    Err(match (ticked == wanted, streamed == wanted) {
        (true, true) => {
            format!("{name} at {at}: annotations differ by ticks and as samples arrive")
        }
        (false, _) => format!(
            "{name} at {at}: by ticks {} would fire, as samples came {}",
            told(&ticked),
            told(&wanted)
        ),
        (true, false) => format!(
            "{name} at {at}: with samples on ticks {} would fire, as they came {}",
            told(&streamed),
            told(&wanted)
        ),
    })
}
