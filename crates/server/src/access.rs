//! Access: the one place where a request becomes somebody.
//!
//! ```text
//! head ─▶ Shown ─▶ Access::identify ─▶ Identity (who, and what they may) ─▶ permission
//!                     └─ known: verified a moment ago
//! ```
//!
//! Where nothing is configured nobody is asked, and everybody may do everything.

mod attending;
mod issuers;
mod known;
mod onlooker;
mod permit;
mod shown;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bellwire_access::key::PresentedKey;
use bellwire_access::{Claims, Identity, Means, Policy, Register, Rights, StoredKey};
use bellwire_model::{Principal, Timestamp};
use bellwire_process::clock;
use bellwire_shards::{Authority, HeldPrincipal, StreamRequest};
use bellwire_wire::problem::{Code, Problem};

use self::issuers::Issuers;
use self::known::Known;
use self::permit::permit_stream;
use crate::config::AccessConfig;
use crate::observe::Figures;

pub(crate) use self::attending::Attending;
pub use self::issuers::{AccessError, check_access, explain_token};
pub(crate) use self::onlooker::{Onlooker, SeenCase};
pub(crate) use self::permit::{
    may_converse, permit, permit_poll, permit_publishing, permit_reading,
};
pub(crate) use self::shown::{Places, Shown};

/// Who may come in, and as whom.
#[derive(Debug)]
pub(crate) struct Access {
    /// `None`: nobody is asked.
    policy: Option<Policy>,
    register: Register,
    /// API keys by their public part.
    keys: HashMap<Box<str>, StoredKey>,
    issuers: Issuers,
    known: Known,
    figures: Arc<Figures>,
}

impl Access {
    /// As configured.
    pub(crate) fn new(
        config: Option<&AccessConfig>,
        figures: Arc<Figures>,
    ) -> Result<Self, AccessError> {
        let Some(AccessConfig { anonymous, roles, keys, issuers }) = config else {
            return Ok(Self {
                policy: None,
                register: Register::new(Arc::new(Identity::open())),
                keys: HashMap::new(),
                issuers: Issuers::default(),
                known: Known::default(),
                figures,
            });
        };
        let policy = Policy::new(roles.clone(), anonymous.clone());
        let stranger = stranger(&policy);
        let keys = keys.iter().map(|key| (key.id.clone(), key.clone())).collect();
        let issuers = Issuers::load(issuers)?;
        let register = Register::new(Arc::new(stranger));
        let known = Known::default();
        Ok(Self { policy: Some(policy), register, keys, issuers, known, figures })
    }

    /// Whether nobody is asked.
    pub(crate) fn is_open(&self) -> bool {
        self.policy.is_none()
    }

    /// Who has shown this, where it costs nothing to say so.
    pub(crate) fn known(&self, shown: &Shown, now: Timestamp) -> Option<Arc<Identity>> {
        match (&self.policy, shown) {
            // Who is not asked is not listened to either.
            (None, _) => Some(Arc::clone(self.register.stranger())),
            (Some(policy), Shown::Nothing) => {
                policy.anonymous().map(|_| Arc::clone(self.register.stranger()))
            }
            (Some(_), shown) => self.known.get(shown, now),
        }
    }

    /// Who has shown this.
    #[expect(clippy::unused_async, reason = "passwords will be worked on elsewhere")]
    pub(crate) async fn identify(&self, shown: &Shown) -> Result<Arc<Identity>, Problem> {
        let now = clock::now();
        if let Some(identity) = self.known(shown, now) {
            return Ok(identity);
        }
        let policy = self.policy.as_ref().expect("who asks nobody knows everybody");
        let identity = match shown {
            Shown::Nothing => return Err(missing()),
            Shown::Bearer(text) if bellwire_access::key::looks_like_one(text) => {
                self.of_key(policy, text, now)
            }
            Shown::Bearer(text) => self.issuers.identity(policy, text, now),
            Shown::Password(..) | Shown::Session(_) | Shown::Ticket(_) => Err(Invalid),
        };
        let identity = Arc::new(identity.map_err(|Invalid| {
            self.figures.door.credentials_refused.add(1);
            invalid()
        })?);
        Ok(self.known.insert(shown, identity, now))
    }

    fn of_key(&self, policy: &Policy, text: &str, now: Timestamp) -> Result<Identity, Invalid> {
        let presented = PresentedKey::parse(text).map_err(|error| {
            tracing::debug!(%error, "An API key was refused.");
            Invalid
        })?;
        let stored = self.keys.get(presented.id()).ok_or(Invalid)?;
        stored.check(&presented, now).map_err(|error| {
            tracing::debug!(%error, key = presented.id(), "An API key was refused.");
            Invalid
        })?;
        let StoredKey { id, subject, roles, claims, ends_at, .. } = stored;
        let claims = Claims { subject: subject.clone(), values: claims.clone(), ends_at: *ends_at };
        Ok(Identity {
            subject: subject.clone(),
            means: Means::Key(id.clone()),
            roles: roles.clone(),
            rights: policy.rights(roles.iter().map(|role| &**role), &claims),
            ends_at: *ends_at,
        })
    }

    /// What the rights of somebody leave of a stream, and whose it is.
    pub(crate) fn permit(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        request: StreamRequest,
    ) -> Result<Permitted, Problem> {
        let request = permit_stream(&identity.rights, request)?;
        Ok(Permitted { request, principal: self.enter(identity) })
    }

    /// Gives somebody a number, for as long as it is held.
    pub(crate) fn enter(self: &Arc<Self>, identity: &Arc<Identity>) -> HeldPrincipal {
        let authority: Arc<dyn Authority> = Arc::<Self>::clone(self);
        HeldPrincipal::new(self.register.enter(identity), authority)
    }

    /// Whose number it is.
    pub(crate) fn identity(&self, principal: Principal) -> Arc<Identity> {
        self.register.identity(principal)
    }
}

impl Authority for Access {
    fn left(&self, principal: Principal) -> Option<Duration> {
        let ends_at = self.register.identity(principal).ends_at?;
        Some(ends_at.saturating_since(clock::now()))
    }

    fn leave(&self, principal: Principal) {
        self.register.leave(principal);
    }
}

/// A credential that does not count. Why it does not is for the log.
#[derive(Clone, Copy, Debug)]
struct Invalid;

/// A stream that may be opened, and whose it is.
#[derive(Debug)]
pub(crate) struct Permitted {
    pub(crate) request: StreamRequest,
    pub(crate) principal: HeldPrincipal,
}

/// Whoever shows no credential.
fn stranger(policy: &Policy) -> Identity {
    let claims = Claims::new("anonymous", BTreeMap::new(), None).expect("a subject");
    let rights = match policy.anonymous() {
        Some(role) => policy.rights([role], &claims),
        None => Rights::none(),
    };
    let roles = policy.anonymous().into_iter().map(Into::into).collect();
    Identity { subject: claims.subject, means: Means::Anonymous, roles, rights, ends_at: None }
}

fn missing() -> Problem {
    Problem::new(
        Code::CredentialMissing,
        "say who you are: `Authorization: Bearer …` with a token or an API key",
    )
}

/// Says no more: what exactly is wrong is for whoever made the credential.
fn invalid() -> Problem {
    Problem::new(Code::CredentialInvalid, "the credential is not one that is valid here")
}
