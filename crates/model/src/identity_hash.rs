//! Hashes that stand for what they were made of: for names that strangers choose, and for texts of
//! those who run the server.

use sha2::{Digest, Sha256};

/// A hash that stands for texts that strangers may choose: the first 64 bits of SHA-256. It is the
/// same in every process and on every machine.
///
/// Each text is taken behind its length in bytes, as eight bytes with the lowest first: no other
/// texts are taken as the same bytes. To find other texts for a given hash takes some 2^64
/// attempts; two that have the same one, whichever, some 2^32.
#[derive(Clone, Debug)]
pub struct IdentityHash(Sha256);

impl IdentityHash {
    /// A hash of things of one kind. Others of the same texts differ by the word for their kind,
    /// which is taken as the first text; its number rises when what is hashed changes.
    pub fn new(kind: &'static str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.write_text(kind);
        hash
    }

    /// Takes a text.
    pub fn write_text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    /// The first sixteen bytes of the hash, where two that are the same would lose something.
    pub fn finish_wide(self) -> u128 {
        let digest = self.0.finalize();
        u128::from_be_bytes(*digest.first_chunk().expect("SHA-256 gives 32 bytes"))
    }

    /// The hash of all that was taken: the first eight bytes, as they are written in hexadecimal.
    pub fn finish(self) -> u64 {
        let digest = self.0.finalize();
        u64::from_be_bytes(*digest.first_chunk().expect("SHA-256 gives 32 bytes"))
    }
}

/// The 64-bit hash FNV-1a of texts, written out here because it must never change with a library's
/// version. Whoever chooses a text chooses its hash: it tells apart only what those who run the
/// server write themselves, and spreads what nobody gains from.
#[derive(Clone, Copy, Debug)]
pub struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    /// Takes a text, and the byte 0xFF behind it, which no text has.
    pub fn write_text(&mut self, text: &str) {
        for byte in text.bytes().chain([0xFF]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash of all that was taken.
    pub const fn finish(self) -> u64 {
        self.0
    }
}
