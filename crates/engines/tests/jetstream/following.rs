//! Followings where the client's own would skip something, begin anew, or wait for ever.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bellwire_engines::{Options, connect};
use bellwire_shared_log::contract::{Engine, Fault};
use bellwire_shared_log::{Ended, Entry, Following, Position, SharedLog};

use crate::nats::{Nats, by_hand};
use crate::server::{Server, program};

/// How long a following may wait in one call, and how often it is called.
const PATIENCE: Duration = Duration::from_millis(200);
const CALLS_MAX: usize = 150;

/// Stores a batch.
pub(crate) fn store(log: &Arc<dyn SharedLog>, batch: &str) -> Position {
    let (sender, answer) = sync_channel(1);
    let stored = Box::new(move |result| sender.send(result).unwrap());
    log.append(batch.to_owned().into(), None, stored);
    answer.recv().unwrap().unwrap()
}

/// Follows until it ends; returns what was handed on, and why it ended.
pub(crate) fn to_the_end(following: &mut Box<dyn Following>) -> (Vec<Position>, Ended) {
    let mut seen = Vec::new();
    for _ in 0..CALLS_MAX {
        match following.next(PATIENCE) {
            Ok(entries) => seen.extend(entries.into_iter().map(|entry| entry.position)),
            Err(ended) => return (seen, ended),
        }
    }
    panic!("it does not end, behind {seen:?}");
}

/// Follows until so many were handed on.
pub(crate) fn read(following: &mut Box<dyn Following>, count: usize) -> Vec<Entry> {
    let mut seen = Vec::new();
    for _ in 0..CALLS_MAX {
        seen.extend(following.next(PATIENCE).unwrap());
        if seen.len() >= count {
            return seen;
        }
    }
    panic!("{count} were to come: {seen:?}");
}

#[test]
fn a_server_killed_before_the_first_message_has_nothing_replayed() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let mut nats = Nats::start(&program);
    let (log, other) = (nats.open().unwrap(), nats.open().unwrap());
    let positions: Vec<Position> =
        (0..10).map(|number| store(&log, &format!("a-{number}"))).collect();
    // One that has asked the server already, and one that has not.
    let (mut asked, mut fresh) =
        (log.follow(positions[9]).unwrap(), log.follow(positions[4]).unwrap());
    assert_eq!(asked.next(Duration::ZERO), Ok(Vec::new()));
    assert!(nats.fault(Fault::Kill) && nats.fault(Fault::Start));
    let again = (0..CALLS_MAX).find_map(|_| {
        bellwire_process::clock::pause(PATIENCE);
        other.span().ok()
    });
    assert_eq!(again.expect("it is back").tail, positions[9]);
    let later = store(&other, "later");
    for following in [&mut asked, &mut fresh] {
        let (seen, ended) = to_the_end(following);
        assert!(matches!(ended, Ended::Lost(_)), "{ended:?}");
        assert_eq!(seen, []);
    }
    let again = read(&mut other.follow(positions[4]).unwrap(), 6);
    let again: Vec<Position> = again.into_iter().map(|entry| entry.position).collect();
    assert_eq!(again, [&positions[5..], &[later]].concat());
}

#[test]
fn a_batch_that_somebody_removes_from_the_middle_is_missed() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let log = connect(&server.address(), &Options::default()).unwrap();
    let positions: Vec<Position> =
        (0..6).map(|number| store(&log, &format!("a-{number}"))).collect();
    by_hand(&server.address(), async |stream, _| {
        stream.delete_message(positions[2].get()).await.unwrap();
        stream.delete_message(positions[3].get()).await.unwrap();
    });
    let (seen, ended) = to_the_end(&mut log.follow(Position::START).unwrap());
    assert_eq!((seen.as_slice(), ended), (&positions[..2], Ended::Trimmed(positions[3])));
    for (after, until) in [(1, 3), (2, 3)] {
        let error = log.follow(positions[after]).err();
        assert_eq!(error, Some(bellwire_shared_log::Error::Trimmed(positions[until])));
    }
    assert_eq!(read(&mut log.follow(positions[3]).unwrap(), 2).len(), 2);
}

#[test]
fn what_follows_ends_when_somebody_removes_its_consumer_or_the_stream() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let log = connect(&server.address(), &Options::default()).unwrap();
    let first = store(&log, "first");
    for removes_all in [false, true] {
        let mut following = log.follow(first).unwrap();
        assert_eq!(following.next(Duration::ZERO), Ok(Vec::new()));
        by_hand(&server.address(), async |stream, context| {
            use futures_util::TryStreamExt;
            let names: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
            assert_eq!(names.len(), 1, "one follows: {names:?}");
            if removes_all {
                context.delete_stream("BELLWIRE-bellwire").await.unwrap();
            } else {
                stream.delete_consumer(&names[0]).await.unwrap();
            }
        });
        let (seen, ended) = to_the_end(&mut following);
        assert!(seen.is_empty() && matches!(ended, Ended::Lost(_)), "{seen:?} {ended:?}");
    }
    // It is made again, as another one.
    assert_eq!(log.entry(first), Ok(None));
    assert_eq!(log.span().unwrap().tail, Position::START);
    assert_eq!(store(&log, "of another log"), first);
}

#[test]
fn followings_that_are_dropped_leave_no_consumers() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let log = connect(&server.address(), &Options::default()).unwrap();
    for _ in 0..20 {
        drop(log.follow(Position::START).unwrap());
    }
    let left = (0..CALLS_MAX).find(|_| {
        bellwire_process::clock::pause(PATIENCE);
        let count = by_hand(&server.address(), async |stream, _| {
            stream.get_info().await.unwrap().state.consumer_count
        });
        count == 0
    });
    assert!(left.is_some(), "all are gone");
}
