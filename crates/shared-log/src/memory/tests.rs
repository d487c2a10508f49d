//! What the engine in memory does on command, and at each step.

mod schedules;

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{MemoryLog, MemoryLogs};
use crate::contract::Fault;
use crate::{Ended, Error, Fence, Following, Generation, Position, SharedLog};

type Answer = Receiver<Result<Position, Error>>;

fn append(log: &MemoryLog, text: &str, fence: Option<Fence>) -> Answer {
    let (sender, answer) = sync_channel(1);
    let stored = Box::new(move |result| sender.send(result).expect("somebody waits"));
    log.append(text.to_owned().into(), fence, stored);
    answer
}

fn next(following: &mut dyn Following) -> Result<Vec<String>, Ended> {
    let entries = following.next(Duration::ZERO)?;
    let text = |batch: &[u8]| String::from_utf8(batch.to_vec()).unwrap();
    Ok(entries.iter().map(|entry| text(&entry.batch)).collect())
}

fn is_away(answer: &Answer) -> bool {
    matches!(answer.try_recv(), Ok(Err(Error::Away(_))))
}

#[test]
fn nothing_happens_without_a_step() {
    let logs = MemoryLogs::stepped(7);
    let log = logs.handle();
    let mut following = log.follow(Position::START).unwrap();
    let answer = append(&log, "a", None);
    assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(next(&mut *following), Ok(vec![]));
    assert_eq!(log.span().unwrap().tail, Position::START);
    // It is done, answered, and delivered.
    for _ in 0..3 {
        assert!(logs.step());
    }
    assert!(!logs.step());
    assert_eq!(answer.try_recv(), Ok(Ok(Position::new(1))));
    assert_eq!(next(&mut *following), Ok(vec!["a".to_owned()]));
}

#[test]
fn an_answer_is_lost_though_the_batch_is_there() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let mut following = log.follow(Position::START).unwrap();
    log.lose_answers(2);
    assert!(is_away(&append(&log, "a", None)));
    let set = log.set_register("epoch", Generation::NEVER, "1".into());
    assert!(matches!(set, Err(Error::Away(_))));
    assert_eq!(log.register("epoch").unwrap().value, "1");
    assert!(append(&log, "b", None).try_recv().unwrap().is_ok());
    assert_eq!(next(&mut *following), Ok(vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn what_was_away_is_done_late_and_only_where_it_still_may_be() {
    for fault in [None, Some((Fault::Pause, Fault::Resume))] {
        let logs = MemoryLogs::immediate();
        let (log, other) = (logs.handle(), logs.handle());
        let generation = log.set_register("lease", Generation::NEVER, "a".into()).unwrap();
        let fence = Some(Fence { register: "lease".into(), generation });
        match fault {
            Some((pause, _)) => logs.fail(pause),
            None => log.do_late(4),
        }
        assert!(is_away(&append(&log, "free", None)));
        assert!(log.set_register("lease", generation, "late".into()).is_err());
        assert!(is_away(&append(&log, "fenced", fence.clone())));
        assert!(log.set_register("epoch", Generation::NEVER, "late".into()).is_err());
        if let Some((_, resume)) = fault {
            logs.fail(resume);
        } else {
            assert_eq!(log.span().unwrap().tail.get(), generation.get(), "nothing is done");
            other.set_register("lease", generation, "b".into()).unwrap();
            logs.run_until_idle();
        }
        let mut following = other.follow(Position::START).unwrap();
        assert_eq!(next(&mut *following), Ok(vec!["free".to_owned()]), "{fault:?}");
        assert_eq!(other.register("epoch").unwrap().value, "late");
        let lease = if fault.is_some() { "late" } else { "b" };
        assert_eq!(other.register("lease").unwrap().value, lease);
    }
}

#[test]
fn one_handle_is_cut_off_and_the_others_are_not() {
    let logs = MemoryLogs::immediate();
    let (log, other) = (logs.handle(), logs.handle());
    let mut following = log.follow(Position::START).unwrap();
    let mut others = other.follow(Position::START).unwrap();
    log.partition();
    assert!(is_away(&append(&log, "lost", None)));
    assert!(matches!(log.span(), Err(Error::Away(_))));
    assert!(matches!(next(&mut *following), Err(Ended::Lost(_))));
    assert!(append(&other, "there", None).try_recv().unwrap().is_ok());
    assert_eq!(next(&mut *others), Ok(vec!["there".to_owned()]));
    log.mend();
    assert!(append(&log, "again", None).try_recv().unwrap().is_ok());
    assert!(matches!(next(&mut *following), Err(Ended::Lost(_))), "it stays ended");
    let mut again = log.follow(Position::START).unwrap();
    assert_eq!(next(&mut *again), Ok(vec!["there".to_owned(), "again".to_owned()]));
    log.end_followings();
    assert!(matches!(next(&mut *again), Err(Ended::Lost(_))));
    assert_eq!(next(&mut *others), Ok(vec!["again".to_owned()]));
}

#[test]
fn a_connection_that_breaks_leaves_open_how_far_it_got() {
    let mut arrived = [0; 4];
    for seed in 0..200 {
        let logs = MemoryLogs::stepped(seed);
        let (log, other) = (logs.handle(), logs.handle());
        let answers: Vec<Answer> = ["a", "b", "c"].map(|text| append(&log, text, None)).into();
        log.disconnect();
        logs.run_until_idle();
        assert!(answers.iter().all(is_away));
        let mut following = other.follow(Position::START).unwrap();
        logs.run_until_idle();
        let mut there = next(&mut *following).unwrap();
        there.sort_unstable();
        assert_eq!(there, ["a", "b", "c"][..there.len()], "the first of them have arrived");
        arrived[there.len()] += 1;
    }
    assert!(arrived.iter().all(|&count| count > 0), "{arrived:?}");
}

#[test]
fn everybody_is_answered_also_when_all_is_dropped() {
    let logs = MemoryLogs::stepped(1);
    let log = logs.handle();
    let answers: Vec<Answer> = (0..9).map(|_| append(&log, "a", None)).collect();
    for _ in 0..4 {
        logs.step();
    }
    drop((logs, log));
    assert!(answers.iter().all(|answer| answer.try_recv().is_ok()));
}

#[test]
fn an_answer_may_append_again() {
    for logs in [MemoryLogs::immediate(), MemoryLogs::stepped(3)] {
        let log = logs.handle();
        let again = Arc::clone(&log);
        log.append(
            "first".into(),
            None,
            Box::new(move |_| {
                again.append("second".into(), None, Box::new(drop));
            }),
        );
        logs.run_until_idle();
        let mut following = log.follow(Position::START).unwrap();
        logs.run_until_idle();
        assert_eq!(next(&mut *following), Ok(vec!["first".to_owned(), "second".to_owned()]));
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let logs = MemoryLogs::stepped(seed);
        let handles = [logs.handle(), logs.handle(), logs.handle()];
        let told = Arc::new(Mutex::new(Vec::new()));
        for number in 0..60_usize {
            let told = Arc::clone(&told);
            let stored = Box::new(move |result| told.lock().unwrap().push((number, result)));
            handles[number % 3].append(number.to_string().into(), None, stored);
            match number {
                20 => logs.fail(Fault::Pause),
                30 => logs.fail(Fault::Resume),
                40 => handles[1].disconnect(),
                _ => drop(logs.step()),
            }
        }
        logs.run_until_idle();
        let told = told.lock().unwrap();
        told.clone()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
