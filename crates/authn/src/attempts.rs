//! How often somebody may try to log in: for each address and for each name.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{
    LOGIN_BUCKETS_MAX, LOGINS_OF_ADDRESS_INTERVAL, LOGINS_OF_ADDRESS_MAX, LOGINS_OF_NAME_INTERVAL,
    LOGINS_OF_NAME_MAX, USERNAME_BYTES_MAX,
};

/// The attempts of late. One that succeeds is given back, so that only wrong passwords count.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Tables>);

#[derive(Debug)]
struct Tables {
    addresses: Buckets<IpAddr>,
    names: Buckets<Box<str>>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            addresses: Buckets::new(LOGINS_OF_ADDRESS_MAX, LOGINS_OF_ADDRESS_INTERVAL),
            names: Buckets::new(LOGINS_OF_NAME_MAX, LOGINS_OF_NAME_INTERVAL),
        }
    }
}

/// What an attempt was taken from.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    address: Option<IpAddr>,
    name: Box<str>,
}

impl Attempts {
    /// Takes an attempt, or says how long to wait for one.
    pub(crate) fn take(
        &self,
        address: Option<IpAddr>,
        name: &str,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let attempt = Attempt { address: address.map(network), name: counted(name) };
        let mut tables = self.tables();
        if let Some(address) = attempt.address {
            tables.addresses.take(address, now)?;
        }
        if let Err(wait) = tables.names.take(attempt.name.clone(), now) {
            attempt.address.iter().for_each(|address| tables.addresses.give_back(address));
            return Err(wait);
        }
        Ok(attempt)
    }

    /// Gives back one that has succeeded.
    pub(crate) fn give_back(&self, attempt: &Attempt) {
        let mut tables = self.tables();
        attempt.address.iter().for_each(|address| tables.addresses.give_back(address));
        tables.names.give_back(&attempt.name);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One whole network of IPv6 is one's own.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Names that can be nobody's are one.
fn counted(name: &str) -> Box<str> {
    if name.len() > USERNAME_BYTES_MAX { "".into() } else { name.to_ascii_lowercase().into() }
}

/// Buckets of tokens, by when each would be full again: one that is full is none.
///
/// Strangers choose the keys, so that their hashes are keyed, and there is a bound.
#[derive(Debug)]
struct Buckets<K> {
    full_at: HashMap<K, Timestamp>,
    most: u32,
    interval: Duration,
    /// So many there are when the full ones are looked for.
    sweep_at: usize,
}

/// Fewer are not worth a sweep.
const SWEEP_MIN: usize = 1024;

impl<K: Eq + Hash> Buckets<K> {
    fn new(most: u32, interval: Duration) -> Self {
        Self { full_at: HashMap::new(), most, interval, sweep_at: SWEEP_MIN }
    }

    fn take(&mut self, key: K, now: Timestamp) -> Result<(), Duration> {
        self.sweep(now);
        let most = self.interval * self.most;
        // A clock that was set back has nobody wait for longer than an empty bucket does.
        let full_at = self.full_at.get(&key).copied().unwrap_or(now);
        let full_at = full_at.clamp(now, now.saturating_add(most));
        let after = full_at.saturating_add(self.interval);
        let over = after.saturating_since(now.saturating_add(most));
        if !over.is_zero() {
            return Err(over);
        }
        if self.full_at.len() >= LOGIN_BUCKETS_MAX && !self.full_at.contains_key(&key) {
            return Err(self.interval);
        }
        self.full_at.insert(key, after);
        Ok(())
    }

    fn give_back(&mut self, key: &K) {
        if let Some(full_at) = self.full_at.get_mut(key) {
            *full_at = full_at.saturating_sub(self.interval);
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        if self.full_at.len() >= self.sweep_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.sweep_at = (2 * self.full_at.len()).clamp(SWEEP_MIN, LOGIN_BUCKETS_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    #[test]
    fn names_and_addresses_are_counted_apart() {
        let attempts = Attempts::default();
        let address = |text: &str| Some(text.parse().expect("an address"));
        for _ in 0..LOGINS_OF_NAME_MAX {
            attempts.take(address("2001:db8::1"), "Ada", NOW).expect("some are left");
        }
        let wait = attempts.take(address("192.0.2.1"), "ada", NOW).expect_err("none of the name");
        assert_eq!(wait, LOGINS_OF_NAME_INTERVAL);
        for _ in LOGINS_OF_NAME_MAX..LOGINS_OF_ADDRESS_MAX {
            attempts.take(address("2001:db8::ffff:2"), &"x".repeat(100), NOW).ok();
            attempts.take(address("2001:db8::3"), "bob", NOW).ok();
        }
        assert!(attempts.take(address("2001:db8::4"), "eve", NOW).is_err(), "one network is one");
        let later = NOW.saturating_add(LOGINS_OF_ADDRESS_INTERVAL);
        let attempt = attempts.take(address("2001:db8::4"), "eve", later).expect("one more");
        assert!(attempts.take(address("2001:db8::4"), "eve", later).is_err());
        attempts.give_back(&attempt);
        assert!(attempts.take(address("2001:db8::4"), "eve", later).is_ok());
    }

    #[test]
    fn buckets_are_bounded_and_gone_when_they_are_full() {
        let second = Duration::from_secs(1);
        let mut buckets = Buckets::new(2, second);
        for key in 0..LOGIN_BUCKETS_MAX {
            buckets.take(key, NOW).expect("room");
        }
        assert_eq!(buckets.take(LOGIN_BUCKETS_MAX, NOW), Err(second));
        assert!(buckets.take(0, NOW).is_ok(), "one that is there needs no room");
        assert!(buckets.take(LOGIN_BUCKETS_MAX, NOW.saturating_add(second)).is_ok());
        assert_eq!(buckets.full_at.len(), 2);
    }

    proptest! {
        /// A bucket lets as many through as a list of the tokens that are out.
        #[test]
        fn a_bucket_agrees_with_a_plain_account(
            acts in prop::collection::vec((0..4_000_u64, any::<bool>()), 1..100),
        ) {
            let mut buckets = Buckets::new(3, Duration::from_secs(1));
            // When each token that was taken is back, one after another.
            let (mut out, mut now) = (VecDeque::new(), NOW);
            for (wait, takes) in acts {
                now = now.saturating_add(Duration::from_millis(wait));
                while out.front().is_some_and(|back| *back <= now) {
                    out.pop_front();
                }
                if takes {
                    let is_left = out.len() < 3;
                    prop_assert_eq!(buckets.take("a", now).is_ok(), is_left);
                    if is_left {
                        let last = out.back().copied().unwrap_or(now).max(now);
                        out.push_back(last.saturating_add(Duration::from_secs(1)));
                    }
                } else if out.pop_back().is_some() {
                    buckets.give_back(&"a");
                }
            }
        }
    }
}
