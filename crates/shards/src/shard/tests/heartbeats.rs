//! Heartbeats that come due at the wrong moment.

use std::time::Duration;

use bellwire_hub::Start;
use bellwire_process::clock::ticks;

use super::rig::{PLAIN_WEBSOCKET, Rig, SSE, SSE_GZIP, WEBSOCKET};

#[test]
fn one_that_is_due_in_the_middle_of_an_event_waits_for_its_end() {
    const EVENTS: usize = 40;
    for form in [SSE, SSE_GZIP, WEBSOCKET, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["a"], Start::Latest, form);
        rig.turn();
        for number in 0..EVENTS {
            // What is random does not shrink.
            let noise: String = (0..16_000).map(|at| noise(at, number)).collect();
            rig.publish("a", &format!("\"begun {noise} ended\""));
            rig.turn();
        }
        let (token, connection) = rig.shard.connections.iter_mut().next().expect("it is there");
        assert!(connection.outlet.is_full() && connection.outlet.has_begun(), "{form:?}");
        // Its socket has room again, and its turn is yet to come.
        client.take();
        assert!(connection.outlet.on_writable());
        rig.shard.queue(token);
        let due = rig.shard.agenda.now() + ticks(Duration::from_hours(2));
        assert!(rig.shard.attend(token, due).is_some(), "{form:?}");
        for _ in 0..2 * EVENTS {
            rig.turn();
            client.take();
        }
        assert!(rig.shard.connections[token].outlet.is_clear(), "{form:?}");
        if form == SSE || form == PLAIN_WEBSOCKET {
            assert_eq!(client.count("begun"), EVENTS, "{form:?}");
            assert_eq!(client.count(" ended\""), EVENTS, "{form:?}");
        }
        // The next one comes.
        let before = client.take().len();
        rig.shard.attend(token, due).expect("it is there");
        rig.turn();
        assert!(client.take().len() > before, "{form:?}");
    }
}

/// Letters that are hard to foresee.
fn noise(at: u32, number: usize) -> char {
    let mixed = (at + 1).wrapping_mul(2_654_435_761).rotate_left(at % 31);
    let mixed = mixed.wrapping_mul(u32::try_from(number).expect("few") * 2 + 1);
    char::from(b'a' + u8::try_from(mixed % 26).expect("a letter"))
}
