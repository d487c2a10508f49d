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
        for key in &configured.keys {
            if !keys.push(load_key(key)?) {
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

fn load_key(key: &IssuerKey) -> Result<VerificationKey, AccessError> {
    let id = key.id.as_deref();
    let (place, loaded) = match &key.source {
        KeySource::SecretFile(path) => {
            (path.display().to_string(), VerificationKey::from_secret(id, secret(&read(path)?)))
        }
        KeySource::PublicKeyFile(path) => {
            (path.display().to_string(), VerificationKey::from_pem(id, &read(path)?))
        }
        KeySource::SecretVariable(name) => {
            let text = std::env::var(name);
            let text = text.map_err(|_| AccessError::NoVariable { name: name.clone() })?;
            (format!("${name}"), VerificationKey::from_secret(id, secret(text.as_bytes())))
        }
    };
    loaded.map_err(|source| AccessError::Key { place, source })
}

/// Without the end of its line, which editors and `echo` add.
fn secret(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Bytes beyond which a file is no key.
const KEY_FILE_BYTES_MAX: u64 = 16 * HMAC_SECRET_BYTES_MAX as u64;

fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    use io::Read as _;

    let unreadable = |source| AccessError::Unreadable { path: path.display().to_string(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
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
    Issuers::load(&config.issuers).map(|_| ())
}

/// Why `[access]` cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file of a key cannot be read.
    #[error("a key of `[[access.issuer]]`: {path} cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A variable is not set.
    #[error("a key of `[[access.issuer]]`: the variable {name} is not set")]
    NoVariable {
        /// Its name.
        name: String,
    },
    /// What is there is no key.
    #[error("a key of `[[access.issuer]]`: {place}")]
    Key {
        /// The file or variable.
        place: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// More keys than may be tried.
    #[error("`[[access.issuer]]` {issuer}: too many keys have one name and algorithm")]
    TooManyKeys {
        /// Whose.
        issuer: Box<str>,
    },
}
