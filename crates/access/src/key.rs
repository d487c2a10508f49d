//! API keys: what sensors and services show, for as long as nobody takes it back.
//!
//! ```text
//! bw_k3v9x2ma_7f…q2c4e1d0a
//!    └─ id ─┘ └ secret ┘└ checksum
//! ```
//!
//! The id is public: it is in logs and lists. The checksum tells a slip from a key that is not known,
//! and lets scanners of source code tell a key from other texts that look like one.

mod record;

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use bellwire_model::Timestamp;
use bellwire_model::limits::NOTE_BYTES_MAX;
use thiserror::Error;

use crate::claims::{Claim, ClaimsError, check_subject, is_invisible};

/// What every key begins with.
const PREFIX: &str = "bw_";

/// Digits and lower case letters, but for those that look like others.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// As hashes are written.
const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

/// Characters of an id: 40 bits.
const ID_CHARACTERS: usize = 8;

/// Characters of a secret: 200 bits.
const SECRET_CHARACTERS: usize = 40;

/// Characters of the checksum: 30 bits.
const CHECKSUM_CHARACTERS: usize = 6;

/// Whether a text is meant to be an API key.
pub fn looks_like_one(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// A key that has just been made: the one time that its secret is there to be read.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    id: Box<str>,
    text: Box<str>,
}

impl NewKey {
    /// Random bytes that a key is made of.
    pub const RANDOM_BYTES: usize = ID_CHARACTERS + SECRET_CHARACTERS;

    /// A key of these bytes, which nobody may be able to foresee.
    pub fn make(random: [u8; Self::RANDOM_BYTES]) -> Self {
        let characters: String = random.iter().copied().map(character).collect();
        let (id, secret) = characters.split_at(ID_CHARACTERS);
        let body = format!("{PREFIX}{id}_{secret}");
        let text = format!("{body}{}", checksum(&body)).into();
        Self { id: id.into(), text }
    }

    /// Its public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All of it, for whoever is to have it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is kept of it, as hexadecimal digits.
    pub fn hash(&self) -> String {
        hexadecimal(&hash(&self.text))
    }
}

/// Says nothing of the secret.
impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn hexadecimal(hash: &[u8; 32]) -> String {
    let digits =
        |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(HEXADECIMAL[usize::from(digit)]));
    hash.iter().flat_map(digits).collect()
}

fn character(byte: u8) -> char {
    char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])
}

fn checksum(body: &str) -> String {
    hash(body).iter().take(CHECKSUM_CHARACTERS).copied().map(character).collect()
}

/// One pass is enough, where a password would need many: nobody can guess 200 random bits, however
/// fast a guess may be.
fn hash(text: &str) -> [u8; 32] {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A key as a client shows it. It is well formed, and may be nobody's.
#[derive(Clone, Copy)]
pub struct PresentedKey<'a> {
    id: &'a str,
    text: &'a str,
}

impl<'a> PresentedKey<'a> {
    /// Reads it.
    pub fn parse(text: &'a str) -> Result<Self, KeyError> {
        let rest = text.strip_prefix(PREFIX).ok_or(KeyError::Malformed)?;
        let (id, secret) = rest.split_once('_').ok_or(KeyError::Malformed)?;
        let is_whole = id.len() == ID_CHARACTERS
            && secret.len() == SECRET_CHARACTERS + CHECKSUM_CHARACTERS
            && rest.bytes().all(|byte| byte == b'_' || ALPHABET.contains(&byte));
        if !is_whole {
            return Err(KeyError::Malformed);
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_CHARACTERS);
        if checksum(body) != sum {
            return Err(KeyError::Checksum);
        }
        Ok(Self { id, text })
    }

    /// Its public part.
    pub fn id(&self) -> &'a str {
        self.id
    }
}

/// Says nothing of the secret.
impl fmt::Debug for PresentedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is kept of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its public part.
    pub id: Box<str>,
    hash: [u8; 32],
    /// Whose it is.
    pub subject: Box<str>,
    /// The names of its roles.
    pub roles: Box<[Box<str>]>,
    /// What else is said of whoever shows it.
    pub claims: BTreeMap<Box<str>, Claim>,
    /// What it is for.
    pub note: Box<str>,
    /// When it was made, where that is known.
    pub made_at: Option<Timestamp>,
    /// Who made it; empty where that is not known.
    pub made_by: Box<str>,
    /// When it ends; nothing where it does not by itself.
    pub ends_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, where that is known.
    pub used_at: Option<Timestamp>,
}

/// The hash is no secret, and yet nobody's business.
impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, subject, roles, .. } = self;
        let mut shown = f.debug_struct("StoredKey");
        shown
            .field("id", id)
            .field("subject", subject)
            .field("roles", roles)
            .finish_non_exhaustive()
    }
}

impl StoredKey {
    /// A key as it is written down: `hash` as [`NewKey::hash`] gives it.
    pub fn new(
        id: &str,
        hash: &str,
        (subject, roles): (&str, Box<[Box<str>]>),
        note: &str,
    ) -> Result<Self, KeyError> {
        check_subject(subject)?;
        if id.len() != ID_CHARACTERS || !id.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(KeyError::Id);
        }
        let (pairs, rest) = hash.as_bytes().as_chunks::<2>();
        let digits = |pair: &[u8; 2]| {
            let text = std::str::from_utf8(pair).ok()?;
            // It would take a sign for a digit.
            u8::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+'))
        };
        let bytes: Option<Vec<u8>> = pairs.iter().map(digits).collect();
        let hash = bytes.filter(|_| rest.is_empty()).and_then(|bytes| bytes.try_into().ok());
        Ok(Self {
            id: id.into(),
            hash: hash.ok_or(KeyError::Hash)?,
            subject: subject.into(),
            roles,
            claims: BTreeMap::new(),
            note: note.into(),
            made_at: None,
            made_by: "".into(),
            ends_at: None,
            revoked_at: None,
            used_at: None,
        })
    }

    /// Whether a client has shown this key, and it is in force.
    pub fn check(&self, presented: &PresentedKey<'_>, now: Timestamp) -> Result<(), KeyError> {
        verify_slices_are_equal(&self.hash, &hash(presented.text)).map_err(|_| KeyError::Secret)?;
        // Whatever the clock says: one that is set back must not revive it.
        if self.revoked_at.is_some() {
            return Err(KeyError::Revoked);
        }
        if self.ends_at.is_some_and(|at| at <= now) {
            return Err(KeyError::Expired);
        }
        Ok(())
    }
}

/// Whether something can be noted of a key that is made.
pub fn check_note(note: &str) -> Result<(), KeyError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(KeyError::NoteTooLong);
    }
    if note.chars().any(is_invisible) { Err(KeyError::NoteInvisible) } else { Ok(()) }
}

/// What is wrong with a key. For logs and for whoever made it: clients are told none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It has not the form of one.
    #[error("it is no API key: these are `bw_`, 8 characters, `_`, and 46 more")]
    Malformed,
    /// The form is right, and a character is not.
    #[error("the API key has a slip: its checksum does not fit")]
    Checksum,
    /// The id is known, and the secret is another one.
    #[error("the API key's secret is not the right one")]
    Secret,
    /// It was taken back.
    #[error("the API key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the API key has expired")]
    Expired,
    /// A stored id is none.
    #[error("`id` is the 8 characters behind `bw_`")]
    Id,
    /// A stored hash is none.
    #[error("`hash` is 64 hexadecimal digits, as `bellwire key make` prints them")]
    Hash,
    /// A note is too long.
    #[error("a note has at most {NOTE_BYTES_MAX} bytes")]
    NoteTooLong,
    /// A note could pass for more than one line, or for another one.
    #[error("the note has characters that cannot be seen")]
    NoteInvisible,
    /// Nobody can be called so.
    #[error(transparent)]
    Subject(#[from] ClaimsError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(fill: u8) -> (NewKey, StoredKey) {
        let key = NewKey::make([fill; NewKey::RANDOM_BYTES]);
        let stored = StoredKey::new(key.id(), &key.hash(), ("ada", Box::new([])), "");
        (key, stored.expect("its own words"))
    }

    const NOW: Timestamp = Timestamp::from_ms(1_000);

    #[test]
    fn a_key_is_known_by_its_hash() {
        let (key, stored) = made(7);
        let presented = PresentedKey::parse(key.text()).expect("a key");
        assert_eq!(presented.id(), &*stored.id);
        assert_eq!(stored.check(&presented, NOW), Ok(()));
        let (_, mut other) = made(8);
        other.id = stored.id.clone();
        assert_eq!(other.check(&presented, NOW), Err(KeyError::Secret));
    }

    #[test]
    fn a_slip_is_told_from_a_key_that_is_not_known() {
        let (key, _) = made(9);
        for at in 0..key.text().len() {
            let mut slip = key.text().to_owned().into_bytes();
            slip[at] = if slip[at] == b'0' { b'1' } else { b'0' };
            let slip = String::from_utf8(slip).expect("text");
            assert!(PresentedKey::parse(&slip).is_err(), "{slip}");
        }
        for text in ["", "bw_", "bw__", "bw_aaaaaaaa_é", &key.text()[1..], &key.text()[..40]] {
            assert_eq!(PresentedKey::parse(text).err(), Some(KeyError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_note_is_one_short_line() {
        let long = "x".repeat(NOTE_BYTES_MAX + 1);
        for (note, expected) in [
            ("", Ok(())),
            ("the boiler's, in the cellar (Zoë)", Ok(())),
            (&long[1..], Ok(())),
            (&long, Err(KeyError::NoteTooLong)),
            ("a\nb", Err(KeyError::NoteInvisible)),
            ("\u{1b}[2J", Err(KeyError::NoteInvisible)),
            ("\u{202e}ralleC", Err(KeyError::NoteInvisible)),
        ] {
            assert_eq!(check_note(note), expected, "{note:?}");
        }
    }

    #[test]
    fn a_key_ends_when_it_is_taken_back_or_its_time_is_over() {
        let (key, mut stored) = made(3);
        let presented = PresentedKey::parse(key.text()).expect("a key");
        stored.ends_at = Some(NOW);
        assert_eq!(stored.check(&presented, NOW), Err(KeyError::Expired));
        assert_eq!(
            stored.check(&presented, NOW.saturating_sub(std::time::Duration::from_millis(1))),
            Ok(())
        );
        stored.revoked_at = Some(NOW);
        assert_eq!(stored.check(&presented, NOW), Err(KeyError::Revoked));
    }

    #[test]
    fn what_is_stored_is_checked() {
        let hash = "0".repeat(64);
        let new = |id: &str, hash: &str, subject: &str| {
            StoredKey::new(id, hash, (subject, Box::new([])), "").err()
        };
        assert_eq!(new("01234567", &hash, "ada"), None);
        assert_eq!(new("0123456", &hash, "ada"), Some(KeyError::Id));
        assert_eq!(new("0123456l", &hash, "ada"), Some(KeyError::Id));
        assert_eq!(new("01234567", "00", "ada"), Some(KeyError::Hash));
        assert_eq!(new("01234567", &"+1".repeat(32), "ada"), Some(KeyError::Hash));
        assert!(matches!(new("01234567", &hash, "a\nb"), Some(KeyError::Subject(_))));
    }

    #[test]
    fn nothing_that_is_shown_has_the_secret() {
        let (key, stored) = made(5);
        let secret = &key.text()[12..];
        let presented = PresentedKey::parse(key.text()).expect("a key");
        assert!(
            ![format!("{key:?}"), format!("{stored:?}"), format!("{presented:?}")]
                .iter()
                .any(|shown| shown.contains(secret))
        );
    }
}
