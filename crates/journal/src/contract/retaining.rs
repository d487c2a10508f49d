//! Clauses about retention: what goes, what stays, and what is told of it.

use std::time::Duration;

use bellwire_model::Offset;

use super::{Open, Rig, filters, plain, rule, timed};
use crate::{Bounds, RetentionRule};

/// Events older than the age go, by their own time; those of exactly the age stay.
pub fn retention_removes_what_is_too_old(open: Open<'_>) {
    let age = Some(Duration::from_millis(100));
    let rig = Rig::open(open, vec![RetentionRule { age, ..rule("**") }]);
    for (text, time_ms) in [("1", 0), ("2", 50), ("3", 20), ("4", 100)] {
        rig.append_new(vec![timed("a", text, time_ms)]);
    }
    for (now_ms, expected) in
        [(100, vec!["1", "2", "3", "4"]), (121, vec!["2", "4"]), (200, vec!["4"]), (201, vec![])]
    {
        rig.retain(now_ms);
        assert_eq!(rig.texts("a"), expected, "at {now_ms}");
    }
}

/// Beyond the count the oldest go, of all topics that the rule holds for.
pub fn retention_removes_the_oldest_beyond_a_count(open: Open<'_>) {
    let rig = Rig::open(open, vec![RetentionRule { events_max: Some(3), ..rule("a/*") }]);
    for (topic, text) in [("a/x", "1"), ("b", "2"), ("a/y", "3"), ("a/x", "4"), ("a/x", "5")] {
        rig.append_new(vec![plain(topic, text)]);
    }
    rig.retain(0);
    assert_eq!(rig.texts("**"), ["2", "3", "4", "5"]);
    rig.append_texts("a/z", &["6", "7"]);
    rig.retain(0);
    assert_eq!(rig.texts("**"), ["2", "5", "6", "7"]);
}

/// Beyond the bytes the oldest go, until what is left fits.
pub fn retention_removes_the_oldest_beyond_a_size(open: Open<'_>) {
    let rig = Rig::open(open, vec![RetentionRule { bytes_max: Some(10), ..rule("**") }]);
    rig.append_texts("a", &["1", "22", "333", "4444"]);
    rig.retain(0);
    // Each event counts its topic's byte too.
    assert_eq!(rig.texts("a"), ["333", "4444"]);
    let figures = &rig.journal.topics()[0];
    assert_eq!((figures.events, figures.bytes), (2, 9));
}

/// A later rule does not touch a topic that an earlier one holds for, nor does any other.
pub fn the_first_matching_rule_alone_holds_for_a_topic(open: Open<'_>) {
    let one = Some(1);
    let rules = vec![rule("a/kept"), RetentionRule { events_max: one, ..rule("a/*") }];
    let rig = Rig::open(open, rules);
    for topic in ["a/kept", "a/x", "c"] {
        rig.append_texts(topic, &["1", "2"]);
    }
    rig.retain(i64::MAX);
    for (topic, expected) in [("a/kept", vec!["1", "2"]), ("a/x", vec!["2"]), ("c", vec!["1", "2"])]
    {
        assert_eq!(rig.texts(topic), expected, "{topic}");
    }
}

/// The newest removed offset is told exactly, topic by topic, by the journal and by each page.
pub fn trimmed_tells_the_newest_removed_event_of_a_filter(open: Open<'_>) {
    let age = Some(Duration::from_millis(10));
    let rig = Rig::open(open, vec![RetentionRule { age, ..rule("**") }]);
    let removed_a = rig.append_texts("a/x", &["1", "2"])[1];
    let removed_b = rig.append_texts("b", &["3"])[0];
    rig.append_new(vec![timed("a/y", "4", 100)]);
    let tail = rig.append_new(vec![timed("b", "5", 100)])[0];
    rig.retain(50);
    assert_eq!(rig.journal.bounds(), Bounds { trimmed: removed_b, tail });
    let cases: [(&[&str], Offset); 7] = [
        (&["a/x"], removed_a),
        (&["a/y"], Offset::ZERO),
        (&["a/*"], removed_a),
        (&["b"], removed_b),
        (&["a/x", "b"], removed_b),
        (&["**"], removed_b),
        (&["never"], Offset::ZERO),
    ];
    for (texts, expected) in cases {
        let filters = filters(texts);
        assert_eq!(rig.journal.trimmed(&filters), expected, "{filters}");
        for after in [Offset::ZERO, tail] {
            assert_eq!(rig.read(after, &filters).trimmed, expected, "{filters} after {after}");
        }
    }
}

/// Nothing is left, and yet the next event follows all that were.
pub fn offsets_are_not_reused_after_everything_was_removed(open: Open<'_>) {
    let age = Some(Duration::ZERO);
    let rig = Rig::open(open, vec![RetentionRule { age, ..rule("**") }]);
    let last = rig.append_texts("a", &["1", "2", "3"])[2];
    rig.retain(1);
    assert_eq!(rig.read_all("**"), []);
    assert_eq!(rig.journal.bounds(), Bounds { trimmed: last, tail: last });
    assert!(rig.append_texts("a", &["4"])[0] > last);
    assert_eq!(rig.texts("a"), ["4"]);
    let figures = &rig.journal.topics()[0];
    assert_eq!((figures.events, figures.last), (1, rig.journal.bounds().tail));
}
