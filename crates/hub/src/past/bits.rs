//! Streams of bits, the highest of a byte first.

/// Bytes by which the memory for a stream grows: a few points' worth. There are very many streams,
/// each of some hundred bytes.
const GROWTH_BYTES: usize = 32;

/// A stream that grows.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that are free in the last byte.
    free: u8,
}

impl BitWriter {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), free: 0 }
    }

    /// Adds the lowest `count` bits of a number.
    pub(super) fn write(&mut self, number: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                if self.bytes.len() == self.bytes.capacity() {
                    self.bytes.reserve_exact(GROWTH_BYTES);
                }
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(u32::from(self.free));
            let part = (number >> (left - taken)) & ((1 << taken) - 1);
            self.free -= taken as u8;
            *self.bytes.last_mut().expect("one was pushed") |= (part as u8) << self.free;
            left -= taken;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back memory that is not in use.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

/// A stream that is read.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits that were read.
    place: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0 }
    }

    /// The next `count` bits, 64 at most. Behind the end all are zero.
    pub(super) fn read(&mut self, count: u32) -> u64 {
        let (mut number, mut left) = (0, count);
        while left > 0 {
            let byte = self.bytes.get(self.place / 8).copied().unwrap_or_default();
            let unread = 8 - (self.place % 8) as u32;
            let taken = left.min(unread);
            let part = (u64::from(byte) >> (unread - taken)) & ((1 << taken) - 1);
            number = number << taken | part;
            self.place += taken as usize;
            left -= taken;
        }
        number
    }

    /// How many of the next bits are ones, up to `most`; the zero behind fewer is read, too.
    pub(super) fn read_ones(&mut self, most: u32) -> u32 {
        (0..most).find(|_| self.read(1) == 0).unwrap_or(most)
    }
}
