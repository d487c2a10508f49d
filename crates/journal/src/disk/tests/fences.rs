//! Producers, over the ends of processes and formats, and what a repair keeps of them.

use bellwire_model::Epoch;
use rusqlite::Connection;
use tempfile::TempDir;

use super::reopening::make_older;
use super::{killed, open, options};
use crate::contract::fences::fenced;
use crate::contract::{Rig, change, plain};
use crate::disk::bounds::StoreBounds;
use crate::disk::{DiskOptions, repair, schema};
use crate::{Append, Error, Fenced};

fn event(topic: &str, (producer, epoch, sequence): (&str, u64, u64)) -> Append {
    fenced(plain(topic, &sequence.to_string()), (producer, epoch, sequence))
}

fn told(rig: &Rig, topic: &str, fence: (&str, u64, u64)) -> Option<Fenced> {
    rig.append_one(event(topic, fence)).fenced
}

#[test]
fn producers_outlive_a_kill_and_the_end_of_a_process() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_new(vec![event("a", ("p", 3, 0)), event("a", ("p", 3, 1)), event("b", ("p", 1, 0))]);
    let value = |sequence| fenced(change("s", "key", Some("x")), ("q", 0, sequence));
    rig.append_new(vec![value(0), value(1)]);
    let copy = killed(&folder);
    rig.journal.close().unwrap();
    drop(rig);
    for folder in [folder, copy] {
        let rig = open(options(folder.path()));
        assert_eq!(told(&rig, "a", ("p", 3, 1)), Some(Fenced::Known { epoch: 3, sequence: 1 }));
        assert_eq!(told(&rig, "a", ("p", 2, 7)), Some(Fenced::Zombie { epoch: 3 }));
        let known = rig.append_one(value(1)).fenced;
        assert_eq!(known, Some(Fenced::Known { epoch: 0, sequence: 1 }));
        rig.append_new(vec![event("a", ("p", 3, 2)), event("b", ("p", 1, 1)), value(2)]);
        // One that is new gets a row of its own.
        rig.append_new(vec![event("a", ("r", 0, 0))]);
        let copy = killed(&folder);
        let rig = open(options(copy.path()));
        assert_eq!(told(&rig, "a", ("r", 0, 0)), Some(Fenced::Known { epoch: 0, sequence: 0 }));
        assert_eq!(rig.texts("a"), ["0", "1", "2", "0"]);
    }
}

#[test]
fn a_commit_that_fails_counts_for_no_producer() {
    let folder = TempDir::new().unwrap();
    let with = |pages| DiskOptions {
        bounds: StoreBounds { pages, ..StoreBounds::default() },
        ..options(folder.path())
    };
    let rig = open(with(Some(60)));
    rig.append_new(vec![event("a", ("p", 0, 0))]);
    let large = "x".repeat(60_000);
    let fill = |sequence| fenced(plain("a", &large), ("p", 0, sequence));
    let refused =
        (1..).find_map(|sequence| Some((sequence, rig.append(vec![fill(sequence)]).err()?)));
    let (sequence, error) = refused.expect("the disk runs full");
    assert!(matches!(error, Error::Full { .. }), "{error}");
    drop(rig);
    let rig = open(with(None));
    assert_eq!(rig.append_one(fill(sequence)).fenced, None, "it was not there");
    assert_eq!(rig.texts("a").len() as u64, sequence + 1);
}

#[test]
fn a_file_of_format_5_gets_its_producers() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_texts("a", &["x"]);
    rig.journal.close().unwrap();
    drop(rig);
    let format_5 = "DROP TABLE producers; DROP TABLE deadlines; PRAGMA user_version = 5;";
    make_older(&folder, format_5);
    let rig = open(options(folder.path()));
    rig.append_new(vec![event("a", ("p", 0, 0))]);
    let copy = killed(&folder);
    let rig = open(options(copy.path()));
    assert_eq!(told(&rig, "a", ("p", 0, 0)), Some(Fenced::Known { epoch: 0, sequence: 0 }));
    assert_eq!(rig.texts("a"), ["x", "0"]);
}

#[test]
fn a_repair_keeps_producers_and_has_those_begin_anew_whose_last_event_is_lost() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_new(vec![event("a", ("kept", 4, 0)), event("a", ("lost", 4, 0))]);
    let value = |sequence| fenced(change("s", "key", Some("x")), ("state", 4, sequence));
    rig.append_new(vec![value(0), value(1)]);
    rig.append_new(vec![event("a", ("lost", 4, 1)), event("b", ("damaged", 4, 0))]);
    rig.journal.close().unwrap();
    drop(rig);
    let change = "DELETE FROM events WHERE offset = 5;
                  UPDATE producers SET epoch = 9 WHERE producer = 'damaged';";
    Connection::open(folder.path().join(schema::FILE)).unwrap().execute_batch(change).unwrap();
    repair(folder.path(), Epoch::new(9)).unwrap();
    let rig = open(options(folder.path()));
    assert_eq!(told(&rig, "a", ("kept", 4, 0)), Some(Fenced::Known { epoch: 4, sequence: 0 }));
    assert_eq!(told(&rig, "a", ("kept", 3, 0)), Some(Fenced::Zombie { epoch: 4 }));
    let known = Some(Fenced::Known { epoch: 4, sequence: 1 });
    assert_eq!(rig.append_one(value(1)).fenced, known);
    // It must not be told that its event is there, and goes on in an epoch of its own.
    assert_eq!(told(&rig, "a", ("lost", 4, 1)), Some(Fenced::Zombie { epoch: 5 }));
    assert_eq!(told(&rig, "a", ("lost", 5, 0)), None);
    assert_eq!(told(&rig, "a", ("lost", 5, 1)), None);
    assert_eq!(told(&rig, "b", ("damaged", 4, 1)), Some(Fenced::Gap { expected: 0, received: 1 }));
}

#[test]
fn a_repair_keeps_producers_whose_last_value_was_replaced() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    let value = |sequence| fenced(change("s", "key", Some("x")), ("p", 4, sequence));
    rig.append_new(vec![value(0)]);
    rig.append_new(vec![change("s", "key", Some("another's"))]);
    rig.journal.close().unwrap();
    drop(rig);
    // A start has all rows go that no longer count.
    let rig = open(options(folder.path()));
    rig.retain(1);
    rig.journal.close().unwrap();
    drop(rig);
    let repaired = repair(folder.path(), Epoch::new(9)).unwrap();
    assert_eq!((repaired.values, repaired.values_lost), (1, 0));
    let rig = open(options(folder.path()));
    let known = Some(Fenced::Known { epoch: 4, sequence: 0 });
    assert_eq!(rig.append_one(value(0)).fenced, known);
    assert_eq!(rig.append_one(value(1)).fenced, None);
}

#[test]
fn a_producer_that_is_not_what_was_written_is_refused_at_the_start() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_new(vec![event("a", ("p", 4, 0))]);
    rig.journal.close().unwrap();
    drop(rig);
    let change = "UPDATE producers SET next = 0";
    Connection::open(folder.path().join(schema::FILE)).unwrap().execute_batch(change).unwrap();
    let refused = super::try_open(options(folder.path()));
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{:?}", refused.err());
}
