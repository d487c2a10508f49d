//! Rates and turns, told one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_hub::{
    Begin, Delivery, Entry, Hub, HubLimits, Next, Start, StateLimits, StateTable, Value,
};
use bellwire_model::{
    Cursor, EffectiveFilter, Epoch, Life, MaxRate, NameHasher, Offset, PacedFilter, Topic,
};
use proptest::prelude::*;

use crate::thing::Thing;

const ROOM: StateLimits = StateLimits { keys_max: 100, bytes_max: usize::MAX };

fn hub() -> Hub<Thing> {
    let tail = Cursor::new(Epoch::new(7), Offset::ZERO);
    Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]))
}

fn empty_table() -> StateTable<Thing> {
    StateTable::new(Life::new(5), NameHasher::new([1, 2]))
}

fn follow(filters: &[(&str, Option<f64>)]) -> EffectiveFilter {
    let paced = |(filter, rate): &(&str, Option<f64>)| PacedFilter {
        filter: filter.parse().expect("a filter"),
        max_rate: rate.map(|rate| MaxRate::per_second(rate).expect("a rate")),
    };
    EffectiveFilter::new(filters.iter().map(paced)).expect("a filter")
}

fn join(
    hub: &mut Hub<Thing>,
    follows: &EffectiveFilter,
    table: &mut StateTable<Thing>,
) -> Delivery {
    let begin = Begin { start: Start::Latest, tail: Offset::ZERO, trimmed: Offset::ZERO };
    hub.join(follows, begin, |_| table.snapshot(follows.filters())).expect("room").delivery
}

/// Everything that a subscriber lacks; values alone are told.
fn take_values(hub: &mut Hub<Thing>, delivery: &mut Delivery) -> Vec<Arc<Value<Thing>>> {
    let mut taken = Vec::new();
    loop {
        match hub.next(delivery) {
            Next::Values(mut values) => {
                taken.extend(values.by_ref().map(|(_, value)| Arc::clone(value)));
                delivery.took_values(values.end());
            }
            Next::Ready(_) => delivery.took_ready(),
            Next::Nothing => return taken,
            other => panic!("{other:?} was not to come"),
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Put(u8),
    Delete(u8),
    Pass(u64),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (0..3u8).prop_map(Change::Put),
        1 => (0..3u8).prop_map(Change::Delete),
        4 => (1..40u64).prop_map(Change::Pass),
    ];
    prop::collection::vec(change, 1..100)
}

proptest! {
    #[test]
    fn a_key_changes_no_more_often_than_asked_for(changes in changes()) {
        let (mut hub, mut table, mut now_ms) = (hub(), empty_table(), 1_000);
        let topics: [Topic; 2] = ["slow/x", "fast/x"].map(|topic| topic.parse().expect("a topic"));
        let follows = follow(&[("slow/*", Some(10.0)), ("fast/*", Some(50.0))]);
        let mut delivery = join(&mut hub, &follows, &mut table);
        let mut updated_ms: BTreeMap<(Topic, Arc<str>), u64> = BTreeMap::new();
        let mut board: BTreeMap<(Topic, Arc<str>), u64> = BTreeMap::new();
        for (number, change) in changes.iter().enumerate() {
            let mut values = Vec::new();
            for topic in &topics {
                match change {
                    Change::Put(key) => {
                        let put = table.put((topic, &key.to_string()), ((number as u64).into(), 8), ROOM);
                        values.push(put.expect("room"));
                    }
                    Change::Delete(key) => values.extend(table.delete((topic, &key.to_string()), (Thing::from(0), 0))),
                    Change::Pass(ms) => now_ms += ms,
                }
            }
            hub.release(now_ms, &mut Vec::new());
            hub.push_values(&values, now_ms, &mut Vec::new());
            drop(values);
            table.settle(3, |_| 0);
            for value in take_values(&mut hub, &mut delivery) {
                let key = (value.topic.clone(), Arc::clone(&value.key));
                let rate = follows.max_rate(&value.topic).expect("both have one");
                let before = updated_ms.insert(key.clone(), now_ms);
                prop_assert!(before.is_none_or(|before| before + rate.interval_ms() <= now_ms));
                if value.is_deletion { board.remove(&key) } else { board.insert(key, value.payload.number) };
            }
        }
        // The newest of each key comes within its interval, deletions too.
        hub.release(now_ms + 100, &mut Vec::new());
        for value in take_values(&mut hub, &mut delivery) {
            let key = (value.topic.clone(), Arc::clone(&value.key));
            if value.is_deletion { board.remove(&key) } else { board.insert(key, value.payload.number) };
        }
        let expected = table.values().map(|v| ((v.topic.clone(), v.key.clone()), v.payload.number));
        prop_assert_eq!(board, expected.collect());
        hub.release(now_ms + 200, &mut Vec::new());
        prop_assert_eq!(hub.next_release(), None, "nothing rests for ever");
    }
}

#[test]
fn what_is_held_back_is_the_newest_and_comes_when_it_is_due() {
    let (mut hub, mut table) = (hub(), empty_table());
    let topic: Topic = "tickers/x".parse().expect("a topic");
    let follows = follow(&[("tickers/*", Some(5.0))]);
    let mut first = join(&mut hub, &follows, &mut table);
    let mut put = |hub: &mut Hub<Thing>, now_ms, number| {
        let value = table.put((&topic, "k"), (Thing::from(number), 8), ROOM).expect("room");
        let mut touched = Vec::new();
        hub.push_values(&[value], now_ms, &mut touched);
        touched.len()
    };
    let release = |hub: &mut Hub<Thing>, now_ms| {
        let mut touched = Vec::new();
        hub.release(now_ms, &mut touched);
        touched
    };
    let payloads = |values: Vec<Arc<Value<Thing>>>| {
        values.iter().map(|value| value.payload.number).collect::<Vec<_>>()
    };
    assert_eq!(put(&mut hub, 1_000, 1), 1, "the first one comes at once");
    assert_eq!(put(&mut hub, 1_001, 2), 0, "and touches nobody while it is held back");
    assert_eq!(put(&mut hub, 1_150, 3), 0);
    assert_eq!(payloads(take_values(&mut hub, &mut first)), [1]);
    let mut second = join(&mut hub, &follows, &mut empty_table());
    assert_eq!(payloads(take_values(&mut hub, &mut second)), [1], "what the lane shows");
    assert_eq!(hub.next_release(), Some(1_200));
    assert_eq!(release(&mut hub, 1_199), []);
    assert_eq!(release(&mut hub, 1_200), [first.lane()]);
    assert_eq!(payloads(take_values(&mut hub, &mut first)), [3]);
    assert_eq!(payloads(take_values(&mut hub, &mut second)), [3]);
    assert_eq!(put(&mut hub, 1_300, 4), 0, "the key rests again");
    hub.leave(&first);
    hub.leave(&second);
    assert_eq!(hub.next_release(), None, "and is forgotten with its lane");
}

#[test]
fn what_rates_remember_of_keys_counts_as_the_lanes() {
    let (mut hub, mut table) = (hub(), empty_table());
    let topic: Topic = "tickers/x".parse().expect("a topic");
    join(&mut hub, &follow(&[("tickers/*", Some(5.0))]), &mut table);
    let put = |key: usize| {
        table.put((&topic, &key.to_string()), (Thing::from(0), 8), ROOM).expect("room")
    };
    let values: Vec<_> = (0..100).map(put).collect();
    hub.push_values(&values, 1_000, &mut Vec::new());
    let busy_bytes = hub.size().lane_bytes;
    hub.release(2_000, &mut Vec::new());
    let rested_bytes = hub.size().lane_bytes;
    assert!(busy_bytes - rested_bytes > 100 * 64, "{busy_bytes} bytes, then {rested_bytes}");
}

#[test]
fn what_is_followed_counts_as_the_lanes() {
    let (mut hub, mut table) = (hub(), empty_table());
    let deep: Vec<String> =
        (0..64).map(|first| format!("{first}/{}*", "deep/".repeat(14))).collect();
    let deep: Vec<_> = deep.iter().map(|filter| (filter.as_str(), None)).collect();
    let deliveries: Vec<_> =
        [follow(&deep), follow(&[("a", None)])].map(|it| join(&mut hub, &it, &mut table)).into();
    let busy_bytes = hub.size().lane_bytes;
    assert!(busy_bytes > 64 * 15 * 64, "{busy_bytes} bytes");
    for delivery in &deliveries {
        hub.leave(delivery);
    }
    assert_eq!(hub.size().lane_bytes, 0, "nothing is left");
}

#[test]
fn a_stream_never_caught_up_with_does_not_starve_values_nor_they_it() {
    let (mut hub, mut table) = (hub(), empty_table());
    let (stream, state): (Topic, Topic) = ("a/1".parse().expect("a"), "s".parse().expect("s"));
    let mut delivery = join(&mut hub, &follow(&[("**", None)]), &mut table);
    let (mut entries_taken, mut values_taken) = (0, 0);
    for round in 1..=100 {
        for offset in [round * 2, round * 2 + 1] {
            let offset = Offset::new(offset);
            let entry =
                Entry { offset, topic: stream.clone(), size_bytes: 1, payload: Thing::from(0) };
            hub.push(&[Arc::new(entry)], &mut Vec::new());
        }
        let values = ["k", "l"]
            .map(|key| table.put((&state, key), (Thing::from(round), 8), ROOM).expect("room"));
        hub.push_values(&values, 0, &mut Vec::new());
        // It takes one thing where four come.
        match hub.next(&mut delivery) {
            Next::Entries(mut entries) => {
                delivery.took_entry(entries.next().expect("an entry").offset);
                entries_taken += 1;
            }
            Next::Values(mut values) => {
                let (arrival, value) = values.next().expect("a value");
                assert_eq!(value.payload.number, round, "conflated to the newest");
                delivery.took_value(arrival);
                values_taken += 1;
            }
            other => panic!("{other:?} was not to come"),
        }
    }
    assert_eq!((entries_taken, values_taken), (50, 50));
}
