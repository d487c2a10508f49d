//! Steps of the wall clock, so that ages count in time that has passed.
//!
//! Events have the wall clock's time. Where that is set by a day, what came before would be a day
//! too old all at once, and gone for good. So each look at the clocks compares how far the wall
//! clock went with how much time has passed; the difference is remembered with the offset up to
//! which events have times of before. An event's age is corrected by all later steps.
//!
//! In doubt events stay. Where the system was started anew, nobody knows how long it was down or
//! whether its clock is right: what the clock says counts once it has said so for
//! [`CLOCK_TRUST_AGE`].

use std::fmt::Write as _;
use std::time::Duration;

use bellwire_model::limits::{CLOCK_STEP_MIN, CLOCK_STEPS_MAX, CLOCK_TRUST_AGE};
use bellwire_model::{Offset, Timestamp};

/// What the clocks say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock, which people and programs set.
    pub wall: Timestamp,
    /// How long the system has been up, its sleep included: nobody sets that.
    pub uptime: Duration,
}

/// The wall clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// By how much; negative where it was set back.
    pub by_ms: i64,
}

/// Events up to `until` have times from before a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    until: Offset,
    by_ms: i64,
}

/// The time between two boots, as the clock tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unsure {
    step: Step,
    /// The uptime at which it was first said.
    since: Duration,
}

/// Whether the system has been up ever since a journal was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Same,
    Other,
}

impl Boot {
    /// The same as the uptime has it, which said so much before: where that begins anew, as in a
    /// container that has one of its own, it is of another system.
    pub(crate) fn since(self, uptime: Duration, now: ClockReading) -> Self {
        if now.uptime < uptime { Self::Other } else { self }
    }
}

/// The steps of a journal's life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    /// In order of `until`.
    made: Vec<Step>,
    unsure: Option<Unsure>,
    /// What later readings are compared with.
    base: Option<ClockReading>,
    /// The wall clock and the newest offset at the last look.
    seen: (Timestamp, Offset),
}

impl Steps {
    /// A journal without a memory of clocks, whose newest event is of `newest`.
    pub(crate) fn since(newest: Option<Timestamp>, tail: Offset) -> Self {
        let base = newest.map(|wall| ClockReading { wall, uptime: Duration::ZERO });
        Self { base, seen: (newest.unwrap_or_default(), tail), ..Self::default() }
    }

    /// A journal is opened again, with its newest offset. Returns the step that was made meanwhile, if
    /// the system has been up.
    pub(crate) fn resume(
        &mut self,
        reading: ClockReading,
        tail: Offset,
        boot: Boot,
    ) -> Option<ClockStep> {
        let uptime = self.base.map_or(Duration::ZERO, |base| base.uptime);
        if self.base.is_none() || boot.since(uptime, reading) == Boot::Same {
            return self.look(reading, tail);
        }
        let by_ms = reading.wall.as_ms().saturating_sub(self.seen.0.as_ms());
        let step = Step { until: tail, by_ms };
        if by_ms < 0 {
            // What it said before may never have been so: else all would be as old as that at once.
            if let Some(unsure) = self.unsure.take_if(|_| by_ms < -as_ms(CLOCK_STEP_MIN)) {
                self.push(unsure.step);
            }
            self.push(step);
        } else if by_ms > as_ms(CLOCK_STEP_MIN) || self.unsure.is_some() {
            let earlier = self.unsure.map_or(0, |unsure| unsure.step.by_ms);
            let step = Step { by_ms: by_ms.saturating_add(earlier), ..step };
            self.unsure = Some(Unsure { step, since: reading.uptime });
        }
        self.base = Some(reading);
        self.seen = (reading.wall, tail);
        None
    }

    /// Looks at the clocks. Returns the step that was made since the last look.
    pub(crate) fn look(&mut self, reading: ClockReading, tail: Offset) -> Option<ClockStep> {
        let (_, tail_before) = std::mem::replace(&mut self.seen, (reading.wall, tail));
        let base = *self.base.get_or_insert(reading);
        let trusted =
            |unsure: &Unsure| reading.uptime.saturating_sub(unsure.since) >= CLOCK_TRUST_AGE;
        let wall_ms = reading.wall.as_ms().saturating_sub(base.wall.as_ms());
        let passed_ms = as_ms(reading.uptime).saturating_sub(as_ms(base.uptime));
        let by_ms = wall_ms.saturating_sub(passed_ms);
        if by_ms.unsigned_abs() < as_ms(CLOCK_STEP_MIN).unsigned_abs() {
            self.unsure.take_if(|unsure| trusted(unsure));
            return None;
        }
        // A clock that is set soon after a boot was wrong before: what it said counts for nothing.
        if let Some(unsure) = self.unsure.take() {
            self.push(unsure.step);
        }
        // When it was set between two looks nobody knows: in doubt an event is younger.
        let until = if by_ms < 0 { tail_before } else { tail };
        self.push(Step { until, by_ms });
        self.base = Some(reading);
        Some(ClockStep { by_ms })
    }

    /// The newest offset at the last look.
    pub(crate) fn seen_tail(&self) -> Offset {
        self.seen.1
    }

    /// What the wall clock's `wall` is to events of each time.
    pub(crate) fn now(&self, wall: Timestamp) -> Now {
        let unsure = self.unsure.map(|unsure| unsure.step);
        Now { wall, steps: self.made.iter().copied().chain(unsure).collect() }
    }

    fn push(&mut self, step: Step) {
        self.made.push(step);
        if self.made.len() > CLOCK_STEPS_MAX {
            // Into one that makes none of their events older.
            let (oldest, second) = (self.made.remove(0), self.made[0]);
            let both = oldest.by_ms.saturating_add(second.by_ms);
            self.made[0].by_ms = both.max(second.by_ms);
        }
    }

    /// As a text to store.
    pub(crate) fn to_text(&self) -> String {
        let base = self.base.unwrap_or_default();
        let (wall, tail) = self.seen;
        let mut text = format!(
            "{} {} {} {}",
            base.wall.as_ms(),
            base.uptime.as_millis(),
            wall.as_ms(),
            tail.get()
        );
        let unsure = self.unsure.map(|unsure| (unsure.since.as_millis() + 1, unsure.step));
        let steps = self.made.iter().map(|step| (0, *step));
        for (since, Step { until, by_ms }) in steps.chain(unsure) {
            write!(text, " {since} {until} {by_ms}").expect("a string takes all");
        }
        text
    }

    /// Reads [`to_text`](Self::to_text)'s text; nothing where it is none.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let numbers: Vec<i64> = text.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let ([base_wall, base_uptime, wall, tail], rest) = numbers.split_first_chunk()?;
        let uptime = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        let base =
            ClockReading { wall: Timestamp::from_ms(*base_wall), uptime: uptime(*base_uptime) };
        let seen = (Timestamp::from_ms(*wall), Offset::new(tail.unsigned_abs()));
        let mut steps = Self { base: Some(base), seen, ..Self::default() };
        let (chunks, []) = rest.as_chunks() else { return None };
        for [since, until, by_ms] in chunks {
            let step = Step { until: Offset::new(until.unsigned_abs()), by_ms: *by_ms };
            if *since == 0 {
                steps.made.push(step);
            } else {
                steps.unsure = Some(Unsure { step, since: uptime(*since - 1) });
            }
        }
        Some(steps)
    }
}

fn as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The time now, as events from before a step of the clock have to see it.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    wall: Timestamp,
    steps: Vec<Step>,
}

impl Now {
    /// A moment before all events: nothing is too old.
    pub(crate) const fn before_all() -> Self {
        Self { wall: Timestamp::MIN, steps: Vec::new() }
    }

    /// A time that is compared as it is.
    pub(crate) const fn exactly(wall: Timestamp) -> Self {
        Self { wall, steps: Vec::new() }
    }

    /// The time to compare the time of the event at `offset` with.
    pub(crate) fn at(&self, offset: Offset) -> Timestamp {
        let later = self.steps.iter().filter(|step| step.until >= offset);
        let by_ms = later.fold(0_i64, |sum, step| sum.saturating_add(step.by_ms));
        Timestamp::from_ms(self.wall.as_ms().saturating_sub(by_ms))
    }

    /// The latest of these for the events from `first` to `last`.
    pub(crate) fn latest(&self, first: Offset, last: Offset) -> Timestamp {
        let inside = self.steps.iter().map(|step| Offset::new(step.until.get().saturating_add(1)));
        let changes = inside.filter(|offset| (first..=last).contains(offset));
        changes.map(|offset| self.at(offset)).fold(self.at(first), Timestamp::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 60 * 60 * 1_000;
    const YEARS_MS: i64 = 20 * 365 * 24 * HOUR_MS;

    fn reading(wall_ms: i64, uptime_ms: i64) -> ClockReading {
        let uptime = Duration::from_millis(uptime_ms.unsigned_abs());
        ClockReading { wall: Timestamp::from_ms(wall_ms), uptime }
    }

    #[test]
    fn a_system_that_started_with_a_wrong_clock_makes_nothing_old() {
        let (first, tail) = (Offset::new(1), Offset::new(9));
        let mut steps = Steps::default();
        steps.look(reading(YEARS_MS, 0), tail);
        // Twenty years ahead, and right again with the next start, which nobody has looked at between.
        steps.resume(reading(2 * YEARS_MS, 30_000), tail, Boot::Other);
        let mut steps = Steps::from_text(&steps.to_text()).expect("it reads back");
        steps.resume(reading(YEARS_MS + HOUR_MS, 30_000), tail, Boot::Other);
        for hours in [0, 2] {
            let wall_ms = YEARS_MS + (1 + hours) * HOUR_MS;
            steps.look(reading(wall_ms, 30_000 + hours * HOUR_MS), tail);
            let now = steps.now(Timestamp::from_ms(wall_ms)).at(first).as_ms();
            assert!(now <= wall_ms, "{} h too old", (now - wall_ms) / HOUR_MS);
        }
    }
}
