//! Access: what a request's sender may do of what it wants.
//!
//! ```text
//! head ─▶ authn: Shown ─▶ Identity (who, and what they may) ─▶ permit ─▶ what is left of the request
//! ```
//!
//! Where nothing is configured nobody is asked, and everybody may do everything.

mod attending;
mod mandates;
mod onlooker;
mod permit;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwire_access::ticket::Ticket;
use bellwire_access::{Identity, Means, Renewal, RenewalError, ServerSecret};
use bellwire_authn::config::Wider;
use bellwire_authn::{Affected, Authenticator, EndedElsewhere, Shown};
use bellwire_journal::Journal;
use bellwire_model::{EffectiveFilter, FilterError, Holder, Principal};
use bellwire_process::clock;
use bellwire_shards::{
    Authority, FollowerName, HeldPrincipal, HeldPrincipals, Reconsidering, Spread, Standing,
    StreamRequest,
};
use bellwire_wire::problem::{Code, Problem};
use tokio::runtime::Runtime;

use self::permit::{permit_pending, permit_stream, rest};
use crate::allowances::{Allowances, Counted};
use crate::audit::{Audit, Deed, Kind};
use crate::observe::Figures;
use crate::turns::Asker;

pub(crate) use self::attending::Attending;
pub(crate) use self::mandates::Mandates;
pub(crate) use self::onlooker::{Onlooker, SeenCase};
pub(crate) use self::permit::{
    may_converse, permit, permit_poll, permit_publishing, permit_reading, shows_presence, sight,
    subscribe,
};

/// Who may come in, and what they may, for the front door and the shards.
#[derive(Debug)]
pub(crate) struct Access {
    /// What those with limits have used up.
    pub(crate) allowances: Arc<Allowances>,
    /// Who is asking.
    pub(crate) authenticator: Arc<Authenticator>,
    /// Who did what.
    pub(crate) audit: Arc<Audit>,
    /// What becomes of those who ask to follow more than they may.
    pub(crate) wider: Wider,
    expiry_grace: Duration,
    /// What seals principals' numbers. It is made anew for each process, as numbers are.
    renewals: ServerSecret,
}

/// What is configured of streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessRules {
    pub(crate) wider: Wider,
    pub(crate) expiry_grace: Duration,
}

impl Access {
    pub(crate) fn new(
        authenticator: Authenticator,
        figures: &Arc<Figures>,
        rules: AccessRules,
    ) -> Self {
        let AccessRules { wider, expiry_grace } = rules;
        let renewals = bellwire_authn::secret_of_process().expect("the system has randomness");
        let allowances = Arc::new(Allowances::new(Arc::clone(figures)));
        let audit = Arc::new(Audit::new(Arc::clone(&figures.audit)));
        let authenticator = Arc::new(authenticator);
        Self { allowances, authenticator, audit, wider, expiry_grace, renewals }
    }

    /// What the rights of somebody leave of a stream.
    pub(crate) fn permit(
        &self,
        identity: &Identity,
        request: StreamRequest,
    ) -> Result<StreamRequest, Problem> {
        match identity.means {
            Means::Pending => permit_pending(request),
            _ => permit_stream((&identity.rights, self.wider), request),
        }
    }

    /// Whether there is room for one stream more of somebody, whose rights leave this of it.
    pub(crate) fn has_room(
        &self,
        identity: &Identity,
        request: &StreamRequest,
    ) -> Result<(), Problem> {
        self.allowances.check_connect(identity, request.follows.iter().count())
    }

    /// Lets in a stream that was permitted, and counts it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        request: StreamRequest,
    ) -> Result<Permitted, Problem> {
        let counted = self.allowances.connect(identity, request.follows.iter().count())?;
        Ok(Permitted { request, principal: self.enter(identity), counted })
    }

    /// Whether a ticket is good for a stream, by a page of this origin where it is of another site.
    pub(crate) fn check_ticket(
        &self,
        ticket: &Ticket,
        request: &StreamRequest,
        origin: Option<&str>,
    ) -> Result<(), Problem> {
        if request.handshake.is_some() {
            let detail =
                "a ticket opens streams: a WebSocket shows its credential as a subprotocol";
            return Err(Problem::new(Code::CredentialInvalid, detail));
        }
        self.authenticator.check_ticket(ticket, request.follows.filters(), origin)
    }

    /// Lets in a stream with a ticket that is good for it. Whoever had it until now has to let go of
    /// it, and of the place.
    pub(crate) fn admit_with(
        self: &Arc<Self>,
        (identity, ticket): (&Arc<Identity>, &Ticket),
        request: StreamRequest,
        (address, spread): (Option<IpAddr>, &Spread),
    ) -> Result<Permitted, Problem> {
        let mut permitted = self.admit(identity, request)?;
        let displaced = self.authenticator.open_ticket(ticket, permitted.principal.principal())?;
        if let Some(displaced) = displaced {
            let deed = Deed::to(Kind::TicketDisplaced, permitted.request.follows.filters());
            self.audit.record(&deed, Some(identity), address);
            let authority: Arc<dyn Authority> = Arc::<Self>::clone(self);
            drop(spread.reconsider(HeldPrincipals::new(vec![displaced], authority)));
        } else if permitted.counted.as_ref().is_some_and(|it| Arc::strong_count(it) > 1) {
            // Whoever was let in by it has shown something else since, and goes on beside this one.
            let filters = permitted.request.follows.iter().count();
            permitted.counted = self.allowances.connect_beside(identity, filters)?;
        }
        Ok(permitted)
    }

    /// A credential was shown that cannot be read.
    pub(crate) fn on_unreadable(&self, problem: &Problem, from: (&str, Option<IpAddr>)) {
        if problem.code == Code::CredentialInvalid {
            self.authenticator.count_unreadable();
            self.audit.refused(problem, ("unreadable", None), from);
        }
    }

    /// Gives somebody a number, for as long as it is held.
    pub(crate) fn enter(self: &Arc<Self>, identity: &Arc<Identity>) -> HeldPrincipal {
        let authority: Arc<dyn Authority> = Arc::<Self>::clone(self);
        HeldPrincipal::new(self.authenticator.enter(identity), authority)
    }

    /// Takes in what the journal has of access, and keeps there what is to be kept. Nodes have a secret that
    /// they share, as they do the journal.
    pub(crate) fn begin(
        &self,
        journal: &Arc<dyn Journal>,
        secret: Option<&[u8]>,
    ) -> Result<(), bellwire_journal::Error> {
        if !self.authenticator.is_open() {
            self.audit.keep_in(Arc::clone(journal));
        }
        let journal = Arc::clone(journal);
        match secret {
            Some(secret) => self.authenticator.begin_among(journal, secret),
            None => self.authenticator.begin(journal),
        }
    }

    /// What is done again and again while the server runs.
    pub(crate) fn keep_house(self: &Arc<Self>, runtime: &Runtime, spread: &Arc<Spread>) {
        runtime.spawn(Arc::clone(&self.authenticator).keep_house());
        runtime.spawn(Arc::clone(&self.audit).keep_current());
        runtime.spawn(Arc::clone(self).end_what_others_end(Arc::clone(spread)));
    }

    /// Ends streams of this node whenever another one has taken something back, or opened their tickets.
    async fn end_what_others_end(self: Arc<Self>, spread: Arc<Spread>) {
        let mut heard = self.authenticator.heard();
        // Something may have come before.
        drop(self.end_revoked(&spread, None));
        loop {
            let EndedElsewhere { displaced, of } = self.authenticator.ended_elsewhere();
            for displaced in &displaced {
                self.note_displaced_elsewhere(*displaced);
            }
            drop(self.reconsider(&spread, displaced));
            match of {
                Affected::All => drop(self.end_revoked(&spread, None)),
                Affected::Subjects(subjects) => {
                    for subject in subjects {
                        drop(self.end_revoked(&spread, Some(&subject)));
                    }
                }
            }
            if heard.changed().await.is_err() {
                return;
            }
        }
    }

    /// Has the audit know that a ticket was taken from here. Who has it now the other node knows.
    fn note_displaced_elsewhere(&self, displaced: Principal) {
        let identity = self.identity(displaced);
        if let Means::Ticket(ticket) = &identity.means {
            let deed = Deed::to(Kind::TicketDisplaced, &ticket.bound.filters);
            self.audit.record(&deed.with("elsewhere", true), Some(&identity), None);
        }
    }

    /// The server ends: what is known and not kept yet is.
    pub(crate) async fn finish(&self) {
        self.audit.tell_counts();
        self.authenticator.finish().await;
    }

    /// Ends the streams of whoever has shown what counts no more, where that can be of one subject
    /// alone among its own.
    pub(crate) fn end_revoked(
        self: &Arc<Self>,
        spread: &Spread,
        subject: Option<&str>,
    ) -> Reconsidering {
        // Very many may be looked at.
        let revoked = tokio::task::block_in_place(|| self.authenticator.revoke(subject));
        self.reconsider(spread, revoked)
    }

    /// The streams of a principal go on as `identity`. What `renews` names comes with the control event
    /// `renew`. Returns once every stream has what its new rights leave.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        spread: &Spread,
        (renews, identity): (&str, &Arc<Identity>),
    ) -> Result<(), Problem> {
        let renewal = Renewal::open(renews, &self.renewals).ok_or_else(nobody_there)?;
        let renewed = self.authenticator.renew(renewal, identity);
        let principal = renewed.map_err(|error| match error {
            RenewalError::SubjectDiffers => subject_differs(),
            _ => nobody_there(),
        })?;
        self.reconsider(spread, vec![principal]).is_through().await;
        Ok(())
    }

    /// Has the shards look anew at the connections of those of whom something has changed. One holder
    /// more of each number has been counted.
    fn reconsider(self: &Arc<Self>, spread: &Spread, principals: Vec<Principal>) -> Reconsidering {
        let authority: Arc<dyn Authority> = Arc::<Self>::clone(self);
        spread.reconsider(HeldPrincipals::new(principals, authority))
    }

    /// Who shows this, who is to be the same somebody as `before`.
    pub(crate) async fn renewed(
        self: &Arc<Self>,
        before: &Identity,
        shown: &Shown,
    ) -> Result<Arc<Identity>, Problem> {
        // No password is shown so, whose guesses are counted by address.
        let identity = self.authenticator.identify(shown, None).await?;
        if !before.is_renewed_by(&identity) {
            return Err(subject_differs());
        }
        let limits = &identity.rights.limits;
        // A connection is counted when it opens, as whoever has opened it.
        if before.means == Means::Pending && limits.are_of_connections() {
            let detail = "your connections are limited: show the credential when you open one, as a \
                          subprotocol or a header";
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(identity)
    }

    /// Whose number it is.
    pub(crate) fn identity(&self, principal: Principal) -> Arc<Identity> {
        self.authenticator.identity(principal)
    }
}

impl Authority for Access {
    fn standing(&self, principal: Principal) -> Standing {
        match self.authenticator.standing(principal) {
            bellwire_access::Standing::Good => Standing::Good,
            bellwire_access::Standing::Until(ends_at) => {
                let now = clock::now();
                // Whoever has shown nothing yet has nothing to outlive.
                let is_pending = || self.identity(principal).means == Means::Pending;
                let has_grace = !self.expiry_grace.is_zero() && !is_pending();
                let grace = if has_grace { self.expiry_grace } else { Duration::ZERO };
                Standing::Ends {
                    left: ends_at.saturating_since(now),
                    tolerated: ends_at.saturating_add(grace).saturating_since(now),
                }
            }
            bellwire_access::Standing::Revoked => Standing::Revoked,
            bellwire_access::Standing::Displaced => Standing::Displaced,
        }
    }

    fn leave(&self, principal: Principal) {
        self.authenticator.leave(principal);
    }

    fn is_renewed(&self, principal: Principal) -> bool {
        self.authenticator.is_renewed(principal)
    }

    fn rest(
        &self,
        principal: Principal,
        follows: EffectiveFilter,
    ) -> Result<EffectiveFilter, FilterError> {
        rest(&self.identity(principal).rights, follows)
    }

    fn filters_allowed(&self, principal: Principal) -> usize {
        self.identity(principal).rights.subscribe.iter().count()
    }

    fn renews(&self, principal: Principal) -> Option<String> {
        // The first message is the connection's own.
        if self.identity(principal).means == Means::Pending {
            return None;
        }
        self.authenticator.renewal(principal)?.seal(&self.renewals)
    }

    fn follower(&self, principal: Principal, source: Option<IpAddr>) -> FollowerName {
        let identity = self.identity(principal);
        let asker = Asker::of(&identity, source);
        let holder = Holder::named(&asker.name());
        match asker {
            Asker::Subject(own) => {
                let subject = Some(identity.subject().into());
                FollowerName { identity: Some(own), subject, holder }
            }
            Asker::Network(_) => FollowerName { identity: None, subject: None, holder },
        }
    }
}

fn nobody_there() -> Problem {
    let detail = "`renews` names nobody who has a stream: it comes with the control event `renew`";
    Problem::new(Code::ParameterInvalid, detail)
}

fn subject_differs() -> Problem {
    let detail = "a stream goes on under another credential of the same subject and issuer alone";
    Problem::new(Code::SubjectDiffers, detail)
}

/// A stream that may be opened, and whose it is.
#[derive(Debug)]
pub(crate) struct Permitted {
    pub(crate) request: StreamRequest,
    pub(crate) principal: HeldPrincipal,
    /// Where the connections of whoever asks are counted.
    pub(crate) counted: Option<Arc<Counted>>,
}
