//! The keys of one issuer.

use bellwire_model::limits::{KEYS_OF_ISSUER_MAX, KEYS_TRIED_MAX};

use super::verification_key::{Algorithm, VerificationKey};

/// The keys of one issuer. A token is verified with those that go by the name that it says, or have
/// none; one that names no key, with those of its algorithm.
///
/// Several keys of one name are all tried, up to [`KEYS_TRIED_MAX`]: some issuers change a key and
/// keep its name, and each of them is the issuer's own.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<VerificationKey>);

/// The keys that a token may be signed with.
#[derive(Debug)]
pub(crate) enum Candidates<'a> {
    /// These, one after the other.
    Keys(Vec<&'a VerificationKey>),
    /// There is no such key.
    Unknown,
    /// There is one of this name, for another algorithm.
    OtherAlgorithm,
}

impl KeySet {
    /// Takes one more; whether there was room for it.
    #[must_use]
    pub fn push(&mut self, key: VerificationKey) -> bool {
        let rivals = self
            .0
            .iter()
            .filter(|other| (other.id(), other.algorithm()) == (key.id(), key.algorithm()));
        let has_room = self.0.len() < KEYS_OF_ISSUER_MAX && rivals.count() < KEYS_TRIED_MAX;
        if has_room {
            self.0.push(key);
        }
        has_room
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &VerificationKey> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key of this name, or one without a name, is there.
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id().is_none_or(|known| known == id))
    }

    pub(crate) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Candidates<'_> {
        let is_named = |key: &&VerificationKey| match (id, key.id()) {
            (Some(asked), Some(known)) => asked == known,
            _ => true,
        };
        let named: Vec<&VerificationKey> = self.0.iter().filter(is_named).collect();
        let is_any = !named.is_empty();
        let mut keys = named;
        keys.retain(|key| key.algorithm() == algorithm);
        // Those that the token names first, so that those without a name do not take their place.
        keys.sort_by_key(|key| key.id().is_none());
        match keys.len() {
            0 if is_any => Candidates::OtherAlgorithm,
            0 => Candidates::Unknown,
            // A token without a name of a key must not cost as much as there are keys.
            _ if id.is_none() && keys.len() > KEYS_TRIED_MAX => Candidates::Unknown,
            _ => {
                keys.truncate(KEYS_TRIED_MAX);
                Candidates::Keys(keys)
            }
        }
    }
}

impl FromIterator<VerificationKey> for KeySet {
    /// As many of them as there is room for.
    fn from_iter<I: IntoIterator<Item = VerificationKey>>(keys: I) -> Self {
        let mut set = Self::default();
        for key in keys {
            let _ = set.push(key);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(id: Option<&str>, byte: u8) -> VerificationKey {
        VerificationKey::from_secret(id, &[byte; 32]).unwrap()
    }

    fn ed25519(id: Option<&str>) -> VerificationKey {
        use super::super::verification_key::PublicParts;
        // Of RFC 8037, appendix A.2.
        let x = b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\
                  \x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
        VerificationKey::from_parts(id, PublicParts::Ed25519(x)).unwrap()
    }

    fn count(set: &KeySet, id: Option<&str>, algorithm: Algorithm) -> Result<usize, &'static str> {
        match set.candidates(id, algorithm) {
            Candidates::Keys(keys) => Ok(keys.len()),
            Candidates::Unknown => Err("unknown"),
            Candidates::OtherAlgorithm => Err("other algorithm"),
        }
    }

    #[test]
    fn a_token_is_tried_with_the_keys_that_it_names() {
        let set: KeySet =
            [secret(Some("a"), 1), secret(Some("b"), 2), ed25519(Some("b"))].into_iter().collect();
        for (id, algorithm, expected) in [
            (Some("a"), Algorithm::Hs256, Ok(1)),
            (Some("b"), Algorithm::Hs256, Ok(1)),
            (Some("b"), Algorithm::EdDsa, Ok(1)),
            (Some("a"), Algorithm::EdDsa, Err("other algorithm")),
            (Some("b"), Algorithm::Rs256, Err("other algorithm")),
            (Some("c"), Algorithm::Hs256, Err("unknown")),
            (Some(""), Algorithm::Hs256, Err("unknown")),
            (None, Algorithm::Hs256, Ok(2)),
            (None, Algorithm::EdDsa, Ok(1)),
            (None, Algorithm::Es256, Err("other algorithm")),
        ] {
            assert_eq!(count(&set, id, algorithm), expected, "{id:?} {algorithm:?}");
        }
    }

    #[test]
    fn a_key_without_a_name_goes_by_any() {
        let set: KeySet = [secret(None, 1), secret(Some("a"), 2)].into_iter().collect();
        assert_eq!(count(&set, Some("a"), Algorithm::Hs256), Ok(2));
        assert_eq!(count(&set, Some("b"), Algorithm::Hs256), Ok(1));
        assert!(set.has("a") && set.has("b"));
    }

    #[test]
    fn a_token_costs_no_more_tries_than_the_bound() {
        let mut set = KeySet::default();
        for byte in 0..KEYS_TRIED_MAX as u8 {
            assert!(set.push(secret(Some("a"), byte)));
        }
        assert!(!set.push(secret(Some("a"), 99)), "of one name there are no more than are tried");
        assert!(set.push(secret(Some("b"), 99)));
        assert_eq!(count(&set, Some("a"), Algorithm::Hs256), Ok(KEYS_TRIED_MAX));
        assert_eq!(count(&set, None, Algorithm::Hs256), Err("unknown"));
    }

    #[test]
    fn a_set_has_no_more_keys_than_the_bound() {
        let mut set = KeySet::default();
        for place in 0..KEYS_OF_ISSUER_MAX {
            assert!(set.push(secret(Some(&place.to_string()), 1)));
        }
        assert!(!set.push(secret(Some("more"), 1)));
        assert_eq!(set.iter().len(), KEYS_OF_ISSUER_MAX);
    }
}
