//! Connections of those whose credential is taken back.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bellwire_hub::Start;
use bellwire_model::limits::{
    FILTERS_PER_CONNECTION_MAX, LOOKS_PER_TURN_MAX, RECONSIDERED_PER_TURN_MAX, VISITS_PER_TURN,
    WAIT_MAX,
};
use bellwire_model::{Filter, FilterSet, Principal, Sight};
use bellwire_wire::problem::{Code, Problem};

use super::super::change::{self, Reconsideration};
use super::super::work::Work;
use super::super::{Pending, Reconsidering};
use super::rig::{Client, NDJSON, PLAIN_WEBSOCKET, Rig, SSE, SSE_GZIP, text};
use crate::authority::{HeldPrincipal, HeldPrincipals};
use crate::poll::Collected;
use crate::stream_request::PollRequest;

const ADA: Principal = Principal(1);
const BOB: Principal = Principal(2);

/// What comes of something, if it is there already.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(it) => Some(it),
        Poll::Pending => None,
    }
}

fn is_through(reconsidering: Reconsidering) -> bool {
    now(reconsidering.is_through()).is_some()
}

fn poll(rig: &Rig, principal: Principal) -> Pending {
    poll_from(rig, principal, (&["a"], Start::Latest))
}

fn poll_from(rig: &Rig, principal: Principal, (topics, start): (&[&str], Start)) -> Pending {
    let filters = topics.iter().map(|topic| topic.parse::<Filter>().expect("a filter"));
    let follows = FilterSet::new(filters).expect("a set").into();
    let request = PollRequest::new(follows, start, WAIT_MAX);
    let held = HeldPrincipal::new(principal, rig.guests.clone());
    Pending::ask(&rig.shard.handle, request, held).expect("room")
}

fn answer(pending: Pending) -> Result<Collected, Problem> {
    now(pending.collected()).expect("an answer")
}

#[test]
fn whoever_has_a_credential_that_is_taken_back_is_told_so_and_nobody_else_is() {
    for form in [SSE, NDJSON, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let mut adas = rig.connect(&["a"], Start::Latest, form);
        rig.come_as(BOB);
        let mut bobs = rig.connect(&["a"], Start::Latest, form);
        let (polled, kept) = (poll(&rig, ADA), poll(&rig, BOB));
        rig.settle();
        let reconsidering = rig.revoke(&[ADA]);
        rig.settle();
        assert!(is_through(reconsidering));
        rig.publish("a", "\"secret\"");
        rig.settle();
        let told = "\"reason\":\"credential_revoked\"";
        assert_eq!((adas.count(told), adas.count("secret")), (1, 0), "{form:?}");
        assert_eq!((bobs.count(told), bobs.count("secret")), (0, 1), "{form:?}");
        let refused = answer(polled).expect_err("nobody's");
        assert_eq!(refused.code, Code::CredentialInvalid);
        assert!(answer(kept).is_ok());
        assert_eq!(rig.shard.surroundings.figures.credentials_revoked.get(), 1);
    }
}

#[test]
fn who_was_let_in_before_and_comes_in_behind_it_does_not_slip_through() {
    for form in [SSE, SSE_GZIP, PLAIN_WEBSOCKET] {
        let mut rig = Rig::new();
        let reconsidering = rig.revoke(&[ADA]);
        let mut late = rig.connect(&["a"], Start::Latest, form);
        let polled = poll(&rig, ADA);
        rig.settle();
        assert!(is_through(reconsidering));
        assert!(rig.shard.connections.is_empty(), "{form:?}");
        rig.publish("a", "\"secret\"");
        rig.settle();
        assert_eq!(late.take(), "", "whoever has the other end of a pair answers");
        assert_eq!(answer(polled).expect_err("nobody's").code, Code::CredentialInvalid);
    }
}

#[test]
fn one_that_is_stuck_in_the_middle_of_an_event_ends_all_the_same() {
    let mut rig = Rig::new();
    let _client = rig.connect(&["a"], Start::Latest, SSE);
    rig.settle();
    for _ in 0..40 {
        rig.publish("a", &format!("\"{}\"", "x".repeat(16_000)));
        rig.turn();
    }
    rig.revoke(&[ADA]);
    rig.turn();
    assert!(rig.shard.connections.is_empty());
}

/// However many there are, a turn looks at some of them, and numbers are kept until all are looked at.
#[test]
fn very_many_are_looked_at_in_pieces() {
    let mut rig = Rig::new();
    let others = 3 * RECONSIDERED_PER_TURN_MAX;
    let mut come = |principal: Principal, count: usize| -> Vec<_> {
        let polled = (0..count).map(|_| {
            let pending = poll(&rig, principal);
            rig.turn();
            pending
        });
        polled.collect()
    };
    let (kept, polled) = (come(BOB, others), come(ADA, 3 * VISITS_PER_TURN));
    assert_eq!(rig.shard.connections.len(), kept.len() + polled.len());
    let reconsidering = rig.revoke(&[Principal(7), ADA]);
    let mut turns = 0;
    let gone = |rig: &Rig| rig.guests.gone.load(Ordering::Relaxed);
    let mut before = gone(&rig);
    while before == 0 || rig.shard.reconsideration.is_under_way() {
        rig.turn();
        turns += 1;
        let after = gone(&rig);
        assert!(after - before <= VISITS_PER_TURN as u64, "{after} - {before}");
        before = after;
        assert!(turns < 100, "it comes to an end");
    }
    assert!(turns >= others / RECONSIDERED_PER_TURN_MAX + 2, "{turns}");
    assert_eq!(before, polled.len() as u64, "the numbers themselves are held still");
    assert!(is_through(reconsidering));
    assert_eq!(gone(&rig), polled.len() as u64 + 2);
    assert!(polled.into_iter().all(|pending| answer(pending).is_err()));
    assert_eq!(rig.shard.connections.len(), kept.len());
}

#[test]
fn changes_that_come_during_a_round_are_looked_for_in_the_next_and_together() {
    let mut rig = Rig::new();
    let polled: Vec<_> = (1..=4).map(|number| poll(&rig, Principal(number))).collect();
    rig.settle();
    let waiting: Vec<_> = (1..=3).map(|number| rig.revoke(&[Principal(number)])).collect();
    rig.turn();
    assert!(waiting.into_iter().all(is_through), "one round for all of them");
    let answered = polled.into_iter().map(|pending| now(pending.collected()).is_some());
    assert_eq!(answered.collect::<Vec<_>>(), [true, true, true, false]);
}

/// Each round looks at all connections that there are.
#[test]
fn rounds_begin_no_more_often_than_ticks_however_often_somebody_renews() {
    let rig = Rig::new();
    let mut reconsideration = Reconsideration::default();
    let change = || {
        let (change, reconsidering) =
            change::begin(HeldPrincipals::new(vec![ADA], rig.guests.clone()));
        (vec![change], reconsidering)
    };
    let mut rounds = 0;
    let mut waiting = Vec::new();
    for now in [7, 7, 7, 8, 8, 8, 8, 12] {
        let (changes, reconsidering) = change();
        reconsideration.expect(changes);
        waiting.push(reconsidering);
        if let Some(mut round) = reconsideration.take_round(1, now) {
            assert_eq!(reconsideration.next_round(), None);
            assert!(round.is_of(ADA) && round.next().is_some());
            reconsideration.give_back(round);
            rounds += 1;
        }
    }
    assert_eq!((rounds, reconsideration.next_round()), (3, None));
    assert!(waiting.into_iter().all(is_through), "those that came later are in a later round");
}

#[test]
fn nobody_waits_for_a_shard_that_has_ended() {
    let mut rig = Rig::new();
    rig.shard.handle.drain();
    assert!(is_through(rig.revoke(&[ADA])));
}

/// It has collected some when its client may see less: that comes with the next answer, or not at all.
#[test]
fn a_poll_that_may_see_less_by_now_shows_nothing_of_what_it_has_collected() {
    let mut rig = Rig::new();
    let began_at = rig.shard.hub.tail();
    rig.put("board/1", 0..3 * LOOKS_PER_TURN_MAX);
    rig.publish("a", "1");
    let starts = [Start::After(began_at), Start::Latest];
    let polled = starts.map(|start| poll_from(&rig, ADA, (&["a", "board/*"], start)));
    // What is looked at for the first is enough for one turn.
    for _ in 0..polled.len() {
        rig.turn();
    }
    assert_eq!(rig.shard.connections.len(), polled.len(), "they are not through");
    rig.renew(ADA, (&["a"], Sight::all()));
    rig.turn();
    let tail = rig.shard.hub.tail();
    for (pending, cursor) in polled.into_iter().zip([began_at, tail]) {
        let collected = answer(pending).expect("no problem");
        assert_eq!(collected.cursor, cursor, "nothing is lost");
        assert!(collected.parts.values.is_empty() && collected.parts.entries.is_empty());
    }
    assert!(rig.shard.connections.is_empty());
}

/// Many filters under new rights take long to be held against each other: few of them in a turn.
#[test]
fn renewals_of_very_many_filters_are_looked_at_in_pieces() {
    let mut rig = Rig::new();
    let topics: Vec<String> = (0..FILTERS_PER_CONNECTION_MAX).map(|it| format!("a/{it}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let clients: Vec<_> = (0..20).map(|_| rig.connect(&topics, Start::Latest, NDJSON)).collect();
    rig.settle();
    rig.most = Work::default();
    let reconsidering = rig.renew(ADA, (&["a/**"], Sight::all()));
    rig.settle();
    while rig.shard.reconsideration.is_under_way() {
        rig.turn();
    }
    assert!(is_through(reconsidering));
    let of_one = (FILTERS_PER_CONNECTION_MAX * FILTERS_PER_CONNECTION_MAX) as u64;
    let most = rig.most.looks;
    assert!(most <= LOOKS_PER_TURN_MAX as u64 + of_one, "{most}");
    assert_eq!(rig.shard.connections.len(), clients.len());
}

#[test]
fn whoever_answers_for_a_pair_that_is_refused_is_told_why() {
    let mut rig = Rig::new();
    let reconsidering = rig.revoke(&[ADA]);
    let refused = rig.connect_answered(&["a"], (Start::Latest, SSE));
    rig.settle();
    assert!(is_through(reconsidering));
    let problem = now(refused).expect("an answer").expect("a reason");
    assert_eq!(problem.code, Code::CredentialInvalid);
    let mut rig = Rig::new();
    let begun = rig.connect_answered(&["a"], (Start::Latest, SSE));
    rig.settle();
    assert!(now(begun).expect("an answer").is_err(), "it was not refused");
}

/// The same where each renews by itself, and all at once.
#[test]
fn renewals_of_very_many_websockets_are_taken_in_pieces() {
    const CLIENTS: usize = 20;
    let mut rig = Rig::new();
    let topics: Vec<String> = (0..FILTERS_PER_CONNECTION_MAX).map(|it| format!("a/{it}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|_| rig.connect(&topics, Start::Latest, PLAIN_WEBSOCKET)).collect();
    rig.settle();
    rig.most = Work::default();
    for client in &mut clients {
        client.send(&text(r#"{"request":"renew","id":1,"token":"2"}"#));
    }
    let replied = |clients: &mut [Client]| -> usize {
        clients.iter_mut().map(|client| client.count(r#"{"reply":1}"#)).sum()
    };
    while replied(&mut clients) < CLIENTS {
        rig.turn();
        assert!(rig.turns < 1_000, "all are told");
    }
    let of_one = (FILTERS_PER_CONNECTION_MAX * FILTERS_PER_CONNECTION_MAX) as u64;
    let most = rig.most.looks;
    assert!(most <= LOOKS_PER_TURN_MAX as u64 + of_one, "{most}");
}
