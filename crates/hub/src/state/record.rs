//! A change at rest: what the table keeps of it while nobody else has it, in one piece of memory.
//!
//! ```text
//! newest change on the disk, 8 bytes │ length of the key, 4 bytes │ key │ payload
//! ```
//!
//! A value as lanes share it is several times as large: what it is sent as is made of it, and kept
//! for all who are sent the same. Of the keys of a large table few are on their way to anybody.

use bellwire_model::Offset;

/// Bytes in front of the key.
const HEAD_BYTES: usize = KEY_LENGTH_AT + size_of::<u32>();
/// Where the length of the key is.
const KEY_LENGTH_AT: usize = size_of::<u64>();

/// See the module.
#[derive(Debug)]
pub(super) struct Record(Box<[u8]>);

impl Record {
    /// The record of a key with what `pack` writes. `scratch` is room to write it, whatever is in it.
    pub(super) fn new(
        (key, durable): (&str, Offset),
        pack: impl FnOnce(&mut Vec<u8>),
        scratch: &mut Vec<u8>,
    ) -> Self {
        scratch.clear();
        scratch.extend_from_slice(&durable.get().to_le_bytes());
        scratch.extend_from_slice(&(key.len() as u32).to_le_bytes());
        scratch.extend_from_slice(key.as_bytes());
        pack(scratch);
        Self(scratch.as_slice().into())
    }

    /// The newest change on the disk up to and with this one.
    pub(super) fn durable(&self) -> Offset {
        let bytes = self.0[..KEY_LENGTH_AT].try_into().expect("as many as a number has");
        Offset::new(u64::from_le_bytes(bytes))
    }

    fn key_end(&self) -> usize {
        let bytes = self.0[KEY_LENGTH_AT..HEAD_BYTES].try_into().expect("as many as a number has");
        HEAD_BYTES + u32::from_le_bytes(bytes) as usize
    }

    /// The key.
    pub(super) fn key(&self) -> &[u8] {
        &self.0[HEAD_BYTES..self.key_end()]
    }

    /// What was packed.
    pub(super) fn payload(&self) -> &[u8] {
        &self.0[self.key_end()..]
    }
}
