//! Standing: a connection lasts for as long as what its client has shown of who it is.

use std::time::Duration;

use bellwire_model::Principal;
use bellwire_model::limits::DRAIN_RETURN;
use bellwire_process::clock::{TICK, Tick, ticks};
use bellwire_process::jittered;
use bellwire_wire::ws::CloseCode;
use bellwire_wire::{ByeReason, Control};

use super::Token;
use super::outlet::Account;
use super::parts::Shard;
use super::speech::Speech;
use crate::authority::Authority;

/// Of what does not end by itself.
const NEVER: Tick = Tick::MAX;

/// When what a principal has shown ends: not before, and less than two ticks after.
pub(super) fn ends_at(authority: &dyn Authority, principal: Principal, now: Tick) -> Tick {
    if principal == Principal::ANONYMOUS {
        return NEVER;
    }
    authority.left(principal).map_or(NEVER, |left| in_time(left, now))
}

/// The tick has begun already: one more, so that nobody is cut off early.
fn in_time(left: Duration, now: Tick) -> Tick {
    now.saturating_add(ticks(left.saturating_add(TICK)))
}

impl Shard {
    /// When what a connection's client has shown ends. `None`: it has, and so has the connection.
    ///
    /// It is asked at each round of the wheel, since the wall clock, which it is told by, may be set.
    pub(super) fn check_standing(&mut self, token: Token, now: Tick) -> Option<Tick> {
        let connection = &self.connections[token];
        let is_poll = connection.outlet.socket.collector().is_some();
        let is_ending = connection.websocket.as_ref().is_some_and(|it| !it.is_open());
        // These end soon by themselves.
        if connection.principal == Principal::ANONYMOUS || is_poll || is_ending {
            return Some(NEVER);
        }
        let left = self.surroundings.authority.left(connection.principal);
        if left == Some(Duration::ZERO) {
            self.dismiss(token);
            return None;
        }
        Some(left.map_or(NEVER, |left| in_time(left, now)))
    }

    /// Ends a connection whose client has to show anew who it is.
    fn dismiss(&mut self, token: Token) {
        let (reason, retry) = (ByeReason::CredentialExpired, jittered(DRAIN_RETURN));
        self.surroundings.figures.credentials_expired.add(1);
        if self.connections[token].websocket.is_some() {
            let bye = Control::Bye { reason, retry };
            let bye = self.connections[token].outlet.form.control(&bye, None);
            self.websocket(token).reply(bye);
            self.end(token, CloseCode::POLICY, reason.as_str());
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
        self.close(token);
    }
}
