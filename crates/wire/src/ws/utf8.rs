//! UTF-8 that comes in pieces: a wrong byte is found when it arrives, not at the end.

/// A character takes at most four bytes, so at most three of one are waiting for the rest.
const HELD_BYTES_MAX: usize = 3;

/// The text does not go on like UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// Where a text stands: between two characters, or within one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    held: [u8; HELD_BYTES_MAX],
    held_bytes: u8,
}

impl Utf8 {
    /// Takes in the next piece. That the text ends within a character only its end shows, so it
    /// is for the caller to check.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.held_bytes > 0 {
            let Some((byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let held = self.held_bytes as usize;
            let mut character = [0; HELD_BYTES_MAX + 1];
            character[..held].copy_from_slice(&self.held[..held]);
            character[held] = *byte;
            self.held_bytes = 0;
            self.check(&character[..=held])?;
        }
        self.check(piece)
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), NotUtf8> {
        let Err(error) = std::str::from_utf8(bytes) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(NotUtf8);
        }
        let held = &bytes[error.valid_up_to()..];
        self.held[..held.len()].copy_from_slice(held);
        self.held_bytes = held.len() as u8;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_is_found_as_soon_as_no_rest_could_make_it_right() {
        // Each text is right up to its last byte.
        let cases: [&[u8]; 8] = [
            b"a\xFF",
            b"\x80",
            b"\xC0",
            b"\xC3a",
            b"\xCE\xBA\xE1\xBD\xB9\xED\xA0",
            b"\xF4\x90",
            b"\xF0\x9F\x98a",
            b"\xF5",
        ];
        for text in cases {
            let mut utf8 = Utf8::default();
            let (last, first) = text.split_last().expect("some bytes");
            for byte in first {
                assert_eq!(utf8.push(&[*byte]), Ok(()), "{text:x?}");
            }
            assert_eq!(utf8.push(&[*last]), Err(NotUtf8), "{text:x?}");
            assert_eq!(Utf8::default().push(text), Err(NotUtf8), "{text:x?}");
        }
    }

    #[test]
    fn cuts_do_not_matter() {
        let text = "aé€😀\u{10FFFF}z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut utf8 = Utf8::default();
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    assert_eq!(utf8.push(piece), Ok(()));
                }
            }
        }
    }
}
