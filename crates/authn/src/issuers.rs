//! Whose tokens count: issuers with their keys, which are configured or published.

pub(crate) mod published;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use std::{fs, io};

use bellwire_access::jwks::Standing;
use bellwire_access::jwt::{
    Expiry, Issuer, KeyError, KeySet, Token, TokenError, VerificationKey, Verified,
};
use bellwire_access::login::{Login, Tokens};
use bellwire_access::{Claim, Claims, Identity, Means, Policy};
use bellwire_model::Timestamp;
use bellwire_model::limits::HMAC_SECRET_BYTES_MAX;
use bellwire_process::clock;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::interval;

use self::published::{Current, Published};
use crate::config::{AccessConfig, IssuerConfig, IssuerKey, IssuerKeys, KeySource};
use crate::figures::Figures;
use crate::oidc::{Failure, Provider};
use crate::outward::Client;
use crate::secret::{self, SecretError};

/// How often figures tell how old keys are.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// The issuers by name.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Vec<Trusted>);

/// An issuer whose tokens count.
#[derive(Debug)]
struct Trusted {
    issuer: Issuer,
    keys: Keys,
    roles: Box<[Box<str>]>,
    roles_claim: Option<Box<str>>,
    claimable_roles: Box<[Box<str>]>,
}

/// What its tokens are signed with.
#[derive(Debug)]
enum Keys {
    Configured(Arc<KeySet>),
    Published(Arc<Published>),
}

/// Why nobody is identified by a token. For logs.
#[derive(Debug, Error)]
pub(crate) enum Unverified {
    /// It does not count.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Whether it counts cannot be said: its issuer publishes keys, and there are none here now.
    #[error("the keys of the token's issuer are not there")]
    KeysMissing,
}

impl Unverified {
    fn word(&self) -> &'static str {
        match self {
            Self::Token(error) => error.word(),
            Self::KeysMissing => "keys_missing",
        }
    }
}

impl From<Unverified> for Failure {
    fn from(error: Unverified) -> Self {
        match error {
            Unverified::Token(error) => error.into(),
            Unverified::KeysMissing => Self::KeysMissing,
        }
    }
}

/// What does not work of access.
#[derive(Clone, Debug, Default)]
pub struct Complaints {
    /// Whether there are issuers of whose tokens none counts, since their keys are not there.
    pub are_keys_missing: bool,
    /// What it is and why, for whoever runs the server.
    pub reasons: Vec<String>,
}

impl Issuers {
    /// Reads the keys that are configured. Those that are published are there later.
    pub(crate) fn load(configured: &[IssuerConfig]) -> Result<Self, AccessError> {
        configured.iter().map(Trusted::load).collect::<Result<_, _>>().map(Self)
    }

    /// Whose token it is, and what they may.
    pub(crate) async fn identity(
        &self,
        policy: &Policy,
        text: &str,
        now: Timestamp,
    ) -> Result<Identity, Unverified> {
        let outcome = async {
            let token = Token::read(text)?;
            let trusted = self.trusted(&token)?;
            let verified = trusted.verified(&trusted.issuer, &token, now).await?;
            Ok(trusted.identity(policy, verified.claims))
        };
        outcome.await.inspect_err(|error: &Unverified| {
            tracing::debug!(reason = error.word(), %error, "A token was refused.");
        })
    }

    /// Who has logged in at a provider, and what they may.
    pub(crate) async fn logged_in(
        &self,
        policy: &Policy,
        provider: &Provider,
        (login, tokens): (&Login, &Tokens),
    ) -> Result<Identity, Failure> {
        let token = Token::read(&tokens.id_token)?;
        let trusted = self.named(provider.issuer()).ok_or(Failure::Unknown)?;
        let client_id = provider.client_id();
        let audiences = vec![client_id.into()];
        let issuer = Issuer { audiences, expiry: Expiry::Required, ..trusted.issuer.clone() };
        let verified = trusted.verified(&issuer, &token, clock::now()).await?;
        let access_token = tokens.access_token.as_deref();
        let claims = login.claims(verified, (client_id, token.algorithm(), access_token))?;
        Ok(trusted.identity(policy, claims))
    }

    /// What the issuer of this name publishes.
    pub(crate) fn publisher(&self, name: &str) -> Option<&Arc<Published>> {
        match &self.named(name)?.keys {
            Keys::Published(published) => Some(published),
            Keys::Configured(_) => None,
        }
    }

    fn named(&self, name: &str) -> Option<&Trusted> {
        self.0.iter().find(|trusted| &*trusted.issuer.name == name)
    }

    /// Whether tokens of this issuer count.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|trusted| &*trusted.issuer.name == name)
    }

    fn trusted(&self, token: &Token<'_>) -> Result<&Trusted, TokenError> {
        let unknown = || TokenError::UnknownIssuer { issuer: token.issuer().into() };
        self.named(token.issuer()).ok_or_else(unknown)
    }

    fn published(&self) -> impl Iterator<Item = &Arc<Published>> {
        self.0.iter().filter_map(|trusted| match &trusted.keys {
            Keys::Published(published) => Some(published),
            Keys::Configured(_) => None,
        })
    }

    /// Fetches what is published, for ever.
    pub(crate) async fn keep_current(&self, figures: &Arc<Figures>) {
        let mut tasks = JoinSet::new();
        for published in self.published() {
            let (published, figures) = (Arc::clone(published), Arc::clone(figures));
            tasks.spawn(async move { published.keep_current(&figures).await });
        }
        if tasks.is_empty() {
            return;
        }
        let mut ticks = interval(TELL_INTERVAL);
        loop {
            ticks.tick().await;
            self.tell(figures, clock::now());
        }
    }

    /// Has the figures say how keys stand.
    fn tell(&self, figures: &Figures, now: Timestamp) {
        let (mut oldest, mut stale, mut without) = (Duration::ZERO, 0, 0);
        for standing in self.published().map(|published| published.standing(now)) {
            match standing {
                Standing::Missing | Standing::Refused { .. } => without += 1,
                Standing::Stale { .. } => stale += 1,
                Standing::Fresh { .. } => {}
            }
            oldest = oldest.max(standing.age().unwrap_or_default());
        }
        figures.issuer_keys_age.set(oldest.as_secs());
        figures.issuers_stale.set(stale);
        figures.issuers_without_keys.set(without);
    }

    /// What does not work of it now.
    pub(crate) fn complaints(&self, now: Timestamp) -> Complaints {
        let is_without = |published: &Arc<Published>| !published.standing(now).counts();
        Complaints {
            are_keys_missing: self.published().any(is_without),
            reasons: self.published().filter_map(|published| published.complaint(now)).collect(),
        }
    }
}

/// Whether it may be another with other keys. One that was exchanged under its old name is told by a
/// signature that is wrong, or is of another kind.
fn is_of_the_keys(error: &TokenError) -> bool {
    matches!(error, TokenError::UnknownKey { .. } | TokenError::Signature | TokenError::Algorithm)
}

impl Keys {
    fn load(issuer: &str, configured: &IssuerKeys) -> Result<Self, AccessError> {
        match configured {
            IssuerKeys::Configured(configured) => {
                let mut keys = KeySet::default();
                for (index, IssuerKey { id, source }) in configured.iter().enumerate() {
                    let unusable = |cause| AccessError::Key {
                        issuer: issuer.into(),
                        number: index + 1,
                        setting: source.setting(),
                        source: cause,
                    };
                    if !keys.push(load_key(source, id.as_deref()).map_err(unusable)?) {
                        return Err(AccessError::TooManyKeys { issuer: issuer.into() });
                    }
                }
                Ok(Self::Configured(Arc::new(keys)))
            }
            IssuerKeys::Published(publishing) => {
                let client = Client::new(publishing.ca_file.as_deref());
                let client = client.map_err(|source| AccessError::Authorities {
                    issuer: issuer.into(),
                    reason: source.to_string(),
                })?;
                Ok(Self::Published(Arc::new(Published::new(issuer, publishing, client))))
            }
        }
    }

    fn current(&self, now: Timestamp) -> Current {
        match self {
            Self::Configured(keys) => Current { keys: Some(Arc::clone(keys)), seen: 0 },
            Self::Published(published) => published.current(now),
        }
    }
}

impl Trusted {
    fn load(configured: &IssuerConfig) -> Result<Self, AccessError> {
        let IssuerConfig { name, audiences, expiry, leeway, subject_claim, .. } = configured;
        let issuer = Issuer {
            name: name.clone(),
            audiences: audiences.clone(),
            expiry: *expiry,
            leeway: *leeway,
            subject_claim: subject_claim.clone(),
        };
        let keys = Keys::load(name, &configured.keys)?;
        let IssuerConfig { roles, roles_claim, claimable_roles, .. } = configured.clone();
        Ok(Self { issuer, keys, roles, roles_claim, claimable_roles })
    }

    /// What a token says. Where it may be for want of newer keys that it does not count, these are
    /// waited for.
    async fn verified(
        &self,
        issuer: &Issuer,
        token: &Token<'_>,
        now: Timestamp,
    ) -> Result<Verified, Unverified> {
        let verify = |current: &Current, now| {
            issuer.verify(token, current.keys.as_ref().unwrap_or(&NONE), now)
        };
        let current = self.keys.current(now);
        let outcome = verify(&current, now);
        let Keys::Published(published) = &self.keys else { return Ok(outcome?) };
        if !outcome.as_ref().is_err_and(is_of_the_keys) || !issuer.may_count(token, now) {
            return Ok(outcome?);
        }
        if !published.newer_than(current.seen).await {
            return match current.keys {
                None => Err(Unverified::KeysMissing),
                Some(_) => Ok(outcome?),
            };
        }
        let now = clock::now();
        match published.current(now) {
            Current { keys: None, .. } => Err(Unverified::KeysMissing),
            current => Ok(verify(&current, now)?),
        }
    }

    /// Whom claims are of.
    fn identity(&self, policy: &Policy, claims: Claims) -> Identity {
        let Self { issuer, roles, roles_claim, claimable_roles, .. } = self;
        let named = roles_claim.as_ref().and_then(|name| claims.get(name)).map(Claim::texts);
        // Tokens name roles of other services, too.
        let named = named.unwrap_or_default().iter().filter(|role| claimable_roles.contains(role));
        let roles: Box<[Box<str>]> = roles.iter().chain(named).cloned().collect();
        let rights = policy.rights(roles.iter().map(|role| &**role), &claims);
        Identity { claims, means: Means::Token(issuer.name.clone()), roles, rights }
    }
}

/// Keys of an issuer that has none.
static NONE: LazyLock<Arc<KeySet>> = LazyLock::new(Arc::default);

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
/// not count. Keys that its issuer publishes are fetched for it.
pub async fn explain_token(
    config: &AccessConfig,
    text: &str,
    now: Timestamp,
) -> Result<Result<Identity, TokenError>, AccessError> {
    let issuers = Issuers::load(&config.issuers)?;
    let policy = Policy::new(config.roles.clone(), config.anonymous.clone());
    let read = Token::read(text).and_then(|token| Ok((issuers.trusted(&token)?, token)));
    let (trusted, token) = match read {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    if let Keys::Published(published) = &trusted.keys
        && !published.fetch().await
    {
        let (issuer, reason) = (trusted.issuer.name.clone(), published.failure());
        return Err(AccessError::Unpublished { issuer, reason: reason.unwrap_or_default() });
    }
    let keys = trusted.keys.current(now).keys;
    let verified = trusted.issuer.verify(&token, keys.as_ref().unwrap_or(&NONE), now);
    Ok(verified.map(|verified| trusted.identity(&policy, verified.claims)))
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
    /// Those who vouch for an issuer's certificate cannot be read.
    #[error("`[[access.issuer]]` {issuer}: its `ca_file` cannot be read: {reason}")]
    Authorities {
        /// Whose.
        issuer: Box<str>,
        /// Why.
        reason: String,
    },
    /// What an issuer publishes cannot be fetched.
    #[error("the keys of `[[access.issuer]]` {issuer} cannot be fetched: {reason}")]
    Unpublished {
        /// Whose.
        issuer: Box<str>,
        /// Why.
        reason: Box<str>,
    },
    /// The secret that a provider knows this server by cannot be read.
    #[error("`client_secret_file` of `[access.login]` cannot be read")]
    ClientSecret(#[source] io::Error),
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
                keys: IssuerKeys::Configured(vec![IssuerKey { id: None, source }]),
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
