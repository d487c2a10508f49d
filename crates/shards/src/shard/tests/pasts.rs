//! The past of series: whoever wants it gets on, however much there is to look through for it, and what
//! is read for a slow reader and not written is bounded by what is.

use bellwire_hub::Start;
use bellwire_model::limits::{LOOKS_PER_VISIT_MAX, PAST_PAGE_POINTS_MIN};

use super::rig::{Client, PLAIN_WEBSOCKET, Rig, SSE, text};

/// Turns until somebody is ready, who takes so many bytes a turn.
fn turn_until_ready(rig: &mut Rig, client: &mut Client, (ready, bytes): (&str, usize)) -> String {
    const TURNS_MAX: usize = 10_000;
    let mut taken = Vec::new();
    for _ in 0..TURNS_MAX {
        rig.turn();
        client.take_into(&mut taken, bytes);
        let said = String::from_utf8_lossy(&taken);
        if said.contains(ready) {
            return said.into_owned();
        }
    }
    panic!("it does not get on: {} bytes in {TURNS_MAX} turns", taken.len());
}

#[test]
fn a_past_is_found_among_more_topics_than_a_visit_may_look_at() {
    let mut rig = Rig::new();
    for number in 0..2 * LOOKS_PER_VISIT_MAX {
        rig.put(&format!("cart/{number}"), 0..1);
    }
    rig.put_series("samples/t", 0..3, 2);
    let mut client = rig.connect_for_past(&["**"], SSE);
    let said = turn_until_ready(&mut rig, &mut client, ("event: ready", 1 << 20));
    assert_eq!(said.matches("event: history").count(), 3);
}

#[test]
fn the_pasts_of_very_many_new_series_come_to_many_subscriptions_at_once() {
    const SERIES: usize = LOOKS_PER_VISIT_MAX;
    const SUBSCRIPTIONS: usize = 4;
    let mut rig = Rig::new();
    for number in 0..SUBSCRIPTIONS {
        rig.put_series(&format!("samples/{number}"), 0..SERIES, 1);
    }
    let mut client = rig.connect(&[], Start::Latest, PLAIN_WEBSOCKET);
    rig.turn();
    for number in 0..SUBSCRIPTIONS {
        let topics = format!("[\"samples/{number}\"]");
        let ask = format!(r#"{{"request":"subscribe","topics":{topics},"history":"15m"}}"#);
        client.send(&text(&ask));
    }
    while client.count(r#""control":"ready""#) <= SUBSCRIPTIONS {
        rig.turn();
        assert!(rig.turns < 10_000, "it gets on");
    }
    assert_eq!(client.count(r#""type":"history""#), SUBSCRIPTIONS * SERIES);
}

/// Steady series take next to no bytes, and what is told of them takes as many as of any.
#[test]
fn what_is_read_for_a_slow_reader_is_about_what_it_gets() {
    const SERIES: usize = 500;
    const POINTS: usize = 4 * PAST_PAGE_POINTS_MIN;
    let mut rig = Rig::new();
    rig.put_series("samples/t", 0..SERIES, POINTS);
    let mut client = rig.connect_for_past(&["samples/t"], SSE);
    let said = turn_until_ready(&mut rig, &mut client, ("event: ready", 10_000));
    assert_eq!(said.matches("event: history").count(), SERIES);
    let built = rig.shard.past_serial;
    assert!(built < 2 * SERIES as u64, "{built} were built for {SERIES}");
}
