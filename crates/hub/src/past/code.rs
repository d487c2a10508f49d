//! Points as bits.
//!
//! ```text
//! first:  time (64)            value (64)
//! others: change of the step   0 | 10 7 bits | 110 12 | 1110 20 | 11110 32 | 11111 64
//!         the same value       0
//!         a few tenths away    10 exponent (1 or 4), difference (1 + 4 | 2 + 8 | … | 5 + 33)
//!         changed bits         110 those of the last place | 111 zeros before (5) count (6) bits
//! ```
//!
//! Decimals are what Gorilla has not: of 21.4 and 21.5 nearly all bits differ, and sensors round.

use super::Point;
use super::bits::{BitReader, BitWriter};

/// How many bits the change of a step has, by the number of ones before it.
const STEP_BITS: [u32; 6] = [0, 7, 12, 20, 32, 64];

/// How many bits the difference of two decimals has, by the number of ones before it.
const DECIMAL_BITS: [u32; 6] = [4, 8, 12, 17, 24, 33];

/// The powers of ten by which decimals are numbers of tenths, hundredths and so on.
const POWERS: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];

const EXPONENT_MAX: u8 = POWERS.len() as u8 - 1;

/// The most zeros that are said to stand before the bits that have changed.
const ZEROS_BEFORE_MAX: u32 = 31;

/// Where the bits stand that have changed in a value.
#[derive(Clone, Copy, Debug, Default)]
struct Changed {
    zeros_before: u8,
    /// None yet where there are none.
    count: u8,
}

impl Changed {
    fn shift(self) -> u32 {
        64 - u32::from(self.zeros_before) - u32::from(self.count)
    }

    fn holds(self, xor: u64) -> bool {
        self.count > 0
            && xor.leading_zeros() >= u32::from(self.zeros_before)
            && xor.trailing_zeros() >= self.shift()
    }
}

/// What the next point is told from.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    time_ms: i64,
    step_ms: i64,
    value: u64,
    changed: Changed,
    exponent: u8,
}

impl Last {
    /// The value as a number of tenths, hundredths and so on, about: what reads rounds as what writes.
    fn scaled(self, exponent: u8) -> i64 {
        scaled(f64::from_bits(self.value), exponent)
    }

    /// The value so many tenths, hundredths and so on from this one.
    fn plus(self, difference: i64, exponent: u8) -> u64 {
        let sum = self.scaled(exponent).wrapping_add(difference);
        (sum as f64 / POWERS[exponent as usize]).to_bits()
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Encoder {
    last: Last,
}

impl Encoder {
    /// When the newest point was measured.
    pub(super) fn time_ms(&self) -> i64 {
        self.last.time_ms
    }

    pub(super) fn write(&mut self, point: Point, bits: &mut BitWriter) {
        let (time_ms, value) = (point.time_ms, point.value.to_bits());
        if bits.bytes().is_empty() {
            bits.write(time_ms as u64, 64);
            bits.write(value, 64);
            self.last = Last { time_ms, value, ..Last::default() };
            return;
        }
        // Steps wrap around as they do when they are read.
        let step_ms = time_ms.wrapping_sub(self.last.time_ms);
        write_step(step_ms.wrapping_sub(self.last.step_ms), bits);
        self.last = write_value(value, Last { time_ms, step_ms, ..self.last }, bits);
    }
}

fn write_step(change: i64, bits: &mut BitWriter) {
    let folded = fold(change);
    let ones = fit(&STEP_BITS, folded).expect("the last has all bits");
    write_ones(ones, STEP_BITS.len(), bits);
    bits.write(folded, STEP_BITS[ones]);
}

fn write_value(value: u64, last: Last, bits: &mut BitWriter) -> Last {
    let xor = value ^ last.value;
    if xor == 0 {
        bits.write(0, 1);
        return last;
    }
    if let Some((exponent, folded)) = decimal(value, last) {
        let ones = fit(&DECIMAL_BITS, folded).expect("it was looked for one that fits");
        bits.write(0b10, 2);
        if exponent == last.exponent {
            bits.write(0, 1);
        } else {
            bits.write(0b1000 | u64::from(exponent), 4);
        }
        write_ones(ones, DECIMAL_BITS.len(), bits);
        bits.write(folded, DECIMAL_BITS[ones]);
        return Last { value, exponent, ..last };
    }
    let zeros_before = xor.leading_zeros().min(ZEROS_BEFORE_MAX);
    let count = 64 - zeros_before - xor.trailing_zeros();
    let mut changed = last.changed;
    // A new place costs eleven bits more to tell.
    if changed.holds(xor) && u32::from(changed.count) <= count + 11 {
        bits.write(0b110, 3);
    } else {
        changed = Changed { zeros_before: zeros_before as u8, count: count as u8 };
        bits.write(0b111, 3);
        bits.write(zeros_before.into(), 5);
        bits.write(u64::from(count - 1), 6);
    }
    bits.write(xor >> changed.shift(), changed.count.into());
    Last { value, changed, ..last }
}

/// A value as the last one and a small number of tenths, hundredths and so on, if it is that to the
/// last bit: its exponent, and the difference folded.
fn decimal(value: u64, last: Last) -> Option<(u8, u64)> {
    let wanted = f64::from_bits(value);
    let others = (0..=EXPONENT_MAX).filter(|exponent| *exponent != last.exponent);
    [last.exponent].into_iter().chain(others).find_map(|exponent| {
        let difference = scaled(wanted, exponent).wrapping_sub(last.scaled(exponent));
        let folded = fold(difference);
        let fits = fit(&DECIMAL_BITS, folded).is_some();
        let is_it = || last.plus(difference, exponent) == value;
        (fits && is_it()).then_some((exponent, folded))
    })
}

fn scaled(value: f64, exponent: u8) -> i64 {
    (value * POWERS[exponent as usize]).round() as i64
}

/// Small numbers of either sign as small ones.
fn fold(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unfold(folded: u64) -> i64 {
    (folded >> 1) as i64 ^ -((folded & 1) as i64)
}

/// Which of so many bits suffice for a number.
fn fit(lengths: &[u32], number: u64) -> Option<usize> {
    let length = 64 - number.leading_zeros();
    lengths.iter().position(|bits| *bits >= length)
}

/// So many ones, and a zero unless they are as many as there can be.
fn write_ones(ones: usize, choices: usize, bits: &mut BitWriter) {
    if ones + 1 == choices {
        bits.write((1 << ones) - 1, ones as u32);
    } else {
        bits.write((1 << (ones + 1)) - 2, ones as u32 + 1);
    }
}

/// Reads points in the order in which they were written.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bits: BitReader<'a>,
    left: usize,
    last: Option<Last>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8], len: usize) -> Self {
        Self { bits: BitReader::new(bytes), left: len, last: None }
    }

    fn read(&mut self) -> Last {
        let bits = &mut self.bits;
        let Some(last) = self.last else {
            let (time_ms, value) = (bits.read(64) as i64, bits.read(64));
            return Last { time_ms, value, ..Last::default() };
        };
        let ones = bits.read_ones(STEP_BITS.len() as u32 - 1);
        let step_ms = last.step_ms.wrapping_add(unfold(bits.read(STEP_BITS[ones as usize])));
        let time_ms = last.time_ms.wrapping_add(step_ms);
        let last = Last { time_ms, step_ms, ..last };
        let changed = match bits.read_ones(3) {
            0 => return last,
            1 => {
                let exponent = if bits.read(1) == 0 { last.exponent } else { bits.read(3) as u8 };
                let ones = bits.read_ones(DECIMAL_BITS.len() as u32 - 1);
                let difference = unfold(bits.read(DECIMAL_BITS[ones as usize]));
                return Last { value: last.plus(difference, exponent), exponent, ..last };
            }
            2 => last.changed,
            _ => {
                let (zeros_before, count) = (bits.read(5) as u8, bits.read(6) as u8 + 1);
                Changed { zeros_before, count }
            }
        };
        let xor = bits.read(changed.count.into()) << changed.shift();
        Last { value: last.value ^ xor, changed, ..last }
    }
}

impl Iterator for Decoder<'_> {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        self.left = self.left.checked_sub(1)?;
        let last = self.read();
        self.last = Some(last);
        Some(Point { time_ms: last.time_ms, value: f64::from_bits(last.value) })
    }
}
