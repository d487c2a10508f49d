//! Searching a byte stream, as it comes in pieces, for a mark and the few bytes that follow it.
//!
//! A load generator that parsed all that it receives would measure itself.

use memchr::memmem::Finder;

/// Bytes of a piece's end that may have to be looked at again with the next piece.
pub(super) const CARRY_BYTES_MAX: usize = 64;

/// A mark, and how many bytes of value follow it.
#[derive(Clone, Debug)]
pub(super) struct Marker {
    finder: Finder<'static>,
    value_bytes: usize,
}

impl Marker {
    pub(super) fn new(mark: &str, value_bytes: usize) -> Self {
        assert!(mark.len() + value_bytes <= CARRY_BYTES_MAX, "a mark fits into what is carried");
        Self { finder: Finder::new(mark).into_owned(), value_bytes }
    }

    /// Calls `on_value` for each mark. Returns how many bytes are done with; the rest, fewer than
    /// [`CARRY_BYTES_MAX`], belongs in front of the next piece.
    pub(super) fn scan(&self, bytes: &[u8], mut on_value: impl FnMut(&[u8])) -> usize {
        let mark_bytes = self.finder.needle().len();
        let mut done = 0;
        while let Some(at) = self.finder.find(&bytes[done..]) {
            let value = done + at + mark_bytes;
            let end = value + self.value_bytes;
            if end > bytes.len() {
                return done + at;
            }
            on_value(&bytes[value..end]);
            done = end;
        }
        done.max(bytes.len().saturating_sub(mark_bytes - 1))
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
