//! What the server itself signs: sessions, tickets, and logins that are under way.
//!
//! ```text
//! bws_<base64url of 32 bytes of HMAC-SHA256, then JSON>
//! ```
//!
//! It is no JWT: whoever issues tokens cannot be made to issue one of these, and nothing in it says
//! how it is to be verified. Each use has a key of its own, made from the server's secret, so that
//! what is sealed for one is nothing for the other.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_model::Timestamp;
use bellwire_model::limits::{SEALED_BYTES_MAX, SERVER_SECRET_BYTES_MIN};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::claims::{Claim, Claims};

/// Bytes of the name of a session or ticket, drawn for it.
pub const ID_BYTES: usize = 16;

const TAG_BYTES: usize = 32;

/// Bytes of what stands for a subject: that two are the same is as good as out of the question.
const HOLDER_BYTES: usize = 16;

/// The secret with which the server signs what it hands out. Whoever has it can be anybody.
#[derive(Clone)]
pub struct ServerSecret {
    now: Keys,
    before: Option<Keys>,
}

#[derive(Clone)]
struct Keys {
    session: Box<hmac::Key>,
    ticket: Box<hmac::Key>,
    renewal: Box<hmac::Key>,
    login: Box<hmac::Key>,
    holder: Box<hmac::Key>,
}

/// What something is sealed for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    Session,
    Ticket,
    Renewal,
    Login,
}

impl Use {
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "bws_",
            Self::Ticket => "bwt_",
            Self::Renewal => "bwr_",
            Self::Login => "bwl_",
        }
    }
}

impl Keys {
    fn new(secret: &[u8]) -> Result<Self, ServerSecretError> {
        if secret.len() < SERVER_SECRET_BYTES_MIN {
            return Err(ServerSecretError);
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key = |name: &[u8]| {
            Box::new(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, name).as_ref()))
        };
        Ok(Self {
            session: key(b"bellwire session 1"),
            ticket: key(b"bellwire ticket 1"),
            renewal: key(b"bellwire renewal 1"),
            login: key(b"bellwire login 1"),
            holder: key(b"bellwire holder 1"),
        })
    }

    fn of(&self, what: Use) -> &hmac::Key {
        match what {
            Use::Session => &self.session,
            Use::Ticket => &self.ticket,
            Use::Renewal => &self.renewal,
            Use::Login => &self.login,
        }
    }
}

impl ServerSecret {
    /// The secret that is signed with from now on.
    pub fn new(secret: &[u8]) -> Result<Self, ServerSecretError> {
        Ok(Self { now: Keys::new(secret)?, before: None })
    }

    /// And the one before it, whose seals still count: nobody is logged out by a new secret.
    pub fn after(self, secret: &[u8]) -> Result<Self, ServerSecretError> {
        Ok(Self { before: Some(Keys::new(secret)?), ..self })
    }

    /// What stands for a subject where it is not to be read: the same for all who have the secret, and nothing for
    /// anybody else.
    pub fn holder(&self, subject: &str) -> String {
        let tag = hmac::sign(&self.now.holder, subject.as_bytes());
        BASE64_URL.encode(&tag.as_ref()[..HOLDER_BYTES])
    }

    pub(crate) fn seal(&self, what: Use, says: &impl Serialize) -> Result<String, SealError> {
        let says = serde_json::to_vec(says).map_err(|_| SealError::TooLarge)?;
        let tag = hmac::sign(self.now.of(what), &says);
        let text =
            format!("{}{}", what.prefix(), BASE64_URL.encode([tag.as_ref(), &says].concat()));
        if text.len() > SEALED_BYTES_MAX { Err(SealError::TooLarge) } else { Ok(text) }
    }

    /// What was sealed for this use, by this secret or the one before. Nobody learns why it was not.
    pub(crate) fn open<T: DeserializeOwned>(&self, what: Use, text: &str) -> Option<T> {
        if text.len() > SEALED_BYTES_MAX {
            return None;
        }
        let bytes = BASE64_URL.decode(text.strip_prefix(what.prefix())?).ok()?;
        let (tag, says) = bytes.split_at_checked(TAG_BYTES)?;
        let keys = [Some(&self.now), self.before.as_ref()];
        let mut keys = keys.into_iter().flatten().map(|keys| keys.of(what));
        keys.any(|key| hmac::verify(key, says, tag).is_ok()).then_some(())?;
        serde_json::from_slice(says).ok()
    }
}

/// Says nothing of the secret.
impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSecret").finish_non_exhaustive()
    }
}

/// Who something sealed is of, as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HolderText {
    sub: Box<str>,
    #[serde(default, skip_serializing_if = "<[Box<str>]>::is_empty")]
    roles: Box<[Box<str>]>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<Box<str>, Claim>,
    exp: i64,
}

impl HolderText {
    pub(crate) fn new(claims: &Claims, roles: &[Box<str>]) -> Result<Self, SealError> {
        let ends_at = claims.ends_at.ok_or(SealError::NoEnd)?;
        Ok(Self {
            sub: claims.subject.clone(),
            roles: roles.into(),
            claims: claims.values.clone(),
            exp: ends_at.as_ms(),
        })
    }

    pub(crate) fn read(self) -> Option<(Claims, Box<[Box<str>]>)> {
        let ends_at = Some(Timestamp::from_ms(self.exp));
        Some((Claims::new(&self.sub, self.claims, ends_at).ok()?, self.roles))
    }
}

/// The name of something sealed, as text.
pub(crate) fn id_text(random: [u8; ID_BYTES]) -> Box<str> {
    BASE64_URL.encode(random).into()
}

/// Why nothing can be sealed with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the server's secret has at least {SERVER_SECRET_BYTES_MIN} bytes")]
pub struct ServerSecretError;

/// Why something cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// It says more than a cookie or a request's line may hold.
    #[error("with its claims it has more than {SEALED_BYTES_MAX} bytes")]
    TooLarge,
    /// It would count for ever.
    #[error("it does not end")]
    NoEnd,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"the secret of a server in a test";

    fn secret() -> ServerSecret {
        ServerSecret::new(SECRET).unwrap()
    }

    #[test]
    fn a_seal_counts_for_its_use_and_its_secret_only() {
        let sealed = secret().seal(Use::Session, &"a").unwrap();
        let read = |secret: &ServerSecret, what, text: &str| secret.open::<String>(what, text);
        assert_eq!(read(&secret(), Use::Session, &sealed).as_deref(), Some("a"));
        let disguised = sealed.replacen("bws_", "bwt_", 1);
        assert_eq!(read(&secret(), Use::Ticket, &sealed), None);
        assert_eq!(read(&secret(), Use::Ticket, &disguised), None);
        let other = ServerSecret::new(b"another secret of another server").unwrap();
        assert_eq!(read(&other, Use::Session, &sealed), None);
        let changed = other.after(SECRET).unwrap();
        assert_eq!(read(&changed, Use::Session, &sealed).as_deref(), Some("a"));
        let new = changed.seal(Use::Session, &"a").unwrap();
        assert_eq!(read(&secret(), Use::Session, &new), None, "the new secret seals");
    }

    #[test]
    fn no_byte_of_a_seal_can_be_changed() {
        let sealed = secret().seal(Use::Ticket, &"who it is").unwrap();
        for place in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(secret().open::<String>(Use::Ticket, &forged), None, "{place}");
        }
        for text in ["", "bwt_", "bwt_AAAA", &sealed[..sealed.len() - 4], &format!("{sealed}=")] {
            assert_eq!(secret().open::<String>(Use::Ticket, text), None, "{text}");
        }
        let long = format!("bwt_{}", "A".repeat(SEALED_BYTES_MAX));
        assert_eq!(secret().open::<String>(Use::Ticket, &long), None);
    }

    #[test]
    fn what_is_too_large_for_a_cookie_is_not_sealed() {
        let book = "x".repeat(SEALED_BYTES_MAX);
        assert_eq!(secret().seal(Use::Session, &book), Err(SealError::TooLarge));
    }

    #[test]
    fn a_secret_is_long_and_stays_one() {
        assert!(ServerSecret::new(&SECRET[1..]).is_err());
        assert!(secret().after(&SECRET[1..]).is_err());
        assert_eq!(format!("{:?}", secret()), "ServerSecret { .. }");
    }
}
