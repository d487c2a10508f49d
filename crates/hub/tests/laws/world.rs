//! The journal, the state table, one hub and its subscribers, in the plainest form.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_hub::{
    Arrival, Begin, Delivery, Entry, GapReason, Gone, HistoryPage, Hub, HubLimits, Joined, LaneEnd,
    LaneId, Next, Start, StateLimits, StateTable, Value,
};
use bellwire_model::{
    Cursor, EffectiveFilter, Epoch, Filter, FilterSet, Labels, Life, MaxRate, NameHasher, Offset,
    PacedFilter, Scope, Sight, Topic, Version,
};

use crate::subscriber::{Board, Place, Subscriber, Taken};
use crate::thing::Thing;

pub(crate) const EPOCH: Epoch = Epoch::new(7);
pub(crate) const LIFE: Life = Life::new(5);
/// Three streams, then two state topics. The last of each has labels.
const TOPICS: [&str; 5] = ["a/1", "a/2", "alerts/b", "state/x", "samples/y"];
/// Nobody, and two teams.
pub(crate) const TEAMS: usize = 3;
/// Everything, what one of the teams may see, alerts of the one and series of the other, nothing.
pub(crate) const SIGHTS: usize = 5;
/// Keys of both state topics that steps may name.
const KEYS: usize = 2 * 3;
const ROOM: StateLimits = StateLimits { keys_max: 100, bytes_max: usize::MAX };
/// What is followed: filters, each perhaps with a rate.
const FOLLOWED: [&[(&str, Option<f64>)]; 17] = [
    &[("a/1", None)],
    &[("a/*", None)],
    &[("**", None)],
    &[("a/1", None), ("alerts/b", None)],
    &[("a/1", None), ("state/x", None)],
    &[("state/x", None)],
    &[("samples/y", None)],
    &[("a/2", None), ("state/*", None), ("samples/*", None)],
    &[("state/**", None), ("samples/**", None), ("*/2", None)],
    &[("state/x", Some(100.0))],
    &[("state/*", Some(50.0)), ("samples/*", Some(50.0)), ("alerts/b", None)],
    &[("**", Some(20.0))],
    &[("state/x", None), ("samples/y", Some(100.0))],
    &[("state/*", Some(100.0)), ("samples/*", Some(100.0))],
    &[("state/x", Some(20.0))],
    &[("samples/y", Some(20.0))],
    &[("samples/y", Some(100.0))],
];

/// One thing that happens. Subscribers are counted round.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Publish {
        topic: usize,
        team: usize,
    },
    Put {
        topic: usize,
        key: u8,
        team: usize,
        /// Whether there is no room for what is remembered of keys that are gone.
        is_tight: bool,
    },
    Delete {
        topic: usize,
        key: u8,
    },
    Feed,
    Pass {
        ms: u64,
    },
    Trim {
        topic: usize,
        count: usize,
    },
    Join {
        followed: usize,
        start: JoinAt,
        sight: usize,
    },
    Subscribe {
        subscriber: usize,
        followed: usize,
        start: JoinAt,
    },
    Unite {
        subscriber: usize,
    },
    Narrow {
        subscriber: usize,
        followed: usize,
    },
    /// Rights leave no more than this of all that it follows.
    Lose {
        subscriber: usize,
        followed: usize,
    },
    Take {
        subscriber: usize,
        place: usize,
        count: usize,
    },
    Leave {
        subscriber: usize,
    },
    /// Notes the cursor of a subscriber, and what it has.
    Note {
        subscriber: usize,
    },
    /// Somebody comes back with a cursor that was noted.
    Resume {
        note: usize,
    },
    Compact,
}

#[derive(Clone, Debug)]
pub(crate) enum JoinAt {
    Latest,
    Earliest,
    Back(u64),
    OtherEpoch,
    Future,
}

/// An event of the journal.
pub(crate) struct Written {
    pub(crate) offset: Offset,
    pub(crate) topic: Topic,
    pub(crate) thing: Thing,
    /// Whether retention has removed it.
    pub(crate) is_gone: bool,
}

/// A cursor, and what a subscriber had when it was given it.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) follows: EffectiveFilter,
    pub(crate) cursor: Cursor,
    pub(crate) sight: usize,
    pub(crate) board: Board,
}

/// What the table charges a key with whose value somebody has.
fn key_bytes() -> usize {
    let mut table = StateTable::new(LIFE, NameHasher::new([1, 2]));
    let value = table.put((&topic(3), "k0"), (Thing::from(0), 8), ROOM).expect("room");
    table.settle(1, |_| 0);
    drop(value);
    table.size_bytes()
}

/// What is known of all that came out of the hub.
#[derive(Default)]
pub(crate) struct Known {
    /// What was gone when a page was read last for a lane of this number.
    pub(crate) gone: BTreeMap<LaneId, Offset>,
    /// Whoever gets something that arrived then gets this.
    pub(crate) arrived: BTreeMap<Arrival, (Version, bool)>,
    /// The teams that ever had a key.
    pub(crate) teams: BTreeMap<(Topic, Arc<str>), BTreeSet<usize>>,
}

pub(crate) struct World {
    /// Every event ever.
    journal: Vec<Written>,
    fed: usize,
    table: StateTable<Thing>,
    changes: u64,
    now_ms: u64,
    unfed_values: Vec<Arc<Value<Thing>>>,
    hub: Hub<Thing>,
    subscribers: Vec<Subscriber>,
    notes: Vec<Note>,
    /// Whether there was no room for what is remembered of keys that are gone.
    has_forgotten: bool,
    known: Known,
}

/// An event of the journal as the hub takes it.
fn hub_entry(written: &Written) -> Arc<Entry<Thing>> {
    let Written { offset, topic, thing, .. } = written;
    let (topic, payload) = (topic.clone(), thing.clone());
    Arc::new(Entry { offset: *offset, topic, size_bytes: 10, payload })
}

/// Of one of the teams, or of none.
fn labels(team: usize) -> Option<Labels> {
    let name = *["a", "b"].get(team.checked_sub(1)?)?;
    Some(Labels::from_pairs([("team", name)]).expect("labels"))
}

fn sight(index: usize) -> Sight {
    let of = |team: &str| Scope::of(vec![format!("team={team}").parse().expect("matchers")]);
    match index {
        0 => Sight::all(),
        1 => Sight { alerts: of("a"), series: of("a") },
        2 => Sight { alerts: of("b"), series: of("b") },
        3 => Sight { alerts: of("a"), series: of("b") },
        _ => Sight { alerts: Scope::none(), series: Scope::none() },
    }
}

/// Whether what is of this team may be seen.
pub(crate) fn is_seen(sight: &Sight, topic: &Topic, team: usize) -> bool {
    let labels = labels(team);
    sight.shows(topic, || labels.as_ref())
}

fn topic(index: usize) -> Topic {
    TOPICS[index].parse().expect("a topic")
}

fn followed(index: usize, sight_index: usize) -> EffectiveFilter {
    let paced = |(filter, rate): &(&str, Option<f64>)| PacedFilter {
        filter: filter.parse().expect("a filter"),
        max_rate: rate.map(|rate| MaxRate::per_second(rate).expect("a rate")),
    };
    let follows = EffectiveFilter::new(FOLLOWED[index].iter().map(paced)).expect("a filter");
    let everything = FilterSet::from("**".parse::<Filter>().expect("a filter"));
    follows.within(&everything, &sight(sight_index)).expect("few filters")
}

impl World {
    pub(crate) fn new(lane_entries_max: usize) -> Self {
        let limits = HubLimits {
            ring_events_max: 8,
            ring_bytes_max: 1_000,
            lane_entries_max,
            ring_looks_max: 2,
            ..HubLimits::default()
        };
        Self {
            journal: Vec::new(),
            fed: 0,
            table: StateTable::new(LIFE, NameHasher::new([1, 2])),
            changes: 0,
            now_ms: 0,
            unfed_values: Vec::new(),
            hub: Hub::new(Cursor::new(EPOCH, Offset::ZERO), limits, NameHasher::new([1, 2])),
            subscribers: Vec::new(),
            notes: Vec::new(),
            has_forgotten: false,
            known: Known::default(),
        }
    }

    pub(crate) fn run(&mut self, step: &Step) {
        match step {
            Step::Publish { topic: index, team } => {
                // Offsets have holes.
                let offset = Offset::new(self.tail().get() + 1 + (*index as u64 % 2));
                let thing = Thing { number: offset.get(), labels: labels(*team) };
                let written = Written { offset, topic: topic(*index), thing, is_gone: false };
                self.journal.push(written);
            }
            Step::Put { topic: index, key, team, is_tight } => {
                self.changes += 1;
                self.has_forgotten |= *is_tight;
                let (topic, key) = (topic(*index), format!("k{key}"));
                let thing = Thing { number: self.changes, labels: labels(*team) };
                let keys = self.table.keys() + usize::from(self.table.get(&topic, &key).is_none());
                let bytes_max = if *is_tight { keys * key_bytes() } else { usize::MAX };
                let room = StateLimits { bytes_max, ..ROOM };
                let put = self.table.put((&topic, &key), (thing, 8), room).expect("room");
                let teams = self.known.teams.entry((topic, Arc::clone(&put.key)));
                teams.or_default().insert(*team);
                self.unfed_values.push(put);
            }
            Step::Delete { topic: index, key } => {
                let (topic, key) = (topic(*index), format!("k{key}"));
                self.unfed_values.extend(self.table.delete((&topic, &key), (Thing::from(0), 0)));
            }
            Step::Feed => self.feed(),
            Step::Pass { ms } => {
                self.now_ms += ms;
                let (waiting, mut touched) = (self.waiting(), Vec::new());
                self.hub.release(self.now_ms, &mut touched);
                self.check_touched(&waiting, &touched);
            }
            Step::Trim { topic, count } => self.trim(TOPICS[*topic], *count),
            Step::Join { followed: index, start, sight } => {
                let main = self.join(followed(*index, *sight), start);
                self.subscribers.push(Subscriber::new(main, *sight));
            }
            Step::Compact => self.compact(),
            Step::Resume { note } => {
                if !self.notes.is_empty() {
                    self.resume(note % self.notes.len());
                }
            }
            Step::Subscribe { subscriber, .. }
            | Step::Unite { subscriber }
            | Step::Narrow { subscriber, .. }
            | Step::Lose { subscriber, .. }
            | Step::Take { subscriber, .. }
            | Step::Note { subscriber }
            | Step::Leave { subscriber } => {
                if !self.subscribers.is_empty() {
                    self.run_for(subscriber % self.subscribers.len(), step);
                }
            }
        }
        // What nobody has any more is packed, and comes all the same.
        self.table.settle(2, |_| 0);
    }

    fn run_for(&mut self, index: usize, step: &Step) {
        let sight = self.subscribers[index].sight;
        match step {
            Step::Subscribe { followed: other, start, .. } => {
                let added = self.join(followed(*other, sight), start);
                self.subscribers[index].added.push(added);
            }
            Step::Unite { .. } => self.unite(index),
            Step::Narrow { followed: part, .. } => self.narrow(index, &followed(*part, sight)),
            Step::Lose { followed: allowed, .. } => {
                self.lose(index, followed(*allowed, sight).filters());
            }
            Step::Take { place, count, .. } => {
                let places = self.subscribers[index].places().count();
                self.take((index, place % places), *count);
            }
            Step::Note { .. } => {
                self.notes.extend(self.subscribers[index].note(&self.hub));
            }
            Step::Leave { .. } => {
                let Subscriber { main, added, .. } = self.subscribers.swap_remove(index);
                let mut gone: Vec<Place> = added;
                gone.push(main);
                while let Some(Place { follows, delivery, .. }) = gone.pop() {
                    let end = self.hub.leave(&delivery);
                    let stays = self.is_followed(&follows)
                        || gone.iter().any(|place| place.follows == follows);
                    assert_eq!(end == LaneEnd::Stays, stays);
                }
            }
            other => unreachable!("{other:?} is for all"),
        }
    }

    fn tail(&self) -> Offset {
        self.journal.last().map_or(Offset::ZERO, |written| written.offset)
    }

    fn trimmed(&self, filters: &FilterSet) -> Offset {
        let is_gone = |it: &&Written| it.is_gone && filters.matches(&it.topic);
        self.journal.iter().rev().find(is_gone).map_or(Offset::ZERO, |written| written.offset)
    }

    fn is_followed(&self, follows: &EffectiveFilter) -> bool {
        let mut places = self.subscribers.iter().flat_map(Subscriber::places);
        places.any(|place| place.follows == *follows)
    }

    fn trim(&mut self, topic: &str, count: usize) {
        let kept = self.journal.iter_mut().filter(|it| it.topic.as_str() == topic && !it.is_gone);
        kept.take(count).for_each(|it| it.is_gone = true);
    }

    fn feed(&mut self) {
        let entries: Vec<_> = self.journal[self.fed..].iter().map(hub_entry).collect();
        self.fed = self.journal.len();
        let (waiting, mut touched) = (self.waiting(), Vec::new());
        self.hub.push(&entries, &mut touched);
        self.check_touched(&waiting, &touched);
        touched.sort_unstable();
        let named = touched.len();
        touched.dedup();
        assert_eq!(touched.len(), named, "a batch names each lane once");
        self.feed_values();
    }

    /// Those who wait until their lane is touched.
    fn waiting(&self) -> Vec<Delivery> {
        let places =
            self.subscribers.iter().flat_map(|it| std::iter::once(&it.main).chain(&it.added));
        let deliveries = places.map(|place| &place.delivery);
        deliveries.filter(|delivery| self.hub.is_complete(delivery)).cloned().collect()
    }

    fn check_touched(&self, waiting: &[Delivery], touched: &[LaneId]) {
        for delivery in waiting {
            let is_woken = touched.contains(&delivery.lane());
            assert!(is_woken || self.hub.is_complete(delivery), "whoever waits is woken");
        }
    }

    fn feed_values(&mut self) {
        let values = std::mem::take(&mut self.unfed_values);
        let (waiting, mut touched) = (self.waiting(), Vec::new());
        self.hub.push_values(&values, self.now_ms, &mut touched);
        self.check_touched(&waiting, &touched);
    }

    fn join(&mut self, follows: EffectiveFilter, start: &JoinAt) -> Place {
        let tail = self.tail();
        let after = |epoch, offset| Start::After(Cursor::new(epoch, Offset::new(offset)));
        let start = match start {
            JoinAt::Latest => Start::Latest,
            JoinAt::Earliest => Start::Earliest,
            JoinAt::Back(back) => after(EPOCH, tail.get().saturating_sub(*back)),
            JoinAt::OtherEpoch => after(Epoch::new(6), 3),
            JoinAt::Future => after(EPOCH, tail.get() + 5),
        };
        let (Joined { delivery, gap, reset }, began_after) = self.begin(&follows, start);
        let has_cursor = matches!(start, Start::After(_));
        assert_eq!(reset.is_some(), has_cursor, "it says nothing of state topics");
        assert_eq!(gap.is_some_and(|gap| gap.reason == GapReason::Epoch), gap.is_some());
        self.judge_snapshot(delivery.clone());
        Place::new(follows, delivery, began_after)
    }

    fn begin(&mut self, follows: &EffectiveFilter, start: Start) -> (Joined, Option<Offset>) {
        let tail = self.tail();
        let any = FilterSet::from("**".parse::<Filter>().expect("a filter"));
        let begin = Begin { start, tail, trimmed: self.trimmed(&any) };
        let unfed = &mut self.unfed_values;
        let joined = self.hub.join(follows, begin, |hub| {
            hub.push_values(&std::mem::take(unfed), self.now_ms, &mut Vec::new());
            self.table.snapshot(follows.filters())
        });
        let joined = joined.expect("room");
        let began_after = match (start, joined.gap) {
            (Start::Latest, _) => Some(tail),
            (Start::After(cursor), None) => Some(cursor.offset),
            (_, Some(gap)) => Some(gap.to.offset),
            (Start::Earliest, None) => None,
        };
        (joined, began_after)
    }

    /// Somebody comes back with what it had when it was given a cursor.
    fn resume(&mut self, note: usize) {
        let Note { follows, cursor, sight, board } = self.notes[note].clone();
        let (Joined { delivery, gap, reset }, began_after) =
            self.begin(&follows, Start::After(cursor));
        assert_eq!(gap, None, "the journal is the same");
        let board = if reset.is_some() { Board::new() } else { board };
        let place = Place::resumed(follows, delivery, (began_after, &board));
        self.subscribers.push(Subscriber::resumed(place, sight, board));
    }

    /// A newcomer sees no value twice, and in the end what those see who keep up.
    fn judge_snapshot(&mut self, mut newcomer: Delivery) {
        let mut snapshot = Board::new();
        while let Next::Values(mut values) = self.hub.next(&mut newcomer) {
            for (_, value) in values.by_ref() {
                let key = (value.topic.clone(), Arc::clone(&value.key));
                let old = snapshot.insert(key, value.payload.number);
                assert_eq!(
                    old, None,
                    "of each key the newest that has come to the hub, and no other"
                );
            }
            newcomer.took_values(values.end());
        }
        for place in self.subscribers.iter().flat_map(Subscriber::places) {
            let is_same_lane = place.delivery.lane() == newcomer.lane();
            if is_same_lane && place.has_stayed && self.hub.is_complete(&place.delivery) {
                assert_eq!(snapshot, place.values);
            }
        }
    }

    /// Unites what is complete.
    fn unite(&mut self, index: usize) {
        let mut waiting = std::mem::take(&mut self.subscribers[index].added).into_iter();
        while let Some(added) = waiting.next() {
            let main = &mut self.subscribers[index].main;
            let is_complete = |place: &Place| self.hub.is_complete(&place.delivery);
            if !is_complete(main) || !is_complete(&added) {
                self.subscribers[index].added.push(added);
                continue;
            }
            let ends = self.hub.unite(&mut main.delivery, added.delivery.clone());
            let (old, other) = (main.follows.clone(), added.follows.clone());
            main.unite(added);
            self.subscribers[index].told = None;
            let main = &self.subscribers[index].main;
            assert_eq!(self.hub.follows(main.delivery.lane()), &main.follows);
            let waits = |follows: &EffectiveFilter| {
                waiting.as_slice().iter().any(|place| place.follows == *follows)
            };
            let is_left = |follows: &EffectiveFilter| !self.is_followed(follows) && !waits(follows);
            assert_eq!(ends.added == LaneEnd::Ended, is_left(&other));
            if other != old {
                assert_eq!(ends.main == LaneEnd::Ended, is_left(&old));
            }
        }
    }

    fn narrow(&mut self, index: usize, follows: &EffectiveFilter) {
        let subscriber = &mut self.subscribers[index];
        if subscriber.main.follows.covers(follows) {
            let old = subscriber.main.follows.clone();
            let end = self.hub.narrow(&mut subscriber.main.delivery, follows);
            subscriber.narrow(follows);
            assert_eq!(end == LaneEnd::Stays, self.is_followed(&old));
        }
    }

    fn lose(&mut self, index: usize, allowed: &FilterSet) {
        for place in 0..=self.subscribers[index].added.len() {
            let subscriber = &mut self.subscribers[index];
            let at = subscriber.place_mut(place);
            let old = at.follows.clone();
            let rest = old.clone().within(allowed, old.sight()).expect("few filters");
            let end = self.hub.narrow(&mut at.delivery, &rest);
            at.narrow(&rest);
            subscriber.forget_what_is_lost();
            assert_eq!(end == LaneEnd::Stays, self.is_followed(&old));
        }
    }

    fn compact(&mut self) {
        let places = || self.subscribers.iter().flat_map(Subscriber::places);
        for place in places() {
            let lane = place.delivery.lane();
            let members = places().filter(|other| other.delivery.lane() == lane);
            let seen = members.map(|other| other.delivery.deletions_seen()).min().expect("itself");
            let deletions = self.hub.compact(lane, seen);
            let is_one = self.has_forgotten || deletions <= KEYS;
            assert!(is_one, "a key that comes and goes is one change, as long as it is remembered");
        }
    }

    /// Lets a subscriber take up to `count` things; returns whether it has all there is.
    fn take(&mut self, (index, place): (usize, usize), count: usize) -> bool {
        for _ in 0..count {
            let subscriber = &mut self.subscribers[index];
            match subscriber.take(place, &mut self.hub, &mut self.known) {
                Taken::Nothing => return true,
                Taken::Something => {}
                Taken::History(after) => {
                    let place = subscriber.places().nth(place).expect("it was just there");
                    let lane = place.delivery.lane();
                    let page = self.page(lane, after);
                    self.known.gone.insert(lane, page.trimmed);
                    self.hub.push_history(page, |_| 0);
                }
            }
        }
        false
    }

    fn page(&self, lane: LaneId, after: Offset) -> HistoryPage<Thing> {
        let filters = self.hub.filters(lane);
        let kept = |it: &&Written| it.offset > after && !it.is_gone && filters.matches(&it.topic);
        let entries: Vec<_> = self.journal.iter().filter(kept).take(4).collect();
        let end = if entries.len() == 4 { entries[3].offset } else { self.tail() };
        let entries = entries.into_iter().map(hub_entry).collect();
        let (trimmed, gone) = (self.trimmed(filters), Gone::Retired);
        HistoryPage { lane, after, end, trimmed, gone, entries }
    }

    /// Lets everybody have everything, and holds each against the laws.
    pub(crate) fn judge(&mut self) {
        self.feed();
        while let Some(at_ms) = self.hub.next_release() {
            assert!(at_ms > self.now_ms, "what is due was let in");
            self.run(&Step::Pass { ms: at_ms - self.now_ms });
        }
        for index in 0..self.subscribers.len() {
            for place in 0..=self.subscribers[index].added.len() {
                assert!(self.take((index, place), 10_000), "every subscriber makes progress");
            }
            self.subscribers[index].judge(&self.journal, &self.table);
            let lanes = self.subscribers[index].places().map(|place| place.follows.clone());
            for follows in lanes.collect::<Vec<_>>() {
                let newcomer = self.join(follows, &JoinAt::Latest);
                self.hub.leave(&newcomer.delivery);
            }
            for place in self.subscribers[index].places() {
                assert!(self.hub.cursor(&place.delivery).offset >= self.tail());
                assert!(self.hub.is_complete(&place.delivery));
            }
        }
    }
}
