//! Who is connected, by number: who holds which, and what becomes of them.

use std::sync::Arc;

use bellwire_access::{Identity, Means, Renewal, RenewalError, Standing};
use bellwire_model::Principal;
use bellwire_process::clock;

use super::Authenticator;

impl Authenticator {
    /// Gives somebody a number, and counts one more holder of it.
    pub fn enter(&self, identity: &Arc<Identity>) -> Principal {
        let principal = self.register.enter(identity);
        // It may have been taken back since it was asked for. Whoever did that has looked for holders
        // before this one was there, or finds it.
        if !self.counts(identity) {
            self.register.revoke(principal);
        }
        principal
    }

    /// One fewer holds this number.
    pub fn leave(&self, principal: Principal) {
        if let Some(tickets) = self.tickets.as_ref().filter(|_| principal != Principal::ANONYMOUS)
            && let Means::Ticket(ticket) = &self.register.identity(principal).means
        {
            tickets.closed(ticket, principal, clock::now());
        }
        self.register.leave(principal);
    }

    /// Whether what the holders of this number have shown counts; whoever asks holds it.
    pub fn standing(&self, principal: Principal) -> Standing {
        self.register.standing(principal)
    }

    /// What names the holders of this number to whoever renews what they have shown; whoever asks
    /// holds it.
    pub fn renewal(&self, principal: Principal) -> Option<Renewal> {
        self.register.renewal(principal)
    }

    /// Whether they have renewed it; whoever asks holds the number.
    pub fn is_renewed(&self, principal: Principal) -> bool {
        self.register.is_renewed(principal)
    }

    /// The holders of a number go on as this identity. One more holder of the number that is returned
    /// is counted.
    pub fn renew(
        &self,
        renewal: Renewal,
        identity: &Arc<Identity>,
    ) -> Result<Principal, RenewalError> {
        let (principal, before) = self.register.replace(renewal, identity)?;
        // The stream has its ticket no more: whoever comes with that displaces nobody.
        if let (Some(tickets), Means::Ticket(ticket)) = (&self.tickets, &before.means) {
            tickets.closed(ticket, principal, clock::now());
        }
        // As where somebody comes in.
        if !self.counts(identity) {
            self.register.revoke(principal);
        }
        Ok(principal)
    }

    /// Takes their numbers from those who have shown what [counts](Self::counts) no more. One more
    /// holder of each that is returned is counted, so that no shard takes it for another's.
    /// All are looked at, or those of one subject where nothing else can be of it.
    pub fn revoke(&self, subject: Option<&str>) -> Vec<Principal> {
        let is_revoked = |identity: &Identity| !self.counts(identity);
        match subject {
            Some(subject) => self.register.revoke_all_of(subject, is_revoked),
            None => self.register.revoke_all(is_revoked),
        }
    }

    /// Whose number it is; whoever asks holds it.
    pub fn identity(&self, principal: Principal) -> Arc<Identity> {
        self.register.identity(principal)
    }
}
