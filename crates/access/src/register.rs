//! The register: who is connected, by number.
//!
//! A connection knows its principal's number and nothing else of it. Numbers are counted by who holds
//! them, and given out again when nobody does. What is taken back stays marked for as long as anybody
//! holds the number: nobody who comes late counts because of it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use bellwire_model::limits::REGISTER_LOOKS_MAX;
use bellwire_model::{NameHasher, Principal, Timestamp};
use serde::{Deserialize, Serialize};
use slab::Slab;
use thiserror::Error;

use crate::identity::Identity;
use crate::sealed::{ServerSecret, Use};

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
    /// Numbers by a hash of their subjects: whoever takes something back that is one subject's does not
    /// look at all others.
    by_subject: BTreeSet<(u64, usize)>,
    /// Of the last entry.
    serial: u64,
}

#[derive(Debug)]
struct Entry {
    identity: Arc<Identity>,
    holders: u32,
    /// Tells it from those that had its number before.
    serial: u64,
    ended: Option<Ended>,
    is_renewed: bool,
}

/// Why what somebody has shown counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Revoked,
    Displaced,
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
    /// Another connection has come with what may be used by one.
    Displaced,
}

impl Register {
    /// Nobody is there yet. `stranger` is who has no number of their own.
    pub fn new(stranger: Arc<Identity>) -> Self {
        let (by_identity, by_subject) = (BTreeMap::new(), BTreeSet::new());
        let entries = Entries { slab: Slab::new(), by_identity, by_subject, serial: 0 };
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
        let Entries { slab, by_identity, by_subject, serial } = &mut *entries;
        let index = *by_identity.entry(address(identity)).or_insert_with(|| {
            *serial += 1;
            let index = slab.insert(Entry {
                identity: Arc::clone(identity),
                holders: 0,
                serial: *serial,
                ended: None,
                is_renewed: false,
            });
            by_subject.insert((hash(identity.subject()), index));
            index
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
            entries.forget(&entry.identity, index);
            entries.by_subject.remove(&(hash(entry.identity.subject()), index));
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
            _ if entry.ended == Some(Ended::Revoked) => Standing::Revoked,
            _ if entry.ended == Some(Ended::Displaced) => Standing::Displaced,
            Some(ends_at) => Standing::Until(ends_at),
            None => Standing::Good,
        }
    }

    /// What names the holders of a number to whoever renews what they have shown.
    pub fn renewal(&self, principal: Principal) -> Option<Renewal> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.slab.get(index(principal)?).expect("whoever asks holds the number");
        Some(Renewal { number: principal.0, serial: entry.serial })
    }

    /// Whether the holders of a number have renewed what they have shown, so that their rights may
    /// be others than when they came.
    pub fn is_renewed(&self, principal: Principal) -> bool {
        let Some(index) = index(principal) else { return false };
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.slab.get(index).expect("whoever asks holds the number").is_renewed
    }

    /// The holders of a number go on as `identity`, which is to be the same somebody. Counts one more
    /// holder of the number, which is returned with whoever they were.
    pub fn replace(
        &self,
        renewal: Renewal,
        identity: &Arc<Identity>,
    ) -> Result<(Principal, Arc<Identity>), RenewalError> {
        let Renewal { number, serial } = renewal;
        let principal = Principal(number);
        let index = index(principal).ok_or(RenewalError::Gone)?;
        let mut entries = self.entries();
        let entry = entries.slab.get_mut(index).filter(|entry| entry.serial == serial);
        let entry = entry.filter(|entry| entry.ended.is_none()).ok_or(RenewalError::Gone)?;
        if !entry.identity.is_renewed_by(identity) {
            return Err(RenewalError::SubjectDiffers);
        }
        entry.holders += 1;
        entry.is_renewed = true;
        let before = std::mem::replace(&mut entry.identity, Arc::clone(identity));
        entries.forget(&before, index);
        entries.by_subject.remove(&(hash(before.subject()), index));
        entries.by_subject.insert((hash(identity.subject()), index));
        // Where it has a number of its own already, who comes next gets that.
        entries.by_identity.entry(address(identity)).or_insert(index);
        drop(entries);
        Ok((principal, before))
    }

    /// Takes back what the holders of a number have shown.
    pub fn revoke(&self, principal: Principal) {
        self.end(principal, Ended::Revoked);
    }

    /// Another one has come with what the holder of a number has shown, which one alone may use.
    pub fn displace(&self, principal: Principal) {
        self.end(principal, Ended::Displaced);
    }

    fn end(&self, principal: Principal, why: Ended) {
        let Some(index) = index(principal) else { return };
        let mut entries = self.entries();
        let entry = entries.slab.get_mut(index).expect("whoever asks holds the number");
        entry.ended = entry.ended.or(Some(why));
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
                revoked.extend(entries.revoke_if(index, &is_revoked));
            }
            from = upto;
        }
    }

    /// The same among those of one subject, which costs no more than there are of that.
    pub fn revoke_all_of(
        &self,
        subject: &str,
        is_revoked: impl Fn(&Identity) -> bool,
    ) -> Vec<Principal> {
        let hash = hash(subject);
        let mut revoked = Vec::new();
        let mut from = 0;
        loop {
            let mut entries = self.entries();
            let looked_at = entries.by_subject.range((hash, from)..=(hash, usize::MAX));
            let looked_at = looked_at.take(REGISTER_LOOKS_MAX).map(|(_, index)| *index);
            let looked_at: Vec<usize> = looked_at.collect();
            let Some(last) = looked_at.last() else { return revoked };
            from = last + 1;
            for index in looked_at {
                revoked.extend(entries.revoke_if(index, &is_revoked));
            }
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

impl Entries {
    /// Takes back what the holders of a number have shown where this is true of them, and counts one
    /// more of them.
    fn revoke_if(
        &mut self,
        index: usize,
        is_revoked: impl Fn(&Identity) -> bool,
    ) -> Option<Principal> {
        let entry = self.slab.get_mut(index).filter(|entry| is_revoked(&entry.identity))?;
        entry.ended = Some(Ended::Revoked);
        entry.holders += 1;
        Some(principal_at(index))
    }

    /// An identity has this number no more.
    fn forget(&mut self, identity: &Arc<Identity>, index: usize) {
        let address = address(identity);
        if self.by_identity.get(&address) == Some(&index) {
            self.by_identity.remove(&address);
        }
    }
}

/// What names the holders of a number to whoever renews what they have shown: the number alone would
/// be another's sooner or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    number: u32,
    serial: u64,
}

impl Renewal {
    /// What the control event has.
    pub fn seal(&self, secret: &ServerSecret) -> Option<String> {
        secret.seal(Use::Renewal, self).ok()
    }

    /// What a control event had, where the server has sealed it.
    pub fn open(text: &str, secret: &ServerSecret) -> Option<Self> {
        secret.open(Use::Renewal, text)
    }
}

/// Why nobody goes on under another credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RenewalError {
    /// Nobody holds the number any more, or what they have shown was taken back.
    #[error("nobody is there to go on")]
    Gone,
    /// It is somebody else.
    #[error("the subject differs")]
    SubjectDiffers,
}

/// Where an identity is. Another one can be there only once this one is gone.
fn address(identity: &Arc<Identity>) -> usize {
    Arc::as_ptr(identity).addr()
}

/// Two subjects may have the same: then some are looked at in vain.
fn hash(subject: &str) -> u64 {
    NameHasher::default().hash_one(subject)
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
    use crate::identity::Means;

    fn register() -> Register {
        Register::new(Arc::new(Identity::open()))
    }

    fn identity(subject: &str) -> Arc<Identity> {
        let claims = Claims { subject: subject.into(), ..Claims::anonymous() };
        Arc::new(Identity { claims, means: Means::Password, ..Identity::open() })
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

    #[test]
    fn of_one_subject_those_are_found_that_are_there_and_no_other_is_looked_at() {
        let register = register();
        let people: Vec<_> = (0..10_000).map(|n| identity(&format!("p{}", n % 2))).collect();
        let numbers: Vec<_> = people.iter().map(|identity| register.enter(identity)).collect();
        for (number, _) in numbers.iter().zip(0..).filter(|(_, index)| index % 3 == 0) {
            register.leave(*number);
        }
        let looked_at = std::cell::Cell::new(0);
        let revoked = register.revoke_all_of("p1", |identity| {
            looked_at.set(looked_at.get() + 1);
            identity.subject() == "p1"
        });
        let expected = (0..10_000).filter(|n| n % 2 == 1 && n % 3 != 0).map(|n| numbers[n]);
        assert_eq!(revoked, expected.collect::<Vec<_>>());
        assert_eq!(looked_at.get(), revoked.len());
        assert!(register.revoke_all_of("nobody", |_| true).is_empty());
    }

    #[test]
    fn who_is_displaced_is_told_apart_from_whose_credential_was_taken_back() {
        let register = register();
        let (ada, bob) = (register.enter(&identity("ada")), register.enter(&identity("bob")));
        register.displace(ada);
        assert_eq!(register.standing(ada), Standing::Displaced);
        let renewal = register.renewal(ada).expect("a number");
        assert_eq!(register.replace(renewal, &identity("ada")), Err(RenewalError::Gone));
        register.revoke(bob);
        register.displace(bob);
        assert_eq!(register.standing(bob), Standing::Revoked);
    }

    #[test]
    fn whoever_renews_goes_on_under_the_same_number_and_nobody_else_does() {
        let register = register();
        let (ada, bob, newer) = (identity("ada"), identity("bob"), identity("ada"));
        let number = register.enter(&ada);
        let renewal = register.renewal(number).expect("a number");
        assert_eq!(register.replace(renewal, &bob), Err(RenewalError::SubjectDiffers));
        assert!(!register.is_renewed(number));
        let own = register.enter(&newer);
        assert_ne!(own, number);
        assert_eq!(register.replace(renewal, &newer), Ok((number, Arc::clone(&ada))));
        assert!(Arc::ptr_eq(&register.identity(number), &newer) && register.is_renewed(number));
        assert_eq!(register.enter(&newer), own, "who comes gets the number that it had");
        let again = register.enter(&ada);
        assert!(again != number && again != own, "what is old stays what it is");
        for number in [number, number, own, own, again] {
            register.leave(number);
        }
        assert!(register.is_empty());
        assert_eq!(register.replace(renewal, &newer), Err(RenewalError::Gone));
        let other = register.enter(&newer);
        assert_eq!(other, again, "it is free again, whatever the order");
        let _ = register.enter(&identity("ada"));
        let third = register.enter(&identity("ada"));
        assert_eq!(third, number);
        assert_eq!(register.replace(renewal, &newer), Err(RenewalError::Gone), "another's by now");
    }

    #[test]
    fn what_is_taken_back_is_not_renewed() {
        let register = register();
        let number = register.enter(&identity("ada"));
        let renewal = register.renewal(number).expect("a number");
        register.revoke(number);
        assert_eq!(register.replace(renewal, &identity("ada")), Err(RenewalError::Gone));
    }

    #[test]
    fn what_names_a_number_is_sealed() {
        let secret = ServerSecret::new(b"the secret of a server in a test").unwrap();
        let register = register();
        let number = register.enter(&identity("ada"));
        let renewal = register.renewal(number).expect("a number");
        let text = renewal.seal(&secret).expect("short");
        assert_eq!(Renewal::open(&text, &secret), Some(renewal));
        let other = ServerSecret::new(b"another secret of another server").unwrap();
        assert_eq!(Renewal::open(&text, &other), None);
        assert_eq!(register.renewal(Principal::ANONYMOUS), None);
    }
}
