//! What is larger than an entry of the log comes whole, or not at all.

use bellwire_shared_log::contract::Fault;

use crate::rig::World;
use crate::seed;

#[test]
fn what_one_publisher_appends_at_once_comes_whole_however_large_it_is() {
    let mut world = World::new(seed(), 2);
    world.run();
    // Two entries, seven, and one event that is larger than an entry.
    for (count, bytes) in [(100, 6_000), (10_000, 300), (1, 1_000_000), (1, 10)] {
        world.publish(0, count, bytes);
        world.publish(1, 2, 0);
    }
    world.run();
    let events = world.check();
    assert_eq!(world.check_acknowledged(&events), 10_102 + 8);
}

#[test]
fn pieces_among_what_others_append_come_whole_or_not_at_all() {
    let seed = seed();
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..6 {
        let mut world = World::new(chance.u64(..), 2);
        world.run();
        for step in 0..1_200 {
            if step % 60 == 0 {
                let index = world.chance.usize(..2);
                let (count, bytes) = [(3, 300_000), (1, 0)][world.chance.usize(..2)];
                world.publish(index, count, bytes);
            }
            if step % 40 == 20 {
                let index = world.chance.usize(..2);
                match world.chance.u8(..5) {
                    0 => world.machines[index].log.disconnect(),
                    1 => world.machines[index].log.do_late(2),
                    2 => world.machines[index].log.lose_answers(2),
                    3 => world.logs.fail(Fault::Kill),
                    _ => world.restart(index),
                }
                world.logs.fail(Fault::Start);
            }
            world.step();
        }
        world.run();
        let events = world.check();
        world.check_acknowledged(&events);
    }
}

#[test]
fn what_is_more_than_there_may_be_at_once_is_refused_and_nobody_else() {
    let mut world = World::new(seed(), 2);
    world.run();
    world.publish(0, 16_385, 0);
    world.publish(0, 16_384, 0);
    world.run();
    let events = world.check();
    assert_eq!(world.check_acknowledged(&events), 16_384);
}
