//! Which lanes a topic reaches, remembered for topics that come again and again.
//!
//! A lookup costs the trie a hash for each segment of a topic. Most events are of topics that were
//! heard of a moment ago, while nobody has come or gone: their lanes stand in a small table, which
//! costs one comparison. A topic has one place in it, and is taken in when it comes the second time
//! in a row, so that topics which come once cost hardly more than without it.

use bellwire_model::{FilterSet, NameHasher, Topic};

use crate::index::TopicIndex;
use crate::lane::LaneId;

/// Topics that are remembered. With their lanes they take some 300 KiB at most.
const KNOWN_MAX: usize = 1_024;
/// Lanes of a topic that is remembered: more of them cost more to visit than to find.
const LANES_MAX: usize = 16;

/// The filters of all lanes, and what was found for the newest topics.
#[derive(Debug)]
pub(crate) struct Routes {
    index: TopicIndex,
    /// Counts the changes of the index: what was found before one is worth nothing.
    changes: u64,
    /// What came last to each place of the table. Apart, so that what comes once touches little.
    seen: Box<[Seen]>,
    found: Box<[Option<Box<Found>>]>,
}

/// A topic that came, by what it is first told by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    tag: u64,
    /// The index's changes when it came.
    as_of: u64,
}

/// A topic of which nothing is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unknown {
    seen: Seen,
    place: usize,
}

/// What a topic reached as of its place's [`Seen`].
#[derive(Clone, Debug)]
struct Found {
    as_of: u64,
    topic: Topic,
    lanes: Vec<LaneId>,
}

impl Routes {
    pub(crate) fn new(hasher: NameHasher) -> Self {
        // What never came is as of a change that never was.
        let (seen, found) = (Box::default(), Box::default());
        Self { index: TopicIndex::new(hasher), changes: 1, seen, found }
    }

    /// Takes in the filters of a lane.
    pub(crate) fn insert(&mut self, lane: LaneId, filters: &FilterSet) {
        self.changes += 1;
        self.index.insert(lane, filters);
    }

    /// Forgets the filters of a lane.
    pub(crate) fn remove(&mut self, lane: LaneId) {
        self.changes += 1;
        self.index.remove(lane);
    }

    /// Bytes that filters take. What is remembered has a bound of its own.
    pub(crate) fn size_bytes(&self) -> usize {
        self.index.size_bytes()
    }

    /// Calls `visit` with each lane that has a filter which `topic` passes, perhaps more than once;
    /// it returns whether that is to be remembered, which the first time is enough for.
    pub(crate) fn for_each(&mut self, topic: &Topic, mut visit: impl FnMut(LaneId) -> bool) {
        match self.known(topic) {
            Ok(lanes) => lanes.iter().for_each(|lane| _ = visit(*lane)),
            Err(unknown) => self.look_up(topic, unknown, visit),
        }
    }

    /// [`for_each`](Self::for_each) that remembers nothing.
    pub(crate) fn visit(&self, topic: &Topic, visit: impl FnMut(LaneId)) {
        match self.known(topic) {
            Ok(lanes) => lanes.iter().copied().for_each(visit),
            Err(_) => self.index.for_each(topic.as_str(), visit),
        }
    }

    /// The lanes that `topic` reaches, each once, if that is remembered. Whoever goes through them
    /// without a closure that others have, too, keeps what it needs in registers.
    #[inline]
    pub(crate) fn known(&self, topic: &Topic) -> Result<&[LaneId], Unknown> {
        let seen = Seen { tag: tag(topic.as_str()), as_of: self.changes };
        let place = place(seen.tag);
        // There are no places before the first topic.
        if self.seen.get(place) == Some(&seen)
            && let Some(found) = &self.found[place]
            && found.as_of == seen.as_of
            && found.topic == *topic
        {
            return Ok(&found.lanes);
        }
        Err(Unknown { seen, place })
    }

    /// [`for_each`](Self::for_each) for a topic that is not known.
    pub(crate) fn look_up(
        &mut self,
        topic: &Topic,
        Unknown { seen, place }: Unknown,
        mut visit: impl FnMut(LaneId) -> bool,
    ) {
        if self.seen.is_empty() {
            self.seen = vec![Seen::default(); KNOWN_MAX].into();
            self.found = vec![None; KNOWN_MAX].into();
        }
        if self.seen[place] == seen {
            return self.take_in(place, topic, visit);
        }
        self.seen[place] = seen;
        self.index.for_each(topic.as_str(), |lane| _ = visit(lane));
    }

    /// A topic has come the second time in a row, or one that looks like the one that had.
    #[cold]
    fn take_in(&mut self, place: usize, topic: &Topic, mut visit: impl FnMut(LaneId) -> bool) {
        let mut lanes = self.found[place].take().map_or_else(Vec::new, |found| found.lanes);
        lanes.clear();
        self.index.for_each(topic.as_str(), |lane| {
            if visit(lane) && lanes.len() <= LANES_MAX {
                lanes.push(lane);
            }
        });
        if lanes.len() <= LANES_MAX {
            let (as_of, topic) = (self.changes, topic.clone());
            self.found[place] = Some(Box::new(Found { as_of, topic, lanes }));
        }
    }

    /// Whether no lane has any filters.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

/// Something that most topics differ in: their end and their length. Who makes topics that do not
/// makes them as slow as they are without the table.
fn tag(topic: &str) -> u64 {
    let bytes = topic.as_bytes();
    let end = match bytes.last_chunk::<8>() {
        Some(end) => u64::from_le_bytes(*end),
        None => bytes.iter().fold(1, |tag, byte| tag << 8 | u64::from(*byte)),
    };
    end ^ (bytes.len() as u64) << 56
}

fn place(tag: u64) -> usize {
    // The golden ratio spreads what differs in few bits.
    (tag.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - KNOWN_MAX.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bellwire_model::{Filter, Topic};
    use proptest::prelude::*;

    use super::*;

    const SEGMENTS: [&str; 4] = ["a", "b", "c", "$s"];

    prop_compose! {
        fn any_filter()(
            mut segments in prop::collection::vec(
                prop_oneof![3 => prop::sample::select(&SEGMENTS[..]), 1 => Just("*")],
                0..4,
            ),
            rest in any::<bool>(),
        ) -> Filter {
            if rest || segments.is_empty() {
                segments.push("**");
            }
            segments.join("/").parse().expect("a filter")
        }
    }

    prop_compose! {
        fn any_topic()(
            segments in prop::collection::vec(prop::sample::select(&SEGMENTS[..]), 1..5),
        ) -> Topic {
            segments.join("/").parse().expect("a topic")
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Begin(Vec<Filter>),
        End(usize),
        Ask(Topic),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => prop::collection::vec(any_filter(), 1..8).prop_map(Step::Begin),
            2 => any::<usize>().prop_map(Step::End),
            4 => any_topic().prop_map(Step::Ask),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
        #[test]
        fn a_topic_reaches_the_lanes_whose_filters_it_passes(
            steps in prop::collection::vec(any_step(), 1..80),
        ) {
            let mut routes = Routes::new(NameHasher::new([1, 2]));
            let mut lanes: BTreeMap<LaneId, FilterSet> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Begin(filters) => {
                        let vacant = (0..80).map(LaneId).find(|id| !lanes.contains_key(id));
                        let (id, filters) =
                            (vacant.expect("fewer lanes than steps"), FilterSet::new(filters).expect("a set"));
                        routes.insert(id, &filters);
                        lanes.insert(id, filters);
                    }
                    Step::End(number) if !lanes.is_empty() => {
                        let id = *lanes.keys().nth(number % lanes.len()).expect("one of them");
                        lanes.remove(&id);
                        routes.remove(id);
                    }
                    Step::End(_) => {}
                    Step::Ask(topic) => {
                        let passing = lanes.iter().filter(|(_, filters)| filters.matches(&topic));
                        let passing: Vec<LaneId> = passing.map(|(id, _)| *id).collect();
                        // The first time, when it is taken in, and when it is known.
                        for _ in 0..3 {
                            let mut reached = BTreeSet::new();
                            routes.for_each(&topic, |id| reached.insert(id));
                            prop_assert_eq!(reached.into_iter().collect::<Vec<_>>(), &passing[..]);
                        }
                    }
                }
            }
            for id in lanes.into_keys() {
                routes.remove(id);
            }
            prop_assert!(routes.is_empty(), "nothing is left");
            prop_assert_eq!(routes.size_bytes(), 0);
        }
    }

    /// Topics that share a place, and those that reach more lanes than are remembered.
    #[test]
    fn what_is_not_remembered_is_found_all_the_same() {
        let mut routes = Routes::new(NameHasher::new([1, 2]));
        let [one, other]: [Topic; 2] =
            ["one/12345678", "two/12345678"].map(|topic| topic.parse().expect("a topic"));
        assert_eq!(tag(one.as_str()), tag(other.as_str()));
        let mut id = 0;
        for (filter, lanes) in [("one/*", 1), ("two/**", 2), ("**", LANES_MAX as u32)] {
            for _ in 0..lanes {
                routes.insert(LaneId(id), &filter.parse::<Filter>().expect("a filter").into());
                id += 1;
            }
        }
        let few = |routes: &mut Routes, topic: &Topic| {
            let mut reached = BTreeSet::new();
            routes.for_each(topic, |id| reached.insert(id));
            reached.len()
        };
        for _ in 0..3 {
            for _ in 0..3 {
                assert_eq!(few(&mut routes, &one), 1 + LANES_MAX);
            }
            assert_eq!(few(&mut routes, &other), 2 + LANES_MAX);
        }
        routes.remove(LaneId(3));
        for _ in 0..3 {
            assert_eq!(few(&mut routes, &one), LANES_MAX, "as many as are remembered");
            assert_eq!(few(&mut routes, &other), 1 + LANES_MAX);
        }
    }
}
