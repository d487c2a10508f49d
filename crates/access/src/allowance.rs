//! How much somebody may do in a while: limits of roles, and what is left of them.
//!
//! Time is a number that the caller brings, in nanoseconds.

use core::time::Duration;

/// What a role allows its holders, each subject for itself. `None`: as much as they like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Streams, WebSockets and long polls at a time.
    pub connections: Option<u64>,
    /// New ones of those in a second.
    pub connects_per_second: Option<u64>,
    /// Filters that all of those follow together.
    pub subscriptions: Option<u64>,
    /// Events that are published in a second.
    pub events_per_second: Option<u64>,
    /// Samples that are sent in a second.
    pub samples_per_second: Option<u64>,
    /// Bytes of the bodies of both in a second.
    pub bytes_per_second: Option<u64>,
    /// Different topics that are published to [lately](crate::Names).
    pub topics: Option<u64>,
    /// Different series that are sent lately.
    pub series: Option<u64>,
}

impl Limits {
    /// Whether anything is asked of who connects.
    pub const fn are_of_connections(&self) -> bool {
        self.count_connections() || self.connects_per_second.is_some()
    }

    /// Whether connections are counted for as long as they last.
    pub const fn count_connections(&self) -> bool {
        self.connections.is_some() || self.subscriptions.is_some()
    }

    /// Without any.
    pub const NONE: Self = Self {
        connections: None,
        connects_per_second: None,
        subscriptions: None,
        events_per_second: None,
        samples_per_second: None,
        bytes_per_second: None,
        topics: None,
        series: None,
    };

    /// What the more generous of two roles allows, each number for itself.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let more = |one: Option<u64>, other: Option<u64>| Some(one?.max(other?));
        Self {
            connections: more(self.connections, other.connections),
            connects_per_second: more(self.connects_per_second, other.connects_per_second),
            subscriptions: more(self.subscriptions, other.subscriptions),
            events_per_second: more(self.events_per_second, other.events_per_second),
            samples_per_second: more(self.samples_per_second, other.samples_per_second),
            bytes_per_second: more(self.bytes_per_second, other.bytes_per_second),
            topics: more(self.topics, other.topics),
            series: more(self.series, other.series),
        }
    }
}

/// A second's worth at once, and so much in each second beyond.
///
/// It is kept as a debt: how long it takes until all that was taken has been paid for. Whoever owes
/// less than a second's worth may take, however much: a batch that is larger than a second's worth
/// goes through at some time, and is waited for afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When nothing is owed any more.
    paid_at: u64,
}

/// How much may be owed by who takes.
const BURST: u64 = 1_000_000_000;

impl Bucket {
    /// Takes so much, or says after how long it is worth another try. `now` is in nanoseconds and
    /// never goes back.
    pub fn take(&mut self, now: u64, amount: u64, per_second: u64) -> Result<(), Duration> {
        self.check(now)?;
        let cost = u128::from(amount) * u128::from(BURST) / u128::from(per_second.max(1));
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        self.paid_at = self.paid_at.max(now).saturating_add(cost);
        Ok(())
    }

    /// Whether anything can be taken, or after how long it can.
    pub fn check(&self, now: u64) -> Result<(), Duration> {
        let owed = self.paid_at.saturating_sub(now);
        if owed < BURST { Ok(()) } else { Err(Duration::from_nanos(owed - BURST + 1)) }
    }

    /// How much is left of a second's worth.
    pub fn left(&self, now: u64, per_second: u64) -> u64 {
        let free = BURST - self.paid_at.saturating_sub(now).min(BURST);
        // No more than what a second is worth.
        (u128::from(free) * u128::from(per_second) / u128::from(BURST)) as u64
    }

    /// Whether it is as if nothing had ever been taken.
    pub fn is_full(&self, now: u64) -> bool {
        self.paid_at <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = BURST;

    #[test]
    fn a_seconds_worth_comes_at_once_and_then_one_after_the_other() {
        let mut bucket = Bucket::default();
        for _ in 0..10 {
            assert_eq!(bucket.take(0, 1, 10), Ok(()));
        }
        assert!(!bucket.is_full(0));
        let wait = bucket.take(0, 1, 10).expect_err("ten are taken");
        assert!(wait <= Duration::from_millis(1), "{wait:?}");
        assert_eq!(bucket.take(SECOND / 10, 1, 10), Ok(()));
        assert!(bucket.take(SECOND / 10, 1, 10).is_err());
        assert!(bucket.is_full(3 * SECOND));
        assert_eq!((bucket.left(SECOND / 10, 10), bucket.left(3 * SECOND, 10)), (0, 10));
        assert_eq!(bucket.left(SECOND, 100), 90);
    }

    #[test]
    fn what_is_larger_than_a_seconds_worth_goes_through_and_is_paid_for() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(0, 100, 10), Ok(()));
        let wait = bucket.take(0, 1, 10).expect_err("ten seconds are owed");
        assert_eq!(wait.as_secs(), 9);
        assert_eq!(bucket.take(u64::try_from(wait.as_nanos()).expect("short"), 1, 10), Ok(()));
    }

    #[test]
    fn the_more_generous_role_holds_for_each_limit() {
        let one = Limits { connections: Some(1), events_per_second: Some(9), ..Limits::NONE };
        let other = Limits { connections: Some(2), ..Limits::NONE };
        assert_eq!(one.or(other), Limits { connections: Some(2), ..Limits::NONE });
        assert_eq!(one.or(Limits::NONE), Limits::NONE);
    }

    proptest! {
        /// The model pays off step by step what is owed, in units of a nanosecond's worth.
        #[test]
        fn it_lets_pass_what_a_plain_ledger_does(
            per_second in 1_u64..2_000,
            steps in prop::collection::vec((0_u64..3_000_000_000, 0_u64..500), 1..60),
        ) {
            let (mut bucket, mut now, mut owed) = (Bucket::default(), 7, 0_u128);
            let (mut taken, mut largest) = (0, 0);
            for (pause, amount) in steps {
                now += pause;
                owed = owed.saturating_sub(u128::from(pause));
                let passed = bucket.take(now, amount, per_second);
                prop_assert_eq!(passed.is_ok(), owed < u128::from(SECOND));
                match passed {
                    Ok(()) => {
                        owed += u128::from(amount) * u128::from(SECOND) / u128::from(per_second);
                        (taken, largest) = (taken + amount, largest.max(amount));
                    }
                    Err(wait) => {
                        let at = now + u64::try_from(wait.as_nanos()).expect("short");
                        prop_assert!(bucket.check(at - 1).is_err());
                        prop_assert!(bucket.check(at).is_ok());
                    }
                }
                prop_assert_eq!(bucket.is_full(now), owed == 0);
            }
            // Over any time nobody has more than the rate, a second's worth, and one batch.
            let allowed = u128::from(now) * u128::from(per_second) / u128::from(SECOND);
            prop_assert!(u128::from(taken) <= allowed + u128::from(per_second + largest) + 60);
        }
    }
}
