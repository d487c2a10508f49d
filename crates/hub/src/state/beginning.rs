//! Keys of one topic that begin alike, found some at a time.

use std::sync::Arc;

use bellwire_model::{Topic, Version};

use super::StateTable;
use crate::entry::Value;

/// Some of the keys of a topic that begin alike.
#[derive(Debug)]
pub struct KeysFound<P> {
    /// Their values, oldest change first.
    pub values: Vec<Arc<Value<P>>>,
    /// Look on behind this change; `None`: there are no others.
    pub next: Option<Version>,
}

impl<P> StateTable<P> {
    /// Keys of a topic that are there and begin with `prefix`, of those that were changed last behind
    /// `after` and not behind `until`. Looks at up to so many changes of the topic.
    pub fn keys_beginning(
        &self,
        (topic, prefix): (&Topic, &str),
        (after, until): (Version, Version),
        looks_max: usize,
    ) -> KeysFound<P> {
        let Some(id) = self.names.get(topic) else {
            return KeysFound { values: Vec::new(), next: None };
        };
        let log = self.topics[*id as usize].behind(after);
        let looked_at = &log[..log.len().min(looks_max)];
        let until = looked_at.partition_point(|(version, _)| *version <= until);
        let newest = |(version, id): &(Version, u32)| self.slots.newest(*id, *version);
        let is_wanted =
            |value: &&Arc<Value<P>>| !value.is_deletion && value.key.starts_with(prefix);
        let values = looked_at[..until].iter().filter_map(newest).filter(is_wanted);
        let is_over = until < looked_at.len() || looked_at.len() == log.len();
        let last = looked_at.last().map(|(version, _)| *version);
        KeysFound { values: values.cloned().collect(), next: last.filter(|_| !is_over) }
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
            let (mut after, mut is_over) = (Version::ZERO, false);
            let mut met = Vec::new();
            for step in during.into_iter().chain(std::iter::repeat(Step::Look(1))) {
                let Step::Look(looks) = step else {
                    rig.change(step);
                    continue;
                };
                if is_over {
                    break;
                }
                let found = rig.table.keys_beginning((&name, KEYS[prefix]), (after, until), looks);
                for value in &found.values {
                    let known = rig.keys.iter().find(|(_, version)| **version == value.version);
                    let (key, _) = known.expect("it is there");
                    prop_assert!(named.contains_key(key) && value.version <= until);
                    met.push(value.version);
                }
                match found.next {
                    Some(next) => after = next,
                    None => is_over = true,
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
