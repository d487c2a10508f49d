//! A login at a provider (OIDC): what a browser keeps meanwhile, and what comes back.
//!
//! ```text
//! login    state, nonce, verifier ─▶ sealed cookie          state, nonce, hash of verifier ─▶ provider
//! callback state, code ◀─ provider   cookie ─▶ verifier     code, verifier ─▶ tokens, with the nonce
//! ```
//!
//! The server keeps nothing of a login that is under way. Whoever comes back has to bring the cookie of
//! the browser that left: a code that somebody else was given is worth nothing there.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_model::Timestamp;
use bellwire_model::limits::{LOGIN_LASTS, LOGIN_TEXT_BYTES_MAX, TOKENS_BYTES_MAX};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::claims::{Claim, Claims};
use crate::json::{self, Json};
use crate::jwt::{Algorithm, Verified};
use crate::sealed::{SealError, ServerSecret, Use};

/// Bytes of chance that a login takes: for its state, its nonce and its verifier.
pub const LOGIN_RANDOM_BYTES: usize = 3 * PART_BYTES;

const PART_BYTES: usize = 32;

/// A login that is under way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// What the provider hands back, so that nobody is logged in with the code of another.
    pub state: Box<str>,
    /// What the token has to say, so that it is of this login.
    pub nonce: Box<str>,
    /// What whoever exchanges the code has to know (PKCE, RFC 7636).
    pub verifier: Box<str>,
    /// Where the browser goes afterwards, on this server.
    pub path: Box<str>,
    ends_at_ms: i64,
}

impl Login {
    /// Begins one of these bytes of chance.
    pub fn begin(random: &[u8; LOGIN_RANDOM_BYTES], path: LocalPath, now: Timestamp) -> Self {
        let mut parts = random.chunks_exact(PART_BYTES).map(|part| BASE64_URL.encode(part).into());
        let mut part = || parts.next().expect("three parts");
        let ends_at_ms = now.saturating_add(LOGIN_LASTS).as_ms();
        Self { state: part(), nonce: part(), verifier: part(), path: path.0, ends_at_ms }
    }

    /// What the provider is told of the verifier.
    pub fn challenge(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.verifier.as_bytes());
        BASE64_URL.encode(hash)
    }

    /// What the cookie has.
    pub fn seal(&self, secret: &ServerSecret) -> Result<String, SealError> {
        secret.seal(Use::Login, self)
    }

    /// The login that a cookie has, where it is still under way and this state is its own.
    pub fn open(text: &str, secret: &ServerSecret, state: &str, now: Timestamp) -> Option<Self> {
        let login: Self = secret.open(Use::Login, text)?;
        let is_own = |own: &str| {
            constant_time::verify_slices_are_equal(own.as_bytes(), state.as_bytes()).is_ok()
        };
        (now.as_ms() < login.ends_at_ms && is_own(&login.state)).then_some(login)
    }

    /// Who has logged in, by an ID token that the issuer has signed for this client: what else it has
    /// to say is looked at here (OIDC Core, sections 3.1.3.6 and 3.1.3.7).
    ///
    /// It is the proof of a moment: how long they stay logged in is not for it to say. What is of
    /// this one token is not said of whom it is of.
    pub fn claims(
        &self,
        verified: Verified,
        (client_id, algorithm, access_token): (&str, Algorithm, Option<&str>),
    ) -> Result<Claims, LoginError> {
        let Claims { subject, mut values, issued_at, first, .. } = verified.claims;
        let mut take = |name: &str| values.remove(name);
        let is = |claim: &Option<Claim>, text: &str| {
            claim.as_ref().is_some_and(|claim| *claim == Claim::Text(text.into()))
        };
        if !is(&take("nonce"), &self.nonce) {
            return Err(LoginError::Nonce);
        }
        let party = take("azp");
        if party.is_some() && !is(&party, client_id) {
            return Err(LoginError::Party);
        }
        if let (hash @ Some(_), Some(access_token)) = (take("at_hash"), access_token)
            && !is(&hash, &half_hash(algorithm, access_token))
        {
            return Err(LoginError::AccessToken);
        }
        for name in ["at_hash", "c_hash", "s_hash", "sid"] {
            values.remove(name);
        }
        Ok(Claims { subject, values, issued_at, first, ends_at: None })
    }
}

/// Says nothing of the verifier.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The left half of a hash, which is the one of the signature's algorithm.
fn half_hash(algorithm: Algorithm, text: &str) -> String {
    let hash = match algorithm {
        // Ed25519 hashes so within.
        Algorithm::EdDsa => &digest::SHA512,
        Algorithm::Hs256 | Algorithm::Rs256 | Algorithm::Es256 => &digest::SHA256,
    };
    let hash = digest::digest(hash, text.as_bytes());
    BASE64_URL.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
}

/// A path on this server, for a browser to go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPath(Box<str>);

impl LocalPath {
    /// Reads it. What a browser could take for the address of another server is none: it reads `\` as
    /// `/`, passes over tabs and ends of lines, and goes elsewhere at `//`.
    pub fn read(text: &str) -> Option<Self> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let is_local = text.starts_with('/') && !text.starts_with("//");
        let is_short = text.len() <= LOGIN_TEXT_BYTES_MAX;
        (is_visible && is_local && is_short).then(|| Self(text.into()))
    }
}

impl Default for LocalPath {
    fn default() -> Self {
        Self("/".into())
    }
}

/// What a provider gives for a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Says who has logged in.
    pub id_token: Box<str>,
    /// Opens other services; of no use here but to be compared.
    pub access_token: Option<Box<str>>,
}

/// Says nothing of them.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// Reads the answer to a code.
    pub fn read(document: &[u8]) -> Result<Self, LoginError> {
        if document.len() > TOKENS_BYTES_MAX {
            return Err(LoginError::Tokens);
        }
        let mut members = json::read_object(document).map_err(|_| LoginError::Tokens)?;
        let mut text = |name: &str| match members.remove(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(LoginError::Tokens),
        };
        let (id_token, access_token) = (text("id_token")?, text("access_token")?);
        Ok(Self { id_token: id_token.ok_or(LoginError::Tokens)?, access_token })
    }
}

/// Why somebody is not logged in although their provider has sent them back. For logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The provider's answer to the code is no tokens.
    #[error("the provider's answer to the code is no JSON object with the text `id_token`")]
    Tokens,
    /// The token is of another login.
    #[error("the token's `nonce` is not the one of this login")]
    Nonce,
    /// The token was issued to another client.
    #[error("the token was issued to another client (`azp`)")]
    Party,
    /// The access token is of another login.
    #[error("the access token is not the one that the ID token came with (`at_hash`)")]
    AccessToken,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn secret(byte: u8) -> ServerSecret {
        ServerSecret::new(&[byte; 32]).unwrap()
    }

    fn login() -> Login {
        let mut random = [0; LOGIN_RANDOM_BYTES];
        for (place, byte) in random.iter_mut().enumerate() {
            *byte = place as u8;
        }
        Login::begin(&random, LocalPath::read("/board?a=b").unwrap(), NOW)
    }

    #[test]
    fn a_login_is_of_the_browser_that_began_it_for_ten_minutes() {
        let login = login();
        let sealed = login.seal(&secret(1)).unwrap();
        let open = |secret: &ServerSecret, state: &str, after| {
            Login::open(&sealed, secret, state, NOW.saturating_add(after))
        };
        assert_eq!(open(&secret(1), &login.state, Duration::ZERO), Some(login.clone()));
        assert!(open(&secret(1), &login.state, LOGIN_LASTS).is_none());
        assert!(open(&secret(2), &login.state, Duration::ZERO).is_none());
        for state in ["", &login.nonce, &login.state[1..]] {
            assert!(open(&secret(1), state, Duration::ZERO).is_none());
        }
        let parts = [&login.state, &login.nonce, &login.verifier];
        assert!(parts.iter().all(|part| part.len() == 43), "of RFC 7636, section 4.1");
        assert!(parts[0] != parts[1] && parts[1] != parts[2]);
        let shown = format!("{login:?}");
        assert!(!shown.contains(&*login.verifier), "{shown}");
    }

    #[test]
    fn what_a_login_has_is_no_session_and_no_ticket() {
        let sealed = login().seal(&secret(1)).unwrap();
        assert!(crate::Session::open(&sealed, &secret(1)).is_none());
        assert!(sealed.starts_with("bwl_"));
    }

    #[test]
    fn the_challenge_is_the_one_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        let login = Login { verifier, ..login() };
        assert_eq!(login.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn only_paths_of_this_server_are_gone_to() {
        for good in ["/", "/board?team=a#b", "/a//b", "/%2F%2Fevil.example", "/..//evil.example"] {
            assert!(LocalPath::read(good).is_some(), "{good}");
        }
        let long = format!("/{}", "a".repeat(LOGIN_TEXT_BYTES_MAX));
        for bad in [
            "",
            "board",
            "https://evil.example/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " //evil.example",
            "/a b",
            "/é",
            "javascript:alert(1)",
            &long,
        ] {
            assert!(LocalPath::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_of_this_login_and_of_this_client() {
        let login = login();
        let claims = |more: &[(&str, &str)]| {
            let text = |text: &str| Claim::Text(text.into());
            let mut values = BTreeMap::from([("nonce".into(), text(&login.nonce))]);
            values.extend(more.iter().map(|(name, value)| ((*name).into(), text(value))));
            let claims = Claims::new("ada", values, Some(NOW)).unwrap();
            let verified = Verified { claims, id: None, issued_at: None };
            login.claims(
                verified,
                ("me", Algorithm::Rs256, Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y")),
            )
        };
        // OIDC Core, appendix A.3.
        let good = [("at_hash", "77QmUPtjPfzWtF2AnpK9RQ"), ("azp", "me"), ("team", "a")];
        let said = claims(&good).unwrap();
        assert_eq!((said.ends_at, said.values.len()), (None, 1), "{said:?}");
        for (more, error) in [
            (("nonce", "other"), LoginError::Nonce),
            (("azp", "other"), LoginError::Party),
            (("at_hash", "77QmUPtjPfzWtF2AnpK9RR"), LoginError::AccessToken),
        ] {
            assert_eq!(claims(&[more]).unwrap_err(), error);
        }
    }

    #[test]
    fn an_answer_without_a_token_is_none() {
        let tokens = Tokens::read(br#"{"id_token":"a.b.c","access_token":"d","expires_in":60}"#);
        assert_eq!(&*tokens.unwrap().id_token, "a.b.c");
        for text in ["", "{}", r#"{"id_token":7}"#, r#"{"access_token":"d"}"#, "a=b"] {
            assert_eq!(Tokens::read(text.as_bytes()), Err(LoginError::Tokens), "{text}");
        }
    }
}
