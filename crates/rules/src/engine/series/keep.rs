//! How long samples are kept, in four bytes.

use std::time::Duration;

/// How long samples of a series are kept behind the newest one: to the millisecond, or where it is
/// more than 24 days, to the second above, up to 68 years. Zero keeps the newest alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keep(u32);

/// The bit that says that the others are seconds.
const SECONDS: u32 = 1 << 31;

impl Keep {
    pub(super) fn of(duration: Duration) -> Self {
        let below = |value: u128| u32::try_from(value).ok().filter(|value| *value < SECONDS);
        below(duration.as_millis()).map_or_else(
            || {
                let seconds =
                    u128::from(duration.as_secs()) + u128::from(duration.subsec_nanos() > 0);
                Self(SECONDS | below(seconds).unwrap_or(SECONDS - 1))
            },
            Self,
        )
    }

    pub(super) fn as_ms(self) -> i64 {
        let value = i64::from(self.0 & !SECONDS);
        if self.0 & SECONDS == 0 { value } else { value * 1_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_shorter_than_asked_for_and_a_second_longer_at_most() {
        let exact = [0, 1, 20, 300_000, 2_147_483_647].map(Duration::from_millis);
        for duration in exact {
            assert_eq!(Keep::of(duration).as_ms() as u128, duration.as_millis());
        }
        for ms in [2_147_483_648_u64, 2_147_484_000, 2_592_000_001, 2_000_000_000_999] {
            let longer = Keep::of(Duration::from_millis(ms)).as_ms() as u64 - ms;
            assert!(longer < 1_000, "{ms}");
        }
        let longest = Keep::of(Duration::MAX).as_ms();
        assert_eq!(longest, ((1 << 31) - 1) * 1_000);
    }
}
