//! Keys of one topic that begin alike, found some at a time.

use std::sync::Arc;

use bellwire_model::{Topic, Version};

use super::{KeyPlace, StateTable};
use crate::entry::{Payload, Value};

/// How far a walk over the keys of a topic has come, in the order of their changes. It meets those
/// that were there when it began and have stayed as they were.
#[derive(Clone, Debug)]
pub struct KeysWalk {
    /// It has met what was changed up to here.
    after: Version,
    /// What is changed behind this is none of its business.
    until: Version,
    /// Keys that it has passed, some of each stretch: the newest that is still in its place is where
    /// it goes on, since those behind may have moved.
    passed: Vec<KeyPlace>,
    is_over: bool,
}

impl KeysWalk {
    /// A walk over what was changed up to a version.
    pub fn until(until: Version) -> Self {
        Self { after: Version::ZERO, until, passed: Vec::new(), is_over: false }
    }

    /// Whether it has met all.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

impl<P: Payload> StateTable<P> {
    /// The next keys of a topic that are there and begin with `prefix`, oldest change first. Looks at
    /// up to so many changes of the topic.
    pub fn keys_beginning(
        &self,
        (topic, prefix): (&Topic, &str),
        walk: &mut KeysWalk,
        looks_max: usize,
    ) -> Vec<Arc<Value<P>>> {
        walk.is_over = true;
        let Some(id) = self.names.get(topic) else { return Vec::new() };
        while walk.passed.pop_if(|it| !self.slots.is_newest(it.slot, it.version)).is_some() {}
        let behind = walk.passed.last().map(|place| place.slot);
        let changes = &self.topics[*id as usize];
        let (mut found, mut passed) = (Vec::new(), None);
        for (looks, id) in changes.in_order_behind(behind, &self.slots).enumerate() {
            let slot = self.slots.get(id);
            let version = slot.version;
            if version > walk.until {
                break;
            }
            if looks == looks_max {
                walk.is_over = false;
                break;
            }
            let is_wanted = slot.is_live() && slot.key().starts_with(prefix.as_bytes());
            if is_wanted && version > walk.after {
                // Whoever asks is about to delete it: no place to go on from.
                found.push(self.value(id));
            } else {
                passed = Some(KeyPlace { version, slot: id });
            }
            walk.after = walk.after.max(version);
        }
        walk.passed.extend(passed);
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bellwire_model::{Life, NameHasher};
    use proptest::prelude::*;

    use super::*;
    use crate::state::StateLimits;

    const ROOM: StateLimits = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
    const TOPICS: [&str; 2] = ["a", "a/b"];
    const KEYS: [&str; 7] = ["", "x", "xa", "xab", "xb", "y", "ä"];

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Put {
            topic: usize,
            key: usize,
        },
        Delete {
            topic: usize,
            key: usize,
        },
        /// Of the walk, so many changes at a time.
        Look(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let name = (0..TOPICS.len(), 0..KEYS.len());
        let step = prop_oneof![
            4 => name.clone().prop_map(|(topic, key)| Step::Put { topic, key }),
            2 => name.prop_map(|(topic, key)| Step::Delete { topic, key }),
            1 => (1_usize..4).prop_map(Step::Look),
        ];
        prop::collection::vec(step, 0..120)
    }

    /// A table, and what is to be so of it: the version of each key that is there.
    struct Rig {
        table: StateTable<()>,
        keys: BTreeMap<(usize, usize), Version>,
    }

    impl Rig {
        fn change(&mut self, step: Step) {
            let name = |topic: usize, key: usize| {
                let topic: Topic = TOPICS[topic].parse().expect("a topic");
                (topic, KEYS[key])
            };
            match step {
                Step::Put { topic, key } => {
                    let (at, name) = ((topic, key), name(topic, key));
                    let value = self.table.put((&name.0, name.1), ((), 0), ROOM).expect("room");
                    self.keys.insert(at, value.version);
                }
                Step::Delete { topic, key } => {
                    let (at, name) = ((topic, key), name(topic, key));
                    let is_gone = self.table.delete((&name.0, name.1), ((), 0)).is_some();
                    assert_eq!(is_gone, self.keys.remove(&at).is_some());
                }
                Step::Look(_) => {}
            }
        }
    }

    #[test]
    fn a_walk_that_deletes_what_it_meets_does_not_begin_again() {
        const KEYS: usize = 4_000;
        const LOOKS: usize = 100;
        let mut table = StateTable::new(Life::new(1), NameHasher::new([1, 2]));
        let name: Topic = "a".parse().expect("a topic");
        for number in 0..KEYS {
            let key = format!("{}{number}", ["x", "y"][number % 2]);
            table.put((&name, &key), ((), 0), ROOM).expect("room");
        }
        let mut walk = KeysWalk::until(table.version());
        let (mut pages, mut met) = (0, 0);
        while !walk.is_over() {
            pages += 1;
            for value in table.keys_beginning((&name, "x"), &mut walk, LOOKS) {
                met += 1;
                table.delete((&name, &value.key), ((), 0)).expect("it is there");
            }
        }
        assert_eq!(met, KEYS / 2);
        assert!(pages <= KEYS / LOOKS + 1, "{pages} pages");
    }

    proptest! {
        /// Whatever happens in between, each key comes that was there at the beginning and stayed as
        /// it was, and none that was written since.
        #[test]
        fn a_walk_meets_what_was_there_and_stayed(
            before in steps(),
            during in steps(),
            (topic, prefix) in (0..TOPICS.len(), 0..KEYS.len()),
        ) {
            let table = StateTable::new(Life::new(1), NameHasher::new([1, 2]));
            let mut rig = Rig { table, keys: BTreeMap::new() };
            for step in before {
                rig.change(step);
            }
            let until = rig.table.version();
            let begins = |(of, key): &(usize, usize)| {
                *of == topic && KEYS[*key].starts_with(KEYS[prefix])
            };
            let named: BTreeMap<_, _> =
                rig.keys.iter().filter(|(key, _)| begins(key)).map(|(k, v)| (*k, *v)).collect();
            let name: Topic = TOPICS[topic].parse().expect("a topic");
            let mut walk = KeysWalk::until(until);
            let mut met = Vec::new();
            for step in during.into_iter().chain(std::iter::repeat(Step::Look(1))) {
                let Step::Look(looks) = step else {
                    rig.change(step);
                    continue;
                };
                if walk.is_over() {
                    break;
                }
                let found = rig.table.keys_beginning((&name, KEYS[prefix]), &mut walk, looks);
                for value in &found {
                    let known = rig.keys.iter().find(|(_, version)| **version == value.version);
                    let (key, _) = known.expect("it is there");
                    prop_assert!(named.contains_key(key) && value.version <= until);
                    met.push(value.version);
                }
            }
            prop_assert!(met.is_sorted());
            let stayed = named.iter().filter(|(key, version)| rig.keys.get(key) == Some(version));
            let met: BTreeSet<Version> = met.into_iter().collect();
            for (key, version) in stayed {
                prop_assert!(met.contains(version), "{key:?} is missing");
            }
        }
    }
}
