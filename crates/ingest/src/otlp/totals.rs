//! Changes to totals: a sum or a histogram that is sent as what was counted since the last time is
//! added up, for `rate` and its kin take counters.
//!
//! Each series has a total and the end of what was counted into it. A later interval is added; where
//! it does not begin at that end, the time between is a *hole*, and what comes late and lies wholly
//! within the last hole is added too. What was added already, as when a request is sent again, is not
//! added again: of a request with several intervals of a series, such as a collector sends after a
//! pause, all are known until a later one adds to it. What overlaps is refused, since a part of it
//! would count twice, and so is another value of a time that was counted: two senders that say they
//! are one look so.
//!
//! ```text
//!            ╭─ hole ─╮
//! ██████████─          ─███████          end of what is counted
//!                              ╰─ a later interval ─╯   is added
//!             ╰─ late ─╯                               is added
//!                       ╰─ the last one again ─╯       is told again
//!         ╰── overlaps ──╯                             is refused
//! ```
//!
//! The totals are in memory alone. They begin anew, at the next change, after a restart, where a
//! series was silent for [`OTLP_TOTAL_AGE`], and where the sender started anew and nothing tells it
//! from the old one. To a rule that is a counter that was reset: `rate` and `increase` go on from
//! there without a loss, and what was counted is not counted again.
//!
//! Totals have a bounded room, and [who fills it](Shares) leaves some of it to others. A total is of
//! whoever has changed it first since the last turn, or has begun it.

use bellwire_model::limits::{OTLP_TOTAL_AGE, OTLP_TOTALS_BYTES_MAX};
use bellwire_model::{Holder, Labels, NameMap, Sample, Shares, Shortage, Timestamp};

use crate::decoded::{Decoded, Interval, Refusal};

/// Bytes that a series takes beside its labels.
const TOTAL_BYTES: usize = size_of::<(Labels, Owned)>() + size_of::<[usize; 2]>();

/// The least that other intervals of a series take.
const OTHERS_BYTES_MIN: usize = 4 * size_of::<Other>();

/// The totals of all series that come as changes.
#[derive(Debug)]
pub struct Totals {
    /// Those that changed since the last turn.
    recent: NameMap<Labels, Owned>,
    /// Those that did not. They go at the next turn.
    older: NameMap<Labels, Owned>,
    turned: Timestamp,
    /// How many requests there were.
    requests: u64,
    /// Bytes of both.
    room: Shares,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            recent: NameMap::default(),
            older: NameMap::default(),
            turned: Timestamp::default(),
            requests: 0,
            room: Shares::new(OTLP_TOTALS_BYTES_MAX),
        }
    }
}

/// A total, and whose room it takes.
#[derive(Debug)]
struct Owned {
    total: Total,
    owner: Holder,
}

/// What was counted of one series.
#[derive(Clone, Debug, PartialEq)]
struct Total {
    value: f64,
    /// What was counted last.
    last: Change,
    /// The last time within which nothing was counted.
    hole: Interval,
    /// The request that counted last, and what else it has counted, one after the other.
    request: u64,
    others: Vec<Other>,
}

/// What was counted within an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    value: f64,
    interval: Interval,
}

/// A change of a request that was not its last one, and the total at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Other {
    change: Change,
    total: f64,
}

/// A request, as far as its intervals may be remembered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    request: u64,
    has_room: bool,
}

/// What a change makes of a total.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Counted {
    /// This is the total at the end of the interval.
    Total(f64),
    /// It is part of a total that was told for a later time.
    Late,
    /// A part of it was counted already.
    Overlaps,
}

impl Total {
    fn begin(last: Change, request: u64) -> Self {
        let hole = Interval { start_ns: 0, end_ns: last.interval.start_ns };
        Self { value: last.value, last, hole, request, others: Vec::new() }
    }

    fn add(&mut self, sent: Change, asked: Asked) -> Counted {
        let Change { value, interval: Interval { mut start_ns, end_ns } } = sent;
        let counted_ns = self.last.interval.end_ns;
        if start_ns == 0 && end_ns > counted_ns {
            // The sender does not know, or does not say.
            start_ns = counted_ns;
        }
        if start_ns >= counted_ns && end_ns > counted_ns {
            if start_ns > counted_ns {
                self.hole = Interval { start_ns: counted_ns, end_ns: start_ns };
            }
            self.remember(Other { change: self.last, total: self.value }, asked);
            self.value += value;
            self.last = Change { value, interval: Interval { start_ns, end_ns } };
            return Counted::Total(self.value);
        }
        if self.last.is_again(sent) {
            return Counted::Total(self.value);
        }
        let place = self.others.partition_point(|other| other.change.interval.end_ns < end_ns);
        if let Some(other) = self.others.get(place).filter(|other| other.change.is_again(sent)) {
            return Counted::Total(other.total);
        }
        if start_ns < self.hole.start_ns || end_ns > self.hole.end_ns || start_ns >= end_ns {
            return Counted::Overlaps;
        }
        // What is left of the hole is the longer side of it.
        let (before, after) = (start_ns - self.hole.start_ns, self.hole.end_ns - end_ns);
        if before > after {
            self.hole.end_ns = start_ns;
        } else {
            self.hole.start_ns = end_ns;
        }
        self.value += value;
        Counted::Late
    }

    /// Keeps one interval more of a request; what was kept of an earlier one goes.
    fn remember(&mut self, other: Other, asked: Asked) {
        if self.request != asked.request {
            self.request = asked.request;
            self.others = Vec::new();
        } else if asked.has_room {
            self.others.push(other);
        }
    }

    /// What is taken by what is not as large for each.
    fn others_bytes(&self) -> usize {
        self.others.capacity() * size_of::<Other>()
    }
}

impl Change {
    /// Whether another one is this one, sent again: another value is somebody else's.
    fn is_again(self, sent: Self) -> bool {
        let (own, other) = (self.interval, sent.interval);
        own.end_ns == other.end_ns
            && (other.start_ns == 0 || other.start_ns == own.start_ns)
            && self.value.to_bits() == sent.value.to_bits()
    }
}

impl Totals {
    /// Makes totals of the changes of a request, which is the last thing to be done before its
    /// samples are handed over: what is left out by then was not counted. Requests that come at a
    /// time must take turns.
    pub fn settle(&mut self, decoded: &mut Decoded, sender: Holder, now: Timestamp) {
        if decoded.changes.is_empty() {
            return;
        }
        self.turn(now);
        self.requests += 1;
        let changes = std::mem::take(&mut decoded.changes);
        let mut changes = changes.iter().peekable();
        let samples = std::mem::take(&mut decoded.samples);
        let lines = std::mem::take(&mut decoded.lines);
        let mut samples = samples.into_iter().zip(lines).peekable();
        while let Some((_, line)) = samples.peek() {
            let line = *line;
            let of_point = std::iter::from_fn(|| samples.next_if(|(_, other)| *other == line));
            let of_point = of_point.map(|(sample, _)| sample);
            // Those of points that are no longer there.
            while changes.next_if(|change| change.line < line).is_some() {}
            let before = decoded.samples.len();
            match changes.next_if(|change| change.line == line) {
                None => decoded.samples.extend(of_point),
                Some(change) => {
                    let counted =
                        self.count_all(of_point, (change.interval, sender), &mut decoded.samples);
                    if let Err(refusal) = counted {
                        decoded.samples.truncate(before);
                        decoded.reject(line as usize, refusal);
                    }
                }
            }
            decoded.end_line(line as usize);
        }
        decoded.rejections.sort_by_key(|rejection| rejection.line);
    }

    /// Counts the samples of a point. All are counted, even where one of them cannot be.
    fn count_all(
        &mut self,
        of_point: impl Iterator<Item = Sample>,
        by: (Interval, Holder),
        samples: &mut Vec<Sample>,
    ) -> Result<(), Refusal> {
        let mut all = Ok(());
        for sample in of_point {
            match self.count(&sample, by) {
                Ok(Counted::Total(value)) => samples.push(Sample { value, ..sample }),
                Ok(Counted::Late) => {}
                Ok(Counted::Overlaps) => all = Err(overlaps(&sample)),
                Err(refusal) => all = Err(refusal),
            }
        }
        all
    }

    fn count(
        &mut self,
        sample: &Sample,
        (interval, sender): (Interval, Holder),
    ) -> Result<Counted, Refusal> {
        Sample::check_value(sample.value)?;
        let (request, change) = (self.requests, Change { value: sample.value, interval });
        if let Some(owned) = self.recent.get_mut(&sample.series) {
            return Ok(owned.add(change, request, &mut self.room));
        }
        let (owned, counted) = if let Some(older) = self.older.remove(&sample.series) {
            let bytes = bytes_of(&sample.series) + older.total.others_bytes();
            self.room.give_back(older.owner, bytes);
            self.room.take(sender, bytes);
            let mut owned = Owned { owner: sender, ..older };
            let counted = owned.add(change, request, &mut self.room);
            (owned, counted)
        } else {
            let bytes = bytes_of(&sample.series);
            self.room.check(sender, bytes).map_err(no_room)?;
            self.room.take(sender, bytes);
            let total = Total::begin(change, request);
            (Owned { total, owner: sender }, Counted::Total(sample.value))
        };
        self.recent.insert(sample.series.clone(), owned);
        Ok(counted)
    }

    /// Forgets those that have not changed for long.
    fn turn(&mut self, now: Timestamp) {
        let since = now.saturating_since(self.turned);
        if since < OTLP_TOTAL_AGE {
            return;
        }
        let recent = std::mem::take(&mut self.recent);
        let older = std::mem::take(&mut self.older);
        self.forget(older);
        if since < 2 * OTLP_TOTAL_AGE {
            self.older = recent;
        } else {
            self.forget(recent);
        }
        self.turned = now;
    }

    fn forget(&mut self, totals: NameMap<Labels, Owned>) {
        for (series, Owned { total, owner }) in totals {
            self.room.give_back(owner, bytes_of(&series) + total.others_bytes());
        }
    }
}

impl Owned {
    /// Adds a change. What is kept of the request for it takes of the owner's room.
    fn add(&mut self, change: Change, request: u64, room: &mut Shares) -> Counted {
        let before = self.total.others_bytes();
        // A list that grows takes twice of what it had.
        let grown = (before * 2).max(OTHERS_BYTES_MIN);
        let has_room = room.check(self.owner, grown).is_ok();
        let counted = self.total.add(change, Asked { request, has_room });
        let after = self.total.others_bytes();
        if after != before {
            room.give_back(self.owner, before);
            room.take(self.owner, after);
        }
        counted
    }
}

/// Bytes that a series takes, but for its other intervals.
fn bytes_of(series: &Labels) -> usize {
    TOTAL_BYTES + series.size_bytes()
}

fn no_room(why: Shortage) -> Refusal {
    let whose = match why {
        Shortage::Full => "no room for another",
        Shortage::OfHolder => "what is left is for others than you",
    };
    let detail = format!(
        "the totals of series that come as changes have {OTLP_TOTALS_BYTES_MAX} bytes, and {whose}: \
         have the sender count from its start on (cumulative)"
    );
    Refusal::new("series_limit", detail)
}

fn overlaps(sample: &Sample) -> Refusal {
    let name = sample.series.metric_name().unwrap_or_default();
    let detail = format!(
        "a part of what `{name}` counts was counted already: are there two senders of one series, \
         or is it cumulative?"
    );
    Refusal::new("interval_overlaps", detail)
}
