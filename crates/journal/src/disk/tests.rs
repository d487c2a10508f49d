//! What only the disk engine promises.

use std::path::Path;

use bellwire_model::{Epoch, Timestamp};
use tempfile::TempDir;

use super::{DiskJournal, DiskOptions, Durability};
use crate::contract;

fn options(path: &Path) -> DiskOptions {
    DiskOptions {
        path: path.to_owned(),
        durability: Durability::Sync,
        retention: Vec::new(),
        fresh_epoch: Epoch::new(7),
        boot_id: None,
        now: Timestamp::from_ms(0),
        bounds: Default::default(),
    }
}

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
