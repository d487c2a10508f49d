//! Connections whose clients have to show anew who they are.

use std::sync::atomic::Ordering;

use bellwire_hub::Start;

use super::rig::{NDJSON, PLAIN_WEBSOCKET, Rig, SSE};

#[test]
fn a_connection_ends_with_what_its_client_has_shown_and_is_told_so() {
    for form in [SSE, NDJSON, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["a"], Start::Latest, form);
        rig.settle();
        let token = rig.shard.connections.iter().next().expect("it is there").0;
        let now = rig.shard.agenda.now();
        assert!(rig.shard.check_standing(token, now).is_some(), "{form:?}");
        rig.guests.are_over.store(true, Ordering::Relaxed);
        assert_eq!(rig.shard.check_standing(token, now), None, "{form:?}");
        rig.settle();
        client.take();
        assert_eq!(client.count("\"reason\":\"credential_expired\""), 1, "{form:?}");
        // A WebSocket's client has the last word; when it has gone, so has its principal.
        drop(client);
        rig.settle();
        while !rig.shard.connections.is_empty() {
            rig.turn();
        }
        assert_eq!(rig.guests.gone.load(Ordering::Relaxed), 1, "{form:?}");
    }
}

#[test]
fn one_in_the_middle_of_an_event_ends_without_a_word() {
    let mut rig = Rig::new();
    let mut client = rig.connect(&["a"], Start::Latest, SSE);
    rig.settle();
    for _ in 0..40 {
        rig.publish("a", &format!("\"{}\"", "x".repeat(16_000)));
        rig.turn();
    }
    let token = rig.shard.connections.iter().next().expect("it is there").0;
    assert!(rig.shard.connections[token].outlet.has_begun());
    rig.guests.are_over.store(true, Ordering::Relaxed);
    assert_eq!(rig.shard.check_standing(token, rig.shard.agenda.now()), None);
    assert!(rig.shard.connections.is_empty());
    client.take();
    assert_eq!(client.count("credential_expired"), 0);
}
