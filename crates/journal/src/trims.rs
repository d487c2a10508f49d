//! What retention has removed of each topic, and searches in it.
//!
//! A search for what filters have lost may have to look at every topic. So it goes on in pieces,
//! with the journal's lock let go in between; what retention removes meanwhile is looked at in the
//! end. Retention never waits for a search, and the answer is exact when it is given.

use std::collections::{BTreeMap, VecDeque};

use bellwire_model::limits::{READ_STEP_LOOKS_MAX, TOPICS_MAX};
use bellwire_model::{Filter, FilterSet, Offset, Topic};

use crate::topic_id::TopicId;

/// Removals that are remembered for the searches under way.
const NOTED_MAX: usize = TOPICS_MAX / 4;
/// How often retention may outrun a search before that takes the newest removal for an answer.
const RESTARTS_MAX: usize = 8;

/// The newest removed event of each topic.
#[derive(Debug, Default)]
pub(crate) struct Trims {
    /// Topics by it: an offset belongs to one topic only.
    topics: BTreeMap<Offset, TopicId>,
    /// The newest event of any topic that was forgotten.
    forgotten: Offset,
    /// Topics of which something was removed, the latest last.
    noted: VecDeque<TopicId>,
    /// How many there ever were of these.
    noted_ever: u64,
}

impl Trims {
    /// Nothing was removed, but for topics that were forgotten.
    pub(crate) fn new(forgotten: Offset) -> Self {
        Self { forgotten, ..Self::default() }
    }

    /// A topic's newest removed event is at `offset` and no more at `before`.
    pub(crate) fn note(&mut self, topic: TopicId, (before, offset): (Offset, Offset)) {
        self.topics.remove(&before);
        self.topics.insert(offset, topic);
        if self.noted.len() == NOTED_MAX {
            self.noted.pop_front();
        }
        self.noted.push_back(topic);
        self.noted_ever += 1;
    }

    /// A topic is forgotten.
    pub(crate) fn forget(&mut self, offset: Offset) {
        self.topics.remove(&offset);
        self.forgotten = self.forgotten.max(offset);
    }

    /// The newest removed event of the topics that were forgotten.
    pub(crate) fn forgotten(&self) -> Offset {
        self.forgotten
    }

    /// The newest removed event of any topic.
    pub(crate) fn newest(&self) -> Offset {
        let newest = self.topics.last_key_value();
        newest.map_or(Offset::ZERO, |(offset, _)| *offset).max(self.forgotten)
    }

    /// One piece of a search. Returns what it finds once nothing is left to look at; that holds for
    /// as long as the lock is held. `topic_of` has each topic that is there, and what was removed.
    pub(crate) fn search<'t>(
        &self,
        search: &mut Search<'_>,
        topic_of: impl Fn(TopicId) -> Option<(&'t Topic, Offset)>,
    ) -> Option<Offset> {
        let missed = self.noted_ever - search.noted > self.noted.len() as u64;
        if missed && search.below.is_some() {
            search.restarts += 1;
            search.below = None;
            search.is_through = false;
        }
        if search.below.is_none() {
            (search.below, search.noted) = (Some(Offset::MAX), self.noted_ever);
        }
        if search.restarts > RESTARTS_MAX {
            return Some(self.newest());
        }
        let mut looks = (READ_STEP_LOOKS_MAX / search.filters.iter().count().max(1)).max(1);
        let filters = search.filters;
        let look = |id: TopicId, found: &mut Offset| {
            let topic = topic_of(id).filter(|(topic, _)| filters.matches(topic));
            topic.inspect(|(_, trimmed)| *found = (*found).max(*trimmed)).is_some()
        };
        let below = search.below.unwrap_or(Offset::MAX);
        let mut older = self.topics.range(..below).rev();
        while !search.is_through && looks > 0 {
            looks -= 1;
            let Some((offset, id)) = older.next() else {
                search.is_through = true;
                break;
            };
            search.below = Some(*offset);
            search.is_through = look(*id, &mut search.found);
        }
        while search.is_through && looks > 0 && search.noted < self.noted_ever {
            looks -= 1;
            let place = self.noted.len() as u64 - (self.noted_ever - search.noted);
            search.noted += 1;
            look(self.noted[place as usize], &mut search.found);
        }
        let is_done = search.is_through && search.noted == self.noted_ever;
        // Nobody knows any more which filters the forgotten topics would match.
        is_done.then(|| search.found.max(self.forgotten))
    }
}

/// A search for the newest removed event of the topics that match filters.
#[derive(Debug)]
pub(crate) struct Search<'f> {
    filters: &'f FilterSet,
    /// What was looked at so far is not below this; nothing at the beginning.
    below: Option<Offset>,
    /// Whether all that had been removed when it began was looked at, or one that matches was met.
    is_through: bool,
    /// How many of the removals that were noted it has seen.
    noted: u64,
    found: Offset,
    restarts: usize,
}

impl<'f> Search<'f> {
    /// Nothing was looked at.
    pub(crate) fn new(filters: &'f FilterSet) -> Self {
        Self { filters, below: None, is_through: false, noted: 0, found: Offset::ZERO, restarts: 0 }
    }

    /// The topics, where each filter is the name of one.
    pub(crate) fn names(&self) -> Option<impl Iterator<Item = Topic>> {
        let is_exact = self.filters.iter().all(Filter::is_exact);
        let names = || self.filters.iter().filter_map(|filter| filter.as_str().parse().ok());
        is_exact.then(names)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rustc_hash::FxHashMap;

    use super::*;

    /// Topics, what was removed of each, and the trims that know.
    #[derive(Default)]
    struct World {
        trims: Trims,
        topics: FxHashMap<TopicId, (Topic, Offset)>,
        tail: u64,
        looks: Cell<usize>,
    }

    impl World {
        /// So many topics, of which those are `rare` that lost something longest ago.
        fn of(topics: u32) -> Self {
            let mut world = Self::default();
            for number in 0..topics {
                let kind = if number < 5 { "rare" } else { "often" };
                let topic = format!("{number}/{kind}").parse().expect("a topic");
                world.topics.insert(TopicId(number), (topic, Offset::ZERO));
                world.remove(number);
            }
            world
        }

        /// An event of a topic goes, which is newer than all that went before.
        fn remove(&mut self, number: u32) {
            self.tail += 1;
            let Some((_, trimmed)) = self.topics.get_mut(&TopicId(number)) else { return };
            let before = std::mem::replace(trimmed, Offset::new(self.tail));
            self.trims.note(TopicId(number), (before, *trimmed));
        }

        fn forget(&mut self, number: u32) {
            if let Some((_, trimmed)) = self.topics.remove(&TopicId(number)) {
                self.trims.forget(trimmed);
            }
        }

        fn search(&self, search: &mut Search<'_>) -> Option<Offset> {
            self.looks.set(0);
            self.trims.search(search, |id| {
                self.looks.set(self.looks.get() + 1);
                self.topics.get(&id).map(|(topic, trimmed)| (topic, *trimmed))
            })
        }

        fn plain_answer(&self, filters: &FilterSet) -> Offset {
            let matching = self.topics.values().filter(|(topic, _)| filters.matches(topic));
            let found = matching.map(|(_, trimmed)| *trimmed).max().unwrap_or_default();
            found.max(self.trims.forgotten())
        }
    }

    fn filters(texts: &[&str]) -> FilterSet {
        FilterSet::new(texts.iter().map(|text| text.parse::<Filter>().unwrap())).unwrap()
    }

    #[test]
    fn a_search_in_pieces_says_what_one_look_at_all_would_whatever_goes_meanwhile() {
        const TOPICS: u32 = 20_000;
        let mut random = 1_u32;
        let mut below = |bound: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % bound
        };
        let mut pieces = 0;
        for round in 0..12 {
            let mut world = World::of(TOPICS);
            let texts: &[&str] =
                [&["*/rare"][..], &["*/none"], &["**"], &["*/none", "*/rare"]][round % 4];
            let filters = filters(texts);
            let mut search = Search::new(&filters);
            let found = loop {
                if let Some(found) = world.search(&mut search) {
                    break found;
                }
                assert!(world.looks.get() <= READ_STEP_LOOKS_MAX / texts.len());
                pieces += 1;
                for _ in 0..below(2000) {
                    world.remove(below(TOPICS));
                }
                if below(3) == 0 {
                    world.forget(below(TOPICS));
                }
            };
            assert_eq!(found, world.plain_answer(&filters), "round {round}");
        }
        assert!(pieces > 15, "{pieces}");
    }

    #[test]
    fn a_search_that_retention_outruns_begins_anew_and_ends_all_the_same() {
        let mut world = World::of(20_000);
        let filters = filters(&["*/rare"]);
        let mut search = Search::new(&filters);
        assert_eq!(world.search(&mut search), None);
        for number in 0..=NOTED_MAX as u32 {
            world.remove(number % 20_000);
        }
        let found = loop {
            if let Some(found) = world.search(&mut search) {
                break found;
            }
        };
        assert_eq!((found, search.restarts), (world.plain_answer(&filters), 1));

        let none = "*/none".parse::<Filter>().unwrap().into();
        let mut search = Search { restarts: RESTARTS_MAX, ..Search::new(&none) };
        assert_eq!(world.search(&mut search), None);
        for number in 0..=NOTED_MAX as u32 {
            world.remove(number % 20_000);
        }
        assert_eq!(world.search(&mut search), Some(world.trims.newest()));
    }
}
