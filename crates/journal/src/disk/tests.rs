//! What only the disk engine promises.

mod converting;
mod damage;
mod ending;
mod expiring;
mod faults;
mod fences;
mod mending;
mod oracle;
mod places;
mod reopening;
mod repairing;
mod replicas;
mod retaining;
mod snapshot;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bellwire_model::Epoch;
use tempfile::TempDir;

use super::bounds::StoreBounds;
use super::{DiskJournal, DiskOptions, Durability, schema, witness};
use crate::contract::{self, Rig, Seen};
use crate::{ClockReading, Error};

#[test]
fn keeps_the_contract() {
    for durability in [Durability::Sync, Durability::Interval] {
        let mut folders = Vec::new();
        contract::run_all(&mut |retention, observer| {
            let folder = TempDir::new().unwrap();
            let options = DiskOptions { durability, retention, ..options(folder.path()) };
            folders.push(folder);
            Box::new(DiskJournal::open(options, observer).unwrap())
        });
    }
}

#[test]
fn a_replica_keeps_the_contract() {
    for durability in [Durability::Sync, Durability::Interval] {
        let mut folders = Vec::new();
        contract::run_all_of_replicas(&mut |retention, observer| {
            let folder = TempDir::new().unwrap();
            let options = DiskOptions { durability, retention, ..options(folder.path()) };
            folders.push(folder);
            Arc::new(DiskJournal::open_replica(options, observer, &mut ()).unwrap())
        });
    }
}

fn options(path: &Path) -> DiskOptions {
    DiskOptions {
        path: path.to_owned(),
        durability: Durability::Sync,
        retention: Vec::new(),
        state_places: String::new(),
        fresh_epoch: Epoch::new(7),
        boot_id: None,
        now: ClockReading::default(),
        bounds: StoreBounds::default(),
    }
}

fn open(options: DiskOptions) -> Rig {
    try_open(options).expect("the journal opens")
}

fn try_open(options: DiskOptions) -> Result<Rig, Error> {
    let seen = Seen::default();
    let journal = DiskJournal::open(options, Box::new(seen.clone()))?;
    Ok(Rig { journal: Arc::new(journal), seen })
}

/// The files as they would be found had the process been killed just now.
fn killed(folder: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    for name in [schema::FILE, "journal.sqlite-wal", witness::FILE] {
        let from = folder.path().join(name);
        if from.exists() {
            fs::copy(from, copy.path().join(name)).unwrap();
        }
    }
    copy
}
