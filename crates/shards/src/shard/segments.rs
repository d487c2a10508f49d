//! Compressed runs of events, shared by all connections that need the same.
//!
//! Connections that follow the same and have the same get the same run of events in one write. It
//! is compressed for the first of them; the others get its bytes.

use std::hash::{Hash, Hasher};

use bellwire_hub::Arrival;
use bellwire_model::Offset;
use bellwire_model::limits::GZIP_SEGMENTS_MAX;
use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHasher};

use crate::form::HttpForm;
use crate::frames::{self, Frames, Mark};

/// One event of a write, and what the subscriber has once it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) frames: &'a Frames,
    pub(super) upto: Upto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Upto {
    Entry(Offset, Mark),
    Value(Arrival, Mark),
    /// The past of a series, by a number of its own.
    Past(u64),
}

impl Piece<'_> {
    pub(super) fn mark(&self) -> Mark {
        match self.upto {
            Upto::Entry(_, mark) | Upto::Value(_, mark) => mark,
            Upto::Past(_) => Mark::Plain,
        }
    }
}

/// The newest runs of a shard.
#[derive(Debug, Default)]
pub(super) struct Segments {
    by_hash: FxHashMap<u64, Segment>,
}

/// One run. Offsets and arrivals say what an event is, whatever lane it came by.
#[derive(Debug)]
struct Segment {
    form: HttpForm,
    run: Vec<Upto>,
    bytes: Bytes,
}

impl Segments {
    /// These events as one piece of a gzip stream.
    pub(super) fn segment(&mut self, form: HttpForm, pieces: &[Piece<'_>]) -> Bytes {
        let mut hasher = FxHasher::default();
        for piece in pieces {
            piece.upto.hash(&mut hasher);
        }
        let hash = hasher.finish();
        if let Some(known) = self.by_hash.get(&hash)
            && known.form == form
            && known.run.iter().eq(pieces.iter().map(|piece| &piece.upto))
        {
            return known.bytes.clone();
        }
        let parts: Vec<&[u8]> =
            pieces.iter().map(|it| it.frames.payload(form.encoding, it.mark())).collect();
        let bytes = form.frame(&frames::gzip_segment(&parts));
        if self.by_hash.len() >= GZIP_SEGMENTS_MAX {
            self.by_hash.clear();
        }
        let run = pieces.iter().map(|piece| piece.upto).collect();
        self.by_hash.insert(hash, Segment { form, run, bytes: bytes.clone() });
        bytes
    }

    /// Lets go of all of them: nobody is being written to.
    pub(super) fn clear(&mut self) {
        if !self.by_hash.is_empty() {
            self.by_hash = FxHashMap::default();
        }
    }
}
