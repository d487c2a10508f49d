//! The register: who is connected, by number.
//!
//! A connection knows its principal's number and nothing else of it. Numbers are counted by who holds
//! them, and given out again when nobody does.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use bellwire_model::Principal;
use slab::Slab;

use crate::identity::Identity;

/// Identities by number.
#[derive(Debug)]
pub struct Register {
    /// Whoever has no number of their own: number 0.
    stranger: Arc<Identity>,
    entries: RwLock<Entries>,
}

#[derive(Debug)]
struct Entries {
    slab: Slab<Entry>,
    /// Numbers by the address of an identity, which the entry keeps alive.
    by_identity: BTreeMap<usize, usize>,
}

#[derive(Debug)]
struct Entry {
    identity: Arc<Identity>,
    holders: u32,
}

impl Register {
    /// Nobody is there yet. `stranger` is who has no number of their own.
    pub fn new(stranger: Arc<Identity>) -> Self {
        let entries = Entries { slab: Slab::new(), by_identity: BTreeMap::new() };
        Self { stranger, entries: RwLock::new(entries) }
    }

    /// Whoever has no number of their own.
    pub fn stranger(&self) -> &Arc<Identity> {
        &self.stranger
    }

    /// Gives an identity a number, or counts one more who holds it.
    pub fn enter(&self, identity: &Arc<Identity>) -> Principal {
        if Arc::ptr_eq(identity, &self.stranger) {
            return Principal::ANONYMOUS;
        }
        let mut entries = self.entries();
        let Entries { slab, by_identity } = &mut *entries;
        let index = *by_identity
            .entry(address(identity))
            .or_insert_with(|| slab.insert(Entry { identity: Arc::clone(identity), holders: 0 }));
        slab[index].holders += 1;
        Principal(index as u32 + 1)
    }

    /// One fewer holds the number.
    pub fn leave(&self, principal: Principal) {
        let Some(index) = index(principal) else { return };
        let mut entries = self.entries();
        let Some(entry) = entries.slab.get_mut(index) else { return };
        entry.holders -= 1;
        if entry.holders == 0 {
            let entry = entries.slab.remove(index);
            entries.by_identity.remove(&address(&entry.identity));
            // The last of its identity may be much to free.
            drop(entries);
            drop(entry);
        }
    }

    /// Whose number it is, while somebody holds it.
    pub fn identity(&self, principal: Principal) -> Arc<Identity> {
        let Some(index) = index(principal) else { return Arc::clone(&self.stranger) };
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&entries.slab.get(index).expect("whoever asks holds the number").identity)
    }

    /// How many numbers are held.
    pub fn len(&self) -> usize {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).slab.len()
    }

    /// Whether nobody holds a number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entries(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an identity is. Another one can be there only once this one is gone.
fn address(identity: &Arc<Identity>) -> usize {
    Arc::as_ptr(identity).addr()
}

fn index(principal: Principal) -> Option<usize> {
    (principal != Principal::ANONYMOUS).then(|| principal.0 as usize - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;

    fn register() -> Register {
        Register::new(Arc::new(Identity::open()))
    }

    fn identity(subject: &str) -> Arc<Identity> {
        let claims = Claims { subject: subject.into(), ..Claims::anonymous() };
        Arc::new(Identity { claims, ..Identity::open() })
    }

    #[test]
    fn a_number_is_one_identitys_for_as_long_as_anybody_holds_it() {
        let register = register();
        let (ada, bob) = (identity("ada"), identity("bob"));
        let number = register.enter(&ada);
        assert_eq!(register.enter(&ada), number);
        assert_ne!(register.enter(&bob), number);
        register.leave(number);
        assert_eq!(register.identity(number).subject(), "ada");
        register.leave(number);
        assert_eq!(register.len(), 1, "bob is left");
        assert_eq!(register.enter(&identity("eve")), number, "it is free again");
    }

    #[test]
    fn strangers_have_one_number_that_nobody_counts() {
        let register = register();
        let stranger = Arc::clone(register.stranger());
        assert_eq!(register.enter(&stranger), Principal::ANONYMOUS);
        register.leave(Principal::ANONYMOUS);
        assert_eq!(register.identity(Principal::ANONYMOUS), stranger);
        assert!(register.is_empty());
    }
}
