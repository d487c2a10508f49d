//! The one place where what is shown becomes somebody.

mod arriving;
mod holders;
mod mandates;
mod sharing;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwire_access::ticket::{Bound, Ticket, TicketRefusal};
use bellwire_access::{Behind, Claims, Identity, Means, Policy, Register, Rights};
use bellwire_journal::Journal;
use bellwire_model::limits::{CREDENTIAL_MESSAGE_TIMEOUT, KEY_USE_STEP, TICKET_UNUSED_MAX};
use bellwire_model::{FilterSet, Principal, Timestamp};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use http::HeaderMap;

use self::sharing::Heard;
pub use self::sharing::{Affected, EndedElsewhere};
use crate::config::AccessConfig;
use crate::ended::{EndedSessions, Ending};
use crate::figures::Figures;
use crate::issued::{Issued, Moment};
use crate::issuers::{AccessError, Complaints, Issuers, Unverified};
use crate::keys::Keys;
use crate::known::Known;
use crate::lived::Lived;
use crate::oidc::Provider;
use crate::proxied::Proxied;
use crate::records::Records;
use crate::refusal::{self, Invalid};
use crate::revocations::Revocations;
use crate::secret::{self, Seal, SecretPlace};
use crate::sessions::{self, Login, Logout, Sessions};
use crate::shown::Shown;
use crate::tickets::{self, MadeTicket, Tickets};
use crate::users::{Refusal, Users};

/// Who may come in, and as whom.
#[derive(Debug)]
pub struct Authenticator {
    /// `None`: nobody is asked.
    policy: Option<Policy>,
    register: Register,
    records: Arc<Records>,
    keys: Arc<Keys>,
    revocations: Arc<Revocations>,
    issued: Arc<Issued>,
    lived: Arc<Lived>,
    ended: Arc<EndedSessions>,
    issuers: Issuers,
    users: Users,
    /// `None`: nobody is asked, and nobody logs in.
    sessions: Option<Sessions>,
    /// The same for tickets.
    tickets: Option<Tickets>,
    proxied: Option<Proxied>,
    provider: Option<Provider>,
    known: Known,
    figures: Arc<Figures>,
    seal: Seal,
    heard: Heard,
}

impl Authenticator {
    /// As configured. Without a configuration nobody is asked, and everybody may do everything.
    pub fn new(
        config: Option<&AccessConfig>,
        place: SecretPlace<'_>,
        figures: Arc<Figures>,
    ) -> Result<Self, AccessError> {
        let (records, issued) = (Arc::new(Records::default()), Arc::new(Issued::default()));
        let lived = Arc::new(Lived::default());
        let configured = config.map_or(&[][..], |config| &config.keys);
        let keys = Arc::new(Keys::new(configured, Arc::clone(&records), Arc::clone(&issued)));
        let parts = || (Arc::clone(&records), Arc::clone(&issued), Arc::clone(&lived));
        let revocations = Arc::new(Revocations::new(parts()));
        let ended = Arc::new(EndedSessions::new(parts()));
        let Some(config) = config else {
            return Ok(Self {
                policy: None,
                register: Register::new(Arc::new(Identity::open())),
                records,
                keys,
                revocations,
                issued,
                lived,
                ended,
                issuers: Issuers::default(),
                users: Users::new(&[]),
                sessions: None,
                tickets: None,
                proxied: None,
                provider: None,
                known: Known::default(),
                figures,
                seal: Seal::default(),
                heard: Heard::default(),
            });
        };
        let policy = Policy::new(config.roles.clone(), config.anonymous.clone());
        let seal = secret::open(config, place)?;
        let provider = config.login.clone().map(|login| Provider::new(login, seal.clone()));
        let provider = provider.transpose().map_err(AccessError::ClientSecret)?;
        Ok(Self {
            register: Register::new(Arc::new(stranger(&policy))),
            records,
            keys,
            revocations,
            issued,
            lived,
            ended,
            issuers: Issuers::load(&config.issuers)?,
            users: Users::new(&config.users),
            sessions: Some(Sessions::new(seal.clone(), config.session)),
            tickets: Some(Tickets::new(seal.clone(), config.session, clock::now())),
            provider,
            proxied: config.proxy.clone().map(Proxied::new),
            known: Known::default(),
            policy: Some(policy),
            figures,
            seal,
            heard: Heard::default(),
        })
    }

    /// Takes in what the journal has of access, and keeps there what is to be kept. It is said once,
    /// before anybody comes in. Blocks on the disk.
    pub fn begin(&self, journal: Arc<dyn Journal>) -> Result<(), bellwire_journal::Error> {
        self.records.keep_in(journal);
        self.issued.restore(&self.records)?;
        self.lived.restore(&self.records)?;
        self.revocations.restore()?;
        self.ended.restore()?;
        if let Some(tickets) = &self.tickets {
            tickets.restore(&self.records, clock::now())?;
        }
        self.keys.restore()
    }

    /// The API keys that there are.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// What was taken back.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Who has which roles. An error where nobody is asked: what would be kept of access would count
    /// on the day on which somebody is, whoever had reached the server until then.
    pub fn policy(&self) -> Result<&Policy, Problem> {
        self.policy.as_ref().ok_or_else(refusal::open)
    }

    /// Does for ever what is done again and again: fetches what issuers publish, and writes down what is
    /// known of the use of keys.
    pub async fn keep_house(self: Arc<Self>) {
        let telling = async {
            if let Some(tickets) = &self.tickets {
                tickets.tell_others(&self.records).await;
            }
        };
        tokio::join!(self.keep_uses(), self.issuers.keep_current(&self.figures), telling);
    }

    async fn keep_uses(&self) {
        let mut interval = tokio::time::interval(KEY_USE_STEP);
        loop {
            interval.tick().await;
            if let Err(error) = self.keys.keep_uses().await {
                tracing::warn!(%error, "The last use of API keys is not kept yet; trying again.");
            }
            // What the journal has refused, and what others had room for.
            self.ended.write_on();
            if let Some(tickets) = &self.tickets
                && let Err(error) = tickets.keep_house(&self.records, clock::now()).await
            {
                tracing::warn!(%error, "Records of tickets that are over stay for now.");
            }
            // Only where the clock was set back: it is known without a record else.
            if self.issued.is_behind(clock::now()) {
                self.keep_issued().await;
            }
            if self.lived.is_due() {
                self.keep_lived().await;
            }
        }
    }

    /// The server ends: what is known and not kept yet is.
    pub async fn finish(&self) {
        if let Err(error) = self.keys.keep_all_uses().await {
            tracing::warn!(%error, "The last use of API keys is not kept.");
        }
        let Some(tickets) = &self.tickets else { return };
        if let Err(error) = self.ended.keep_all().await {
            tracing::warn!(%error, "Some who have logged out are logged in again after the restart.");
        }
        self.keep_issued().await;
        self.keep_lived().await;
        if let Err(error) = tickets.leave(&self.records).await {
            tracing::warn!(%error, "Which tickets are in use is not kept.");
        }
    }

    async fn keep_issued(&self) {
        if let Err(error) = self.issued.keep(&self.records).await {
            tracing::warn!(%error, "Until when something was issued is not kept.");
        }
    }

    async fn keep_lived(&self) {
        if let Err(error) = self.lived.keep(&self.records).await {
            tracing::warn!(%error, "For how long the server has been at work is not kept.");
        }
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
            (Some(_), shown) => {
                self.known.get(shown, now).filter(|identity| self.is_let_in(identity, now))
            }
        }
    }

    /// Whether what was shown has not been taken back since it was verified, however short a time that
    /// is. Whoever takes something back does so before this is asked, or sees who has come in.
    pub fn counts(&self, identity: &Identity) -> bool {
        if !self.revocations.counts(identity) {
            return false;
        }
        let subject = identity.subject();
        match &identity.means {
            Means::Key(id) => self.keys.counts(id),
            Means::Session(id, behind) => {
                self.ended.counts(subject, id, identity.claims.issued_at)
                    && self.stands(subject, behind, identity.claims.issued_at)
            }
            Means::Ticket(ticket) => {
                let made_of_at = ticket.made_of_at.unwrap_or(ticket.issued_at);
                self.stands(subject, &ticket.behind, Some(made_of_at))
            }
            _ => true,
        }
    }

    /// Whether that counts which something was made of, and which was issued then.
    fn stands(&self, subject: &str, behind: &Behind, issued_at: Option<Timestamp>) -> bool {
        match behind {
            Behind::Other => true,
            Behind::Issuer(name) => self.issuers.has(name),
            Behind::Key(id) => self.keys.counts_for(id, subject),
            Behind::User(name) => self.users.get(name).is_some(),
            Behind::Session(id, behind) => {
                !self.revocations.has_session(id)
                    && self.ended.counts(subject, id, issued_at)
                    && self.stands(subject, behind, issued_at)
            }
        }
    }

    /// What somebody is today whose session or ticket was made of a key or of a user's password: what
    /// the roles were then may be too much by now.
    fn bring_up_to_date(
        &self,
        behind: &Behind,
        (claims, roles): (&mut Claims, &mut Box<[Box<str>]>),
    ) {
        let holder = match behind.first() {
            Behind::Key(id) => self.keys.stored(id).map(|key| (key.roles, key.claims)),
            Behind::User(name) => {
                self.users.get(name).map(|user| (user.roles.clone(), user.claims.clone()))
            }
            _ => None,
        };
        if let Some((of_today, values)) = holder {
            (*roles, claims.values) = (of_today, values);
        }
    }

    /// Whose session it is, and what they may.
    fn of_session(&self, policy: &Policy, text: &str, now: Timestamp) -> Result<Identity, Invalid> {
        let mut session = self.sessions.as_ref().ok_or(Invalid)?.open(text)?;
        if session.is_over(now) {
            tracing::debug!(session = &*session.id, "A session was refused: it is over.");
            return Err(Invalid);
        }
        self.bring_up_to_date(&session.behind, (&mut session.claims, &mut session.roles));
        Ok(sessions::held(policy, session))
    }

    /// Whose ticket it is, and what they may follow with it.
    fn of_ticket(&self, policy: &Policy, text: &str) -> Result<Identity, Invalid> {
        let mut ticket = self.tickets.as_ref().ok_or(Invalid)?.read(text)?;
        self.bring_up_to_date(&ticket.behind, (&mut ticket.claims, &mut ticket.roles));
        tickets::held(policy, ticket)
    }

    /// Notes that somebody has come in.
    fn is_let_in(&self, identity: &Identity, now: Timestamp) -> bool {
        if !self.counts(identity) {
            return false;
        }
        if let Means::Key(id) = &identity.means {
            self.keys.on_use(id, now);
        }
        true
    }

    /// What a proxy that is trusted says of who sends a request with these headers.
    pub fn proxied(&self, headers: &HeaderMap) -> Result<Option<Shown>, Problem> {
        self.proxied.as_ref().map_or(Ok(None), |proxied| proxied.shown(headers))
    }

    /// Who has shown this, from an address where one is known. What does not count is refused without
    /// saying why.
    pub async fn identify(
        &self,
        shown: &Shown,
        from: Option<IpAddr>,
    ) -> Result<Arc<Identity>, Problem> {
        let now = clock::now();
        if let Some(identity) = self.known(shown, now) {
            return Ok(identity);
        }
        let policy = self.policy.as_ref().expect("who asks nobody knows everybody");
        let identity = match shown {
            Shown::Nothing => return Err(refusal::missing()),
            Shown::Later => {
                let until = now.saturating_add(CREDENTIAL_MESSAGE_TIMEOUT);
                return Ok(Arc::new(Identity::pending(until)));
            }
            Shown::Bearer(text) if bellwire_access::key::looks_like_one(text) => {
                self.keys.identity(policy, text, now)
            }
            Shown::Bearer(text) => match self.issuers.identity(policy, text, now).await {
                Err(Unverified::KeysMissing) => return Err(refusal::keys_missing()),
                Err(Unverified::Token(_)) => Err(Invalid),
                Ok(identity) => Ok(identity),
            },
            Shown::Session(text) => self.of_session(policy, text, now),
            Shown::Ticket(text) => self.of_ticket(policy, text),
            Shown::Proxied(subject, groups) => match &self.proxied {
                Some(proxied) => proxied.identity(policy, (subject, groups), now),
                None => Err(Invalid),
            },
            Shown::Password(name, password) => {
                match self.users.identity(policy, (name, password), (from, now)).await {
                    Ok(identity) => Ok(identity),
                    Err(Refusal::Invalid) => Err(Invalid),
                    Err(Refusal::Problem(problem)) => return Err(problem),
                }
            }
        };
        let known = identity.map(|identity| {
            self.issued.saw(identity.claims.issued_at);
            match shown {
                // Each use of a ticket is somebody of its own, with a number of its own.
                Shown::Ticket(_) => Arc::new(identity),
                _ => self.known.insert(shown, Arc::new(identity), now),
            }
        });
        let identity = match known {
            Ok(identity) if self.is_let_in(&identity, now) => identity,
            Ok(_) | Err(Invalid) => {
                self.figures.credentials_refused.add(1);
                return Err(refusal::invalid());
            }
        };
        if identity.rights.is_cut {
            let (subject, roles) = (&identity.claims.subject, &identity.roles);
            tracing::debug!(%subject, ?roles, "Somebody has fewer rights than their roles mean.");
        }
        Ok(identity)
    }

    /// How people may log in. None, where nobody is asked.
    pub fn logins(&self) -> Vec<&'static str> {
        if self.is_open() {
            return Vec::new();
        }
        let password = (!self.users.is_empty()).then_some("password");
        let provider = self.provider.as_ref().map(|_| "oidc");
        password.into_iter().chain(provider).chain(["token"]).collect()
    }

    /// Begins a session of whoever has shown this.
    pub async fn log_in(&self, shown: &Shown, from: Option<IpAddr>) -> Result<Login, Problem> {
        let (Some(policy), Some(sessions)) = (&self.policy, &self.sessions) else {
            let detail = "nobody is asked here, so nobody logs in: there is no `[access]`";
            return Err(Problem::new(Code::SessionUnavailable, detail));
        };
        if matches!(shown, Shown::Nothing | Shown::Later) {
            return Err(refusal::missing());
        }
        let identity = self.identify(shown, from).await?;
        let moment = self.issue(&identity).ok_or_else(refusal::invalid)?;
        let login = sessions.begin(policy, &identity, moment)?;
        tracing::debug!(subject = identity.subject(), "Somebody has logged in.");
        Ok(login)
    }

    /// When something is issued that is made now of what somebody has shown. `None`: that counts no
    /// more. It is later than what it is made of, so that it counts where that does.
    fn issue(&self, identity: &Identity) -> Option<Moment> {
        let just_behind = Duration::from_millis(1);
        let ended = self.ended.until(identity.subject()).map(|it| it.saturating_add(just_behind));
        let others = identity.claims.issued_at.max(ended);
        let now = clock::now();
        let at = others.map_or(now, |other| other.max(now));
        let at = self.issued.issue(at, || self.counts(identity))?;
        Some(Moment { at, now })
    }

    /// Ends the session that is shown. `None`: it is none, or is known to have ended. One that the
    /// journal could not be told of is ended once more. It counts no more from the moment on at which
    /// `on_ended` is called with its subject: that has its streams end.
    pub async fn log_out(&self, shown: &Shown, on_ended: impl FnOnce(&str)) -> Option<Logout> {
        self.log_out_where(shown, |_| true, on_ended).await
    }

    /// The same of the session of a browser that somebody else has logged in with since. One of the same
    /// somebody is left: what it has opened is yet to be renewed.
    pub async fn displace(
        &self,
        shown: &Shown,
        newer: &Identity,
        on_ended: impl FnOnce(&str),
    ) -> Option<Logout> {
        self.log_out_where(shown, |old| !old.is_renewed_by(newer), on_ended).await
    }

    async fn log_out_where(
        &self,
        shown: &Shown,
        ends: impl FnOnce(&Identity) -> bool,
        on_ended: impl FnOnce(&str),
    ) -> Option<Logout> {
        let (Shown::Session(text), Some(policy), Some(sessions)) =
            (shown, &self.policy, &self.sessions)
        else {
            return None;
        };
        // Neither the clock is asked, which may be ahead, nor whether it counts.
        let session = sessions.open(text).ok()?;
        let (id, begun_at) = (session.id.clone(), session.issued_at);
        let identity = sessions::held(policy, session);
        if !ends(&identity) {
            return None;
        }
        let (subject, ends_at) = (identity.subject(), identity.ends_at().unwrap_or(begun_at));
        let ending = Ending { subject, id: &id, begun_at, ends_at };
        let kept = match self.ended.end(ending, || on_ended(subject)).await {
            Ok(false) => return None,
            Ok(true) => Ok(()),
            Err(problem) => Err(problem),
        };
        tracing::debug!(subject, "Somebody has logged out.");
        Some(Logout { identity, kept })
    }

    /// Makes a ticket of whoever has shown a credential.
    pub fn make_ticket(&self, identity: &Identity, bound: Bound) -> Result<MadeTicket, Problem> {
        let tickets = self.tickets.as_ref().ok_or_else(|| {
            let detail = "nobody is asked here, so nobody needs a ticket: there is no `[access]`";
            Problem::new(Code::TicketUnavailable, detail)
        })?;
        let moment = self.issue(identity).ok_or_else(refusal::invalid)?;
        tickets.make(identity, bound, moment)
    }

    /// Whether a ticket is good for a stream with these filters, which a page of this origin asks for.
    pub fn check_ticket(
        &self,
        ticket: &Ticket,
        filters: &FilterSet,
        origin: Option<&str>,
    ) -> Result<(), Problem> {
        ticket.check(filters, origin, clock::now()).map_err(|error| self.refuse_ticket(error))
    }

    /// A stream is opened with a ticket. Returns whose stream has to end for it, with one more holder.
    pub fn open_ticket(
        &self,
        ticket: &Ticket,
        principal: Principal,
    ) -> Result<Option<Principal>, Problem> {
        let Some(tickets) = &self.tickets else { return Ok(None) };
        let displaced = |other| self.displace_holder(other);
        let opened = tickets.open(ticket, principal, clock::now(), displaced);
        opened.map_err(|error| self.refuse_ticket(error))
    }

    /// Another connection has the ticket of this one, which leaves its number only after it has told that its
    /// ticket is free. One more holder is counted.
    fn displace_holder(&self, other: Principal) -> Principal {
        let identity = self.register.identity(other);
        self.register.displace(other);
        self.register.enter(&identity)
    }

    /// A credential was shown that cannot be read.
    pub fn count_unreadable(&self) {
        self.figures.credentials_refused.add(1);
    }

    fn refuse_ticket(&self, error: TicketRefusal) -> Problem {
        tracing::debug!(%error, "A ticket was refused.");
        if error == TicketRefusal::Full {
            let detail = "as many tickets are in use as may be, or as may be of one subject";
            return Problem::new(Code::ConnectionsExhausted, detail)
                .retry_after(TICKET_UNUSED_MAX.as_secs() as u32);
        }
        self.figures.credentials_refused.add(1);
        refusal::invalid()
    }

    /// What does not work of it now, and why.
    pub fn complaints(&self) -> Complaints {
        self.issuers.complaints(clock::now())
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
