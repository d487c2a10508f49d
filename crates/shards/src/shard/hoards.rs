//! What the clients of WebSockets have sent only in part, or more of than was listened to yet.
//!
//! It is memory that a client decides on, so all of a shard have a bound together. Where it is
//! passed, those go who hoard: who hold much, and have held something for long. Whoever adds the
//! last byte, or has begun a message a moment ago, is not to pay for them. How long is counted in
//! what others have sent meanwhile: on a shard where nobody sends anything, nobody is in the way.

use std::cmp::Reverse;

use bellwire_model::limits::{WEBSOCKET_HELD_BYTES_MAX, WEBSOCKET_HELD_SHARE_PERCENT};
use rustc_hash::FxHashMap;

use super::Token;

/// Bytes that each of so many shards may hold in a process with this budget of memory.
pub fn held_bytes_max(memory_bytes: u64, shards: usize) -> usize {
    let share = memory_bytes / 100 * WEBSOCKET_HELD_SHARE_PERCENT / shards.max(1) as u64;
    usize::try_from(share).unwrap_or(usize::MAX).min(WEBSOCKET_HELD_BYTES_MAX)
}

/// Who holds how much, and since when.
#[derive(Debug)]
pub(super) struct Hoards {
    by_token: FxHashMap<Token, Hoard>,
    bytes: usize,
    bytes_max: usize,
    /// Counts what was noted.
    notes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Hoard {
    bytes: usize,
    /// When it last held nothing.
    since: u64,
}

impl Hoard {
    fn weight(&self, notes: u64) -> u64 {
        self.bytes as u64 * (notes - self.since + 1)
    }
}

impl Hoards {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { by_token: FxHashMap::default(), bytes: 0, bytes_max, notes: 0 }
    }

    /// All that is held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A connection holds so much now.
    pub(super) fn note(&mut self, token: Token, bytes: usize) {
        if bytes == 0 {
            // Mostly nobody holds anything.
            if let Some(hoard) = self.by_token.remove(&token) {
                self.bytes -= hoard.bytes;
                if self.by_token.is_empty() {
                    self.by_token = FxHashMap::default();
                }
            }
            return;
        }
        self.notes += 1;
        let since = self.notes;
        let hoard = self.by_token.entry(token).or_insert(Hoard { bytes: 0, since });
        self.bytes = self.bytes - hoard.bytes + bytes;
        hoard.bytes = bytes;
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes > self.bytes_max
    }

    /// The worst of them: without these an eighth of the bound is free, so that this need not be
    /// found out for each byte that comes. To end those who hold little would free nothing.
    pub(super) fn worst(&self) -> Vec<Token> {
        let holds_much = |hoard: &Hoard| hoard.bytes * self.by_token.len() * 2 >= self.bytes;
        let hoards = self.by_token.iter().filter(|(_, hoard)| holds_much(hoard));
        let mut hoards: Vec<(Token, Hoard)> =
            hoards.map(|(token, hoard)| (*token, *hoard)).collect();
        hoards.sort_unstable_by_key(|(token, hoard)| Reverse((hoard.weight(self.notes), *token)));
        let mut rest = self.bytes;
        let is_too_much = |(_, hoard): &(Token, Hoard)| {
            let is_too_much = rest > self.bytes_max / 8 * 7;
            rest -= hoard.bytes;
            is_too_much
        };
        hoards.into_iter().take_while(is_too_much).map(|(token, _)| token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_much_for_long_goes_first() {
        let mut hoards = Hoards::new(8_000);
        for (token, bytes) in [(1, 3_000), (2, 100), (3, 1_800)] {
            hoards.note(token, bytes);
        }
        // It gets on slowly.
        for bytes in 100..200 {
            hoards.note(2, bytes);
        }
        hoards.note(4, 3_000);
        assert_eq!((hoards.bytes(), hoards.is_full()), (7_999, false));
        hoards.note(2, 300);
        assert!(hoards.is_full());
        assert_eq!(hoards.worst(), [1], "not who has come last, and little is nothing");
        hoards.note(1, 0);
        assert_eq!((hoards.bytes(), hoards.is_full()), (5_100, false));
        hoards.note(5, 4_000);
        assert_eq!(hoards.worst(), [3, 4], "bytes and time weigh alike");
        for token in 2..=5 {
            hoards.note(token, 0);
        }
        assert_eq!((hoards.bytes(), hoards.by_token.capacity()), (0, 0), "nothing is left");
    }
}
