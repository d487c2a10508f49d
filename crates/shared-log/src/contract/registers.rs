//! Clauses about registers: compare and set, generations, names.

use std::thread;

use bytes::Bytes;

use super::rig::{Handle, Rig, fence, numbered};
use super::{Fault, Make};
use crate::{Error, Generation, Position, REGISTER_BYTES_MAX, REGISTER_NAME_BYTES_MAX, Register};

/// What no register may be called.
const BAD_NAMES: [&str; 12] =
    ["", "A", "a b", "a.b", "a/b", "a_b", "*", ">", "a\n", "ä", "a\0", "{a}"];

/// It is empty and of no generation, however often it is read.
pub fn a_register_never_set_is_empty(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    for _ in 0..2 {
        assert_eq!(log.register("never"), Register::default());
        assert_eq!(log.registers(""), Vec::<String>::new(), "reading makes no register");
    }
    let made_up = log.try_set("never", Generation::new(1), "value");
    assert_eq!(made_up, Err(Error::Changed(Register::default())));
    assert_eq!(log.register("never"), Register::default());
}

/// And else nothing changes, and whoever tried is told what it is.
pub fn a_register_is_set_where_it_is_as_expected(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let mut generations = vec![Generation::NEVER];
    for value in ["first", "second", "second", "", "last"] {
        let expected = generations[generations.len() - 1];
        let generation = log.set("epoch", expected, value);
        assert!(generation > expected, "{generation:?} behind {expected:?}");
        let register = Register { generation, value: value.into() };
        for log in [&log, &other] {
            assert_eq!(log.register("epoch"), register);
            for &old in &generations {
                let refused = log.try_set("epoch", old, "late");
                assert_eq!(refused, Err(Error::Changed(register.clone())), "{old:?}");
            }
            let future = Generation::new(generation.get() + 1);
            let refused = log.try_set("epoch", future, "early");
            assert_eq!(refused, Err(Error::Changed(register.clone())));
            assert_eq!(log.register("epoch"), register, "nothing has changed");
        }
        generations.push(generation);
    }
}

/// Whatever bytes its value has, up to the largest.
pub fn a_register_holds_its_largest_value_and_no_more(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let value: Bytes = (0..=255).cycle().take(REGISTER_BYTES_MAX).collect();
    let generation = log.set("large", Generation::NEVER, value.clone());
    let register = Register { generation, value };
    assert!(log.register("large") == register, "the largest value is read as it was");
    let bytes = REGISTER_BYTES_MAX + 1;
    let refused = log.try_set("large", generation, vec![0; bytes]);
    assert_eq!(refused, Err(Error::TooLarge { bytes, max: REGISTER_BYTES_MAX }));
    assert!(log.register("large") == register, "what is too large changes nothing");
}

/// Time and again, from two threads with a handle each.
pub fn of_two_that_set_a_register_at_once_one_wins(make: Make<'_>) {
    const ROUNDS: usize = 40;
    let mut rig = Rig::new(make);
    let race = |(name, log): (&'static str, Handle)| {
        thread::spawn(move || {
            let (mut won, mut expected) = (Vec::new(), Generation::NEVER);
            while won.len() < ROUNDS {
                match log.try_set("lease", expected, format!("{name}-{}", expected.get())) {
                    Ok(generation) => {
                        assert!(generation > expected, "{generation:?} behind {expected:?}");
                        won.push((expected, generation));
                        expected = generation;
                    }
                    Err(Error::Changed(found)) => {
                        assert!(found.generation > expected, "{found:?} behind {expected:?}");
                        expected = found.generation;
                    }
                    Err(other) => panic!("neither set nor changed: {other:?}"),
                }
            }
            won
        })
    };
    let threads = [("a", rig.open()), ("b", rig.open())].map(race);
    let mut won: Vec<(Generation, Generation)> =
        threads.into_iter().flat_map(|thread| thread.join().expect("both win at times")).collect();
    won.sort_unstable();
    assert_eq!(won.len(), 2 * ROUNDS);
    // Each was set from the one before it: nobody has set what somebody else had set already.
    let mut expected = Generation::NEVER;
    for (from, to) in won {
        assert_eq!(from, expected, "a generation was won once");
        expected = to;
    }
    assert_eq!(rig.open().register("lease").generation, expected);
}

/// Nor when the engine was restarted in between.
pub fn generations_are_never_used_again(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let mut generation = Generation::NEVER;
    for round in 0..3 {
        for value in numbered("value", 5) {
            let next = log.set("epoch", generation, value);
            assert!(next > generation, "{next:?} behind {generation:?}");
            generation = next;
        }
        log.store(format!("batch-{round}"));
        if !rig.fault(Fault::Kill) {
            return;
        }
        rig.cure(Fault::Start);
        log.works_again();
        let register = log.register("epoch");
        assert_eq!((register.generation, register.value), (generation, "value-4".into()));
    }
}

/// In every call that takes a name; the longest one is fine.
pub fn bad_names_of_registers_are_refused(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let too_long = "a".repeat(REGISTER_NAME_BYTES_MAX + 1);
    for name in BAD_NAMES.into_iter().chain([too_long.as_str()]) {
        let owned = name.to_owned();
        let read = log.ask("a register is read", move |log| log.register(&owned));
        assert!(matches!(read, Err(Error::Refused(_))), "{name:?} is read: {read:?}");
        let set = log.try_set(name, Generation::NEVER, "value");
        assert!(matches!(set, Err(Error::Refused(_))), "{name:?} is set: {set:?}");
        let fenced = log.append("batch", Some(&fence(name, Generation::NEVER))).given();
        assert!(matches!(fenced, Err(Error::Refused(_))), "{name:?} fences: {fenced:?}");
    }
    assert_eq!(log.registers(""), Vec::<String>::new());
    let longest = "a".repeat(REGISTER_NAME_BYTES_MAX);
    let mut good = vec!["-", "-a-", "0", "9-", "a", longest.as_str()];
    for name in &good {
        let generation = log.set(name, Generation::NEVER, (*name).to_owned());
        log.append("batch", Some(&fence(name, generation))).stored();
    }
    good.sort_unstable();
    assert_eq!(log.registers(""), good);
    // What no name begins with is not a pattern either.
    for prefix in ["*", "?", ">", "A", "a.", "[a]"] {
        let found = log.ask("registers are listed", move |log| log.registers(prefix));
        let is_nothing = found.as_ref().is_ok_and(Vec::is_empty);
        assert!(is_nothing || matches!(found, Err(Error::Refused(_))), "{prefix:?}: {found:?}");
    }
}

/// As every handle sees them, also where there are many.
pub fn registers_are_listed_by_prefix(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    for name in ["lease-2", "lease-10", "lease", "leases-1", "node-b", "node-a"] {
        log.set(name, Generation::NEVER, "");
    }
    let again = log.register("node-a").generation;
    log.set("node-a", again, "again");
    assert_eq!(other.register("lease-3"), Register::default());
    for log in [&log, &other] {
        assert_eq!(log.registers("lease-"), ["lease-10", "lease-2"]);
        assert_eq!(log.registers("lease"), ["lease", "lease-10", "lease-2", "leases-1"]);
        assert_eq!(log.registers("node-a"), ["node-a"]);
        assert_eq!(log.registers("x"), Vec::<String>::new());
        assert_eq!(log.registers("").len(), 6);
    }
    let mut many = numbered("many", 150);
    for name in &many {
        log.set(name, Generation::NEVER, name.clone());
    }
    many.sort_unstable();
    assert_eq!(other.registers("many-"), many);
}

/// Whoever follows sees batches alone, and no end where registers were set between them.
pub fn registers_are_no_batches(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let mut reader = log.follow(Position::START);
    let mut generation = log.set("epoch", Generation::NEVER, "before");
    let mut positions = Vec::new();
    for text in numbered("a", 10) {
        positions.push(log.store(text.clone()));
        generation = log.set("epoch", generation, text);
    }
    for _ in 0..10 {
        generation = log.set("epoch", generation, "behind");
    }
    positions.push(log.store("last"));
    let last = positions[positions.len() - 1];
    reader.read_to(last);
    let mut again = log.follow(positions[4]);
    again.read_to(last);
    assert_eq!(reader.positions(), positions);
    assert_eq!(again.positions(), positions[5..]);
    // What lies between batches is no batch.
    let holes = (1..last.get()).map(Position::new).filter(|at| !positions.contains(at));
    for hole in holes.take(30) {
        assert_eq!(log.entry(hole), None, "{hole} is a hole");
    }
    assert_eq!(log.ask("an entry is read", move |log| log.entry(Position::START)), Ok(None));
    let tail = log.span().tail;
    assert!(tail >= last, "{tail} before {last}");
    let beyond = Position::new(tail.get() + 100);
    assert_eq!(log.entry(beyond), None);
}
