//! Room for changes that are under way: however many there are, what is made of them in the end fits, and
//! nothing stays set aside.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_hub::{Change, Reserved, StateLimits, StateTable};
use bellwire_model::{Condition, Life, NameHasher, Offset, Topic};
use proptest::prelude::*;
use proptest::sample::Index;

const ROOM: StateLimits = StateLimits { keys_max: 10, bytes_max: 3_000 };

/// What becomes of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Made,
    Refused,
}

#[derive(Clone, Debug)]
enum Step {
    /// Somebody asks for changes that the journal is to make: keys, and bytes of their values.
    Ask(BTreeMap<u8, usize>),
    /// It makes some of them, or none.
    Settle { which: Index, fate: Fate },
    /// A value comes into a topic in memory.
    Put { key: u8, size_bytes: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![4 => Just(Fate::Made), 1 => Just(Fate::Refused)];
    let step = prop_oneof![
        3 => prop::collection::btree_map(0..12u8, 0..600usize, 1..4).prop_map(Step::Ask),
        3 => (any::<Index>(), fate).prop_map(|(which, fate)| Step::Settle { which, fate }),
        2 => (0..6u8, 0..600usize).prop_map(|(key, size_bytes)| Step::Put { key, size_bytes }),
    ];
    prop::collection::vec(step, 1..60)
}

/// The tables and what is asked of them.
struct World {
    table: StateTable<()>,
    /// What is under way.
    asked: Vec<(BTreeMap<u8, usize>, Reserved)>,
    offset: u64,
    /// What is there: by topic and key, its bytes.
    values: BTreeMap<(&'static str, String), usize>,
}

const ON_DISK: &str = "jobs/a";
const IN_MEMORY: &str = "lab/a";

fn topic(name: &str) -> Topic {
    name.parse().expect("a topic")
}

impl World {
    fn ask(&mut self, puts: BTreeMap<u8, usize>) {
        // Of several changes of one key none knows of the others.
        let under_way: BTreeSet<u8> =
            self.asked.iter().flat_map(|(puts, _)| puts.keys().copied()).collect();
        if puts.keys().any(|key| under_way.contains(key)) {
            return;
        }
        let topic = topic(ON_DISK);
        let named: Vec<(String, usize)> =
            puts.iter().map(|(key, size_bytes)| (key.to_string(), *size_bytes)).collect();
        let changes: Vec<Change<'_>> = named
            .iter()
            .map(|(key, size_bytes)| Change {
                topic: &topic,
                key,
                condition: Condition::Always,
                size_bytes: Some(*size_bytes),
                expires: false,
                room: ROOM,
            })
            .collect();
        if let Ok(reserved) = self.table.reserve(&changes) {
            self.asked.push((puts, reserved));
        }
    }

    fn settle(&mut self, which: usize, fate: Fate) {
        let (puts, reserved) = self.asked.swap_remove(which);
        for (key, size_bytes) in puts.into_iter().filter(|_| fate == Fate::Made) {
            self.offset += 1;
            let (topic, key, offset) = (topic(ON_DISK), key.to_string(), Offset::new(self.offset));
            self.table.put_durable((&topic, &key), ((), size_bytes), offset);
            self.values.insert((ON_DISK, key), size_bytes);
        }
        self.table.release(reserved);
    }

    fn put(&mut self, key: &str, size_bytes: usize) -> bool {
        let is_put = self.table.put((&topic(IN_MEMORY), key), ((), size_bytes), ROOM).is_ok();
        if is_put {
            self.values.insert((IN_MEMORY, key.to_owned()), size_bytes);
        }
        is_put
    }

    /// Whether a table that has never had anything else would take a value.
    fn has_room(&self, key: &str, size_bytes: usize) -> bool {
        let mut table = new_table();
        let room = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
        for ((name, key), size_bytes) in &self.values {
            table.put((&topic(name), key), ((), *size_bytes), room).expect("room");
        }
        table.put((&topic(IN_MEMORY), key), ((), size_bytes), ROOM).is_ok()
    }
}

fn new_table() -> StateTable<()> {
    StateTable::new(Life::new(5), NameHasher::new([1, 2]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn what_was_let_in_fits_when_it_comes(steps in steps(), last in 0..600usize) {
        let (table, asked, values) = (new_table(), Vec::new(), BTreeMap::new());
        let mut world = World { table, asked, offset: 0, values };
        for step in steps {
            match step {
                Step::Ask(puts) => world.ask(puts),
                Step::Settle { which, fate } if !world.asked.is_empty() => {
                    world.settle(which.index(world.asked.len()), fate);
                }
                Step::Settle { .. } => {}
                Step::Put { key, size_bytes } => _ = world.put(&key.to_string(), size_bytes),
            }
            prop_assert!(world.table.keys() <= ROOM.keys_max);
            // Nothing has gone, so that this is what is there.
            prop_assert!(world.table.size_bytes() <= ROOM.bytes_max);
        }
        while !world.asked.is_empty() {
            world.settle(0, Fate::Made);
        }
        prop_assert!(world.table.keys() <= ROOM.keys_max);
        prop_assert!(world.table.size_bytes() <= ROOM.bytes_max);
        let has_room = world.has_room("last", last);
        prop_assert_eq!(world.put("last", last), has_room, "nothing is set aside any more");
    }
}
