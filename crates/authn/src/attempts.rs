//! How often somebody may try to log in: for each network and for each name.
//!
//! Whoever guesses at a name must not keep its owner out. So a network from which its password was
//! shown of late has tries of its own for that name: what others do takes none of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{
    LOGIN_BUCKETS_MAX, LOGINS_OF_ADDRESS_INTERVAL, LOGINS_OF_ADDRESS_MAX, LOGINS_OF_NAME_INTERVAL,
    LOGINS_OF_NAME_MAX, USERNAME_BYTES_MAX,
};

use crate::network;

/// The attempts of late. One that succeeds is given back, so that only wrong passwords count.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Tables>);

#[derive(Debug)]
struct Tables {
    networks: Buckets<IpAddr>,
    names: Buckets<Tried>,
    /// When the password of a name was last shown from a network.
    at_home: HashMap<(Box<str>, IpAddr), Timestamp>,
}

/// A name that is tried, and the network where that is one at which its owner is at home.
type Tried = (Box<str>, Option<IpAddr>);

impl Default for Tables {
    fn default() -> Self {
        Self {
            networks: Buckets::new(LOGINS_OF_ADDRESS_MAX, LOGINS_OF_ADDRESS_INTERVAL),
            names: Buckets::new(LOGINS_OF_NAME_MAX, LOGINS_OF_NAME_INTERVAL),
            at_home: HashMap::new(),
        }
    }
}

/// What an attempt was taken from.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    network: Option<IpAddr>,
    tried: Tried,
}

impl Attempts {
    /// Takes an attempt, or says how long to wait for one.
    pub(crate) fn take(
        &self,
        address: Option<IpAddr>,
        name: &str,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let (network, name) = (address.map(network::counted), counted(name));
        let mut tables = self.tables();
        let home = network.filter(|network| tables.at_home.contains_key(&(name.clone(), *network)));
        let attempt = Attempt { network, tried: (name, home) };
        if let Some(network) = attempt.network {
            tables.networks.take(network, now)?;
        }
        if let Err(wait) = tables.names.take(attempt.tried.clone(), now) {
            attempt.network.iter().for_each(|network| tables.networks.give_back(network));
            return Err(wait);
        }
        Ok(attempt)
    }

    /// Gives back one that has succeeded. Its owner is at home there from now on.
    pub(crate) fn give_back(&self, attempt: &Attempt, now: Timestamp) {
        let mut tables = self.tables();
        tables.names.give_back(&attempt.tried);
        let Some(network) = attempt.network else { return };
        tables.networks.give_back(&network);
        let home = (attempt.tried.0.clone(), network);
        if tables.at_home.len() >= LOGIN_BUCKETS_MAX && !tables.at_home.contains_key(&home) {
            let oldest = tables.at_home.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(home, _)| home.clone()) {
                tables.at_home.remove(&oldest);
            }
        }
        tables.at_home.insert(home, now);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names that can be nobody's are one.
fn counted(name: &str) -> Box<str> {
    if name.len() > USERNAME_BYTES_MAX { "".into() } else { name.to_ascii_lowercase().into() }
}

/// Buckets of tokens, by when each would be full again: one that is full is none.
///
/// Strangers choose the keys, so that their hashes are keyed, and there is a bound. Where it is
/// reached the fullest makes room: whoever has many networks takes nothing from others, and those that
/// have tried most are known longest.
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

impl<K: Clone + Eq + Hash> Buckets<K> {
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
            self.forget_the_fullest();
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

    /// All are looked at: next to the check of a password that takes no time.
    fn forget_the_fullest(&mut self) {
        let fullest = self.full_at.iter().min_by_key(|(_, full_at)| **full_at);
        if let Some(fullest) = fullest.map(|(key, _)| key.clone()) {
            self.full_at.remove(&fullest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn names_and_addresses_are_counted_apart() {
        let attempts = Attempts::default();
        for _ in 0..LOGINS_OF_NAME_MAX {
            attempts.take(Some(address("2001:db8::1")), "Ada", NOW).expect("some are left");
        }
        let wait =
            attempts.take(Some(address("192.0.2.1")), "ada", NOW).expect_err("none of the name");
        assert_eq!(wait, LOGINS_OF_NAME_INTERVAL);
        for _ in LOGINS_OF_NAME_MAX..LOGINS_OF_ADDRESS_MAX {
            attempts.take(Some(address("2001:db8::ffff:2")), &"x".repeat(100), NOW).ok();
            attempts.take(Some(address("2001:db8::3")), "bob", NOW).ok();
        }
        assert!(
            attempts.take(Some(address("2001:db8::4")), "eve", NOW).is_err(),
            "one network is one"
        );
        let later = NOW.saturating_add(LOGINS_OF_ADDRESS_INTERVAL);
        let attempt = attempts.take(Some(address("2001:db8::4")), "eve", later).expect("one more");
        assert!(attempts.take(Some(address("2001:db8::4")), "eve", later).is_err());
        attempts.give_back(&attempt, later);
        assert!(attempts.take(Some(address("2001:db8::4")), "eve", later).is_ok());
    }

    #[test]
    fn whoever_guesses_at_a_name_keeps_nobody_out_who_is_at_home() {
        let attempts = Attempts::default();
        let home = Some(address("198.51.100.7"));
        let login = attempts.take(home, "ada", NOW).expect("the first");
        attempts.give_back(&login, NOW);
        for number in 0..LOGINS_OF_NAME_MAX {
            let from = Some(address(&format!("192.0.2.{number}")));
            attempts.take(from, "ada", NOW).expect("some are left");
        }
        assert!(
            attempts.take(Some(address("192.0.2.99")), "ada", NOW).is_err(),
            "none of the name"
        );
        for _ in 0..LOGINS_OF_NAME_MAX {
            attempts.take(home, "Ada", NOW).expect("they have their own");
        }
        assert!(attempts.take(home, "ada", NOW).is_err(), "and no more than others");
        assert!(attempts.take(Some(address("203.0.113.1")), "ada", NOW).is_err());
    }

    #[test]
    fn where_owners_are_at_home_is_bounded() {
        let attempts = Attempts::default();
        for number in 0..=LOGIN_BUCKETS_MAX {
            let network = Some(std::net::Ipv4Addr::from_bits(number as u32).into());
            let at = NOW.saturating_add(Duration::from_millis(number as u64));
            let login = attempts.take(network, "ada", at).expect("the first");
            attempts.give_back(&login, at);
        }
        let tables = attempts.tables();
        assert_eq!(tables.at_home.len(), LOGIN_BUCKETS_MAX);
        assert!(!tables.at_home.values().any(|at| *at == NOW), "the oldest has made room");
    }

    #[test]
    fn buckets_are_bounded_and_the_fullest_makes_room() {
        let second = Duration::from_secs(1);
        let mut buckets = Buckets::new(2, second);
        for key in 0..LOGIN_BUCKETS_MAX {
            buckets.take(key, NOW).expect("room");
        }
        buckets.take(0, NOW).expect("one that is there needs no room");
        buckets
            .take(LOGIN_BUCKETS_MAX, NOW)
            .expect("a stranger has filled it, and locks nobody out");
        assert_eq!(buckets.full_at.len(), LOGIN_BUCKETS_MAX);
        assert_eq!(buckets.take(0, NOW), Err(second), "who has tried most is known longest");
        assert!(buckets.take(LOGIN_BUCKETS_MAX, NOW.saturating_add(second)).is_ok());
        assert_eq!(buckets.full_at.len(), 2, "those that are full are gone");
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
