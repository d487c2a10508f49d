//! Clauses about durable records: what the server keeps by key beside its events.

use std::sync::mpsc::sync_channel;

use bellwire_model::limits::RECORD_BYTES_MAX;
use bytes::Bytes;

use super::{Open, Rig, plain};
use crate::{Error, Journal, Record, RecordChange};

/// Makes changes and waits for the reply; a text of none deletes.
pub(crate) fn write(journal: &dyn Journal, changes: &[(&str, Option<&str>)]) -> Result<(), Error> {
    let change = |(key, value): &(&str, Option<&str>)| {
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        RecordChange { key: (*key).into(), value }
    };
    let (sender, reply) = sync_channel(1);
    let reply_to = Box::new(move |result| sender.send(result).expect("somebody waits"));
    journal.write_records(changes.iter().map(change).collect(), reply_to)?;
    reply.recv().expect("every queued change is answered")
}

/// The records with a prefix, as texts, where they can be read.
pub(crate) fn try_texts(
    journal: &dyn Journal,
    prefix: &str,
) -> Result<Vec<(String, String)>, Error> {
    let text = |record: Record| {
        let value = String::from_utf8(record.value.to_vec()).expect("the record is a text");
        (record.key.into(), value)
    };
    Ok(journal.records(prefix)?.into_iter().map(text).collect())
}

/// The records with a prefix, as texts.
pub(crate) fn texts(journal: &dyn Journal, prefix: &str) -> Vec<(String, String)> {
    try_texts(journal, prefix).expect("the journal reads")
}

/// Records are found by the beginning of their keys, in the order of the keys.
pub fn records_are_read_by_prefix_in_order(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let journal = &*rig.journal;
    write(journal, &[("b/2", Some("two")), ("a/1", Some("one")), ("b/10", Some("ten"))])
        .expect("written");
    write(journal, &[("b", Some("")), ("bé", Some("é"))]).expect("written");
    let keys = |prefix| -> Vec<String> {
        texts(journal, prefix).into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(""), ["a/1", "b", "b/10", "b/2", "bé"]);
    assert_eq!(keys("b/"), ["b/10", "b/2"]);
    assert_eq!(keys("bé"), ["bé"]);
    assert_eq!(keys("c"), Vec::<String>::new());
    assert_eq!(texts(journal, "a"), [("a/1".to_owned(), "one".to_owned())]);
}

/// A record is what was said last; a deleted one is gone, and deleting nothing is no error.
pub fn a_record_is_replaced_and_deleted(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let journal = &*rig.journal;
    write(journal, &[("a", Some("1")), ("b", Some("1"))]).expect("written");
    write(journal, &[("a", Some("2")), ("b", None), ("c", None)]).expect("written");
    assert_eq!(texts(journal, ""), [("a".to_owned(), "2".to_owned())]);
    write(journal, &[("a", Some("3")), ("a", None), ("a", Some("4"))]).expect("written");
    assert_eq!(texts(journal, ""), [("a".to_owned(), "4".to_owned())]);
    write(journal, &[]).expect("nothing is written");
}

/// Events and records know nothing of each other.
pub fn records_are_no_events(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let first = rig.append_one(plain("a", "x")).offset;
    write(&*rig.journal, &[("a", Some("1"))]).expect("written");
    assert!(rig.journal.bounds().tail >= first);
    assert_eq!(rig.seen.entries().len(), 1);
    assert_eq!(rig.texts("**"), ["x"]);
}

/// A record that is too large is refused, with all that came with it.
pub fn a_record_too_large_is_refused(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let journal = &*rig.journal;
    let largest = "x".repeat(RECORD_BYTES_MAX - 1);
    write(journal, &[("b", Some(&largest))]).expect("written");
    let too_large = largest + "x";
    let refused = write(journal, &[("a", Some("1")), ("b", Some(&too_large))]);
    assert!(matches!(refused, Err(Error::TooManyRecords)), "{refused:?}");
    let keys: Vec<String> = texts(journal, "").into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["b"]);
}

/// A closed journal takes none, and what it took is there.
pub fn a_closed_journal_takes_no_records(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    write(&*rig.journal, &[("a", Some("1"))]).expect("written");
    rig.journal.close().expect("closed");
    let refused = write(&*rig.journal, &[("a", Some("2"))]);
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
}
