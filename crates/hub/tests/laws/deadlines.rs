//! Keys that go by themselves, against a map, on a clock of its own.

use std::collections::BTreeMap;

use bellwire_hub::{StateLimits, StateTable};
use bellwire_model::{Life, NameHasher, Topic};
use proptest::prelude::*;

const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, ttl_ms: Option<u64> },
    Delete { key: u8 },
    Touch { key: u8, ttl_ms: u64 },
    Pass { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ttl_ms = || 0..50u64;
    let step = prop_oneof![
        4 => (0..8u8, prop::option::weighted(0.7, ttl_ms()))
            .prop_map(|(key, ttl_ms)| Step::Put { key, ttl_ms }),
        1 => (0..8u8).prop_map(|key| Step::Delete { key }),
        2 => (0..8u8, ttl_ms()).prop_map(|(key, ttl_ms)| Step::Touch { key, ttl_ms }),
        3 => (0..30u64).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn a_key_goes_when_its_time_is_over_unless_it_was_renewed_or_put_without_one(steps in steps()) {
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        let topic: Topic = "lab/a".parse().expect("a topic");
        let mut model: BTreeMap<String, Option<u64>> = BTreeMap::new();
        let (mut now_ms, empty_bytes) = (0, table.size_bytes());
        for step in steps {
            match step {
                Step::Put { key, ttl_ms } => {
                    let key = key.to_string();
                    table.put((&topic, &key), ((), 8), ROOM).expect("room");
                    let at_ms = ttl_ms.map(|ttl_ms| now_ms + ttl_ms);
                    if let Some(at_ms) = at_ms {
                        prop_assert!(table.set_deadline(&topic, &key, at_ms));
                    }
                    model.insert(key, at_ms);
                }
                Step::Delete { key } => {
                    let key = key.to_string();
                    let deleted = table.delete((&topic, &key), ((), 0)).is_some();
                    prop_assert_eq!(deleted, model.remove(&key).is_some());
                }
                Step::Touch { key, ttl_ms } => {
                    let key = key.to_string();
                    let version = table.key_version(&topic, &key);
                    let is_there = table.set_deadline(&topic, &key, now_ms + ttl_ms);
                    prop_assert_eq!(is_there, model.contains_key(&key));
                    prop_assert_eq!(table.key_version(&topic, &key), version, "it stays");
                    model.entry(key).and_modify(|at_ms| *at_ms = Some(now_ms + ttl_ms));
                }
                Step::Pass { ms } => now_ms += ms,
            }
            let (mut gone, mut last) = (Vec::new(), 0);
            while let Some(value) = table.due(now_ms) {
                let key = value.key.to_string();
                let at_ms = model.remove(&key).expect("it is there").expect("it has a time");
                prop_assert!(last <= at_ms && at_ms <= now_ms, "in the order of their times");
                last = at_ms;
                table.delete((&topic, &key), ((), 0)).expect("it is there");
                gone.push(key);
            }
            model.retain(|key, at_ms| {
                let stays = at_ms.is_none_or(|at_ms| at_ms > now_ms);
                assert!(stays, "{key} was to go");
                stays
            });
            prop_assert_eq!(table.next_deadline(), model.values().flatten().min().copied());
            prop_assert_eq!(table.keys(), model.len());
        }
        for key in model.into_keys() {
            table.delete((&topic, &key), ((), 0)).expect("it is there");
        }
        prop_assert_eq!(table.next_deadline(), None);
        // What is remembered of keys that are gone makes room.
        let tight = StateLimits { keys_max: 1, bytes_max: 1_000 };
        table.put((&topic, "last"), ((), 8), tight).expect("room");
        let mut other = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        other.put((&topic, "last"), ((), 8), ROOM).expect("room");
        prop_assert!(table.size_bytes() - empty_bytes <= 1_000);
        let before = (table.size_bytes(), other.size_bytes());
        let full = StateLimits { bytes_max: other.size_bytes(), ..ROOM };
        prop_assert!(other.check_deadline((&topic, "last"), full).is_err());
        prop_assert_eq!(other.check_deadline((&topic, "other"), full), Ok(()));
        prop_assert_eq!(other.check_deadline((&topic, "last"), ROOM), Ok(()));
        other.set_deadline(&topic, "last", 1);
        prop_assert_eq!(other.check_deadline((&topic, "last"), full), Ok(()), "it has one");
        for table in [&mut table, &mut other] {
            table.set_deadline(&topic, "last", 1);
            table.put((&topic, "last"), ((), 8), ROOM).expect("room");
        }
        prop_assert_eq!((table.size_bytes(), other.size_bytes()), before, "its charge went with it");
    }
}
