//! Pages of history that cannot be read: who waits for them is sent away, and nobody else.

use bellwire_hub::Start;
use bellwire_journal::Error;

use super::rig::{Rig, SSE};
use crate::shard::PageRead;
use crate::shard::page_queue::Wait;

#[test]
fn who_has_the_slot_of_one_that_waited_for_a_page_stays_when_it_cannot_be_read() {
    let mut rig = Rig::new();
    let waits = rig.connect(&["a"], Start::Latest, SSE);
    let mut gone = rig.connect(&["a"], Start::Latest, SSE);
    rig.turn();
    let shard = &mut rig.shard;
    let tokens: Vec<_> = shard.connections.iter().map(|(token, _)| token).collect();
    let [first, second] = tokens[..] else { panic!("{tokens:?}") };
    let delivery = &shard.connections[first].main.delivery;
    let (lane, after) = (delivery.lane(), delivery.offset());
    let Wait::ToRead(ticket) = shard.pages.wait(first, lane, after) else { panic!("no room") };
    assert_eq!(shard.pages.wait(second, lane, after), Wait::Begun);
    for token in [first, second] {
        shard.connections[token].awaits_history = true;
    }
    shard.close(second);
    assert_eq!(gone.count("event: ready"), 1);
    let mut other = rig.connect(&["b"], Start::Latest, SSE);
    rig.turn();
    assert!(rig.shard.connections.contains(second), "the slot is taken again");

    rig.shard.take_page(PageRead { ticket, page: Err(Error::Closed) });
    assert!(!rig.shard.connections.contains(first), "who waits is sent away");
    drop(waits);
    rig.publish("b", "\"live\"");
    rig.turn();
    assert_eq!(other.count("\"live\""), 1);
}
