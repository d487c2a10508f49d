//! How long a broker is left alone that could not be spoken to.

use std::time::Duration;

use bellwire_model::limits::MQTT_BROKER_PAUSE_MAX;

/// The first pause.
const FIRST: Duration = Duration::from_millis(500);
/// A connection that lasts so long is a good one.
const GOOD: Duration = Duration::from_secs(30);

/// Pauses that get longer, until a connection has lasted.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// The pause after a connection that has lasted so long, of which a random part from the half to
    /// the whole is to be waited.
    pub(super) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= GOOD {
            self.0 = FIRST;
        }
        let pause = self.0;
        self.0 = (self.0 * 2).min(MQTT_BROKER_PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_a_connection_has_lasted() {
        let mut pause = Pause::new();
        let pauses: Vec<u64> =
            (0..9).map(|_| pause.after(Duration::from_secs(1)).as_millis() as u64).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(pause.after(GOOD), FIRST);
        assert_eq!(pause.after(Duration::ZERO), FIRST * 2);
    }
}
