//! Clauses about topics that end.

use std::time::Duration;

use bellwire_model::{Closure, Offset, Timestamp};

use super::expiring::{expire, keys, renewal, until};
use super::{Open, Rig, change, filters, keyed, plain, rule, state, text, timed};
#[cfg(test)]
use crate::Error;
use crate::{Append, Appended, Ended, RetentionRule};

/// What says that a topic ends, or that it is reopened.
pub(crate) fn closing(topic: &str, closure: Closure, time_ms: i64) -> Append {
    let event = closure.event(topic.parse().expect(topic), Timestamp::from_ms(time_ms));
    Append::new(event, None)
}

pub(crate) fn end(topic: &str) -> Append {
    closing(topic, Closure::End, 0)
}

pub(crate) fn reopened(topic: &str) -> Append {
    closing(topic, Closure::Reopened, 0)
}

/// What a topic says at its end is its last event, and stands in its order like any other.
pub fn an_end_is_the_last_event_of_its_topic(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    assert_eq!(rig.journal.ended("a"), None);
    let offsets = rig.append_new(vec![plain("a", "1"), plain("b", "1"), plain("a", "2"), end("a")]);
    let at = offsets[3];
    assert_eq!(rig.journal.ended("a"), Some(Ended { at, is_kept: true }));
    assert_eq!((rig.journal.ended("b"), rig.journal.ended("a/b")), (None, None));
    let late = rig.append_one(plain("a", "3"));
    assert!(late.has_ended && !late.duplicate && late.offset == at, "{late:?}");
    rig.append_texts("b", &["2"]);
    let read = rig.read_all("**");
    assert_eq!(read, rig.seen.entries());
    let told: Vec<_> = read
        .iter()
        .map(|entry| (entry.event.topic.to_string(), text(&entry.event), entry.event.closure()))
        .collect();
    let expected = [("a", "1"), ("b", "1"), ("a", "2"), ("a", ""), ("b", "2")];
    for ((topic, text, closure), (name, said)) in told.into_iter().zip(expected) {
        assert_eq!((topic.as_str(), text.as_str()), (name, said));
        assert_eq!(closure, said.is_empty().then_some(Closure::End));
    }
    let has_ended = |figures: &crate::TopicFigures| figures.has_ended;
    assert_eq!(rig.journal.topics().iter().map(has_ended).collect::<Vec<_>>(), [true, false]);
}

/// A refused event costs its batch nothing: it says where its topic has ended, and the others stand.
pub fn what_comes_behind_an_end_is_refused_by_itself(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let batch = vec![plain("a", "1"), end("a"), plain("a", "2"), end("a"), plain("b", "1")];
    let appended = rig.append(batch).expect("the batch is appended");
    let at = appended[1].offset;
    let what: Vec<_> = appended.iter().map(|it| (it.duplicate, it.has_ended)).collect();
    let (new, again, refused) = ((false, false), (true, false), (false, true));
    assert_eq!(what, [new, new, refused, again, new]);
    assert_eq!((appended[2].offset, appended[3].offset), (at, at));
    assert_eq!(
        (rig.texts("a"), rig.texts("b")),
        (vec!["1".into(), String::new()], vec!["1".into()])
    );
    // What was there before is answered as it was: whoever asks again has not heard the answer.
    let rig = Rig::open(open, Vec::new());
    let last = || vec![keyed("a", "last", 0), end("a")];
    let first = rig.append_new(last());
    let again = rig.append(last()).expect("the batch is appended");
    assert!(again.iter().all(|it| it.duplicate), "{again:?}");
    assert_eq!(again.iter().map(|it| it.offset).collect::<Vec<_>>(), first);
    assert_eq!(rig.seen.entries().len(), 2);
}

/// Whoever repeats a topic's last event has not heard the answer, and may not end again what somebody
/// has reopened since.
pub fn an_end_is_repeated_with_the_event_before_it(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let last = || vec![keyed("a", "last", 0), end("a")];
    let first = rig.append_new(last());
    rig.append_new(vec![reopened("a")]);
    for _ in 0..2 {
        let again = rig.append(last()).expect("the batch is appended");
        assert!(again.iter().all(|it| it.duplicate && it.offset == first[0]), "{again:?}");
        assert_eq!(rig.journal.ended("a"), None);
        rig.append_texts("a", &["more"]);
    }
    assert_eq!(rig.texts("a"), ["last", "", "", "more", "more"]);
    // An end that is not that event's is made.
    let other = vec![keyed("b", "last", 0), keyed("a", "last", 0), plain("b", "x"), end("a")];
    assert!(!rig.append(other).expect("the batch is appended")[3].duplicate);
    rig.append_new(vec![reopened("a")]);
    let other = vec![keyed("b", "last", 0), end("a")];
    assert!(!rig.append(other).expect("the batch is appended")[1].duplicate);
    assert!(rig.journal.ended("a").is_some());
}

/// Only what says so opens a topic again; it stands in its order, too.
pub fn an_ended_topic_goes_on_once_it_is_reopened(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let untouched = rig.append_one(reopened("new"));
    assert!(untouched.duplicate && untouched.offset == Offset::ZERO, "{untouched:?}");
    let newest = rig.append_texts("a", &["1"]);
    let open_still = rig.append_one(reopened("a"));
    assert!(open_still.duplicate && open_still.offset == newest[0], "{open_still:?}");
    rig.append_new(vec![end("a")]);
    rig.append_new(vec![reopened("a"), plain("a", "2")]);
    assert_eq!(rig.journal.ended("a"), None);
    let again = rig.append_new(vec![end("a"), reopened("a"), plain("a", "3"), end("a")]);
    assert_eq!(rig.journal.ended("a"), Some(Ended { at: again[3], is_kept: true }));
    assert_eq!(rig.texts("a"), ["1", "", "", "2", "", "", "3", ""]);
    assert_eq!(rig.journal.topics().len(), 1);
}

/// A topic that has nothing left has ended all the same, and says that its end is not there any more.
pub fn an_end_outlives_retention(open: Open<'_>) {
    let age = Some(Duration::from_millis(100));
    let rig = Rig::open(open, vec![RetentionRule { age, ..rule("a") }]);
    let offsets = rig.append_new(vec![
        timed("a", "1", 0),
        closing("a", Closure::End, 50),
        timed("b", "1", 50),
    ]);
    let at = offsets[1];
    rig.retain(120);
    assert_eq!(rig.texts("a"), [""]);
    assert_eq!(rig.journal.ended("a"), Some(Ended { at, is_kept: true }));
    rig.retain(200);
    assert_eq!(rig.texts("**"), ["1"]);
    assert_eq!(rig.journal.trimmed(&filters(&["a"])), at);
    assert_eq!(rig.journal.ended("a"), Some(Ended { at, is_kept: false }));
    assert!(rig.append_one(timed("a", "2", 200)).has_ended);
    assert!(rig.journal.topics()[0].has_ended);
    rig.append_new(vec![closing("a", Closure::Reopened, 200), timed("a", "2", 200)]);
    assert_eq!(rig.journal.ended("a"), None);
    assert_eq!(rig.texts("a"), ["", "2"]);
}

/// A state topic keeps what it has at its end: nothing is put, deleted or renewed behind it, and no key
/// goes by itself until the topic is reopened.
pub fn a_state_topic_stays_as_it_was_at_its_end(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let batch = vec![
        until("goes", "1", 1_000),
        until("later", "1", 5_000),
        change("s", "a", Some("1")),
        end("s"),
        change("s", "a", Some("2")),
        change("t", "a", Some("1")),
    ];
    let appended = rig.append(batch).expect("the batch is appended");
    let at = appended[3].offset;
    assert_eq!(appended[4], Appended::refused(at));
    assert_eq!(rig.journal.ended("s"), Some(Ended { at, is_kept: true }));
    for late in [change("s", "b", Some("2")), change("s", "a", None), renewal("later", 9_000)] {
        assert_eq!(rig.append_one(late), Appended::refused(at));
    }
    let count = rig.seen.entries().len();
    assert_eq!(expire(&rig, 2_000), Some(5_000), "what has gone by is not waited for");
    assert_eq!(rig.seen.entries().len(), count);
    let values = state::values_after(&rig, Offset::ZERO);
    assert_eq!(values.values().filter(|(_, text)| text.as_deref() == Some("1")).count(), 4);
    rig.append_new(vec![reopened("s")]);
    assert_eq!(expire(&rig, 2_000), Some(5_000));
    assert_eq!(keys(&rig), ["a", "later", "a"]);
    rig.append_one(renewal("later", 2_000));
    assert_eq!(expire(&rig, 2_000), None);
    assert_eq!(keys(&rig), ["a", "a"]);
}

/// There is room for so many bytes of topics that have ended; what would be beyond them is refused
/// whole, and all else goes on.
#[cfg(test)]
pub(crate) fn ended_topics_are_bounded(rig: &Rig, ended_max: usize) {
    let name = |number: usize| format!("t{number:04}");
    for number in 0..ended_max {
        rig.append_new(vec![end(&name(number))]);
    }
    let refused = rig.append(vec![plain("b", "x"), end("more")]);
    assert!(matches!(refused, Err(Error::TooManyEndedTopics)), "{refused:?}");
    assert_eq!((rig.journal.ended("more"), rig.texts("b")), (None, Vec::new()));
    rig.append_texts("b", &["1"]);
    rig.append_new(vec![reopened(&name(0))]);
    rig.append_new(vec![end("more1")]);
    assert!(rig.append(vec![end("more2")]).is_err());
    assert!(rig.journal.health().is_ok(), "what is refused for what it is tells nothing");
}
