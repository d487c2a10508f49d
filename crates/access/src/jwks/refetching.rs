//! When a published set of keys is fetched anew, and how long the last one counts.
//!
//! ```text
//!          fetched                       max-age over          stale for 24 h
//! (none) ──────────▶ fresh ────────────────────────▶ stale ──────────────────▶ refused
//!                      ▲                               │                          │
//!                      └────────────── fetched ────────┴──────────────────────────┘
//! ```
//!
//! A set that cannot be fetched goes on counting for a while: an issuer that is down must not lock
//! everybody out at once. But not for ever: a key that was taken back would count as long as somebody
//! can keep us from hearing of it.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{
    JWKS_AGE_DEFAULT, JWKS_AGE_MAX, JWKS_AGE_MIN, JWKS_REFETCH_INTERVAL, JWKS_RETRY_MAX,
    JWKS_STALE_MAX,
};

use crate::jwt::KeySet;

/// One published set of keys over time. Time comes from the wall clock, since it is to outlive a
/// suspended machine; a clock that is set back makes a fetch due, and no set count for longer than it
/// would have.
#[derive(Debug, Default)]
pub struct Refetching {
    set: Option<Set>,
    attempt: Option<Attempt>,
    is_in_flight: bool,
    /// Whether a token named a key that the set lacks.
    is_asked_for: bool,
    /// Attempts that failed since the last that did not.
    failures: u32,
}

#[derive(Debug)]
struct Set {
    keys: Arc<KeySet>,
    fetched_at: Timestamp,
    /// The latest time at which it was looked at: its age does not go down again.
    seen_at: Timestamp,
    max_age: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    began_at: Timestamp,
}

/// How a set of keys stands, for `/readyz` and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was never fetched: no token of the issuer can be verified.
    Missing,
    /// It counts.
    Fresh {
        /// How old it is.
        age: Duration,
    },
    /// It counts, but should have been fetched anew.
    Stale {
        /// How old it is.
        age: Duration,
    },
    /// It is too old to count: no token of the issuer can be verified.
    Refused {
        /// How old it is.
        age: Duration,
    },
}

impl Standing {
    /// Whether tokens can be verified.
    pub fn counts(self) -> bool {
        matches!(self, Self::Fresh { .. } | Self::Stale { .. })
    }

    /// How old the keys are, where there are any.
    pub fn age(self) -> Option<Duration> {
        match self {
            Self::Missing => None,
            Self::Fresh { age } | Self::Stale { age } | Self::Refused { age } => Some(age),
        }
    }

    /// A word that stays the same, for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Fresh { .. } => "fresh",
            Self::Stale { .. } => "stale",
            Self::Refused { .. } => "refused",
        }
    }
}

impl Refetching {
    /// Whether to fetch now. Never while a fetch is in flight, and never within
    /// [`JWKS_REFETCH_INTERVAL`] of the last, whoever asks: tokens with names of keys that nobody has
    /// are free to make.
    pub fn is_due(&self, now: Timestamp) -> bool {
        if self.is_in_flight {
            return false;
        }
        let Some(attempt) = self.attempt else { return true };
        // A clock that was set back: nobody knows how long ago it was.
        if now < attempt.began_at {
            return true;
        }
        let since = now.saturating_since(attempt.began_at);
        let is_wanted = self.is_asked_for || self.failures > 0 || !self.is_fresh(now);
        is_wanted && since >= self.pause()
    }

    /// Whether a fetch has begun and not ended.
    pub fn is_fetching(&self) -> bool {
        self.is_in_flight
    }

    /// How long after an attempt the next may be: longer each time that one fails, unless a token asks
    /// for a key.
    fn pause(&self) -> Duration {
        if self.is_asked_for {
            return JWKS_REFETCH_INTERVAL;
        }
        let doubled = self.failures.saturating_sub(1).min(10);
        (JWKS_REFETCH_INTERVAL * (1 << doubled)).min(JWKS_RETRY_MAX)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.set.as_ref().is_some_and(|set| now >= set.fetched_at && set.age(now) < set.max_age)
    }

    /// A token named a key that the set lacks, or is signed by none of those that it may be signed by:
    /// the issuer may have a new one, also under an old name.
    pub fn ask(&mut self) {
        self.is_asked_for = true;
    }

    /// A fetch begins. It ends with [`Self::fetched`] or [`Self::failed`]; whoever fetches sees to it
    /// that it ends.
    pub fn begin(&mut self, now: Timestamp) {
        self.is_in_flight = true;
        self.is_asked_for = false;
        self.attempt = Some(Attempt { began_at: now });
    }

    /// A fetch brought these keys, which may be kept for `max_age` (`Cache-Control`). They take the
    /// place of the last ones as a whole.
    pub fn fetched(&mut self, now: Timestamp, keys: KeySet, max_age: Option<Duration>) {
        let max_age = max_age.unwrap_or(JWKS_AGE_DEFAULT).clamp(JWKS_AGE_MIN, JWKS_AGE_MAX);
        let keys = Arc::new(keys);
        self.set = Some(Set { keys, fetched_at: now, seen_at: now, max_age });
        self.is_in_flight = false;
        self.failures = 0;
    }

    /// A fetch brought nothing, or what is no set of keys: that changes none of those that there are.
    pub fn failed(&mut self) {
        self.is_in_flight = false;
        self.failures = self.failures.saturating_add(1);
    }

    /// The keys that count now.
    pub fn keys(&mut self, now: Timestamp) -> Option<Arc<KeySet>> {
        let set = self.set.as_mut()?;
        set.seen_at = set.seen_at.max(now);
        let set = &*set;
        set.counts(now).then(|| Arc::clone(&set.keys))
    }

    /// How it stands.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let Some(set) = &self.set else { return Standing::Missing };
        let age = set.age(now);
        match () {
            () if !set.counts(now) => Standing::Refused { age },
            () if self.is_fresh(now) => Standing::Fresh { age },
            () => Standing::Stale { age },
        }
    }

    /// Attempts that failed since the last that did not.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

impl Set {
    fn age(&self, now: Timestamp) -> Duration {
        now.max(self.seen_at).saturating_since(self.fetched_at)
    }

    fn counts(&self, now: Timestamp) -> bool {
        self.age(now) < self.max_age + JWKS_STALE_MAX
    }
}

#[cfg(test)]
mod tests;
