//! The journal of a server that stood alone becomes a replica: what the nodes of a cluster begin with.
//!
//! ```text
//! journal.sqlite ─┬─ copied ─▶ join.tmp/ ── read to its end, made a replica ─▶ journal.sqlite
//!                 └─ as it was ───────────────────────────────────────────────▶ alone-1/
//! ```
//!
//! It works on a copy, so that whoever is killed before the copy takes its place has changed nothing. Epoch,
//! offsets and all else stay as they are: cursors go on. Events keep their places in dense blocks; those that
//! are applied behind them come into sparse ones, which may stand beside each other in one file.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwire_model::limits::FILTERS_PER_CONNECTION_MAX;
use bellwire_model::{Entry, Epoch, Filter, FilterSet, Offset};

use super::lock::{self, Lock};
use super::names::beside;
use super::originals::Originals;
use super::schema::{self, Applied};
use super::snapshot::check_space;
use super::witness::Witness;
use super::{DiskJournal, DiskOptions, records};
use crate::{Error, Journal, Observer, ReadLimit, Record, RecordChange};

/// What the folders of journals that were converted are called, before a number.
const FOLDER: &str = "alone";

/// Where it works, in the data directory.
const SCRATCH: &str = "join.tmp";

/// How many names of topics are looked at at once.
const TOPICS_LOOKED_AT: usize = 1_000;

/// Whose journal a data directory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// There is none, or nothing was begun in it.
    Nobody,
    /// A server's that stands alone.
    Alone,
    /// A node's of a cluster, in this epoch.
    Node(Epoch),
}

impl Owner {
    /// Whose journal is in a data directory, whether or not a server uses it.
    pub fn of(directory: &Path) -> Result<Self, Error> {
        let file = directory.join(schema::FILE);
        if fs::metadata(&file).map_or(0, |file| file.len()) == 0 {
            return Ok(Self::Nobody);
        }
        let said = || {
            let connection = schema::open_to_read(&file)?;
            let has_tables = matches!(
                schema::Format::of(&connection)?,
                schema::Format::Known | schema::Format::Old(_)
            );
            let epoch = if has_tables { schema::meta(&connection, "epoch")? } else { None };
            Ok(match epoch.map(Epoch::new) {
                None => Self::Nobody,
                Some(epoch) if schema::is_replica(&connection) => Self::Node(epoch),
                Some(_) => Self::Alone,
            })
        };
        said().map_err(|error| Error::sqlite(&file, error))
    }
}

/// What a journal has that is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Its epoch.
    pub epoch: Epoch,
    /// Where it ends.
    pub tail: Offset,
    /// Events of streams.
    pub events: u64,
    /// Keys of state topics that have a value.
    pub values: u64,
    /// Records.
    pub records: u64,
}

/// A copy of a journal on its way to be a replica. Nothing of the journal itself was changed.
#[derive(Debug)]
pub struct Conversion {
    file: PathBuf,
    scratch: PathBuf,
    originals: Originals,
    copy: DiskJournal,
    converted: Converted,
    lock: Lock,
}

/// A replica that can take the place of the journal that it was made of.
#[derive(Debug)]
pub struct ConvertedJournal {
    scratch: PathBuf,
    originals: Originals,
    lock: Lock,
}

impl Conversion {
    /// Copies the journal of a server that stood alone and runs no more, and reads all of it: what is damaged
    /// would be so on each node.
    pub fn begin(options: DiskOptions) -> Result<Self, Error> {
        let directory = options.path.clone();
        let file = directory.join(schema::FILE);
        if !file.exists() {
            return Err(Error::open(&file, io::ErrorKind::NotFound.into()));
        }
        let lock = Lock::take(&directory)?;
        let scratch = directory.join(SCRATCH);
        let of_original = |error| told_of(&file, error);
        let originals =
            copied(&directory, &scratch).inspect_err(|_| tidy(&scratch)).map_err(of_original)?;
        let looked_at = || {
            if let Ok(Owner::Node(_)) = Owner::of(&scratch) {
                return Err(Error::Replica);
            }
            let at_copy = DiskOptions { path: scratch.clone(), ..options };
            let copy = DiskJournal::open(at_copy, Box::new(Unseen))?;
            let converted = read_all(&copy, &file)?;
            Ok((copy, converted))
        };
        let (copy, converted) = looked_at().inspect_err(|_| tidy(&scratch)).map_err(of_original)?;
        Ok(Self { file, scratch, originals, copy, converted, lock })
    }

    /// What it has.
    pub fn converted(&self) -> Converted {
        self.converted
    }

    /// Its records whose keys begin so.
    pub fn records(&self, prefix: &str) -> Result<Vec<Record>, Error> {
        self.copy.records(prefix).map_err(|error| told_of(&self.file, error))
    }

    /// Makes the copy a replica, with these changes of records.
    pub fn finish(self, changes: Vec<RecordChange>) -> Result<ConvertedJournal, Error> {
        let Self { scratch, originals, copy, converted, lock, .. } = self;
        let finished = finish(copy, &scratch, (converted.tail, changes));
        finished.inspect_err(|_| tidy(&scratch))?;
        Ok(ConvertedJournal { scratch, originals, lock })
    }
}

impl ConvertedJournal {
    /// Puts it in the place of the journal, which goes into a folder beside it: that is returned. Whoever is
    /// killed meanwhile finds the one or the other, or what no server takes: then it is begun once more.
    pub fn install(self) -> Result<PathBuf, Error> {
        // Held to the end of this.
        let Self { scratch, originals, lock: _lock } = self;
        let folder = originals.make_way(&scratch).map_err(|error| Error::open(&scratch, error))?;
        tidy(&scratch);
        Ok(folder)
    }
}

/// Copies the files of a journal.
fn copied(directory: &Path, scratch: &Path) -> Result<Originals, Error> {
    let fail = |error: io::Error| Error::open(scratch, error);
    tidy(scratch);
    lock::make(scratch).map_err(fail)?;
    let originals =
        Originals::of(directory, FOLDER).map_err(|error| Error::open(directory, error))?;
    let copy = scratch.join(schema::FILE);
    for suffix in ["", "-wal"] {
        if let Some(from) = originals.database(suffix) {
            let bytes = fs::metadata(&from).map_err(fail)?.len();
            check_space(&copy, bytes)?;
            fs::copy(&from, beside(&copy, suffix)).map_err(fail)?;
        }
    }
    if let Some(testimony) = originals.testimony_put_away() {
        drop(Witness::begin(scratch, testimony)?);
    }
    Ok(originals)
}

/// Reads all that a journal has, and fails where something of it is damaged.
fn read_all(journal: &DiskJournal, file: &Path) -> Result<Converted, Error> {
    let mut events = 0;
    for filters in filters_of_all(journal) {
        let mut after = Offset::ZERO;
        loop {
            let page = journal.read(after, &filters, ReadLimit::PAGE)?;
            events += page.entries.len() as u64;
            if page.lost > 0 {
                let lost = format!("{} events near offset {after} are damaged", page.lost);
                let source = Arc::new(io::Error::new(io::ErrorKind::InvalidData, lost));
                return Err(Error::Corrupt { path: file.into(), source });
            }
            if page.end <= after || page.end >= journal.bounds().tail {
                break;
            }
            after = page.end;
        }
    }
    let (tail, mut after) = (journal.bounds().tail, Offset::ZERO);
    let mut keys = BTreeSet::new();
    while after < tail {
        let page = journal.state(after, ReadLimit::PAGE)?;
        for Entry { event, .. } in page.entries {
            let key = (event.topic.clone(), event.key.clone());
            if event.body.is_some() {
                keys.insert(key)
            } else {
                keys.remove(&key)
            };
        }
        after = page.end;
    }
    let records = journal.records("")?.len() as u64;
    Ok(Converted { epoch: journal.epoch(), tail, events, values: keys.len() as u64, records })
}

/// Filters that match the topics of all streams: some first segments are matched by no wildcard.
fn filters_of_all(journal: &DiskJournal) -> Vec<FilterSet> {
    let mut filters = BTreeSet::from(["**".to_owned()]);
    let any: Filter = "**".parse().expect("a filter");
    let mut after = String::new();
    loop {
        let figures = journal.list_topics("", &after, TOPICS_LOOKED_AT);
        let Some(last) = figures.last() else { break };
        last.topic.as_str().clone_into(&mut after);
        for topic in figures.iter().map(|figures| &figures.topic) {
            if !any.matches(topic) {
                let first = topic.as_str().split('/').next().unwrap_or_default();
                filters.insert(format!("{first}/**"));
            }
        }
    }
    let filters: Vec<Filter> = filters.iter().filter_map(|filter| filter.parse().ok()).collect();
    let sets = filters.chunks(FILTERS_PER_CONNECTION_MAX);
    sets.filter_map(|set| FilterSet::new(set.iter().cloned()).ok()).collect()
}

fn finish(
    copy: DiskJournal,
    scratch: &Path,
    (tail, changes): (Offset, Vec<RecordChange>),
) -> Result<(), Error> {
    let changes = crate::records::gathered(changes)?;
    // All that it has written is in the main file from here on, and the witness says so.
    copy.close()?;
    drop(copy);
    let file = scratch.join(schema::FILE);
    let connection = schema::open_to_write(&file)?;
    let made = || {
        let transaction = schema::begin(&connection)?;
        Applied::nothing(tail).save(&transaction)?;
        records::change(&transaction, &changes)?;
        schema::count_record_change(&transaction)?;
        transaction.commit()
    };
    made().map_err(|error| Error::sqlite(&file, error))?;
    // The last connection takes the write-ahead file along.
    connection.close().map_err(|(_, error)| Error::sqlite(&file, error))?;
    if beside(&file, "-wal").exists() {
        let source = Arc::new(io::Error::from(io::ErrorKind::ResourceBusy));
        return Err(Error::Storage { path: file, source });
    }
    Ok(())
}

/// What is wrong with a copy is so with what it is of.
fn told_of(file: &Path, error: Error) -> Error {
    let path = file.to_owned();
    match error {
        Error::Foreign { .. } => Error::Foreign { path },
        Error::Format { found, known, .. } => Error::Format { path, found, known },
        Error::Less { what, .. } => Error::Less { path, what },
        Error::Witness { what, .. } => Error::Witness { path, what },
        Error::Corrupt { source, .. } => Error::Corrupt { path, source },
        error => error,
    }
}

/// Where it stays, the next try removes it.
fn tidy(scratch: &Path) {
    let _ = fs::remove_dir_all(scratch);
}

/// Nobody looks.
struct Unseen;

impl Observer for Unseen {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}
