//! Every acknowledged append is at every node once, in its publisher's order, at the same offset.

use std::time::Duration;

use bellwire_shared_log::contract::Fault;

use crate::rig::{Disks, World};
use crate::seed;

/// Something goes wrong, somewhere.
fn trouble(world: &mut World) {
    let index = world.chance.usize(..world.machines.len());
    let log = &world.machines[index].log;
    match world.chance.u8(..13) {
        0 => log.disconnect(),
        1 => log.lose_answers(world.chance.u32(1..5)),
        2 => log.do_late(world.chance.u32(1..5)),
        3 => log.end_followings(),
        4 => log.partition(),
        5 | 6 => log.mend(),
        7 => world.logs.fail(Fault::Pause),
        8 => world.logs.fail(Fault::Resume),
        9 => {
            world.logs.fail(Fault::Kill);
            world.logs.fail(Fault::Start);
        }
        10 => world.logs.fail([Fault::Fill, Fault::Relieve][world.chance.usize(..2)]),
        11 => world.restart(index),
        _ => {
            let time = Duration::from_secs(world.chance.u64(1..9));
            world.pass(time);
        }
    }
}

fn heal(world: &World) {
    for fault in [Fault::Resume, Fault::Mend, Fault::Relieve] {
        world.logs.fail(fault);
    }
    for machine in &world.machines {
        machine.log.mend();
        machine.log.lose_answers(0);
        machine.log.do_late(0);
    }
}

#[test]
fn what_is_acknowledged_is_at_every_node_once_and_in_order() {
    let seed = seed();
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut acknowledged, mut published) = (0, 0);
    for round in 0..12 {
        let count = chance.usize(2..4);
        let disks = if round < 2 { Disks::Real } else { Disks::Memory };
        let mut world = World::on((chance.u64(..), count), disks);
        let every = [40, 10, 150][round % 3];
        for step in 0..3_000 {
            if world.chance.u8(..12) == 0 {
                let (index, events) = (world.chance.usize(..count), world.chance.usize(1..5));
                world.publish(index, events, 0);
            }
            if step % every == 0 && step > 100 {
                trouble(&mut world);
            }
            world.step();
        }
        heal(&world);
        world.run();
        let events = world.check();
        acknowledged += world.check_acknowledged(&events);
        published += world.machines.iter().map(|machine| machine.published).sum::<u64>();
        // The epoch is what it was: nothing was lost.
        for machine in &world.machines {
            assert!(machine.seen().begun.len() <= 1, "{:?}", machine.seen().begun);
        }
    }
    println!("{acknowledged} of {published} were acknowledged");
    assert!(acknowledged as u64 * 4 > published, "{acknowledged} of {published}");
}

#[test]
fn a_node_that_is_new_has_all_that_the_others_have() {
    let mut world = World::new(seed(), 2);
    world.run();
    for index in [0, 1, 0, 1] {
        world.publish(index, 3, 0);
    }
    world.run();
    world.replace(1);
    world.publish(0, 1, 0);
    world.run();
    let events = world.check();
    assert_eq!(events.len(), 13);
    world.check_acknowledged(&events);
}

/// Acknowledged or not: what is there is the same everywhere, once, and in order.
#[test]
fn whatever_the_engine_loses_all_nodes_have_the_same() {
    let seed = seed();
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut raised = 0;
    for round in 0..5 {
        let count = chance.usize(2..4);
        let mut world = World::on((chance.u64(..), count), Disks::Real);
        let every = [40, 100, 150][round % 3];
        for step in 0..2_000 {
            if world.chance.u8(..12) == 0 {
                let index = world.chance.usize(..count);
                let (events, bytes) =
                    [(1, 0), (3, 0), (2, 0), (1, 600_000)][world.chance.usize(..4)];
                world.publish(index, events, bytes);
            }
            if step % every == 0 && step > 100 {
                match world.chance.u8(..8) {
                    0 => world.logs.fail(Fault::Copy),
                    1 => world.logs.fail(Fault::Restore),
                    2 if world.chance.u8(..4) == 0 => world.logs.fail(Fault::Lose),
                    // What only one has would go with its disk.
                    3 if world.agrees() => {
                        let index = world.chance.usize(..count);
                        world.replace(index);
                    }
                    _ => trouble(&mut world),
                }
            }
            world.step();
        }
        heal(&world);
        world.run();
        world.publish(0, 1, 0);
        world.run();
        world.check();
        raised += world.machines[0].seen().begun.len();
    }
    println!("{raised} times another epoch began");
    assert!(raised > 0, "{raised}");
}
