//! A published set of keys, as it is read. What is not understood is passed over: issuers publish
//! keys for other uses, and of kinds that come after us, beside those that are needed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_model::limits::{JWKS_BYTES_MAX, KEY_ID_BYTES_MAX};
use thiserror::Error;

use crate::json::{self, Json, Members};
use crate::jwt::{Algorithm, KeyError, KeySet, PublicParts, VerificationKey};
use crate::shown::shown;

/// What a document has.
#[derive(Debug)]
pub struct Published {
    /// The keys that tokens can be verified with. There may be none: then the issuer has none.
    pub keys: KeySet,
    /// What else was in it, in its order.
    pub skipped: Vec<Skipped>,
}

/// A key that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name, where it has one.
    pub key_id: Option<Box<str>>,
    /// Why.
    pub reason: SkippedReason,
}

/// For logs.
impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key_id {
            Some(id) => write!(f, "key `{}` is passed over: {}", shown(id), self.reason),
            None => write!(f, "a key without `kid` is passed over: {}", self.reason),
        }
    }
}

/// Why a key was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SkippedReason {
    /// It is for something else than to verify tokens.
    #[error("it is not for signatures (`use`, `key_ops`)")]
    Use,
    /// It is for an algorithm that is not verified here.
    #[error("it is for another algorithm than RS256, ES256 or EdDSA")]
    Algorithm,
    /// It is a secret, which published is none.
    #[error("it is a secret (`kty` is `oct`), which must not be published")]
    Secret,
    /// It is no key.
    #[error("it has no valid key: {0}")]
    Malformed(KeyError),
    /// The very same key is there already.
    #[error("it is there twice")]
    Twice,
    /// There are as many as there may be, of its name or in all.
    #[error("there are too many keys, or too many of this name")]
    TooMany,
}

/// Why a document is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwksError {
    /// It is too large.
    #[error("a key set has at most {JWKS_BYTES_MAX} bytes")]
    TooLarge,
    /// It is something else.
    #[error("this is no JSON Web Key Set: an object with a list of objects under `keys`")]
    Malformed,
}

/// Reads a document.
///
/// Keys that share a name are all taken, as far as there is room ([`KeySet::push`]): they are the
/// issuer's own, whichever of them a token is signed with.
pub fn read(document: &[u8]) -> Result<Published, JwksError> {
    if document.len() > JWKS_BYTES_MAX {
        return Err(JwksError::TooLarge);
    }
    let mut members = json::read_object(document).map_err(|_| JwksError::Malformed)?;
    let Some(Json::List(listed)) = members.remove("keys") else {
        return Err(JwksError::Malformed);
    };
    let mut published = Published { keys: KeySet::default(), skipped: Vec::new() };
    for item in &listed {
        let Json::Object(jwk) = item else { return Err(JwksError::Malformed) };
        let key_id = jwk.get("kid").and_then(Json::as_text);
        if let Err(reason) = take(jwk, &mut published.keys) {
            published.skipped.push(Skipped { key_id: key_id.map(shortened), reason });
        }
    }
    Ok(published)
}

fn take(jwk: &Members, keys: &mut KeySet) -> Result<(), SkippedReason> {
    let key = key(jwk)?;
    if keys.iter().any(|known| known.is_same(&key) && known.id() == key.id()) {
        return Err(SkippedReason::Twice);
    }
    if keys.push(key) { Ok(()) } else { Err(SkippedReason::TooMany) }
}

fn key(jwk: &Members) -> Result<VerificationKey, SkippedReason> {
    let unfit = SkippedReason::Malformed(KeyError::Unfit);
    let text = |name: &str| jwk.get(name).and_then(Json::as_text);
    let id = match jwk.get("kid") {
        None => None,
        Some(Json::Text(id)) if id.len() <= KEY_ID_BYTES_MAX => Some(&**id),
        Some(_) => return Err(unfit),
    };
    check_use(jwk)?;
    let bytes = |name: &str| text(name).and_then(|part| BASE64_URL.decode(part).ok()).ok_or(unfit);
    let key = match (text("kty"), text("crv")) {
        (Some("oct"), _) => return Err(SkippedReason::Secret),
        (Some("RSA"), _) => {
            let (modulus, exponent) = (bytes("n")?, bytes("e")?);
            let parts = PublicParts::Rsa { modulus: &modulus, exponent: &exponent };
            VerificationKey::from_parts(id, parts)
        }
        (Some("EC"), Some("P-256")) => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            VerificationKey::from_parts(id, PublicParts::P256 { x: &x, y: &y })
        }
        (Some("OKP"), Some("Ed25519")) => {
            VerificationKey::from_parts(id, PublicParts::Ed25519(&bytes("x")?))
        }
        _ => return Err(SkippedReason::Algorithm),
    };
    let key = key.map_err(SkippedReason::Malformed)?;
    match jwk.get("alg") {
        None => Ok(key),
        Some(name) => match name.as_text().and_then(Algorithm::named) {
            Some(algorithm) if algorithm == key.algorithm() => Ok(key),
            _ => Err(SkippedReason::Algorithm),
        },
    }
}

fn check_use(jwk: &Members) -> Result<(), SkippedReason> {
    let is_for_signatures = jwk.get("use").is_none_or(|of| of.as_text() == Some("sig"));
    let verifies = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_texts().is_some_and(|operations| operations.contains(&"verify"))
    });
    if is_for_signatures && verifies { Ok(()) } else { Err(SkippedReason::Use) }
}

/// What a log says of a name that may be as long as its document.
fn shortened(id: &str) -> Box<str> {
    id[..id.floor_char_boundary(KEY_ID_BYTES_MAX)].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::vectors::*;

    fn rsa(more: &str) -> String {
        format!(r#"{{"kty":"RSA","n":"{RFC7515_RS256_N}","e":"AQAB"{more}}}"#)
    }

    fn p256(more: &str) -> String {
        let (x, y) = (RFC7515_ES256_X, RFC7515_ES256_Y);
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"{more}}}"#)
    }

    fn ed25519(more: &str) -> String {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{RFC8037_EDDSA_X}"{more}}}"#)
    }

    fn set(keys: &[String]) -> Published {
        read(format!(r#"{{"keys":[{}],"extra":1}}"#, keys.join(",")).as_bytes()).unwrap()
    }

    /// What becomes of the one key of a set.
    fn one(jwk: &str) -> Result<Algorithm, SkippedReason> {
        let published = set(&[jwk.to_owned()]);
        match (published.keys.iter().next(), published.skipped.first()) {
            (Some(key), None) => Ok(key.algorithm()),
            (None, Some(skipped)) => Err(skipped.reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_of_the_standards_are_read() {
        let keys = [rsa(r#","kid":"a","use":"sig","alg":"RS256""#), p256(""), ed25519("")];
        let published = set(&keys);
        assert_eq!(published.skipped, []);
        let read: Vec<_> =
            published.keys.iter().map(|key| (key.id(), key.algorithm().name())).collect();
        assert_eq!(read, [(Some("a"), "RS256"), (None, "ES256"), (None, "EdDSA")]);
    }

    #[test]
    fn a_key_is_for_one_algorithm_and_one_use() {
        let malformed = |error| Err(SkippedReason::Malformed(error));
        for (jwk, expected) in [
            (rsa(""), Ok(Algorithm::Rs256)),
            (rsa(r#","alg":"RS512""#), Err(SkippedReason::Algorithm)),
            (rsa(r#","alg":"PS256""#), Err(SkippedReason::Algorithm)),
            (rsa(r#","alg":"HS256""#), Err(SkippedReason::Algorithm)),
            (rsa(r#","alg":"ES256""#), Err(SkippedReason::Algorithm)),
            (rsa(r#","alg":"none""#), Err(SkippedReason::Algorithm)),
            (rsa(r#","alg":null"#), Err(SkippedReason::Algorithm)),
            (ed25519(r#","alg":"Ed25519""#), Ok(Algorithm::EdDsa)),
            (rsa(r#","use":"enc""#), Err(SkippedReason::Use)),
            (rsa(r#","use":7"#), Err(SkippedReason::Use)),
            (rsa(r#","key_ops":["verify"]"#), Ok(Algorithm::Rs256)),
            (rsa(r#","key_ops":["encrypt"]"#), Err(SkippedReason::Use)),
            (rsa(r#","key_ops":[]"#), Err(SkippedReason::Use)),
            (r#"{"kty":"oct","k":"AAAA"}"#.into(), Err(SkippedReason::Secret)),
            (r#"{"kty":"AKP","alg":"ML-DSA-44"}"#.into(), Err(SkippedReason::Algorithm)),
            (p256("").replace("P-256", "P-384"), Err(SkippedReason::Algorithm)),
            (p256("").replace("P-256", "secp256k1"), Err(SkippedReason::Algorithm)),
            (ed25519("").replace("Ed25519", "X25519"), Err(SkippedReason::Algorithm)),
            ("{}".into(), Err(SkippedReason::Algorithm)),
            (rsa("").replace("AQAB", ""), malformed(KeyError::Unfit)),
            (rsa("").replace(RFC7515_RS256_N, "AQAB"), malformed(KeyError::RsaSize)),
            (rsa("").replace("AQAB", "AQAB="), malformed(KeyError::Unfit)),
            (rsa(r#","kid":7"#), malformed(KeyError::Unfit)),
            (p256("").replace(RFC7515_ES256_X, RFC7515_ES256_Y), malformed(KeyError::Unfit)),
            (ed25519("").replace("11qY", ""), malformed(KeyError::Unfit)),
        ] {
            assert_eq!(one(&jwk), expected, "{jwk}");
        }
    }

    #[test]
    fn keys_that_share_a_name_are_all_taken() {
        let name = r#","kid":"a""#;
        let published = set(&[rsa(name), p256(name), rsa(name)]);
        assert_eq!(published.keys.iter().len(), 2);
        let twice = Skipped { key_id: Some("a".into()), reason: SkippedReason::Twice };
        assert_eq!(published.skipped, [twice]);
        let text = published.skipped[0].to_string();
        assert_eq!(text, "key `a` is passed over: it is there twice");
    }

    #[test]
    fn a_set_may_be_empty() {
        assert!(read(br#"{"keys":[]}"#).unwrap().keys.is_empty());
    }

    #[test]
    fn what_is_no_set_is_refused_whole() {
        let large = " ".repeat(JWKS_BYTES_MAX + 1);
        assert_eq!(read(large.as_bytes()).err(), Some(JwksError::TooLarge));
        for text in [
            "",
            "<html>down for maintenance</html>",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[1]}"#,
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys":[{"kid":"a","kid":"b"}]}"#,
            r#"{"keys":[]} {}"#,
            r#"{"keys":["#,
        ] {
            assert_eq!(read(text.as_bytes()).err(), Some(JwksError::Malformed), "{text}");
        }
    }

    #[test]
    fn no_more_keys_are_taken_than_the_bound() {
        use bellwire_model::limits::KEYS_OF_ISSUER_MAX;
        let keys: Vec<String> =
            (0..=KEYS_OF_ISSUER_MAX).map(|n| ed25519(&format!(r#","kid":"{n}""#))).collect();
        let published = set(&keys);
        assert_eq!(published.keys.iter().len(), KEYS_OF_ISSUER_MAX);
        assert_eq!(published.skipped[0].reason, SkippedReason::TooMany);
    }
}
