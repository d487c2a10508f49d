//! A node of another cluster, which has had its data there.

use std::time::Duration;

use bellwire_journal::{Append, Journal as _};
use bellwire_shared_log::MemoryLogs;

use crate::clients::event;
use crate::clock::{MachineClock, WorldTime};
use crate::disk::Disk;
use crate::machine::Machine;
use crate::parts::Honest;
use crate::truth::{Losses, SharedTruth};

/// Long enough for a cluster to have its number.
const LIVED: Duration = Duration::from_secs(90);

/// How often it has a turn.
const TURN: Duration = Duration::from_millis(200);

/// How often it publishes.
const PUBLISH_TURNS: u32 = 20;

/// The disk of such a node, as it is when that has ended.
pub(crate) fn disk(seed: u64) -> Disk {
    let (logs, time) = (MemoryLogs::stepped(seed), WorldTime::default());
    let clock = MachineClock::new(time.clone(), 0);
    let mut machine = Machine::new(0, clock.clone());
    machine.start(&logs, &Honest, &SharedTruth::new(Losses::Some));
    let mut turns = 0;
    while time.now() < LIVED {
        time.set(time.now() + TURN);
        logs.run_until_idle();
        let Some(process) = machine.process_mut() else { break };
        if turns % PUBLISH_TURNS == 0 {
            let text = format!("elsewhere {turns}");
            let event = event(("elsewhere", None), &text, clock.now_reading().wall);
            // It may be too early, and then it has the next one.
            drop(process.node.journal().append(vec![Append::new(event, None)], Box::new(|_| ())));
        }
        turns += 1;
        process.node.append();
        process.node.follow(Duration::ZERO);
        process.node.settle();
        process.node.keep_house();
    }
    Disk::of(machine.disk.copy(), Duration::ZERO)
}
