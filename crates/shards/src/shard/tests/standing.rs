//! Connections whose clients have to show anew who they are.

use std::sync::atomic::Ordering;

use bellwire_hub::Start;
use bellwire_model::Principal;
use bellwire_model::limits::VISITS_PER_TURN;

use super::rig::{Client, NDJSON, PLAIN_WEBSOCKET, Rig, SSE, text};

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

/// Very many end at one moment: some are yet to be told good-bye, and may do nothing any more.
#[test]
fn who_asks_for_something_behind_the_end_is_refused_and_may_renew() {
    let mut rig = Rig::new();
    let mut client = rig.connect(&["a"], Start::Latest, PLAIN_WEBSOCKET);
    rig.settle();
    rig.guests.are_over.store(true, Ordering::Relaxed);
    client.send(&text(r#"{"request":"subscribe","id":1,"topics":["b"]}"#));
    rig.settle();
    assert_eq!(client.count(r#"{"reply":1,"error":{"code":"credential_invalid""#), 1);
    rig.guests.are_over.store(false, Ordering::Relaxed);
    client.send(&text(r#"{"request":"renew","id":2,"token":"2"}"#));
    client.send(&text(r#"{"request":"subscribe","id":3,"topics":["b"]}"#));
    rig.settle();
    assert_eq!((client.count(r#"{"reply":2}"#), client.count(r#"{"reply":3}"#)), (1, 1));
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

/// Such as all who came with tokens of one hour when a site was opened.
#[test]
fn very_many_that_end_at_one_moment_end_some_a_turn_and_others_get_their_events() {
    const ADA: Principal = Principal(1);
    const BOB: Principal = Principal(2);
    const CLIENTS: usize = 5 * VISITS_PER_TURN + 1;
    let mut rig = Rig::new();
    rig.come_as(BOB);
    let mut bystander = rig.connect(&["a"], Start::Latest, NDJSON);
    rig.come_as(ADA);
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|_| rig.connect(&["b"], Start::Latest, NDJSON)).collect();
    while rig.shard.connections.len() < 1 + CLIENTS {
        rig.turn();
    }
    rig.guests.revoked.lock().expect("not poisoned").push(ADA);
    let due = rig.shard.agenda.now() + 1;
    let tokens: Vec<_> = rig.shard.connections.iter().map(|(token, _)| token).collect();
    for token in tokens {
        let due_at = rig.shard.agenda.look_after(token, due);
        rig.shard.connections[token].due_at = due_at;
    }
    let (mut published, mut turns) = (0, 0);
    while rig.shard.connections.len() > 1 {
        let before = rig.shard.connections.len();
        published += 1;
        rig.publish("a", "\"event\"");
        rig.turn();
        let ended = before - rig.shard.connections.len();
        assert!(ended <= VISITS_PER_TURN, "{ended} in one turn");
        turns += usize::from(ended > 0);
        assert_eq!(bystander.count("\"event\""), published, "the others go on");
    }
    assert_eq!(turns, CLIENTS.div_ceil(VISITS_PER_TURN), "they end one turn after the other");
    let told = |client: &mut Client| client.count("\"reason\":\"credential_revoked\"");
    assert!(clients.iter_mut().all(|client| told(client) == 1));
}
