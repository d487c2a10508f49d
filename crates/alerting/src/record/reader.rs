//! From a record to its pieces.

use std::fmt;
use std::io::{self, Read};

use bellwire_model::limits::RECORD_FRAME_BYTES_MAX;
use bellwire_rules::replay::Piece;

use super::{Kind, MAGIC, RecordEnd, RecordError, RecordHeader, VERSION};
use crate::log_files::{Frames, Next};

/// Reads a record, a frame at a time.
pub struct RecordReader<R> {
    frames: Frames<R>,
    length: u64,
    header: RecordHeader,
    /// Frames so far.
    count: u64,
    end: Option<RecordEnd>,
}

impl<R: Read> RecordReader<R> {
    /// Reads the header of a record of so many bytes.
    pub fn open(mut reader: R, length: u64) -> Result<Self, RecordError> {
        let mut magic = [0; MAGIC.len()];
        match reader.read_exact(&mut magic) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(RecordError::NoRecord);
            }
            result => result?,
        }
        if magic != *MAGIC {
            return Err(RecordError::NoRecord);
        }
        let behind = length.saturating_sub(MAGIC.len() as u64);
        let mut frames = Frames::new(reader, behind, RECORD_FRAME_BYTES_MAX);
        let at = MAGIC.len() as u64;
        let header: RecordHeader = match frames.next()? {
            Next::Frame([b'H', json @ ..]) => {
                serde_json::from_slice(json).map_err(|_| RecordError::Damaged { at })?
            }
            Next::Cut | Next::End => return Err(RecordError::Cut { at }),
            Next::Frame(_) | Next::Damaged => return Err(RecordError::Damaged { at }),
        };
        if header.version != VERSION {
            let RecordHeader { version, bellwire, .. } = header;
            return Err(RecordError::Newer { version, bellwire });
        }
        Ok(Self { frames, length, header, count: 0, end: None })
    }

    /// What it says of itself.
    pub fn header(&self) -> &RecordHeader {
        &self.header
    }

    /// How it ends, once that has been read.
    pub fn end(&self) -> Option<RecordEnd> {
        self.end
    }

    /// Where the next frame begins.
    pub fn at(&self) -> u64 {
        self.length - self.frames.left()
    }

    /// The next piece; nothing at the end, behind which it is not called.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, RecordError> {
        let at = self.at();
        let damaged = Err(RecordError::Damaged { at });
        let kind = match self.frames.next()? {
            Next::Frame(content) => content.first().copied().and_then(Kind::of),
            Next::Cut | Next::End => return Err(RecordError::Cut { at }),
            Next::Damaged => return damaged,
        };
        if kind == Some(Kind::End) {
            return self.finish(at).map(|()| None);
        }
        self.count += 1;
        let content = &self.frames.content()[1..];
        match kind {
            Some(Kind::Start) => Ok(Some(Piece::Start(content))),
            Some(Kind::Checkpoint) => Ok(Some(Piece::Checkpoint(content))),
            Some(Kind::Log) => Ok(Some(Piece::Log(content))),
            _ => damaged,
        }
    }

    /// Reads the last frame, which begins at `at`; nothing may stand behind it.
    fn finish(&mut self, at: u64) -> Result<(), RecordError> {
        let told: Option<RecordEnd> = serde_json::from_slice(&self.frames.content()[1..]).ok();
        let told = told.filter(|told| told.frames == self.count);
        self.end = Some(told.ok_or(RecordError::Damaged { at })?);
        let at = self.at();
        if at == self.length { Ok(()) } else { Err(RecordError::Damaged { at }) }
    }
}

impl<R> fmt::Debug for RecordReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordReader").field("header", &self.header).finish_non_exhaustive()
    }
}
