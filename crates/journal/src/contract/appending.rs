//! Clauses about appending: order, whole batches, the observer, the queue's end.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bellwire_model::limits::APPENDS_QUEUED_MAX;
use bellwire_model::{Entry, Offset};

use super::{Open, Rig, Seen, append_to, plain, text};
use crate::{Appended, Bounds, ClockReading, Error, Journal, Observer, RecordChange};

/// Offsets strictly increase, from 1 at least, and the tail is the newest.
pub fn offsets_strictly_increase(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let empty = Bounds { trimmed: Offset::ZERO, tail: Offset::ZERO };
    assert_eq!(rig.journal.bounds(), empty);
    let mut last = Offset::ZERO;
    for size in [1, 3, 1, 2] {
        for offset in rig.append_new(vec![plain("a", "x"); size]) {
            assert!(offset > last, "{offset} follows {last}");
            last = offset;
        }
        assert_eq!(rig.journal.bounds(), Bounds { tail: last, ..empty });
    }
}

/// A batch's events stand in its order, one answer for each.
pub fn a_batch_is_appended_whole_and_in_order(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let offsets = rig.append_new(vec![plain("a", "1"), plain("b/c", "2"), plain("a", "3")]);
    let entries = rig.read_all("**");
    assert_eq!(entries.iter().map(|entry| entry.offset).collect::<Vec<_>>(), offsets);
    assert_eq!(rig.texts("**"), ["1", "2", "3"]);
}

/// An empty batch is answered like any other.
pub fn an_empty_batch_adds_nothing(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    assert_eq!(rig.append_new(Vec::new()), []);
    let tail = rig.journal.bounds().tail;
    assert_eq!(rig.append_new(Vec::new()), []);
    assert!(rig.journal.bounds().tail >= tail);
    assert_eq!(rig.read_all("**"), []);
    assert_eq!(rig.seen.entries(), []);
}

/// However many publish at once, no other event comes between those of a batch.
pub fn batches_of_many_publishers_do_not_mingle(open: Open<'_>) {
    const PUBLISHERS: usize = 8;
    const BATCHES: usize = 25;
    let rig = Rig::open(open, Vec::new());
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let rig = &rig;
            scope.spawn(move || {
                for batch in 0..BATCHES {
                    let text = format!("{publisher} {batch}");
                    rig.append_new(vec![plain("a", &text); 3]);
                }
            });
        }
    });
    let texts = rig.texts("a");
    assert_eq!(texts.len(), PUBLISHERS * BATCHES * 3);
    assert!(texts.chunks(3).all(|batch| batch.iter().all(|text| *text == batch[0])));
    // One after the other, each publisher's batches stand in the order of its replies.
    for publisher in 0..PUBLISHERS {
        let own = texts.iter().step_by(3).filter(|text| text.starts_with(&publisher.to_string()));
        let expected = (0..BATCHES).map(|batch| format!("{publisher} {batch}"));
        assert!(own.eq(expected.collect::<Vec<_>>().iter()));
    }
}

/// When the publisher is answered, the observer knows; and it sees nothing twice.
pub fn the_observer_sees_each_event_once_in_order_before_the_reply(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    for size in [1, 2, 5] {
        let (sender, seen_at_reply) = sync_channel(1);
        let seen = rig.seen.clone();
        let reply = Box::new(move |result: Result<Vec<Appended>, Error>| {
            let newest = result.expect("the batch is appended").last().map(|last| last.offset);
            sender.send((newest, seen.entries())).expect("the test waits");
        });
        rig.journal.append(vec![plain("a", "x"); size], reply).expect("the queue has room");
        let (newest, seen) = seen_at_reply.recv().expect("a reply");
        assert_eq!(seen.last().map(|entry| entry.offset), newest);
    }
    assert_eq!(rig.seen.entries(), rig.read_all("**"));
}

/// An observer that waits for the test before each commit.
struct Gated {
    seen: Seen,
    /// Told that the writer came to the gate.
    reached: SyncSender<()>,
    gate: Receiver<()>,
}

impl Observer for Gated {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        let _ = self.reached.try_send(());
        // The gate is open for good once its other end is gone.
        let _ = self.gate.recv();
        self.seen.on_commit(entries);
    }
}

/// `Busy` says that nothing of the batch is or will be there; afterwards appends work again.
pub fn a_full_queue_refuses_and_appends_nothing_of_what_it_refused(open: Open<'_>) {
    let (key, gate) = sync_channel(0);
    let seen = Seen::default();
    let observer = Box::new(Gated { seen: seen.clone(), reached: sync_channel(1).0, gate });
    let journal: Arc<dyn Journal> = Arc::from(open(Vec::new(), observer));
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut queued = Vec::new();
    let error = loop {
        let number = queued.len();
        let answered = Arc::clone(&answered);
        let reply = Box::new(move |result: Result<Vec<Appended>, Error>| {
            result.expect("what was queued is appended");
            answered.lock().unwrap_or_else(PoisonError::into_inner).push(number.to_string());
        });
        match journal.append(vec![plain("a", &number.to_string())], reply) {
            Ok(()) => queued.push(number.to_string()),
            Err(error) => break error,
        }
        let bound = 10 * APPENDS_QUEUED_MAX;
        assert!(queued.len() < bound, "the queue has a bound although the writer waits");
    };
    assert!(matches!(error, Error::Busy), "{error}");
    drop(key);
    // Waits its turn, and with that until the queue is empty.
    journal.apply_retention(ClockReading::default()).expect("retention is applied");
    append_to(&*journal, vec![plain("a", "last")]).expect("there is room again");
    assert_eq!(*answered.lock().unwrap_or_else(PoisonError::into_inner), queued);
    queued.push("last".into());
    let texts: Vec<String> = seen.entries().iter().map(|entry| text(&entry.event)).collect();
    assert_eq!(texts, queued);
}

/// What the server itself has to tell has a lane of its own.
pub fn an_alert_goes_before_what_clients_flood_the_queue_with(open: Open<'_>) {
    let (key, gate) = sync_channel(0);
    let (reached, writer_at_gate) = sync_channel(1);
    let seen = Seen::default();
    let observer = Box::new(Gated { seen: seen.clone(), reached, gate });
    let journal: Arc<dyn Journal> = Arc::from(open(Vec::new(), observer));
    let taken = |result: Result<Vec<Appended>, Error>| {
        result.expect("what was queued is appended");
    };
    // Whatever comes from here on finds the writer held, however slow the machine is.
    journal.append(vec![plain("a", "held")], Box::new(taken)).expect("the queue is empty");
    writer_at_gate.recv().expect("the writer comes to the gate");
    let mut queued = 0;
    while journal.append(vec![plain("a", "flood")], Box::new(taken)).is_ok() {
        queued += 1;
        assert!(queued < 10 * APPENDS_QUEUED_MAX, "the queue has a bound");
    }
    let alert = vec![plain("alerts/events/critical/Hot", "alert")];
    journal.append(alert, Box::new(taken)).expect("there is room for an alert");
    let record = RecordChange { key: "k".into(), value: Some(b"v".as_slice().into()) };
    let kept = |result: Result<(), Error>| result.expect("a record is kept");
    journal.write_records(vec![record], Box::new(kept)).expect("there is room for a record");
    drop(key);
    journal.apply_retention(ClockReading::default()).expect("retention is applied");
    let entries = seen.entries();
    let texts: Vec<String> = entries.iter().map(|entry| text(&entry.event)).collect();
    assert_eq!(texts[..2], ["held", "alert"]);
    assert_eq!(texts[2..], vec!["flood"; queued]);
    assert_eq!(journal.records("k").expect("records are read").len(), 1);
}

/// `close` is a promise to those before it and an end to those after it.
pub fn a_closed_journal_commits_what_was_queued_and_refuses_the_rest(open: Open<'_>) {
    const APPENDS: usize = 100;
    let rig = Rig::open(open, Vec::new());
    let (sender, replies) = sync_channel(APPENDS);
    for _ in 0..APPENDS {
        let sender = sender.clone();
        let reply = Box::new(move |result| sender.send(result).expect("the test waits"));
        rig.journal.append(vec![plain("a", "x")], reply).expect("the queue has room");
    }
    rig.journal.close().expect("the journal closes");
    drop(sender);
    let results: Vec<_> = replies.iter().collect();
    assert!(results.len() == APPENDS && results.iter().all(Result::is_ok));
    assert_eq!(rig.seen.entries().len(), APPENDS);
    let refused = rig.append(vec![plain("a", "late")]);
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
    rig.journal.close().expect("closing again changes nothing");
}

/// Figures of each topic, sorted, in events and bytes.
pub fn figures_tell_each_topic(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let offsets = rig.append_texts("b", &["1", "22"]);
    let newest = rig.append_texts("a/c", &["333"]);
    let figures: Vec<_> = rig
        .journal
        .topics()
        .iter()
        .map(|figures| (figures.topic.to_string(), figures.events, figures.bytes, figures.last))
        .collect();
    assert_eq!(figures, [("a/c".into(), 1, 6, newest[0]), ("b".into(), 2, 5, offsets[1])]);
    rig.append_texts("a/d", &["1"]);
    let pages = [
        (("", "", 2), &["a/c", "a/d"][..]),
        (("", "a/d", 2), &["b"]),
        (("a/", "", 10), &["a/c", "a/d"]),
        (("a/", "a/c", 10), &["a/d"]),
        (("a/", "b", 10), &[]),
        (("c", "", 10), &[]),
    ];
    for ((prefix, after, limit), expected) in pages {
        let page = rig.journal.list_topics(prefix, after, limit);
        let names: Vec<_> = page.iter().map(|figures| figures.topic.as_str()).collect();
        assert_eq!(names, expected, "{prefix:?} after {after:?}");
    }
}
