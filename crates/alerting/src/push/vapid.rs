//! By which key push services know this server (RFC 8292).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL};
use bellwire_model::Timestamp;
use bellwire_model::limits::PUSH_TOKEN_AGE;
use http::HeaderValue;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use thiserror::Error;

/// Signs what push services are shown. A browser's subscription is for its public part alone.
pub struct VapidKey {
    pair: EcdsaKeyPair,
    /// Of its public part.
    text: Box<str>,
}

/// Says nothing of the key.
impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VapidKey").field("public", &self.text).finish_non_exhaustive()
    }
}

/// A file has no key for push messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "it is no private key of P-256 in PEM (PKCS#8): remove the file for a new one, which no subscription of a browser outlives"
)]
pub struct VapidKeyError;

impl VapidKey {
    /// A new one, as PEM. An error says that the system gives no randomness.
    pub fn draw() -> Result<Vec<u8>, VapidKeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = pair.and_then(|pair| pair.to_pkcs8v1()).map_err(|_| VapidKeyError)?;
        let text = BASE64.encode(document.as_ref());
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem.into_bytes())
    }

    /// Reads one.
    pub fn read(pem: &[u8]) -> Result<Self, VapidKeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| VapidKeyError)?;
        let der = der.secret_pkcs8_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|_| VapidKeyError)?;
        let text = BASE64_URL.encode(pair.public_key().as_ref()).into();
        Ok(Self { pair, text })
    }

    /// What pages subscribe with: the base64url of the public point.
    pub(crate) fn public_text(&self) -> &str {
        &self.text
    }

    /// What `Authorization` says to the push service of this origin; `contact` is whom its operators
    /// may write to.
    pub(crate) fn authorization(
        &self,
        (origin, contact): (&str, &str),
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let ends_at = now.saturating_add(PUSH_TOKEN_AGE).as_ms() / 1_000;
        let head = json!({ "typ": "JWT", "alg": "ES256" });
        let claims = json!({ "aud": origin, "exp": ends_at, "sub": contact });
        let part = |json: &serde_json::Value| BASE64_URL.encode(json.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        let signature = BASE64_URL.encode(signature.as_ref());
        let text = format!("vapid t={signed}.{signature}, k={}", self.text);
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_push_service_can_verify_who_sends_and_for_whom() {
        let pem = VapidKey::draw().expect("drawn");
        let key = VapidKey::read(&pem).expect("a key");
        assert_eq!(VapidKey::read(&pem).expect("a key").public_text(), key.public_text());
        let asked = ("https://push.example", "mailto:ops@bell.example");
        let now = Timestamp::from_ms(1_800_000_000_000);
        let header = key.authorization(asked, now).expect("a header");
        let text = header.to_str().expect("visible").strip_prefix("vapid t=").expect("vapid");
        let (token, public) = text.split_once(", k=").expect("a key");
        assert_eq!(public, key.public_text());
        let (signed, signature) = token.rsplit_once('.').expect("signed");
        let bytes = |text: &str| BASE64_URL.decode(text).expect("base64url");
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes(public));
        public.verify(signed.as_bytes(), &bytes(signature)).expect("signed with the key");
        let claims = signed.split_once('.').expect("claims").1;
        let claims: serde_json::Value = serde_json::from_slice(&bytes(claims)).expect("JSON");
        let expected = json!({
            "aud": "https://push.example", "exp": 1_800_043_200, "sub": "mailto:ops@bell.example",
        });
        assert_eq!(claims, expected);
    }

    #[test]
    fn what_is_no_key_is_told_so() {
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(VapidKey::read(text.as_bytes()).err(), Some(VapidKeyError), "{text}");
        }
    }
}
