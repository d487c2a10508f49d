//! What a repair keeps, and what it leaves alone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bellwire_model::{Epoch, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{killed, open, options, try_open};
use crate::contract::{self, ending, filters, keyed, plain, rule, timed};
use crate::disk::{DiskOptions, repair, schema, witness};
use crate::{Append, ClockReading, Ended, Error, ReadLimit, RetentionRule};

/// Changes the file of a journal that is closed.
fn change(path: &Path, sql: &str) {
    Connection::open(path.join(schema::FILE)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn keys_of_lost_events_are_lost_with_them_and_stand_in_nobodys_way() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_new(["1", "2", "3", "4"].map(|key| keyed("a", key, 0)).into());
    rig.journal.close().unwrap();
    drop(rig);
    change(folder.path(), "DELETE FROM events WHERE offset >= 3");
    let repaired = repair(folder.path(), Epoch::new(9)).unwrap();
    assert_eq!((repaired.events, repaired.events_lost, repaired.keys), (2, 2, 2));
    let rig = open(options(folder.path()));
    assert!(rig.append_one(keyed("a", "2", 0)).duplicate);
    for key in ["4", "5", "6"] {
        assert!(!rig.append_one(keyed("a", key, 0)).duplicate, "{key}");
    }
    assert_eq!(rig.texts("a"), ["1", "2", "4", "5", "6"]);
}

#[test]
fn keys_of_changes_of_state_are_kept_where_no_value_is_lost() {
    let once = |key: &str, text| {
        let append = contract::change("s", key, text);
        Append { idempotency_key: Some(format!("{key} {text:?}").into()), ..append }
    };
    let fill = || {
        let folder = TempDir::new().unwrap();
        let rig = open(options(folder.path()));
        rig.append_new(vec![once("a", Some("1")), once("a", Some("2")), once("b", Some("3"))]);
        rig.append_new(vec![once("b", None)]);
        rig.journal.close().unwrap();
        drop(rig);
        // What was replaced goes with a start.
        let rig = open(options(folder.path()));
        rig.retain(1);
        rig.journal.close().unwrap();
        folder
    };
    let folder = fill();
    assert_eq!(repair(folder.path(), Epoch::new(9)).unwrap().keys, 4);
    let rig = open(options(folder.path()));
    for (key, text) in [("a", Some("1")), ("a", Some("2")), ("b", Some("3")), ("b", None)] {
        assert!(rig.append_one(once(key, text)).duplicate, "{key} {text:?}");
    }
    // Nobody knows which of them have lost their change.
    let folder = fill();
    change(folder.path(), "UPDATE state SET data = x'78' WHERE data IS NOT NULL");
    let repaired = repair(folder.path(), Epoch::new(9)).unwrap();
    assert_eq!((repaired.values_lost, repaired.keys), (1, 1));
    let rig = open(options(folder.path()));
    assert!(!rig.append_one(once("a", Some("2"))).duplicate);
}

#[test]
fn an_end_whose_event_is_lost_is_told_as_one_that_is_gone() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    let offsets = rig.append_new(vec![plain("a", "x"), ending::end("a"), ending::end("b")]);
    rig.journal.close().unwrap();
    drop(rig);
    change(folder.path(), "UPDATE events SET time = 7 WHERE offset = 2");
    repair(folder.path(), Epoch::new(9)).unwrap();
    let rig = open(options(folder.path()));
    assert_eq!(rig.journal.ended("a"), Some(Ended { at: offsets[1], is_kept: false }));
    assert_eq!(rig.journal.ended("b"), Some(Ended { at: offsets[2], is_kept: true }));
    assert_eq!(rig.journal.trimmed(&filters(&["a"])), offsets[1]);
    assert!(rig.append_one(plain("a", "y")).has_ended);
}

#[test]
fn keys_of_events_that_retention_has_removed_are_kept() {
    let folder = TempDir::new().unwrap();
    let age = Some(Duration::ZERO);
    let with = || DiskOptions {
        retention: vec![RetentionRule { age, ..rule("**") }],
        ..options(folder.path())
    };
    let rig = open(with());
    rig.append_one(keyed("a", "1", 0));
    rig.retain(1);
    rig.journal.close().unwrap();
    drop(rig);
    assert_eq!(repair(folder.path(), Epoch::new(9)).unwrap().keys, 1);
    assert!(open(with()).append_one(keyed("a", "1", 0)).duplicate);
}

#[test]
fn a_repaired_journal_remembers_how_the_clock_was_set() {
    const DAY: Duration = Duration::from_hours(24);
    let folder = TempDir::new().unwrap();
    let reading = |days: u32, uptime| ClockReading {
        wall: Timestamp::from_ms(0).saturating_add(days * DAY),
        uptime: Duration::from_secs(uptime),
    };
    let with = |now| DiskOptions {
        retention: vec![RetentionRule { age: Some(DAY), ..rule("**") }],
        boot_id: Some("the same".into()),
        now,
        ..options(folder.path())
    };
    let rig = open(with(reading(10, 10)));
    rig.append_new(vec![timed("a", "1", reading(10, 10).wall.as_ms())]);
    // It was ten days of 1970, and is much later in truth.
    assert!(rig.journal.apply_retention(reading(20_000, 20)).unwrap().is_some());
    rig.journal.close().unwrap();
    drop(rig);
    repair(folder.path(), Epoch::new(9)).unwrap();
    let rig = open(with(reading(20_000, 30)));
    rig.journal.apply_retention(reading(20_000, 40)).unwrap();
    assert_eq!(rig.texts("a"), ["1"]);
}

#[test]
fn a_repaired_journal_knows_its_blocks() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    for _ in 0..3 {
        rig.append_new(vec![plain("a", "x"); 1000]);
        rig.append_new(vec![plain("b", "y"); 10]);
    }
    rig.journal.close().unwrap();
    let before = rig.read_all("**");
    drop(rig);
    repair(folder.path(), Epoch::new(9)).unwrap();
    let file = folder.path().join(schema::FILE);
    let blocks = |sql: &str| {
        Connection::open(&file).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(blocks("SELECT sum(events) FROM blocks"), 2 * 1024 - 1);
    assert_eq!(blocks("SELECT max(block) FROM blocks"), 1);
    let rig = open(options(folder.path()));
    assert_eq!(rig.read_all("**"), before);
    assert_eq!(rig.read_all("b").len(), 30);
}

/// What a directory has, but for the lock.
fn names(path: &Path) -> Vec<String> {
    let names = path.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name != "bellwire.lock");
    names.sort();
    names
}

#[test]
fn a_file_of_a_newer_format_or_of_others_is_not_repaired() {
    for (sql, is_witnessed) in
        [("PRAGMA user_version = 99", true), ("PRAGMA application_id = 7", false)]
    {
        let folder = TempDir::new().unwrap();
        drop(open(options(folder.path())));
        change(folder.path(), sql);
        if !is_witnessed {
            fs::remove_file(folder.path().join(witness::FILE)).unwrap();
        }
        let (before, file) = (names(folder.path()), folder.path().join(schema::FILE));
        let bytes = fs::read(&file).unwrap();
        let error = repair(folder.path(), Epoch::new(9)).expect_err("it is refused");
        match &error {
            Error::Format { path, found: 99, .. } | Error::Foreign { path } => {
                assert_eq!(*path, file);
            }
            error => panic!("{error}"),
        }
        assert_eq!(names(folder.path()), before, "nothing is left behind");
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
}

#[test]
fn a_repair_that_fails_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join(schema::FILE)).unwrap();
    repair(folder.path(), Epoch::new(9)).expect_err("a folder is no file");
    assert_eq!(names(folder.path()), [schema::FILE]);
}

#[test]
fn a_damaged_witness_says_what_is_wrong_and_what_to_do() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_one(plain("a", "x"));
    rig.journal.close().unwrap();
    drop(rig);
    let file = folder.path().join(witness::FILE);
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[26] ^= 1;
    let mut newer = whole.clone();
    newer[8] = 2;
    let sum = crc32fast::hash(&newer[..40]);
    newer[40..].copy_from_slice(&sum.to_le_bytes());
    let cases = [
        (whole[..12].to_vec(), "has 12 bytes instead of 44"),
        (flipped, "has a checksum that is not of what it says"),
        (newer, "is of a format that this Bellwire does not know"),
    ];
    for (bytes, expected) in cases {
        let copy = killed(&folder);
        let broken = copy.path().join(witness::FILE);
        fs::write(&broken, bytes).unwrap();
        let error = try_open(options(copy.path())).map(drop).expect_err("it is refused");
        let text = error.to_string();
        assert!(text.contains(&*broken.to_string_lossy()), "{text}");
        assert!(text.contains(expected) && text.contains("`bellwire repair`"), "{text}");
        let repaired = repair(copy.path(), Epoch::new(9)).unwrap();
        assert_eq!((repaired.events, repaired.is_witnessed), (1, false));
        assert_eq!(open(options(copy.path())).texts("a"), ["x"]);
    }
}

#[test]
fn what_counts_must_be_there_in_a_full_block_is_missed_whoever_reads() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    let texts: Vec<_> = (1..=3000_u32).map(|number| number.to_string()).collect();
    let topic = |number: usize| if number % 100 == 50 { "rare" } else { "often" };
    let events = texts.iter().enumerate().map(|(number, text)| plain(topic(number + 1), text));
    rig.append_new(events.collect());
    rig.journal.close().unwrap();
    drop(rig);
    // Offset 1050 is the first of its topic in a full block, 1990 in the midst, and behind 2047
    // comes another block.
    for offset in [1024, 1050, 1990, 2000, 2047] {
        let copy = killed(&folder);
        change(copy.path(), &format!("DELETE FROM events WHERE offset = {offset}"));
        let rig = open(options(copy.path()));
        for filter in ["rare", "often", "**"] {
            let limit = ReadLimit { events: 10_000, bytes: 1 << 20 };
            let (mut after, mut found, mut lost) = (bellwire_model::Offset::ZERO, 0, 0);
            while after < rig.journal.bounds().tail {
                let page = rig.journal.read(after, &filters(&[filter]), limit).unwrap();
                let is_right = |text: &str, offset: u64| text == offset.to_string();
                for entry in &page.entries {
                    let text = crate::contract::text(&entry.event);
                    assert!(is_right(&text, entry.offset.get()), "{text} at {}", entry.offset);
                }
                (found, lost) = (found + page.entries.len(), lost + page.lost);
                after = page.end;
            }
            let all = match filter {
                "rare" => 30,
                "often" => 2970,
                _ => 3000,
            };
            let is_of_filter = filter == "**" || filter == topic(offset);
            assert_eq!(found, all - usize::from(is_of_filter), "{filter} without {offset}");
            assert_eq!(lost, 1, "{filter} without {offset}");
        }
    }
}
