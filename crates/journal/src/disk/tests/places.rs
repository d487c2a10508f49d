//! Files that are removed, replaced or written by others while the journal is open.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{killed, open, options, try_open};
use crate::Error;
use crate::contract::{Rig, change, plain, records};
use crate::disk::{DiskOptions, Durability, schema};

#[test]
fn a_start_on_a_full_disk_leaves_no_half_a_witness_behind() {
    let folder = TempDir::new().unwrap();
    // Whatever is written there finds no space.
    let unfinished = folder.path().join("journal.witness.new");
    std::os::unix::fs::symlink("/dev/full", &unfinished).unwrap();
    let error = try_open(options(folder.path())).map(drop).expect_err("the disk is full");
    assert!(matches!(&error, Error::Open { .. }), "{error}");
    fs::remove_file(unfinished).unwrap();
    open(options(folder.path())).append_texts("a", &["1"]);
}

/// Something that is done to the data directory of a running server.
type Deed = fn(&Path);

fn replace(directory: &Path) {
    let file = directory.join(schema::FILE);
    fs::copy(&file, directory.join("copy")).unwrap();
    fs::rename(directory.join("copy"), file).unwrap();
}

#[test]
fn what_is_written_into_removed_files_is_not_acknowledged() {
    let deeds: [(&str, Deed); 4] = [
        ("the folder is removed", |path| fs::remove_dir_all(path).unwrap()),
        ("the file is removed", |path| fs::remove_file(path.join(schema::FILE)).unwrap()),
        ("the file is replaced", replace),
        ("the write-ahead file is removed", |path| {
            fs::remove_file(path.join("journal.sqlite-wal")).unwrap();
        }),
    ];
    for durability in [Durability::Sync, Durability::Interval] {
        for (name, deed) in deeds {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("data");
            let rig = open(DiskOptions { durability, ..options(&path) });
            rig.append_texts("a", &["1"]);
            records::write(&*rig.journal, &[("a", Some("1"))]).unwrap();
            deed(&path);
            let refused = rig.append(vec![plain("a", "2")]);
            assert!(matches!(refused, Err(Error::Displaced { .. })), "{name}: {refused:?}");
            let refused = records::write(&*rig.journal, &[("a", Some("2"))]);
            assert!(matches!(refused, Err(Error::Displaced { .. })), "{name}: {refused:?}");
            assert!(rig.journal.health().is_err(), "{name}");
            assert_eq!(rig.seen.entries().len(), 1, "{name}");
            assert!(rig.journal.close().is_err(), "{name}");
        }
    }
}

/// Waits until the journal has looked at its files and is content with them, or is not.
fn until(rig: &Rig, is_content: fn(&Result<(), Error>) -> bool) {
    for _ in 0..3000 {
        if is_content(&rig.journal.health()) {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    panic!("{:?}", rig.journal.health());
}

#[test]
fn a_folder_that_is_moved_away_and_back_goes_on() {
    let folder = TempDir::new().unwrap();
    let (path, away) = (folder.path().join("data"), folder.path().join("away"));
    let rig = open(options(&path));
    rig.append_texts("a", &["1"]);
    fs::rename(&path, &away).unwrap();
    until(&rig, Result::is_err);
    let refused = rig.append(vec![plain("a", "2")]);
    assert!(matches!(refused, Err(Error::Displaced { .. })), "{refused:?}");
    fs::rename(&away, &path).unwrap();
    until(&rig, Result::is_ok);
    rig.append_texts("a", &["3"]);
    assert_eq!(rig.texts("a"), ["1", "3"]);
}

#[test]
fn events_of_another_program_stop_the_journal_and_its_checkpoints_do_not() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_texts("a", &["1"]);
    let other = Connection::open(folder.path().join(schema::FILE)).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    rig.append_texts("a", &["2"]);
    let insert = "INSERT INTO events SELECT offset + 1, topic, key, type, time, kind, content_type,
                  data FROM events WHERE offset = 2";
    other.execute_batch(insert).unwrap();
    let refused = rig.append(vec![plain("a", "3")]);
    assert!(matches!(refused, Err(Error::Meddled { .. })), "{refused:?}");
    // A start reads anew what there is.
    let copy = killed(&folder);
    drop(rig);
    let again = open(options(copy.path()));
    again.append_texts("a", &["4"]);
    // The checksum is of the event's own offset: what was copied by hand is no event of ours.
    assert_eq!(again.texts("a"), ["1", "2", "4"]);
    assert!(again.journal.damaged() > 0);
}

#[test]
fn changes_of_state_by_another_program_stop_the_journal() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_new(vec![change("s", "k", Some("1"))]);
    let other = Connection::open(folder.path().join(schema::FILE)).unwrap();
    let insert = "INSERT INTO state SELECT offset + 1, topic, key, type, time, kind, content_type,
                  data FROM state WHERE offset = 1";
    other.execute_batch(insert).unwrap();
    let refused = rig.append(vec![plain("a", "2")]);
    assert!(matches!(refused, Err(Error::Meddled { .. })), "{refused:?}");
}
