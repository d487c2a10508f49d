//! Credentials that were verified a moment ago: to verify one takes its time, and a client shows it
//! with every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_access::Identity;
use bellwire_model::Timestamp;
use bellwire_model::limits::IDENTITIES_KNOWN_BYTES_MAX;

use crate::shown::Shown;

/// After this long a credential is verified again: its key may have been taken back.
const KNOWN_FOR: Duration = Duration::from_mins(1);

/// Whom verified credentials belong to.
///
/// In two halves: when the younger one is full, it becomes the older one, and that is forgotten. Who
/// comes again in time moves from the older one to the younger.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Shown, Verified>,
    young_bytes: usize,
    old: HashMap<Shown, Verified>,
}

#[derive(Clone, Debug)]
struct Verified {
    identity: Arc<Identity>,
    at: Timestamp,
    size_bytes: usize,
}

impl Verified {
    /// Whether it still counts. A clock that was set back tells nothing.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.at <= now && now < self.at.saturating_add(KNOWN_FOR) && !self.identity.is_over(now)
    }
}

impl Known {
    /// Who has shown this, if it was verified a moment ago.
    pub(crate) fn get(&self, shown: &Shown, now: Timestamp) -> Option<Arc<Identity>> {
        let mut halves = self.halves();
        let (young, mut forgotten) = (halves.young.get(shown).cloned(), HashMap::new());
        let found = if let Some(verified) = young {
            verified
        } else {
            let verified = halves.old.remove(shown)?;
            forgotten = halves.insert(shown, verified.clone());
            verified
        };
        // What is much takes its time to be freed, and nobody is to wait for that.
        drop(halves);
        drop(forgotten);
        found.is_fresh(now).then_some(found.identity)
    }

    /// Remembers who has shown this. Of several who have verified it at once all get what the first of
    /// them has found: they are one.
    pub(crate) fn insert(
        &self,
        shown: &Shown,
        identity: Arc<Identity>,
        now: Timestamp,
    ) -> Arc<Identity> {
        let size_bytes = shown.size_bytes() + identity.size_bytes() + ENTRY_BYTES;
        let mut halves = self.halves();
        let first = halves.young.get(shown).filter(|first| first.is_fresh(now));
        if let Some(first) = first {
            return Arc::clone(&first.identity);
        }
        let verified = Verified { identity: Arc::clone(&identity), at: now, size_bytes };
        let forgotten = halves.insert(shown, verified);
        drop(halves);
        drop(forgotten);
        identity
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an entry takes beside its texts.
const ENTRY_BYTES: usize = 2 * size_of::<(Shown, Verified)>();

impl Halves {
    /// Returns what is forgotten for it.
    fn insert(&mut self, shown: &Shown, verified: Verified) -> HashMap<Shown, Verified> {
        self.young_bytes += verified.size_bytes;
        if let Some(before) = self.young.insert(shown.clone(), verified) {
            self.young_bytes -= before.size_bytes;
        }
        if self.young_bytes <= IDENTITIES_KNOWN_BYTES_MAX / 2 {
            return HashMap::new();
        }
        self.young_bytes = 0;
        std::mem::replace(&mut self.old, std::mem::take(&mut self.young))
    }
}

#[cfg(test)]
mod tests {
    use bellwire_access::Claims;

    use super::*;

    fn shown(text: &str) -> Shown {
        Shown::Bearer(text.into())
    }

    const NOW: Timestamp = Timestamp::from_ms(1_000_000);

    #[test]
    fn who_is_verified_twice_at_once_is_one() {
        let known = Known::default();
        let verified = || known.insert(&shown("a"), Arc::new(Identity::open()), NOW);
        assert!(Arc::ptr_eq(&verified(), &verified()));
        assert!(known.get(&shown("b"), NOW).is_none());
    }

    #[test]
    fn what_was_verified_counts_for_a_minute_and_no_longer_than_the_credential() {
        let known = Known::default();
        let ends_at = Some(NOW.saturating_add(Duration::from_secs(5)));
        let claims = Claims { ends_at, ..Claims::anonymous() };
        known.insert(&shown("a"), Arc::new(Identity::open()), NOW);
        known.insert(&shown("b"), Arc::new(Identity { claims, ..Identity::open() }), NOW);
        let is_known = |text: &str, after: Duration| {
            known.get(&shown(text), NOW.saturating_add(after)).is_some()
        };
        assert!(is_known("a", Duration::from_secs(59)));
        assert!(!is_known("a", KNOWN_FOR));
        assert!(!is_known("b", Duration::from_secs(5)));
        // A clock that was set back tells nothing.
        assert!(known.get(&shown("a"), NOW.saturating_sub(Duration::from_millis(1))).is_none());
    }

    #[test]
    fn what_is_known_is_bounded_and_who_comes_again_in_time_stays() {
        let known = Known::default();
        let long = "x".repeat(512 * 1024);
        let often = shown("often");
        known.insert(&often, Arc::new(Identity::open()), NOW);
        for number in 0..3 * IDENTITIES_KNOWN_BYTES_MAX / long.len() {
            let once = shown(&format!("{long}{number}"));
            known.insert(&once, Arc::new(Identity::open()), NOW);
            if number % 8 == 0 {
                assert!(known.get(&often, NOW).is_some(), "{number}");
            }
        }
        let halves = known.halves();
        let bytes = |half: &HashMap<Shown, Verified>| -> usize {
            half.values().map(|verified| verified.size_bytes).sum()
        };
        let most = IDENTITIES_KNOWN_BYTES_MAX + 2 * long.len();
        assert!(bytes(&halves.young) + bytes(&halves.old) <= most);
    }
}
