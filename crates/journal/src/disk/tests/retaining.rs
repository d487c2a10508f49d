//! Retention of a journal that is damaged: what cannot be read counts for nobody.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bellwire_model::Offset;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{killed, open, options};
use crate::contract::{Rig, filters, plain, rule, text, timed};
use crate::disk::{DiskOptions, schema};
use crate::{ReadLimit, RetentionRule};

/// Of a journal whose events go once they are older than a tenth of a second.
fn ageing(folder: &TempDir) -> DiskOptions {
    let age = Some(Duration::from_millis(100));
    let retention = vec![RetentionRule { age, ..rule("**") }];
    DiskOptions { retention, ..options(folder.path()) }
}

/// Damages each page of the file that has the text.
fn damage_pages_with(file: &Path, text: &str) {
    let mut bytes = fs::read(file).unwrap();
    let mut is_found = false;
    for page in bytes.chunks_mut(4096) {
        if page.windows(text.len()).any(|window| window == text.as_bytes()) {
            // Its header, so that nothing of it can be read.
            page[..8].fill(0xA5);
            is_found = true;
        }
    }
    assert!(is_found, "{text} is in the file");
    fs::write(file, bytes).unwrap();
}

#[test]
fn retention_goes_on_behind_what_is_damaged() {
    let folder = TempDir::new().unwrap();
    let with = || ageing(&folder);
    let rig = open(with());
    let texts = (1..=5000).map(|number| format!("number {number}."));
    rig.append_new(texts.map(|text| plain("a", &text)).collect());
    rig.append_new(vec![timed("a", "kept", 1000)]);
    rig.journal.close().unwrap();
    drop(rig);
    damage_pages_with(&folder.path().join(schema::FILE), "number 1500.");
    let rig = open(with());
    rig.retain(1000);
    // Of the damaged block what can be read stays.
    let left = rig.read_all("**");
    assert!(left.iter().all(|entry| {
        (1024..2048).contains(&entry.offset.get()) || text(&entry.event) == "kept"
    }));
    assert_eq!(left.last().map(|entry| text(&entry.event)).as_deref(), Some("kept"));
    assert!(left.len() < 1024);
    // And nothing stops it the next time.
    rig.retain(1001);
    assert_eq!(rig.read_all("**"), left);
}

/// Changes the file of a journal that is closed.
fn change(path: &Path, sql: &str) {
    Connection::open(path.join(schema::FILE)).unwrap().execute_batch(sql).unwrap();
}

/// A journal of so many events of a topic, each with its number, that keeps the newest of them.
fn keeping(folder: &TempDir, (events, kept): (u64, u64)) -> DiskOptions {
    let few = RetentionRule { events_max: Some(kept), ..rule("a") };
    let with = DiskOptions { retention: vec![few], ..options(folder.path()) };
    let rig = open(with.clone());
    let texts = (1..=events).map(|number| format!("number {number}."));
    rig.append_new(texts.map(|text| plain("a", &text)).collect());
    rig.journal.close().unwrap();
    with
}

fn append_numbered(rig: &Rig, numbers: std::ops::RangeInclusive<u64>) {
    let texts = numbers.map(|number| format!("number {number}."));
    rig.append_new(texts.map(|text| plain("a", &text)).collect());
}

#[test]
fn events_of_a_damaged_block_take_nobodys_room() {
    let folder = TempDir::new().unwrap();
    let with = keeping(&folder, (3000, 1000));
    damage_pages_with(&folder.path().join(schema::FILE), "number 1500.");
    for round in 0..2_u64 {
        let rig = open(with.clone());
        append_numbered(&rig, 3001 + round * 1000..=4000 + round * 1000);
        rig.retain(0);
        rig.retain(1);
        let left = rig.texts("a");
        for number in 3001 + round * 1000..=4000 + round * 1000 {
            assert!(left.contains(&format!("number {number}.")), "round {round}: {number}");
        }
        assert_eq!(rig.journal.damaged_blocks(), 1);
        rig.journal.close().unwrap();
    }
}

#[test]
fn events_that_are_missing_take_nobodys_room_and_are_told() {
    let folder = TempDir::new().unwrap();
    let with = keeping(&folder, (3000, 1000));
    // All of a full block but one, and some of the next, which hangs together without them.
    change(folder.path(), "DELETE FROM events WHERE offset BETWEEN 1024 AND 2046");
    change(folder.path(), "DELETE FROM events WHERE offset BETWEEN 2500 AND 2520");
    let rig = open(with.clone());
    append_numbered(&rig, 3001..=3100);
    rig.retain(0);
    assert_eq!(rig.texts("a").len(), 1000);
    assert_eq!(rig.journal.list_topics("a", "", 1)[0].events, 1000);
    let trimmed = rig.journal.trimmed(&filters(&["a"]));
    assert_eq!(trimmed, Offset::new(3100 - 1000 - 21));
    let limit = ReadLimit { events: 2000, bytes: 1 << 20 };
    let mut lost = 0;
    let mut after = trimmed;
    while after < rig.journal.bounds().tail {
        let page = rig.journal.read(after, &filters(&["a"]), limit).unwrap();
        (after, lost) = (page.end, lost + page.lost);
    }
    assert_eq!(lost, 21, "they are told to whoever reads on");
    let copy = killed(&folder);
    let again = open(DiskOptions { path: copy.path().into(), ..with });
    assert_eq!(again.journal.topics(), rig.journal.topics());
    assert_eq!(again.texts("a"), rig.texts("a"));
}

#[test]
fn the_last_of_a_topic_that_are_missing_are_told_once_their_block_is_cleaned() {
    let folder = TempDir::new().unwrap();
    let with = || ageing(&folder);
    let rig = open(with());
    // In the block from 1024 on there is one of `rare`, and all of `often` go but the last.
    let number = |offset: u64| if offset == 1500 { "rare" } else { "often" };
    let time = |offset: u64| if offset == 2047 { 1000 } else { 0 };
    rig.append_new((1..=2100).map(|o| timed(number(o), "x", time(o))).collect());
    rig.journal.close().unwrap();
    drop(rig);
    change(folder.path(), "DELETE FROM events WHERE offset = 1500");
    let rig = open(with());
    rig.retain(1000);
    assert_eq!(rig.read_all("often").len(), 1);
    assert_eq!(rig.journal.trimmed(&filters(&["rare"])), Offset::new(1500));
    assert_eq!(rig.journal.list_topics("rare", "", 1)[0].events, 0);
    let copy = killed(&folder);
    let again = open(DiskOptions { path: copy.path().into(), ..with() });
    assert_eq!(again.journal.topics(), rig.journal.topics());
    assert_eq!(again.journal.trimmed(&filters(&["rare"])), Offset::new(1500));
}

#[test]
fn an_event_that_was_damaged_into_another_topics_stops_nobody() {
    let folder = TempDir::new().unwrap();
    let age = Some(Duration::from_millis(100));
    let by_age = || RetentionRule { age, ..rule("a") };
    let with = || DiskOptions {
        retention: vec![by_age(), RetentionRule { events_max: Some(1000), ..rule("b") }],
        ..options(folder.path())
    };
    let rig = open(with());
    let topic = |offset: u64| ["a", "b"][(offset % 2) as usize];
    rig.append_new((1..=2100).map(|offset| plain(topic(offset), "x")).collect());
    rig.journal.close().unwrap();
    drop(rig);
    // One more of `a` than was counted, one less of `b`; and one that is longer than it was.
    change(folder.path(), "UPDATE events SET topic = 3 - topic WHERE offset = 1501");
    change(folder.path(), "UPDATE events SET data = zeroblob(900) WHERE offset = 701");
    for round in 0..2 {
        let rig = open(with());
        rig.append_new(vec![timed("b", "new", 1000); 1000]);
        rig.retain(1000);
        rig.retain(1001);
        let new = rig.texts("b").iter().filter(|text| *text == "new").count();
        assert_eq!(new, 1000, "round {round}");
        assert!(rig.read_all("a").iter().all(|entry| entry.offset.get() / 1024 == 1));
        assert_eq!(rig.journal.damaged_blocks(), 1);
        rig.journal.close().unwrap();
    }
}

/// How many events are told to be lost after an offset.
fn lost_after(rig: &Rig, mut after: Offset) -> u64 {
    let limit = ReadLimit { events: 2000, bytes: 1 << 20 };
    let mut lost = 0;
    while after < rig.journal.bounds().tail {
        let page = rig.journal.read(after, &filters(&["a"]), limit).unwrap();
        (after, lost) = (page.end, lost + page.lost);
    }
    lost
}

#[test]
fn what_is_missing_from_a_block_that_had_an_event_everywhere_is_told_after_retention_and_a_restart()
{
    let folder = TempDir::new().unwrap();
    let with = keeping(&folder, (3000, 2995));
    change(folder.path(), "DELETE FROM events WHERE offset BETWEEN 1500 AND 1520");
    let rig = open(with.clone());
    assert_eq!(lost_after(&rig, Offset::new(1000)), 21);
    // It looks into the block, and removes nothing of it.
    rig.retain(0);
    assert_eq!(rig.journal.list_topics("a", "", 1)[0].events, 3000 - 5 - 21);
    assert_eq!(lost_after(&rig, Offset::new(1000)), 21);
    rig.journal.close().unwrap();
    drop(rig);
    assert_eq!(lost_after(&open(with), Offset::new(1000)), 21);
}

#[test]
fn what_comes_into_a_block_that_is_damaged_takes_nobodys_room() {
    let folder = TempDir::new().unwrap();
    let few = RetentionRule { events_max: Some(100), ..rule("a") };
    let rig = open(DiskOptions { retention: vec![few], ..options(folder.path()) });
    append_numbered(&rig, 1..=200);
    change(folder.path(), "UPDATE events SET topic = 99 WHERE offset = 50");
    rig.retain(0);
    assert_eq!(rig.journal.damaged_blocks(), 1);
    // Into the same block, and into the next.
    append_numbered(&rig, 201..=1500);
    rig.retain(1);
    let left = rig.texts("a");
    for number in 1401..=1500 {
        assert!(left.contains(&format!("number {number}.")), "{number}");
    }
}
