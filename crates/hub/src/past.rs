//! The past of a series: its points from a while ago until now, as Gorilla has them.
//!
//! ```text
//! oldest ◀──────── window ────────▶ newest
//! │ each fourth │ each second │ all │        one stream of bits, decoded from its beginning
//! ```
//!
//! Times are deltas of deltas, values the bits in which they differ from the one before (Pelkonen
//! et al., "Gorilla", 2015), or where they are decimals the difference. Points are added at the end alone. Now and then the whole is written
//! anew: what is older than a third of the window loses every second point, what is older than two
//! thirds every second one of those, and what is older than the window goes.

mod bits;
mod code;

use bellwire_model::limits::{PAST_BYTES_OF_SERIES_MAX, PAST_POINTS_KEPT_WHOLE};

use self::bits::BitWriter;
use self::code::{Decoder, Encoder};

/// A value of a series, and when it was measured.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Any, NaN with its bits included.
    pub value: f64,
}

/// How much is kept of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastLimits {
    /// How far back from its newest point, in milliseconds.
    pub window_ms: u32,
    /// Points.
    pub points_max: u16,
}

/// Points that come before it is looked whether the oldest are to be thinned: to write a past anew
/// costs about as much as to add all of its points.
const POINTS_BETWEEN_LOOKS: u8 = 16;

/// What the allocator and the map that finds it take for each past.
const OVERHEAD_BYTES: usize = 64;

/// Of how many points one is left, from the oldest on.
const STRIDES: usize = 3;

/// The past of one series. There may be very many, so it is small.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    bits: BitWriter,
    encoder: Encoder,
    /// How many points stand in it of which each fourth, each second, and each is left.
    counts: [u16; STRIDES],
    /// Points since it was looked whether some are to be thinned.
    unlooked: u8,
    window_ms: u32,
}

impl Past {
    /// Adds the newest point. `scratch` is room for all points, whatever is in it; `has_room` says
    /// whether there is any for all pasts together: a past that grows without gives up some of
    /// its own.
    pub(crate) fn push(
        &mut self,
        point: Point,
        limits: PastLimits,
        (scratch, has_room): (&mut Vec<Point>, bool),
    ) {
        self.window_ms = limits.window_ms;
        self.encoder.write(point, &mut self.bits);
        self.counts[STRIDES - 1] += 1;
        self.unlooked += 1;
        let is_full = self.len() > usize::from(limits.points_max)
            || self.size_bytes() > PAST_BYTES_OF_SERIES_MAX
            || !has_room;
        if is_full || self.unlooked >= POINTS_BETWEEN_LOOKS {
            self.unlooked = 0;
            self.age(scratch);
            while self.len() > 1
                && (self.len() > usize::from(limits.points_max)
                    || self.size_bytes() > PAST_BYTES_OF_SERIES_MAX)
            {
                self.coarsen(scratch);
            }
            if !has_room {
                self.coarsen(scratch);
            }
        }
    }

    /// Its points.
    pub(crate) fn len(&self) -> usize {
        self.counts.iter().map(|count| usize::from(*count)).sum()
    }

    /// When its newest point was measured.
    pub(crate) fn newest_ms(&self) -> i64 {
        self.encoder.time_ms()
    }

    /// How far back it goes from there at most.
    pub(crate) fn window_ms(&self) -> i64 {
        i64::from(self.window_ms)
    }

    /// What it takes, with what finds it.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.bits.capacity() + OVERHEAD_BYTES
    }

    /// Its points as they are, to be read elsewhere.
    pub(crate) fn copy(&self) -> PastCopy {
        PastCopy { bits: self.bits.bytes().into(), len: self.len() }
    }

    /// Thins what is old enough, and lets go of what is too old.
    fn age(&mut self, scratch: &mut Vec<Point>) {
        self.read_into(scratch);
        let newest = self.newest_ms();
        let third = self.window_ms() / 3;
        let is_older = |point: &Point, age: i64| newest.saturating_sub(point.time_ms) > age;
        let too_old = scratch.iter().take_while(|point| is_older(point, self.window_ms())).count();
        let mut changes = too_old > 0;
        for _ in 0..too_old {
            let stride = self.counts.iter().position(|count| *count > 0);
            self.counts[stride.expect("as many points as there are")] -= 1;
        }
        scratch.drain(..too_old);
        if scratch.len() > PAST_POINTS_KEPT_WHOLE {
            // The newest stretch first: what leaves it may be old enough to leave the next, too.
            for stride in (1..STRIDES).rev() {
                let age = third * (STRIDES - stride) as i64;
                let start: usize = self.counts[..stride].iter().map(|it| usize::from(*it)).sum();
                let stretch = &scratch[start..start + usize::from(self.counts[stride])];
                let old = stretch.iter().take_while(|point| is_older(point, age)).count() & !1;
                changes |= old > 0;
                halve(scratch, start, old);
                self.counts[stride] -= old as u16;
                self.counts[stride - 1] += old as u16 / 2;
            }
        }
        if changes {
            self.write_anew(scratch);
        }
    }

    /// Leaves every second point where there are most.
    fn coarsen(&mut self, scratch: &mut Vec<Point>) {
        self.read_into(scratch);
        // The newest point stays whatever happens.
        let spare = |stride: usize| usize::from(self.counts[stride]) - stride / (STRIDES - 1);
        let most = (0..STRIDES).max_by_key(|stride| spare(*stride)).unwrap_or_default();
        let (old, start) =
            (spare(most), self.counts[..most].iter().map(|it| usize::from(*it)).sum());
        if old == 1 {
            scratch.remove(start);
            self.counts[most] -= 1;
        } else {
            halve(scratch, start, old & !1);
            self.counts[most] -= old as u16 / 2;
        }
        self.write_anew(scratch);
    }

    fn read_into(&self, scratch: &mut Vec<Point>) {
        scratch.clear();
        scratch.extend(Decoder::new(self.bits.bytes(), self.len()));
    }

    fn write_anew(&mut self, points: &[Point]) {
        let mut bits = BitWriter::with_capacity(self.bits.bytes().len());
        let mut encoder = Encoder::default();
        for point in points {
            encoder.write(*point, &mut bits);
        }
        bits.shrink();
        (self.bits, self.encoder) = (bits, encoder);
    }
}

/// Leaves the first of each two of so many points: the oldest stays.
fn halve(points: &mut Vec<Point>, start: usize, count: usize) {
    for pair in 0..count / 2 {
        points[start + pair] = points[start + 2 * pair];
    }
    points.drain(start + count / 2..start + count);
}

/// The points of a past as they were at one moment.
#[derive(Clone, Debug)]
pub struct PastCopy {
    bits: Box<[u8]>,
    len: usize,
}

impl PastCopy {
    /// What it holds in memory.
    pub fn size_bytes(&self) -> usize {
        self.bits.len()
    }

    /// The number of its points.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its points, oldest first: in the order in which they came.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        Decoder::new(&self.bits, self.len)
    }
}

#[cfg(test)]
mod tests;
