//! Repair: what is whole of a damaged journal goes into a new one, behind a new epoch.
//!
//! It works on a copy, so that the damaged files stay as they are until the new ones take their
//! place; then they are in a folder beside them. Whoever had a cursor gets a gap.

mod first_page;
mod salvage;
mod values;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwire_model::{Epoch, Offset};
use rusqlite::Connection;

use super::lock::{self, Lock};
use super::names::beside;
use super::originals::Originals;
use super::schema;
use super::witness::{self, State, Testimony, Witness};
use crate::Error;

/// What the folders of damaged files are called, before a number.
const FOLDER: &str = "damaged";

/// How the damaged database could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairSource {
    /// As it was.
    AsItWas,
    /// With the first page of a new one, which tells where everything is: its own is lost, for this
    /// reason.
    WithNewFirstPage(Box<str>),
    /// Not at all, for this reason: nothing of it is kept.
    Unreadable(Box<str>),
}

/// What became of a journal that was repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Events that were whole, and are kept.
    pub events: u64,
    /// Events that were damaged or are missing, as far as the file still told.
    pub events_lost: u64,
    /// From which to which offset something could not be read, at most a hundred of these.
    pub unreadable: Vec<(Offset, Offset)>,
    /// Topics that are kept.
    pub topics: u64,
    /// Changes of state topics that are kept: of each key the newest, and some that it replaced.
    pub values: u64,
    /// Those that were damaged, as far as they could be counted.
    pub values_lost: u64,
    /// Records that are kept: silences, acknowledgements, posted alerts.
    pub records: u64,
    /// Transactions that changed records and are lost.
    pub record_changes_lost: u64,
    /// Records that were damaged, as far as they could be counted.
    pub records_lost: u64,
    /// Whether the witness could tell how much there has to be. Where it is missing or damaged
    /// itself, more may be lost than is said.
    pub is_witnessed: bool,
    /// Idempotency keys that are kept.
    pub keys: u64,
    /// How the damaged database could be read.
    pub source: RepairSource,
    /// The epoch that begins.
    pub epoch: Epoch,
    /// Where the damaged files are.
    pub damaged_files: PathBuf,
}

/// Repairs the journal in a data directory that no server uses. `fresh_epoch` is a random number.
pub fn repair(directory: &Path, fresh_epoch: Epoch) -> Result<Repaired, Error> {
    let file = directory.join(schema::FILE);
    let wal = beside(&file, "-wal");
    if ![&file, &wal, &directory.join(witness::FILE)].into_iter().any(|path| path.exists()) {
        return Err(Error::open(&file, io::ErrorKind::NotFound.into()));
    }
    let _lock = Lock::take(directory)?;
    let scratch = directory.join("repair.tmp");
    let repaired = repair_in(&scratch, directory, fresh_epoch);
    // Where it stays, the next repair removes it.
    let _ = fs::remove_dir_all(&scratch);
    repaired
}

fn repair_in(scratch: &Path, directory: &Path, fresh_epoch: Epoch) -> Result<Repaired, Error> {
    let fail = |error: io::Error| Error::open(scratch, error);
    let (old, new) = (scratch.join("old"), scratch.join("new"));
    if scratch.exists() {
        fs::remove_dir_all(scratch).map_err(fail)?;
    }
    [&old, &new].into_iter().try_for_each(|folder| lock::make(folder)).map_err(fail)?;
    let originals =
        Originals::of(directory, FOLDER).map_err(|error| Error::open(directory, error))?;
    let copy = old.join(schema::FILE);
    for suffix in ["", "-wal"] {
        if let Some(from) = originals.database(suffix) {
            fs::copy(&from, beside(&copy, suffix)).map_err(fail)?;
        }
    }
    let testimony = originals.testimony();
    let file = directory.join(schema::FILE);
    let (source, how) = open(&copy, scratch, testimony).map_err(|error| match error {
        // That one is whole, and for somebody else to read.
        Error::Format { found, known, .. } => Error::Format { path: file.clone(), found, known },
        Error::Foreign { .. } => Error::Foreign { path: file.clone() },
        error => error,
    })?;
    if source.as_ref().is_some_and(schema::is_replica) {
        return Err(Error::Refill { path: file });
    }
    let target = new.join(schema::FILE);
    let connection = schema::open_to_write(&target)?;
    let failed = |error| Error::sqlite(&target, error);
    schema::write_carelessly(&connection).map_err(failed)?;
    let salvaged = salvage::run(source.as_ref(), (&connection, testimony), fresh_epoch);
    let (mut repaired, tail) = salvaged.map_err(failed)?;
    schema::use_write_ahead_file(&connection).map_err(failed)?;
    drop(connection);
    let closed = Testimony { state: State::Closed, epoch: repaired.epoch, tail, record_changes: 0 };
    drop(Witness::begin(&new, closed)?);
    repaired.source = how;
    repaired.damaged_files = originals.make_way(&new).map_err(fail)?;
    Ok(repaired)
}

/// Opens the copy of a damaged database.
fn open(
    copy: &Path,
    scratch: &Path,
    testimony: Option<Testimony>,
) -> Result<(Option<Connection>, RepairSource), Error> {
    let is_empty = |suffix| fs::metadata(beside(copy, suffix)).map_or(0, |file| file.len()) == 0;
    let cause = if is_empty("") {
        // SQLite would remove what is beside it.
        "it is missing or empty".into()
    } else {
        match schema::open_to_write(copy) {
            Ok(source) => return Ok((Some(source), RepairSource::AsItWas)),
            Err(Error::Foreign { .. }) if testimony.is_some() => "it does not begin as one".into(),
            Err(Error::Corrupt { source, .. }) => source.to_string().into(),
            Err(error) => return Err(error),
        }
    };
    if is_empty("") && is_empty("-wal") {
        return Ok((None, RepairSource::Unreadable(cause)));
    }
    first_page::replace(copy, scratch)?;
    match schema::open_to_write(copy) {
        Ok(source) => Ok((Some(source), RepairSource::WithNewFirstPage(cause))),
        Err(Error::Foreign { .. } | Error::Corrupt { .. }) => {
            Ok((None, RepairSource::Unreadable(cause)))
        }
        Err(error) => Err(error),
    }
}
