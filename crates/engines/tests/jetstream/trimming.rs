//! Trimming a stream whose messages are batches and registers.

use std::sync::Arc;

use bellwire_engines::{Options, connect};
use bellwire_shared_log::{Error, Generation, Position, SharedLog};

use crate::following::{read, store};
use crate::nats::by_hand;
use crate::server::{Server, program};

fn set(log: &Arc<dyn SharedLog>, name: &str, expected: Generation) -> Generation {
    log.set_register(name, expected, "value".into()).unwrap()
}

#[test]
fn registers_set_behind_what_was_trimmed_do_not_move_where_it_ends() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let log = connect(&server.address(), &Options::default()).unwrap();
    set(&log, "epoch", Generation::NEVER);
    let positions: Vec<Position> =
        (0..5).map(|number| store(&log, &format!("a-{number}"))).collect();
    log.trim(positions[4]).unwrap();
    let mut lease = Generation::NEVER;
    for _ in 0..5 {
        lease = set(&log, "lease", lease);
        // Who has applied everything has missed nothing.
        assert_eq!(log.span().unwrap().trimmed, positions[4]);
        drop(log.follow(positions[4]).unwrap());
    }
    let last = store(&log, "last");
    assert_eq!(log.span().unwrap().trimmed, positions[4]);
    assert_eq!(read(&mut log.follow(positions[4]).unwrap(), 1)[0].position, last);
    let error = log.follow(positions[3]).err();
    assert_eq!(error, Some(Error::Trimmed(positions[4])));
}

#[test]
fn trimming_removes_what_registers_were_before() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let log = connect(&server.address(), &Options::default()).unwrap();
    let messages = || {
        by_hand(&server.address(), async |stream, _| {
            stream.get_info().await.unwrap().state.messages
        })
    };
    let (mut lease, epoch) = (Generation::NEVER, set(&log, "epoch", Generation::NEVER));
    for _ in 0..50 {
        lease = set(&log, "lease", lease);
    }
    let last = store(&log, "last");
    assert_eq!(messages(), 52);
    log.trim(last).unwrap();
    // Two registers, and the mark of trimming.
    assert_eq!(messages(), 3);
    assert_eq!(log.register("epoch").unwrap().generation, epoch);
    assert_eq!(log.register("lease").unwrap().generation, lease);
    assert_eq!(log.registers("").unwrap(), ["epoch", "lease"]);
}

#[test]
fn a_full_log_can_be_trimmed() {
    use async_nats::jetstream::stream::Config;
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let log = connect(&server.address(), &Options::default()).unwrap();
    set(&log, "epoch", Generation::NEVER);
    let positions: Vec<Position> = (0..5).map(|_| store(&log, &"0".repeat(1000))).collect();
    by_hand(&server.address(), async |stream, context| {
        let info = stream.get_info().await.unwrap();
        let max_bytes = info.state.bytes as i64;
        context.update_stream(Config { max_bytes, ..info.config }).await.unwrap();
    });
    let set_one = log.set_register("lease", Generation::NEVER, "value".into());
    assert!(matches!(set_one, Err(Error::Full(_))), "{set_one:?}");
    log.trim(positions[3]).unwrap();
    assert_eq!(log.span().unwrap().trimmed, positions[3]);
    set(&log, "lease", Generation::NEVER);
    store(&log, "there is room again");
}

#[test]
fn a_log_trimmed_by_hand_between_registers_is_said_to_be() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let log = connect(&server.address(), &Options::default()).unwrap();
    let mut positions = Vec::new();
    for number in 0..6 {
        set(&log, &format!("lease-{number}"), Generation::NEVER);
        positions.push(store(&log, &format!("a-{number}")));
    }
    by_hand(&server.address(), async |stream, _| {
        let purge = stream.purge().filter("bellwire.bellwire.log");
        purge.sequence(positions[3].get() + 1).await.unwrap();
    });
    for after in &positions[..3] {
        // Whether it is seen at once or on the way: nobody is handed on what comes behind.
        let mut next = *after;
        while let Ok(mut following) = log.follow(next) {
            let (seen, ended) = crate::following::to_the_end(&mut following);
            assert_eq!(seen, [], "nothing is skipped: {ended:?}");
            let bellwire_shared_log::Ended::Trimmed(until) = ended else { panic!("{ended:?}") };
            assert!(until > next);
            next = until;
            if next >= positions[3] {
                break;
            }
        }
    }
    assert_eq!(read(&mut log.follow(positions[3]).unwrap(), 2).len(), 2);
}
