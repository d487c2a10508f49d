//! Sessions of browsers: what a `__Host-` cookie has.
//!
//! A session says all that rights need, so that no table of sessions is kept and every server with
//! the same secret knows it. It is taken back by its subject or its name, whoever keeps those.

use std::time::Duration;

use bellwire_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::behind::Behind;
use crate::claims::{Claims, FirstIssue};
use crate::sealed::{HolderText, ID_BYTES, SealError, ServerSecret, Use, id_text};

/// Somebody who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its own name, for logs and to take it back by. It opens nothing.
    pub id: Box<str>,
    /// Who it is of, and until when.
    pub claims: Claims,
    /// The names of their roles, where the credential behind it has some of its own.
    pub roles: Box<[Box<str>]>,
    /// What they have shown for it.
    pub behind: Behind,
    /// When they logged in.
    pub issued_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct SessionText {
    jti: Box<str>,
    iat: i64,
    #[serde(default)]
    by: Behind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<FirstIssue>,
    #[serde(flatten)]
    holder: HolderText,
}

impl Session {
    /// A session that begins now, of whoever has shown these claims. It ends with them, or after
    /// `lasts`. Every login makes a new one: a session that somebody brings along is never carried on,
    /// so none can be planted.
    pub fn begin(
        random: [u8; ID_BYTES],
        (claims, behind): (Claims, Behind),
        roles: &[Box<str>],
        (now, lasts): (Timestamp, Duration),
    ) -> Self {
        let ends_at = now.saturating_add(lasts);
        let ends_at = claims.ends_at.map_or(ends_at, |end| end.min(ends_at));
        let first = Some(claims.first_issue());
        let claims = Claims { ends_at: Some(ends_at), issued_at: Some(now), first, ..claims };
        Self { id: id_text(random), claims, roles: roles.into(), behind, issued_at: now }
    }

    /// What the cookie has.
    pub fn seal(&self, secret: &ServerSecret) -> Result<String, SealError> {
        let text = SessionText {
            jti: self.id.clone(),
            iat: self.issued_at.as_ms(),
            by: self.behind.clone(),
            first: self.claims.first,
            holder: HolderText::new(&self.claims, &self.roles)?,
        };
        secret.seal(Use::Session, &text)
    }

    /// The session that a cookie has, where the server has sealed it. It may have ended
    /// ([`Session::is_over`]).
    pub fn open(text: &str, secret: &ServerSecret) -> Option<Self> {
        let text: SessionText = secret.open(Use::Session, text)?;
        let (claims, roles) = text.holder.read()?;
        let issued_at = Timestamp::from_ms(text.iat);
        let claims = claims.issued(Some(issued_at)).made_of(text.first);
        Some(Self { id: text.jti, claims, roles, behind: text.by, issued_at })
    }

    /// Whether it counts no more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.claims.ends_at.is_none_or(|end| now >= end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Claim;

    fn secret() -> ServerSecret {
        ServerSecret::new(b"the secret of a server in a test").unwrap()
    }

    fn key() -> Behind {
        Behind::Key("01234567".into())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_ms(second * 1000)
    }

    fn claims(ends_at: Option<Timestamp>) -> Claims {
        let teams = Claim::List(["payments".into(), "search".into()].into());
        let values = BTreeMap::from([("teams".into(), teams)]);
        Claims::new("ann", values, ends_at).unwrap()
    }

    #[test]
    fn a_cookie_brings_back_its_session() {
        let hour = Duration::from_hours(1);
        let session =
            Session::begin([7; 16], (claims(None), key()), &["team".into()], (at(100), hour));
        assert_eq!(session.claims.ends_at, Some(at(3700)));
        let cookie = session.seal(&secret()).unwrap();
        assert!(cookie.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let read = Session::open(&cookie, &secret()).unwrap();
        assert_eq!(read, session);
        assert!(!read.is_over(at(3699)) && read.is_over(at(3700)));
        assert_eq!(Session::open(&cookie[..cookie.len() - 1], &secret()), None);
    }

    #[test]
    fn a_session_says_when_the_credential_was_issued_that_was_shown_for_it() {
        let issue = |claims: Claims| {
            let begun = (at(100), Duration::from_hours(1));
            let session = Session::begin([7; 16], (claims, key()), &[], begun);
            let cookie = session.seal(&secret()).unwrap();
            Session::open(&cookie, &secret()).unwrap().claims.first_issue()
        };
        assert_eq!(issue(claims(None)), FirstIssue::Unsaid);
        assert_eq!(issue(claims(None).issued(Some(at(7)))), FirstIssue::At(7000));
        // A version before has not sealed it.
        let before = claims(None).issued(Some(at(100)));
        assert_eq!(before.first_issue(), FirstIssue::At(100_000));
        let text = r#"{"jti":"s","iat":100000,"sub":"ann","exp":3700000}"#;
        let text: serde_json::Value = serde_json::from_str(text).unwrap();
        let cookie = secret().seal(Use::Session, &text).unwrap();
        let read = Session::open(&cookie, &secret()).unwrap();
        assert_eq!(read.claims.first_issue(), FirstIssue::At(100_000));
    }

    #[test]
    fn a_session_ends_with_the_credential_behind_it() {
        let begin = |ends_at| {
            let lasts = Duration::from_hours(1);
            Session::begin([7; 16], (claims(ends_at), key()), &[], (at(0), lasts)).claims.ends_at
        };
        assert_eq!(begin(Some(at(60))), Some(at(60)));
        assert_eq!(begin(Some(at(7200))), Some(at(3600)));
    }

    #[test]
    fn a_session_with_more_claims_than_a_cookie_holds_is_refused() {
        let mut claims = claims(None);
        claims.values.insert("x".into(), Claim::Text("x".repeat(4096).into()));
        let begun = (at(0), Duration::from_secs(1));
        let session = Session::begin([7; 16], (claims, key()), &[], begun);
        assert_eq!(session.seal(&secret()), Err(SealError::TooLarge));
        let endless = Session { claims: Claims { ends_at: None, ..session.claims }, ..session };
        assert_eq!(endless.seal(&secret()), Err(SealError::NoEnd));
        assert!(endless.is_over(at(0)));
    }
}
