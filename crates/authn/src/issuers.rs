//! Whose tokens count: issuers with their keys, as they were when the server started.

use std::path::Path;
use std::{fs, io};

use bellwire_access::jwt::{Issuer, KeyError, KeySet, Token, TokenError, VerificationKey};
use bellwire_access::{Claim, Identity, Means, Policy};
use bellwire_model::Timestamp;
use bellwire_model::limits::HMAC_SECRET_BYTES_MAX;
use thiserror::Error;

use crate::config::{AccessConfig, IssuerConfig, IssuerKey, KeySource};
use crate::refusal::Invalid;
use crate::secret::{self, SecretError};

/// The issuers by name.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Vec<Trusted>);

/// An issuer whose tokens count.
#[derive(Debug)]
struct Trusted {
    issuer: Issuer,
    keys: KeySet,
    roles: Box<[Box<str>]>,
    roles_claim: Option<Box<str>>,
    claimable_roles: Box<[Box<str>]>,
}

impl Issuers {
    /// Reads their keys.
    pub(crate) fn load(configured: &[IssuerConfig]) -> Result<Self, AccessError> {
        configured.iter().map(Trusted::load).collect::<Result<_, _>>().map(Self)
    }

    /// Whose token it is, and what they may. Why one does not count is for the log.
    pub(crate) fn identity(
        &self,
        policy: &Policy,
        text: &str,
        now: Timestamp,
    ) -> Result<Identity, Invalid> {
        self.explained(policy, text, now).map_err(|error| {
            tracing::debug!(reason = error.word(), %error, "A token was refused.");
            Invalid
        })
    }

    fn explained(
        &self,
        policy: &Policy,
        text: &str,
        now: Timestamp,
    ) -> Result<Identity, TokenError> {
        let token = Token::read(text)?;
        let trusted = self.0.iter().find(|trusted| &*trusted.issuer.name == token.issuer());
        let unknown = || TokenError::UnknownIssuer { issuer: token.issuer().into() };
        let Trusted { issuer, keys, roles, roles_claim, claimable_roles } =
            trusted.ok_or_else(unknown)?;
        let claims = issuer.verify(&token, keys, now)?.claims;
        let named = roles_claim.as_ref().and_then(|name| claims.get(name)).map(Claim::texts);
        // Tokens name roles of other services, too.
        let named = named.unwrap_or_default().iter().filter(|role| claimable_roles.contains(role));
        let roles: Box<[Box<str>]> = roles.iter().chain(named).cloned().collect();
        let rights = policy.rights(roles.iter().map(|role| &**role), &claims);
        Ok(Identity { claims, means: Means::Token(issuer.name.clone()), roles, rights })
    }
}

impl Trusted {
    fn load(configured: &IssuerConfig) -> Result<Self, AccessError> {
        let IssuerConfig { name, audiences, expiry, leeway, subject_claim, .. } = configured;
        let mut keys = KeySet::default();
        for (index, IssuerKey { id, source }) in configured.keys.iter().enumerate() {
            let unusable = |cause| AccessError::Key {
                issuer: name.clone(),
                number: index + 1,
                setting: source.setting(),
                source: cause,
            };
            if !keys.push(load_key(source, id.as_deref()).map_err(unusable)?) {
                return Err(AccessError::TooManyKeys { issuer: name.clone() });
            }
        }
        let issuer = Issuer {
            name: name.clone(),
            audiences: audiences.clone(),
            expiry: *expiry,
            leeway: *leeway,
            subject_claim: subject_claim.clone(),
        };
        let IssuerConfig { roles, roles_claim, claimable_roles, .. } = configured.clone();
        Ok(Self { issuer, keys, roles, roles_claim, claimable_roles })
    }
}

fn load_key(source: &KeySource, id: Option<&str>) -> Result<VerificationKey, KeyCause> {
    let loaded = match source {
        KeySource::SecretFile(path) => VerificationKey::from_secret(id, secret(&read(path)?)),
        KeySource::PublicKeyFile(path) => VerificationKey::from_pem(id, &read(path)?),
        KeySource::SecretVariable(name) => {
            let text = std::env::var(name).map_err(|_| KeyCause::NoVariable)?;
            VerificationKey::from_secret(id, secret(text.as_bytes()))
        }
    };
    Ok(loaded?)
}

/// Without the end of its line, which editors and `echo` add.
fn secret(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Bytes beyond which a file is no key.
const KEY_FILE_BYTES_MAX: u64 = 16 * HMAC_SECRET_BYTES_MAX as u64;

fn read(path: &Path) -> Result<Vec<u8>, KeyCause> {
    use io::Read as _;

    let mut bytes = Vec::new();
    fs::File::open(path)?.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a token is to a server of this configuration at a time: who, and what they may; or why it does
/// not count.
pub fn explain_token(
    config: &AccessConfig,
    text: &str,
    now: Timestamp,
) -> Result<Result<Identity, TokenError>, AccessError> {
    let issuers = Issuers::load(&config.issuers)?;
    let policy = Policy::new(config.roles.clone(), config.anonymous.clone());
    Ok(issuers.explained(&policy, text, now))
}

/// Whether a server would start with this configuration of access.
pub fn check_access(config: &AccessConfig) -> Result<(), AccessError> {
    secret::check(config)?;
    Issuers::load(&config.issuers).map(|_| ())
}

/// Why `[access]` cannot be used. Says which setting it is and never its value: people put secrets
/// where the name of a file or of a variable belongs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The server has no secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A key of an issuer cannot be had.
    #[error("`[[access.issuer]]` {issuer}: `{setting}` of its key {number}")]
    Key {
        /// Whose.
        issuer: Box<str>,
        /// Which of its keys, from 1.
        number: usize,
        /// What says where it is.
        setting: &'static str,
        /// Why.
        source: KeyCause,
    },
    /// More keys than may be tried.
    #[error("`[[access.issuer]]` {issuer}: too many keys have one name and algorithm")]
    TooManyKeys {
        /// Whose.
        issuer: Box<str>,
    },
}

/// Why a key cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyCause {
    /// Its file cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[from] io::Error),
    /// Its variable is not there.
    #[error("there is no such variable, or it is no text")]
    NoVariable,
    /// What is there is no key.
    #[error("what is there cannot be used")]
    Unfit(#[from] KeyError),
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::time::Duration;

    use bellwire_access::jwt::Expiry;

    use super::*;

    #[test]
    fn a_secret_that_is_in_the_wrong_place_is_not_told() {
        const SECRET: &str = "c29tZWJvZHkgaGFzIHBhc3RlZCB0aGlz";
        let short = std::env::temp_dir().join(format!("{SECRET}-{}", std::process::id()));
        fs::write(&short, "short").expect("a file");
        for (source, setting, reason) in [
            (KeySource::SecretFile(SECRET.into()), "secret_file", "the file cannot be read"),
            (KeySource::PublicKeyFile(SECRET.into()), "public_key_file", "the file cannot be read"),
            (KeySource::SecretVariable(SECRET.into()), "secret_variable", "no such variable"),
            (KeySource::SecretFile(short.clone()), "secret_file", "cannot be used"),
        ] {
            let issuer = IssuerConfig {
                name: "https://id.example".into(),
                audiences: Vec::new(),
                expiry: Expiry::Required,
                leeway: Duration::ZERO,
                subject_claim: "sub".into(),
                roles: Box::new([]),
                roles_claim: None,
                claimable_roles: Box::new([]),
                keys: vec![IssuerKey { id: None, source }],
            };
            let error = Issuers::load(std::slice::from_ref(&issuer)).expect_err(setting);
            let cause = error.source().expect("a cause");
            let root = cause.source().map(ToString::to_string).unwrap_or_default();
            let told = format!("{error}: {cause}: {root}");
            for expected in ["https://id.example", setting, "key 1", reason] {
                assert!(told.contains(expected), "{told}");
            }
            for shown in [told, format!("{error:?}"), format!("{issuer:?}")] {
                assert!(!shown.contains(SECRET), "{shown}");
            }
        }
        fs::remove_file(short).expect("it is there");
    }
}
