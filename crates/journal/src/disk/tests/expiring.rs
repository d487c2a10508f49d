//! Keys that go by themselves, over the ends of processes and formats.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bellwire_model::limits::{CLOCK_TRUST_AGE, STATE_VALUE_BYTES_MAX};
use bellwire_model::{Epoch, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use super::reopening::make_older;
use super::{killed, open, options};
use crate::contract::expiring::{expire, keys, renewal, until};
use crate::contract::{Rig, change};
use crate::disk::{DiskOptions, repair, schema};
use crate::{Appended, ClockReading};

/// What the clocks say: both in milliseconds.
fn clocks(wall_ms: i64, uptime_ms: u64) -> ClockReading {
    let uptime = Duration::from_millis(uptime_ms);
    ClockReading { wall: Timestamp::from_ms(wall_ms), uptime }
}

fn with(path: &Path, boot: &str, now: ClockReading) -> DiskOptions {
    DiskOptions { boot_id: Some(boot.into()), now, ..options(path) }
}

fn rows(folder: &TempDir, table: &str) -> u64 {
    let connection = Connection::open(folder.path().join(schema::FILE)).unwrap();
    let count = format!("SELECT count(*) FROM {table}");
    connection.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

/// Three keys, of which the second is renewed, and one that stays.
fn fill(rig: &Rig) {
    rig.append_new(vec![until("c", "1", 3_000), until("b", "1", 1_000), until("a", "1", 2_000)]);
    rig.append_new(vec![change("s", "stays", Some("1"))]);
    rig.append_one(renewal("b", 9_000));
}

#[test]
fn keys_whose_time_is_over_go_in_order_in_the_next_process() {
    let folder = TempDir::new().unwrap();
    let rig = open(with(folder.path(), "boot", clocks(0, 500)));
    fill(&rig);
    let copy = killed(&folder);
    // The clock was set meanwhile.
    let rig = open(with(copy.path(), "boot", clocks(i64::MAX, 4_000)));
    assert_eq!(keys(&rig), ["a", "b", "c", "stays"]);
    assert_eq!(expire(&rig, 4_000), Some(9_000));
    let told = rig.seen.entries();
    let gone: Vec<_> = told.iter().filter_map(|entry| entry.event.key.as_deref()).collect();
    assert_eq!(gone, ["a", "c"]);
    assert_eq!(keys(&rig), ["b", "stays"]);
    rig.journal.close().unwrap();
    drop(rig);
    let rig = open(with(copy.path(), "boot", clocks(0, 8_999)));
    assert_eq!(expire(&rig, 8_999), Some(9_000));
    assert_eq!(expire(&rig, 9_000), None);
    assert_eq!(keys(&rig), ["stays"]);
}

#[test]
fn a_system_that_was_down_has_keys_stay_until_its_clock_is_trusted() {
    let folder = TempDir::new().unwrap();
    let rig = open(with(folder.path(), "one", clocks(0, 500)));
    fill(&rig);
    let long_ms = 500 + 3 * CLOCK_TRUST_AGE.as_millis() as u64;
    rig.append_new(vec![until("long", "1", long_ms)]);
    rig.journal.close().unwrap();
    drop(rig);
    let down_ms = 3 * CLOCK_TRUST_AGE.as_millis() as i64;
    let rig = open(with(folder.path(), "other", clocks(down_ms, 20_000)));
    // So long as it has passed nobody knows: the first goes after 1.5 s.
    assert_eq!(expire(&rig, 20_000), Some(21_500));
    assert_eq!(expire(&rig, 22_500), Some(28_500));
    assert_eq!(keys(&rig), ["b", "long", "stays"]);
    let trusted = clocks(down_ms, 20_000 + CLOCK_TRUST_AGE.as_millis() as u64);
    let wall = trusted.wall.saturating_add(CLOCK_TRUST_AGE);
    rig.journal.apply_retention(ClockReading { wall, ..trusted }).unwrap();
    assert_eq!(expire(&rig, 20_000 + CLOCK_TRUST_AGE.as_millis() as u64), None);
    assert_eq!(keys(&rig), ["stays"]);
}

#[test]
fn a_file_of_format_5_has_keys_that_stay_and_can_be_renewed() {
    let folder = TempDir::new().unwrap();
    let rig = open(with(folder.path(), "boot", clocks(0, 500)));
    let at = rig.append_one(change("s", "a", Some("1"))).offset;
    rig.journal.close().unwrap();
    drop(rig);
    make_older(
        &folder,
        "DROP TABLE producers; DROP TABLE deadlines; DELETE FROM meta WHERE name = 'passed'; PRAGMA user_version = 5;",
    );
    let rig = open(with(folder.path(), "boot", clocks(0, 500)));
    assert_eq!(expire(&rig, u64::MAX >> 20), None);
    assert_eq!(rig.append_one(renewal("a", 1_000)), Appended::new(at));
    let copy = killed(&folder);
    let again = open(with(copy.path(), "boot", clocks(0, 1_000)));
    assert_eq!(expire(&again, 1_000), None);
    assert!(keys(&again).is_empty());
}

#[test]
fn a_renewal_writes_no_value_and_what_is_replaced_leaves_no_row() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    let write_ahead = folder.path().join("journal.sqlite-wal");
    let large = "x".repeat(STATE_VALUE_BYTES_MAX);
    rig.append_new(vec![until("a", &large, 1_000)]);
    let before = fs::metadata(&write_ahead).unwrap().len();
    for round in 0..100 {
        rig.append_one(renewal("a", 2_000 + round));
    }
    let written = fs::metadata(&write_ahead).unwrap().len() - before;
    assert!(written < 100 * 10_000, "{written} bytes for 100 renewals");
    assert_eq!((rows(&folder, "state"), rows(&folder, "deadlines")), (1, 1));
    // Each is replaced by the next.
    for round in 0..40 {
        rig.append_new((0..100).map(|key| until(&key.to_string(), "x", 9_000 + round)).collect());
    }
    rig.append_new((0..100).map(|key| change("s", &key.to_string(), Some("x"))).collect());
    rig.append_new(vec![change("s", "a", Some("x"))]);
    drop(rig);
    let rig = open(options(folder.path()));
    rig.retain(1);
    assert_eq!(expire(&rig, 8_000), None);
    assert_eq!((rows(&folder, "state"), rows(&folder, "deadlines")), (101, 0));
}

#[test]
fn a_repaired_journal_knows_when_its_keys_go() {
    let folder = TempDir::new().unwrap();
    let rig = open(with(folder.path(), "boot", clocks(0, 500)));
    fill(&rig);
    drop(rig);
    let repaired = repair(folder.path(), Epoch::new(3)).unwrap();
    assert_eq!((repaired.values, repaired.values_lost), (4, 0));
    let rig = open(with(folder.path(), "boot", clocks(0, 2_500)));
    assert_eq!(expire(&rig, 2_500), Some(3_000));
    assert_eq!(keys(&rig), ["b", "c", "stays"]);
}
