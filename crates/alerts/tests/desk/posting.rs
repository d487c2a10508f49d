//! Alerts that clients post.

use std::ops::Range;
use std::sync::Arc;

use bellwire_alerts::desk::{Case, RuleChange};
use bellwire_alerts::{Desk, Post, PostError};
use bellwire_model::limits::{LABEL_VALUE_BYTES_MAX, POSTED_ALERTS_MAX, RECORD_BYTES_MAX};
use bellwire_model::{Alert, AlertState, Labels, TransitionKind};

use crate::script::{Script, at, fingerprint, labels, post};

#[test]
fn a_posted_alert_is_one_like_any_other() {
    let mut script = Script::new();
    let id = |since: i64, word: &str| format!("{}-{since}-alert.{word}", fingerprint("Hot"));
    script.posts("Hot", Some(-5), Some(100));
    assert_eq!((script.word("Hot"), &script.announced[..]), ("firing", &[id(-5000, "firing")][..]));
    assert_eq!(script.take_shown(), ["Hot: firing"]);
    // Sent again with a later end, it goes on and is no news.
    script.pass(60);
    script.posts("Hot", Some(-5), Some(200));
    assert_eq!((script.take_shown().len(), script.announced.len()), (0, 1));
    script.pass(199);
    assert_eq!(script.word("Hot"), "firing");
    script.pass(200);
    assert_eq!(script.announced[1], id(-5000, "resolved"));
    assert_eq!(script.take_shown(), ["Hot: resolved"]);
    // A quarter of an hour later it is forgotten.
    script.pass(200 + 15 * 60 - 1);
    assert_eq!(script.word("Hot"), "resolved");
    script.pass(200 + 15 * 60);
    assert_eq!((script.word("Hot"), script.records.len()), ("none", 0));
}

#[test]
fn an_alert_without_an_end_resolves_unless_it_is_sent_again() {
    let mut script = Script::new();
    script.posts("Hot", None, None);
    script.pass(200);
    script.posts("Hot", None, None);
    script.pass(499);
    assert_eq!(script.word("Hot"), "firing");
    script.pass(500);
    assert_eq!(script.word("Hot"), "resolved");
}

#[test]
fn a_resolution_that_is_posted_counts_at_once() {
    let mut script = Script::new();
    script.pass(10);
    // Of an alert that nobody knows it says nothing.
    script.posts("Hot", Some(1), Some(9));
    assert_eq!(script.word("Hot"), "none");
    script.posts("Hot", Some(1), None);
    script.pass(20);
    script.posts("Hot", Some(1), Some(19));
    assert_eq!(script.word("Hot"), "resolved");
    script.pass(30);
    script.posts("Hot", Some(1), None);
    assert_eq!((script.word("Hot"), script.announced.len()), ("firing", 3));
    let mut ids = script.announced.clone();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each has an id of its own: {ids:?}");
}

#[test]
fn a_rules_own_alert_outranks_a_posted_one() {
    let mut script = Script::new();
    script.fires("Hot");
    script.posts("Hot", None, Some(5));
    script.pass(10);
    assert_eq!((script.word("Hot"), script.announced.len()), ("firing", 0));
    script.posts("Cold", None, Some(50));
    script.rule(TransitionKind::Firing, "Cold", 10);
    assert_eq!(script.records.len(), 0);
    script.pass(60);
    assert_eq!(script.word("Cold"), "firing");
}

/// Whoever wants to can make labels with the fingerprint of others.
#[test]
fn a_post_takes_no_other_alerts_place_whatever_its_fingerprint() {
    let mut script = Script::new();
    script.rule(TransitionKind::Firing, "Cold", 0);
    let cold = script.desk.case(fingerprint("Cold")).expect("it fires").alert();
    let mut alike = Alert::clone(cold);
    alike.fingerprint = fingerprint("Hot");
    alike.state = AlertState::Resolved;
    let change = RuleChange::Transition(TransitionKind::Resolved, Arc::new(alike));
    script.desk.on_rules(script.now(), [change]);
    let errors = script.posts_all(vec![post("Hot", None, None), post("Warm", None, None)]);
    assert_eq!(errors, [PostError::Collides]);
    let case = script.desk.case(fingerprint("Hot")).expect("it is there");
    assert_eq!(case.alert().labels, labels("Cold"));
    assert_eq!(script.word("Warm"), "firing");
}

#[test]
fn what_is_no_alert_is_refused_and_others_are_taken() {
    let mut script = Script::new();
    assert_eq!(script.posts("Hot", Some(10), Some(5)), 1);
    assert_eq!(script.posts("Hot", Some(5), Some(10)), 0);
    assert_eq!(script.word("Hot"), "firing");
}

#[test]
fn alerts_that_are_known_take_no_room_of_new_ones() {
    let mut script = Script::new();
    let posts = |numbers: Range<usize>| -> Vec<Post> {
        numbers.map(|number| post(&format!("Hot,number={number}"), None, None)).collect()
    };
    assert_eq!(script.posts_all(posts(0..POSTED_ALERTS_MAX - 1)), []);
    // All of them again, and one more.
    assert_eq!(script.posts_all(posts(0..POSTED_ALERTS_MAX)), []);
    let errors = script.posts_all(posts(POSTED_ALERTS_MAX - 2..POSTED_ALERTS_MAX + 2));
    assert_eq!(errors, [PostError::TooMany, PostError::TooMany]);
}

#[test]
fn posted_alerts_leave_room_in_the_journal_to_silences_and_webhooks() {
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_posted_bytes_max(2_000);
    let refused = |script: &mut Script, name: &str| script.posts(name, None, None);
    let names: Vec<String> = (0..20).map(|number| format!("Hot,number={number}")).collect();
    let taken = names.iter().filter(|name| refused(&mut script, name) == 0).count();
    let bytes = |script: &Script| -> usize {
        script.records.iter().map(|(key, value)| key.len() + value.len()).sum()
    };
    assert!((2..20).contains(&taken) && bytes(&script) <= 2_000, "{taken}");
    // Those that are there go on and end.
    assert_eq!(script.posts("Hot,number=0", None, None), 0);
    assert_eq!(refused(&mut script, "Hot,number=19"), 1);
    assert_eq!(script.posts("Hot,number=0", Some(0), Some(0)), 0);
    assert_eq!(script.word("Hot,number=0"), "resolved");
    // Once one is forgotten there is room for another one, and no sooner.
    assert_eq!(refused(&mut script, "Hot,number=19"), 1);
    script.pass(15 * 60);
    assert_eq!(refused(&mut script, "Hot,number=19"), 0);
    script.pass(3_600);
    assert_eq!(bytes(&script), 0);
    let taken_again = names.iter().filter(|name| refused(&mut script, name) == 0).count();
    assert!(taken_again >= taken - 1, "{taken_again}");
}

#[test]
fn no_alert_that_goes_on_or_ends_takes_more_than_there_is_room_for_or_is_lost_for_it() {
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_posted_bytes_max(2_000);
    let summary = |length: usize| {
        Labels::from_pairs([("summary", &*"x".repeat(length))]).expect("annotations")
    };
    let says = |length: usize, to: Option<i64>| Post {
        annotations: summary(length),
        ..post("Hot", Some(0), to)
    };
    let said = |script: &Script| {
        let case = script.desk.case(fingerprint("Hot")).expect("it is there");
        case.alert().annotations.clone()
    };
    assert_eq!(script.posts_all(vec![says(100, None)]), []);
    script.pass(200);
    // It goes on, though what is new of it has no room.
    assert_eq!(script.posts_all(vec![says(3_000, None)]), [PostError::TooMany]);
    script.pass(400);
    assert_eq!((script.word("Hot"), said(&script)), ("firing", summary(100)));
    assert_eq!(script.posts_all(vec![says(3_000, Some(300))]), []);
    assert_eq!((script.word("Hot"), said(&script)), ("resolved", summary(100)));
    assert!(script.records.values().all(|record| record.len() < 500));
}

#[test]
fn an_alert_that_no_record_could_hold_is_refused_and_others_are_taken() {
    let mut script = Script::new();
    let long = "\u{1}".repeat(LABEL_VALUE_BYTES_MAX);
    let names: Vec<String> = (0..32).map(|number| format!("note{number}")).collect();
    let annotations = |count: usize| {
        Labels::from_pairs(names[..count].iter().map(|name| (&**name, &*long))).expect("labels")
    };
    let large = Post { annotations: annotations(32), ..post("Large", None, None) };
    let most = Post { annotations: annotations(31), ..post("Most", None, None) };
    assert_eq!(script.posts_all(vec![large, most]), [PostError::TooLarge]);
    assert_eq!(script.word("Most"), "firing");
    assert!(script.records.values().all(|record| record.len() < RECORD_BYTES_MAX));
}

#[test]
fn a_posted_alert_goes_on_while_a_rule_of_the_same_alert_waits() {
    let mut script = Script::new();
    // Whichever comes first.
    script.posts("Early", None, Some(50));
    script.rule(TransitionKind::Pending, "Early", 0);
    script.rule(TransitionKind::Pending, "Late", 0);
    script.posts("Late", None, Some(50));
    for restarts in [false, true] {
        if restarts {
            script.restart();
        }
        assert_eq!((script.word("Early"), script.word("Late")), ("firing", "firing"));
    }
    script.removed("Early");
    script.rule(TransitionKind::Firing, "Late", 0);
    script.pass(60);
    assert_eq!((script.word("Early"), script.word("Late")), ("resolved", "firing"));
}

#[test]
fn very_many_alerts_that_end_together_end_some_at_a_time() {
    let mut script = Script::new();
    let posts = (0..2_500).map(|n| post(&format!("Hot,n={n}"), Some(0), Some(60))).collect();
    assert_eq!(script.posts_all(posts), []);
    let due = script.desk.plan_due(at(60)).records.len();
    assert!((1..2_500).contains(&due), "{due}");
    script.pass(60);
    assert!(!script.desk.cases().any(Case::is_raised));
    script.pass(3_600);
    assert_eq!(script.desk.cases().count(), 0);
}

#[test]
fn who_posts_without_end_leaves_room_for_others_also_after_a_restart() {
    const BYTES_MAX: usize = 20_000;
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_posted_bytes_max(BYTES_MAX);
    let hot = |number: usize| post(&format!("Hot,number={number}"), Some(0), Some(9_000));
    // An earlier build's, which is nobody's.
    assert_eq!(script.posts_all(vec![hot(9_999)]), []);
    let errors = script.posts_of(Some("flood"), (0..500).map(hot).collect());
    assert!((1..500).contains(&errors.len()));
    assert!(errors.iter().all(|error| *error == PostError::TooManyOfPoster), "{errors:?}");
    script.restart();
    script.desk =
        std::mem::replace(&mut script.desk, Desk::new(&[])).with_posted_bytes_max(BYTES_MAX);
    let one_of = |script: &mut Script, poster, number| {
        script.posts_of(Some(poster), vec![hot(number)]).into_iter().next()
    };
    assert_eq!(one_of(&mut script, "flood", 1_000), Some(PostError::TooManyOfPoster));
    for number in 0..3 {
        assert_eq!(one_of(&mut script, "other", 2_000 + number), None);
    }
    // What is there goes on and ends, and what has gone makes room.
    assert_eq!(one_of(&mut script, "flood", 0), None);
    script.pass(24 * 3_600);
    let again = script.posts_of(Some("flood"), vec![post("Hot,number=1000", None, None)]);
    assert_eq!((again, script.word("Hot,number=1000")), (vec![], "firing"));
}

#[test]
fn who_makes_anothers_alert_longer_is_charged_for_all_of_it() {
    const BYTES_MAX: usize = 40_000;
    let mut script = Script::new();
    script.desk = Desk::new(&[]).with_posted_bytes_max(BYTES_MAX);
    let hot = |number: usize, length: usize| Post {
        annotations: Labels::from_pairs([("summary", &*"x".repeat(length))]).expect("annotations"),
        ..post(&format!("Hot,number={number}"), Some(0), Some(9_000))
    };
    let all = |length| (0..30).map(|number| hot(number, length)).collect::<Vec<_>>();
    assert_eq!(script.posts_of(Some("ada"), all(100)), []);
    // In many requests: none of them grows by much.
    let mut refused = Vec::new();
    for length in (200..2_000).step_by(100) {
        refused = script.posts_of(Some("mallory"), all(length));
    }
    // Those that go on are taken with what they said before.
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|error| *error == PostError::TooManyOfPoster), "{refused:?}");
    let bytes: usize = script.desk.cases().map(|case| case.alert().annotations.size_bytes()).sum();
    assert!(bytes < BYTES_MAX, "{bytes}");
    // All are mallory's: of what is left she has no share any more, and ada has.
    let new = |number| vec![hot(number, 1)];
    assert_eq!(script.posts_of(Some("mallory"), new(100)), [PostError::TooManyOfPoster]);
    assert_eq!(script.posts_of(Some("ada"), new(101)), []);
    // Whoever says less leaves it where it is.
    assert_eq!(script.posts_of(Some("ada"), all(10)), []);
}
