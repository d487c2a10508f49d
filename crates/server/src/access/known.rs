//! Credentials that were verified a moment ago: to verify one takes its time, and a client shows it
//! with every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_access::Identity;
use bellwire_model::Timestamp;
use bellwire_model::limits::IDENTITIES_KNOWN_BYTES_MAX;

use super::Shown;

/// After this long a credential is verified again: its key may have been taken back.
const KNOWN_FOR: Duration = Duration::from_mins(1);

/// Whom verified credentials belong to.
///
/// In two halves: when the younger one is full, it becomes the older one, and that is forgotten. Who
/// comes again in time moves from the older one to the younger.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Halves>);

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
    pub(super) fn get(&self, shown: &Shown, now: Timestamp) -> Option<Arc<Identity>> {
        let mut halves = self.halves();
        let young = halves.young.get(shown).cloned();
        let found = if let Some(verified) = young {
            verified
        } else {
            let verified = halves.old.remove(shown)?;
            halves.insert(shown, verified.clone());
            verified
        };
        found.is_fresh(now).then_some(found.identity)
    }

    /// Remembers who has shown this.
    pub(super) fn insert(&self, shown: &Shown, identity: &Arc<Identity>, now: Timestamp) {
        let size_bytes = shown.size_bytes() + identity.size_bytes() + ENTRY_BYTES;
        let verified = Verified { identity: Arc::clone(identity), at: now, size_bytes };
        self.halves().insert(shown, verified);
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an entry takes beside its texts.
const ENTRY_BYTES: usize = 2 * size_of::<(Shown, Verified)>();

impl Halves {
    fn insert(&mut self, shown: &Shown, verified: Verified) {
        self.young_bytes += verified.size_bytes;
        if let Some(before) = self.young.insert(shown.clone(), verified) {
            self.young_bytes -= before.size_bytes;
        }
        if self.young_bytes > IDENTITIES_KNOWN_BYTES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}
