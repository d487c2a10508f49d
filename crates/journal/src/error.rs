//! What can go wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwire_model::limits::{
    APPENDS_QUEUED_MAX, ENDED_TOPICS_BYTES_MAX, RECORD_BYTES_MAX, RECORDS_BYTES_MAX, RECORDS_MAX,
    TOPICS_MAX,
};
use bellwire_model::{Coded, Offset};
use thiserror::Error;

use crate::fences::Fenced;

/// What lies beneath an [`enum@Error`]; shared, because one failed commit fails many appends.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// What has to be so of a batch, and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Which append of the batch asks it.
    pub index: usize,
    /// What was found.
    pub found: Found,
}

/// What was found instead: of a key whose condition does not hold, or of a topic or a producer of an
/// append that has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has another value: where that is.
    At(Offset),
    /// There is no such key.
    Nothing,
    /// An append before it in the batch has changed it, so that nobody knows its version yet.
    Again,
    /// The topic has ended: there, or with an append before it in the batch.
    Ended(Option<Offset>),
    /// Its fence keeps it out.
    Fenced(Fenced),
}

/// Why a journal did not do what it was asked to.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Too much waits for the writer. Nothing was queued: publish again in a moment.
    #[error("the journal is busy: {APPENDS_QUEUED_MAX} appends, or too many bytes, wait for it")]
    Busy,
    /// The journal was closed, or its writer has died.
    #[error("the journal is closed")]
    Closed,
    /// What is appended is put in order elsewhere, and what does that is away, or takes nothing. What
    /// was appended may be there or not.
    #[error("{0}")]
    Away(Cause),
    /// The same, and nothing of what was to be appended has been sent there.
    #[error("{0}")]
    Refused(Cause),
    /// The journal was closed while this was under way. What was appended may be there or not.
    #[error("the journal was closed before it has answered")]
    Unanswered,
    /// The batch would bring more topics than [`TOPICS_MAX`].
    #[error("the journal has events of {TOPICS_MAX} topics and takes no further one")]
    TooManyTopics,
    /// Something is not as it was to be: nothing of the batch was appended.
    #[error("something is not as it was to be")]
    Condition(Unmet),
    /// The batch would have more topics remembered that have ended than there is room for.
    #[error(
        "{ENDED_TOPICS_BYTES_MAX} bytes of topics have ended and are remembered: reopen those whose \
         end need not be remembered any more"
    )]
    TooManyEndedTopics,
    /// There would be more records than [`RECORDS_MAX`], or more bytes of them.
    #[error(
        "the journal keeps at most {RECORDS_MAX} records of {RECORD_BYTES_MAX} bytes each, and \
         {RECORDS_BYTES_MAX} bytes in all"
    )]
    TooManyRecords,
    /// The journal is a replica of an order that is made elsewhere, and takes nothing else.
    #[error(
        "the journal is a replica: it takes what the order of its cluster has, and nothing else"
    )]
    Replica,
    /// The journal is no replica.
    #[error("the journal is no replica: it makes its order itself")]
    NoReplica,
    /// It was applied before: what became of it was said then.
    #[error("it was applied before, and what became of it is not known any more")]
    Applied,
    /// What is at this base could not be applied and has to be first.
    #[error("what was placed at offset {missing} has to be applied first")]
    OutOfOrder {
        /// Its base.
        missing: Offset,
    },
    /// Another server uses the data directory.
    #[error(
        "the data directory {} is used by another server{}",
        path.display(),
        pid.map(|pid| format!(", process {pid}")).unwrap_or_default()
    )]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The other server's process, where its lock file tells.
        pid: Option<u32>,
    },
    /// The data directory or a file in it cannot be created, read or written.
    #[error("cannot open the journal at {}{}", path.display(), remedy(path, source))]
    Open {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: Cause,
    },
    /// The file is something else than a journal.
    #[error("{} is not a journal of Bellwire", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer Bellwire.
    #[error("{} has format {found}, this Bellwire knows up to {known}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: i64,
        /// The newest format that this build knows.
        known: i64,
    },
    /// The files have less than what was acknowledged: one is missing or empty, or has lost its end.
    #[error(
        "the journal {} {what}: put back what is missing, or have `bellwire repair` keep what there \
         is",
        path.display()
    )]
    Less {
        /// The file that should have it.
        path: PathBuf,
        /// What is missing.
        what: Box<str>,
    },
    /// The witness is damaged, so that nobody knows how much there has to be.
    #[error(
        "{} {what}: it should tell up to where events were acknowledged; put a whole one back, or \
         have `bellwire repair` keep what the journal has",
        path.display()
    )]
    Witness {
        /// The witness.
        path: PathBuf,
        /// What is wrong with it.
        what: Box<str>,
    },
    /// The file is of a replica, which is not repaired.
    #[error(
        "{} is of a node of a cluster: remove its data directory, and the node fills another from the \
         cluster",
        path.display()
    )]
    Refill {
        /// The file.
        path: PathBuf,
    },
    /// The file contradicts itself: a faulty disk, or a foreign hand.
    #[error(
        "the journal {} is damaged: `bellwire repair` keeps what of it is whole",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: Cause,
    },
    /// The disk is full. Nothing was appended; appends work again once there is space.
    #[error("no space is left on the disk of {}", path.display())]
    Full {
        /// The file that cannot grow.
        path: PathBuf,
        /// What the system said.
        source: Cause,
    },
    /// A file of the journal was removed, replaced or moved away while it was open. Nothing more
    /// is acknowledged until it is back in its place.
    #[error(
        "{} was removed, replaced or moved away under the running server: what is published would \
         be gone with it; put the file back, or restart the server to begin with what is there",
        path.display()
    )]
    Displaced {
        /// The file as it was opened.
        path: PathBuf,
    },
    /// Another program has written into the file, so what memory knows of it is no longer true.
    #[error(
        "another program has written into the journal {}: restart the server, which reads it anew",
        path.display()
    )]
    Meddled {
        /// The file.
        path: PathBuf,
    },
    /// What was written could not be synced to the disk. Nothing is taken until everything is in
    /// the main file and that is synced, which is tried again and again.
    #[error(
        "the journal {} cannot be synced to the disk: nothing is taken until all that it has is",
        path.display()
    )]
    Unsynced {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Cause,
    },
    /// Reading or writing failed.
    #[error("cannot read or write the journal {}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Cause,
    },
}

/// What keeps `path` from being a directory: something else, there or above it.
pub fn in_the_way(path: &Path) -> Option<&Path> {
    let nearest = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    nearest.filter(|nearest| !nearest.is_dir())
}

/// What is wrong where a file cannot be opened or made, and what to do.
fn remedy(path: &Path, source: &Cause) -> String {
    use io::ErrorKind;

    const OTHER: &str = "name another directory with `--data`";
    let Some(error) = source.downcast_ref::<io::Error>() else { return String::new() };
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => match in_the_way(path) {
            Some(file) if file.is_symlink() && !file.exists() => {
                format!(": {} is a link to nothing; {OTHER}", file.display())
            }
            Some(file) => format!(": {} is no directory; {OTHER}", file.display()),
            None => String::new(),
        },
        ErrorKind::PermissionDenied => {
            format!(": this user may not read and write there; let them (`chown`), or {OTHER}")
        }
        ErrorKind::NotFound => format!(": there is none; {OTHER}"),
        ErrorKind::ReadOnlyFilesystem => format!(": nothing can be written there; {OTHER}"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!(": its disk is full; make room, or {OTHER}")
        }
        _ => format!(": {OTHER}"),
    }
}

impl Error {
    /// A failure to get at `path`.
    pub(crate) fn open(path: &Path, source: io::Error) -> Self {
        Self::Open { path: path.to_owned(), source: Arc::new(source) }
    }

    /// What the database's error means for the journal at `path`.
    pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;

        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path, source: Arc::new(error) },
            Some(ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::Open { path, source: Arc::new(error) }
            }
            // Without a code it is a value that the schema does not allow.
            Some(ErrorCode::DatabaseCorrupt) | None => {
                Self::Corrupt { path, source: Arc::new(error) }
            }
            Some(_) => Self::Storage { path, source: Arc::new(error) },
        }
    }
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Busy => "publishers_busy",
            Self::Closed | Self::Unanswered => "draining",
            Self::TooManyTopics => "topics_exhausted",
            Self::Condition(Unmet { found: Found::Ended(_), .. }) => "topic_ended",
            Self::Condition(_) => "condition_failed",
            Self::TooManyEndedTopics => "ended_topics_exhausted",
            Self::TooManyRecords => "records_exhausted",
            Self::Full { .. } => "journal_full",
            _ => "journal_unavailable",
        }
    }

    fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::TooManyTopics
            | Self::TooManyEndedTopics
            | Self::TooManyRecords
            | Self::Condition(_) => None,
            Self::Busy | Self::Closed | Self::Unanswered => Some(1),
            Self::Full { .. } => Some(30),
            _ => Some(5),
        }
    }

    /// A commit that fails half-way may be there once the disk is read again.
    fn may_be_taken(&self) -> bool {
        matches!(
            self,
            Self::Away(_)
                | Self::Unanswered
                | Self::Storage { .. }
                | Self::Unsynced { .. }
                | Self::Displaced { .. }
                | Self::Meddled { .. }
                | Self::Corrupt { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_says_what_is_wrong_and_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "").expect("written");
        std::os::unix::fs::symlink("/nowhere/at/all", &link).expect("linked");
        let free = folder.path().join("free");
        let cases = [
            (file.clone(), io::ErrorKind::AlreadyExists, "/file is no directory; "),
            (file.join("below"), io::ErrorKind::NotADirectory, "/file is no directory; "),
            (link.join("below"), io::ErrorKind::AlreadyExists, "/link is a link to nothing; "),
            (free.clone(), io::ErrorKind::PermissionDenied, "this user may not "),
            (free.clone(), io::ErrorKind::NotFound, "there is none; "),
            (free.clone(), io::ErrorKind::ReadOnlyFilesystem, "nothing can be written "),
            (free.clone(), io::ErrorKind::StorageFull, "its disk is full; make room, "),
            (free.clone(), io::ErrorKind::InvalidFilename, ""),
        ];
        for (path, kind, expected) in cases {
            let text = Error::open(&path, kind.into()).to_string();
            let start = format!("cannot open the journal at {}: ", path.display());
            assert!(text.starts_with(&start), "{text}");
            assert!(text.contains(expected), "{text}");
            assert!(text.ends_with("another directory with `--data`"), "{text}");
        }
        assert_eq!(in_the_way(&free), None);
        assert_eq!(in_the_way(&file.join("below")), Some(&*file));
    }
}
