//! Chance, good enough to spread clients.

use std::cell::Cell;
use std::time::Duration;

/// A random time up to `most`, so that many clients do not return at once.
pub fn jittered(most: Duration) -> Duration {
    let share = f64::from(random()) / f64::from(u32::MAX);
    Duration::from_millis((most.as_millis() as f64 * share) as u64)
}

thread_local! {
    /// Seeded once: the system's randomness costs a call for each number.
    static STATE: Cell<u64> = Cell::new(getrandom::u64().unwrap_or_default());
}

/// The high half of `SplitMix64`'s next number.
fn random() -> u32 {
    STATE.with(|state| {
        state.set(state.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mixed = (state.get() ^ (state.get() >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed >> 32) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_spread_over_the_whole_time() {
        let most = Duration::from_secs(1);
        let mut tenths = [0; 11];
        for _ in 0..10_000 {
            tenths[jittered(most).as_millis() as usize / 100] += 1;
        }
        assert!(tenths[..10].iter().all(|count| (700..1_300).contains(count)), "{tenths:?}");
    }
}
