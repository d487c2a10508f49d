//! Replicas on the disk: over the ends of processes, full disks, and lives as something else.

mod agreeing;
mod copies;

use std::path::Path;

use bellwire_model::limits::IDEMPOTENCY_AGE;
use bellwire_model::{Epoch, Offset};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{killed, open, options};
use crate::contract::ending::end;
use crate::contract::fences::fenced;
use crate::contract::records::texts;
use crate::contract::replicas::{Answers, Commit};
use crate::contract::state::values_after;
use crate::contract::{PLACE_OFFSETS, Rig, Seen, change, filters, keyed, plain, rule};
use crate::disk::bounds::StoreBounds;
use crate::disk::witness::{self, Testimony, Witness};
use crate::disk::{DiskJournal, DiskOptions, Durability, repair, schema};
use crate::{
    Append, ClockReading, Error, Journal, ReadLimit, RecordChange, Replica, RetentionRule,
};

fn replica(options: DiskOptions) -> (std::sync::Arc<DiskJournal>, Rig) {
    let seen = Seen::default();
    let opened = DiskJournal::open_replica(options, Box::new(seen.clone()), &mut ());
    let replica = std::sync::Arc::new(opened.expect("the replica opens"));
    let journal = std::sync::Arc::clone(&replica) as std::sync::Arc<dyn Journal>;
    (replica, Rig { journal, seen })
}

fn commit(place: u64, batch: Vec<Append>) -> Commit {
    Commit { base: place * PLACE_OFFSETS, batches: vec![batch], ..Commit::default() }
}

fn apply(replica: &DiskJournal, commit: &Commit) -> Answers {
    commit.apply(replica, ClockReading::default()).expect("it is queued").wait()
}

fn apply_all(replica: &DiskJournal, commits: impl IntoIterator<Item = Commit>) {
    for commit in commits {
        apply(replica, &commit).1.expect("applied");
    }
}

#[test]
fn whoever_was_killed_knows_from_the_tail_what_was_applied() {
    let mut folder = TempDir::new().unwrap();
    let commits = [
        commit(1, vec![plain("a", "x"), keyed("a", "k", 0)]),
        // Nothing comes of these.
        commit(2, vec![keyed("a", "k", 0)]),
        Commit { base: 5 * PLACE_OFFSETS, ..Commit::default() },
        Commit {
            base: 6 * PLACE_OFFSETS,
            records: vec![("r".into(), Some("1".into()))],
            ..Commit::default()
        },
        commit(7, vec![change("s", "k", Some("1"))]),
        commit(8, vec![change("s", "k", None)]),
        commit(9, vec![end("a")]),
        commit(10, vec![plain("a", "refused")]),
    ];
    for commit in &commits {
        let (journal, _) = replica(options(folder.path()));
        apply(&journal, commit).1.expect("applied");
        let tail = journal.bounds().tail;
        let copy = killed(&folder);
        drop(journal);
        folder = copy;
        let (journal, _) = replica(options(folder.path()));
        assert_eq!(journal.bounds().tail, tail);
        assert_eq!(tail.get() / PLACE_OFFSETS, commit.base / PLACE_OFFSETS);
        journal.close().unwrap();
        drop(journal);
        let (journal, rig) = replica(options(folder.path()));
        assert_eq!(rig.journal.bounds().tail, tail);
        assert_eq!(journal.epoch(), Epoch::new(7));
    }
}

#[test]
fn a_full_disk_leaves_nothing_of_a_commit_and_nothing_comes_before_it() {
    let folder = TempDir::new().unwrap();
    let age = Some(std::time::Duration::ZERO);
    let (journal, rig) = replica(DiskOptions {
        retention: vec![RetentionRule { age, ..rule("**") }],
        bounds: StoreBounds { pages: Some(128), ..StoreBounds::default() },
        ..options(folder.path())
    });
    let large = "x".repeat(60_000);
    let all = |place: u64, sequence: u64| Commit {
        records: vec![(place.to_string(), Some("1".into()))],
        ..commit(
            place,
            vec![
                keyed(&format!("new/{place}"), "k", 0),
                fenced(plain("a", &large), ("p", 0, sequence)),
                change("s", &place.to_string(), Some(&place.to_string())),
            ],
        )
    };
    let mut place = 1;
    while apply(&journal, &all(place, place - 1)).1.is_ok() {
        place += 1;
        assert!(place < 20, "the disk becomes full");
    }
    let state =
        || (rig.journal.bounds().tail, rig.seen.entries().len(), texts(&*journal, "").len());
    let before = state();
    assert_eq!(before.0.get() / PLACE_OFFSETS, place - 1);
    let small = |place| commit(place, vec![plain("b", "small")]);
    for behind in 1..4 {
        let (answers, applied) = apply(&journal, &small(place + behind));
        let missing = Offset::new(place * PLACE_OFFSETS);
        assert!(matches!(applied, Err(Error::OutOfOrder { missing: it }) if it == missing));
        assert!(matches!(answers[..], [Err(Error::OutOfOrder { .. })]), "{answers:?}");
        let (_, applied) = apply(&journal, &all(place, place - 1));
        assert!(matches!(applied, Err(Error::Full { .. })), "{applied:?}");
        assert_eq!(state(), before);
    }
    assert!(rig.journal.health().is_err());
    rig.retain(1);
    let (answers, applied) = apply(&journal, &all(place, place - 1));
    applied.expect("there is room again");
    let appended = answers[0].as_ref().expect("appended");
    assert!(appended.iter().all(|it| !it.duplicate && it.fenced.is_none()), "{appended:?}");
    assert_eq!(appended[0].offset.get(), place * PLACE_OFFSETS);
    apply_all(&journal, [small(place + 1)]);
    assert_eq!(values_after(&rig, Offset::ZERO).len(), usize::try_from(place).unwrap());
    // Those who wait together fail together, and are tried again one after the other.
    let first = place + 2;
    let group: Vec<_> = (0..20).map(|number| all(first + number, place + number)).collect();
    let queue = |it: &Commit| it.apply(&*journal, ClockReading::default()).expect("queued");
    let pending: Vec<_> = group.iter().map(queue).collect();
    let failed: Vec<bool> = pending.into_iter().map(|it| it.wait().1.is_err()).collect();
    assert!(failed.is_sorted() && failed[19], "nothing behind what has failed: {failed:?}");
    let applied = failed.iter().filter(|failed| !**failed).count() as u64;
    assert_eq!(rig.journal.bounds().tail.get() / PLACE_OFFSETS, first + applied - 1);
}

#[test]
fn a_replica_that_is_killed_while_it_begins_anew_has_the_one_or_the_other() {
    let folder = TempDir::new().unwrap();
    let (journal, rig) = replica(options(folder.path()));
    let full = || Commit {
        records: vec![("r".into(), Some("1".into()))],
        ..commit(20, vec![keyed("a", "k", 0), change("s", "k", Some("1")), end("a")])
    };
    apply_all(&journal, [full()]);
    rig.retain(1_000);
    let before = killed(&folder);
    let base = Offset::new(3 * PLACE_OFFSETS);
    journal.begin_anew(Epoch::new(99), base).expect("begun");
    let after = killed(&folder);
    let check = |copy: &TempDir, is_new: bool| {
        let (journal, rig) = replica(options(copy.path()));
        assert_eq!(journal.epoch(), Epoch::new(if is_new { 99 } else { 7 }));
        assert_eq!(rig.texts("**").len(), if is_new { 0 } else { 2 });
        assert_eq!(texts(&*journal, "").len(), usize::from(!is_new));
        assert_eq!(values_after(&rig, Offset::ZERO).len(), usize::from(!is_new));
        assert_eq!(journal.ended("a").is_some(), !is_new);
        if is_new {
            assert_eq!(rig.journal.bounds().tail, base);
            let again = apply(&journal, &full()).0.remove(0).expect("appended");
            assert!(again.iter().all(|it| !it.duplicate && !it.has_ended), "{again:?}");
            drop((journal, rig));
            let (_, rig) = replica(options(copy.path()));
            assert_eq!((rig.texts("**").len(), rig.journal.epoch()), (2, Epoch::new(99)));
        }
    };
    for (copy, is_new) in [(&before, false), (&after, true)] {
        // The witness is withdrawn before, and tells the new life behind.
        let between = killed(copy);
        drop(Witness::begin(between.path(), Testimony::of_nothing()).unwrap());
        check(&between, is_new);
        check(copy, is_new);
    }
    // Whoever loses what the witness tells of the new life is not told the old one.
    std::fs::copy(after.path().join(witness::FILE), before.path().join(witness::FILE)).unwrap();
    let opened =
        DiskJournal::open_replica(options(before.path()), Box::new(Seen::default()), &mut ());
    assert!(matches!(opened, Err(Error::Less { .. })), "{opened:?}");
}

#[test]
fn a_replica_that_is_killed_while_it_enters_an_epoch_has_the_one_or_the_other() {
    let folder = TempDir::new().unwrap();
    let (journal, rig) = replica(options(folder.path()));
    let full = || Commit {
        records: vec![("r".into(), Some("1".into()))],
        ..commit(20, vec![keyed("a", "k", 0), change("s", "k", Some("1")), end("b")])
    };
    apply_all(&journal, [full()]);
    let (events, before) = (rig.texts("**"), killed(&folder));
    let base = Offset::new(30 * PLACE_OFFSETS);
    let record = RecordChange { key: "q".into(), value: Some("2".into()) };
    journal.enter_epoch(Epoch::new(99), base, vec![record]).expect("entered");
    let after = killed(&folder);
    for (copy, is_new) in [(&before, false), (&after, true)] {
        // The witness is withdrawn before, and tells of the new epoch behind.
        let between = killed(copy);
        drop(Witness::begin(between.path(), Testimony::of_nothing()).unwrap());
        for copy in [&between, copy] {
            let (journal, rig) = replica(options(copy.path()));
            assert_eq!(journal.epoch(), Epoch::new(if is_new { 99 } else { 7 }));
            assert_eq!(rig.texts("**"), events);
            assert_eq!(texts(&*journal, "").len(), 1 + usize::from(is_new));
            assert_eq!(rig.journal.bounds().tail == base, is_new);
            let again = commit(31, vec![keyed("a", "k", 0), plain("a", "y")]);
            let again = apply(&journal, &again).0.remove(0).expect("appended");
            assert_eq!((again[0].duplicate, again[1].duplicate), (true, false));
            assert_eq!(again[1].offset.get() / PLACE_OFFSETS, 31);
            drop((journal, rig));
            let (journal, rig) = replica(options(copy.path()));
            assert_eq!(rig.texts("**").len(), events.len() + 1);
            assert_eq!(journal.epoch(), Epoch::new(if is_new { 99 } else { 7 }));
        }
    }
}

#[test]
fn how_late_it_is_outlives_a_kill() {
    let age_ms = IDEMPOTENCY_AGE.as_millis() as i64;
    let folder = TempDir::new().unwrap();
    let at = |place, time_ms, batch| Commit { time_ms, ..commit(place, batch) };
    let (journal, _rig) = replica(options(folder.path()));
    apply_all(
        &journal,
        [
            at(1, 0, vec![keyed("a", "k", 0), fenced(plain("a", "x"), ("p", 0, 0))]),
            at(2, 7 * age_ms + 1, Vec::new()),
        ],
    );
    let copy = killed(&folder);
    let (journal, _rig) = replica(options(copy.path()));
    // Whose clock is behind has forgotten it as well.
    let again = at(3, age_ms, vec![keyed("a", "k", 0), fenced(plain("a", "x"), ("p", 0, 0))]);
    let appended = apply(&journal, &again).0.remove(0).expect("appended");
    assert!(appended.iter().all(|it| !it.duplicate), "{appended:?}");
}

#[test]
fn what_was_the_one_and_is_the_other_begins_another_epoch() {
    let folder = TempDir::new().unwrap();
    let with = |epoch| DiskOptions { fresh_epoch: Epoch::new(epoch), ..options(folder.path()) };
    let alone = open(with(1));
    alone.append_new(vec![plain("a", "x")]);
    drop(alone);
    let (journal, rig) = replica(with(2));
    assert_eq!((journal.epoch(), rig.texts("a").len()), (Epoch::new(2), 1));
    journal.begin_anew(Epoch::new(50), Offset::ZERO).expect("begun");
    apply_all(&journal, [commit(1, vec![plain("a", "y")]), commit(2, Vec::new())]);
    drop((journal, rig));
    let (journal, rig) = replica(with(3));
    assert_eq!(journal.epoch(), Epoch::new(50));
    drop((journal, rig));
    for (fresh, epoch) in [(4, 4), (5, 4)] {
        let alone = open(with(fresh));
        assert_eq!(
            (alone.journal.epoch(), alone.texts("a")),
            (Epoch::new(epoch), vec!["y".into()])
        );
        alone.journal.close().unwrap();
    }
    let alone = open(with(6));
    alone.append_new(vec![plain("a", "z")]);
    drop(alone);
    let (_, rig) = replica(with(8));
    assert_eq!((rig.journal.epoch(), rig.texts("a").len()), (Epoch::new(8), 2));
}

#[test]
fn what_a_power_cut_takes_comes_once_more_in_the_same_epoch() {
    let folder = TempDir::new().unwrap();
    let with = |path: &Path, boot: &str, epoch| DiskOptions {
        durability: Durability::Interval,
        boot_id: Some(boot.into()),
        fresh_epoch: Epoch::new(epoch),
        ..options(path)
    };
    let (journal, _rig) = replica(with(folder.path(), "one", 7));
    apply_all(&journal, [commit(1, vec![keyed("a", "k", 0)])]);
    let synced = killed(&folder);
    apply_all(&journal, [commit(2, vec![keyed("a", "l", 0)])]);
    // The witness is further than what is on the disk.
    std::fs::copy(folder.path().join(witness::FILE), synced.path().join(witness::FILE)).unwrap();
    let (journal, rig) = replica(with(synced.path(), "other", 8));
    assert_eq!(journal.epoch(), Epoch::new(7));
    assert_eq!(rig.journal.bounds().tail.get(), PLACE_OFFSETS);
    apply_all(&journal, [commit(2, vec![keyed("a", "l", 0)])]);
    assert_eq!(rig.texts("a"), ["k", "l"]);
}

#[test]
fn nothing_is_refused_for_room_while_it_is_applied() {
    let folder = TempDir::new().unwrap();
    let bounds = StoreBounds { topics: 2, ended_bytes: 1, ..StoreBounds::default() };
    let (journal, rig) = replica(DiskOptions { bounds, ..options(folder.path()) });
    let batch = || vec![plain("a", "x"), plain("b", "x"), plain("c", "x"), end("c")];
    assert!(matches!(journal.check_room(&batch()), Err(Error::TooManyTopics)));
    journal.check_room(&batch()[..2]).expect("there is room");
    assert!(matches!(journal.check_room(&[end("a")]), Err(Error::TooManyEndedTopics)));
    apply(&journal, &commit(1, batch())).0.remove(0).expect("appended");
    assert_eq!(rig.texts("**").len(), 4);
}

#[test]
fn commits_of_one_event_fill_blocks_and_are_read_swept_and_told_like_others() {
    const COMMITS: u64 = 5_000;
    let folder = TempDir::new().unwrap();
    let few = RetentionRule { events_max: Some(COMMITS - 1_500), ..rule("**") };
    let with = || DiskOptions {
        retention: vec![few.clone()],
        durability: Durability::Interval,
        boot_id: Some("boot".into()),
        ..options(folder.path())
    };
    let (journal, rig) = replica(with());
    let topic = |place: u64| if place % 1_000 == 7 { "seldom" } else { "often" };
    let commits =
        (1..=COMMITS).map(|place| commit(place, vec![plain(topic(place), &place.to_string())]));
    let pending = commits.map(|it| it.apply(&*journal, ClockReading::default()).unwrap());
    pending.for_each(|it| it.wait().1.expect("applied"));
    let check = |rig: &Rig, first: u64| {
        let places = |filter: &str| -> Vec<u64> {
            let filters = filters(&[filter]);
            let limit = ReadLimit { events: 900, bytes: 1 << 20 };
            let (mut after, mut found) = (Offset::ZERO, Vec::new());
            while after < rig.journal.bounds().tail {
                let page = rig.journal.read(after, &filters, limit).expect("a page");
                assert_eq!(page.lost, 0);
                found.extend(page.entries.iter().map(|entry| entry.offset.get() / PLACE_OFFSETS));
                after = page.end;
            }
            found
        };
        assert!(places("**").into_iter().eq(first..=COMMITS));
        let seldom = (first..=COMMITS).filter(|place| place % 1_000 == 7);
        assert!(places("seldom").into_iter().eq(seldom));
    };
    check(&rig, 1);
    let connection = Connection::open(folder.path().join(schema::FILE)).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let blocks = count("SELECT count(DISTINCT block) FROM blocks");
    assert_eq!(blocks, (COMMITS / 1_024) as i64);
    let bytes = count("SELECT sum(octet_length(present)) FROM holes");
    assert!(bytes < 5 * blocks * 1_024, "{bytes}");
    rig.retain(1);
    check(&rig, 1_501);
    drop((journal, rig));
    let (journal, rig) = replica(with());
    check(&rig, 1_501);
    assert_eq!(rig.journal.topics().iter().map(|it| it.events).sum::<u64>(), COMMITS - 1_500);
    // One that is missing is told, in a full block as in the open one.
    for place in [2_000, COMMITS - 1] {
        let delete = "DELETE FROM events WHERE offset = ?1";
        connection.execute(delete, [(place * PLACE_OFFSETS) as i64]).unwrap();
        let before = Offset::new((place - 1) * PLACE_OFFSETS);
        let page = rig.read(before, &filters(&["**"]));
        assert_eq!((page.lost, page.trimmed), (1, Offset::new(place * PLACE_OFFSETS)), "{place}");
    }
    rig.journal.close().unwrap();
    drop((journal, rig));
    let (_, rig) = replica(with());
    let before = Offset::new((COMMITS - 2) * PLACE_OFFSETS);
    assert_eq!(rig.read(before, &filters(&["**"])).lost, 1);
}

#[test]
fn a_replica_is_not_repaired_but_filled_anew() {
    let folder = TempDir::new().unwrap();
    drop(replica(options(folder.path())));
    let repaired = repair(folder.path(), Epoch::new(3));
    assert!(matches!(repaired, Err(Error::Refill { .. })), "{repaired:?}");
    drop(replica(options(folder.path())));
}
