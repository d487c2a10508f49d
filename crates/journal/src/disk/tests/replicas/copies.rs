//! Copies of a replica that take the place of another one.

use std::fs;
use std::io;
use std::path::Path;

use bellwire_model::Epoch;
use tempfile::TempDir;

use super::{apply, apply_all, commit, options, replica};
use crate::contract::fences::fenced;
use crate::contract::records::texts;
use crate::contract::replicas::Commit;
use crate::contract::state::values_after;
use crate::contract::{Rig, change, keyed, plain};
use crate::disk::snapshot::{Arrival, Snapshot};
use crate::disk::tests::killed;
use crate::disk::{DiskJournal, DiskOptions, schema};
use crate::{Error, Journal};

fn all(place: u64) -> Commit {
    let number = place.to_string();
    Commit {
        records: vec![(format!("r{}", place % 3), Some(number.clone()))],
        ..commit(
            place,
            vec![
                keyed(&format!("t/{}", place % 5), &format!("k{place}"), 0),
                fenced(plain("a", &number), ("p", 0, place - 1)),
                change("s", &format!("{}", place % 7), Some(&number)),
            ],
        )
    }
}

/// Has the copy arrive in a folder.
fn send(snapshot: Snapshot, folder: &Path) -> Result<Arrival, Error> {
    let Snapshot { mut file, bytes, .. } = snapshot;
    let mut arrival = Arrival::begin(folder, bytes)?;
    assert_eq!(io::copy(&mut file, arrival.file()).expect("copied"), bytes);
    Ok(arrival)
}

/// All that a replica tells of what it has.
fn told(journal: &DiskJournal, rig: &Rig) -> impl PartialEq + std::fmt::Debug + use<> {
    let events: Vec<String> = rig.read_all("**").iter().map(|entry| format!("{entry:?}")).collect();
    let values = format!("{:?}", values_after(rig, bellwire_model::Offset::ZERO));
    (journal.epoch(), journal.bounds(), events, values, texts(journal, ""))
}

fn leftovers(folder: &TempDir) -> bool {
    let files = fs::read_dir(folder.path().join(super::super::super::snapshot::FOLDER));
    files.is_ok_and(|mut files| files.next().is_some())
}

#[test]
fn a_copy_takes_the_place_of_another_replica_and_goes_on_as_the_one_that_it_is_of() {
    let [from, to] = [(); 2].map(|()| TempDir::new().unwrap());
    let (source, source_rig) = replica(options(from.path()));
    apply_all(&source, (1..=40).map(all));
    // Of another epoch, and with something of its own.
    let theirs = DiskOptions { fresh_epoch: Epoch::new(8), ..options(to.path()) };
    let (old, _) = replica(theirs.clone());
    apply_all(&old, (1..=3).map(all));
    drop(old);

    let snapshot = source.snapshot().expect("copied");
    assert_eq!((snapshot.epoch, snapshot.tail), (source.epoch(), source.bounds().tail));
    assert_eq!(snapshot.bytes, snapshot.file.metadata().unwrap().len());
    let as_of = told(&source, &source_rig);
    // What comes behind it is not in it.
    apply_all(&source, (41..=44).map(all));
    let tail = send(snapshot, to.path()).unwrap().install(Epoch::new(7)).expect("installed");
    let (copy, rig) = replica(theirs);
    assert_eq!(copy.bounds().tail, tail);
    assert_eq!(told(&copy, &rig), as_of);
    // What was known counts on: the same place again, the same keys and producers.
    for place in 38..=50 {
        let (first, second) = (apply(&source, &all(place)), apply(&copy, &all(place)));
        if place > 44 {
            assert_eq!(format!("{first:?}"), format!("{second:?}"), "{place}");
        }
    }
    assert_eq!(told(&copy, &rig), told(&source, &source_rig));
    source.close().unwrap();
    copy.close().unwrap();
    assert!(!leftovers(&from) && !leftovers(&to));
}

#[test]
fn whoever_is_killed_before_the_copy_is_in_its_place_has_what_there_was() {
    let [from, to] = [(); 2].map(|()| TempDir::new().unwrap());
    let (source, _) = replica(options(from.path()));
    apply_all(&source, (1..=9).map(all));
    let (old, rig) = replica(options(to.path()));
    apply_all(&old, (1..=3).map(all));
    let before = told(&old, &rig);
    old.close().unwrap();
    drop((old, rig));
    let mut arrival = send(source.snapshot().unwrap(), to.path()).unwrap();
    let killed_meanwhile = killed_with_folders(&to);
    io::Write::write_all(arrival.file(), b"more").unwrap();
    // Whoever has the folder keeps all others out.
    assert!(matches!(Arrival::begin(to.path(), 1), Err(Error::Locked { .. })));
    drop(arrival);
    for folder in [&killed_meanwhile, &to] {
        assert!(leftovers(folder));
        let (old, rig) = replica(options(folder.path()));
        assert_eq!(told(&old, &rig), before);
        assert!(!leftovers(folder), "it goes with the next start");
    }
}

fn killed_with_folders(folder: &TempDir) -> TempDir {
    let copy = killed(folder);
    let name = super::super::super::snapshot::FOLDER;
    fs::create_dir_all(copy.path().join(name)).unwrap();
    for entry in fs::read_dir(folder.path().join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(name).join(entry.file_name())).unwrap();
    }
    copy
}

#[test]
fn what_is_no_copy_of_this_epoch_takes_no_place() {
    let [from, to] = [(); 2].map(|()| TempDir::new().unwrap());
    let (source, _) = replica(options(from.path()));
    apply_all(&source, (1..=3).map(all));
    let (old, rig) = replica(options(to.path()));
    let before = told(&old, &rig);
    old.close().unwrap();
    drop((old, rig));
    let arrival = send(source.snapshot().unwrap(), to.path()).unwrap();
    let error = arrival.install(Epoch::new(9)).expect_err("it is of another epoch");
    assert!(format!("{error:?}").contains("instead of"), "{error:?}");
    for bytes in [&b""[..], b"of something else, and of some length at least"] {
        let mut arrival = Arrival::begin(to.path(), 1).unwrap();
        io::Write::write_all(arrival.file(), bytes).unwrap();
        let error = arrival.install(Epoch::new(7)).expect_err("it is none");
        assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    }
    let (old, rig) = replica(options(to.path()));
    assert_eq!(told(&old, &rig), before);
    drop(old);
    // A journal that stands alone hands none out.
    let alone = TempDir::new().unwrap();
    let journal =
        DiskJournal::open(options(alone.path()), Box::new(crate::contract::Seen::default()));
    assert!(matches!(journal.unwrap().snapshot(), Err(Error::NoReplica)));
}

#[test]
fn a_copy_that_does_not_fit_is_refused_before_anything_is_written() {
    let to = TempDir::new().unwrap();
    let error = Arrival::begin(to.path(), u64::MAX / 2).expect_err("no disk has so much");
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert!(!to.path().join(schema::FILE).exists());
}
