//! State topics on the disk: who comes back has what there is, whichever life of the table it asks.
//!
//! The journal is the plainest there is: the newest change of each key, by its offset.

use std::collections::BTreeMap;

use bellwire_hub::{
    Begin, Delivery, Entries, Gone, HistoryPage, Hub, HubLimits, Next, Start, StateLimits,
    StateTable, Value,
};
use bellwire_model::limits::DELETIONS_OF_TOPIC_MIN;
use bellwire_model::{Cursor, EffectiveFilter, Filter, FilterSet, Life, NameHasher, Offset, Topic};
use proptest::prelude::*;

use crate::thing::Thing;
use crate::world::EPOCH;

const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
const KEYS: u8 = 6;

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Delete(u8),
    /// A change of a topic that is in memory: versions and offsets go apart.
    Other,
    /// An event of a stream takes an offset.
    Stream,
    /// The journal forgets its oldest deletion.
    Forget,
    /// The client takes so many values.
    Take(usize),
    /// The client is cut off, and comes back to the same process.
    Cut,
    /// The process is killed; the client comes back to the next one.
    Kill,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS).prop_map(Step::Put),
        4 => (0..KEYS).prop_map(Step::Delete),
        2 => Just(Step::Other),
        2 => Just(Step::Stream),
        1 => Just(Step::Forget),
        4 => (0..4_usize).prop_map(Step::Take),
        2 => Just(Step::Cut),
        2 => Just(Step::Kill),
    ]
}

/// What a change makes of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    There,
    Gone,
}

/// The newest change of each key: where it is, and what it made of the key.
type Rows = BTreeMap<Offset, (String, Fate)>;

struct World {
    rows: Rows,
    tail: Offset,
    horizon: Offset,
    life: u32,
    table: StateTable<Thing>,
    hub: Hub<Thing>,
    delivery: Delivery,
    /// What the client has: of each key the offset of its value.
    board: BTreeMap<String, Offset>,
    cursor: Cursor,
    resets: usize,
    /// Values that came.
    came: usize,
}

fn topic(name: &str) -> Topic {
    name.parse().expect("a topic")
}

fn follows() -> EffectiveFilter {
    EffectiveFilter::from(FilterSet::from("jobs/*".parse::<Filter>().expect("a filter")))
}

fn hub(tail: Offset) -> Hub<Thing> {
    Hub::new(Cursor::new(EPOCH, tail), HubLimits::default(), NameHasher::new([1, 2]))
}

impl World {
    fn new() -> Self {
        let mut table = StateTable::new(Life::new(1), NameHasher::new([1, 2]));
        let mut hub = hub(Offset::ZERO);
        let (delivery, cursor) = join(&mut hub, &mut table, Start::Latest, Offset::ZERO);
        assert_eq!(cursor, None);
        let cursor = hub.full_cursor(&delivery);
        let (rows, tail, horizon) = (Rows::new(), Offset::ZERO, Offset::ZERO);
        let (life, board, resets, came) = (1, BTreeMap::new(), 0, 0);
        Self { rows, tail, horizon, life, table, hub, delivery, board, cursor, resets, came }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put(key) => self.change(*key, Fate::There),
            Step::Delete(key) => self.change(*key, Fate::Gone),
            Step::Other => {
                let put = self.table.put((&topic("other"), "a"), (Thing::from(1), 8), ROOM);
                self.hub.push_values(&[put.expect("room")], 0, &mut Vec::new());
            }
            Step::Stream => self.tail = Offset::new(self.tail.get() + 1),
            Step::Forget => {
                let oldest = self.rows.iter().find(|(_, (_, fate))| *fate == Fate::Gone);
                if let Some(offset) = oldest.map(|(offset, _)| *offset) {
                    self.rows.remove(&offset);
                    self.horizon = offset;
                }
            }
            Step::Take(count) => self.take(*count),
            Step::Cut => self.come_back(),
            Step::Kill => {
                self.restart();
                self.come_back();
            }
        }
        // What nobody has any more is packed, and comes all the same.
        self.table.settle(2, |_| 0);
    }

    fn change(&mut self, key: u8, fate: Fate) {
        let (topic, key) = (topic(&format!("jobs/{}", key % 2)), key.to_string());
        let before = self.rows.iter().find(|(_, (name, _))| *name == key);
        let before = before.map(|(offset, (_, fate))| (*offset, *fate));
        if fate == Fate::Gone && before.is_none_or(|(_, fate)| fate == Fate::Gone) {
            return;
        }
        self.tail = Offset::new(self.tail.get() + 1);
        before.map(|(offset, _)| self.rows.remove(&offset));
        self.rows.insert(self.tail, (key.clone(), fate));
        let value = take_durable(&mut self.table, (&topic, &key), self.tail, fate);
        self.hub.push_values(&[value], 0, &mut Vec::new());
    }

    /// The client takes values, and is told where it is.
    fn take(&mut self, count: usize) {
        let came_before = self.came;
        while self.came < came_before + count {
            match self.hub.next(&mut self.delivery) {
                Next::Values(mut values) => {
                    let Some((arrival, value)) = values.next() else {
                        self.delivery.took_values(values.end());
                        continue;
                    };
                    self.came += 1;
                    if value.is_deletion {
                        self.board.remove(&*value.key);
                    } else {
                        self.board.insert(value.key.to_string(), value.durable);
                    }
                    self.delivery.took_value(arrival);
                }
                // No stream has anything that it follows.
                Next::History(after) => {
                    let (lane, end, trimmed) = (self.delivery.lane(), self.tail, Offset::ZERO);
                    let (gone, entries) = (Gone::Retired, Vec::new());
                    let page = HistoryPage { lane, after, end, trimmed, gone, entries };
                    self.hub.push_history(page, |_| 0);
                }
                Next::Entries(Entries::Page(_, end)) => self.delivery.took_page(end),
                Next::Ready(_) => self.delivery.took_ready(),
                Next::Later => {}
                Next::Nothing => break,
                Next::Entries(Entries::Lane(mut entries)) => assert!(entries.next().is_none()),
                Next::Gap(gap) => panic!("nothing is gone: {gap:?}"),
            }
        }
        self.cursor = self.hub.full_cursor(&self.delivery);
    }

    fn come_back(&mut self) {
        self.hub.leave(&self.delivery);
        let start = Start::After(self.cursor);
        let (delivery, reset) = join(&mut self.hub, &mut self.table, start, self.tail);
        if let Some(cursor) = reset {
            self.board.clear();
            self.cursor = cursor;
            self.resets += 1;
        }
        self.delivery = delivery;
    }

    /// The next process knows what the journal has.
    fn restart(&mut self) {
        self.life += 1;
        self.table = StateTable::new(Life::new(self.life), NameHasher::new([1, 2]));
        for (offset, (key, fate)) in &self.rows {
            let number: u8 = key.parse().expect("a number");
            let topic = topic(&format!("jobs/{}", number % 2));
            take_durable(&mut self.table, (&topic, key), *offset, *fate);
        }
        self.table.forget_durable(None, self.horizon);
        self.hub = hub(self.tail).with_state(self.table.progress());
        // Nobody is there yet.
        self.delivery = join(&mut self.hub, &mut self.table, Start::Latest, self.tail).0;
    }

    fn check(&mut self) {
        self.take(100);
        let there = self.rows.iter().filter(|(_, (_, fate))| *fate == Fate::There);
        let truth: BTreeMap<String, Offset> =
            there.map(|(offset, (key, _))| (key.clone(), *offset)).collect();
        assert_eq!(self.board, truth);
    }
}

fn take_durable(
    table: &mut StateTable<Thing>,
    name: (&Topic, &str),
    offset: Offset,
    fate: Fate,
) -> std::sync::Arc<Value<Thing>> {
    match fate {
        Fate::There => table.put_durable(name, (Thing::from(1), 8), offset),
        Fate::Gone => table.delete_durable(name, (Thing::from(0), 0), offset),
    }
}

fn join(
    hub: &mut Hub<Thing>,
    table: &mut StateTable<Thing>,
    start: Start,
    tail: Offset,
) -> (Delivery, Option<Cursor>) {
    let begin = Begin { start, tail, trimmed: Offset::ZERO };
    let follows = follows();
    let joined = hub.join(&follows, begin, |_| table.snapshot(follows.filters())).expect("room");
    (joined.delivery, joined.reset)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn who_comes_back_has_what_there_is(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.step(&step);
        }
        world.check();
    }
}

#[test]
fn after_a_restart_only_what_has_changed_comes() {
    let mut world = World::new();
    for step in [Step::Put(0), Step::Put(1), Step::Put(2), Step::Delete(2), Step::Take(9)] {
        world.step(&step);
    }
    assert_eq!(world.cursor.to_string(), "e7-4.s1-4.d4");
    for step in [Step::Put(3), Step::Delete(1), Step::Other, Step::Kill] {
        world.step(&step);
    }
    let before = world.came;
    world.check();
    assert_eq!((world.came - before, world.resets), (2, 0));
    // The journal has forgotten what the client would have to be told.
    for step in [Step::Delete(3), Step::Forget, Step::Forget, Step::Forget, Step::Kill] {
        world.step(&step);
    }
    world.check();
    assert_eq!((world.resets, world.board.len()), (1, 1));
}

#[test]
fn a_start_forgets_no_deletion_for_keys_that_it_has_not_come_to() {
    const GONE: usize = 2 * DELETIONS_OF_TOPIC_MIN;
    let begins_anew = |there: usize| {
        let mut table = StateTable::new(Life::new(2), NameHasher::new([1, 2]));
        table.load(|table| {
            for number in 0..GONE + there {
                let fate = if number < GONE { Fate::Gone } else { Fate::There };
                let name = (&topic("jobs/0"), &*number.to_string());
                take_durable(table, name, Offset::new(number as u64 + 1), fate);
            }
        });
        let tail = Offset::new((GONE + there) as u64);
        let mut hub = hub(tail).with_state(table.progress());
        let start = Start::After("e7-0.s1-1.d1".parse().expect("a cursor"));
        join(&mut hub, &mut table, start, tail).1.is_some()
    };
    assert!(!begins_anew(GONE));
    assert!(begins_anew(GONE - 2), "no more are remembered than there are keys");
}
