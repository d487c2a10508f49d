//! What can go wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwire_model::Coded;
use bellwire_model::limits::{
    APPENDS_QUEUED_MAX, RECORD_BYTES_MAX, RECORDS_BYTES_MAX, RECORDS_MAX, TOPICS_MAX,
};
use thiserror::Error;

/// What lies beneath an [`enum@Error`]; shared, because one failed commit fails many appends.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

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
    /// The batch would bring more topics than [`TOPICS_MAX`].
    #[error("the journal has events of {TOPICS_MAX} topics and takes no further one")]
    TooManyTopics,
    /// There would be more records than [`RECORDS_MAX`], or more bytes of them.
    #[error(
        "the journal keeps at most {RECORDS_MAX} records of {RECORD_BYTES_MAX} bytes each, and \
         {RECORDS_BYTES_MAX} bytes in all"
    )]
    TooManyRecords,
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
    #[error("cannot open the journal at {}", path.display())]
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
            Self::Closed => "draining",
            Self::TooManyTopics => "topics_exhausted",
            Self::TooManyRecords => "records_exhausted",
            Self::Full { .. } => "journal_full",
            _ => "journal_unavailable",
        }
    }

    fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::TooManyTopics | Self::TooManyRecords => None,
            Self::Busy | Self::Closed => Some(1),
            Self::Full { .. } => Some(30),
            _ => Some(5),
        }
    }
}
