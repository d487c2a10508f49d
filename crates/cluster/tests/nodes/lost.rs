//! A log that has lost what it had acknowledged, or where what is next is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwire_cluster::Standing;
use bellwire_journal::Journal;
use bellwire_model::Epoch;
use bellwire_shared_log::contract::Fault;
use bellwire_shared_log::{Position, SharedLog};

use crate::rig::{Disks, World};
use crate::seed;

#[test]
fn where_acknowledged_batches_are_gone_the_epoch_is_raised_once_and_all_agree() {
    let seed = seed();
    let mut chance = fastrand::Rng::with_seed(seed);
    for round in 0..10 {
        let count = chance.usize(2..4);
        let mut world = World::on((chance.u64(..), count), Disks::Real);
        world.run();
        let first = world.machines[0].journal().epoch();
        for _ in 0..4 {
            world.publish(0, 2, 0);
            world.publish(1, 2, 0);
            (0..300).for_each(|_| world.step());
        }
        world.run();
        world.logs.fail(Fault::Copy);
        let is_lost = round % 2 == 0;
        let kept = if is_lost { Vec::new() } else { world.check() };
        for index in 0..count {
            world.publish(index, 3, 0);
        }
        // All have it, or some: who was behind does not notice by itself.
        if world.chance.bool() {
            world.run();
        } else {
            (0..200).for_each(|_| world.step());
        }
        if world.chance.bool() {
            let index = world.chance.usize(..count);
            world.restart(index);
        }
        let has_gone = world.machines.iter().any(|it| it.events().len() > kept.len());
        world.logs.fail(if is_lost { Fault::Lose } else { Fault::Restore });
        world.publish(0, 1, 0);
        world.publish(1, 1, 0);
        world.run();
        let events = world.check();
        assert!(events.len() >= kept.len() && events.starts_with(&kept));
        let epoch = world.machines[0].journal().epoch();
        if has_gone || is_lost {
            assert_ne!(epoch, first);
            let begun: BTreeSet<Epoch> =
                world.machines.iter().filter_map(|it| it.seen().begun.last().copied()).collect();
            assert_eq!(begun, BTreeSet::from([epoch]));
        }
    }
}

/// What counts is a function of all that was applied: who has not applied some of it would decide
/// otherwise than the others from then on.
#[test]
fn who_was_away_while_the_log_was_trimmed_is_kept_out() {
    let mut world = World::new(seed(), 2);
    world.run();
    world.publish(0, 2, 0);
    world.run();
    world.machines[1].log.partition();
    for _ in 0..3 {
        world.publish(0, 2, 0);
        (0..300).for_each(|_| world.step());
    }
    let journal = world.machines[0].journal().clone();
    let applied = journal.applied().expect("something was applied");
    journal.trim_log(Position::new(applied.get() - 1)).expect("trimmed");
    let before = world.machines[1].events();
    world.machines[1].log.mend();
    (0..1000).for_each(|_| world.step());
    let standing = world.machines[1].journal().standing();
    assert!(
        matches!(&standing, Standing::Unfit { why } if why.contains("cannot know what counted")),
        "{standing:?}"
    );
    // It keeps what it has, and the other goes on.
    assert_eq!(world.machines[1].events(), before);
    assert!(world.machines[0].journal().standing().is_well());
}

#[test]
fn what_is_trimmed_behind_everybody_changes_nothing() {
    let mut world = World::new(seed(), 2);
    world.run();
    world.publish(0, 2, 0);
    world.publish(1, 2, 0);
    world.run();
    let journal = world.machines[0].journal();
    journal.trim_log(journal.applied().expect("something was applied")).expect("trimmed");
    let begun: Vec<usize> = world.machines.iter().map(|it| it.seen().begun.len()).collect();
    for index in [0, 1] {
        world.restart(index);
    }
    world.publish(0, 1, 0);
    world.run();
    let events = world.check();
    world.check_acknowledged(&events);
    assert_eq!(events.len(), 5);
    assert!(begun.iter().all(|begun| *begun <= 1));
}

/// The entries of one payload in pieces, as a node has appended them.
fn pieces() -> Vec<bytes::Bytes> {
    let mut world = World::new(seed(), 1);
    world.run();
    world.publish(0, 1, 1_200_000);
    world.run();
    let mut following = world.logs.handle().follow(Position::START).expect("followed");
    let mut entries = Vec::new();
    loop {
        world.logs.run_until_idle();
        let page = following.next(Duration::ZERO).expect("it goes on");
        if page.is_empty() {
            break;
        }
        entries.extend(page.into_iter().map(|entry| entry.batch));
    }
    entries.retain(|batch| batch.len() > 100_000);
    entries
}

#[test]
fn what_is_left_of_a_payload_whose_beginning_is_gone_takes_nothing_from_anybody() {
    let pieces = pieces();
    assert_eq!(pieces.len(), 3);
    let mut world = World::new(seed(), 2);
    world.run();
    let epoch = world.machines[0].journal().epoch();
    world.publish(0, 2, 0);
    world.run();
    let journal = world.machines[0].journal().clone();
    journal.trim_log(journal.applied().expect("something was applied")).expect("trimmed");
    world.logs.fail(Fault::Copy);
    world.publish(0, 1, 0);
    world.run();
    world.logs.fail(Fault::Restore);
    world.publish(1, 1, 0);
    world.run();
    assert_ne!(journal.epoch(), epoch);
    let before = world.check().len();
    // Of a node that was killed: what it had on its way is stored one after the other.
    let gone = world.logs.handle();
    for piece in &pieces[1..] {
        gone.append(piece.clone(), None, Box::new(|_| ()));
        world.publish(0, 2, 0);
        world.run();
    }
    assert_eq!(world.check().len(), before + 4);
}

/// Nobody else appends, so that nothing ever comes where it was.
#[test]
fn what_was_stored_and_is_gone_before_anybody_followed_it_is_appended_again() {
    let mut world = World::new(seed(), 1);
    world.run();
    world.publish(0, 1, 0);
    world.run();
    world.logs.fail(Fault::Copy);
    // Its following has ended, and it does not know yet.
    world.machines[0].log.end_followings();
    world.logs.run_until_idle();
    world.publish(0, 1, 0);
    world.machines[0].node.append();
    world.logs.run_until_idle();
    world.logs.fail(Fault::Restore);
    world.run();
    let events = world.check();
    assert_eq!(world.check_acknowledged(&events), 2);
}

/// What is never applied is read again at each doubt, from its beginning.
#[test]
fn entries_of_two_other_epochs_keep_nobody_from_what_is_behind_them() {
    let others = [pieces(), pieces()];
    let mut world = World::new(seed(), 2);
    world.run();
    let stranger = world.logs.handle();
    for pieces in others {
        // More than are handed on at once.
        for _ in 0..100 {
            stranger.append(pieces[0].clone(), None, Box::new(|_| ()));
        }
    }
    world.logs.run_until_idle();
    world.publish(0, 1, 0);
    world.run();
    let events = world.check();
    assert_eq!(world.check_acknowledged(&events), 1);
}

#[test]
fn what_follows_and_ends_time_and_again_is_told() {
    let mut world = World::new(seed(), 1);
    world.run();
    for _ in 0..2_000 {
        world.machines[0].log.end_followings();
        world.step();
    }
    let standing = world.machines[0].journal().standing();
    assert!(matches!(&standing, Standing::Away { .. }), "{standing:?}");
    world.run();
}

#[test]
fn bytes_of_somebody_else_are_left_out_by_all() {
    let mut world = World::new(seed(), 2);
    world.run();
    world.publish(0, 1, 0);
    world.run();
    let foreign = world.logs.handle();
    foreign.append(bytes::Bytes::from_static(b"of something else"), None, Box::new(|_| ()));
    world.publish(1, 1, 0);
    world.run();
    let events = world.check();
    assert_eq!(world.check_acknowledged(&events), 2);
}

#[test]
fn a_node_that_is_too_old_for_what_is_in_the_log_stops_and_says_so() {
    let mut world = World::new(seed(), 2);
    world.run();
    world.publish(0, 1, 0);
    world.run();
    let newer = world.logs.handle();
    newer.append(bytes::Bytes::from_static(b"BWL\x02of a later version"), None, Box::new(|_| ()));
    (0..2_000).for_each(|_| world.step());
    world.publish(0, 1, 0);
    (0..2_000).for_each(|_| world.step());
    for machine in &world.machines {
        let standing = machine.journal().standing();
        let Standing::TooOld { why } = &standing else { panic!("{standing:?}") };
        assert!(why.contains("too old") && why.contains("version 2"), "{why}");
        assert!(machine.journal().health().is_err());
        assert_eq!(machine.events().len(), 1);
    }
    assert_eq!(world.answers.lock().expect("held for a moment").refused.len(), 1);
}

#[test]
fn publishers_are_told_to_come_again_while_the_engine_is_away_and_the_servers_own_waits() {
    let mut world = World::new(seed(), 1);
    world.run();
    world.logs.fail(Fault::Kill);
    world.publish(0, 1, 0);
    (0..300).for_each(|_| world.step());
    world.pass(Duration::from_secs(11));
    (0..300).for_each(|_| world.step());
    assert_eq!(world.answers.lock().expect("held for a moment").refused.len(), 1);
    // Nobody waits while it is known.
    world.publish(0, 1, 0);
    assert_eq!(world.answers.lock().expect("held for a moment").refused.len(), 2);
    assert!(matches!(world.machines[0].journal().standing(), Standing::Away { .. }));
    let (sender, written) = std::sync::mpsc::sync_channel(1);
    let change = bellwire_journal::RecordChange { key: "a".into(), value: Some("b".into()) };
    let journal = world.machines[0].journal().clone();
    let reply = Box::new(move |result| drop(sender.send(result)));
    journal.write_records(vec![change], reply).expect("it waits");
    (0..300).for_each(|_| world.step());
    assert!(written.try_recv().is_err());
    world.logs.fail(Fault::Start);
    world.run();
    written.try_recv().expect("answered").expect("written");
    assert_eq!(journal.records("").expect("read").len(), 1);
    world.publish(0, 1, 0);
    world.run();
    let events = world.check();
    assert_eq!(world.check_acknowledged(&events), 1);
}
