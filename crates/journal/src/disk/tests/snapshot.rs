//! Readers and retention at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bellwire_model::Offset;
use tempfile::TempDir;

use super::{open, options};
use crate::contract::{Rig, Seen, filters, plain, rule, timed};
use crate::disk::bounds::StoreBounds;
use crate::disk::schema::{FILE, open_to_checkpoint};
use crate::disk::{DiskJournal, DiskOptions};
use crate::{Bounds, Journal, ReadLimit, RetentionRule};

/// Blocks that a reader scans before it looks at the index again, and some more.
const BLOCKS_BEFORE: i64 = 10;
const BLOCKS_AFTER: i64 = 30;

/// Events of a seldom topic: first some that stay, then one for each step of retention.
fn fill(rig: &Rig) {
    for block in 0..BLOCKS_BEFORE + BLOCKS_AFTER {
        let time_ms = if block < BLOCKS_BEFORE { i64::MAX } else { block };
        let mut batch = vec![plain("often", "x"); 1023];
        batch.push(timed("seldom", "y", time_ms));
        rig.append_new(batch);
    }
}

#[test]
fn the_bounds_are_told_while_something_is_written_under_the_lock_of_the_index() {
    let folder = TempDir::new().unwrap();
    let age = Some(Duration::ZERO);
    let with = DiskOptions {
        retention: vec![RetentionRule { age, ..rule("a") }],
        bounds: StoreBounds { topics: 2, ..StoreBounds::default() },
        ..options(folder.path())
    };
    let journal = Arc::new(DiskJournal::open(with.clone(), Box::new(Seen::default())).unwrap());
    let rig = Rig { journal: Arc::clone(&journal) as Arc<dyn Journal>, seen: Seen::default() };
    let bounds_while_locked = || {
        let index = journal.index.write();
        let bounds = journal.bounds();
        assert_eq!(bounds, Bounds { trimmed: index.topics.trimmed_any(), tail: index.tail });
        (bounds.trimmed.get(), bounds.tail.get())
    };
    rig.append_new(vec![plain("a", "1"), plain("b", "2")]);
    assert_eq!(bounds_while_locked(), (0, 2));
    // The topic is forgotten with its last event, since there are many.
    rig.retain(1);
    assert_eq!(bounds_while_locked(), (1, 2));
    rig.journal.close().unwrap();
    drop((rig, journal));
    assert_eq!(
        open(with).journal.bounds(),
        Bounds { trimmed: Offset::new(1), tail: Offset::new(2) }
    );
}

#[test]
fn a_page_lacks_only_what_it_tells_while_retention_removes_its_later_events() {
    let folder = TempDir::new().unwrap();
    let age = Some(Duration::ZERO);
    let retention = vec![RetentionRule { age, ..rule("seldom") }];
    let rig = open(DiskOptions { retention, ..options(folder.path()) });
    fill(&rig);
    let seldom: Vec<Offset> = rig.read_all("seldom").iter().map(|entry| entry.offset).collect();
    let retain = || {
        for block in BLOCKS_BEFORE..BLOCKS_BEFORE + BLOCKS_AFTER {
            rig.retain(block + 1);
        }
    };
    thread::scope(|scope| {
        // The readers end with it, also where it fails.
        let writer = Arc::new(scope.spawn(retain));
        for _ in 0..2 {
            let (rig, seldom, writer) = (&rig, &seldom, Arc::clone(&writer));
            scope.spawn(move || {
                while !writer.is_finished() {
                    let limit = ReadLimit { events: 1000, bytes: 1 << 20 };
                    let page = rig.journal.read(Offset::ZERO, &filters(&["seldom"]), limit);
                    let page = page.expect("a page");
                    let found: Vec<Offset> =
                        page.entries.iter().map(|entry| entry.offset).collect();
                    let is_due = |offset: &&Offset| **offset > page.trimmed && **offset <= page.end;
                    for offset in seldom.iter().filter(is_due) {
                        assert!(found.contains(offset), "{offset}, trimmed {}", page.trimmed);
                    }
                }
            });
        }
    });
    assert_eq!(rig.read_all("seldom").len(), BLOCKS_BEFORE as usize);
}

#[test]
fn a_reader_lets_go_of_its_snapshot_where_the_writer_waits_for_that_under_the_lock() {
    const ROUNDS: usize = 20;
    let folder = TempDir::new().unwrap();
    let seen = Seen::default();
    let journal = DiskJournal::open(options(folder.path()), Box::new(seen.clone())).unwrap();
    let journal = Arc::new(journal);
    let rig = Rig { journal: Arc::clone(&journal) as Arc<dyn Journal>, seen };
    fill(&rig);
    let connection = open_to_checkpoint(&folder.path().join(FILE)).unwrap();
    // For ever, as far as a test can wait.
    connection.busy_timeout(Duration::from_mins(1)).unwrap();
    let (is_done, pages) = (AtomicBool::new(false), AtomicUsize::new(0));
    let busy = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let limit = ReadLimit { events: 1000, bytes: 1 << 20 };
            while !is_done.load(Ordering::Acquire) {
                let page = journal.read(Offset::ZERO, &filters(&["seldom"]), limit).unwrap();
                assert!(!page.entries.is_empty());
                pages.fetch_add(1, Ordering::Release);
            }
        });
        let checkpoint = || {
            // From here on a snapshot is of the write-ahead file.
            rig.append_texts("often", &["x"]);
            let before = pages.load(Ordering::Acquire);
            while pages.load(Ordering::Acquire) == before && !reader.is_finished() {
                thread::yield_now();
            }
            let _index = journal.index.write();
            let restart = "PRAGMA wal_checkpoint(RESTART)";
            connection.query_row(restart, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let busy = (0..ROUNDS).map(|_| checkpoint()).find(|busy| *busy != 0);
        is_done.store(true, Ordering::Release);
        busy
    });
    assert_eq!(busy, None, "a reader waits for who waits for it");
}
