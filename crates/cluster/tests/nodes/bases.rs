//! What nodes had before the log lost something is there afterwards, on all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwire_cluster::Standing;
use bellwire_journal::{Append, Journal};
use bellwire_model::{Body, Epoch, Event, Offset, Timestamp};
use bellwire_shared_log::contract::Fault;
use bellwire_shared_log::{Register, SharedLog};

use crate::rig::{Disks, World};
use crate::seed;

type Events = Vec<(Offset, String)>;

/// Longer than a node that has more is waited for.
const RAISED: Duration = Duration::from_secs(20);

fn register(world: &World) -> Register {
    world.logs.handle().register("epoch").expect("it is there")
}

/// What was acknowledged is there, whatever the epoch was then. Returns how much that is.
#[track_caller]
fn has_all_acknowledged(world: &World, events: &Events) -> usize {
    let texts: BTreeSet<&str> = events.iter().map(|(_, text)| &**text).collect();
    let answers = world.answers.lock().expect("held for a moment");
    for text in answers.made.keys() {
        assert!(texts.contains(&**text), "{text} was acknowledged");
    }
    answers.made.len()
}

/// The log lets go of what all have, but for some.
fn trim(world: &World) {
    let journal = world.machines[0].journal();
    let applied = journal.applied().expect("something was applied");
    journal.trim_log(applied).expect("trimmed");
}

/// Has all publish, and some of that come about.
fn publish(world: &mut World, rounds: usize) {
    for _ in 0..rounds {
        let index = world.chance.usize(..world.machines.len());
        let bytes = if world.chance.u8(..6) == 0 { 600_000 } else { 0 };
        world.publish(index, 2, bytes);
        let steps = world.chance.usize(10..150);
        (0..steps).for_each(|_| world.step());
    }
}

/// What the node has that has most.
fn most(world: &World) -> Events {
    let by_tail = world.machines.iter().max_by_key(|machine| machine.journal().bounds().tail);
    by_tail.expect("there are some").events()
}

#[test]
fn history_outlives_what_the_log_loses_and_is_the_same_everywhere() {
    let seed = seed();
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut raised = 0;
    for round in 0..8 {
        let count = chance.usize(2..4);
        let mut world = World::on((chance.u64(..), count), Disks::Real);
        world.run();
        publish(&mut world, 8);
        world.run();
        if world.chance.bool() {
            trim(&world);
        }
        for _ in 0..3 {
            // A copy of now, or of long ago.
            if world.chance.u8(..3) > 0 {
                world.logs.fail(Fault::Copy);
            }
            publish(&mut world, 6);
            if world.chance.bool() {
                world.run();
            }
            let epoch = register(&world).value;
            let before = most(&world);
            let fault = [Fault::Lose, Fault::Restore][world.chance.usize(..2)];
            world.logs.fail(fault);
            publish(&mut world, 3);
            if world.chance.u8(..3) == 0 {
                let index = world.chance.usize(..count);
                world.begin_again(index);
            }
            world.run();
            world.publish(0, 1, 0);
            world.run();
            let events = world.check();
            assert!(events.starts_with(&before), "round {round}: history is another");
            has_all_acknowledged(&world, &events);
            raised += usize::from(register(&world).value != epoch);
        }
        for index in 0..count {
            world.restart(index);
        }
        world.run();
        world.check();
    }
    println!("{raised} times the epoch was raised");
    assert!(raised > 8, "{raised}");
}

/// What only the log had that others went on with stands behind what only the disk of the raiser had.
#[test]
fn what_was_acknowledged_on_both_sides_of_a_loss_is_there() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.run();
    publish(&mut world, 4);
    world.run();
    trim(&world);
    world.logs.fail(Fault::Copy);
    // One has applied what the other has not, and nobody has told either.
    world.machines[1].log.partition();
    world.publish(0, 3, 0);
    for _ in 0..2_000 {
        world.step();
    }
    let before = world.machines[0].events();
    world.machines[0].log.partition();
    world.logs.fail(Fault::Restore);
    world.machines[1].log.mend();
    world.publish(1, 3, 0);
    for _ in 0..2_000 {
        world.step();
    }
    let other = world.machines[1].events();
    assert!(!other.starts_with(&before) && !before.starts_with(&other));
    world.machines[0].log.mend();
    world.run();
    let events = world.check();
    assert!(events.starts_with(&before));
    has_all_acknowledged(&world, &events);
    assert_eq!(events.len(), before.len() + 3);
}

/// Whatever was answered: whoever is killed between finds itself to be the base.
#[test]
fn a_raiser_that_is_killed_before_it_goes_on_is_the_base_all_the_same() {
    for fault in [Fault::Lose, Fault::Restore] {
        let mut world = World::on((seed(), 2), Disks::Real);
        world.run();
        world.logs.fail(Fault::Copy);
        publish(&mut world, 4);
        world.run();
        let before = world.check();
        let epoch = world.machines[0].journal().epoch();
        world.machines[1].log.partition();
        world.logs.fail(fault);
        let lost = register(&world);
        for _ in 0..10_000 {
            world.machines[0].log.lose_answers(100);
            world.step();
            if register(&world).value != lost.value {
                break;
            }
        }
        assert_ne!(register(&world).value, lost.value, "it was raised");
        assert_eq!(world.machines[0].journal().epoch(), epoch, "and nobody knows");
        world.restart(0);
        world.machines[1].log.mend();
        world.run();
        let raised = world.machines[0].journal().epoch();
        assert_ne!(raised, epoch);
        world.publish(1, 1, 0);
        world.run();
        let events = world.check();
        assert!(events.starts_with(&before));
        assert_eq!((events.len(), world.machines[1].journal().epoch()), (before.len() + 1, raised));
    }
}

#[test]
fn who_has_most_is_waited_for_and_who_slept_through_it_all_gets_a_copy() {
    let mut world = World::on((seed(), 3), Disks::Real);
    world.run();
    publish(&mut world, 4);
    world.run();
    trim(&world);
    // One sleeps over two losses.
    world.machines[2].log.partition();
    for _ in 0..2 {
        world.machines[1].log.partition();
        world.publish(0, 2, 0);
        (0..2_000).for_each(|_| world.step());
        let more = world.machines[0].events();
        assert!(more.len() > world.machines[1].events().len());
        world.logs.fail(Fault::Lose);
        world.machines[1].log.mend();
        // The one that has less sees the loss first.
        world.machines[1].node.follow(Duration::ZERO);
        for _ in 0..10_000 {
            world.step();
            let [more, less] = [0, 1].map(|index| world.machines[index].journal());
            if less.needs_snapshot().is_some() && more.applied().is_some() {
                break;
            }
        }
        assert_eq!(world.machines[0].events(), more);
        assert!(world.machines[1].journal().needs_snapshot().is_some());
        let of = world.machines[0].journal().epoch();
        world.rejoin_with_snapshot(1, 0);
        assert_eq!(world.machines[1].journal().epoch(), of);
    }
    world.machines[2].log.mend();
    world.publish(1, 2, 0);
    world.run();
    let events = world.check();
    assert_eq!(has_all_acknowledged(&world, &events), events.len());
}

/// The seconds without the engine are none in which others could have said that they have more.
#[test]
fn who_has_less_and_was_away_waits_anew_for_who_has_more() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.run();
    publish(&mut world, 2);
    world.run();
    world.machines[1].log.partition();
    world.publish(0, 2, 0);
    (0..2_000).for_each(|_| world.step());
    let more = world.machines[0].events();
    world.machines[0].log.partition();
    world.logs.fail(Fault::Lose);
    world.machines[1].log.mend();
    let says_lost = |world: &World| {
        let standing = world.machines[1].journal().standing();
        matches!(standing, Standing::Away { why } if why.contains("has lost"))
    };
    let follow_until = |world: &mut World, is_lost: bool| {
        for _ in 0..1_000 {
            if says_lost(world) == is_lost {
                return;
            }
            world.machines[1].node.follow(Duration::ZERO);
        }
        panic!("{:?}", world.machines[1].journal().standing());
    };
    follow_until(&mut world, true);
    // It looks once while it has no engine, and both have it again.
    world.machines[1].log.partition();
    follow_until(&mut world, false);
    world.pass(RAISED);
    world.machines[1].log.mend();
    world.machines[0].log.mend();
    for _ in 0..8 {
        world.machines[1].node.follow(Duration::ZERO);
    }
    assert!(register(&world).value.is_empty(), "it was raised");
    world.run();
    assert!(world.check().starts_with(&more));
}

/// Its extra is gone then, and it says so itself.
#[test]
fn who_has_most_and_is_not_there_is_waited_for_no_longer() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.run();
    publish(&mut world, 2);
    world.run();
    world.logs.fail(Fault::Copy);
    let kept = world.check();
    world.machines[1].log.partition();
    world.publish(0, 2, 0);
    (0..2_000).for_each(|_| world.step());
    world.machines[0].log.partition();
    world.logs.fail(Fault::Lose);
    world.machines[1].log.mend();
    let until = world.uptime() + RAISED;
    while world.uptime() < until {
        world.step();
    }
    (0..400).for_each(|_| world.step());
    assert!(world.machines[1].journal().standing().is_well());
    assert_eq!(world.machines[1].events(), kept);
    world.machines[0].log.mend();
    for _ in 0..10_000 {
        world.step();
        if world.machines[0].journal().needs_snapshot().is_some() {
            break;
        }
    }
    let standing = world.machines[0].journal().standing();
    let Standing::Unfit { why } = &standing else { panic!("{standing:?}") };
    assert!(why.contains("goes on with what another node has"), "{why}");
    world.run();
    assert!(world.check().starts_with(&kept));
}

/// The epoch that the first node begins where its own is over.
fn raised(world: &mut World) -> Epoch {
    let lost = world.machines[0].journal().epoch();
    for _ in 0..20_000 {
        world.step();
        if world.machines[0].journal().epoch() != lost {
            break;
        }
    }
    let first = world.machines[0].journal().epoch();
    assert_ne!(first, lost, "it was raised");
    first
}

/// The one that raised it is lost with its disk before anybody else had what it had.
#[test]
fn a_base_that_nobody_has_any_more_is_given_up_for_what_there_is() {
    let mut world = World::on((seed(), 3), Disks::Real);
    world.run();
    publish(&mut world, 2);
    world.run();
    let kept = world.check();
    for away in [1, 2] {
        world.machines[away].log.partition();
    }
    world.publish(0, 2, 0);
    (0..2_000).for_each(|_| world.step());
    world.logs.fail(Fault::Lose);
    let first = raised(&mut world);
    world.machines[0].log.partition();
    for there in [1, 2] {
        world.machines[there].log.mend();
    }
    let until = world.uptime() + Duration::from_mins(6);
    while world.uptime() < until {
        world.pass(Duration::from_millis(200));
        (0..20).for_each(|_| world.step());
    }
    assert_eq!(world.machines[1].events(), kept);
    assert!(world.machines[1].journal().standing().is_well());
    world.machines[0].log.mend();
    world.run();
    assert_ne!(world.machines[0].journal().epoch(), first);
    assert!(world.check().starts_with(&kept));
}

/// All others were restarted meanwhile: at their start they wait, and each try to get a snapshot is a node more.
#[test]
fn a_base_that_is_lost_is_given_up_also_by_those_who_wait_at_their_start() {
    let mut world = World::on((seed(), 3), Disks::Real);
    world.run();
    publish(&mut world, 2);
    world.run();
    let kept = world.check();
    // One has more than the other, and a third has the base.
    world.machines[1].log.partition();
    world.publish(2, 1, 0);
    (0..2_000).for_each(|_| world.step());
    world.machines[2].log.partition();
    world.publish(0, 2, 0);
    (0..2_000).for_each(|_| world.step());
    let more = world.machines[2].events();
    assert!(more.len() > kept.len() && more.len() < world.machines[0].events().len());
    world.logs.fail(Fault::Lose);
    raised(&mut world);
    drop(world.remove(0));
    (0..2).for_each(|index| world.restart(index));
    let until = world.uptime() + Duration::from_mins(8);
    let catch_up = |world: &mut World, index: usize| {
        // As a start does, until it is in vain.
        let (logs, mut turns) = (world.logs.clone(), 0);
        world.machines[index].node.catch_up(Duration::ZERO, || {
            logs.run_until_idle();
            turns += 1;
            turns < 2
        });
    };
    let follows = |world: &World| world.machines[1].journal().standing().is_well();
    while world.uptime() < until && !follows(&world) {
        world.pass(Duration::from_secs(5));
        for index in [0, 1] {
            catch_up(&mut world, index);
            let journal = world.machines[index].journal();
            let is_away = matches!(journal.standing(), Standing::Away { .. });
            if journal.needs_snapshot().is_some() && !is_away {
                world.begin_again(index);
            }
        }
    }
    assert!(follows(&world), "{:?}", world.machines[1].journal().standing());
    world.run();
    assert!(world.check().starts_with(&more), "what the one had that had most");
}

/// Somebody began it, and was gone before anybody else had what the log has let go of since.
#[test]
fn an_epoch_that_nobody_can_enter_and_nobody_is_in_is_given_up() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.run();
    publish(&mut world, 2);
    world.run();
    let kept = world.check();
    trim(&world);
    let before = register(&world);
    let mut value = before.value.to_vec();
    // Another epoch, and its ordinal, which follows it; the floor comes last.
    value[1] ^= 1;
    let ordinal = 2 + value[1..].iter().position(|byte| *byte < 0x80).expect("it ends");
    assert_eq!((value[ordinal], value.last()), (1, Some(&0)));
    value[ordinal] = 9;
    let log = world.logs.handle();
    log.set_register("epoch", before.generation, value.into()).expect("set");
    for _ in 0..2_000 {
        world.step();
    }
    let standing = world.machines[0].journal().standing();
    let Standing::Unfit { why } = &standing else { panic!("{standing:?}") };
    assert!(why.contains("cannot know what counted"), "{why}");
    let until = world.uptime() + Duration::from_mins(6);
    while world.uptime() < until {
        world.pass(Duration::from_millis(200));
        (0..20).for_each(|_| world.step());
    }
    world.run();
    assert_eq!(world.check(), kept);
}

/// What counts once counts once across the loss, and versions of values say of which epoch they are.
#[test]
fn idempotency_keys_and_values_outlive_a_loss() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.run();
    let event = |key: Option<&str>, text: &str| {
        let topic = if key.is_some() { "state" } else { "stream" };
        let body = Some(Body::Json(text.to_owned().into_bytes().into()));
        let (topic, key) = (topic.parse().expect("a topic"), key.map(Into::into));
        Event { topic, key, event_type: None, time: Timestamp::from_ms(1), body }
    };
    let once = || Append::new(event(None, "\"once\""), Some("k".into()));
    let value = || Append::of_state(event(Some("a"), "1"), None);
    let append = |world: &mut World, batch: Vec<Append>| {
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let reply = Box::new(move |result| drop(sender.send(result)));
        world.machines[0].journal().append(batch, reply).expect("queued");
        world.run();
        answer.try_recv().expect("answered").expect("appended")
    };
    let made = append(&mut world, vec![once(), value()]);
    trim(&world);
    world.logs.fail(Fault::Lose);
    world.run();
    let again = append(&mut world, vec![once()]);
    assert_eq!((again[0].offset, again[0].duplicate), (made[0].offset, true));
    for machine in &world.machines {
        let state = machine.journal().state(Offset::ZERO, bellwire_journal::ReadLimit::PAGE);
        let state = state.expect("read").entries;
        assert_eq!((state.len(), state[0].offset), (1, made[1].offset));
        assert_eq!(machine.events(), [(made[0].offset, "\"once\"".to_owned())]);
    }
}
