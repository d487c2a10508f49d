//! Searching a byte stream, as it comes in pieces, for a mark and the few bytes that follow it.
//!
//! A load generator that parsed all that it receives would measure itself.

use memchr::memmem::Finder;

/// Bytes of a piece's end that may have to be looked at again with the next piece.
pub(crate) const CARRY_BYTES_MAX: usize = 64;

/// A mark, and how many bytes of value follow it.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    finder: Finder<'static>,
    value_bytes: usize,
}

impl Marker {
    pub(crate) fn new(mark: &str, value_bytes: usize) -> Self {
        assert!(mark.len() + value_bytes <= CARRY_BYTES_MAX, "a mark fits into what is carried");
        Self { finder: Finder::new(mark).into_owned(), value_bytes }
    }

    /// Where the first mark ends.
    pub(crate) fn find_end(&self, bytes: &[u8]) -> Option<usize> {
        Some(self.finder.find(bytes)? + self.finder.needle().len())
    }

    /// How many bytes are done with where there is no mark in them: an end may begin one.
    pub(crate) fn done_without(&self, bytes: &[u8]) -> usize {
        bytes.len().saturating_sub(self.finder.needle().len() - 1)
    }

    /// Calls `on_value` for each mark. Returns how many bytes are done with; the rest, fewer than
    /// [`CARRY_BYTES_MAX`], belongs in front of the next piece.
    pub(crate) fn scan(&self, bytes: &[u8], mut on_value: impl FnMut(&[u8])) -> usize {
        let mut done = 0;
        while let Some(mark_end) = self.find_end(&bytes[done..]) {
            let value = done + mark_end;
            let end = value + self.value_bytes;
            if end > bytes.len() {
                return value - self.finder.needle().len();
            }
            on_value(&bytes[value..end]);
            done = end;
        }
        done + self.done_without(&bytes[done..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_however_the_stream_is_cut() {
        let marker = Marker::new("at:", 2);
        let stream = b"at:11 aat:22at at:33 a";
        for piece_bytes in 1..=stream.len() {
            let (mut carried, mut found) = (Vec::new(), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                carried.extend_from_slice(piece);
                let done = marker.scan(&carried, |value| found.push(value.to_vec()));
                carried.drain(..done);
                assert!(carried.len() < CARRY_BYTES_MAX);
            }
            assert_eq!(found, [b"11", b"22", b"33"], "pieces of {piece_bytes}");
        }
    }
}
