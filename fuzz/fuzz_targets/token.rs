//! What a client shows: nothing that nobody has signed counts, and a token that counts does so until
//! its claims end.
//!
//! An input is the claims and, on the line after, the header, both as text: they are signed here, so
//! that what is in them is looked at. The whole is also read as a token as it stands.

#![no_main]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_access::jwt::{Expiry, Issuer, KeySet, Token, TokenError, VerificationKey};
use bellwire_access::key::PresentedKey;
use bellwire_access::ticket::Ticket;
use bellwire_access::{ServerSecret, Session};
use bellwire_model::Timestamp;
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"thirty-two bytes of a secret ...";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let issuer = Issuer {
        name: "https://id.example".into(),
        audiences: vec!["bellwire".into()],
        expiry: Expiry::Optional,
        leeway: Duration::from_secs(30),
        subject_claim: "sub".into(),
    };
    let key = VerificationKey::from_secret(None, SECRET).expect("a secret of 32 bytes");
    let keys: KeySet = [key].into_iter().collect();
    let now = Timestamp::from_ms(1_800_000_000_000);
    let server = ServerSecret::new(SECRET).expect("a secret of 32 bytes");
    assert!(Session::open(text, &server).is_none() && Ticket::open(text, &server).is_none());
    let _ = PresentedKey::parse(text);
    if let Ok(token) = Token::read(text) {
        assert!(issuer.verify(&token, &keys, now).is_err(), "nobody has signed it");
    }
    let (claims, header) = text.split_once('\n').unwrap_or((text, r#"{"alg":"HS256"}"#));
    let signed = signed(header, claims);
    let Ok(token) = Token::read(&signed) else { return };
    let Ok(verified) = issuer.verify(&token, &keys, now) else { return };
    let Some(ends_at) = verified.claims.ends_at else { return };
    assert!(now < ends_at);
    assert_eq!(issuer.verify(&token, &keys, ends_at), Err(TokenError::Expired));
});

fn signed(header: &str, claims: &str) -> String {
    let text = format!("{}.{}", BASE64_URL.encode(header), BASE64_URL.encode(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let signature = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", BASE64_URL.encode(signature))
}
