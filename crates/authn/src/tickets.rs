//! Stream tickets: made of a credential, shown in an address, and each used by one connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_access::ticket::{Bound, Ticket, TicketId, TicketRefusal, TicketTable};
use bellwire_access::{Claims, Identity, Means, Policy, Rights, ServerSecret};
use bellwire_model::limits::TICKETS_MAX;
use bellwire_model::{Principal, Timestamp};
use bellwire_wire::problem::{Code, Problem};

use crate::refusal::{self, Invalid};
use crate::secret;

/// What tickets are sealed with, and which are in use.
#[derive(Debug)]
pub(crate) struct Tickets {
    secret: ServerSecret,
    /// How long a ticket counts whose credential does not end.
    lasts: Duration,
    table: Mutex<TicketTable>,
}

/// A ticket that was just made.
pub struct MadeTicket {
    /// What the address has.
    pub text: String,
    /// Until when it may be opened for the first time.
    pub opens_until: Timestamp,
    /// Until when it counts.
    pub ends_at: Option<Timestamp>,
}

/// Says nothing of what opens a stream.
impl std::fmt::Debug for MadeTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeTicket").finish_non_exhaustive()
    }
}

impl Tickets {
    pub(crate) fn new(secret: ServerSecret, lasts: Duration, now: Timestamp) -> Self {
        Self { secret, lasts, table: Mutex::new(TicketTable::new(TICKETS_MAX, now)) }
    }

    /// Makes a ticket of whoever has shown a credential.
    pub(crate) fn make(
        &self,
        identity: &Identity,
        bound: Bound,
        now: Timestamp,
    ) -> Result<MadeTicket, Problem> {
        match &identity.means {
            Means::Anonymous => return Err(refusal::missing()),
            Means::Open | Means::Ticket(_) => {
                let detail = "a ticket is made of a credential that is no ticket itself";
                return Err(Problem::new(Code::TicketUnavailable, detail));
            }
            _ => {}
        }
        let behind = identity.behind();
        let random = secret::name(Code::TicketUnavailable)?;
        let ends_at = identity.claims.ends_at.unwrap_or(now.saturating_add(self.lasts));
        let claims = Claims { ends_at: Some(ends_at), ..identity.claims.clone() };
        let holder = (claims, &*identity.roles);
        let ticket = Ticket { behind, ..Ticket::new(TicketId::new(random), holder, bound, now) };
        let text = ticket.seal(&self.secret).map_err(|error| {
            let detail = format!("with what the credential says, and these topics: {error}");
            Problem::new(Code::TicketUnavailable, detail)
        })?;
        Ok(MadeTicket { text, opens_until: ticket.opens_until, ends_at: ticket.claims.ends_at })
    }

    /// The ticket that an address has.
    pub(crate) fn read(&self, text: &str) -> Result<Ticket, Invalid> {
        Ticket::open(text, &self.secret).ok_or_else(|| {
            tracing::debug!("A ticket was refused: this server has not made it.");
            Invalid
        })
    }

    /// A connection comes with a ticket that is good for what it asks. `displaced` is told of the one
    /// that had it until now, while that still has its number.
    pub(crate) fn open<T>(
        &self,
        ticket: &Ticket,
        principal: Principal,
        now: Timestamp,
        displaced: impl FnOnce(Principal) -> T,
    ) -> Result<Option<T>, TicketRefusal> {
        let mut table = self.table();
        let before = table.open(ticket, principal.0.into(), now)?;
        Ok(before.and_then(|before| u32::try_from(before).ok()).map(|it| displaced(Principal(it))))
    }

    /// A connection with a ticket has ended, and still has its number.
    pub(crate) fn closed(&self, ticket: &Ticket, principal: Principal, now: Timestamp) {
        self.table().closed(ticket.id, principal.0.into(), now);
    }

    fn table(&self) -> MutexGuard<'_, TicketTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose ticket it is: they may follow what it is for, as far as their roles allow today, and nothing
/// else.
pub(crate) fn held(policy: &Policy, ticket: Ticket) -> Result<Identity, Invalid> {
    let (claims, roles) = (ticket.claims.clone(), ticket.roles.clone());
    let all = policy.rights(roles.iter().map(|role| &**role), &claims);
    let subscribe = all.subscribe.intersection(&ticket.bound.filters).map_err(|_| Invalid)?;
    let Rights { query, alerts, is_cut, limits, .. } = all;
    let rights = Rights { subscribe, query, alerts, is_cut, limits, ..Rights::none() };
    Ok(Identity { claims, means: Means::Ticket(Arc::new(ticket)), roles, rights })
}
