//! A log and a replica say of which cluster they are, and nobody sets anything in that of another one.

use std::time::Duration;

use bellwire_cluster::Standing;
use bellwire_journal::Journal;
use bellwire_shared_log::SharedLog;
use bellwire_shared_log::contract::Fault;

use crate::rig::{Disks, Machine, World};
use crate::seed;

/// Longer than it takes until a cluster has a number.
const SETTLED: Duration = Duration::from_secs(80);

/// Longer than anybody is waited for before the epoch is raised.
const RAISED: Duration = Duration::from_mins(1);

/// Has time pass in which all take their turns, or one alone while all others stand still.
fn pass(world: &mut World, time: Duration, only: Option<usize>) {
    let until = world.uptime() + time;
    while world.uptime() < until {
        world.pass(Duration::from_millis(50));
        match only {
            None => (0..20).for_each(|_| world.step()),
            Some(index) => {
                turn(&mut world.machines[index]);
                world.logs.run_until_idle();
            }
        }
    }
}

fn turn(machine: &mut Machine) {
    machine.node.append();
    machine.node.follow(Duration::ZERO);
    machine.node.settle();
    machine.node.keep_house();
}

/// A cluster that has its number, and has published so much.
fn settled(seed: u64, nodes: usize, events: usize) -> World {
    let mut world = World::on((seed, nodes), Disks::Real);
    world.run();
    world.publish(0, events, 0);
    pass(&mut world, SETTLED, None);
    world.run();
    let cluster = world.machines[0].journal().cluster();
    assert!(cluster.is_some());
    assert!(world.machines.iter().all(|machine| machine.journal().cluster() == cluster));
    world
}

/// What the registers say: that of the epoch, and which nodes there are.
fn registers(world: &World) -> (Vec<u8>, Vec<String>) {
    let log = world.logs.handle();
    let epoch = log.register("epoch").expect("it is there").value.to_vec();
    (epoch, log.registers("").expect("listed"))
}

#[track_caller]
fn is_of_another(machine: &Machine) {
    let standing = machine.journal().standing();
    let Standing::Unfit { why } = &standing else { panic!("{standing:?}") };
    assert!(why.contains("is led to is of cluster"), "{why}");
}

/// They stand still for longer than it takes to raise the epoch.
#[test]
fn a_node_of_another_cluster_takes_nothing_from_one_that_stands_still() {
    let mut elsewhere = settled(seed(), 1, 7);
    let epoch = elsewhere.machines[0].journal().epoch();
    let mut world = settled(seed() + 1, 2, 3);
    let (before, said) = (world.check(), registers(&world));
    world.add(elsewhere.remove(0));
    pass(&mut world, RAISED, Some(2));
    is_of_another(&world.machines[2]);
    assert_eq!((world.machines[2].journal().epoch(), world.machines[2].events().len()), (epoch, 7));
    assert_eq!(registers(&world), said);
    drop(world.remove(2));
    world.publish(1, 2, 0);
    world.run();
    let events = world.check();
    assert!(events.starts_with(&before) && events.len() == before.len() + 2);
}

#[test]
fn a_node_that_runs_and_is_led_to_another_cluster_stands_aside_and_comes_back() {
    let mut own = settled(seed(), 2, 7);
    let (mut elsewhere, mut before) = (settled(seed() + 1, 1, 3), own.check());
    let said = registers(&elsewhere);
    let (theirs, known) = (elsewhere.check(), own.machines[0].journal().cluster());
    own.machines[0].led.lead(elsewhere.logs.handle());
    // What is published there meanwhile is nobody's.
    own.publish(0, 1, 0);
    let until = own.uptime() + RAISED;
    while own.uptime() < until {
        own.pass(Duration::from_millis(50));
        turn(&mut own.machines[0]);
        elsewhere.logs.run_until_idle();
    }
    is_of_another(&own.machines[0]);
    assert_eq!(own.machines[0].journal().cluster(), known);
    assert_eq!(registers(&elsewhere), said);
    elsewhere.publish(0, 1, 0);
    elsewhere.run();
    assert_eq!(elsewhere.check().len(), theirs.len() + 1);
    let log = own.machines[0].log.clone();
    own.machines[0].led.lead(log);
    own.publish(1, 2, 0);
    own.run();
    let events = own.check();
    assert!(events.starts_with(&before), "{events:?}");
    before = events;
    own.restart(0);
    own.run();
    assert_eq!(own.check(), before);
}

/// Whose engine has lost everything begins it again as what it was; then it is nobody else's.
#[test]
fn a_log_that_begins_again_is_of_the_cluster_that_was_back_first() {
    let mut elsewhere = settled(seed(), 1, 7);
    let mut world = settled(seed() + 1, 2, 3);
    let (before, cluster) = (world.check(), world.machines[0].journal().cluster());
    world.logs.fail(Fault::Lose);
    world.add(elsewhere.remove(0));
    // The stranger sees it later.
    for index in [0, 1].repeat(400) {
        world.pass(Duration::from_millis(50));
        turn(&mut world.machines[index]);
        world.logs.run_until_idle();
    }
    pass(&mut world, RAISED, None);
    is_of_another(&world.machines[2]);
    drop(world.remove(2));
    world.run();
    assert!(world.check().starts_with(&before));
    world.restart(0);
    world.run();
    assert!(world.machines.iter().all(|machine| machine.journal().cluster() == cluster));
}

/// As a log and disks of a build that knew of no clusters: they are not of any, and lose nothing.
#[test]
fn what_is_of_no_cluster_yet_becomes_of_one_also_where_a_node_was_away_meanwhile() {
    let mut world = World::on((seed(), 3), Disks::Real);
    world.run();
    world.publish(0, 3, 0);
    world.run();
    let before = world.check();
    assert!(world.machines.iter().all(|machine| machine.journal().cluster().is_none()));
    world.machines[2].log.partition();
    pass(&mut world, SETTLED, None);
    let cluster = world.machines[0].journal().cluster();
    assert!(cluster.is_some() && world.machines[2].journal().cluster().is_none());
    world.logs.fail(Fault::Copy);
    for _ in 0..2 {
        world.publish(0, 1, 0);
        pass(&mut world, RAISED, None);
        let epoch = world.machines[0].journal().epoch();
        world.logs.fail(Fault::Restore);
        pass(&mut world, RAISED, None);
        assert_ne!(world.machines[0].journal().epoch(), epoch, "it was raised");
        assert_eq!(world.machines[0].journal().cluster(), cluster);
    }
    world.restart(2);
    world.run();
    let events = world.check();
    assert!(events.starts_with(&before) && events.len() == before.len() + 2);
    // Each has it on its disk.
    world.logs.fail(Fault::Lose);
    for index in 0..3 {
        world.restart(index);
    }
    pass(&mut world, RAISED, None);
    world.run();
    assert!(world.machines.iter().all(|machine| machine.journal().cluster() == cluster));
    assert!(world.check().starts_with(&events));
}

/// With data of a build from before that were never of this cluster.
#[test]
fn who_is_of_no_cluster_and_was_never_in_this_one_is_of_another() {
    let mut elsewhere = World::on((seed(), 1), Disks::Real);
    elsewhere.publish(0, 7, 0);
    elsewhere.run();
    let mut world = settled(seed() + 1, 2, 3);
    let said = registers(&world);
    world.add(elsewhere.remove(0));
    pass(&mut world, RAISED, Some(2));
    is_of_another(&world.machines[2]);
    assert_eq!((registers(&world), world.machines[2].events().len()), (said, 7));
}

/// What a build from before leaves of a register that it sets: a byte, and five numbers.
fn of_older_build(value: &[u8]) -> Vec<u8> {
    assert_eq!(value[0], 1, "of an epoch without a base");
    let ends = value.iter().enumerate().skip(1).filter(|(_, byte)| **byte < 0x80);
    let end = ends.map(|(at, _)| at + 1).nth(4).expect("five numbers");
    value[..end].to_vec()
}

#[test]
fn a_number_that_a_node_of_an_older_build_has_left_out_is_put_back() {
    let mut world = settled(seed(), 2, 3);
    let (before, cluster) = (world.check(), world.machines[0].journal().cluster());
    let log = world.logs.handle();
    let register = log.register("epoch").expect("it is there");
    let older = of_older_build(&register.value);
    let number = register.value.slice(older.len()..);
    assert!(!number.is_empty());
    log.set_register("epoch", register.generation, older.into()).expect("set");
    pass(&mut world, Duration::from_secs(5), None);
    assert!(log.register("epoch").expect("it is there").value.ends_with(&number));
    // Also where all have started again meanwhile.
    let register = log.register("epoch").expect("it is there");
    let older = of_older_build(&register.value);
    log.set_register("epoch", register.generation, older.into()).expect("set");
    (0..2).for_each(|index| world.restart(index));
    pass(&mut world, Duration::from_secs(5), None);
    world.run();
    assert!(world.machines.iter().all(|machine| machine.journal().cluster() == cluster));
    assert_eq!(world.check(), before);
}
