//! What is read of answers, and the room that all of it has together.

use std::io::Read;
use std::sync::Arc;

use bellwire_model::limits::SCRAPE_BODIES_BYTES_MAX;
use flate2::read::MultiGzDecoder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::FetchError;

/// Bytes of one place.
const PLACE_BYTES: usize = 4096;
/// Bytes that are inflated at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// The room for all bodies that are read at a time.
#[derive(Debug)]
pub(in super::super) struct Capacity(Arc<Semaphore>);

impl Default for Capacity {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SCRAPE_BODIES_BYTES_MAX / PLACE_BYTES)))
    }
}

/// A body as far as it is read.
#[derive(Debug)]
pub(in super::super) struct Body {
    bytes: Vec<u8>,
    bytes_max: usize,
    room: Arc<Capacity>,
    places: Vec<OwnedSemaphorePermit>,
}

impl Body {
    pub(super) fn new(room: &Arc<Capacity>, bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, room: Arc::clone(room), places: Vec::new() }
    }

    pub(in super::super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a piece, if there is room for it.
    pub(super) fn extend(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        let length = self.bytes.len() + piece.len();
        if length > self.bytes_max {
            return Err(FetchError::TooLarge(self.bytes_max));
        }
        if length > self.bytes.capacity() {
            // It doubles, so that few places are asked for and nothing is copied often.
            let most = self.bytes_max.max(length);
            let capacity = length.next_power_of_two().clamp(PLACE_BYTES.min(most), most);
            let more = capacity - self.bytes.capacity();
            let places = u32::try_from(more.div_ceil(PLACE_BYTES)).unwrap_or(u32::MAX);
            let places = Arc::clone(&self.room.0).try_acquire_many_owned(places);
            self.places.push(places.map_err(|_| FetchError::NoRoom)?);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// What it is when it is inflated. This takes the time of a processor.
    pub(in super::super) fn inflated(self) -> Result<Self, FetchError> {
        let mut inflated = Self::new(&self.room, self.bytes_max);
        let mut decoder = MultiGzDecoder::new(self.bytes());
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match decoder.read(&mut piece).map_err(FetchError::Gzip)? {
                0 => return Ok(inflated),
                length => inflated.extend(&piece[..length])?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn body(bytes: &[u8], bytes_max: usize, room: &Arc<Capacity>) -> Result<Body, FetchError> {
        let mut body = Body::new(room, bytes_max);
        bytes.chunks(1_000).try_for_each(|piece| body.extend(piece)).map(|()| body)
    }

    #[test]
    fn a_body_is_inflated_within_its_bounds() {
        let room = Arc::default();
        let text = b"metric 1\n".repeat(10_000);
        let zipped = gzip(&text);
        let inflated = body(&zipped, text.len(), &room).expect("room").inflated().expect("gzip");
        assert!(inflated.bytes() == text);
        let bomb = body(&zipped, text.len() - 1, &room).expect("room").inflated();
        assert!(matches!(bomb, Err(FetchError::TooLarge(_))));
        let cut = body(&zipped[..zipped.len() - 9], text.len(), &room).expect("room").inflated();
        assert!(matches!(cut, Err(FetchError::Gzip(_))));
        let none = body(&text, text.len(), &room).expect("room").inflated();
        assert!(matches!(none, Err(FetchError::Gzip(_))));
        assert!(matches!(body(&text, 10, &room), Err(FetchError::TooLarge(10))));
        // A limit of less than a place.
        let small = body(&text[..1_500], 2_000, &room).expect("room");
        assert_eq!(small.bytes(), &text[..1_500]);
    }

    #[test]
    fn all_bodies_share_one_room() {
        let room = Arc::new(Capacity(Arc::new(Semaphore::new(16))));
        let text = vec![b'x'; 40_000];
        let first = body(&text, 100_000, &room).expect("room");
        assert!(matches!(body(&text, 100_000, &room), Err(FetchError::NoRoom)));
        drop(first);
        assert_eq!(room.0.available_permits(), 16);
        assert!(body(&text, 100_000, &room).is_ok());
    }
}
