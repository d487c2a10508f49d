//! Whoever follows, and holds what is handed on to the promise: each batch once, in order.

use std::time::Duration;

use super::waiting::{until, within};
use crate::{Ended, Entry, Following, Position};

/// Batches that begin so are there to see whether a handle works again, and are read past.
pub(super) const PROBE: &str = "probe";

/// How long a following may wait in one call.
const PATIENCE: Duration = Duration::from_millis(200);

/// What one call may hand on at most: memory is bounded.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A following, and what it has handed on.
pub(super) struct Reader {
    following: Option<Box<dyn Following>>,
    after: Position,
    seen: Vec<Entry>,
}

impl Reader {
    pub(super) fn new(following: Box<dyn Following>, after: Position) -> Self {
        Self { following: Some(following), after, seen: Vec::new() }
    }

    /// The place up to which it has handed on everything.
    pub(super) fn after(&self) -> Position {
        self.after
    }

    pub(super) fn seen(&self) -> &[Entry] {
        &self.seen
    }

    pub(super) fn positions(&self) -> Vec<Position> {
        self.seen.iter().map(|entry| entry.position).collect()
    }

    /// What it has handed on, but for probes.
    pub(super) fn texts(&self) -> Vec<String> {
        let text = |entry: &Entry| String::from_utf8_lossy(&entry.batch).into_owned();
        self.seen.iter().map(text).filter(|text| !text.starts_with(PROBE)).collect()
    }

    /// Calls once. Returns how many batches there were.
    #[track_caller]
    pub(super) fn next(&mut self) -> Result<usize, Ended> {
        let mut following = self.following.take().expect("nobody else calls meanwhile");
        let (following, result) = within("a following returns", move || {
            let result = following.next(PATIENCE);
            (following, result)
        });
        self.following = Some(following);
        let entries = result?;
        let bytes: usize = entries.iter().map(|entry| entry.batch.len()).sum();
        assert!(bytes <= PAGE_BYTES_MAX, "{bytes} bytes at once are too many");
        for entry in &entries {
            let position = entry.position;
            assert!(position > self.after, "{position} is handed on behind {}", self.after);
            self.after = position;
        }
        let count = entries.len();
        self.seen.extend(entries);
        Ok(count)
    }

    /// Reads until what is at this place was handed on, without an end before that.
    #[track_caller]
    pub(super) fn read_to(&mut self, position: Position) {
        if let Some(ended) = self.read_to_or_end(position) {
            panic!("ended before {position}: {ended:?}");
        }
    }

    /// Reads until what is at this place was handed on, or until it ends.
    #[track_caller]
    pub(super) fn read_to_or_end(&mut self, position: Position) -> Option<Ended> {
        until(format!("what is at {position} is handed on"), || {
            while self.after < position {
                match self.next() {
                    Ok(0) => return Err(format!("nothing comes behind {}", self.after)),
                    Ok(_) => {}
                    Err(ended) => return Ok(Some(ended)),
                }
            }
            Ok(None)
        })
    }

    /// Reads until it ends; behind its end nothing comes.
    #[track_caller]
    pub(super) fn end(&mut self) -> Ended {
        self.end_without("what nobody appends")
    }

    /// Reads until it ends, without having handed on a batch that begins so.
    #[track_caller]
    pub(super) fn end_without(&mut self, begin: &str) -> Ended {
        let ended = until("the following ends", || match self.next() {
            Ok(_) => {
                let later =
                    self.seen.iter().find(|entry| entry.batch.starts_with(begin.as_bytes()));
                assert!(later.is_none(), "it has gone on with {later:?}");
                Err(format!("it has gone on up to {}", self.after))
            }
            Err(ended) => Ok(ended),
        });
        assert!(!matches!(self.next(), Ok(1..)), "something comes behind the end");
        ended
    }
}
