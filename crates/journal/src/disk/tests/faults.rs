//! What happens when the disk, or what is on it, is not as it should be.

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellwire_model::Offset;

use rusqlite::{Connection, ffi};
use tempfile::TempDir;

use super::{killed, open, options, try_open};
use crate::contract::{Rig, change, keyed, plain, rule, state};
use crate::disk::bounds::StoreBounds;
use crate::disk::lock::Lock;
use crate::disk::store::{self, DiskStore};
use crate::disk::witness::{self, State};
use crate::disk::{DiskOptions, Durability, schema};
use crate::role::Role;
use crate::writer::Store as _;
use crate::{Error, RetentionRule};

fn refused(options: DiskOptions) -> Error {
    try_open(options).map(|_| ()).expect_err("the journal does not open")
}

#[test]
fn a_second_server_is_told_who_has_the_directory() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    match refused(options(folder.path())) {
        Error::Locked { path, pid } => {
            assert_eq!((path, pid), (folder.path().into(), Some(std::process::id())));
        }
        error => panic!("{error}"),
    }
    drop(rig);
    open(options(folder.path()));
}

#[test]
fn a_missing_directory_is_created() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b");
    open(options(&path)).append_one(plain("a", "x"));
    assert!(path.join(schema::FILE).exists());
}

#[test]
fn a_path_that_cannot_be_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let in_the_way = folder.path().join("data");
    fs::create_dir_all(in_the_way.join(schema::FILE)).unwrap();
    let cases = [
        (file.clone(), file.clone()),
        (file.join("below"), file.join("below")),
        (in_the_way.clone(), in_the_way.join(schema::FILE)),
    ];
    for (path, named) in cases {
        let error = refused(options(&path));
        assert!(matches!(&error, Error::Open { path, .. } if *path == named), "{error:?}");
        assert!(error.to_string().contains(&*named.to_string_lossy()));
        assert!(error.source().is_some());
    }
}

#[test]
fn a_file_that_is_no_journal_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(schema::FILE);

    fs::write(&file, "something else ".repeat(1000)).unwrap();
    let error = refused(options(folder.path()));
    assert!(matches!(&error, Error::Foreign { path } if *path == file), "{error}");
    assert!(fs::read_to_string(&file).unwrap().starts_with("something else"));

    fs::remove_file(&file).unwrap();
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE customers (id)").unwrap();
    let before = fs::read(&file).unwrap();
    let error = refused(options(folder.path()));
    assert!(matches!(&error, Error::Foreign { path } if *path == file), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_newer_format_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(options(folder.path())));
    let file = folder.path().join(schema::FILE);
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = refused(options(folder.path()));
    assert!(matches!(error, Error::Format { found: 99, .. }), "{error}");
}

/// A journal that may only grow to half a megabyte.
fn small(folder: &TempDir) -> Rig {
    let age = Some(Duration::ZERO);
    open(DiskOptions {
        retention: vec![RetentionRule { age, ..rule("**") }],
        bounds: StoreBounds { pages: Some(128), ..StoreBounds::default() },
        ..options(folder.path())
    })
}

#[test]
fn a_full_disk_fails_the_append_whole_and_spares_the_next() {
    let folder = TempDir::new().unwrap();
    let rig = small(&folder);
    let large = "x".repeat(100_000);
    let first = rig.append_new(vec![plain("a", "first")])[0];
    let batch: Vec<_> = std::iter::once(keyed("new/topic", "k", 0))
        .chain(std::iter::repeat_n(plain("a", &large), 10))
        .collect();
    let failed = rig.append(batch);
    assert!(matches!(failed, Err(Error::Full { .. })), "{failed:?}");

    // Nothing is left of it: no event, no topic, no key, no figure.
    assert_eq!(rig.texts("**"), ["first"]);
    assert_eq!(rig.journal.bounds().tail, first);
    assert_eq!(rig.journal.topics().len(), 1);
    assert_eq!(rig.seen.entries().len(), 1);

    // What fits is appended, and no offset is given out a second time.
    let next = rig.append_one(keyed("new/topic", "k", 0));
    assert!(!next.duplicate);
    // Four of the large events had fitted, so their offsets were taken.
    assert!(next.offset.get() > first.get() + 5, "{} after {first}", next.offset);
    assert_eq!(rig.texts("**"), ["first", "k"]);
}

#[test]
fn what_state_has_replaced_makes_room_on_a_full_disk_however_little_it_is() {
    let folder = TempDir::new().unwrap();
    let rig = small(&folder);
    let large = "x".repeat(60_000);
    let put = || rig.append(vec![change("s", "a", Some(&large))]);
    for _ in 0..3 {
        let failed = (0..20).find_map(|_| put().err()).expect("the disk becomes full");
        assert!(matches!(failed, Error::Full { .. }), "{failed:?}");
        rig.retain(1);
        put().expect("there is room again");
    }
    assert_eq!(state::values_after(&rig, Offset::ZERO).len(), 1);
}

#[test]
fn a_full_disk_in_the_middle_of_a_batch_of_state_leaves_all_as_it_was() {
    let folder = TempDir::new().unwrap();
    let rig = small(&folder);
    rig.append_new(vec![change("s", "a", Some("1")), change("s", "b", Some("1"))]);
    let before = state::values_after(&rig, Offset::ZERO);
    let large = "x".repeat(60_000);
    let batch: Vec<_> = [change("s", "b", None), plain("a", "x"), change("t", "a", Some("new"))]
        .into_iter()
        .chain((0..20).map(|number| change("s", &number.to_string(), Some(&large))))
        .collect();
    let failed = rig.append(batch);
    assert!(matches!(failed, Err(Error::Full { .. })), "{failed:?}");
    assert_eq!(state::values_after(&rig, Offset::ZERO), before);
    assert_eq!((rig.seen.entries().len(), rig.texts("**").len()), (2, 0));
    // What fits is taken, as if nothing had been.
    let next = rig.append_new(vec![change("t", "a", Some("2")), change("s", "b", None)]);
    let copy = killed(&folder);
    let again = open(options(copy.path()));
    let values = state::values_after(&again, Offset::ZERO);
    assert_eq!(values.values().map(|(offset, _)| *offset).max(), Some(next[1]));
    assert_eq!(values.len(), 3);
}

#[test]
fn removed_events_make_room_on_a_full_disk() {
    let folder = TempDir::new().unwrap();
    let rig = small(&folder);
    let large = "x".repeat(50_000);
    for round in 0..3 {
        let failed = loop {
            if let Err(error) = rig.append(vec![plain("a", &large)]) {
                break error;
            }
        };
        assert!(matches!(failed, Error::Full { .. }), "round {round}: {failed:?}");
        assert!(rig.read_all("a").len() > 5);
        rig.retain(1);
        assert_eq!(rig.read_all("a"), []);
    }
    rig.append_new(vec![plain("a", &large)]);
}

/// The newest event of the main file, had nothing of the write-ahead file come to the disk.
fn newest_in_main_file(directory: &Path) -> u64 {
    let alone = TempDir::new().unwrap();
    let file = alone.path().join(schema::FILE);
    fs::copy(directory.join(schema::FILE), &file).unwrap();
    let select = "SELECT coalesce(max(offset), 0) FROM events";
    let main = Connection::open(file).unwrap();
    // A file that is new may not have its tables yet.
    main.query_row(select, [], |row| row.get::<_, i64>(0)).unwrap_or_default().unsigned_abs()
}

#[test]
fn what_is_in_doubt_when_a_journal_is_closed_is_settled_first() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(schema::FILE);
    let _lock = Lock::take(folder.path()).unwrap();
    let mut store = DiskStore::open(&file, (options(folder.path()), Role::Alone), &mut ()).unwrap();
    store.commit(vec![vec![plain("a", "1")]]).unwrap();
    store.doubt(Arc::new(std::io::Error::other("the disk")));
    store.close().unwrap();
    assert_eq!(newest_in_main_file(folder.path()), 1);
    let testimony = witness::read(folder.path()).unwrap().unwrap();
    assert_eq!(testimony.state, State::Closed);
}

#[test]
fn what_a_run_has_left_that_could_not_be_closed_is_on_the_disk_before_anything_follows_it() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_texts("a", &["1"]);
    let copy = killed(&folder);
    // The commit that says so was written, and could not be synced.
    let (connection, _) = store::connect(&copy.path().join(schema::FILE)).unwrap();
    schema::end_run(&connection, None).unwrap();
    let again = killed(&copy);
    assert_eq!(newest_in_main_file(again.path()), 0);
    let rig = open(options(again.path()));
    assert_eq!(newest_in_main_file(again.path()), 1);
    assert_eq!(rig.texts("a"), ["1"]);
}

#[test]
fn what_a_killed_run_has_left_is_written_again_where_it_is_if_the_disk_is_full() {
    let full = || Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None));
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_new(vec![plain("a", "x"); 2000]);
    let copy = killed(&folder);
    let write_ahead = copy.path().join("journal.sqlite-wal");
    let before = fs::read(&write_ahead).unwrap();
    let never = SystemTime::UNIX_EPOCH;
    fs::File::options().write(true).open(&write_ahead).unwrap().set_modified(never).unwrap();

    let doubt = store::in_doubt(full(), &write_ahead).unwrap();
    assert!(doubt.is_none(), "{doubt:?}");
    assert_eq!(fs::read(&write_ahead).unwrap(), before);
    assert_ne!(fs::metadata(&write_ahead).unwrap().modified().unwrap(), never);

    // Where that fails nothing may follow it.
    let doubt = store::in_doubt(full(), &copy.path().join("missing")).unwrap();
    assert!(doubt.is_some());
}

#[test]
fn what_a_killed_run_has_left_is_on_the_disk_before_anything_follows_it() {
    for durability in [Durability::Sync, Durability::Interval] {
        let folder = TempDir::new().unwrap();
        let with =
            |path: &Path| DiskOptions { durability, boot_id: Some("one".into()), ..options(path) };
        let rig = open(with(folder.path()));
        let last = rig.append_texts("a", &["1", "2"])[1];
        let copy = killed(&folder);
        let again = open(with(copy.path()));
        // Whatever of the write-ahead file is on the disk: nothing needs it.
        assert_eq!(newest_in_main_file(copy.path()), last.get(), "{durability:?}");
        assert_eq!(again.texts("a"), ["1", "2"]);
    }
}
