//! A token as it is written: what it says, before anybody vouches for it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_model::limits::{KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX};

use super::error::TokenError;
use super::verification_key::Algorithm;
use crate::json::{self, Json, Members};

/// A token that is read and not verified. It says whose keys it is to be verified with; nothing else
/// of it may be used.
#[derive(Clone, PartialEq)]
pub struct Token<'a> {
    /// What the signature is of.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: Algorithm,
    key_id: Option<Box<str>>,
    issuer: Box<str>,
    pub(super) claims: Members,
}

/// Says nothing of what it can be shown with again: all of it but the signature is in `signed`.
impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl<'a> Token<'a> {
    /// Reads a token in the compact form of RFC 7515, section 7.1.
    pub fn read(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLarge);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Malformed("a token has three parts"));
        };
        let header = object(header, "the header is no base64url of a JSON object")?;
        let algorithm = algorithm(&header)?;
        let key_id = key_id(&header)?;
        check_kind(&header)?;
        let claims = object(claims, "the claims are no base64url of a JSON object")?;
        let issuer = match claims.get("iss") {
            Some(Json::Text(issuer)) => issuer.clone(),
            Some(_) => return Err(TokenError::Malformed("`iss` is no text")),
            None => return Err(TokenError::NoIssuer),
        };
        let signature = bytes(signature, "the signature is no base64url")?;
        let signed = text.rsplit_once('.').map_or("", |(signed, _)| signed);
        Ok(Self { signed, signature, algorithm, key_id, issuer, claims })
    }

    /// Who is said to have issued it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which key it is said to be signed with.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// How it is said to be signed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Strictly: no padding, no other alphabet, no bits beyond the last byte. Otherwise one token had
/// many texts.
fn bytes(part: &str, wrong: &'static str) -> Result<Vec<u8>, TokenError> {
    BASE64_URL.decode(part).map_err(|_| TokenError::Malformed(wrong))
}

fn object(part: &str, wrong: &'static str) -> Result<Members, TokenError> {
    json::read_object(&bytes(part, wrong)?).map_err(|_| TokenError::Malformed(wrong))
}

fn algorithm(header: &Members) -> Result<Algorithm, TokenError> {
    let name = header.get("alg").and_then(Json::as_text);
    let name = name.ok_or(TokenError::Malformed("the header has no `alg`"))?;
    Algorithm::named(name).ok_or(TokenError::Algorithm)
}

fn key_id(header: &Members) -> Result<Option<Box<str>>, TokenError> {
    match header.get("kid") {
        None => Ok(None),
        Some(Json::Text(id)) if id.len() <= KEY_ID_BYTES_MAX => Ok(Some(id.clone())),
        Some(_) => Err(TokenError::Malformed("`kid` is no text, or too long")),
    }
}

/// What sort of token it is: one that is made for another use must not be taken for this one.
fn check_kind(header: &Members) -> Result<(), TokenError> {
    // Whoever does not understand what is critical has to refuse it; and there may be none without
    // (RFC 7515, section 4.1.11).
    if header.contains_key("crit") {
        return Err(TokenError::Critical);
    }
    let kind = match header.get("typ") {
        None => return Ok(()),
        Some(kind) => kind.as_text().ok_or(TokenError::Malformed("`typ` is no text"))?,
    };
    // RFC 7515, section 4.1.9: a media type, whose `application/` may be left out.
    let kind = match kind.split_once('/') {
        Some((family, kind)) if family.eq_ignore_ascii_case("application") => kind,
        _ => kind,
    };
    let is_known = ["JWT", "at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(kind));
    if is_known { Ok(()) } else { Err(TokenError::Kind) }
}
