//! A coarse timing wheel: one entry for each connection, no timer objects.

use bellwire_process::clock::Tick;

use super::Token;

/// Slots of the wheel: at 100 ms each about 100 s, beyond which an entry comes round early and is
/// put back.
const SLOTS: usize = 1024;

/// Connections by the tick at which they want attention. An entry whose connection has moved on
/// is told apart by its owner, who remembers when it is due.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<u32>>,
    /// The next tick to look at.
    next: Tick,
    entries: usize,
}

impl Wheel {
    pub(super) fn new(now: Tick) -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), next: now, entries: 0 }
    }

    /// Adds an entry; returns when it comes round: at `due`, or earlier if that is far off.
    pub(super) fn insert(&mut self, token: Token, due: Tick) -> Tick {
        let due = due.clamp(self.next, self.next + SLOTS as Tick - 1);
        self.slots[due as usize % SLOTS].push(token as u32);
        self.entries += 1;
        due
    }

    /// Moves the entries due up to `now` to `due`, with the tick that each was inserted for.
    pub(super) fn advance(&mut self, now: Tick, due: &mut impl Extend<(Token, Tick)>) {
        while self.next <= now {
            let slot = &mut self.slots[self.next as usize % SLOTS];
            self.entries -= slot.len();
            due.extend(slot.drain(..).map(|token| (token as Token, self.next)));
            if slot.capacity() > 64 {
                slot.shrink_to(64);
            }
            self.next += 1;
        }
    }

    /// The next tick that has an entry.
    pub(super) fn next_due(&self) -> Option<Tick> {
        if self.entries == 0 {
            return None;
        }
        (self.next..self.next + SLOTS as Tick)
            .find(|tick| !self.slots[*tick as usize % SLOTS].is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_round_in_time() {
        let mut wheel = Wheel::new(10);
        assert_eq!(wheel.next_due(), None);
        assert_eq!(wheel.insert(1, 12), 12);
        assert_eq!(wheel.insert(2, 5), 10, "the past is now");
        assert_eq!(wheel.insert(3, 10_000), 10 + 1023, "far off comes round early");
        assert_eq!(wheel.next_due(), Some(10));

        let mut due = Vec::new();
        wheel.advance(11, &mut due);
        assert_eq!(due, [(2, 10)]);
        due.clear();
        wheel.advance(2_000, &mut due);
        assert_eq!(due, [(1, 12), (3, 1033)]);
        assert_eq!(wheel.next_due(), None);
    }
}
