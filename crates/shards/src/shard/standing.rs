//! Standing: a connection lasts for as long as what its client has shown of who it is.

use std::time::Duration;

use bellwire_model::Principal;
use bellwire_model::limits::{DRAIN_RETURN, RENEW_AHEAD};
use bellwire_process::clock::{TICK, Tick, ticks};
use bellwire_process::jittered;
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::ws::CloseCode;
use bellwire_wire::{ByeReason, Control};

use super::Token;
use super::outlet::Account;
use super::parts::Shard;
use super::speech::Speech;
use crate::authority::{Authority, Standing};

/// Of what does not end by itself.
const NEVER: Tick = Tick::MAX;

/// When whoever comes in is to be looked after for what they have shown. It may have been taken back
/// since they were let in.
pub(super) fn looked_after_at(
    authority: &dyn Authority,
    principal: Principal,
    now: Tick,
) -> Result<Tick, Problem> {
    match standing(authority, principal) {
        Standing::Revoked | Standing::Displaced => Err(revoked()),
        standing => Ok(due_at(standing, now)),
    }
}

/// When somebody is to be looked after for what they have shown: once it ends, or ahead of that.
pub(super) fn due_at(standing: Standing, now: Tick) -> Tick {
    match standing {
        Standing::Good => NEVER,
        Standing::Ends { left, .. } if left > 2 * RENEW_AHEAD => {
            in_time(left.saturating_sub(RENEW_AHEAD), now)
        }
        Standing::Ends { left, .. } if !left.is_zero() => in_time(left / 2, now),
        Standing::Ends { tolerated, .. } => in_time(tolerated, now),
        Standing::Revoked | Standing::Displaced => now,
    }
}

/// When what somebody has shown counts no more: not before, and less than two ticks after.
pub(super) fn ends_at(
    authority: &dyn Authority,
    principal: Principal,
    now: Tick,
) -> Result<Tick, Problem> {
    match standing(authority, principal) {
        Standing::Good => Ok(NEVER),
        Standing::Ends { tolerated, .. } => Ok(in_time(tolerated, now)),
        Standing::Revoked | Standing::Displaced => Err(revoked()),
    }
}

/// Strangers have shown nothing that could end.
pub(super) fn standing(authority: &dyn Authority, principal: Principal) -> Standing {
    if principal == Principal::ANONYMOUS {
        return Standing::Good;
    }
    authority.standing(principal)
}

/// Whether what somebody has shown counts now: those of whom very many end at one moment are yet to
/// be told good-bye.
pub(super) fn counts(authority: &dyn Authority, principal: Principal) -> bool {
    match standing(authority, principal) {
        Standing::Good => true,
        Standing::Ends { tolerated, .. } => !tolerated.is_zero(),
        Standing::Revoked | Standing::Displaced => false,
    }
}

/// What those are answered who ask for something meanwhile.
pub(super) fn ended() -> Problem {
    Problem::new(Code::CredentialInvalid, "the credential counts no more")
}

/// What those are answered who are yet to be answered.
pub(super) fn revoked() -> Problem {
    Problem::new(Code::CredentialInvalid, "the credential was taken back")
}

/// The tick has begun already: one more, so that nobody is cut off early.
pub(super) fn in_time(left: Duration, now: Tick) -> Tick {
    now.saturating_add(ticks(left.saturating_add(TICK)))
}

impl Shard {
    /// When what a connection's client has shown ends. `None`: it has, and so has the connection.
    ///
    /// It is asked at each round of the wheel, since the wall clock, which it is told by, may be set.
    pub(super) fn check_standing(&mut self, token: Token, now: Tick) -> Option<Tick> {
        let connection = &self.connections[token];
        let is_poll = connection.outlet.socket.collector().is_some();
        // It ends soon by itself.
        if is_poll || connection.is_over() {
            return Some(NEVER);
        }
        let (left, tolerated) = match standing(&*self.surroundings.authority, connection.principal)
        {
            Standing::Good => return Some(NEVER),
            Standing::Ends { tolerated: Duration::ZERO, .. } => {
                self.dismiss(token, ByeReason::CredentialExpired);
                return None;
            }
            Standing::Ends { left, tolerated } => (left, tolerated),
            Standing::Revoked => {
                self.dismiss(token, ByeReason::CredentialRevoked);
                return None;
            }
            Standing::Displaced => {
                self.dismiss(token, ByeReason::Displaced);
                return None;
            }
        };
        if left > RENEW_AHEAD {
            return Some(in_time(left.saturating_sub(RENEW_AHEAD), now));
        }
        let notices = &mut self.connections[token].notices;
        if left.is_zero() && notices.tolerate() {
            self.surroundings.figures.credentials_tolerated.add(1);
        }
        if self.connections[token].notices.ask_for_renewal() {
            // It is told in a turn of its own: its socket may be full, or in the middle of an event.
            self.queue(token);
        }
        Some(in_time(if left.is_zero() { tolerated } else { left }, now))
    }

    /// Ends a connection whose client has to show anew who it is.
    pub(super) fn dismiss(&mut self, token: Token, reason: ByeReason) {
        let retry = jittered(DRAIN_RETURN);
        let figures = &self.surroundings.figures;
        match reason {
            ByeReason::CredentialExpired => figures.credentials_expired.add(1),
            ByeReason::CredentialRevoked => figures.credentials_revoked.add(1),
            ByeReason::Forbidden | ByeReason::RightsChanged => figures.rights_changed.add(1),
            _ => {}
        }
        if self.connections[token].websocket.is_some() {
            let bye = Control::Bye { reason, retry };
            let bye = self.connections[token].outlet.form.control(&bye, None);
            self.websocket(token).reply(bye);
            self.end(token, (CloseCode::POLICY, reason.as_str()), reason.into());
            // One whose socket is full is yet to be found stalled.
            let due = self.agenda.now() + 1;
            self.connections[token].due_at = self.agenda.look_after(token, due);
            return self.visit(token);
        }
        let outlet = &mut self.connections[token].outlet;
        // Nothing may come into the middle of an event: such a client sees the connection end.
        if outlet.is_clear() {
            outlet.put(outlet.form.farewell(reason, retry));
            let (work, segments) = self.ledger.open();
            let mut account = Account { now: self.agenda.now(), work, segments };
            let _ = self.connections[token].outlet.flush(&mut account);
        }
        self.close(token, reason.into());
    }
}
