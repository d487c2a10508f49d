//! The parts of one rule, which do not know of each other.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{Labels, NameSet, Timestamp};
use hashbrown::HashTable;
use rustc_hash::FxHashSet;

use super::part::{Members, OutlineState, Part, RecordingOutline};
use crate::engine::health::{FailingPart, Health};
use crate::engine::ids::PartNumber;
use crate::engine::rules::{QueryStage, RuleEntry, Shape};
use crate::evaluation::outline::Outline;
use crate::plan::SelectorId;
use crate::storage::{PairSet, Pairs, SeriesId, grow_by_little, set_hash};

/// Outlines of a rule that may be kept although no part has them any more.
const OUTLINES_MIN: usize = 64;

/// All parts of a rule.
#[derive(Debug)]
pub(in crate::engine) struct RuleParts {
    slots: Vec<Option<Part>>,
    free: Vec<PartNumber>,
    /// Those of several series, by the keys that they have themselves.
    by_key: HashTable<PartNumber>,
    /// The outlines of all parts; most share one.
    outlines: NameSet<Arc<Outline>>,
    /// The elements of all parts together.
    elements: usize,
    /// The series of all parts together; one that two selectors select counts twice.
    series: usize,
    /// Whether there are more of them than the group allows.
    is_over_limit: bool,
    health: Health,
    schedule: Schedule,
}

/// When the parts of a rule are evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Behind those of lower levels, whose results they may use.
    pub(super) level: u32,
    /// How often Prometheus would.
    pub(super) interval: Duration,
    /// Whether that is when they are evaluated.
    pub(super) is_ticked: bool,
    /// Whether they are evaluated when they wake, and not when they are touched: those of a query on
    /// a tick.
    pub(super) is_on_wakes: bool,
    /// Whether they are not evaluated: those of a query that does not stand yet, or no longer.
    pub(super) is_asleep: bool,
}

impl Schedule {
    pub(super) fn of(entry: &RuleEntry) -> Self {
        let is_ticked = entry.shape == Shape::Ticked;
        let query = entry.query.as_ref();
        let is_asleep = query.is_some_and(|query| query.stage != QueryStage::Stands);
        let is_on_wakes = query.is_some() && entry.rule.plan.is_on_tick();
        let (level, interval) = (entry.level, entry.rule.interval());
        Self { level, interval, is_ticked, is_on_wakes, is_asleep }
    }
}

impl RuleParts {
    /// Those of a rule that has none yet.
    pub(super) fn new(entry: &RuleEntry) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashTable::new(),
            outlines: NameSet::default(),
            elements: 0,
            series: 0,
            is_over_limit: false,
            health: Health::default(),
            schedule: Schedule::of(entry),
        }
    }

    /// The rule has another place among all.
    pub(super) fn set_schedule(&mut self, schedule: Schedule) {
        self.schedule = schedule;
    }

    pub(super) fn schedule(&self) -> Schedule {
        self.schedule
    }

    pub(in crate::engine) fn get(&self, number: PartNumber) -> &Part {
        self.slots[number.place()].as_ref().expect("numbers in use are of parts that exist")
    }

    /// The part of a number, if there is one.
    pub(super) fn find(&self, number: PartNumber) -> Option<&Part> {
        self.slots.get(number.place())?.as_ref()
    }

    /// The first part from a place on, and the place behind it.
    pub(in crate::engine) fn next_from(&self, place: usize) -> Option<(PartNumber, usize)> {
        let found = self.slots.get(place..)?.iter().position(Option::is_some)? + place;
        Some((PartNumber::at(found), found + 1))
    }

    pub(super) fn get_mut(&mut self, number: PartNumber) -> &mut Part {
        self.slots[number.place()].as_mut().expect("numbers in use are of parts that exist")
    }

    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (PartNumber, &Part)> {
        let used = self.slots.iter().enumerate();
        used.filter_map(|(place, slot)| Some((PartNumber::at(place), slot.as_ref()?)))
    }

    /// Those that are touched, which they are no longer.
    pub(super) fn take_touched(&mut self) -> Vec<PartNumber> {
        let touched = self.iter().filter(|(_, part)| part.is_touched());
        let touched: Vec<PartNumber> = touched.map(|(number, _)| number).collect();
        for number in &touched {
            self.get_mut(*number).end_touch();
        }
        touched
    }

    /// The only part of a rule in tick mode.
    pub(in crate::engine) fn only(&self) -> PartNumber {
        self.iter().next().expect("a rule in tick mode has its part from the beginning on").0
    }

    /// Whether there is such a part and it is evaluated then although nothing comes.
    pub(super) fn wakes_at(&self, number: PartNumber, due: Timestamp) -> bool {
        let slot = self.slots.get(number.place()).and_then(Option::as_ref);
        slot.is_some_and(|part| part.wake() == Some(due))
    }

    /// A part for one series.
    pub(in crate::engine) fn insert_single(&mut self, series: SeriesId) -> PartNumber {
        self.insert(Members::One(series))
    }

    /// The part with this key, new if there is none. Its key is then among these pairs.
    pub(in crate::engine) fn find_or_insert(
        &mut self,
        key: &Labels,
        selectors: usize,
        pairs: &mut Pairs,
    ) -> PartNumber {
        let hash = set_hash(key.iter());
        let is_it = |number: &PartNumber| pairs.are(key_in(&self.slots, *number), key);
        if let Some(number) = self.by_key.find(hash, is_it) {
            return *number;
        }
        let number = self.insert(Members::grouped(pairs.take(key), selectors));
        let Self { slots, by_key, .. } = self;
        by_key.insert_unique(hash, number, |number| pairs.hash(key_in(slots, *number)));
        number
    }

    /// The part that is the only one, whose key is empty; new if there is none.
    pub(in crate::engine) fn whole(&mut self, selectors: usize) -> PartNumber {
        if let Some(number) = self.by_key.iter().next() {
            return *number;
        }
        let number = self.insert(Members::grouped(PairSet::EMPTY, selectors));
        let hash = set_hash(std::iter::empty());
        self.by_key.insert_unique(hash, number, |_| hash);
        number
    }

    fn insert(&mut self, members: Members) -> PartNumber {
        let number = self.free.pop().unwrap_or_else(|| {
            grow_by_little(&mut self.slots);
            self.slots.push(None);
            PartNumber::at(self.slots.len() - 1)
        });
        self.slots[number.place()] = Some(Part::new(members));
        number
    }

    /// Adds a series to a part.
    pub(in crate::engine) fn join(
        &mut self,
        number: PartNumber,
        selector: SelectorId,
        series: SeriesId,
    ) {
        self.get_mut(number).join(selector, series);
        self.series += 1;
    }

    /// Takes series from a part.
    pub(in crate::engine) fn leave(&mut self, number: PartNumber, series: &FxHashSet<SeriesId>) {
        let part = self.get_mut(number);
        let before = part.series();
        part.leave(series);
        self.series -= before - self.get(number).series();
    }

    /// Notes the outline of a part; that of a recording rule with the series that each element is
    /// recorded as.
    pub(in crate::engine) fn set_outline(
        &mut self,
        number: PartNumber,
        outline: Outline,
        targets: Option<Box<[Option<SeriesId>]>>,
    ) {
        let outline = self.shared(outline);
        self.get_mut(number).set_outline(match targets {
            None => OutlineState::Alerts(outline),
            Some(targets) => OutlineState::Records(Box::new(RecordingOutline { outline, targets })),
        });
    }

    /// An outline, once however many parts have it.
    pub(in crate::engine) fn shared(&mut self, outline: Outline) -> Arc<Outline> {
        if let Some(outline) = self.outlines.get(&outline) {
            return Arc::clone(outline);
        }
        if self.outlines.len() >= OUTLINES_MIN.max(self.slots.len()) {
            self.outlines.retain(|outline| Arc::strong_count(outline) > 1);
        }
        let outline = Arc::new(outline);
        self.outlines.insert(Arc::clone(&outline));
        outline
    }

    /// Removes a part; it was the one of a series that is gone, or it is idle.
    pub(super) fn remove(&mut self, number: PartNumber, pairs: &mut Pairs) -> Part {
        let part = self.slots[number.place()].take().expect("only parts that exist are removed");
        if let Members::Grouped(grouped) = part.members() {
            let held = self.by_key.find_entry(pairs.hash(grouped.key()), |held| *held == number);
            held.expect("a part with a key is among those by their keys").remove();
            pairs.give_back(grouped.key());
        }
        self.elements -= part.elements();
        self.series -= part.series();
        if part.is_failing() {
            self.health.mend();
        }
        self.free.push(number);
        part
    }

    /// Notes how many elements a part has come to.
    pub(in crate::engine) fn count(&mut self, number: PartNumber, elements: usize, now: Timestamp) {
        let (before, was_failing) = self.get_mut(number).succeed(elements);
        self.elements = self.elements - before + elements;
        self.health.succeed(now);
        if was_failing {
            self.health.mend();
        }
    }

    /// Notes that an evaluation of a part has failed.
    pub(in crate::engine) fn fail(&mut self, number: PartNumber, reason: &str, now: Timestamp) {
        let was_failing = self.get_mut(number).fail();
        let part = if was_failing { FailingPart::Known } else { FailingPart::New };
        self.health.fail(now, reason, part);
    }

    /// Notes that an evaluation has looked at so many series.
    pub(in crate::engine) fn look(&mut self, series: u64) {
        self.health.looks += series;
    }

    /// Notes that a sample has come which the rule selects.
    pub(in crate::engine) fn note_sample(&mut self, now: Timestamp) {
        self.health.last_sample = Some(now);
    }

    /// Whether an evaluation of the rule fails now, or it gives more than its group allows.
    pub(in crate::engine) fn is_failing(&self) -> bool {
        self.is_over_limit || self.health.last_error.is_some()
    }

    /// The elements of all parts together.
    pub(in crate::engine) fn elements(&self) -> usize {
        self.elements
    }

    /// The series of all parts together.
    pub(in crate::engine) fn series(&self) -> usize {
        self.series
    }

    /// Whether all parts together give more elements than the group allows.
    pub(in crate::engine) fn is_over_limit(&self) -> bool {
        self.is_over_limit
    }

    /// Compares the elements with what the group allows. Says whether there are too many of them
    /// now, where that was otherwise before.
    pub(in crate::engine) fn mind_limit(&mut self, limit: u64) -> Option<bool> {
        let is_over = self.elements as u64 > limit;
        let was_over = std::mem::replace(&mut self.is_over_limit, is_over);
        (is_over != was_over).then_some(is_over)
    }

    /// How the evaluations of the rule go.
    pub(in crate::engine) fn health(&self) -> Health {
        let mut health = self.health.clone();
        if self.is_over_limit {
            health.last_error.get_or_insert_with(|| "exceeded limit".into());
        }
        health
    }
}

/// The key of a part of several series.
fn key_in(slots: &[Option<Part>], number: PartNumber) -> PairSet {
    let part = slots[number.place()].as_ref().expect("numbers in use are of parts that exist");
    match part.members() {
        Members::Grouped(grouped) => grouped.key(),
        Members::One(_) => unreachable!("a part of one series is not found by a key"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_model::{METRIC_NAME, Sample};

    use super::*;
    use crate::{Engine, RuleFile, RuleSet, load};

    fn rules(text: &str) -> RuleSet {
        load(&[RuleFile { name: "parts", text }]).expect("rules")
    }

    fn samples(time: Timestamp, value: f64) -> Vec<Sample> {
        let series = ["x", "y"].iter().flat_map(|metric| {
            (0..9).map(move |number| {
                let (job, n) = (format!("job-{}", number / 3), number.to_string());
                let labels = [(METRIC_NAME, *metric), ("job", &*job), ("n", &*n)];
                Sample { series: Labels::from_pairs(labels).expect("labels"), value, time }
            })
        });
        series.collect()
    }

    /// Part by part and rule by rule, whatever they raised or recorded.
    #[test]
    fn keys_of_parts_are_forgotten_with_the_parts() {
        let text = "groups: [{name: g, rules: [\
            {record: r, expr: 'sum by (job) (x)'}, {alert: A, expr: 'x > on (job, n) y'}, \
            {alert: B, expr: 'sum without (n) (y) > 1'}, {alert: C, expr: 'count(x) > 5'}]}]";
        let mut engine = Engine::new(rules(text));
        let start = Timestamp::from_ms(1_700_000_000_000);
        for second in [0, 1, 2] {
            let time = start.saturating_add(Duration::from_secs(second));
            engine.apply(time, &samples(time, second as f64));
        }
        let of_series = 2 + 3 + 9;
        // What the rule records, and the label of nothing else.
        assert_eq!(engine.storage().pairs().len(), of_series + 1);
        engine.replace(start.saturating_add(Duration::from_secs(3)), rules(text));
        engine.advance(start.saturating_add(Duration::from_hours(3)));
        assert_eq!((engine.storage().len(), engine.storage().pairs().len()), (0, 0));

        let time = start.saturating_add(Duration::from_hours(4));
        engine.apply(time, &samples(time, 2.0));
        assert_eq!(engine.storage().pairs().len(), of_series + 1);
        engine.replace(time, RuleSet::default());
        assert_eq!((engine.storage().len(), engine.storage().pairs().len()), (0, 0));
    }
}
