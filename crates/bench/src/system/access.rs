//! A Bellwire that asks who one is: its configuration, a key that it knows, and credentials that it
//! does not.

use bellwire_access::jwt::signed;
use bellwire_access::key::NewKey;
use bellwire_access::password::{PasswordHash, SALT_BYTES};
use serde_json::{Map, Value, json};

/// What is behind the topics that a load has.
const TOPICS: &str = "bench/**";

/// The server that these are for ends with the run, holds nothing, and listens on the loopback
/// interface: its secrets may be known.
const KEY_BYTES: [u8; NewKey::RANDOM_BYTES] = [7; NewKey::RANDOM_BYTES];
const SECRET: &[u8] = b"of a server that ends with the run";
const ISSUER: &str = "bench";
const KEY_ID: &str = "a";

/// Seconds since the Unix epoch, in 2001: when what is expired has ended.
const LONG_AGO_S: u64 = 1_000_000_000;
/// In 2096: when what is not expired ends.
const LONG_AFTER_S: u64 = 4_000_000_000;

/// A user of the server, and a password that is not theirs, as `Basic` has them: `ann`.
const USER: &str = "ann";
const PASSWORD: &str = "what nobody guesses";
const BAD_PASSWORD: &str = "Basic YW5uOm5vdCB0aGUgcGFzc3dvcmQ=";

/// The name of the variable in which the server finds its issuer's secret.
pub(super) const SECRET_VARIABLE: &str = "BENCH_ISSUER_SECRET";

/// Its value.
pub(super) fn secret() -> &'static str {
    std::str::from_utf8(SECRET).expect("it is text")
}

/// What those show who may publish and subscribe.
pub(super) fn key() -> String {
    NewKey::make(KEY_BYTES).text().to_owned()
}

/// A configuration with one role, one key, one user, and one issuer of tokens that are signed with
/// HS256.
pub(super) fn configuration() -> String {
    let key = NewKey::make(KEY_BYTES);
    let hash = PasswordHash::new(PASSWORD, [7; SALT_BYTES]).expect("it is long enough");
    format!(
        "[access]\n\n\
         [[access.role]]\nname = \"bench\"\nsubscribe = [\"{TOPICS}\"]\npublish = [\"{TOPICS}\"]\n\n\
         [[access.key]]\nid = \"{}\"\nhash = \"{}\"\nsubject = \"bench\"\nroles = [\"bench\"]\n\n\
         [[access.user]]\nname = \"{USER}\"\npassword_hash = \"{hash}\"\nroles = [\"bench\"]\n\n\
         [[access.issuer]]\nname = \"{ISSUER}\"\nroles = [\"bench\"]\n\n\
         [[access.issuer.key]]\nid = \"{KEY_ID}\"\nsecret_variable = \"{SECRET_VARIABLE}\"\n",
        key.id(),
        key.hash(),
    )
}

/// What is wrong with a token.
const WRONGS: u64 = 4;

/// Of so many credentials one is a password.
const PASSWORD_OF: u64 = 20;

/// What stands behind `Authorization` and counts for nothing: tokens, and a password now and then.
pub(crate) fn bad_credential(number: u64) -> String {
    if number % PASSWORD_OF == PASSWORD_OF - 1 {
        return BAD_PASSWORD.to_owned();
    }
    format!("Bearer {}", bad_token(number))
}

/// A token that the server refuses, another one for each number: signed by nobody, with a key that
/// it does not know, with another secret, or long expired.
fn bad_token(number: u64) -> String {
    let subject = format!("nobody-{number}");
    let claims = |ends_at_s: u64| -> Map<String, Value> {
        let claims = json!({ "iss": ISSUER, "sub": subject, "exp": ends_at_s });
        claims.as_object().cloned().expect("an object")
    };
    let (unknown, other) = (format!("{number:x}"), format!("{number:064}"));
    match number % WRONGS {
        0 => {
            let token = signed(Some(KEY_ID), &claims(LONG_AFTER_S), SECRET);
            let (text, _) = token.rsplit_once('.').expect("three parts");
            format!("{text}.{}", "A".repeat(43))
        }
        1 => signed(Some(&unknown), &claims(LONG_AFTER_S), SECRET),
        2 => signed(Some(KEY_ID), &claims(LONG_AFTER_S), other.as_bytes()),
        _ => signed(Some(KEY_ID), &claims(LONG_AGO_S), SECRET),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_bad_token_is_another() {
        let tokens: BTreeSet<String> = (0..100).map(bad_token).collect();
        assert_eq!(tokens.len(), 100);
        assert!(tokens.iter().all(|token| token.split('.').count() == 3));
    }
}
