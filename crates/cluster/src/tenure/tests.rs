//! Two tenures of one lease, on the process's clock and with waits that are short.

use std::sync::mpsc::{Receiver, sync_channel};

use bellwire_shared_log::MemoryLogs;

use super::*;

const TIMING: LeaseTiming = LeaseTiming {
    lease: Duration::from_millis(400),
    hold: Duration::from_millis(300),
    beat: Duration::from_millis(20),
    look: Duration::from_millis(10),
};

/// As long as it takes: what is waited for comes, or the test is stopped from without.
const PATIENCE: Duration = Duration::from_mins(10);

/// Seats that wait for the test.
const SEATS_MAX: usize = 100;

fn begin(logs: &MemoryLogs, node: &str) -> Tenure {
    begin_deferring(logs, node, Duration::ZERO)
}

fn begin_deferring(logs: &MemoryLogs, node: &str, deference: Duration) -> Tenure {
    let begun = Tenure::begin(logs.handle(), ("x", node), Clock::of_process(), (TIMING, deference));
    begun.expect("a thread")
}

#[test]
fn who_begins_with_a_deference_does_not_take_what_is_free_first() {
    let logs = MemoryLogs::immediate();
    let deferring = begin_deferring(&logs, "two", PATIENCE);
    // It has looked, more than once.
    let _ = deferring.decided(10 * TIMING.look);
    assert!(begin(&logs, "one").decided(PATIENCE).is_held);
}

fn told(tenure: &Tenure) -> Receiver<Seat> {
    let (sender, seats) = sync_channel(SEATS_MAX);
    tenure.watch(move |seat| drop(sender.try_send(seat.clone())));
    seats
}

fn wait_for(seats: &Receiver<Seat>, is_it: impl Fn(&Seat) -> bool) -> Seat {
    let seat = seats.iter().find(|seat| is_it(seat));
    seat.expect("it is told for as long as it is watched")
}

#[test]
fn the_first_holds_it_the_second_knows_where_and_takes_it_once_it_is_given_up() {
    let logs = MemoryLogs::immediate();
    let mark = nodes::NodeMark {
        id: "one".into(),
        version: "1".into(),
        address: "[::1]:7".into(),
        run: 1,
        beat: 0,
        applied: None,
        reached: None,
    };
    nodes::Announcer::new(mark).announce(&*logs.handle(), (None, None)).expect("announced");
    let one = begin(&logs, "one");
    let term = one.decided(PATIENCE).term.expect("nobody else wants it");
    let two = begin(&logs, "two");
    let seat = two.decided(PATIENCE);
    let other = seat.other.expect("it is the other's");
    assert_eq!((&*other.node, other.address.as_deref()), ("one", Some("[::1]:7")));
    assert_eq!((seat.term, seat.is_held), (None, false));
    assert!(one.fence(term).is_some() && one.fence(term + 1).is_none());
    let seats = told(&two);
    one.end();
    assert_eq!((one.fence(term), one.holds(term)), (None, false));
    let seat = wait_for(&seats, |seat| seat.is_held);
    assert!(two.fence(seat.term.expect("its own")).is_some());
}

#[test]
fn what_another_has_taken_behind_its_back_is_another_term() {
    let logs = MemoryLogs::immediate();
    let one = begin(&logs, "one");
    let first = one.decided(PATIENCE).term.expect("nobody else wants it");
    let seats = told(&one);
    // Its own beat goes on: it does not know yet.
    let log = logs.handle();
    let before = log.register("lease-x").expect("read");
    log.set_register("lease-x", before.generation, "another's".into()).expect("set");
    assert!(one.fence(first).is_some());
    one.doubt();
    let seat = wait_for(&seats, |seat| seat.is_held && seat.term != Some(first));
    assert_eq!((one.fence(first), one.holds(first)), (None, false));
    assert!(one.fence(seat.term.expect("its own")).is_some());
}

#[test]
fn who_cannot_work_gives_it_up_and_asks_again_once_it_can() {
    let logs = MemoryLogs::immediate();
    let (one, two) = (begin(&logs, "one"), begin(&logs, "two"));
    let [first, second] = if one.decided(PATIENCE).is_held { [&one, &two] } else { [&two, &one] };
    let seats = told(second);
    first.want(Wanted::No);
    first.want(Wanted::Yes);
    assert!(first.decided(PATIENCE).is_held, "not for a moment");
    first.want(Wanted::No);
    wait_for(&seats, |seat| seat.is_held);
    let seats = told(first);
    first.want(Wanted::Yes);
    second.want(Wanted::No);
    let seat = wait_for(&seats, |seat| seat.is_held);
    assert!(seat.term.is_some_and(|term| term > 1), "{seat:?}");
}

/// Each try of a replica that takes nothing begins as if it did.
#[test]
fn who_can_only_for_moments_gives_it_up_and_asks_again_once_it_can_for_long() {
    let at = Duration::from_secs;
    let mut state = State::default();
    assert_eq!(state.look(at(0)), Wanted::Yes);
    // Once, or now and then, is no reason.
    for second in [1, 100, 200] {
        state.want(Wanted::No, at(second));
        state.want(Wanted::Yes, at(second + 1));
        assert_eq!(state.look(at(second + 50)), Wanted::Yes, "{second}");
    }
    for second in 300..320 {
        state.want(Wanted::No, at(second));
        let wanted = if second < 305 { Wanted::Yes } else { Wanted::No };
        assert_eq!(state.look(at(second)), wanted, "{second}");
        state.want(Wanted::Yes, at(second));
    }
    let until = at(319) + UNABLE_AGE;
    assert_eq!(state.look(until.saturating_sub(Duration::from_millis(1))), Wanted::No);
    assert_eq!(state.look(until), Wanted::Yes);
}
