//! Alerts that clients post.

use bellwire_model::TransitionKind;

use crate::script::{Script, fingerprint};

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

#[test]
fn what_is_no_alert_is_refused_and_others_are_taken() {
    let mut script = Script::new();
    assert_eq!(script.posts("Hot", Some(10), Some(5)), 1);
    assert_eq!(script.posts("Hot", Some(5), Some(10)), 0);
    assert_eq!(script.word("Hot"), "firing");
}
