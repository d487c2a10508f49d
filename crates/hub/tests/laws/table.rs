//! The state table, against a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_hub::{StateError, StateLimits, StateTable, Value};
use bellwire_model::{Filter, FilterSet, Life, NameHasher, Topic};
use proptest::prelude::*;

const TOPICS: [&str; 7] = ["a", "a/b", "a/b/c", "a-b/c", "b", "b/b", "$s/b"];
const FILTERS: [&str; 14] = [
    "a", "a/*", "a/**", "*", "*/b", "**", "b/**", "$s/*", "a/b/**", "*/b/**", "a/*/c", "*/*",
    "$s/**", "a/b/*",
];
const ROOM: StateLimits = StateLimits { keys_max: 12, bytes_max: 3_000 };

#[derive(Clone, Debug)]
enum Step {
    Put { topic: usize, key: u8, size_bytes: usize },
    Delete { topic: usize, key: u8 },
    Snapshot { filters: Vec<usize> },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let topic = || 0..TOPICS.len();
    let step = prop_oneof![
        6 => (topic(), 0..4u8, 0..600usize)
            .prop_map(|(topic, key, size_bytes)| Step::Put { topic, key, size_bytes }),
        3 => (topic(), 0..4u8).prop_map(|(topic, key)| Step::Delete { topic, key }),
        2 => prop::collection::vec(0..FILTERS.len(), 1..6)
            .prop_map(|filters| Step::Snapshot { filters }),
    ];
    prop::collection::vec(step, 1..120)
}

fn topic(index: usize) -> Topic {
    TOPICS[index].parse().expect("a topic")
}

/// Everything, a few places at a time.
fn walk(table: &StateTable<usize>) -> Vec<Arc<Value<usize>>> {
    let (mut values, mut place) = (Vec::new(), Some(0));
    while let Some(from) = place {
        let (some, next) = table.look_at(from, 3);
        values.extend(some.cloned());
        place = next;
    }
    values
}

fn named(value: &Value<usize>) -> ((Topic, Arc<str>), usize) {
    ((value.topic.clone(), Arc::clone(&value.key)), value.payload)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn a_table_holds_what_was_put_last_within_its_bounds(steps in steps()) {
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        let mut model: BTreeMap<(Topic, Arc<str>), usize> = BTreeMap::new();
        let empty_bytes = table.size_bytes();
        for step in steps {
            match step {
                Step::Put { topic: index, key, size_bytes } => {
                    let (topic, key) = (topic(index), key.to_string());
                    let before = (table.keys(), table.size_bytes());
                    match table.put((&topic, &key), (size_bytes, size_bytes), ROOM) {
                        Ok(value) => {
                            prop_assert!(table.size_bytes() <= ROOM.bytes_max.max(before.1));
                            model.insert(named(&value).0, size_bytes);
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
                    let deleted = table.delete((&topic, &key), (0, 0));
                    prop_assert_eq!(
                        deleted.is_some(),
                        model.remove(&(topic, key.as_str().into())).is_some()
                    );
                }
                Step::Snapshot { filters } => {
                    let filters = filters.iter().map(|index| FILTERS[*index].parse::<Filter>());
                    let filters = filters.collect::<Result<Vec<_>, _>>().expect("filters");
                    let filters = FilterSet::new(filters).expect("a set");
                    let values = table.snapshot(&filters).into_values();
                    prop_assert!(values.is_sorted_by(|one, other| one.version < other.version));
                    let found: BTreeMap<_, _> = values.iter().map(|value| named(value)).collect();
                    prop_assert_eq!(found.len(), values.len());
                    let matching = model.iter().filter(|((topic, _), _)| filters.matches(topic));
                    let matching = matching.map(|(name, payload)| (name.clone(), *payload));
                    prop_assert_eq!(found, matching.collect());
                }
            }
            prop_assert_eq!(table.keys(), model.len());
            let walked: BTreeMap<_, _> = walk(&table).iter().map(|value| named(value)).collect();
            prop_assert_eq!(&walked, &model);
            let counted = table.topics("", "").map(|(_, keys)| keys).sum::<usize>();
            prop_assert_eq!(counted, model.len());
        }
        for (topic, key) in model.into_keys() {
            table.delete((&topic, &key), (0, 0));
        }
        // Deletions are remembered as long as nothing else needs the room.
        let mut other = StateTable::<usize>::new(Life::new(5), NameHasher::new([1, 2]));
        other.put((&topic(0), "last"), (0, 0), ROOM).expect("room");
        let room = StateLimits { bytes_max: other.size_bytes() - empty_bytes, ..ROOM };
        let last = table.put((&topic(0), "last"), (0, 0), room).expect("room");
        prop_assert_eq!(table.size_bytes(), other.size_bytes(), "one slot, and nothing else");
        table.delete((&last.topic, &last.key), (0, 0)).expect("it is there");
        let kept_bytes = table.size_bytes();
        let again = table.put((&topic(0), "last"), (0, 0), room).expect("room");
        prop_assert_eq!(table.size_bytes(), kept_bytes, "the slot is the same");
        prop_assert_eq!(table.delete((&again.topic, "last"), (0, 0)).map(|it| it.is_deletion), Some(true));
    }
}

#[test]
fn what_values_have_grown_by_counts_against_the_bound() {
    let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
    let put = |table: &mut StateTable<usize>, key: &str, bytes_max: usize| {
        let room = StateLimits { bytes_max, ..ROOM };
        table.put((&topic(0), key), (500, 0), room).map(|_| ())
    };
    for key in ["a", "b", "c"] {
        put(&mut table, key, usize::MAX).expect("room");
    }
    let before = table.size_bytes();
    table.count_growth(2, |grown| *grown);
    assert_eq!(table.size_bytes(), before + 1_000);
    // Round and round: each counts once.
    for _ in 0..10 {
        table.count_growth(3, |grown| *grown);
    }
    assert_eq!(table.size_bytes(), before + 1_500);
    let full = put(&mut table, "d", before + 1_500);
    assert_eq!(full, Err(StateError::Bytes { bytes_max: before + 1_500 }));
    put(&mut table, "a", before).expect("it does not get larger");
    assert_eq!(table.size_bytes(), before + 1_000, "a new value has not grown yet");
    for key in ["a", "b", "c"] {
        table.delete((&topic(0), key), (0, 0)).expect("it is there");
    }
    put(&mut table, "a", usize::MAX).expect("room");
    assert_eq!(table.size_bytes(), before, "what grew has gone");
}
