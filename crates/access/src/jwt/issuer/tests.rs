//! Tokens that count, and every way in which one does not.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_model::limits::{CLAIMS_MAX, KEY_ID_BYTES_MAX, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX};

use super::*;
use crate::jwt::{PublicParts, VerificationKey};
use crate::tests::vectors::*;

const SECRET: &[u8] = b"thirty-two bytes of a secret ...";
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT","kid":"a"}"#;
/// When the tests take place, in seconds.
const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_ms(NOW * 1000)
}

fn issuer() -> Issuer {
    Issuer {
        name: "https://id.example".into(),
        audiences: vec!["bellwire".into()],
        expiry: Expiry::Required,
        leeway: Duration::from_secs(30),
        subject_claim: "sub".into(),
    }
}

/// The issuer of the examples of the RFCs, whose tokens say nobody else.
fn joe() -> Issuer {
    let name: Box<str> = "joe".into();
    Issuer { name, audiences: Vec::new(), subject_claim: "iss".into(), ..issuer() }
}

fn bytes(base64: &str) -> Vec<u8> {
    BASE64_URL.decode(base64).unwrap()
}

fn keys(keys: impl IntoIterator<Item = VerificationKey>) -> KeySet {
    keys.into_iter().collect()
}

fn secret(id: &str) -> VerificationKey {
    VerificationKey::from_secret(Some(id), SECRET).unwrap()
}

fn rsa(id: Option<&str>) -> VerificationKey {
    VerificationKey::from_pem(id, NODE_RS256_PEM.as_bytes()).unwrap()
}

fn p256(id: Option<&str>, x: &str, y: &str) -> VerificationKey {
    VerificationKey::from_parts(id, PublicParts::P256 { x: &bytes(x), y: &bytes(y) }).unwrap()
}

fn ed25519(id: Option<&str>) -> VerificationKey {
    let x = bytes(RFC8037_EDDSA_X);
    VerificationKey::from_parts(id, PublicParts::Ed25519(&x)).unwrap()
}

/// A token with this header and these claims, signed with `SECRET` whatever they say.
fn signed(header: &str, claims: &str) -> String {
    let text = format!("{}.{}", BASE64_URL.encode(header), BASE64_URL.encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), text.as_bytes());
    format!("{text}.{}", BASE64_URL.encode(signature))
}

/// Claims that count, with these at their end.
fn claims(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    let end = NOW + 60;
    format!(
        r#"{{"iss":"https://id.example","sub":"ann","aud":"bellwire","exp":{end}{comma}{more}}}"#
    )
}

fn verify(token: &str) -> Result<Verified, TokenError> {
    issuer().verify(&Token::read(token)?, &keys([secret("a")]), now())
}

fn refused(token: &str) -> &'static str {
    verify(token).map_or_else(|error| error.word(), |_| "accepted")
}

#[test]
fn examples_of_the_standards_are_verified() {
    let before_end = Timestamp::from_ms(1_300_819_379_999);
    let key = VerificationKey::from_secret(None, &bytes(RFC7515_HS256_KEY)).unwrap();
    let (modulus, exponent) = (bytes(RFC7515_RS256_N), bytes("AQAB"));
    let parts = PublicParts::Rsa { modulus: &modulus, exponent: &exponent };
    let rsa = VerificationKey::from_parts(None, parts).unwrap();
    let p256 = p256(None, RFC7515_ES256_X, RFC7515_ES256_Y);
    for (text, key) in [(RFC7515_HS256, key), (RFC7515_RS256, rsa), (RFC7515_ES256, p256)] {
        let token = Token::read(text).unwrap();
        let read = joe().verify(&token, &keys([key.clone()]), before_end).unwrap();
        assert_eq!(&*read.claims.subject, "joe");
        assert_eq!(read.claims.ends_at, Some(Timestamp::from_ms(1_300_819_410_000)));
        let late = Timestamp::from_ms(1_300_819_410_000);
        assert_eq!(joe().verify(&token, &keys([key]), late), Err(TokenError::Expired));
    }
    // That of RFC 8037 has no claims: it is the signature that is looked at.
    let (text, signature) = RFC8037_EDDSA.rsplit_once('.').unwrap();
    assert!(ed25519(None).is_signed(text.as_bytes(), &bytes(signature)));
    assert!(!ed25519(None).is_signed(&text.as_bytes()[1..], &bytes(signature)));
}

#[test]
fn tokens_of_another_implementation_are_verified() {
    let all =
        keys([rsa(Some("rsa")), p256(Some("ec"), NODE_ES256_X, NODE_ES256_Y), ed25519(Some("ed"))]);
    let read: Vec<Verified> = [NODE_RS256, NODE_ES256, NODE_EDDSA]
        .map(|text| issuer().verify(&Token::read(text).unwrap(), &all, now()).unwrap())
        .into();
    assert!(read.iter().all(|one| *one == read[0]), "{read:?}");
    let Verified { claims, id, issued_at } = &read[0];
    assert_eq!((&*claims.subject, id.as_deref()), ("ann", Some("t1")));
    assert_eq!(*issued_at, Some(Timestamp::from_ms(1_700_000_000_500)));
    assert_eq!(claims.ends_at, Some(Timestamp::from_ms(1_900_000_030_000)));
    let names: Vec<&str> = claims.values.keys().map(|name| &**name).collect();
    assert_eq!(names, ["groups", "iss", "realm_access.roles", "sub", "team"]);
    assert_eq!(claims.get("groups").unwrap().texts(), ["payments".into(), "search".into()]);
}

#[test]
fn a_changed_byte_is_noticed() {
    let all = keys([
        rsa(Some("rsa")),
        p256(Some("ec"), NODE_ES256_X, NODE_ES256_Y),
        ed25519(Some("ed")),
        secret("a"),
    ]);
    let ours = signed(HEADER, &claims(""));
    for text in [NODE_RS256, NODE_ES256, NODE_EDDSA, &ours] {
        let token = Token::read(text).unwrap();
        assert!(issuer().verify(&token, &all, now()).is_ok());
        for place in 0..token.signature.len() {
            let mut forged = token.clone();
            forged.signature[place] ^= 1;
            assert_eq!(issuer().verify(&forged, &all, now()), Err(TokenError::Signature));
        }
        for signature in [vec![], vec![0; 64], vec![0; 256], token.signature[1..].to_vec()] {
            let mut forged = token.clone();
            forged.signature = signature;
            assert_eq!(issuer().verify(&forged, &all, now()), Err(TokenError::Signature));
        }
        let mut other = token;
        other.signed = &text[1..];
        assert_eq!(issuer().verify(&other, &all, now()), Err(TokenError::Signature));
    }
}

#[test]
fn a_signature_has_one_form() {
    let (signed, _) = NODE_ES256.rsplit_once('.').unwrap();
    let text = format!("{signed}.{NODE_ES256_DER}");
    let key = keys([p256(None, NODE_ES256_X, NODE_ES256_Y)]);
    let refused = issuer().verify(&Token::read(&text).unwrap(), &key, now());
    assert_eq!(refused, Err(TokenError::Signature));
}

#[test]
fn a_token_signed_with_nothing_is_refused() {
    assert_eq!(Token::read(RFC7519_NONE), Err(TokenError::Algorithm));
    for name in ["none", "None", "nOnE", "", "HS1", "RSA-OAEP", "dir"] {
        let header = format!(r#"{{"alg":"{name}","kid":"a"}}"#);
        assert_eq!(refused(&signed(&header, &claims(""))), "algorithm", "{name}");
    }
    for header in [r#"{"kid":"a"}"#, r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":256}"#] {
        assert_eq!(refused(&signed(header, &claims(""))), "malformed", "{header}");
    }
}

#[test]
fn algorithms_are_not_confused() {
    // A public key taken for a secret: the token is signed with the bytes of the PEM.
    let text = signed(r#"{"alg":"HS256","kid":"rsa"}"#, &claims(""));
    let (signed_text, _) = text.rsplit_once('.').unwrap();
    let pem = hmac::Key::new(hmac::HMAC_SHA256, NODE_RS256_PEM.as_bytes());
    let signature = BASE64_URL.encode(hmac::sign(&pem, signed_text.as_bytes()));
    let forged = format!("{signed_text}.{signature}");
    let all = keys([rsa(Some("rsa")), p256(Some("ec"), NODE_ES256_X, NODE_ES256_Y)]);
    let read = issuer().verify(&Token::read(&forged).unwrap(), &all, now());
    assert_eq!(read, Err(TokenError::Algorithm));
    // And a key of one kind under the name of another.
    for (algorithm, id) in [("ES256", "rsa"), ("RS256", "ec"), ("EdDSA", "ec")] {
        let text = signed(&format!(r#"{{"alg":"{algorithm}","kid":"{id}"}}"#), &claims(""));
        let read = issuer().verify(&Token::read(&text).unwrap(), &all, now());
        assert_eq!(read, Err(TokenError::Algorithm), "{algorithm} {id}");
    }
}

#[test]
fn a_key_counts_for_its_issuer_only() {
    let other = claims("").replace("id.example", "other.example");
    let text = signed(HEADER, &other);
    assert_eq!(Token::read(&text).unwrap().issuer(), "https://other.example");
    assert_eq!(refused(&text), "unknown_issuer");
    for (iss, expected) in [
        (r#""https://id.example/""#, "unknown_issuer"),
        (r#""HTTPS://id.example""#, "unknown_issuer"),
        (r#""""#, "unknown_issuer"),
        (r#"["https://id.example"]"#, "malformed"),
        ("null", "malformed"),
    ] {
        let claims = claims("").replace(r#""https://id.example""#, iss);
        assert_eq!(refused(&signed(HEADER, &claims)), expected, "{iss}");
    }
    let nobody = claims("").replace(r#""iss":"https://id.example","#, "");
    assert_eq!(refused(&signed(HEADER, &nobody)), "no_issuer");
}

#[test]
fn an_unknown_key_is_told_by_its_name() {
    for (id, expected) in [(r#","kid":"b""#, Some("b")), (r#","kid":"""#, Some(""))] {
        let text = signed(&format!(r#"{{"alg":"HS256"{id}}}"#), &claims(""));
        let issuer: Box<str> = "https://id.example".into();
        let key_id = expected.map(Into::into);
        assert_eq!(verify(&text), Err(TokenError::UnknownKey { issuer, key_id }));
    }
    let unnamed = signed(r#"{"alg":"HS256"}"#, &claims(""));
    assert!(verify(&unnamed).is_ok(), "of all keys for its algorithm one fits");
    let token = Token::read(&unnamed).unwrap();
    let none = issuer().verify(&token, &KeySet::default(), now()).unwrap_err();
    assert_eq!(
        none.to_string(),
        "the issuer `https://id.example` has no key that fits a token without `kid`"
    );
    let long = "k".repeat(KEY_ID_BYTES_MAX + 1);
    for id in [&*format!(r#""{long}""#), "7", "null", "{}"] {
        let text = signed(&format!(r#"{{"alg":"HS256","kid":{id}}}"#), &claims(""));
        assert_eq!(refused(&text), "malformed", "{id}");
    }
}

#[test]
fn keys_that_share_a_name_are_all_tried() {
    let old = VerificationKey::from_secret(Some("a"), &[b'o'; 32]).unwrap();
    let text = signed(HEADER, &claims(""));
    let token = Token::read(&text).unwrap();
    assert!(issuer().verify(&token, &keys([old.clone(), secret("a")]), now()).is_ok());
    assert!(issuer().verify(&token, &keys([secret("a"), old.clone()]), now()).is_ok());
    assert_eq!(issuer().verify(&token, &keys([old]), now()), Err(TokenError::Signature));
}

#[test]
fn the_header_says_no_more_than_is_understood() {
    for (more, expected) in [
        (r#","typ":"JWT""#, "accepted"),
        (r#","typ":"jwt""#, "accepted"),
        (r#","typ":"at+jwt""#, "accepted"),
        (r#","typ":"AT+JWT""#, "accepted"),
        (r#","typ":"application/at+jwt""#, "accepted"),
        (r#","typ":"Application/JWT""#, "accepted"),
        (r#","typ":"text/JWT""#, "kind"),
        (r#","typ":"""#, "kind"),
        (r#","typ":"dpop+jwt""#, "kind"),
        (r#","typ":"secevent+jwt""#, "kind"),
        (r#","typ":"logout+jwt""#, "kind"),
        (r#","typ":"JOSE""#, "kind"),
        (r#","typ":7"#, "malformed"),
        (r#","typ":null"#, "malformed"),
        (r#","crit":["exp"],"exp":1"#, "critical"),
        (r#","crit":["b64"],"b64":false"#, "critical"),
        (r#","crit":[]"#, "critical"),
        (r#","crit":null"#, "critical"),
        (r#","alg":"none""#, "malformed"),
        (r#","kid":"b""#, "malformed"),
        (r#","x5u":"https://evil.example","jku":"https://evil.example","jwk":{}"#, "accepted"),
    ] {
        let text = signed(&format!(r#"{{"alg":"HS256","kid":"a"{more}}}"#), &claims(""));
        assert_eq!(refused(&text), expected, "{more}");
    }
}

#[test]
fn a_token_has_one_text() {
    let text = signed(HEADER, &claims(""));
    assert_eq!(refused(&text), "accepted");
    let [header, claims, signature]: [&str; 3] =
        text.split('.').collect::<Vec<_>>().try_into().unwrap();
    for wrong in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        format!("{header}.{claims}"),
        format!("{text}."),
        format!(".{text}"),
        format!("{text}.{signature}"),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}="),
        format!("{header}==.{claims}.{signature}"),
        text.replace(header, &header.replace("eyJ", "ey J")),
        format!("{header}.{claims}.{}+", &signature[..signature.len() - 1]),
        "é.é.é".into(),
    ] {
        assert_eq!(
            Token::read(&wrong).err().map(|error| error.word()),
            Some("malformed"),
            "{wrong}"
        );
    }
    // Bits beyond the last byte: 32 bytes take 43 characters, the last of which has two to spare.
    let last = signature.chars().last().unwrap();
    let at = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = at.as_bytes()[at.find(last).unwrap() | 1] as char;
    let twin = format!("{header}.{claims}.{}{next}", &signature[..signature.len() - 1]);
    assert!(twin != text && Token::read(&twin).is_err());
}

#[test]
fn a_huge_token_is_refused_unread() {
    let text = signed(HEADER, &claims(&format!(r#""x":"{}""#, "x".repeat(TOKEN_BYTES_MAX))));
    assert_eq!(Token::read(&text), Err(TokenError::TooLarge));
    assert_eq!(Token::read(&".".repeat(TOKEN_BYTES_MAX + 1)), Err(TokenError::TooLarge));
    let many: Vec<String> = (0..CLAIMS_MAX).map(|n| format!(r#""{n}":"""#)).collect();
    assert_eq!(refused(&signed(HEADER, &claims(&many.join(",")))), "claims");
    let deep = format!(r#""x":{}1{}"#, "[".repeat(1_000), "]".repeat(1_000));
    assert_eq!(refused(&signed(HEADER, &claims(&deep))), "malformed");
}

#[test]
fn a_member_that_is_there_twice_makes_no_token() {
    for more in [
        r#""sub":"bob""#,
        r#""exp":9999999999"#,
        r#""aud":"bellwire""#,
        r#""a":1,"a":1"#,
        r#""a":{"b":1,"b":2}"#,
        r#""\u0073ub":"bob""#,
    ] {
        assert_eq!(refused(&signed(HEADER, &claims(more))), "malformed", "{more}");
    }
}

#[test]
fn a_token_is_for_one_of_our_names() {
    for (aud, expected) in [
        (r#""bellwire""#, "accepted"),
        (r#"["bellwire"]"#, "accepted"),
        (r#"["other","bellwire"]"#, "accepted"),
        (r#""other""#, "audience"),
        (r#""Bellwire""#, "audience"),
        (r#""bellwire other""#, "audience"),
        ("[]", "audience"),
        (r#""""#, "audience"),
        (r#"["bellwire",7]"#, "malformed"),
        ("7", "malformed"),
        ("null", "malformed"),
        ("{}", "malformed"),
    ] {
        let text = claims("").replace(r#""aud":"bellwire""#, &format!(r#""aud":{aud}"#));
        assert_eq!(refused(&signed(HEADER, &text)), expected, "{aud}");
    }
    let without = claims("").replace(r#""aud":"bellwire","#, "");
    assert_eq!(refused(&signed(HEADER, &without)), "audience");
    // Where no name is ours, a token that is for nobody in particular counts, and no other.
    let nameless = Issuer { audiences: Vec::new(), ..issuer() };
    for (text, expected) in [(without, None), (claims(""), Some(TokenError::Audience))] {
        let text = signed(HEADER, &text);
        let read = nameless.verify(&Token::read(&text).unwrap(), &keys([secret("a")]), now());
        assert_eq!(read.err(), expected);
    }
}

#[test]
fn a_token_counts_from_nbf_to_exp_and_the_leeway_on_either_side() {
    for (times, expected) in [
        (format!(r#""exp":{}"#, NOW + 1), "accepted"),
        (format!(r#""exp":{NOW}"#), "accepted"),
        (format!(r#""exp":{}"#, NOW - 29), "accepted"),
        (format!(r#""exp":{}"#, NOW - 30), "expired"),
        (format!(r#""exp":{}.999"#, NOW - 31), "expired"),
        (format!(r#""exp":{}.001"#, NOW - 30), "accepted"),
        (format!(r#""exp":{NOW}e0"#), "accepted"),
        (r#""exp":1.9e9"#.into(), "accepted"),
        (r#""exp":0"#.into(), "expired"),
        (r#""exp":-1"#.into(), "expired"),
        (r#""exp":-0.0"#.into(), "expired"),
        (r#""exp":253402300799"#.into(), "accepted"),
        (r#""exp":253402300800"#.into(), "malformed"),
        (format!(r#""exp":{NOW}000"#), "malformed"),
        (r#""exp":18446744073709551615"#.into(), "malformed"),
        (r#""exp":18446744073709551616"#.into(), "malformed"),
        (r#""exp":1e300"#.into(), "malformed"),
        (r#""exp":1e999"#.into(), "malformed"),
        (r#""exp":-1e300"#.into(), "malformed"),
        (format!(r#""exp":"{}""#, NOW + 1), "malformed"),
        (r#""exp":null"#.into(), "malformed"),
        (r#""exp":true"#.into(), "malformed"),
        (r#""exp":[]"#.into(), "malformed"),
        (r#""iat":1"#.into(), "no_expiry"),
        (format!(r#""exp":{},"nbf":{}"#, NOW + 90, NOW + 30), "accepted"),
        (format!(r#""exp":{},"nbf":{}"#, NOW + 90, NOW + 31), "not_yet_valid"),
        (format!(r#""exp":{},"nbf":"0""#, NOW + 90), "malformed"),
        (format!(r#""exp":{},"nbf":null"#, NOW + 90), "malformed"),
        (format!(r#""exp":{},"iat":"now""#, NOW + 90), "malformed"),
    ] {
        let text = claims("").replace(&format!(r#""exp":{}"#, NOW + 60), &times);
        assert_eq!(refused(&signed(HEADER, &text)), expected, "{times}");
    }
}

#[test]
fn a_token_without_an_end_counts_where_that_is_configured() {
    let text = claims("").replace(&format!(r#","exp":{}"#, NOW + 60), "");
    let text = signed(HEADER, &text);
    let token = Token::read(&text).unwrap();
    let lenient = Issuer { expiry: Expiry::Optional, ..issuer() };
    let read = lenient.verify(&token, &keys([secret("a")]), now()).unwrap();
    assert_eq!(read.claims.ends_at, None);
    let expired = signed(HEADER, &claims("").replace(&(NOW + 60).to_string(), "1"));
    let read = lenient.verify(&Token::read(&expired).unwrap(), &keys([secret("a")]), now());
    assert_eq!(read, Err(TokenError::Expired), "one that says an end is held to it");
}

#[test]
fn a_token_that_counts_now_counts_until_its_claims_end() {
    let text = signed(HEADER, &claims(""));
    let token = Token::read(&text).unwrap();
    let ends_at = verify(&text).unwrap().claims.ends_at.unwrap();
    for (after_ms, expected) in [(-1, None), (0, Some(TokenError::Expired))] {
        let now = Timestamp::from_ms(ends_at.as_ms() + after_ms);
        let read = issuer().verify(&token, &keys([secret("a")]), now);
        assert_eq!(read.err(), expected);
    }
}

#[test]
fn a_token_names_somebody() {
    let long = format!(r#""{}""#, "a".repeat(SUBJECT_BYTES_MAX + 1));
    for sub in [r#""""#, "7", "null", r#"["ann"]"#, r#""ann\nadmin""#, r#""\u202enna""#, &long] {
        let text = claims("").replace(r#""sub":"ann""#, &format!(r#""sub":{sub}"#));
        assert_eq!(refused(&signed(HEADER, &text)), "no_subject", "{sub}");
    }
    let without = claims("").replace(r#""sub":"ann","#, "");
    assert_eq!(refused(&signed(HEADER, &without)), "no_subject");
    let by_address = Issuer { subject_claim: "email".into(), ..issuer() };
    let text = signed(HEADER, &claims(r#""email":"ann@example.com""#));
    let token = Token::read(&text).unwrap();
    let read = by_address.verify(&token, &keys([secret("a")]), now()).unwrap();
    assert_eq!(&*read.claims.subject, "ann@example.com");
    assert_eq!(read.claims.get("sub").unwrap().texts(), ["ann".into()]);
}

#[test]
fn claims_within_others_go_by_their_path() {
    let more = r#""realm_access":{"roles":["a"]},"app":{"team":"x","n":1,"deep":{"er":"y"}},
        "app.team":"top","mixed":["a",1],"flag":true,"none":null,"empty":{}"#;
    let claims = verify(&signed(HEADER, &claims(more))).unwrap().claims;
    let read: Vec<(&str, &[Box<str>])> =
        claims.values.iter().map(|(name, claim)| (&**name, claim.texts())).collect();
    assert_eq!(
        read,
        [
            ("app.deep.er", &["y".into()][..]),
            ("app.team", &["top".into()]),
            ("iss", &["https://id.example".into()]),
            ("realm_access.roles", &["a".into()]),
            ("sub", &["ann".into()]),
        ]
    );
}

#[test]
fn two_tokens_of_somebody_say_the_same() {
    let one = verify(&signed(HEADER, &claims(r#""jti":"1","iat":1,"nbf":1"#))).unwrap();
    let two = verify(&signed(HEADER, &claims(r#""jti":"2","iat":2,"nbf":2"#))).unwrap();
    assert_eq!(one.claims, two.claims.issued(one.claims.issued_at));
    assert_ne!((one.id, one.issued_at), (two.id, two.issued_at));
}

#[test]
fn a_token_is_as_old_as_clocks_that_differ_allow_and_one_from_the_future_does_not_count() {
    let issued = |more: &str| verify(&signed(HEADER, &claims(more))).unwrap().claims.issued_at;
    let second = |second: i64| Some(Timestamp::from_ms(second * 1000));
    assert_eq!(issued(""), None);
    assert_eq!(issued(&format!(r#""iat":{}"#, NOW - 60)), second(NOW - 90));
    assert_eq!(issued(&format!(r#""iat":{}"#, NOW + 30)), second(NOW));
    let ahead = verify(&signed(HEADER, &claims(&format!(r#""iat":{}"#, NOW + 31))));
    assert_eq!(ahead.unwrap_err(), TokenError::NotYetIssued);
}

#[test]
fn other_keys_are_asked_for_only_by_what_would_count_with_them() {
    let strange = r#"{"alg":"HS256","kid":"strange"}"#;
    let good = claims("");
    let may_count = |claims: &str| {
        let text = signed(strange, claims);
        let token = Token::read(&text).unwrap();
        assert_eq!(refused(&text), "unknown_key");
        issuer().may_count(&token, Timestamp::from_ms(NOW * 1000))
    };
    assert!(may_count(&good));
    let over = good.replace(&format!(r#""exp":{}"#, NOW + 60), r#""exp":1"#);
    assert_ne!(good, over);
    assert!(!may_count(&over));
}

#[test]
fn every_error_has_a_word_and_a_text_without_the_token() {
    let text = signed(HEADER, &claims(""));
    let (_, signature) = text.rsplit_once('.').unwrap();
    let forged = text.replace(signature, &BASE64_URL.encode([7; 32]));
    let error = verify(&forged).unwrap_err();
    assert_eq!(
        (error.word(), &*error.to_string()),
        ("signature", "the token's signature is wrong")
    );
}

#[test]
fn what_a_stranger_writes_begins_no_line_of_a_log() {
    let header = r#"{"alg":"HS256","kid":"b\n2026-11-28 ERROR\u001b[2J"}"#;
    let unknown = verify(&signed(header, &claims(""))).unwrap_err().to_string();
    let claims = claims("").replace("https://id.example", r"a\n\u202eb");
    let nobody = verify(&signed(HEADER, &claims)).unwrap_err().to_string();
    assert_eq!(nobody, r"the token's issuer is not trusted: `a\n\u{202e}b`");
    for text in [unknown, nobody] {
        assert!(!text.contains(['\n', '\u{1b}', '\u{202e}']), "{text}");
    }
}
