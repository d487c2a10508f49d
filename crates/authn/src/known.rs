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
        let mut forgotten = Forgotten::default();
        // What is much takes its time to be freed, and nobody is to wait for that: the lock is let go of
        // before what is forgotten.
        let mut halves = self.halves();
        halves.get(shown, now, &mut forgotten)
    }

    /// Remembers who has shown this. Of several who have verified it at once all get what the first of
    /// them has found: they are one.
    pub(crate) fn insert(
        &self,
        shown: &Shown,
        identity: Arc<Identity>,
        now: Timestamp,
    ) -> Arc<Identity> {
        let mut forgotten = Forgotten::default();
        let size_bytes = shown.size_bytes() + identity.size_bytes() + ENTRY_BYTES;
        let verified = Verified { identity: Arc::clone(&identity), at: now, size_bytes };
        let mut halves = self.halves();
        if let Some(first) = halves.get(shown, now, &mut forgotten) {
            return first;
        }
        halves.insert(shown, verified, &mut forgotten);
        identity
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an entry takes beside its texts.
const ENTRY_BYTES: usize = 2 * size_of::<(Shown, Verified)>();

/// What is to be freed once nobody waits any more.
#[derive(Debug, Default)]
struct Forgotten {
    half: HashMap<Shown, Verified>,
    replaced: Vec<Verified>,
}

impl Halves {
    /// Who has shown this, in either half; it is in the younger one then. What is stale is forgotten.
    fn get(
        &mut self,
        shown: &Shown,
        now: Timestamp,
        forgotten: &mut Forgotten,
    ) -> Option<Arc<Identity>> {
        if let Some(verified) = self.young.get(shown) {
            return verified.is_fresh(now).then(|| Arc::clone(&verified.identity));
        }
        let verified = self.old.remove(shown)?;
        if !verified.is_fresh(now) {
            forgotten.replaced.push(verified);
            return None;
        }
        let identity = Arc::clone(&verified.identity);
        self.insert(shown, verified, forgotten);
        Some(identity)
    }

    fn insert(&mut self, shown: &Shown, verified: Verified, forgotten: &mut Forgotten) {
        self.young_bytes += verified.size_bytes;
        if let Some(before) = self.young.insert(shown.clone(), verified) {
            self.young_bytes -= before.size_bytes;
            forgotten.replaced.push(before);
        }
        if self.young_bytes > IDENTITIES_KNOWN_BYTES_MAX / 2 {
            self.young_bytes = 0;
            let young = std::mem::take(&mut self.young);
            forgotten.half = std::mem::replace(&mut self.old, young);
        }
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
    fn who_comes_again_with_what_is_about_to_be_forgotten_is_the_same() {
        let known = Known::default();
        let verified = |text: &str| known.insert(&shown(text), Arc::new(Identity::open()), NOW);
        let first = verified("a");
        verified(&"x".repeat(IDENTITIES_KNOWN_BYTES_MAX / 2));
        assert!(known.halves().old.contains_key(&shown("a")));
        assert!(Arc::ptr_eq(&first, &verified("a")));
        assert!(!known.halves().old.contains_key(&shown("a")));
    }

    #[test]
    fn what_is_replaced_is_freed_by_who_has_let_go_of_the_lock() {
        let verified = |at: Timestamp| {
            let identity = Arc::new(Identity::open());
            Verified { identity, at, size_bytes: ENTRY_BYTES }
        };
        let (mut halves, mut forgotten) = (Halves::default(), Forgotten::default());
        halves.insert(&shown("a"), verified(NOW), &mut forgotten);
        halves.old.insert(shown("b"), verified(NOW));
        let later = NOW.saturating_add(KNOWN_FOR);
        for text in ["a", "b"] {
            assert!(halves.get(&shown(text), later, &mut forgotten).is_none());
            halves.insert(&shown(text), verified(later), &mut forgotten);
        }
        assert_eq!(forgotten.replaced.len(), 2);
        assert_eq!(halves.young_bytes, 2 * ENTRY_BYTES);
        assert!(halves.old.is_empty());
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
