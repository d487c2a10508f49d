//! API keys, by their public part: those of the configuration, and those that were made over the API.
//!
//! ```text
//! configuration ───────────────┐
//! access/key/<id> (records) ───┴▶ Keys ─▶ whose key it is
//!        ▲                         │ ▲
//!        └──── made, taken back ───┘ └ what other nodes make and take back
//! access/used/<id>: when it was used last
//! ```
//!
//! The record of a key is written once, and goes when the key is taken back: nobody who writes something else
//! of it, such as another node that its use is known at, brings it back.

mod making;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bellwire_access::key::PresentedKey;
use bellwire_access::{Claims, Identity, Means, Policy, StoredKey};
use bellwire_journal::Error;
use bellwire_model::Timestamp;
use bellwire_model::limits::KEY_USE_STEP;

use crate::issued::Issued;
use crate::records::Records;
use crate::refusal::Invalid;

pub use self::making::KeyOrder;

/// What the records of keys begin with.
pub(crate) const PREFIX: &str = "access/key/";

/// What the records begin with that say when keys were used last, in milliseconds as text.
pub(crate) const USED: &str = "access/used/";

/// The keys that there are.
#[derive(Debug)]
pub struct Keys {
    by_id: RwLock<HashMap<Box<str>, Arc<KeptKey>>>,
    records: Arc<Records>,
    issued: Arc<Issued>,
    /// Held by who changes keys until the journal has answered: changes are made one after the other.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Where a key is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The configuration.
    Configuration,
    /// It was made over the API.
    Api,
}

impl KeySource {
    /// In one word, as the API has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Api => "api",
        }
    }
}

/// Why there is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The configuration has it.
    Configured,
    /// The configuration had it when it was taken back: with the one of another day it would count
    /// again, but for its record.
    WasConfigured,
    /// It was made over the API.
    Made,
}

/// A key as it is kept.
#[derive(Debug)]
struct KeptKey {
    stored: StoredKey,
    origin: Origin,
    /// Taken back, whether or not the journal has it yet.
    is_revoked: AtomicBool,
    /// When it was last used, in steps of [`KEY_USE_STEP`], and what of that its record has.
    used_at: AtomicI64,
    use_kept: AtomicI64,
}

/// Of a key that was never used.
const NEVER: i64 = i64::MIN;

/// A key as it is shown: nothing of it opens anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// What is kept of it. When it was [used](StoredKey::used_at), too: within [`KEY_USE_STEP`].
    pub stored: StoredKey,
    /// Where it is from.
    pub source: KeySource,
}

impl KeptKey {
    fn new(stored: StoredKey, origin: Origin) -> Arc<Self> {
        let used_at = stored.used_at.map_or(NEVER, Timestamp::as_ms);
        let is_revoked = stored.revoked_at.is_some();
        Arc::new(Self {
            stored,
            origin,
            is_revoked: is_revoked.into(),
            used_at: used_at.into(),
            use_kept: used_at.into(),
        })
    }

    fn source(&self) -> KeySource {
        match self.origin {
            Origin::Configured | Origin::WasConfigured => KeySource::Configuration,
            Origin::Made => KeySource::Api,
        }
    }

    fn is_revoked(&self) -> bool {
        self.is_revoked.load(Ordering::SeqCst)
    }

    fn used_at(&self) -> Option<Timestamp> {
        let used_at = self.used_at.load(Ordering::Relaxed);
        (used_at != NEVER).then_some(Timestamp::from_ms(used_at))
    }

    fn on_use(&self, now: Timestamp) {
        let step_ms = i64::try_from(KEY_USE_STEP.as_millis()).expect("it is short");
        let step = now.as_ms().div_euclid(step_ms) * step_ms;
        // A key may be used from all cores at once: they write once a step.
        if self.used_at.load(Ordering::Relaxed) != step {
            self.used_at.store(step, Ordering::Relaxed);
        }
    }

    /// Its record says that it was used then.
    fn was_used(&self, at_ms: i64) {
        self.used_at.fetch_max(at_ms, Ordering::Relaxed);
        self.use_kept.fetch_max(at_ms, Ordering::Relaxed);
    }

    /// As it is now.
    fn now(&self) -> StoredKey {
        let mut now = self.stored.clone();
        now.used_at = self.used_at();
        now
    }
}

impl Keys {
    /// Those that are configured.
    pub(crate) fn new(
        configured: &[StoredKey],
        records: Arc<Records>,
        issued: Arc<Issued>,
    ) -> Self {
        let kept =
            |key: &StoredKey| (key.id.clone(), KeptKey::new(key.clone(), Origin::Configured));
        let by_id = RwLock::new(configured.iter().map(kept).collect());
        Self { by_id, records, issued, turn: Arc::default() }
    }

    /// Takes in what the journal has. Blocks on the disk.
    pub(crate) fn restore(&self) -> Result<(), Error> {
        let mut by_id = self.by_id_mut();
        for record in self.records.read(PREFIX)? {
            let id = record.key.strip_prefix(PREFIX).unwrap_or_default();
            self.take_in(&mut by_id, id, &record.value);
        }
        for record in self.records.read(USED)? {
            let id = record.key.strip_prefix(USED).unwrap_or_default();
            if let (Some(kept), Some(at)) = (by_id.get(id), used_at(&record.value)) {
                kept.was_used(at);
            }
        }
        Ok(())
    }

    /// What a record says of a key. Whether a key counts no more since.
    fn take_in(&self, by_id: &mut HashMap<Box<str>, Arc<KeptKey>>, id: &str, value: &[u8]) -> bool {
        let stored = serde_json::from_slice::<StoredKey>(value).ok();
        let Some(stored) = stored.filter(|stored| *stored.id == *id) else {
            tracing::warn!(id, "A record of an API key cannot be read; the key does not count.");
            return false;
        };
        let before = by_id.get(id);
        let configured = before.filter(|kept| kept.origin == Origin::Configured);
        let counted = before.is_some_and(|kept| !kept.is_revoked());
        let (key, origin) = match (configured, stored.revoked_at) {
            (Some(kept), Some(_)) => {
                let mut key = kept.stored.clone();
                key.revoked_at = stored.revoked_at;
                (key, Origin::Configured)
            }
            (Some(_), None) => {
                tracing::warn!(
                    id,
                    "An API key that was made has the id of a configured one, which counts."
                );
                return false;
            }
            (None, Some(_)) => (stored, Origin::WasConfigured),
            // It was told before, and is what it was made as.
            (None, None) if before.is_some() => return false,
            (None, None) => (stored, Origin::Made),
        };
        self.issued.saw(key.made_at);
        let is_revoked = key.revoked_at.is_some();
        by_id.insert(key.id.clone(), KeptKey::new(key, origin));
        counted && is_revoked
    }

    /// Whose key it is.
    pub(crate) fn subject(&self, id: &str) -> Option<Box<str>> {
        Some(self.get(id)?.stored.subject.as_ref().into())
    }

    /// The record of a key was changed, maybe by another node. Whether a key counts no more since.
    pub(crate) fn on_change(&self, id: &str, value: Option<&[u8]>) -> bool {
        let mut by_id = self.by_id_mut();
        let Some(value) = value else {
            // What the configuration has counts without a record.
            let is_gone = |kept: &Arc<KeptKey>| kept.origin != Origin::Configured;
            if !by_id.get(id).is_some_and(is_gone) {
                return false;
            }
            return by_id
                .remove(id)
                .is_some_and(|kept| !kept.is_revoked.swap(true, Ordering::SeqCst));
        };
        self.take_in(&mut by_id, id, value)
    }

    /// A key was used, maybe at another node.
    pub(crate) fn on_use_change(&self, id: &str, value: Option<&[u8]>) {
        if let (Some(kept), Some(at)) = (self.get(id), value.and_then(used_at)) {
            kept.was_used(at);
        }
    }

    /// Whose key it is, and what they may.
    pub(crate) fn identity(
        &self,
        policy: &Policy,
        text: &str,
        now: Timestamp,
    ) -> Result<Identity, Invalid> {
        let presented = PresentedKey::parse(text).map_err(|error| {
            tracing::debug!(%error, "An API key was refused.");
            Invalid
        })?;
        let kept = self.get(presented.id()).ok_or(Invalid)?;
        kept.stored.check(&presented, now).map_err(|error| {
            tracing::debug!(%error, key = presented.id(), "An API key was refused.");
            Invalid
        })?;
        let StoredKey { id, subject, roles, claims, ends_at, made_at, .. } = &kept.stored;
        let claims = Claims {
            subject: subject.clone(),
            values: claims.clone(),
            ends_at: *ends_at,
            issued_at: *made_at,
            first: None,
        };
        let rights = policy.rights(roles.iter().map(|role| &**role), &claims);
        Ok(Identity { claims, means: Means::Key(id.clone()), roles: roles.clone(), rights })
    }

    /// The key of this id, as it was made.
    pub(crate) fn stored(&self, id: &str) -> Option<StoredKey> {
        self.get(id).map(|kept| kept.stored.clone())
    }

    /// Whether the key of this id was not taken back since it was checked.
    pub(crate) fn counts(&self, id: &str) -> bool {
        self.get(id).is_some_and(|kept| !kept.is_revoked())
    }

    /// The same of the key behind something that was made for this subject: the configuration may have
    /// given its id to another's since.
    pub(crate) fn counts_for(&self, id: &str, subject: &str) -> bool {
        let is_theirs = |kept: &KeptKey| !kept.is_revoked() && *kept.stored.subject == *subject;
        self.get(id).is_some_and(|kept| is_theirs(&kept))
    }

    /// Somebody comes in with the key of this id.
    pub(crate) fn on_use(&self, id: &str, now: Timestamp) {
        if let Some(kept) = self.get(id) {
            kept.on_use(now);
        }
    }

    /// All of them, by their ids.
    pub fn list(&self) -> Vec<ListedKey> {
        let kept: Vec<Arc<KeptKey>> = self.by_id().values().cloned().collect();
        let listed = |kept: &Arc<KeptKey>| ListedKey { stored: kept.now(), source: kept.source() };
        let mut listed: Vec<ListedKey> = kept.iter().map(listed).collect();
        listed.sort_by(|one, other| one.stored.id.cmp(&other.stored.id));
        listed
    }

    fn get(&self, id: &str) -> Option<Arc<KeptKey>> {
        self.by_id().get(id).cloned()
    }

    fn by_id(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, Arc<KeptKey>>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_id_mut(&self) -> RwLockWriteGuard<'_, HashMap<Box<str>, Arc<KeptKey>>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a key was used, as a record has it.
fn used_at(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
