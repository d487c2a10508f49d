//! Cursors, in this protocol's sense: which interval of time an answer is of. Clients send them back, so
//! that what a cache between keeps of a wait gets old.

use std::time::Duration;

use bellwire_model::Timestamp;

/// The beginning of the first interval: 2024-10-09 00:00:00 UTC.
const BEGINNING: Timestamp = Timestamp::from_ms(1_728_432_000_000);
/// How long each is.
const INTERVAL: Duration = Duration::from_secs(20);

/// Which interval a time is in.
fn interval(now: Timestamp) -> u32 {
    let intervals = now.saturating_since(BEGINNING).as_secs() / INTERVAL.as_secs();
    u32::try_from(intervals).unwrap_or(u32::MAX)
}

/// How many intervals a client's cursors are ahead of time. Small: a connection has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCursor(u8);

impl StreamCursor {
    /// Who came back that often in so short a time is told the same again.
    const AHEAD_MAX: u8 = 127;

    /// For a client that says what it was told last. One that comes back within the same interval is
    /// told of a later one, further away by `jitter`: a cache must not have its next question.
    pub fn after(said: Option<&str>, (now, jitter): (Timestamp, Duration)) -> Self {
        let said = said.and_then(|said| said.parse::<u32>().ok());
        let Some(ahead) = said.and_then(|said| said.checked_sub(interval(now))) else {
            return Self::default();
        };
        let further = (jitter.as_secs() / INTERVAL.as_secs()).max(1);
        let ahead = u64::from(ahead).saturating_add(further);
        Self::ahead(u8::try_from(ahead).unwrap_or(u8::MAX))
    }

    /// So many intervals ahead, 127 at most.
    pub fn ahead(intervals: u8) -> Self {
        Self(intervals.min(Self::AHEAD_MAX))
    }

    /// How many that are.
    pub const fn intervals(self) -> u8 {
        self.0
    }

    /// What it is told now.
    pub fn at(self, now: Timestamp) -> u32 {
        interval(now).saturating_add(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_never_goes_back_and_always_beyond_what_was_said() {
        let now = BEGINNING.saturating_add(1_000 * INTERVAL + Duration::from_secs(3));
        let told = |said, jitter_s| {
            StreamCursor::after(said, (now, Duration::from_secs(jitter_s))).at(now)
        };
        assert_eq!(
            (told(None, 0), told(Some("999"), 0), told(Some("x"), 0)),
            (1_000, 1_000, 1_000)
        );
        assert_eq!((told(Some("1000"), 0), told(Some("1000"), 100)), (1_001, 1_005));
        assert_eq!(told(Some("1100"), 60), 1_103);
        assert_eq!(told(Some("4294967295"), 3_600), 1_127);
        let ahead = StreamCursor::after(Some("1000"), (now, Duration::ZERO));
        assert_eq!(ahead.at(now.saturating_add(7 * INTERVAL)), 1_008);
        assert_eq!(interval(Timestamp::from_ms(0)), 0);
    }
}
