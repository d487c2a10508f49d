//! Access: what a request's sender may do of what it wants.
//!
//! ```text
//! head ─▶ authn: Shown ─▶ Identity (who, and what they may) ─▶ permit ─▶ what is left of the request
//! ```
//!
//! Where nothing is configured nobody is asked, and everybody may do everything.

mod attending;
mod onlooker;
mod permit;

use std::sync::Arc;

use bellwire_access::Identity;
use bellwire_access::ticket::Ticket;
use bellwire_authn::Authenticator;
use bellwire_authn::config::Wider;
use bellwire_model::Principal;
use bellwire_process::clock;
use bellwire_shards::{
    Authority, HeldPrincipal, HeldPrincipals, Reconsidering, Spread, Standing, StreamRequest,
};
use bellwire_wire::problem::{Code, Problem};

use self::permit::permit_stream;

pub(crate) use self::attending::Attending;
pub(crate) use self::onlooker::{Onlooker, SeenCase};
pub(crate) use self::permit::{
    may_converse, permit, permit_poll, permit_publishing, permit_reading,
};

/// Who may come in, and what they may, for the front door and the shards.
#[derive(Debug)]
pub(crate) struct Access {
    /// Who is asking.
    pub(crate) authenticator: Arc<Authenticator>,
    /// What becomes of those who ask to follow more than they may.
    pub(crate) wider: Wider,
}

impl Access {
    /// What the rights of somebody leave of a stream, and whose it is.
    pub(crate) fn permit(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        request: StreamRequest,
    ) -> Result<Permitted, Problem> {
        let request = permit_stream((&identity.rights, self.wider), request)?;
        Ok(Permitted { request, principal: self.enter(identity) })
    }

    /// The same for who has a ticket, by a page of this origin where it is of another site. Whoever had
    /// it until now has to let go of it.
    pub(crate) fn permit_ticket(
        self: &Arc<Self>,
        (identity, ticket): (&Arc<Identity>, &Ticket),
        request: StreamRequest,
        (origin, spread): (Option<&str>, &Spread),
    ) -> Result<Permitted, Problem> {
        if request.handshake.is_some() {
            let detail =
                "a ticket opens streams: a WebSocket shows its credential as a subprotocol";
            return Err(Problem::new(Code::CredentialInvalid, detail));
        }
        self.authenticator.check_ticket(ticket, request.follows.filters(), origin)?;
        let permitted = self.permit(identity, request)?;
        let displaced = self.authenticator.open_ticket(ticket, permitted.principal.principal())?;
        if let Some(displaced) = displaced {
            let authority: Arc<dyn Authority> = Arc::<Self>::clone(self);
            drop(spread.reconsider(HeldPrincipals::new(vec![displaced], authority)));
        }
        Ok(permitted)
    }

    /// Gives somebody a number, for as long as it is held.
    pub(crate) fn enter(self: &Arc<Self>, identity: &Arc<Identity>) -> HeldPrincipal {
        let authority: Arc<dyn Authority> = Arc::<Self>::clone(self);
        HeldPrincipal::new(self.authenticator.enter(identity), authority)
    }

    /// Ends the streams of whoever has shown what counts no more.
    pub(crate) fn end_revoked(self: &Arc<Self>, spread: &Spread) -> Reconsidering {
        let authority: Arc<dyn Authority> = Arc::<Self>::clone(self);
        // All who are connected are looked at.
        let revoked = tokio::task::block_in_place(|| self.authenticator.revoke());
        spread.reconsider(HeldPrincipals::new(revoked, authority))
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
                Standing::Ends(ends_at.saturating_since(clock::now()))
            }
            bellwire_access::Standing::Revoked => Standing::Revoked,
        }
    }

    fn leave(&self, principal: Principal) {
        self.authenticator.leave(principal);
    }
}

/// A stream that may be opened, and whose it is.
#[derive(Debug)]
pub(crate) struct Permitted {
    pub(crate) request: StreamRequest,
    pub(crate) principal: HeldPrincipal,
}
