//! What time it is, for those who wait and for those who look at a clock.

use bellwire_model::Timestamp;

/// What time it is, twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time that goes on evenly, whatever becomes of the wall clock: what is waited for goes by it.
    pub steady: Timestamp,
    /// The wall clock: what people see, times of day and what outlives the process go by it.
    pub wall: Timestamp,
}

impl Now {
    /// How far the wall clock is ahead, in milliseconds.
    pub fn ahead_ms(self) -> i64 {
        self.wall.as_ms().saturating_sub(self.steady.as_ms())
    }
}
