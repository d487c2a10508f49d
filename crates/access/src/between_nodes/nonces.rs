//! What has counted of what nodes have signed: each counts once, and for as long as it would count.
//!
//! ```text
//!            floor: nothing of before counts any more
//!              │
//!   forgotten  │ second ─ second ─ second ─ … ─ now ─ … a minute ahead
//! ```
//!
//! The set of a second goes when what was signed then is too old whatever it shows. Where there is no room for
//! all, that of the oldest second goes before, and the floor rises behind it: what is forgotten is refused.

use std::collections::BTreeMap;
use std::fmt;

use bellwire_model::limits::{NODE_NONCES_BYTES_MAX, NODE_REQUEST_AGE_MAX};
use bellwire_model::{NameSet, Timestamp};

use super::NodeRefusal;

/// What one takes in a set that is as good as empty, which is the most: half of a table's places are free then,
/// and each has a byte beside it.
const BYTES_OF_ONE: usize = 2 * (size_of::<Nonce>() + 1) + 6;

/// What no two requests have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(u128);

impl Nonce {
    /// The one of this number among those of a life of a node, which is drawn at random.
    pub const fn new(life: u64, number: u64) -> Self {
        Self((life as u128) << 64 | number as u128)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let nonce = u128::from_str_radix(text, 16).ok().map(Self);
        nonce.filter(|_| is_hex)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Nonces {
    by_second: BTreeMap<i64, NameSet<Nonce>>,
    count: usize,
    count_max: usize,
    /// Nothing that was signed before counts.
    floor: Timestamp,
}

impl Nonces {
    /// Those of a node that begins now, and does not know what has counted before.
    pub fn new(now: Timestamp) -> Self {
        Self::of(now, NODE_NONCES_BYTES_MAX / BYTES_OF_ONE)
    }

    fn of(floor: Timestamp, count_max: usize) -> Self {
        Self { by_second: BTreeMap::new(), count: 0, count_max, floor }
    }

    /// Has this count, which was signed then; or says why it does not. It has to be signed indeed.
    pub fn take(&mut self, nonce: Nonce, at: Timestamp, now: Timestamp) -> Result<(), NodeRefusal> {
        self.forget_old(now);
        if at < self.floor {
            return Err(NodeRefusal::Forgotten);
        }
        let of_second = self.by_second.entry(second(at)).or_default();
        if !of_second.insert(nonce) {
            return Err(NodeRefusal::Replayed);
        }
        self.count += 1;
        while self.count > self.count_max {
            self.forget_oldest();
        }
        Ok(())
    }

    /// Drops what is too old by now.
    fn forget_old(&mut self, now: Timestamp) {
        let age_s = NODE_REQUEST_AGE_MAX.as_secs() as i64;
        let first = second(now).saturating_sub(age_s);
        while self.by_second.first_key_value().is_some_and(|(second, _)| *second < first) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((second, gone)) = self.by_second.pop_first() else { return };
        self.count -= gone.len();
        // Clocks may be set back: what was forgotten must not count then either.
        let floor = Timestamp::from_ms(second.saturating_add(1).saturating_mul(1000));
        self.floor = self.floor.max(floor);
    }
}

fn second(at: Timestamp) -> i64 {
    at.as_ms().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn nonce(number: u64) -> Nonce {
        Nonce::new(1, number)
    }

    #[test]
    fn each_counts_once_for_as_long_as_it_would_count() {
        let (mut nonces, age) = (Nonces::new(at(0)), NODE_REQUEST_AGE_MAX.as_millis() as i64);
        // From a clock that is ahead, to the end of what may be.
        for now in [100_000 - age, 100_000, 100_000 + age] {
            let expected = if now < 100_000 { Ok(()) } else { Err(NodeRefusal::Replayed) };
            assert_eq!(nonces.take(nonce(1), at(100_000), at(now)), expected, "{now}");
        }
        assert_eq!(nonces.take(nonce(2), at(100_000), at(100_000 + age)), Ok(()));
        assert_eq!(nonces.count, 2);
        // Then it is gone, and refused where the clock is set back.
        assert_eq!(nonces.take(nonce(3), at(101_000 + age), at(101_000 + age)), Ok(()));
        assert_eq!(nonces.count, 1);
        let back = nonces.take(nonce(1), at(100_000), at(100_000));
        assert_eq!(back, Err(NodeRefusal::Forgotten));
    }

    #[test]
    fn what_was_signed_before_a_node_began_does_not_count() {
        let mut nonces = Nonces::new(at(100_500));
        assert_eq!(nonces.take(nonce(1), at(100_499), at(100_600)), Err(NodeRefusal::Forgotten));
        assert_eq!(nonces.take(nonce(1), at(100_500), at(100_600)), Ok(()));
    }

    #[test]
    fn where_there_is_no_room_the_oldest_time_is_refused_and_not_forgotten() {
        let mut nonces = Nonces::of(at(0), 4);
        for number in 0..4 {
            let at = at(100_000 + number as i64 * 1_000);
            assert_eq!(nonces.take(nonce(number), at, at), Ok(()));
        }
        let now = at(103_000);
        assert_eq!(nonces.take(nonce(9), now, now), Ok(()));
        assert_eq!(nonces.count, 4);
        for (number, second, expected) in [
            (0, 100, Err(NodeRefusal::Forgotten)),
            (8, 100, Err(NodeRefusal::Forgotten)),
            (1, 101, Err(NodeRefusal::Replayed)),
            (3, 103, Err(NodeRefusal::Replayed)),
        ] {
            assert_eq!(nonces.take(nonce(number), at(second * 1_000), now), expected, "{number}");
        }
        // All in one second: what comes is taken, and then nothing of that second.
        let mut nonces = Nonces::of(at(0), 4);
        let taken = (0..9).filter(|number| nonces.take(nonce(*number), now, now).is_ok());
        assert_eq!(taken.count(), 5);
    }

    #[test]
    fn a_nonce_is_read_as_it_was() {
        for nonce in [Nonce::new(0, 0), Nonce::new(7, 9), Nonce::new(u64::MAX, u64::MAX)] {
            assert_eq!(Nonce::read(&nonce.to_string()), Some(nonce));
        }
        for text in ["", "+1", "-1", "x", &"f".repeat(33)] {
            assert_eq!(Nonce::read(text), None, "{text}");
        }
    }
}
