//! Who vouches for tokens, and what one of theirs has to say.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::CLAIM_DEPTH_MAX;

use super::error::TokenError;
use super::key_set::{Candidates, KeySet};
use super::token::Token;
use crate::claims::{Claim, Claims, ClaimsError};
use crate::json::{Json, Members};

/// Somebody whose tokens count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its name, as its tokens have it (`iss`), to the letter.
    pub name: Box<str>,
    /// The names under which this server is meant (`aud`); a token has to say one of them. Where
    /// there is none, a token that is meant for somebody is refused (RFC 7519, section 4.1.3).
    pub audiences: Vec<Box<str>>,
    /// Whether tokens have to end.
    pub expiry: Expiry,
    /// How far its clock and ours may be apart.
    pub leeway: Duration,
    /// The claim that says who it is: `sub`, unless something else reads better in an audit.
    pub subject_claim: Box<str>,
}

/// Whether tokens have to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// One that says no end is refused.
    #[default]
    Required,
    /// One that says no end has none.
    Optional,
}

/// What a token that counts says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who it is of, and what is said of them. Their issuer is among it (`iss`): subjects of two
    /// issuers are two, whatever they are called.
    pub claims: Claims,
    /// The token's own name, where it has one (`jti`).
    pub id: Option<Box<str>>,
    /// When it was issued, where it says so (`iat`).
    pub issued_at: Option<Timestamp>,
}

impl Issuer {
    /// Whether the token counts at this time, and what it says then. From `claims.ends_at` on it does
    /// not any more: that is its `exp` and the leeway.
    pub fn verify(
        &self,
        token: &Token<'_>,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Verified, TokenError> {
        if token.issuer() != &*self.name {
            return Err(TokenError::UnknownIssuer { issuer: token.issuer().into() });
        }
        self.check_signature(token, keys)?;
        // From here on it is the issuer who speaks.
        let said = &token.claims;
        self.check_audience(said)?;
        let ends_at = self.check_time(said, now)?;
        let issued_at = date(said, "iat")?;
        if issued_at.is_some_and(|at| now.saturating_add(self.leeway) < at) {
            return Err(TokenError::NotYetIssued);
        }
        let id = said.get("jti").and_then(Json::as_text).map(Into::into);
        let claims = Claims::new(self.subject(said)?, values(said), ends_at);
        let claims = claims.map_err(|error| match error {
            ClaimsError::SubjectTooLong => TokenError::NoSubject("the subject is too long"),
            ClaimsError::SubjectInvisible => {
                TokenError::NoSubject("the subject has characters that cannot be seen")
            }
            _ => TokenError::Claims(error),
        })?;
        // At the earliest, by our clock: it must not pass for newer than what was taken back now.
        let at_the_earliest = issued_at.map(|at| at.saturating_sub(self.leeway));
        let claims = claims.issued(at_the_earliest);
        Ok(Verified { claims, id, issued_at })
    }

    /// Whether a token would count that had the right signature. Tokens that would not are no reason to
    /// ask the issuer for other keys.
    pub fn may_count(&self, token: &Token<'_>, now: Timestamp) -> bool {
        let said = &token.claims;
        self.check_audience(said).is_ok()
            && self.check_time(said, now).is_ok()
            && self.subject(said).is_ok()
    }

    fn check_signature(&self, token: &Token<'_>, keys: &KeySet) -> Result<(), TokenError> {
        match keys.candidates(token.key_id(), token.algorithm) {
            Candidates::Keys(keys) => {
                let signed = token.signed.as_bytes();
                let is_signed = keys.iter().any(|key| key.is_signed(signed, &token.signature));
                if is_signed { Ok(()) } else { Err(TokenError::Signature) }
            }
            Candidates::OtherAlgorithm => Err(TokenError::Algorithm),
            Candidates::Unknown => Err(TokenError::UnknownKey {
                issuer: self.name.clone(),
                key_id: token.key_id().map(Into::into),
            }),
        }
    }

    fn check_audience(&self, said: &Members) -> Result<(), TokenError> {
        let meant = match said.get("aud") {
            None if self.audiences.is_empty() => return Ok(()),
            None => return Err(TokenError::Audience),
            Some(audience) => audience
                .as_texts()
                .ok_or(TokenError::Malformed("`aud` is neither a text nor a list of texts"))?,
        };
        let is_ours = meant.iter().any(|meant| self.audiences.iter().any(|own| &**own == *meant));
        if is_ours { Ok(()) } else { Err(TokenError::Audience) }
    }

    /// When it ends, where it is valid now.
    fn check_time(&self, said: &Members, now: Timestamp) -> Result<Option<Timestamp>, TokenError> {
        if date(said, "nbf")?.is_some_and(|begin| now.saturating_add(self.leeway) < begin) {
            return Err(TokenError::NotYetValid);
        }
        match date(said, "exp")?.map(|end| end.saturating_add(self.leeway)) {
            Some(end) if now >= end => Err(TokenError::Expired),
            Some(end) => Ok(Some(end)),
            None if self.expiry == Expiry::Required => Err(TokenError::NoExpiry),
            None => Ok(None),
        }
    }

    fn subject<'a>(&self, said: &'a Members) -> Result<&'a str, TokenError> {
        match said.get(&self.subject_claim).map(Json::as_text) {
            None => Err(TokenError::NoSubject("the claim that says who it is of is missing")),
            Some(None) => Err(TokenError::NoSubject("the claim that says who it is of is no text")),
            Some(Some("")) => Err(TokenError::NoSubject("the subject is empty")),
            Some(Some(subject)) => Ok(subject),
        }
    }
}

/// A time in seconds, which may have a fraction (RFC 7519, section 2).
fn date(said: &Members, name: &str) -> Result<Option<Timestamp>, TokenError> {
    /// The years 1 to 9999. Beyond are milliseconds that were taken for seconds: such a token would
    /// never end.
    const SECONDS: std::ops::RangeInclusive<f64> = -62_135_596_800.0..=253_402_300_799.0;
    match said.get(name) {
        None => Ok(None),
        Some(Json::Number(seconds)) if SECONDS.contains(seconds) => {
            Ok(Some(Timestamp::from_ms((seconds * 1000.0).floor() as i64)))
        }
        Some(Json::Number(_)) => {
            Err(TokenError::Malformed("a time is beyond the year 9999: times are in seconds"))
        }
        Some(_) => Err(TokenError::Malformed("a time (`exp`, `nbf`, `iat`) is no number")),
    }
}

/// Claims that say something of the token, not of whom it is of: no role may ask for them.
const OF_THE_TOKEN: &[&str] = &["aud", "exp", "iat", "jti", "nbf"];

/// What can be compared with a topic or a label: texts and lists of texts. Those within others go by
/// a path (`realm_access.roles`), which is where some issuers put all that matters.
fn values(said: &Members) -> BTreeMap<Box<str>, Claim> {
    let mut values = BTreeMap::new();
    gather("", said, &mut values, CLAIM_DEPTH_MAX);
    values.retain(|name, _| !OF_THE_TOKEN.contains(&&**name));
    values
}

/// Those on the way come first, so that no claim within another takes the place of one that is
/// called so.
fn gather(within: &str, said: &Members, values: &mut BTreeMap<Box<str>, Claim>, levels: usize) {
    let full = |name: &str| match within {
        "" => name.into(),
        within => format!("{within}.{name}").into_boxed_str(),
    };
    for (name, value) in said {
        let claim = match value {
            Json::Text(text) => Claim::Text(text.clone()),
            Json::List(_) => match value.as_texts() {
                Some(texts) => Claim::List(texts.into_iter().map(Into::into).collect()),
                None => continue,
            },
            _ => continue,
        };
        values.entry(full(name)).or_insert(claim);
    }
    for (name, value) in said {
        if let (Json::Object(members), 1..) = (value, levels) {
            gather(&full(name), members, values, levels - 1);
        }
    }
}

#[cfg(test)]
mod tests;
