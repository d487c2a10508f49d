//! What is configured of who may come in. Its secrets are hashes, or files that hold them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bellwire_access::jwt::Expiry;
use bellwire_access::password::{PasswordHash, Username};
use bellwire_access::{Claim, Claims, Policy, Role, StoredKey};
use bellwire_model::Filter;
use bellwire_model::limits::SESSION_DEFAULT;
use http::HeaderName;
use url::Url;

pub use crate::outward::Plain;

/// What is said of a configuration that [lets in nobody](AccessConfig::lets_in_nobody).
pub const NOBODY_COMES_IN: &str = "`[access]` lets in nobody: it has no `[[access.key]]`, no `[[access.issuer]]`, no `[[access.user]]`, no `[access.proxy]` and no `anonymous`";

/// Who may come in.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessConfig {
    /// The role of who shows no credential. `None`: they get nothing.
    pub anonymous: Option<Box<str>>,
    /// What becomes of a stream that asks for more than somebody may read.
    pub wider: Wider,
    /// So long a stream outlives what its client has shown.
    pub expiry_grace: Duration,
    /// Roles by name.
    pub roles: BTreeMap<Box<str>, Role>,
    /// API keys.
    pub keys: Vec<StoredKey>,
    /// Whose tokens count.
    pub issuers: Vec<IssuerConfig>,
    /// Users with passwords.
    pub users: Vec<UserConfig>,
    /// Where people log in.
    pub login: Option<LoginConfig>,
    /// Which headers of proxies say who somebody is.
    pub proxy: Option<ProxyConfig>,
    /// What the server signs sessions and tickets with. `None`: what its data folder has.
    pub secret_file: Option<PathBuf>,
    /// What it signed them with before; those still count.
    pub previous_secret_file: Option<PathBuf>,
    /// How long a session lasts at most.
    pub session: Duration,
}

/// Nobody comes in.
impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            anonymous: None,
            wider: Wider::default(),
            expiry_grace: Duration::ZERO,
            roles: BTreeMap::new(),
            keys: Vec::new(),
            issuers: Vec::new(),
            users: Vec::new(),
            login: None,
            proxy: None,
            secret_file: None,
            previous_secret_file: None,
            session: SESSION_DEFAULT,
        }
    }
}

impl AccessConfig {
    /// Whether nobody can come in: nothing that could be shown would count.
    pub fn lets_in_nobody(&self) -> bool {
        // Named one by one: whoever adds a way in says here that it is one.
        let Self {
            anonymous,
            keys,
            issuers,
            proxy,
            // It is an issuer's.
            login: _,
            wider: _,
            users,
            expiry_grace: _,
            roles: _,
            secret_file: _,
            previous_secret_file: _,
            session: _,
        } = self;
        let has_none = keys.is_empty() && issuers.is_empty() && users.is_empty();
        anonymous.is_none() && has_none && proxy.is_none()
    }

    /// Whether strangers may do what only somebody who runs the server should.
    pub fn lets_in_everybody(&self) -> bool {
        let Some(role) = &self.anonymous else { return false };
        let policy = Policy::new(self.roles.clone(), None);
        let claims = Claims::new("anonymous", BTreeMap::new(), None).expect("a subject");
        let rights = policy.rights([&**role], &claims);
        let is_everything = |filter: &Filter| filter.as_str() == "**";
        rights.is_admin || rights.publish.iter().any(is_everything)
    }
}

/// A provider that people log in at (OIDC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginConfig {
    /// The issuer that the provider is, which says itself where its keys are.
    pub issuer: Box<str>,
    /// The name that it knows this server by.
    pub client_id: Box<str>,
    /// The file of the secret that it knows this server by, where it asks for one.
    pub client_secret_file: Option<PathBuf>,
    /// What it is asked to say of whoever logs in; `openid` among it.
    pub scopes: Vec<Box<str>>,
    /// Where it sends browsers back to: [`CALLBACK_PATH`](crate::CALLBACK_PATH) below where people reach
    /// this server. Where it is not said it is made of the server's own URL.
    pub redirect_url: Option<Url>,
}

/// Headers in which a proxy says who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyConfig {
    /// The header that has the subject.
    pub subject_header: HeaderName,
    /// The header that has groups, with commas between them. They are the claim `groups`.
    pub groups_header: Option<HeaderName>,
    /// The roles of everybody whom the proxy names.
    pub roles: Box<[Box<str>]>,
    /// The roles that groups may name.
    pub claimable_roles: Box<[Box<str>]>,
}

/// What becomes of somebody who asks to follow more than they may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wider {
    /// They follow what they may, and are told so.
    #[default]
    Narrow,
    /// They are refused.
    Refuse,
}

/// A user with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserConfig {
    /// The name, which is the subject, too.
    pub name: Username,
    /// What is kept of the password.
    pub hash: PasswordHash,
    /// The roles.
    pub roles: Box<[Box<str>]>,
    /// What else is said of them.
    pub claims: BTreeMap<Box<str>, Claim>,
    /// Who it is, for people.
    pub note: Box<str>,
}

/// Whose tokens count, and for what.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerConfig {
    /// Its name, as its tokens have it.
    pub name: Box<str>,
    /// The names under which its tokens mean this server.
    pub audiences: Vec<Box<str>>,
    /// Whether its tokens have to end.
    pub expiry: Expiry,
    /// How far its clock and ours may be apart.
    pub leeway: Duration,
    /// The claim that says who somebody is.
    pub subject_claim: Box<str>,
    /// The roles of everybody who has a token of it.
    pub roles: Box<[Box<str>]>,
    /// The claim that names more roles.
    pub roles_claim: Option<Box<str>>,
    /// The roles that the claim may name: an issuer serves others, too, whose `admin` is not ours.
    pub claimable_roles: Box<[Box<str>]>,
    /// What its tokens are signed with.
    pub keys: IssuerKeys,
}

/// What the tokens of an issuer are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKeys {
    /// Keys that the configuration names.
    Configured(Vec<IssuerKey>),
    /// Keys that the issuer publishes.
    Published(Publishing),
}

/// How an issuer publishes its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publishing {
    /// Where they are.
    pub place: KeysPlace,
    /// Whether it may be asked over plain HTTP although it is not on this machine.
    pub plain_http: Plain,
    /// PEM file of those who vouch for its certificate. `None`: those whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysPlace {
    /// At this address.
    At(Url),
    /// Where it says itself: it is asked below this address, which is its name.
    Discovered(Url),
}

/// A key that tokens are signed with, by where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKey {
    /// What tokens call it.
    pub id: Option<String>,
    /// Where it is.
    pub source: KeySource,
}

/// Where a key is. Somebody may have put the secret itself there.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A secret that issuer and server share, in a file.
    SecretFile(PathBuf),
    /// The same in a variable of the environment.
    SecretVariable(String),
    /// A public key, as PEM.
    PublicKeyFile(PathBuf),
}

impl KeySource {
    /// The setting that says so.
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::SecretFile(_) => "secret_file",
            Self::SecretVariable(_) => "secret_variable",
            Self::PublicKeyFile(_) => "public_key_file",
        }
    }
}

/// Says nothing of the value.
impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySource({})", self.setting())
    }
}
