//! The log is trimmed while nodes publish, die, come back and join.

use std::time::Duration;

use bellwire_cluster::Standing;
use bellwire_shared_log::SharedLog;

use crate::rig::{Disks, World};
use crate::seed;

/// More than the positions that stay.
const ENTRIES: usize = 300;

/// Longer than somebody may be away before nobody waits for them.
const AWAY: Duration = Duration::from_mins(6);

/// Between two looks of who trims.
const LOOK: Duration = Duration::from_secs(10);

fn trimmed(world: &World) -> u64 {
    world.machines[0].journal().span().expect("it is there").trimmed.get()
}

/// Has these machines publish until the log has so many more entries, each of which may have events of
/// several. Returns how many were published.
fn publish(world: &mut World, machines: &[usize], entries: usize) -> usize {
    let log = world.machines[machines[0]].journal().clone();
    let tail = || log.span().expect("it is there").tail.get();
    let (until, mut published) = (tail() + entries as u64, 0);
    while tail() < until {
        let index = machines[published % machines.len()];
        // Some are in pieces.
        let bytes = if world.chance.u8(..100) == 0 { 700_000 } else { 0 };
        world.publish(index, 1, bytes);
        published += 1;
        (0..60).for_each(|_| world.step());
    }
    published
}

/// Lets time pass, and nodes say that they are there.
fn pass(world: &mut World, time: Duration) {
    let until = world.uptime() + time;
    while world.uptime() < until {
        world.pass(Duration::from_millis(500));
        (0..40).for_each(|_| world.step());
    }
}

#[test]
fn what_both_nodes_have_goes_by_itself_and_nothing_else_does() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.run();
    let published = publish(&mut world, &[0, 1], ENTRIES);
    world.run();
    pass(&mut world, 4 * LOOK);
    let gone = trimmed(&world);
    assert!(gone > 0);
    let applied = world.machines[0].journal().applied().expect("something was applied");
    assert!(gone + 200 < applied.get(), "the newest stay");
    for index in [0, 1] {
        world.restart(index);
    }
    world.publish(0, 1, 0);
    world.run();
    let events = world.check();
    assert_eq!(world.check_acknowledged(&events), published + 1);
    // Once one is away for long what the other has hangs on its disk alone.
    world.machines[1].log.partition();
    publish(&mut world, &[0], ENTRIES);
    pass(&mut world, 2 * AWAY);
    let applied = world.machines[1].journal().applied().expect("something was applied");
    assert!(trimmed(&world) <= applied.get());
    world.machines[1].log.mend();
    world.run();
    let events = world.check();
    world.check_acknowledged(&events);
}

#[test]
fn who_joins_or_comes_back_behind_a_trim_goes_on_with_a_snapshot() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.run();
    publish(&mut world, &[0, 1], ENTRIES);
    pass(&mut world, 4 * LOOK);
    assert!(trimmed(&world) > 0);

    // By the log alone it cannot know what counts.
    let of = world.chance.usize(..2);
    world.join_with_snapshot(of);
    // What comes meanwhile is there for whoever got it.
    publish(&mut world, &[0, 1], ENTRIES / 4);
    world.run();
    let events = world.check();
    world.check_acknowledged(&events);

    // One is away while the others go on.
    let away = world.chance.usize(..3);
    let others: Vec<usize> = (0..3).filter(|index| *index != away).collect();
    world.machines[away].log.partition();
    pass(&mut world, AWAY);
    publish(&mut world, &others, 2 * ENTRIES);
    let applied = world.machines[away].journal().applied().expect("something was applied");
    let log = world.machines[others[0]].journal().clone();
    // Nobody waits for it after a while, as whoever trims by then has seen it.
    for _ in 0..100 {
        if log.span().expect("it is there").trimmed > applied {
            break;
        }
        pass(&mut world, LOOK);
    }
    drop(log);
    world.machines[away].log.mend();
    for _ in 0..10_000 {
        world.step();
        if world.machines[away].journal().needs_snapshot().is_some() {
            break;
        }
    }
    let standing = world.machines[away].journal().standing();
    let Standing::Unfit { why } = &standing else { panic!("{standing:?}") };
    assert!(why.contains("needs a snapshot"), "{why}");
    let of = others[world.chance.usize(..2)];
    world.rejoin_with_snapshot(away, of);
    publish(&mut world, &[0, 1, 2], 9);
    world.run();
    assert_eq!(world.machines[away].journal().needs_snapshot(), None);
    let events = world.check();
    world.check_acknowledged(&events);
    for index in 0..3 {
        world.restart(index);
    }
    world.publish(away, 1, 0);
    world.run();
    assert_eq!(world.check().len(), events.len() + 1);
}

/// While a snapshot is on its way, and for a while behind that.
#[test]
fn the_log_is_kept_for_whoever_is_given_a_snapshot() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.run();
    publish(&mut world, &[0, 1], ENTRIES);
    world.run();
    let pin = world.machines[1].journal().pin("n9").expect("something was applied");
    let pinned = world.machines[1].journal().applied().expect("something was applied").get();
    publish(&mut world, &[0, 1], 2 * ENTRIES);
    pass(&mut world, 4 * LOOK);
    let kept = trimmed(&world);
    assert!(kept > 0 && kept < pinned);
    drop(pin);
    pass(&mut world, 4 * LOOK);
    assert_eq!(trimmed(&world), kept);
    pass(&mut world, AWAY);
    assert!(trimmed(&world) > pinned);
    world.machines[0].log.span().expect("it is there");
}
