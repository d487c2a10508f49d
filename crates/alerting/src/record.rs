//! Records: what the rules' log has of a stretch of time, in one file, to be replayed elsewhere.
//!
//! ```text
//! bellwire-record\n   what it is
//! frame H             the header, JSON
//! frame B, frames C   the checkpoint of a start, in pieces
//! frames L            the log behind it; B and C again where a process has begun anew
//! frame E             the end, JSON: what lacks it was cut
//! ```
//!
//! A frame is as in the rules' log: length and CRC-32, then its content, which begins with its letter.
//! A record is written from the files of a server, be it running or not, and neither writing nor
//! reading holds more of it than a frame.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::io;

use bellwire_model::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::reader::RecordReader;
pub use self::writer::{RecordWriter, write_record};

/// With which every record begins.
const MAGIC: &[u8; 16] = b"bellwire-record\n";

/// The version of the format.
const VERSION: u32 = 1;

/// What a frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    Start,
    Checkpoint,
    Log,
    End,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Header, Self::Start, Self::Checkpoint, Self::Log, Self::End];

    fn letter(self) -> u8 {
        match self {
            Self::Header => b'H',
            Self::Start => b'B',
            Self::Checkpoint => b'C',
            Self::Log => b'L',
            Self::End => b'E',
        }
    }

    fn of(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.letter() == letter)
    }
}

/// What a record says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordHeader {
    /// The version of the format.
    pub version: u32,
    /// The version of Bellwire that wrote it.
    pub bellwire: String,
    /// When the log begins, in milliseconds since 1970.
    pub begins_ms: i64,
}

/// How a record ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordEnd {
    /// Frames between header and end.
    pub frames: u64,
    /// When its log ends, in milliseconds since 1970.
    pub ends_ms: i64,
    /// Logs of the server that were broken: what came behind is missing.
    pub broken: u64,
}

/// Why there is no record, or why it cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file is something else.
    #[error("it is no record of `bellwire record`")]
    NoRecord,
    /// A newer Bellwire wrote it.
    #[error(
        "it is of version {version} of the format, written by Bellwire {bellwire}; this one reads version {VERSION}"
    )]
    Newer {
        /// The version of its format.
        version: u32,
        /// The version of the program.
        bellwire: String,
    },
    /// Its end is missing.
    #[error(
        "it is cut at byte {at}: its end is missing. Copy it again, or write it anew with `bellwire record`"
    )]
    Cut {
        /// Where the first frame begins that is not whole.
        at: u64,
    },
    /// It has other bytes than were written.
    #[error("it is damaged at byte {at}. Copy it again, or write it anew with `bellwire record`")]
    Damaged {
        /// Where the first frame begins that is not whole.
        at: u64,
    },
    /// The folder has no rules' log.
    #[error(
        "nothing is recorded there: a server keeps the rules' log in `rules` of its data directory"
    )]
    Nothing,
    /// All that is kept is later.
    #[error("what is recorded begins at {}, after what is asked for", .0.rfc3339())]
    BeginsLater(Timestamp),
    /// All that is kept is earlier.
    #[error("what is recorded ends at {}, before what is asked for", .0.rfc3339())]
    EndsEarlier(Timestamp),
    /// The disk, or whoever takes the record.
    #[error(transparent)]
    Io(#[from] io::Error),
}
