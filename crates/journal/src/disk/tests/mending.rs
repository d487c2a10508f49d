//! What a repair makes of a database that cannot be opened, and of what a killed repair has left.

use std::fs;
use std::path::{Path, PathBuf};

use bellwire_model::{Epoch, Offset};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{killed, open, options};
use crate::contract::{Rig, change, keyed, plain, records, state};
use crate::disk::{RepairSource, Repaired, repair, schema, witness};

const EVENTS: usize = 3000;
const FILES: [&str; 3] = [schema::FILE, "journal.sqlite-wal", witness::FILE];

/// A journal with events, a key and a record, most of it in the main file.
fn fill(folder: &TempDir) -> Rig {
    let rig = open(options(folder.path()));
    let texts = (1..EVENTS).map(|number| format!("number {number}."));
    rig.append_new(texts.map(|text| plain("a", &text)).collect());
    records::write(&*rig.journal, &[("a", Some("1"))]).unwrap();
    rig.journal.close().unwrap();
    drop(rig);
    let rig = open(options(folder.path()));
    rig.append_one(keyed("b", "k", 0));
    rig.append_new(vec![change("s", "a", Some("1")), change("s", "b", Some("2"))]);
    rig.append_new(vec![change("s", "a", None)]);
    rig
}

fn mended(directory: &Path) -> Repaired {
    repair(directory, Epoch::new(9)).expect("it is repaired")
}

/// What a repaired journal has.
fn assert_whole(directory: &Path, repaired: &Repaired, case: &str) {
    let kept = (repaired.events, repaired.keys, repaired.records, repaired.values);
    assert_eq!(kept, (EVENTS as u64, 1, 1, 3), "{case}");
    let lost = (repaired.events_lost, repaired.records_lost, repaired.record_changes_lost);
    assert_eq!((lost, repaired.values_lost), ((0, 0, 0), 0), "{case}");
    assert!(repaired.is_witnessed, "{case}");
    let rig = open(options(directory));
    assert_eq!(rig.journal.epoch(), Epoch::new(9), "{case}");
    assert_eq!(rig.read_all("**").len(), EVENTS, "{case}");
    assert!(rig.append_one(keyed("b", "k", 0)).duplicate, "{case}");
    let texts: Vec<_> = state::values_after(&rig, Offset::ZERO).into_values().collect();
    assert_eq!(texts.len(), 2, "{case}");
    assert_eq!((&texts[0].1, texts[1].1.as_deref()), (&None, Some("2")), "{case}");
}

/// Those of the journal's files that there are, and what is in them.
fn files(directory: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let read = |name| Some((name, fs::read(directory.join(name)).ok()?));
    FILES.into_iter().filter_map(read).collect()
}

/// A way to have a file twice.
type Twice = fn(&Path, &Path);

#[test]
fn a_repair_that_was_killed_while_it_put_files_away_is_gone_on_with() {
    let folder = TempDir::new().unwrap();
    let rig = fill(&folder);
    let damaged = killed(&folder);
    drop(rig);
    let finished = killed(&damaged);
    let new = mended(finished.path());
    assert_whole(finished.path(), &new, "finished");
    let finished = killed(&damaged);
    mended(finished.path());

    let links: [(&str, Twice); 2] = [
        ("with links", |from, to| fs::hard_link(from, to).unwrap()),
        ("with copies", |from, to| assert!(fs::copy(from, to).unwrap() > 0)),
    ];
    for (way, twice) in links {
        for steps in 0..=4 {
            let case = format!("{way}, after {steps} steps");
            let cut_off = killed(&damaged);
            let before = files(cut_off.path());
            let put_away = cut_off.path().join("damaged-1");
            let both = |name: &str| (cut_off.path().join(name), put_away.join(name));
            fs::create_dir(&put_away).unwrap();
            if steps >= 1 {
                let (from, to) = both(schema::FILE);
                twice(&from, &to);
            }
            if steps >= 2 {
                let (from, to) = both(witness::FILE);
                twice(&from, &to);
            }
            if steps >= 3 {
                let (from, to) = both("journal.sqlite-wal");
                fs::rename(from, to).unwrap();
                // A server was started meanwhile, and refused to go on.
                fs::write(cut_off.path().join("journal.sqlite-wal"), []).unwrap();
            }
            if steps >= 4 {
                fs::remove_file(cut_off.path().join(witness::FILE)).unwrap();
                let new = finished.path().join(witness::FILE);
                fs::copy(new, cut_off.path().join(witness::FILE)).unwrap();
            }
            let repaired = mended(cut_off.path());
            assert_whole(cut_off.path(), &repaired, &case);
            assert_eq!(files(&repaired.damaged_files), before, "{case}");
            let is_same_folder = repaired.damaged_files == put_away;
            assert_eq!(is_same_folder, steps > 0, "{case}");

            // That one came to its end: the next is of what has been made.
            let again = mended(cut_off.path());
            assert_eq!(again.events, EVENTS as u64, "{case}");
            assert_ne!(again.damaged_files, repaired.damaged_files, "{case}");
            assert_eq!(again.epoch, Epoch::new(10), "{case}");
        }
    }
}

#[test]
fn files_that_were_put_back_and_written_since_are_repaired_as_they_are() {
    let folder = TempDir::new().unwrap();
    let rig = fill(&folder);
    let damaged = killed(&folder);
    drop(rig);
    let put_away = mended(damaged.path()).damaged_files;
    for name in FILES {
        fs::copy(put_away.join(name), damaged.path().join(name)).unwrap();
    }
    let rig = open(options(damaged.path()));
    rig.append_one(plain("a", "written since"));
    let copy = killed(&damaged);
    drop(rig);
    copy_folder(&put_away, &copy.path().join("damaged-1"));
    let repaired = mended(copy.path());
    assert_eq!((repaired.events, repaired.events_lost), (EVENTS as u64 + 1, 0));
    assert_eq!(repaired.damaged_files, copy.path().join("damaged-2"));
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in FILES {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// Something that is done to the main file.
type Deed = fn(PathBuf);

fn overwrite_first_page(file: &Path, byte: u8, from: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[from..4096].fill(byte);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_database_whose_first_page_is_lost_has_all_that_is_on_the_others() {
    let folder = TempDir::new().unwrap();
    let rig = fill(&folder);
    let after_a_kill = killed(&folder);
    rig.journal.close().unwrap();
    drop(rig);
    let deeds: [(&str, Deed); 4] = [
        ("zeroed", |file| overwrite_first_page(&file, 0, 0)),
        ("overwritten", |file| overwrite_first_page(&file, 0xA5, 0)),
        ("without its schema", |file| overwrite_first_page(&file, 0, 100)),
        ("with a damaged schema", |file| overwrite_first_page(&file, 0xA5, 100)),
    ];
    for (name, deed) in deeds {
        for original in [&folder, &after_a_kill] {
            let copy = killed(original);
            deed(copy.path().join(schema::FILE));
            let repaired = mended(copy.path());
            assert_whole(copy.path(), &repaired, name);
            let is_told = matches!(repaired.source, RepairSource::WithNewFirstPage(_));
            // The write-ahead file may have a newer first page.
            assert!(is_told || std::ptr::eq(original, &raw const after_a_kill), "{name}");
        }
    }
}

#[test]
fn a_database_that_is_lost_has_what_its_write_ahead_file_has() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_new((0..EVENTS).map(|_| plain("a", "x")).collect());
    let deeds: [(&str, Deed); 2] = [
        ("removed", |file| fs::remove_file(file).unwrap()),
        ("emptied", |file| fs::write(file, []).unwrap()),
    ];
    for (name, deed) in deeds {
        let copy = killed(&folder);
        deed(copy.path().join(schema::FILE));
        let repaired = mended(copy.path());
        assert_eq!((repaired.events, repaired.events_lost), (EVENTS as u64, 0), "{name}");
        assert_eq!(open(options(copy.path())).texts("a").len(), EVENTS, "{name}");
    }
    let copy = killed(&folder);
    fs::remove_file(copy.path().join(schema::FILE)).unwrap();
    fs::remove_file(copy.path().join("journal.sqlite-wal")).unwrap();
    let repaired = mended(copy.path());
    let expected = RepairSource::Unreadable("it is missing or empty".into());
    assert_eq!((repaired.events, &repaired.source), (0, &expected));
    assert_eq!(repaired.events_lost, EVENTS as u64);
}

#[test]
fn what_a_repair_has_put_away_is_not_taken_for_what_is_lost_later() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_new((0..EVENTS).map(|_| plain("a", "x")).collect());
    let copy = killed(&folder);
    fs::remove_file(copy.path().join(schema::FILE)).unwrap();
    // Of the database there is a write-ahead file alone, which is put away.
    let first = mended(copy.path());
    for is_closed in [true, false] {
        let again = TempDir::new().unwrap();
        for name in FILES.into_iter().filter(|name| copy.path().join(name).exists()) {
            fs::copy(copy.path().join(name), again.path().join(name)).unwrap();
        }
        let rig = open(options(again.path()));
        let last = rig.append_texts("a", &["since"])[0];
        if is_closed {
            rig.journal.close().unwrap();
        }
        let bereft = killed(&again);
        drop(rig);
        for name in [schema::FILE, "journal.sqlite-wal"] {
            let _ = fs::remove_file(bereft.path().join(name));
        }
        let put_away = bereft.path().join("damaged-1");
        fs::create_dir(&put_away).unwrap();
        for entry in fs::read_dir(&first.damaged_files).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), put_away.join(entry.file_name())).unwrap();
        }
        let repaired = mended(bereft.path());
        assert_eq!((repaired.events, repaired.events_lost), (0, last.get()), "{is_closed}");
        assert_ne!(repaired.damaged_files, put_away, "{is_closed}");
    }
}

#[test]
fn nobody_looks_for_billions_of_events_that_were_removed_before_what_is_damaged() {
    const REMOVED: u64 = 3_000_000_000_000;
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_one(plain("removed", "x"));
    rig.journal.close().unwrap();
    drop(rig);
    let file = folder.path().join(schema::FILE);
    let trimmed = format!(
        "UPDATE topics SET trimmed = {REMOVED}, checksum = NULL; DELETE FROM events; DELETE FROM blocks"
    );
    Connection::open(&file).unwrap().execute_batch(&trimmed).unwrap();
    let rig = open(options(folder.path()));
    let texts: Vec<_> = (1..=5000).map(|number| format!("number {number}.")).collect();
    rig.append_new(texts.iter().map(|text| keyed("a", text, 0)).collect());
    rig.journal.close().unwrap();
    drop(rig);
    let mut bytes = fs::read(&file).unwrap();
    for page in bytes.chunks_mut(4096) {
        if page.windows(9).any(|window| window == b"number 1.") {
            page[..8].fill(0xA5);
        }
    }
    fs::write(&file, bytes).unwrap();
    let repaired = mended(folder.path());
    assert_eq!(repaired.events + repaired.events_lost, 5000);
    assert!(repaired.events > 4000 && repaired.keys > 4000, "{repaired:?}");
    let [(first, last)] = &repaired.unreadable[..] else { panic!("{repaired:?}") };
    assert!(first.get() > REMOVED - 2048 && last.get() < REMOVED + 1000, "{first} to {last}");
}
