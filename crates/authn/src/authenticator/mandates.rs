//! What goes on in somebody's name while they are away: whether it still may, and what they may today.

use bellwire_access::{Behind, Identity, Mandate};
use bellwire_model::Timestamp;

use super::Authenticator;

impl Authenticator {
    /// Who it is in whose name something goes on, with what they may today. `None`: what they have shown
    /// was taken back, or has ended where that is known here, as of a key; or they are nobody any more.
    /// That a token or a session of its own accord has ended does not count: whoever is away shows no
    /// newer one.
    pub fn mandated(&self, mandate: &Mandate, now: Timestamp) -> Option<Identity> {
        let Some(policy) = &self.policy else { return Some(Identity::open()) };
        let (mut claims, mut roles) = (mandate.claims()?, mandate.roles.clone());
        if let Behind::Key(id) = mandate.behind.first() {
            let key = self.keys.stored(id)?;
            if key.ends_at.is_some_and(|end| now >= end) {
                return None;
            }
        }
        self.bring_up_to_date(&mandate.behind, (&mut claims, &mut roles));
        let rights = policy.rights(roles.iter().map(|role| &**role), &claims);
        let identity = Identity { claims, means: mandate.means(), roles, rights };
        let is_theirs = self.stands(&mandate.subject, &mandate.behind, identity.claims.issued_at);
        (is_theirs && self.counts(&identity)).then_some(identity)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwire_access::{Claims, Means, StoredKey, key::NewKey};
    use bellwire_journal::{Journal, MemoryJournal, Observer};
    use bellwire_model::{Entry, Epoch};

    use super::*;
    use crate::config::AccessConfig;
    use crate::secret::SecretPlace;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn key(ends_at: Option<Timestamp>) -> (StoredKey, Identity) {
        let made = NewKey::make([7; NewKey::RANDOM_BYTES]);
        let holder = ("ada", ["admin".into()].into());
        let mut stored = StoredKey::new(made.id(), &made.hash(), holder, "").expect("a key");
        stored.ends_at = ends_at;
        let claims = Claims::new("ada", [].into(), ends_at).expect("claims");
        let means = Means::Key(made.id().into());
        (stored, Identity { claims, means, roles: ["admin".into()].into(), ..Identity::open() })
    }

    fn authenticator(keys: Vec<StoredKey>) -> Authenticator {
        let config = AccessConfig { keys, ..AccessConfig::default() };
        let made =
            Authenticator::new(Some(&config), SecretPlace::Process, Arc::default()).expect("made");
        let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody));
        made.begin(Arc::new(journal) as Arc<dyn Journal>).expect("begun");
        made
    }

    #[tokio::test]
    async fn a_mandate_of_a_key_counts_until_the_key_is_taken_back() {
        let (stored, identity) = key(None);
        let mandate = Mandate::of(&identity).expect("somebody");
        let authenticator = authenticator(vec![stored.clone()]);
        let found = authenticator.mandated(&mandate, NOW).expect("it counts");
        assert!(found.rights.is_admin);
        authenticator.keys().revoke(&stored.id, NOW, |_| ()).await.expect("taken back");
        assert_eq!(authenticator.mandated(&mandate, NOW), None);
    }

    #[test]
    fn a_mandate_ends_with_its_key_and_has_the_roles_of_today() {
        let (stored, identity) = key(Some(NOW));
        let mandate = Mandate::of(&identity).expect("somebody");
        let before = NOW.saturating_sub(std::time::Duration::from_millis(1));
        let of_key = authenticator(vec![stored.clone()]);
        assert!(of_key.mandated(&mandate, before).is_some());
        assert_eq!(of_key.mandated(&mandate, NOW), None);
        let mut fewer = stored;
        fewer.roles = ["nobody".into()].into();
        let of_today = authenticator(vec![fewer]).mandated(&mandate, before).expect("somebody");
        assert!(!of_today.rights.is_admin);
        assert_eq!(authenticator(Vec::new()).mandated(&mandate, before), None);
    }
}
