//! Who comes with other data takes nothing from a cluster that lives.

use std::time::Duration;

use bellwire_cluster::Standing;
use bellwire_journal::Journal;
use bellwire_shared_log::SharedLog;
use bellwire_shared_log::contract::Fault;

use crate::rig::{Disks, World};
use crate::seed;

/// Longer than anybody is waited for before the epoch is raised.
const RAISED: Duration = Duration::from_secs(40);

fn pass(world: &mut World) {
    let until = world.uptime() + RAISED;
    while world.uptime() < until {
        world.pass(Duration::from_millis(50));
        (0..20).for_each(|_| world.step());
    }
}

fn register(world: &World) -> Vec<u8> {
    world.logs.handle().register("epoch").expect("it is there").value.to_vec()
}

#[test]
fn a_node_of_another_cluster_leaves_one_alone_that_lives() {
    let mut elsewhere = World::on((seed(), 1), Disks::Real);
    elsewhere.publish(0, 7, 0);
    elsewhere.run();
    let epoch = elsewhere.machines[0].journal().epoch();
    let mut world = World::on((seed() + 1, 2), Disks::Real);
    world.publish(0, 3, 0);
    world.run();
    let (before, lived_in) = (world.check(), world.machines[0].journal().epoch());
    world.add(elsewhere.remove(0));
    pass(&mut world);
    let stranger = world.machines[2].journal();
    let standing = stranger.standing();
    let Standing::Unfit { why } = &standing else { panic!("{standing:?}") };
    assert!(why.contains("of another cluster"), "{why}");
    // Nor does it lose what it has.
    assert_eq!((stranger.epoch(), stranger.needs_snapshot()), (epoch, None));
    assert_eq!(world.machines[2].events().len(), 7);
    drop(world.remove(2));
    world.publish(1, 2, 0);
    world.run();
    let events = world.check();
    assert!(events.starts_with(&before) && events.len() == before.len() + 2);
    assert_eq!(world.machines[0].journal().epoch(), lived_in);
}

/// Though its epoch is one of before: nobody lives in that.
#[test]
fn nodes_that_all_start_again_at_an_older_copy_go_on_with_what_they_have() {
    let mut world = World::on((seed(), 2), Disks::Real);
    world.publish(0, 3, 0);
    world.run();
    let old = register(&world);
    world.logs.fail(Fault::Copy);
    world.publish(0, 1, 0);
    world.run();
    world.logs.fail(Fault::Restore);
    world.run();
    world.publish(1, 2, 0);
    world.run();
    let before = world.check();
    assert_ne!(register(&world), old, "it was raised");
    world.logs.fail(Fault::Restore);
    assert_eq!(register(&world), old);
    for index in 0..2 {
        world.restart(index);
    }
    world.run();
    assert!(world.check().starts_with(&before));
}

/// Of a log that is gone nobody says how much of it may go.
#[test]
fn who_has_found_a_loss_has_nothing_trimmed() {
    let mut world = World::on((seed(), 1), Disks::Real);
    world.publish(0, 3, 0);
    world.run();
    let said = |world: &mut World| {
        world.pass(Duration::from_secs(1));
        world.machines[0].node.keep_house();
        let nodes = bellwire_cluster::nodes(&*world.logs.handle()).expect("read");
        nodes.into_iter().find(|mark| &*mark.id == "n0").expect("it said so").applied
    };
    assert!(said(&mut world).is_some());
    world.logs.fail(Fault::Lose);
    for _ in 0..10_000 {
        world.step();
        if let Standing::Away { why } = world.machines[0].journal().standing()
            && why.contains("has lost")
        {
            break;
        }
    }
    assert_eq!(said(&mut world), None);
    // Nor after it could not look for a while.
    world.machines[0].log.partition();
    world.machines[0].node.follow(Duration::ZERO);
    world.machines[0].log.mend();
    assert_eq!(said(&mut world), None);
    world.run();
    world.publish(0, 1, 0);
    world.run();
    assert!(said(&mut world).is_some());
}
