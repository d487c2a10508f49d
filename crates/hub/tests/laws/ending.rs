//! A topic ends behind the last of its values, whoever follows it, how slowly, and at which rate.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_hub::{
    Begin, Delivery, Entries, Entry, Hub, HubLimits, Next, Start, StateLimits, StateTable, Value,
};
use bellwire_model::{
    Cursor, EffectiveFilter, Life, MaxRate, NameHasher, Offset, PacedFilter, Topic,
};
use proptest::prelude::*;

use crate::thing::Thing;
use crate::world::EPOCH;

const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
const FILTERS: [(&str, Option<f64>); 5] =
    [("jobs/1", None), ("jobs/*", None), ("jobs/1", Some(1.0)), ("**", Some(50.0)), ("**", None)];
/// The last of them, which has all at once.
const EVERYTHING: usize = FILTERS.len() - 1;

#[derive(Clone, Debug)]
enum Step {
    /// A key of one of the topics changes.
    Put(usize, u8),
    Delete(usize, u8),
    /// An event of a stream that all follow by a wildcard.
    Stream,
    Pass(u64),
    /// Somebody comes, from where another is if that is said.
    Join(usize, Option<usize>),
    /// One of them leaves, and comes again from where it was.
    Return(usize),
    /// One of them takes so many things.
    Take(usize, usize),
    /// The topic ends, and is reopened later.
    End,
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_usize, 0..4_u8).prop_map(|(topic, key)| Step::Put(topic, key)),
        2 => (0..2_usize, 0..4_u8).prop_map(|(topic, key)| Step::Delete(topic, key)),
        2 => Just(Step::Stream),
        2 => (1..400_u64).prop_map(Step::Pass),
        3 => (0..FILTERS.len(), prop::option::of(any::<usize>()))
            .prop_map(|(filter, from)| Step::Join(filter, from)),
        2 => any::<usize>().prop_map(Step::Return),
        8 => (any::<usize>(), 1..4_usize).prop_map(|(who, count)| Step::Take(who, count)),
        1 => Just(Step::End),
        1 => Just(Step::Reopen),
    ]
}

type Board = BTreeMap<Arc<str>, u64>;

struct Follower {
    follows: EffectiveFilter,
    delivery: Delivery,
    board: Board,
}

struct World {
    table: StateTable<Thing>,
    hub: Hub<Thing>,
    topics: [Topic; 2],
    tail: u64,
    now_ms: u64,
    number: u64,
    /// What the topic had at its ends.
    ended: BTreeMap<Offset, Board>,
    has_ended: bool,
    entries: Vec<Arc<Entry<Thing>>>,
    followers: Vec<Follower>,
}

fn topic(name: &str) -> Topic {
    name.parse().expect("a topic")
}

impl World {
    fn new(limits: HubLimits) -> Self {
        let hasher = NameHasher::new([1, 2]);
        let hub = Hub::new(Cursor::new(EPOCH, Offset::ZERO), limits, hasher);
        Self {
            table: StateTable::new(Life::new(5), hasher),
            hub,
            topics: [topic("jobs/1"), topic("jobs/2")],
            tail: 0,
            now_ms: 1,
            number: 0,
            ended: BTreeMap::new(),
            has_ended: false,
            entries: Vec::new(),
            followers: Vec::new(),
        }
    }

    fn push_values(&mut self, values: &[Arc<Value<Thing>>]) {
        self.hub.push_values(values, self.now_ms, &mut Vec::new());
    }

    fn push(&mut self, topic: Topic, payload: Thing) -> Offset {
        self.tail += 1;
        let offset = Offset::new(self.tail);
        let entry = Arc::new(Entry { offset, topic, size_bytes: 1, payload });
        self.hub.push(&[Arc::clone(&entry)], &mut Vec::new());
        self.entries.push(entry);
        offset
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put(0, _) | Step::Delete(0, _) | Step::End if self.has_ended => {}
            Step::Put(topic, key) => {
                self.number += 1;
                let thing = (Thing::from(self.number), 8);
                let put = self.table.put((&self.topics[*topic], &key.to_string()), thing, ROOM);
                self.push_values(&[put.expect("room")]);
            }
            Step::Delete(topic, key) => {
                let thing = (Thing::from(0), 0);
                let key = key.to_string();
                let deleted = self.table.delete((&self.topics[*topic], &key), thing);
                self.push_values(&Vec::from_iter(deleted));
            }
            Step::Stream => drop(self.push(topic("log"), Thing::from(1))),
            Step::Pass(ms) => {
                self.now_ms += ms;
                self.hub.release(self.now_ms, &mut Vec::new());
            }
            Step::Join(filter, from) => self.join(*filter, *from),
            Step::Return(who) => {
                if let Some(who) = who.checked_rem(self.followers.len()) {
                    let Follower { follows, delivery, board } = self.followers.remove(who);
                    let start = Start::After(self.hub.full_cursor(&delivery));
                    self.hub.leave(&delivery);
                    self.begin(follows, start, board);
                }
            }
            Step::Take(who, count) => {
                let who = who.checked_rem(self.followers.len());
                for _ in 0..*count {
                    if let Some(who) = who {
                        self.take(who);
                    }
                }
            }
            Step::End => {
                let at = self.push(self.topics[0].clone(), Thing::from(Thing::END));
                let values = self.table.values().filter(|value| value.topic == self.topics[0]);
                let board = values.map(|it| (Arc::clone(&it.key), it.payload.number)).collect();
                self.ended.insert(at, board);
                self.has_ended = true;
            }
            Step::Reopen => self.has_ended = false,
        }
    }

    fn join(&mut self, filter: usize, from: Option<usize>) {
        let (filter, rate) = FILTERS[filter];
        let max_rate = rate.map(|rate| MaxRate::per_second(rate).expect("a rate"));
        let paced = PacedFilter { filter: filter.parse().expect("a filter"), max_rate };
        let follows = EffectiveFilter::new([paced]).expect("a filter");
        let from = from.and_then(|from| from.checked_rem(self.followers.len()));
        let from = from.map(|from| &self.followers[from]).filter(|it| it.follows == follows);
        let (start, board) = match from {
            Some(from) => (Start::After(self.hub.full_cursor(&from.delivery)), from.board.clone()),
            None => (Start::Latest, Board::new()),
        };
        self.begin(follows, start, board);
    }

    fn begin(&mut self, follows: EffectiveFilter, start: Start, board: Board) {
        let begin = Begin { start, tail: Offset::new(self.tail), trimmed: Offset::ZERO };
        let snapshot = |_: &mut Hub<Thing>| self.table.snapshot(follows.filters());
        let joined = self.hub.join(&follows, begin, snapshot).expect("room");
        let board = if joined.reset.is_some() { Board::new() } else { board };
        self.followers.push(Follower { follows, delivery: joined.delivery, board });
    }

    /// Some of what comes next.
    fn take(&mut self, who: usize) {
        let Follower { delivery, board, .. } = &mut self.followers[who];
        match self.hub.next(delivery) {
            Next::Values(mut values) => {
                for (arrival, value) in values.by_ref().take(2) {
                    delivery.took_value(arrival);
                    if value.topic != self.topics[0] {
                        continue;
                    }
                    if value.is_deletion {
                        board.remove(&value.key);
                    } else {
                        board.insert(Arc::clone(&value.key), value.payload.number);
                    }
                }
                if values.count_max() == 0 {
                    delivery.took_values(values.end());
                }
            }
            Next::Entries(mut entries) => {
                let page_end = match &entries {
                    Entries::Page(_, end) => Some(*end),
                    Entries::Lane(_) => None,
                };
                for entry in entries.by_ref().take(4) {
                    delivery.took_entry(entry.offset);
                    if let Some(expected) = self.ended.get(&entry.offset) {
                        let newer = self.ended.range(entry.offset..).nth(1).is_some();
                        // Behind a topic that was reopened there may be newer values.
                        if !newer && self.has_ended {
                            assert_eq!(board, expected, "at the end of the topic");
                        }
                    }
                }
                if let Some(end) = page_end.filter(|_| entries.next().is_none()) {
                    delivery.took_page(end);
                }
            }
            Next::Ready(_) => delivery.took_ready(),
            Next::Gap(gap) => delivery.took_gap(&gap),
            Next::History(after) => panic!("the ring has all after {after}"),
            Next::Later | Next::Nothing => {}
        }
    }
}

proptest! {
    #[test]
    fn a_topic_ends_behind_the_last_of_its_values(
        steps in prop::collection::vec(any_step(), 1..120),
        lane_entries_max in prop_oneof![Just(HubLimits::default().lane_entries_max), 1..9_usize],
    ) {
        let mut world = World::new(HubLimits { lane_entries_max, ..HubLimits::default() });
        world.join(0, None);
        world.join(2, None);
        for step in &steps {
            world.step(step);
        }
        // Everybody comes to the end of everything.
        for who in 0..world.followers.len() {
            for _ in 0..1_000 {
                world.take(who);
            }
            let Follower { delivery, .. } = &world.followers[who];
            prop_assert!(world.hub.is_complete(delivery));
        }
    }
}

#[test]
fn a_stream_gets_on_beside_values_that_come_faster_however_often_topics_end() {
    const ROUNDS: u8 = 100;
    const VALUES: u8 = 4;
    let mut world = World::new(HubLimits::default());
    world.join(EVERYTHING, None);
    for stretch in 0..8 {
        let before = world.followers[0].delivery.offset();
        for round in 0..ROUNDS {
            let first = round.wrapping_mul(VALUES);
            (0..VALUES).for_each(|it| world.step(&Step::Put(1, first.wrapping_add(it))));
            for step in [Step::Stream, Step::End, Step::Reopen, Step::Take(0, 1)] {
                world.step(&step);
            }
        }
        let after = world.followers[0].delivery.offset();
        assert!(after > before, "it stands at {after} in stretch {stretch}");
    }
}
