//! Clauses about producers: what they write counts exactly once, and batches that are whole.

use bellwire_model::limits::PRODUCER_AGE;
use bellwire_model::{Fence, Timestamp};

use super::ending::{end, reopened};
use super::{Open, Rig, change, keyed, plain, text, timed};
use crate::error::{Error, Found, Unmet};
use crate::fences::Fenced;
use crate::{Append, Appended};

/// The same with a fence: the producer's name, its epoch and the sequence.
pub(crate) fn fenced(append: Append, (producer, epoch, sequence): (&str, u64, u64)) -> Append {
    let fence = Fence { producer: producer.into(), epoch, sequence };
    Append { fence: Some(Box::new(fence)), ..append }
}

/// The same, without which nothing of its batch is made.
pub(crate) fn needed(append: Append) -> Append {
    Append { must_be_made: true, ..append }
}

fn is_new(appended: Appended) -> bool {
    !appended.duplicate && !appended.has_ended && appended.fenced.is_none()
}

/// However often and in whatever order it is sent, each event is there once, in its order.
pub fn what_a_producer_sends_again_adds_nothing(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    for topic in ["a", "s"] {
        let make = |sequence: u64| {
            let text = sequence.to_string();
            let append =
                if topic == "a" { plain("a", &text) } else { change("s", "key", Some(&text)) };
            fenced(append, ("p", 0, sequence))
        };
        for sequence in 0..3 {
            assert!(is_new(rig.append_one(make(sequence))), "{topic} {sequence}");
            for before in 0..=sequence {
                let again = rig.append_one(make(before));
                assert!(again.duplicate, "{topic} {again:?}");
                assert_eq!(again.fenced, Some(Fenced::Known { epoch: 0, sequence }), "{topic}");
            }
        }
        // What is missing is told, and may come then.
        let early = rig.append_one(make(5));
        assert_eq!(early.fenced, Some(Fenced::Gap { expected: 3, received: 5 }), "{topic}");
        assert!(!early.duplicate && !is_new(early), "{topic}");
        for sequence in 3..6 {
            assert!(is_new(rig.append_one(make(sequence))), "{topic} {sequence}");
        }
    }
    assert_eq!(rig.texts("a"), ["0", "1", "2", "3", "4", "5"]);
    let seen = rig.seen.entries();
    assert_eq!(seen.len(), 12);
    assert!(seen[6..].iter().map(|entry| text(&entry.event)).eq(rig.texts("a")));
}

/// Whoever begins a newer epoch keeps out who goes on in an older one; each begins with 0.
pub fn a_newer_epoch_keeps_out_the_older_ones(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let make = |epoch, sequence| fenced(plain("a", "x"), ("p", epoch, sequence));
    let told = |epoch, sequence| rig.append_one(make(epoch, sequence)).fenced;
    let gap = Fenced::Gap { expected: 0, received: 1 };
    assert_eq!(told(7, 1), Some(gap), "nobody is known yet");
    assert_eq!((told(3, 0), told(3, 1)), (None, None));
    for sequence in [0, 1, 2, Fence::NUMBER_MAX] {
        assert_eq!(told(2, sequence), Some(Fenced::Zombie { epoch: 3 }));
    }
    assert_eq!(told(4, 1), Some(Fenced::Beginning));
    assert_eq!(told(3, 2), None, "what was refused has begun nothing");
    assert_eq!(told(Fence::NUMBER_MAX, 0), None);
    assert_eq!(told(3, 3), Some(Fenced::Zombie { epoch: Fence::NUMBER_MAX }));
    let known = Fenced::Known { epoch: Fence::NUMBER_MAX, sequence: 0 };
    assert_eq!(told(Fence::NUMBER_MAX, 0), Some(known));
    assert_eq!(rig.texts("a").len(), 4);
}

/// Another topic, and another producer, count for themselves.
pub fn a_producer_is_known_for_its_topic_only(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    for (topic, producer, is_known) in [
        ("a", "p", false),
        ("b", "p", false),
        ("a", "q", false),
        ("a", "p", true),
        ("b", "p", true),
    ] {
        let appended = rig.append_one(fenced(plain(topic, "x"), (producer, 0, 0)));
        assert_eq!(appended.duplicate, is_known, "{topic} {producer}");
    }
}

/// In a batch and in a commit each is judged behind those before it, and refused by itself.
pub fn of_a_producer_each_event_sees_those_before_it(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let make = |epoch, sequence| {
        fenced(plain("a", &format!("{epoch}-{sequence}")), ("p", epoch, sequence))
    };
    let batch = vec![make(0, 0), make(0, 1), make(0, 1), make(0, 3), make(1, 0), make(0, 2)];
    let appended = rig.append(batch).expect("the batch is appended");
    let told: Vec<_> = appended.iter().map(|appended| appended.fenced).collect();
    let expected = [
        None,
        None,
        Some(Fenced::Known { epoch: 0, sequence: 1 }),
        Some(Fenced::Gap { expected: 2, received: 3 }),
        None,
        Some(Fenced::Zombie { epoch: 1 }),
    ];
    assert_eq!(told, expected);
    assert_eq!(rig.texts("a"), ["0-0", "0-1", "1-0"]);
    // Of those who send the same at once one is taken.
    let new: usize = std::thread::scope(|scope| {
        let publish = || usize::from(is_new(rig.append_one(make(1, 1))));
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(publish)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a publisher")).sum()
    });
    assert_eq!(new, 1);
    assert_eq!(rig.texts("a").len(), 4);
}

/// A topic ends with the event that its end comes behind, or not at all.
pub fn an_end_is_refused_with_the_event_before_it(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let last = |epoch, sequence| vec![fenced(plain("a", "last"), ("p", epoch, sequence)), end("a")];
    rig.append_new(vec![fenced(plain("a", "x"), ("p", 1, 0))]);
    for (epoch, sequence, why) in
        [(0, 1, Fenced::Zombie { epoch: 1 }), (1, 2, Fenced::Gap { expected: 1, received: 2 })]
    {
        let appended = rig.append(last(epoch, sequence)).expect("an answer");
        assert!(appended.iter().all(|appended| appended.fenced == Some(why)), "{appended:?}");
        assert_eq!(rig.journal.ended("a"), None);
    }
    rig.append_new(last(1, 1));
    assert!(rig.journal.ended("a").is_some());
    // Who repeats it has not heard the answer, and ends nothing again.
    assert!(rig.append(last(1, 1)).expect("an answer").iter().all(|appended| appended.duplicate));
    rig.append_new(vec![reopened("a")]);
    assert!(rig.append(last(1, 1)).expect("an answer").iter().all(|appended| appended.duplicate));
    assert_eq!(rig.journal.ended("a"), None);
    // What a topic that has ended refuses is no event of its producer.
    rig.append_new(vec![end("a")]);
    let refused = rig.append_one(fenced(plain("a", "y"), ("p", 1, 2)));
    assert!(refused.has_ended, "{refused:?}");
    rig.append_new(vec![reopened("a")]);
    rig.append_new(vec![fenced(plain("a", "y"), ("p", 1, 2))]);
}

/// One fence is good for all events that ride on its own: all are made once, or none is.
pub fn what_rides_on_an_event_shares_its_fence(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let riding = |text| needed(Append { rides: true, ..plain("a", text) });
    let make = |epoch, sequence| {
        let first = needed(fenced(plain("a", "1"), ("p", epoch, sequence)));
        vec![first, riding("2"), riding("3")]
    };
    rig.append_new(make(1, 0));
    let again = rig.append(make(1, 0)).expect("an answer");
    let known = Some(Fenced::Known { epoch: 1, sequence: 0 });
    assert!(again.iter().all(|it| it.duplicate && it.fenced == known), "{again:?}");
    for (epoch, why) in
        [(0, Fenced::Zombie { epoch: 1 }), (1, Fenced::Gap { expected: 1, received: 2 })]
    {
        let found = Found::Fenced(why);
        let refused = rig.append(make(epoch, 2));
        assert!(
            matches!(refused, Err(Error::Condition(Unmet { index: 0, found: it })) if it == found)
        );
    }
    // The end behind them goes with them, too.
    let last = |sequence| {
        let mut batch = make(1, sequence);
        batch.push(needed(end("a")));
        batch
    };
    rig.append_new(last(1));
    assert!(rig.append(last(1)).expect("an answer").iter().all(|appended| appended.duplicate));
    assert!(matches!(rig.append(last(2)), Err(Error::Condition(Unmet { index: 0, .. }))));
    assert_eq!(rig.texts("a"), ["1", "2", "3", "1", "2", "3", ""]);
    // What follows nothing that was kept out is made like any other.
    rig.append_new(["x", "y"].map(|text| Append { rides: true, ..plain("b", text) }).into());
}

/// Whoever has written nothing for long is forgotten, and begins anew.
pub fn an_idle_producer_is_forgotten(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let age_ms = PRODUCER_AGE.as_millis() as i64;
    let make = |sequence, time_ms| fenced(timed("a", "x", time_ms), ("p", 0, sequence));
    rig.append_one(make(0, 0));
    rig.retain(0);
    rig.retain(age_ms);
    assert!(rig.append_one(make(0, age_ms)).duplicate);
    assert!(is_new(rig.append_one(make(1, age_ms))));
    rig.retain(2 * age_ms);
    assert!(rig.append_one(make(1, age_ms)).duplicate);
    rig.retain(2 * age_ms + 1);
    let gap = Fenced::Gap { expected: 0, received: 2 };
    assert_eq!(rig.append_one(make(2, age_ms)).fenced, Some(gap));
    assert!(is_new(rig.append_one(make(0, age_ms))));
}

/// Where one that has to be made cannot, nothing is, and the answer says which.
pub fn a_whole_batch_is_made_or_nothing_of_it(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let unmet = |batch: Vec<Append>| {
        let before = rig.seen.entries().len();
        match rig.append(batch.into_iter().map(needed).collect()) {
            Err(Error::Condition(Unmet { index, found })) => {
                assert_eq!(rig.seen.entries().len(), before, "nothing of it is made");
                Some((index, found))
            }
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        }
    };
    let at = rig.append_new(vec![plain("a", "x"), end("a")])[1];
    let value = || change("s", "key", Some("x"));
    let found = Found::Ended(Some(at));
    assert_eq!(unmet(vec![plain("b", "x"), value(), plain("a", "y")]), Some((2, found)));
    // One that ends a topic in its midst, and goes on with it.
    let found = Found::Ended(None);
    assert_eq!(unmet(vec![plain("b", "x"), end("b"), value(), plain("b", "y")]), Some((3, found)));
    assert_eq!(rig.journal.ended("b"), None);
    assert_eq!(unmet(vec![plain("b", "x"), end("b"), reopened("b"), plain("b", "y")]), None);
    assert_eq!(unmet(vec![reopened("a"), plain("a", "y"), end("a")]), None);
    assert_eq!(unmet(vec![end("a"), value()]), None, "to end it twice changes nothing");
    let of = |sequence| fenced(plain("c", "x"), ("p", 1, sequence));
    let found = Found::Fenced(Fenced::Gap { expected: 2, received: 3 });
    assert_eq!(unmet(vec![of(0), of(1), value(), of(3)]), Some((3, found)));
    assert_eq!(unmet(vec![of(0), of(1), value()]), None);
    assert_eq!(unmet(vec![of(0), of(1), of(2), value()]), None, "what is known is made");
    let found = Found::Fenced(Fenced::Zombie { epoch: 1 });
    let zombie = fenced(plain("c", "x"), ("p", 0, 3));
    assert_eq!(unmet(vec![value(), zombie]), Some((1, found)));
    // What was made before is made, also where its topic has ended since.
    assert_eq!(unmet(vec![keyed("d", "k", 0), end("d")]), None);
    assert_eq!(unmet(vec![keyed("d", "k", 0), end("d"), value()]), None);
    rig.append_new(vec![reopened("d")]);
    assert_eq!(unmet(vec![keyed("d", "k", 0), end("d"), plain("d", "y")]), None);
    assert_eq!(rig.texts("d"), ["k", "", "", "y"]);
    assert_eq!(rig.read_all("c").last().map(|last| last.event.time), Some(Timestamp::from_ms(0)));
}
