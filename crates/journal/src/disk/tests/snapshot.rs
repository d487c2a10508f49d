//! Readers and retention at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bellwire_model::Offset;
use tempfile::TempDir;

use super::{open, options};
use crate::contract::{Rig, Seen, filters, plain, rule, timed};
use crate::disk::bounds::StoreBounds;
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
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Acquire) {
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
        for block in BLOCKS_BEFORE..BLOCKS_BEFORE + BLOCKS_AFTER {
            rig.retain(block + 1);
        }
        is_done.store(true, Ordering::Release);
    });
    assert_eq!(rig.read_all("seldom").len(), BLOCKS_BEFORE as usize);
}
