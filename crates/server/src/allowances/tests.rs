//! Accounts as their subjects use them: what is refused, what is left, and that nothing stays.

use std::sync::atomic::Ordering;

use bellwire_access::ticket::{Bound, Ticket, TicketId};
use bellwire_access::{Behind, Claims, Means, Rights};
use bellwire_model::limits::NAMES_LIMITED_MAX;
use bellwire_model::{Filter, FilterSet, Timestamp};

use super::*;

fn who(limits: Limits) -> Identity {
    Identity { rights: Rights { limits, ..Rights::all() }, ..Identity::open() }
}

/// The same subject, with a ticket of this name.
fn with_ticket(name: u8, limits: Limits) -> Identity {
    let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
    let bound = Bound { filters, origin: None };
    let (id, now) = (TicketId::new([name; 16]), Timestamp::from_ms(0));
    let ticket = Ticket::new(id, (Claims::anonymous(), &[]), bound, now);
    let ticket = Ticket { behind: Behind::Other, ..ticket };
    Identity { means: Means::Ticket(Arc::new(ticket)), ..who(limits) }
}

fn allowances() -> Arc<Allowances> {
    Arc::new(Allowances::new(Arc::default()))
}

fn topic(name: impl std::fmt::Display) -> Topic {
    format!("t/{name}").parse().expect("a topic")
}

#[test]
fn nothing_is_kept_of_those_without_limits_and_of_those_who_have_left() {
    let allowances = allowances();
    let free = who(Limits::NONE);
    assert!(allowances.connect(&free, 9).expect("no limit").is_none());
    allowances.spend(&free, Sent::Events(1_000_000)).expect("no limit");
    allowances.name_topic(&free, &topic("a")).expect("no limit");
    assert_eq!((allowances.accounts().len(), allowances.left(&free)), (0, Vec::new()));
    let one = who(Limits { connections: Some(1), ..Limits::NONE });
    let first = allowances.connect(&one, 9).expect("the first");
    let refused = allowances.connect(&one, 9).expect_err("the second");
    assert_eq!(refused.code, Code::PrincipalExhausted);
    assert!(refused.retry_after_s().is_some() && allowances.check_connect(&one, 9).is_err());
    drop(first);
    assert_eq!(allowances.accounts().len(), 0);
    let second = allowances.connect(&one, 9).expect("the place of the first");
    assert!(second.is_some() && allowances.check_connect(&one, 9).is_err());
}

#[test]
fn whoever_renews_without_end_is_refused_though_no_role_limits_them() {
    let allowances = allowances();
    let of = |means: &Means| Identity { means: means.clone(), ..who(Limits::NONE) };
    // However slow this is: these are far more at once than what a second brings.
    let refused = |who: &Identity| {
        (0..100_000).find_map(|_| allowances.renew(who).err()).map(|problem| problem.code)
    };
    let (key, token) = (Means::Key("01234567".into()), Means::Token("a".into()));
    assert_eq!(refused(&of(&key)), Some(Code::PrincipalExhausted));
    allowances.renew(&of(&token)).expect("somebody else");
    assert_eq!(refused(&of(&Means::Anonymous)), None, "there is nothing to renew");
}

#[test]
fn whoever_has_something_open_keeps_nobody_from_renewing() {
    let allowances = allowances();
    let of = |number: usize, means: Means| Identity {
        claims: Claims { subject: number.to_string().into(), ..Claims::anonymous() },
        means,
        ..who(Limits { connections: Some(1), ..Limits::NONE })
    };
    let open: Vec<_> = (0..SUBJECTS_LIMITED_MAX)
        .map(|number| allowances.connect(&of(number, Means::Password), 1).expect("room"))
        .collect();
    let one_more = of(SUBJECTS_LIMITED_MAX, Means::Password);
    assert!(allowances.connect(&one_more, 1).is_err(), "there is no account left");
    allowances.renew(&one_more).expect("renewals have a room of their own");
    drop(open);
}

#[test]
fn filters_of_all_connections_of_a_subject_count_together() {
    let allowances = allowances();
    let four = who(Limits { subscriptions: Some(4), ..Limits::NONE });
    let connect = |filters| allowances.connect(&four, filters).map(|it| it.expect("it is counted"));
    let code = |result: Result<_, Problem>| result.map(|_: Arc<Counted>| ()).map_err(|it| it.code);
    let (one, other) = (connect(1).expect("one"), connect(2).expect("two more"));
    assert_eq!(code(connect(2)), Err(Code::PrincipalExhausted));
    assert_eq!(code(connect(5)), Err(Code::Forbidden), "no time brings these");
    assert!(
        allowances.check_connect(&four, 2).is_err() && allowances.check_connect(&four, 1).is_ok()
    );
    assert_eq!(one.follow(3).map_err(|it| it.code), Err(Code::PrincipalExhausted));
    one.follow(2).expect("as many as there may be");
    let left =
        |of: &[Left]| of.iter().find(|it| it.limit == "subscriptions").map(|it| it.remaining);
    assert_eq!(left(&allowances.left(&four)), Some(0));
    other.follow_now(1);
    drop(one);
    assert_eq!(left(&allowances.left(&four)), Some(3));
    drop(other);
    assert_eq!(allowances.accounts().len(), 0, "what was refused has left nothing");
}

#[test]
fn connections_of_one_ticket_are_one() {
    let limits = Limits { connections: Some(1), subscriptions: Some(2), ..Limits::NONE };
    let (allowances, ticket) = (allowances(), with_ticket(7, limits));
    let first = allowances.connect(&ticket, 2).expect("the first").expect("it is counted");
    let other = with_ticket(8, limits);
    assert!(allowances.check_connect(&other, 1).is_err() && allowances.connect(&other, 1).is_err());
    // The newest has its place, and its filters.
    allowances.check_connect(&ticket, 1).expect("it takes its place");
    let newer = allowances.connect(&ticket, 1).expect("it takes its place").expect("counted");
    assert_eq!(newer.filters(), 1);
    assert!(allowances.connect_beside(&ticket, 0).is_err(), "where the first goes on");
    drop(first);
    assert!(allowances.connect(&other, 1).is_err());
    let newest = allowances.connect(&ticket, 2).expect("it takes its place");
    drop(newer);
    assert!(allowances.connect(&other, 1).is_err());
    drop(newest);
    assert_eq!(allowances.accounts().len(), 0);
    allowances.connect(&other, 1).expect("the place is free");
}

#[test]
fn a_ticket_whose_connection_goes_on_by_something_else_needs_a_place_of_its_own() {
    let limits = Limits { connections: Some(2), ..Limits::NONE };
    let (allowances, ticket) = (allowances(), with_ticket(7, limits));
    let renewed = allowances.connect(&ticket, 1).expect("the first");
    let beside = allowances.connect_beside(&ticket, 1).expect("the second");
    assert!(allowances.connect_beside(&ticket, 1).is_err());
    drop(renewed);
    let third = allowances.connect(&ticket, 1).expect("the place of the second");
    allowances.connect(&with_ticket(8, limits), 1).expect("there is one more");
    drop((beside, third));
    assert_eq!(allowances.accounts().len(), 0);
}

#[test]
fn so_many_topics_and_series_are_named_and_known_ones_go_on() {
    let allowances = allowances();
    let three = who(Limits { topics: Some(3), series: Some(1), ..Limits::NONE });
    let name = |name: u32| allowances.name_topic(&three, &topic(name));
    for _ in 0..2 {
        assert!((0..3).all(|number| name(number).is_ok()));
        let refused = name(3).expect_err("one too many");
        assert_eq!(refused.code, Code::PrincipalExhausted);
        let wait = refused.retry_after_s().expect("some fade");
        assert!((1..=1_800 + 11).contains(&wait), "{wait}");
    }
    let series = allowances.naming(&three, Named::Series).expect("room").expect("a limit");
    assert!(series.take(&"a").is_ok() && series.take(&"b").is_err(), "counted by themselves");
    drop(series);
    let left = allowances.left(&three);
    assert_eq!(
        left.iter().map(|it| (it.limit, it.remaining)).collect::<Vec<_>>(),
        [("topics", 0), ("series", 0)]
    );
    assert_eq!(allowances.names.load(Ordering::Relaxed), 4);
}

#[test]
fn names_of_all_subjects_are_bounded_and_go_with_their_accounts() {
    let allowances = allowances();
    let many = who(Limits { topics: Some(1_000), ..Limits::NONE });
    allowances.name_topic(&many, &topic("known")).expect("room");
    // As if others had named so many.
    allowances.names.fetch_add(NAMES_LIMITED_MAX, Ordering::Relaxed);
    assert!(allowances.name_topic(&many, &topic("new")).is_err());
    allowances.name_topic(&many, &topic("known")).expect("it is no further one");
    allowances.names.fetch_sub(NAMES_LIMITED_MAX, Ordering::Relaxed);
    allowances.name_topic(&many, &topic("new")).expect("there is room");
    assert_eq!(allowances.names.load(Ordering::Relaxed), 2);
    *allowances.accounts() = Lately::new(1);
    assert_eq!(allowances.names.load(Ordering::Relaxed), 0);
}

#[test]
fn what_cannot_be_paid_for_is_not_named() {
    let allowances = allowances();
    let limits = Limits { samples_per_second: Some(1), series: Some(2), ..Limits::NONE };
    let poor = who(limits);
    let named = || allowances.names.load(Ordering::Relaxed);
    let naming = allowances.naming(&poor, Named::Series).expect("nothing is owed");
    naming.expect("a limit").take(&"a").expect("the first");
    allowances.spend(&poor, Sent::Samples(1_000_000)).expect("nothing was owed");
    let refused = allowances.naming(&poor, Named::Series).expect_err("much is owed");
    assert_eq!((refused.code, named()), (Code::PrincipalExhausted, 1));
    assert!(refused.retry_after_s().is_some());
}
