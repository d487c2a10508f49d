//! Heartbeats that come due at the wrong moment, and those that bring a newer cursor.

use std::io::Read;
use std::time::Duration;

use bellwire_hub::Start;
use bellwire_model::Offset;
use bellwire_model::limits::RING_EVENTS_MAX;
use bellwire_process::clock::ticks;

use super::rig::{NDJSON, PLAIN_WEBSOCKET, Rig, SSE, SSE_GZIP, WEBSOCKET, text};
use crate::shard::socket::tests::tls_pair;

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

/// As where the process was stopped for longer than that, and very many have room at once.
#[test]
fn who_has_taken_something_is_not_cut_off_before_that_is_seen() {
    for form in [SSE, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["a"], Start::Latest, form);
        rig.turn();
        for _ in 0..40 {
            rig.publish("a", &format!("\"{}\"", "x".repeat(16_000)));
        }
        rig.turn();
        let (token, connection) = rig.shard.connections.iter().next().expect("it is there");
        assert!(connection.outlet.is_full(), "{form:?}");
        let since = connection.outlet.written_at;
        let stalled = since + 2 * ticks(rig.shard.surroundings.timing.stall_timeout);
        client.take();
        let before = rig.shard.work_of_turn().written_bytes;
        assert!(rig.shard.attend(token, stalled).is_some(), "{form:?}");
        // There may be very many of them at once: the rest comes in turns.
        let written_bytes = rig.shard.work_of_turn().written_bytes - before;
        assert!(written_bytes < 17_000, "{written_bytes} {form:?}");
        for _ in 0..10 {
            rig.turn();
            client.take();
        }
        assert_eq!(client.count("\"topic\":\"a\""), 40, "{form:?}");
        // Who does take nothing is.
        for _ in 0..40 {
            rig.publish("a", &format!("\"{}\"", "x".repeat(16_000)));
        }
        rig.turn();
        assert!(rig.shard.attend(token, stalled).is_none(), "{form:?}");
        assert!(!rig.shard.connections.contains(token), "{form:?}");
    }
}

/// Of TLS the last record may wait alone, with nothing behind it.
#[test]
fn who_has_taken_the_record_that_tls_held_back_is_not_cut_off() {
    let mut rig = Rig::new();
    let (socket, mut client) = tls_pair();
    rig.adopt(socket, &["a"], (Start::Latest, SSE));
    rig.turn();
    let (token, _) = rig.shard.connections.iter().next().expect("it is there");
    let mut events = 0;
    while !rig.shard.connections[token].outlet.is_full() {
        rig.publish("a", &format!("\"{}\"", "x".repeat(10_000)));
        rig.turn();
        events += 1;
        assert!(events < 100_000, "it has an end");
    }
    let outlet = &rig.shard.connections[token].outlet;
    assert!(!outlet.has_begun() && !outlet.is_clear(), "a record of one event is held back");
    let stalled = outlet.written_at + 2 * ticks(rig.shard.surroundings.timing.stall_timeout);
    let (mut read, mut buffer) = (0, vec![0; 65_536]);
    while read < (events - 1) * 10_000 {
        read += client.read(&mut buffer).expect("what was written");
    }
    assert!(rig.shard.attend(token, stalled).is_some());
    rig.turn();
    assert!(rig.shard.connections[token].outlet.is_clear());
}

/// How often a client was told this cursor by a heartbeat.
fn told(sent: &str, offset: Offset) -> usize {
    sent.matches(&format!(r#"{{"control":"heartbeat","cursor":"e7-{offset}"}}"#)).count()
}

#[test]
fn a_stream_that_values_keep_busy_is_told_a_newer_cursor() {
    for form in [SSE, NDJSON, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["board/*"], Start::Latest, form);
        rig.turn();
        let far = rig.pass_by("a", RING_EVENTS_MAX / 2);
        rig.put("board/1", 0..1);
        rig.turn();
        let (token, connection) = rig.shard.connections.iter().next().expect("it is there");
        // A moment ago.
        let now = connection.outlet.written_at;
        let next = rig.shard.attend(token, now).expect("it is there");
        assert!(next > now, "{form:?}");
        assert_eq!(told(&client.take(), far), 1, "{form:?}");
        rig.shard.attend(token, now).expect("it is there");
        assert_eq!(told(&client.take(), far), 1, "once is enough: {form:?}");
    }
}

/// In a cluster offsets have holes, and a cursor is told for what it costs to go on from an older one.
#[test]
fn what_is_between_offsets_and_is_no_event_does_not_pass_anybody_by() {
    for form in [SSE, NDJSON, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["board/*"], Start::Latest, form);
        rig.turn();
        for round in 0..3 {
            rig.leave_out(RING_EVENTS_MAX as u64);
            let far = rig.publish("a", "1");
            rig.put("board/1", round..=round);
            rig.turn();
            assert_eq!(told(&client.take(), far), 0, "{form:?}");
        }
    }
}

/// Of what is not ready a client keeps no cursor, so what such a subscription has brought does not
/// spare it the news.
#[test]
fn what_a_subscription_has_brought_that_was_taken_back_is_no_news_of_the_connection() {
    let mut rig = Rig::new();
    let mut client = rig.connect(&["a"], Start::Latest, PLAIN_WEBSOCKET);
    rig.turn();
    let newest = rig.publish("b", &format!("\"{}\"", "x".repeat(1_000_000)));
    rig.turn();
    let say = |request: &str| text(&format!(r#"{{"request":{request},"topics":["b"]}}"#));
    client.send(&say(r#""subscribe","after":"e7-0""#));
    rig.turn();
    let (token, connection) = rig.shard.connections.iter().next().expect("it is there");
    assert!(connection.outlet.is_full() && connection.has_added(), "it is in the middle of it");
    client.send(&say(r#""unsubscribe""#));
    while !rig.shard.connections[token].outlet.is_clear() {
        client.take_some(1_000_000);
        rig.turn();
        assert!(rig.turns < 100_000, "it gets on");
    }
    let connection = &rig.shard.connections[token];
    assert!(!connection.has_added());
    assert_eq!(client.count("\"ready\""), 1, "of the connection's own alone");
    rig.shard.attend(token, connection.outlet.written_at).expect("it is there");
    assert_eq!(told(&client.take(), newest), 1);
}

/// Whenever the wheel brings it round its socket is full.
#[test]
fn a_slow_reader_of_values_is_told_a_newer_cursor_in_between() {
    const VALUE_BYTES: usize = 50_000;
    for form in [SSE, NDJSON, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let mut client = rig.connect(&["board/*"], Start::Latest, form);
        rig.turn();
        let value = format!("\"{}\"", "x".repeat(VALUE_BYTES));
        let mut far = Offset::ZERO;
        for round in 0..60 {
            if round == 20 {
                far = rig.pass_by("a", RING_EVENTS_MAX / 2);
            }
            rig.put_json("board/1", 0..10, &value);
            rig.turn();
            client.take_some(2 * VALUE_BYTES);
            let (_, connection) = rig.shard.connections.iter().next().expect("it is there");
            assert!(round < 20 || connection.outlet.is_full(), "{form:?}");
        }
        rig.turn();
        assert_eq!(told(&client.take(), far), 1, "{form:?}");
    }
}

/// Letters that are hard to foresee.
fn noise(at: u32, number: usize) -> char {
    let mixed = (at + 1).wrapping_mul(2_654_435_761).rotate_left(at % 31);
    let mixed = mixed.wrapping_mul(u32::try_from(number).expect("few") * 2 + 1);
    char::from(b'a' + u8::try_from(mixed % 26).expect("a letter"))
}
