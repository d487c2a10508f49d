//! The register: who is connected, by number.
//!
//! A connection knows its principal's number and nothing else of it. Numbers are counted by who holds
//! them, and given out again when nobody does. What is taken back stays marked for as long as anybody
//! holds the number: nobody who comes late counts because of it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use bellwire_model::limits::REGISTER_LOOKS_MAX;
use bellwire_model::{Principal, Timestamp};
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
    is_revoked: bool,
}

/// Whether what somebody has shown counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does, and does not end by itself.
    Good,
    /// It does until then.
    Until(Timestamp),
    /// It was taken back.
    Revoked,
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
        let index = *by_identity.entry(address(identity)).or_insert_with(|| {
            let identity = Arc::clone(identity);
            slab.insert(Entry { identity, holders: 0, is_revoked: false })
        });
        slab[index].holders += 1;
        principal_at(index)
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

    /// Whether what somebody has shown counts, while somebody holds the number.
    pub fn standing(&self, principal: Principal) -> Standing {
        let Some(index) = index(principal) else { return Standing::Good };
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.slab.get(index).expect("whoever asks holds the number");
        match entry.identity.ends_at() {
            _ if entry.is_revoked => Standing::Revoked,
            Some(ends_at) => Standing::Until(ends_at),
            None => Standing::Good,
        }
    }

    /// Takes back what the holders of a number have shown.
    pub fn revoke(&self, principal: Principal) {
        let Some(index) = index(principal) else { return };
        self.entries().slab.get_mut(index).expect("whoever asks holds the number").is_revoked =
            true;
    }

    /// Takes back what those have shown of whom this is true, and counts one more holder of each of
    /// their numbers, which are returned.
    ///
    /// The lock is held for a part of them at a time. So whoever enters meanwhile has to be asked for
    /// behind [`enter`](Self::enter), and [revoked](Self::revoke): what decides has to be known there
    /// before this begins.
    pub fn revoke_all(&self, is_revoked: impl Fn(&Identity) -> bool) -> Vec<Principal> {
        let mut revoked = Vec::new();
        let mut from = 0;
        loop {
            let mut entries = self.entries();
            let upto = entries.slab.capacity().min(from + REGISTER_LOOKS_MAX);
            if from >= upto {
                return revoked;
            }
            for index in from..upto {
                let entry = entries.slab.get_mut(index);
                if let Some(entry) = entry.filter(|entry| is_revoked(&entry.identity)) {
                    entry.is_revoked = true;
                    entry.holders += 1;
                    revoked.push(principal_at(index));
                }
            }
            from = upto;
        }
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

fn principal_at(index: usize) -> Principal {
    Principal(index as u32 + 1)
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

    #[test]
    fn what_is_taken_back_is_marked_for_as_long_as_anybody_holds_the_number() {
        let register = register();
        let ada = identity("ada");
        let number = register.enter(&ada);
        assert_eq!(register.standing(number), Standing::Good);
        let is_adas = |identity: &Identity| &*identity.claims.subject == "ada";
        assert_eq!(register.revoke_all(is_adas), [number]);
        assert_eq!(register.enter(&ada), number);
        assert_eq!(register.standing(number), Standing::Revoked);
        register.leave(number);
        register.leave(number);
        assert_eq!(register.len(), 1, "whoever has taken it back holds it");
        assert_ne!(register.enter(&identity("bob")), number);
        register.leave(number);
        let other = register.enter(&identity("eve"));
        assert_eq!((other, register.standing(other)), (number, Standing::Good));
    }

    #[test]
    fn all_whom_it_is_true_of_are_found_however_many_there_are() {
        let register = register();
        let people: Vec<_> = (0..10_000).map(|n| identity(&format!("p{}", n % 7))).collect();
        let numbers: Vec<_> = people.iter().map(|identity| register.enter(identity)).collect();
        for (number, _) in numbers.iter().zip(0..).filter(|(_, index)| index % 3 == 0) {
            register.leave(*number);
        }
        let revoked = register.revoke_all(|identity| &*identity.claims.subject == "p3");
        let expected = (0..10_000).filter(|n| n % 7 == 3 && n % 3 != 0).map(|n| numbers[n]);
        assert_eq!(revoked, expected.collect::<Vec<_>>());
        assert!(revoked.iter().all(|it| register.standing(*it) == Standing::Revoked));
    }
}
