//! Pages of history that cannot be read: who waits for them is sent away, and nobody else. And those
//! who are behind their lane, though not behind the ring.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bellwire_hub::{HubLimits, Start};
use bellwire_journal::Error;
use bellwire_model::limits::{LOOKS_PER_VISIT_MAX, SUBSCRIPTIONS_ADDED_MAX};
use bellwire_model::{Cursor, Filter, FilterSet, Offset};

use super::rig::{EPOCH, PLAIN_WEBSOCKET, Rig, SSE, text};
use crate::closed::CloseReason;
use crate::shard::page_queue::Wait;
use crate::shard::{PageRead, Pending};
use crate::stream_request::PollRequest;

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
    shard.close(second, CloseReason::ClientClosed);
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

/// Of a ring that lanes have let go of, a subscriber of little would otherwise look at all at once.
#[test]
fn who_is_behind_its_lane_looks_at_the_ring_a_budget_at_a_time() {
    const EVENTS: usize = 10 * LOOKS_PER_VISIT_MAX;
    /// Who comes is visited, has another turn, and may be due; to come and to go is a look at a
    /// little.
    const LOOKS_MAX: u64 = 3 * LOOKS_PER_VISIT_MAX as u64 + 100;
    // None, and so few that a visit might look for very long.
    for every in [EVENTS, LOOKS_PER_VISIT_MAX / 4] {
        let limits = HubLimits { lane_entries_max: 16, ..HubLimits::default() };
        let mut rig = Rig::new().with_limits(limits);
        let _others = rig.connect(&["b"], Start::Latest, SSE);
        rig.turn();
        let topic = |number: usize| if number % every == every - 1 { "a" } else { "b" };
        let topics: Vec<&str> = (0..EVENTS).map(topic).collect();
        rig.publish_all(&topics, "{}");
        rig.turn();
        while rig.shard.members.has_touched() || !rig.shard.agenda.is_clear() {
            rig.turn();
        }
        let start = Start::After(Cursor::new(EPOCH, Offset::ZERO));
        let mut client = rig.connect(&["a"], start, SSE);
        let (mut turns, mut most) = (0, 0);
        while client.count("event: ready") == 0 {
            most = most.max(rig.turn().looks);
            turns += 1;
            assert!(turns < 1_000, "it gets on");
        }
        assert_eq!(client.count("id: "), EVENTS / every + 1);
        assert!(most <= LOOKS_MAX, "{most} of {EVENTS}, {turns} turns");

        let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
        let request = PollRequest::new(filters.into(), start, Duration::ZERO);
        let poll = Pending::ask(&rig.shard.handle, request, crate::HeldPrincipal::anonymous())
            .expect("room");
        let mut most = 0;
        loop {
            most = most.max(rig.turn().looks);
            if rig.shard.connections.len() == 2 && rig.shard.agenda.is_clear() {
                break;
            }
        }
        assert!(most <= LOOKS_MAX, "{most} of {EVENTS}");
        drop(poll);
    }
}

/// However many subscriptions of one connection are behind.
#[test]
fn all_that_a_connection_adds_looks_at_the_ring_within_one_budget() {
    const EVENTS: usize = 2 * LOOKS_PER_VISIT_MAX;
    /// Each of a visit's calls may look at as much as the visit may, with a visit for what is said
    /// and one that was queued; to come and to go is a look at a little.
    const LOOKS_MAX: u64 = 4 * LOOKS_PER_VISIT_MAX as u64 + 1_000;
    for lane_entries_max in [16, HubLimits::default().lane_entries_max] {
        let limits = HubLimits { lane_entries_max, ..HubLimits::default() };
        let mut rig = Rig::new().with_limits(limits);
        let mut client = rig.connect(&["b"], Start::Latest, PLAIN_WEBSOCKET);
        rig.turn();
        rig.publish_all(&vec!["b"; EVENTS], "{}");
        let first: Vec<_> = (0..SUBSCRIPTIONS_ADDED_MAX).map(|it| format!("a/{it}")).collect();
        rig.publish_all(&first.iter().map(|topic| &topic[..]).collect::<Vec<_>>(), "{}");
        rig.settle();
        client.take();
        for topic in &first {
            let request =
                format!(r#"{{"request":"subscribe","topics":["{topic}"],"after":"e7-0"}}"#);
            client.send(&text(&request));
        }
        let (mut turns, mut most) = (0, 0);
        while client.count("\"ready\"") <= SUBSCRIPTIONS_ADDED_MAX {
            most = most.max(rig.turn().looks);
            turns += 1;
            assert!(turns < 1_000, "it gets on");
        }
        for topic in &first {
            assert_eq!(client.count(&format!("\"topic\":\"{topic}\"")), 1);
        }
        assert!(most <= LOOKS_MAX, "{most} in {turns} turns");
    }
}

/// Who is there and slow has not got the end of a topic when retention removes it.
#[test]
fn an_end_that_is_gone_is_told_with_the_gap_to_who_is_there() {
    let limits = HubLimits { ring_events_max: 4, lane_entries_max: 0, ..HubLimits::default() };
    let mut rig = Rig::with_journal(4).with_limits(limits);
    let mut alone = rig.connect(&["jobs/1"], Start::Latest, SSE);
    let mut both = rig.connect(&["jobs/1", "jobs/2"], Start::Latest, SSE);
    let mut websocket = rig.connect(&["jobs/1"], Start::Latest, PLAIN_WEBSOCKET);
    let filters = FilterSet::from("jobs/1".parse::<Filter>().expect("a filter"));
    let request = PollRequest::new(filters.into(), Start::Latest, Duration::from_hours(1));
    let poll = Pending::ask(&rig.shard.handle, request, crate::HeldPrincipal::anonymous());
    let poll = poll.expect("room");
    rig.settle();
    assert_eq!(both.count("event: ready"), 1);
    rig.end("jobs/1");
    for _ in 0..20 {
        rig.append("others", "1");
    }
    rig.trim();
    rig.settle();
    for client in [&mut alone, &mut both] {
        let told = client.take();
        assert_eq!(told.matches("event: end").count(), 1, "{told}");
        assert!(told.find("event: gap") < told.find("event: end"), "{told}");
    }
    assert_eq!(websocket.count("\"control\":\"end\""), 1);
    // The one has nothing more to come.
    assert_eq!(rig.shard.connections.len(), 2);
    let collected = pin!(poll.collected()).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(collected)) = collected else { panic!("{collected:?}") };
    let answer = collected.encode();
    assert!(answer.gap.is_some());
    let ends = answer.ends.iter().map(|(_, topic, _)| topic.as_str());
    assert_eq!(ends.collect::<Vec<_>>(), ["jobs/1"]);
}
