//! Clauses about an engine that is away: killed, stopped, or cut off.

use std::thread;

use super::rig::{Answer, Handle, Log, Rig, fence, numbered};
use super::waiting::{until, within};
use super::{Fault, Make};
use crate::{Ended, Error, Generation, Position};

/// How an engine is away, and how it comes back.
const ABSENCES: [(Fault, Fault); 3] =
    [(Fault::Kill, Fault::Start), (Fault::Pause, Fault::Resume), (Fault::Cut, Fault::Mend)];

/// How often a following may end after one absence, before it is said to get nowhere.
const ENDS_MAX: usize = 20;

/// Batches, registers and places, as the same handle sees them.
pub fn what_was_answered_survives_a_kill(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let (mut texts, mut positions) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let more = numbered(&round.to_string(), 50);
        let stored = log.store_all(&more);
        assert!(positions.last() < stored.first(), "places go on");
        positions.extend(stored);
        texts.extend(more);
        let name = ["node-a", "node-b", "node-c"][round];
        let generation = log.set(name, Generation::NEVER, name);
        if !rig.fault(Fault::Kill) {
            return;
        }
        rig.cure(Fault::Start);
        log.works_again();
        let register = log.register(name);
        assert_eq!((register.generation, register.value), (generation, name.into()));
        assert_eq!(log.registers("node-").len(), round + 1);
        let end = log.store(format!("end-{round}"));
        texts.push(format!("end-{round}"));
        positions.push(end);
        assert_eq!(log.texts_up_to(end), texts);
        let entry = log.entry(positions[0]).expect("the first one is there");
        assert_eq!(entry.batch, "0-0");
    }
}

/// Each append once, and every other call too, with nothing but that.
pub fn calls_are_answered_while_the_engine_is_away(make: Make<'_>) {
    for (fault, cure) in ABSENCES {
        let mut rig = Rig::new(make);
        let log = rig.open();
        let first = log.store("first");
        if !rig.fault(fault) {
            continue;
        }
        // The second time it is known that the engine is away.
        for _ in 0..2 {
            let answers = log.pipeline(&numbered("away", 50), None);
            let calls = calls_that_wait(&log, first);
            for answer in answers {
                let given = answer.given();
                assert!(matches!(given, Err(Error::Away(_))), "{given:?} after {fault:?}");
            }
            for (what, call) in calls {
                let error = call.join().expect(what);
                assert!(matches!(error, Some(Error::Away(_))), "{what}: {error:?} at {fault:?}");
            }
        }
        rig.cure(cure);
        log.works_again();
        assert_eq!(log.entry(first).expect("it is there").batch, "first");
    }
}

/// It was answered that nobody knows: it is there or not, but not twice.
pub fn an_append_that_was_away_is_there_once_at_most(make: Make<'_>) {
    for (fault, cure) in ABSENCES {
        let mut rig = Rig::new(make);
        let (log, other) = (rig.open(), rig.open());
        let stored = log.store_all(&numbered("before", 20));
        let mut answers = log.pipeline(&numbered("early", 100), None);
        if !rig.fault(fault) {
            continue;
        }
        answers.extend(log.pipeline(&numbered("late", 100), None));
        let texts = numbered("early", 100).into_iter().chain(numbered("late", 100));
        let answers: Vec<(String, Option<Position>)> =
            texts.zip(answers).map(|(text, answer)| (text, answer.stored_unless_away())).collect();
        rig.cure(cure);
        log.works_again();
        let end = other.store_end();
        let mut reader = other.follow_again(Position::START);
        reader.read_to(end);
        assert_eq!(reader.positions()[..20], stored);
        let of = |text: &str| -> Vec<Position> {
            let of = reader.seen().iter().filter(|entry| entry.batch == text);
            of.map(|entry| entry.position).collect()
        };
        let mut last = Position::START;
        for (text, answer) in answers {
            let there = of(&text);
            assert!(there.len() <= 1, "{text} is there at {there:?}, after {fault:?}");
            if let Some(position) = answer {
                assert_eq!(there, [position], "{text}, which was answered, after {fault:?}");
                assert!(position > last, "{text} is behind what was appended before it");
                last = position;
            }
        }
    }
}

/// Whichever of them was in the middle of something: none hands on everything and stays silent.
pub fn a_following_ends_when_the_engine_is_away(make: Make<'_>) {
    for (fault, cure) in ABSENCES {
        let mut rig = Rig::new(make);
        let (log, other) = (rig.open(), rig.open());
        let mut positions = log.store_all(&numbered("a", 30));
        let mut readers = [log.follow(Position::START), other.follow(Position::START)];
        let mut behind = log.follow(positions[9]);
        for reader in &mut readers {
            reader.read_to(positions[29]);
        }
        if !rig.fault(fault) {
            continue;
        }
        for reader in readers.iter_mut().chain([&mut behind]) {
            let ended = reader.end();
            assert!(matches!(ended, Ended::Lost(_)), "{ended:?} after {fault:?}");
        }
        rig.cure(cure);
        log.works_again();
        positions.extend(log.store_all(&numbered("b", 30)));
        let seen = behind.positions();
        assert_eq!(seen, positions[10..10 + seen.len()], "nothing is skipped before the end");
        for (log, reader) in [(&log, &readers[0]), (&other, &readers[1]), (&log, &behind)] {
            assert!(reader.positions().iter().all(|position| positions.contains(position)));
            let mut again = log.follow_again(reader.after());
            again.read_to(positions[59]);
            let expected = positions.iter().filter(|&&position| position > reader.after());
            let found: Vec<Position> = again.positions();
            let found = found.iter().filter(|position| positions.contains(position));
            assert!(found.eq(expected), "everything behind {}", reader.after());
        }
    }
}

/// It never goes on by itself, though it could: the server may be another one.
pub fn a_following_does_not_outlive_the_server(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let mut reader = log.follow(Position::START);
    let positions = other.store_all(&numbered("a", 5));
    reader.read_to(positions[4]);
    if !rig.fault(Fault::Kill) {
        return;
    }
    rig.cure(Fault::Start);
    let end = other.store_end();
    reader.end_without("end");
    assert_eq!(reader.positions(), positions, "what came later is for who follows again");
    let mut again = log.follow_again(reader.after());
    again.read_to(end);
    assert_eq!(again.texts(), ["end"]);
}

/// Too short for anybody to notice, or not: no following stays silent for ever.
pub fn a_short_absence_leaves_no_following_silent(make: Make<'_>) {
    for (fault, cure) in [(Fault::Pause, Fault::Resume), (Fault::Cut, Fault::Mend)] {
        let mut rig = Rig::new(make);
        let log = rig.open();
        let mut reader = log.follow(Position::START);
        let first = log.store("first");
        reader.read_to(first);
        if !rig.fault(fault) {
            continue;
        }
        rig.cure(cure);
        let other = rig.open();
        let end = other.store_end();
        let (mut texts, mut ends) = (Vec::new(), 0);
        while reader.read_to_or_end(end).is_some() {
            texts.extend(reader.texts());
            ends += 1;
            assert!(ends < ENDS_MAX, "it ends again and again, after {fault:?}");
            reader = log.follow_again(reader.after());
        }
        texts.extend(reader.texts());
        assert_eq!(texts, ["first", "end"], "after {fault:?}");
    }
}

/// Also in the middle of an absence everything is answered.
pub fn a_handle_may_be_dropped_while_the_engine_is_away(make: Make<'_>) {
    for (fault, cure) in ABSENCES {
        let mut rig = Rig::new(make);
        let (log, other) = (rig.open(), rig.open());
        let reader = log.follow(Position::START);
        log.store("first");
        if !rig.fault(fault) {
            continue;
        }
        let answers = log.pipeline(&numbered("a", 20), None);
        within("a following is dropped", move || drop(reader));
        within("a handle is dropped", move || drop(log));
        for answer in answers {
            assert_eq!(answer.stored_unless_away(), None, "nobody can have stored it: {fault:?}");
        }
        rig.cure(cure);
        other.works_again();
    }
}

/// It says so, stores nothing of what it refuses, and is read as before.
pub fn a_full_engine_says_so(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let before = log.store_all(&numbered("before", 5));
    let generation = log.set("epoch", Generation::NEVER, "value");
    if !rig.fault(Fault::Fill) {
        return;
    }
    let mut number = 0_u64;
    let refused = until("the engine is full", || {
        number += 1;
        let batch = format!("full-{number}-{}", "0".repeat(64 * 1024));
        match log.append(batch.clone(), None).given() {
            Err(Error::Full(_)) => Ok(batch),
            other => Err(format!("an append says {other:?}")),
        }
    });
    assert_eq!(log.entry(before[0]).expect("it is there").batch, "before-0");
    assert_eq!(log.register("epoch").generation, generation);
    assert!(log.span().tail >= before[4]);
    let mut reader = log.follow(Position::START);
    reader.read_to(before[4]);
    rig.cure(Fault::Relieve);
    let end = log.store_end();
    let texts = log.texts_up_to(end);
    assert_eq!(texts[..5], numbered("before", 5));
    assert!(!texts.contains(&refused), "what was refused is not there");
    let generation = log.set("epoch", generation, "another");
    log.append("fenced", Some(&fence("epoch", generation))).stored();
}

/// All calls that wait for the engine, at once; each returns its error.
fn calls_that_wait(
    log: &Handle,
    first: Position,
) -> Vec<(&'static str, thread::JoinHandle<Option<Error>>)> {
    type Call = Box<dyn FnOnce(&Log) -> Option<Error> + Send>;
    let calls: Vec<(&'static str, Call)> = vec![
        ("entry", Box::new(move |log| log.entry(first).err())),
        ("span", Box::new(|log| log.span().err())),
        ("trim", Box::new(|log| log.trim(Position::START).err())),
        ("register", Box::new(|log| log.register("epoch").err())),
        ("registers", Box::new(|log| log.registers("").err())),
        (
            "set_register",
            Box::new(|log| log.set_register("away", Generation::NEVER, "value".into()).err()),
        ),
        ("follow", Box::new(move |log| log.follow(first).err())),
    ];
    let spawn = |(what, call): (&'static str, Call)| {
        let log = log.clone();
        (what, thread::spawn(move || log.ask(what, move |log| call(log))))
    };
    calls.into_iter().map(spawn).collect()
}

/// Appends go on while the server is killed: none that was answered is missing.
pub fn a_kill_in_the_middle_of_a_pipeline_loses_nothing_answered(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let texts = numbered("a", 2000);
    let mut answers = log.pipeline(&texts[..1000], None);
    let thread = {
        let (log, texts) = (log.clone(), texts.clone());
        thread::spawn(move || log.pipeline(&texts[1000..], None))
    };
    let first = answers.remove(0).stored();
    if !rig.fault(Fault::Kill) {
        thread.join().expect("appends wait for nobody").into_iter().for_each(|a| drop(a.given()));
        return;
    }
    rig.cure(Fault::Start);
    answers.extend(thread.join().expect("appends wait for nobody"));
    let answers = answers.into_iter().map(Answer::stored_unless_away);
    let answers: Vec<Option<Position>> = std::iter::once(Some(first)).chain(answers).collect();
    let end = other.store_end();
    let mut reader = other.follow_again(Position::START);
    reader.read_to(end);
    let mut last = Position::START;
    for (text, position) in texts.iter().zip(answers) {
        let there = reader.seen().iter().filter(|entry| entry.batch == *text);
        let there: Vec<Position> = there.map(|entry| entry.position).collect();
        assert!(there.len() <= 1, "{text} is there at {there:?}");
        if let Some(position) = position {
            assert_eq!(there, [position], "{text}, which was answered");
            assert!(position > last, "{text} is behind what was appended before it");
            last = position;
        }
    }
}
