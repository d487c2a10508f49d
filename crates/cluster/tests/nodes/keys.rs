//! Keys of state topics that go by themselves: one node has them go, for all.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_journal::{Append, Journal, ReadLimit};
use bellwire_model::{Body, Entry, Event, Offset, Timestamp};
use bellwire_shared_log::SharedLog;
use bytes::Bytes;

use crate::rig::{Machine, World};
use crate::seed;

fn put(world: &World, machine: &Machine, key: &str, ttl: Duration) {
    let event = Event {
        topic: "state/a".parse().expect("a topic"),
        key: Some(key.into()),
        event_type: None,
        time: Timestamp::from_ms(1),
        body: Some(Body::Json(Bytes::from_static(b"1"))),
    };
    let expires_at = Some(world.uptime() + ttl);
    let append = Append { expires_at, ..Append::of_state(event, None) };
    machine.journal().append(vec![append], Box::new(|_| ())).expect("taken");
}

/// The keys that are there, and the changes that have made them go.
fn keys(machine: &Machine) -> (Vec<String>, Vec<(Offset, String)>) {
    let page = machine.journal().state(Offset::ZERO, ReadLimit::PAGE).expect("read");
    // What was replaced may come before what has replaced it.
    let newest: BTreeMap<String, Entry> = page
        .entries
        .into_iter()
        .map(|entry| (entry.event.key.clone().unwrap_or_default().into(), entry))
        .collect();
    let (there, gone): (Vec<_>, Vec<_>) =
        newest.into_iter().partition(|(_, entry)| entry.event.body.is_some());
    let there = there.into_iter().map(|(key, _)| key).collect();
    (there, gone.into_iter().map(|(key, entry)| (entry.offset, key)).collect())
}

#[test]
fn a_key_whose_time_is_over_goes_everywhere_with_one_change() {
    let mut world = World::new(seed(), 3);
    world.run();
    let (short, long) = (Duration::from_mins(1), Duration::from_secs(10_000));
    put(&world, &world.machines[0], "a", short);
    put(&world, &world.machines[1], "b", long);
    put(&world, &world.machines[2], "c", short);
    world.run();
    assert_eq!(keys(&world.machines[1]).0.len(), 3);
    world.pass(Duration::from_secs(61));
    (0..6_000).for_each(|_| world.step());
    world.run();
    let expected = keys(&world.machines[0]);
    assert_eq!(expected.0, ["b"]);
    assert_eq!(expected.1.len(), 2);
    for machine in &world.machines {
        assert_eq!(keys(machine), expected, "machine {}", machine.index);
    }
}

/// Which of them has keys go nobody knows: each clock is wrong once.
#[test]
fn no_key_goes_early_where_a_nodes_clock_is_ahead() {
    for ahead in [0, 1] {
        let mut world = World::new(seed(), 2);
        world.run();
        (0..3_000).for_each(|_| world.step());
        world.machines[ahead].set_ahead(Duration::from_hours(24));
        for (index, key) in [(0, "a"), (1, "b")] {
            put(&world, &world.machines[index], key, Duration::from_hours(1));
        }
        world.run();
        world.pass(Duration::from_mins(50));
        (0..3_000).for_each(|_| world.step());
        world.run();
        for machine in &world.machines {
            assert_eq!(keys(machine).0, ["a", "b"], "{ahead} is ahead");
        }
        world.pass(Duration::from_mins(11));
        (0..6_000).for_each(|_| world.step());
        world.run();
        assert_eq!(keys(&world.machines[0]).0, [""; 0], "{ahead} is ahead");
    }
}

#[test]
fn another_node_has_keys_go_where_the_one_that_did_is_away() {
    let mut world = World::new(seed(), 2);
    world.run();
    (0..3_000).for_each(|_| world.step());
    put(&world, &world.machines[0], "a", Duration::from_mins(1));
    world.run();
    // Whichever holds the lease, one after the other is away.
    for index in [0, 1] {
        put(&world, &world.machines[1 - index], "b", Duration::from_mins(1));
        (0..1_000).for_each(|_| world.step());
        world.machines[index].log.partition();
        world.pass(Duration::from_secs(61));
        (0..6_000).for_each(|_| world.step());
        assert_eq!(keys(&world.machines[1 - index]).0, [""; 0], "without {index}");
        world.machines[index].log.mend();
        world.run();
    }
    assert_eq!(keys(&world.machines[0]), keys(&world.machines[1]));
}

/// As where an old copy of the engine has come back: the beats of who holds it go on, and the engine keeps out
/// what is fenced by what the lease was.
#[test]
fn keys_go_also_where_the_lease_is_not_what_its_holder_has_set() {
    let mut world = World::new(seed(), 2);
    world.run();
    (0..3_000).for_each(|_| world.step());
    let engine = world.logs.handle();
    let lease = engine.register("lease-keeper").expect("it is there");
    assert!(!lease.value.is_empty(), "somebody holds it");
    engine.set_register("lease-keeper", lease.generation, lease.value).expect("set");
    put(&world, &world.machines[0], "a", Duration::from_secs(10));
    world.run();
    (0..6_000).for_each(|_| world.step());
    world.run();
    for machine in &world.machines {
        assert_eq!(keys(machine).0, [""; 0], "machine {}", machine.index);
    }
}

/// By its clock nine days have passed.
#[test]
fn a_node_whose_clock_is_ahead_has_nobody_forget_what_counts_once() {
    let mut world = World::new(seed(), 2);
    world.run();
    let once = |world: &mut World| {
        let event = Event {
            topic: "stream/a".parse().expect("a topic"),
            key: None,
            event_type: None,
            time: Timestamp::from_ms(1),
            body: Some(Body::Json(Bytes::from_static(b"1"))),
        };
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let reply = Box::new(move |result| drop(sender.send(result)));
        let append = Append::new(event, Some("k".into()));
        world.machines[0].journal().append(vec![append], reply).expect("taken");
        world.run();
        answer.try_recv().expect("answered").expect("appended")[0]
    };
    let made = once(&mut world);
    world.machines[1].set_ahead(Duration::from_hours(9 * 24));
    for _ in 0..20 {
        world.publish(1, 1, 0);
        world.run();
    }
    let again = once(&mut world);
    assert_eq!((again.offset, again.duplicate), (made.offset, true));
    // Once all say so it is.
    world.machines[0].set_ahead(Duration::from_hours(9 * 24));
    world.publish(0, 1, 0);
    world.run();
    assert!(!once(&mut world).duplicate);
    assert_eq!(world.machines[0].events(), world.machines[1].events());
}
