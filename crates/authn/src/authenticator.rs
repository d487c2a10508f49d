//! The one place where what is shown becomes somebody.

use std::path::Path;
use std::sync::Arc;

use bellwire_access::{Claims, Identity, Means, Policy, Register, Rights, Standing};
use bellwire_model::{Principal, Timestamp};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};

use crate::config::AccessConfig;
use crate::figures::Figures;
use crate::issuers::{AccessError, Issuers};
use crate::keys::Keys;
use crate::known::Known;
use crate::refusal::{self, Invalid};
use crate::secret;
use crate::sessions::{Login, Sessions};
use crate::shown::Shown;

/// Who may come in, and as whom.
#[derive(Debug)]
pub struct Authenticator {
    /// `None`: nobody is asked.
    policy: Option<Policy>,
    register: Register,
    keys: Keys,
    issuers: Issuers,
    /// `None`: nobody is asked, and nobody logs in.
    sessions: Option<Sessions>,
    known: Known,
    figures: Arc<Figures>,
}

impl Authenticator {
    /// As configured. Without a configuration nobody is asked, and everybody may do everything.
    /// `data` is the folder that outlives the process, where there is one.
    pub fn new(
        config: Option<&AccessConfig>,
        data: Option<&Path>,
        figures: Arc<Figures>,
    ) -> Result<Self, AccessError> {
        let Some(config) = config else {
            return Ok(Self {
                policy: None,
                register: Register::new(Arc::new(Identity::open())),
                keys: Keys::default(),
                issuers: Issuers::default(),
                sessions: None,
                known: Known::default(),
                figures,
            });
        };
        let policy = Policy::new(config.roles.clone(), config.anonymous.clone());
        Ok(Self {
            register: Register::new(Arc::new(stranger(&policy))),
            keys: Keys::new(&config.keys),
            issuers: Issuers::load(&config.issuers)?,
            sessions: Some(Sessions::new(secret::open(config, data)?, config.session)),
            known: Known::default(),
            policy: Some(policy),
            figures,
        })
    }

    /// Whether nobody is asked.
    pub fn is_open(&self) -> bool {
        self.policy.is_none()
    }

    /// Who has shown this, where it costs nothing to say so.
    pub fn known(&self, shown: &Shown, now: Timestamp) -> Option<Arc<Identity>> {
        match (&self.policy, shown) {
            // Who is not asked is not listened to either.
            (None, _) => Some(Arc::clone(self.register.stranger())),
            (Some(policy), Shown::Nothing) => {
                policy.anonymous().map(|_| Arc::clone(self.register.stranger()))
            }
            (Some(_), shown) => self.known.get(shown, now).filter(|it| !self.is_taken_back(it)),
        }
    }

    /// Who has shown this. What does not count is refused without saying why.
    #[expect(clippy::unused_async, reason = "passwords will be worked on elsewhere")]
    pub async fn identify(&self, shown: &Shown) -> Result<Arc<Identity>, Problem> {
        let now = clock::now();
        if let Some(identity) = self.known(shown, now) {
            return Ok(identity);
        }
        let policy = self.policy.as_ref().expect("who asks nobody knows everybody");
        let identity = match shown {
            Shown::Nothing => return Err(refusal::missing()),
            Shown::Bearer(text) if bellwire_access::key::looks_like_one(text) => {
                self.keys.identity(policy, text, now)
            }
            Shown::Bearer(text) => self.issuers.identity(policy, text, now),
            Shown::Session(text) => match &self.sessions {
                Some(sessions) => sessions.identity(policy, text, now),
                None => Err(Invalid),
            },
            Shown::Password(..) | Shown::Ticket(_) => Err(Invalid),
        };
        let identity = Arc::new(identity.map_err(|Invalid| {
            self.figures.credentials_refused.add(1);
            refusal::invalid()
        })?);
        if identity.rights.is_cut {
            let (subject, roles) = (&identity.claims.subject, &identity.roles);
            tracing::debug!(%subject, ?roles, "Somebody has fewer rights than their roles mean.");
        }
        Ok(self.known.insert(shown, identity, now))
    }

    /// Begins a session of whoever has shown this.
    pub async fn log_in(&self, shown: &Shown) -> Result<Login, Problem> {
        let (Some(policy), Some(sessions)) = (&self.policy, &self.sessions) else {
            let detail = "nobody is asked here, so nobody logs in: there is no `[access]`";
            return Err(Problem::new(Code::SessionUnavailable, detail));
        };
        if matches!(shown, Shown::Nothing) {
            return Err(refusal::missing());
        }
        let identity = self.identify(shown).await?;
        let login = sessions.begin(policy, &identity, clock::now())?;
        tracing::debug!(subject = identity.subject(), "Somebody has logged in.");
        Ok(login)
    }

    /// Ends the session that is shown. What is no session, or none any more, has ended.
    pub async fn log_out(&self, shown: &Shown) -> Result<(), Problem> {
        let (Shown::Session(_), Some(sessions)) = (shown, &self.sessions) else { return Ok(()) };
        let Ok(identity) = self.identify(shown).await else { return Ok(()) };
        if let Means::Session(id) = &identity.means {
            let now = clock::now();
            sessions.take_back(id, identity.ends_at().unwrap_or(now), now)?;
            tracing::debug!(subject = identity.subject(), "Somebody has logged out.");
        }
        Ok(())
    }

    /// Whether what this was found by has been taken back since.
    fn is_taken_back(&self, identity: &Identity) -> bool {
        match (&identity.means, &self.sessions) {
            (Means::Session(id), Some(sessions)) => sessions.is_taken_back(id),
            _ => false,
        }
    }

    /// Gives somebody a number, and counts one more holder of it.
    pub fn enter(&self, identity: &Arc<Identity>) -> Principal {
        self.register.enter(identity)
    }

    /// One fewer holds this number.
    pub fn leave(&self, principal: Principal) {
        self.register.leave(principal);
    }

    /// Whether what the holders of this number have shown counts; whoever asks holds it.
    pub fn standing(&self, principal: Principal) -> Standing {
        self.register.standing(principal)
    }

    /// Takes back what those have shown of whom this is true: those who have a number. One more holder
    /// of each that is returned is counted, so that no shard takes it for another's.
    pub fn revoke(&self, is_revoked: impl Fn(&Identity) -> bool) -> Vec<Principal> {
        self.register.revoke_all(is_revoked)
    }

    /// Whose number it is; whoever asks holds it.
    pub fn identity(&self, principal: Principal) -> Arc<Identity> {
        self.register.identity(principal)
    }
}

/// Whoever shows no credential.
fn stranger(policy: &Policy) -> Identity {
    let claims = Claims::anonymous();
    let rights = match policy.anonymous() {
        Some(role) => policy.rights([role], &claims),
        None => Rights::none(),
    };
    let roles = policy.anonymous().into_iter().map(Into::into).collect();
    Identity { claims, means: Means::Anonymous, roles, rights }
}
