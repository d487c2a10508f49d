//! The state table, against a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_hub::{Kept, StateError, StateLimits, StateTable, Value};
use bellwire_model::{Filter, FilterSet, Labels, Life, NameHasher, Topic};
use proptest::prelude::*;

use crate::thing::Thing;

const TOPICS: [&str; 7] = ["a", "a/b", "a/b/c", "a-b/c", "b", "b/b", "$s/b"];
const FILTERS: [&str; 14] = [
    "a", "a/*", "a/**", "*", "*/b", "**", "b/**", "$s/*", "a/b/**", "*/b/**", "a/*/c", "*/*",
    "$s/**", "a/b/*",
];
const ROOM: StateLimits = StateLimits { keys_max: 12, bytes_max: 3_000 };

#[derive(Clone, Debug)]
enum Step {
    Put {
        topic: usize,
        key: u8,
        size_bytes: usize,
    },
    Delete {
        topic: usize,
        key: u8,
    },
    /// And what matches is read, so many bytes at a time.
    Snapshot {
        filters: Vec<usize>,
        bytes_max: usize,
    },
    Settle {
        looks: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let topic = || 0..TOPICS.len();
    let step = prop_oneof![
        6 => (topic(), 0..4u8, 0..600usize)
            .prop_map(|(topic, key, size_bytes)| Step::Put { topic, key, size_bytes }),
        3 => (topic(), 0..4u8).prop_map(|(topic, key)| Step::Delete { topic, key }),
        2 => (prop::collection::vec(0..FILTERS.len(), 1..6), 1..2_000usize)
            .prop_map(|(filters, bytes_max)| Step::Snapshot { filters, bytes_max }),
        4 => (0..8usize).prop_map(|looks| Step::Settle { looks }),
    ];
    prop::collection::vec(step, 1..120)
}

fn topic(index: usize) -> Topic {
    TOPICS[index].parse().expect("a topic")
}

/// Everything, a few places at a time.
fn walk(table: &StateTable<Thing>) -> BTreeMap<(Topic, Arc<str>), u64> {
    let (mut found, mut place) = (BTreeMap::new(), Some(0));
    while let Some(from) = place {
        let (some, next) = table.look_at(from, 3);
        for look in some {
            let number = match look.payload {
                Kept::Packed(packed) => packed.first_chunk().map(|it| u64::from_le_bytes(*it)),
                Kept::Shared(thing) => Some(thing.number),
            };
            let name = (look.topic.clone(), look.key.into());
            assert_eq!(found.insert(name, number.expect("a number")), None, "each once");
        }
        place = next;
    }
    found
}

/// What matches, so many bytes at a time.
fn read(
    table: &StateTable<Thing>,
    filters: &FilterSet,
    bytes_max: usize,
) -> Vec<Arc<Value<Thing>>> {
    let places = table.places(filters);
    let (mut found, mut left) = (Vec::new(), &*places);
    while !left.is_empty() {
        let (values, looked) = table.values_at(left, filters, bytes_max);
        assert!((1..=left.len()).contains(&looked), "it gets on");
        found.extend(values);
        left = &left[looked..];
    }
    found
}

#[test]
fn who_reads_copies_so_many_bytes_at_a_time() {
    const VALUE_BYTES: usize = 10_000;
    let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
    let room = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
    for key in 0..100 {
        let value = (Thing::from(key), VALUE_BYTES);
        table.put((&topic(0), &key.to_string()), value, room).expect("room");
    }
    let filters = FilterSet::from(Filter::from(&topic(0)));
    let places = table.places(&filters);
    for is_packed in [false, true] {
        if is_packed {
            assert_eq!(table.settle(1_000, |_| 0), 0);
        }
        for (values, bytes_max) in [(1, 1), (1, VALUE_BYTES), (2, VALUE_BYTES * 2), (7, 70_000)] {
            let (found, looked) = table.values_at(&places, &filters, bytes_max);
            assert_eq!((found.len(), looked), (values, values), "{bytes_max}");
        }
        assert_eq!(table.values_at(&places, &filters, usize::MAX).1, places.len());
    }
}

fn named(value: &Value<Thing>) -> ((Topic, Arc<str>), u64) {
    ((value.topic.clone(), Arc::clone(&value.key)), value.payload.number)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn a_table_holds_what_was_put_last_within_its_bounds(steps in steps()) {
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        let mut model: BTreeMap<(Topic, Arc<str>), u64> = BTreeMap::new();
        let empty_bytes = table.size_bytes();
        for step in steps {
            match step {
                Step::Put { topic: index, key, size_bytes } => {
                    let (topic, key) = (topic(index), key.to_string());
                    let before = (table.keys(), table.size_bytes());
                    let number = size_bytes as u64;
                    match table.put((&topic, &key), (Thing::from(number), size_bytes), ROOM) {
                        Ok(value) => {
                            prop_assert!(table.size_bytes() <= ROOM.bytes_max.max(before.1));
                            model.insert(named(&value).0, number);
                        }
                        Err(error) => {
                            prop_assert_eq!((table.keys(), table.size_bytes()), before);
                            let is_known = table.get(&topic, &key).is_some();
                            let is_full = before.0 == ROOM.keys_max && !is_known;
                            let keys = StateError::Keys { keys_max: ROOM.keys_max };
                            prop_assert_eq!(error == keys, is_full);
                        }
                    }
                }
                Step::Delete { topic: index, key } => {
                    let (topic, key) = (topic(index), key.to_string());
                    let deleted = table.delete((&topic, &key), (Thing::from(0), 0));
                    prop_assert_eq!(
                        deleted.is_some(),
                        model.remove(&(topic, key.as_str().into())).is_some()
                    );
                }
                Step::Snapshot { filters, bytes_max } => {
                    let filters = filters.iter().map(|index| FILTERS[*index].parse::<Filter>());
                    let filters = filters.collect::<Result<Vec<_>, _>>().expect("filters");
                    let filters = FilterSet::new(filters).expect("a set");
                    let version = table.snapshot(&filters).version;
                    prop_assert_eq!(version, table.version());
                    let values = read(&table, &filters, bytes_max);
                    prop_assert!(values.is_sorted_by(|one, other| one.version < other.version));
                    let found: BTreeMap<_, _> = values.iter().map(|value| named(value)).collect();
                    prop_assert_eq!(found.len(), values.len());
                    let matching = model.iter().filter(|((topic, _), _)| filters.matches(topic));
                    let matching = matching.map(|(name, payload)| (name.clone(), *payload));
                    prop_assert_eq!(found, matching.collect());
                }
                // Whatever is packed is there all the same.
                Step::Settle { looks } => {
                    table.settle(looks, |_| 0);
                }
            }
            prop_assert_eq!(table.keys(), model.len());
            prop_assert_eq!(&walk(&table), &model);
            let counted = table.topics("", "").map(|(_, it)| it.keys).sum::<usize>();
            prop_assert_eq!(counted, model.len());
        }
        for (topic, key) in model.into_keys() {
            table.delete((&topic, &key), (Thing::from(0), 0));
        }
        // Deletions are remembered as long as nothing else needs the room.
        let mut other = StateTable::<Thing>::new(Life::new(5), NameHasher::new([1, 2]));
        other.put((&topic(0), "last"), (Thing::from(0), 0), ROOM).expect("room");
        let room = StateLimits { bytes_max: other.size_bytes() - empty_bytes, ..ROOM };
        let last = table.put((&topic(0), "last"), (Thing::from(0), 0), room).expect("room");
        prop_assert_eq!(table.size_bytes(), other.size_bytes(), "one slot, and nothing else");
        table.delete((&last.topic, &last.key), (Thing::from(0), 0)).expect("it is there");
        let kept_bytes = table.size_bytes();
        let again = table.put((&topic(0), "last"), (Thing::from(0), 0), room).expect("room");
        prop_assert_eq!(table.size_bytes(), kept_bytes, "the slot is the same");
        prop_assert_eq!(table.delete((&again.topic, "last"), (Thing::from(0), 0)).map(|it| it.is_deletion), Some(true));
    }
}

/// What a value takes that others have, beside what its key is charged with and what it grows by.
fn shared_bytes(key: &str) -> usize {
    size_of::<Value<Thing>>() + key.len()
}

#[test]
fn what_values_take_that_others_have_counts_against_the_bound() {
    let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
    let put = |table: &mut StateTable<Thing>, key: &str, bytes_max: usize| {
        let room = StateLimits { bytes_max, ..ROOM };
        table.put((&topic(0), key), (Thing::from(500), 0), room)
    };
    let settle =
        |table: &mut StateTable<Thing>, looks| table.settle(looks, |thing| thing.number as usize);
    let mut had: Vec<_> =
        ["a", "b", "c"].iter().map(|key| put(&mut table, key, usize::MAX).expect("room")).collect();
    let (before, grown) = (table.size_bytes(), 500 + shared_bytes("a"));
    assert_eq!(settle(&mut table, 2), 3);
    assert_eq!(table.size_bytes(), before + 2 * grown);
    // Round and round: each counts once.
    for _ in 0..10 {
        settle(&mut table, 3);
    }
    let most = before + 3 * grown;
    assert_eq!(table.size_bytes(), most);
    let full = put(&mut table, "d", most).map(|_| ());
    assert_eq!(full, Err(StateError::Bytes { bytes_max: most }));
    had[0] = put(&mut table, "a", before).expect("it does not get larger");
    assert_eq!(table.size_bytes(), before + 2 * grown, "a new value has not grown yet");
    for key in ["a", "b", "c"] {
        table.delete((&topic(0), key), (Thing::from(0), 0)).expect("it is there");
    }
    put(&mut table, "a", usize::MAX).expect("room");
    assert_eq!(table.size_bytes(), before, "what grew has gone");
}

#[test]
fn a_value_takes_little_once_nobody_has_it_and_lanes_share_one() {
    let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
    let name = (&topic(0), "a");
    let labels = Labels::from_pairs([("team", "höhe"), ("zone", "1")]).expect("labels");
    let thing = Thing { number: 7, labels: Some(labels) };
    let put = table.put(name, (thing.clone(), 0), ROOM).expect("room");
    let (bytes, filters) = (table.size_bytes(), Filter::from(&topic(0)).into());
    assert_eq!(table.settle(8, |_| 0), 1, "somebody has it");
    assert_eq!(table.size_bytes(), bytes + shared_bytes("a"));
    let before = (put.version, put.durable);
    drop(put);
    assert_eq!(table.settle(8, |_| 0), 0);
    assert_eq!(table.size_bytes(), bytes);
    let read = table.get(name.0, name.1).expect("it is there");
    assert_eq!((read.version, read.durable), before);
    assert_eq!(read.payload, thing);
    assert_eq!(table.size_bytes(), bytes, "who only looks at it has one of their own");
    // What a lane has is what the next change makes old.
    let _lanes = [table.snapshot(&filters), table.snapshot(&filters)];
    assert_eq!(table.size_bytes(), bytes + shared_bytes("a"));
    let shared = [0, 1].map(|_| table.get(name.0, name.1).expect("it is there"));
    assert!(Arc::ptr_eq(&shared[0], &shared[1]));
    assert_eq!(table.settle(8, |_| 0), 1, "as long as lanes have it, it is theirs");
}
