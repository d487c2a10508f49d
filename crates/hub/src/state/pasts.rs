//! The pasts of series: beside the table's slots, for those keys that are measured.
//!
//! A past lasts for as long as something is known of its key, deletions that are remembered
//! included: a target that was away for a moment has its past when it is back. It is read together
//! with the value that the key has now, a page at a time, from topic to topic and from slot to slot:
//! whoever goes on behind the last one meets every key that is there all the while.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bellwire_model::limits::PAST_BYTES_OF_SERIES_MIN;
use bellwire_model::{Filter, FilterSet, Topic};

use super::StateTable;
use crate::entry::{Payload, Value};
use crate::past::{Past, PastCopy, PastLimits, Point};

/// The numbers of a topic and of a slot.
type Place = (u32, u32);

/// Pasts that are looked at, for each point that comes, for whether their series is long gone.
const SWEPT_PER_POINT: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Pasts {
    /// Those of one topic stand together.
    all: BTreeMap<Place, Box<Past>>,
    size_bytes: usize,
    /// Room to write one anew.
    scratch: Vec<Point>,
    /// From which on it is swept next.
    unswept: Place,
    /// The slot of the key that was put last: mostly it is what is remembered next.
    pub(super) latest: u32,
}

impl Pasts {
    fn push(
        &mut self,
        place: Place,
        (point, now_ms): (Point, i64),
        (limits, bytes_max): (PastLimits, usize),
    ) -> bool {
        self.sweep(now_ms);
        if limits.window_ms == 0 || limits.points_max == 0 {
            self.forget(place);
            return true;
        }
        let has_room = self.size_bytes < bytes_max;
        let is_new = !self.all.contains_key(&place);
        if is_new && (self.all.len() + 1) * PAST_BYTES_OF_SERIES_MIN > bytes_max {
            return false;
        }
        let past = self.all.entry(place).or_default();
        let before = if is_new { 0 } else { past.size_bytes() };
        past.push(point, limits, (&mut self.scratch, has_room));
        self.size_bytes = self.size_bytes - before + past.size_bytes();
        has_room
    }

    /// Puts points before those that there are. Says whether there was room.
    fn push_before(
        &mut self,
        place: Place,
        points: &[Point],
        (limits, bytes_max): (PastLimits, usize),
    ) -> bool {
        let Some(past) = self.all.get(&place) else { return true };
        let known: Vec<Point> = past.copy().points().collect();
        let first_ms = known.first().map_or(i64::MIN, |point| point.time_ms);
        let before = points.iter().take_while(|point| point.time_ms < first_ms);
        let mut whole = Past::default();
        for point in before.chain(&known) {
            whole.push(*point, limits, (&mut self.scratch, true));
        }
        let size_bytes = self.size_bytes - past.size_bytes() + whole.size_bytes();
        if size_bytes > bytes_max {
            return false;
        }
        self.size_bytes = size_bytes;
        self.all.insert(place, Box::new(whole));
        true
    }

    pub(super) fn forget(&mut self, place: Place) {
        if let Some(past) = self.all.remove(&place) {
            self.size_bytes -= past.size_bytes();
        }
    }

    /// Looks at a few, round and round, and forgets those that lie before their window.
    fn sweep(&mut self, now_ms: i64) {
        for _ in 0..SWEPT_PER_POINT {
            let Some((&place, past)) = self.all.range(self.unswept..).next() else {
                self.unswept = (0, 0);
                return;
            };
            self.unswept = (place.0, place.1 + 1);
            if now_ms.saturating_sub(past.newest_ms()) > past.window_ms() {
                self.forget(place);
            }
        }
    }
}

/// How far a reader of pasts has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastPlace {
    /// It has read all topics before this one, in the order of their names.
    topic: Option<Topic>,
    /// Of which it has read the slots before this one.
    slot: u32,
}

/// How much a page of pasts may have.
#[derive(Clone, Copy, Debug)]
pub struct PastPageLimits {
    /// Bytes of points as they are kept.
    pub bytes_max: usize,
    /// Points: those of steady series take next to no bytes, and what is told of them as many as any.
    pub points_max: usize,
    /// Things in the table that are looked at.
    pub looks_max: usize,
}

/// Some of the pasts that somebody wants.
#[derive(Debug)]
pub struct PastPage<P> {
    /// The values that there are now, the past of each, and where a reader is that has it.
    pub series: Vec<(Arc<Value<P>>, PastCopy, PastPlace)>,
    /// Where it is once it has all of them; `None`: there are no more.
    pub next: Option<PastPlace>,
    /// How many things in the table were looked at for it.
    pub looks: usize,
}

impl<P: Payload> StateTable<P> {
    /// Remembers a point of a key that is there, with the time of now in milliseconds. Says whether
    /// there was room for it: beyond so many bytes for all keys no further one is remembered, and those
    /// that get points lose some of what they have.
    pub fn remember(
        &mut self,
        (topic, key): (&Topic, &str),
        point: (Point, i64),
        limits: (PastLimits, usize),
    ) -> bool {
        let latest = Some(self.pasts.latest).filter(|id| self.known().is(*id, (topic, key)));
        let Some(id) = latest.or_else(|| self.find(topic, key)) else { return true };
        self.pasts.push((self.slots.get(id).topic, id), point, limits)
    }

    /// Puts points, oldest first, before all that is remembered of a key, as far as they are older. Says
    /// whether there was room for them.
    pub fn remember_before(
        &mut self,
        (topic, key): (&Topic, &str),
        points: &[Point],
        limits: (PastLimits, usize),
    ) -> bool {
        let Some(id) = self.find(topic, key) else { return true };
        self.pasts.push_before((self.slots.get(id).topic, id), points, limits)
    }

    /// The past of a key.
    pub fn past(&self, topic: &Topic, key: &str) -> Option<PastCopy> {
        let id = self.find(topic, key)?;
        self.pasts.all.get(&(self.slots.get(id).topic, id)).map(|past| past.copy())
    }

    /// Forgets the past of all keys of a topic.
    pub fn forget_pasts(&mut self, topic: &Topic) {
        let Some(id) = self.names.get(topic).copied() else { return };
        let places = self.pasts.all.range((id, 0)..=(id, u32::MAX)).map(|(place, _)| *place);
        for place in places.collect::<Vec<_>>() {
            self.pasts.forget(place);
        }
    }

    /// The number of keys whose past is remembered, and the bytes that these take.
    pub fn pasts(&self) -> (usize, usize) {
        (self.pasts.all.len(), self.pasts.size_bytes)
    }

    /// The pasts of keys that match and are there, from a place on: as much as a page may have, or a
    /// little more; one at least.
    pub fn past_page(
        &self,
        filters: &FilterSet,
        from: PastPlace,
        limits: PastPageLimits,
    ) -> PastPage<P> {
        let PastPageLimits { bytes_max, points_max, looks_max } = limits;
        let mut page = PastPage { series: Vec::new(), next: None, looks: 0 };
        let (mut bytes, mut points, mut has_looked) = (0, 0, false);
        let (mut name, mut slot) = match from.topic {
            Some(topic) => (Bound::Included(topic), from.slot),
            None => (Bound::Unbounded, 0),
        };
        while let Some((topic, id)) = self.next_topic(filters, &name) {
            let is_same = matches!(&name, Bound::Included(named) if named == topic);
            let first = if is_same { slot } else { 0 };
            if page.looks >= looks_max {
                page.next = Some(PastPlace { topic: Some(topic.clone()), slot: first });
                return page;
            }
            page.looks += filters.iter().count();
            let series = self.pasts.all.range((id, first)..=(id, u32::MAX));
            let matches = filters.matches(topic);
            for (&(_, number), past) in series.take_while(|_| matches) {
                let is_full = page.looks >= looks_max || bytes >= bytes_max || points >= points_max;
                if has_looked && is_full {
                    page.next = Some(PastPlace { topic: Some(topic.clone()), slot: number });
                    return page;
                }
                (page.looks, has_looked) = (page.looks + 1, true);
                if self.slots.get(number).is_live() {
                    let copy = past.copy();
                    (bytes, points) = (bytes + copy.size_bytes(), points + copy.len());
                    let behind = PastPlace { topic: Some(topic.clone()), slot: number + 1 };
                    page.series.push((self.value(number), copy, behind));
                }
            }
            (name, slot) = (Bound::Excluded(topic.clone()), 0);
        }
        page
    }

    /// The first topic from there on that may match, in the order of names: of each filter one is
    /// looked at.
    fn next_topic(&self, filters: &FilterSet, from: &Bound<Topic>) -> Option<(&Topic, u32)> {
        let is_behind = |name: &str| match from {
            Bound::Unbounded => true,
            Bound::Included(from) => name >= from.as_str(),
            Bound::Excluded(from) => name > from.as_str(),
        };
        let of_filter = |filter: &Filter| {
            let (stem, root) = stem_and_root(filter);
            let root = root.filter(|root| is_behind(root));
            let root = root.and_then(|root| self.names.get_key_value(root));
            let of_stem = stem.and_then(|stem| {
                let start = match from {
                    Bound::Included(from) if from.as_str() > stem => Bound::Included(from.as_str()),
                    Bound::Excluded(from) if from.as_str() >= stem => {
                        Bound::Excluded(from.as_str())
                    }
                    _ => Bound::Included(stem),
                };
                let mut names = self.names.range::<str, _>((start, Bound::Unbounded));
                names.next().filter(|(topic, _)| topic.as_str().starts_with(stem))
            });
            // A root stands before all that is below it.
            root.or(of_stem)
        };
        filters.iter().filter_map(of_filter).min().map(|(topic, id)| (topic, *id))
    }
}

/// With what the topics begin that a filter with wildcards may match, and the topic that it matches
/// beside them, if any: `a/**` has the topic `a`, too.
fn stem_and_root(filter: &Filter) -> (Option<&str>, Option<&str>) {
    let text = filter.as_str();
    if filter.is_exact() {
        return (None, Some(text));
    }
    let stem = text.split('*').next();
    (stem, text.strip_suffix("/**").filter(|root| !root.contains('*')))
}

#[cfg(test)]
mod tests;
