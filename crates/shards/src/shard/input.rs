//! What the talking clients of a shard share: a buffer to be read into, something to inflate with,
//! and the account of what is held of their words.

use bellwire_model::limits::READ_BYTES_MAX;
use bellwire_wire::ws::Inflater;

use super::hoards::Hoards;

/// What all connections share to be read with.
#[derive(Debug)]
pub(super) struct Input {
    /// What was read last; nobody keeps any of it.
    scratch: Vec<u8>,
    pub(super) inflater: Inflater,
    /// What is held of what they have said.
    pub(super) hoards: Hoards,
    /// The last number that was given to a WebSocket.
    serial: u32,
}

impl Input {
    pub(super) fn new(held_bytes_max: usize) -> Self {
        let (scratch, inflater) = (vec![0; READ_BYTES_MAX], Inflater::default());
        Self { scratch, inflater, hoards: Hoards::new(held_bytes_max), serial: 0 }
    }

    /// The buffer, for the time of a call.
    pub(super) fn scratch(&mut self) -> &mut [u8] {
        &mut self.scratch
    }

    /// The buffer, to be [given back](Self::give_back).
    pub(super) fn borrow_scratch(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.scratch)
    }

    pub(super) fn give_back(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// A number for another WebSocket.
    pub(super) fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }
}
