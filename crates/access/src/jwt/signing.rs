//! Tokens of one's own, for whoever shares a secret with a server: to try things out, and for small
//! services that have no issuer.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// A token with these claims, signed with HS256. Whoever verifies it says what a secret has to be.
pub fn signed(key_id: Option<&str>, claims: &Map<String, Value>, secret: &[u8]) -> String {
    let mut header = json!({ "alg": "HS256", "typ": "JWT" });
    if let Some(id) = key_id {
        header["kid"] = id.into();
    }
    let encoded = |value: &[u8]| URL_SAFE_NO_PAD.encode(value);
    let claims = serde_json::to_vec(claims).expect("a map of values is JSON");
    let text = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", encoded(signature.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_model::Timestamp;

    use super::*;
    use crate::jwt::{Expiry, Issuer, KeySet, Token, VerificationKey};

    #[test]
    fn what_is_signed_is_verified() {
        let secret = [7; 32];
        let claims = json!({ "iss": "me", "sub": "ada", "exp": 2_000, "team": ["a", "b"] });
        let text = signed(Some("k"), claims.as_object().expect("an object"), &secret);
        let issuer = Issuer {
            name: "me".into(),
            audiences: Vec::new(),
            expiry: Expiry::Required,
            leeway: Duration::ZERO,
            subject_claim: "sub".into(),
        };
        let mut keys = KeySet::default();
        assert!(keys.push(VerificationKey::from_secret(Some("k"), &secret).expect("a secret")));
        let token = Token::read(&text).expect("a token");
        let shown = format!("{token:?}");
        let signature = format!("{:?}", token.signature);
        for part in text.split('.').chain(["ada", signature.trim_matches(['[', ']'])]) {
            assert!(!shown.contains(part), "{shown}");
        }
        let verified = issuer.verify(&token, &keys, Timestamp::from_ms(1_999_999)).expect("valid");
        assert_eq!(&*verified.claims.subject, "ada");
        assert_eq!(verified.claims.get("team").map(|it| it.texts().len()), Some(2));
    }
}
