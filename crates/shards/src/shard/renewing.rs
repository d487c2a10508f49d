//! Renewing: a client shows something newer of who it is, and its connections go on under that.
//!
//! ```text
//! wheel ─▶ check_standing ─▶ `renew` ─▶ client ─▶ the crate above ─▶ Spread::reconsider ─┐
//! WebSocket: {"request":"renew"} ─────────────▶ Requests::renew ─▶ Done::Renewed ────────┤
//!                                                                                        ▼
//!        nothing lost: goes on    less: another lane, `narrowed`    nothing left: `bye`
//! ```
//!
//! What it follows is held against its new rights. What they leave is followed from where it was, with
//! nothing lost and nothing twice; what they have gained is not added by itself.

use bellwire_model::{EffectiveFilter, FilterError, Principal};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::{ByeReason, Control};
use bytes::Bytes;

use super::Token;
use super::connection::Which;
use super::marks::Marks;
use super::notices::Owed;
use super::outlet::Account;
use super::parts::Shard;
use super::speech::Speech;
use super::standing::{self, in_time, revoked};
use crate::authority::{HeldPrincipal, Standing};
use crate::closed::CloseReason;
use crate::stream_request::StreamRequest;

/// What new rights leave of one subscription.
enum Rest {
    /// All of it.
    All,
    /// Less of it.
    Less(EffectiveFilter),
    /// It cannot go on as it is: other alerts or series may be seen, or more filters would be left
    /// than a lane may have.
    Other,
}

impl Shard {
    /// Something has changed of whoever a connection is of.
    pub(super) fn reconsider(&mut self, token: Token) {
        let connection = &mut self.connections[token];
        if connection.is_over() {
            return;
        }
        let standing = standing::standing(&*self.surroundings.authority, connection.principal);
        let reason = match standing {
            Standing::Revoked => ByeReason::CredentialRevoked,
            Standing::Displaced => ByeReason::Displaced,
            Standing::Good | Standing::Ends { .. } => return self.go_on(token, standing),
        };
        match connection.outlet.socket.collector_mut() {
            Some(collector) => {
                collector.refuse(&revoked());
                self.close(token, CloseReason::RightsChanged);
            }
            None => self.dismiss(token, reason),
        }
    }

    /// The client of a WebSocket has shown who it is anew.
    pub(super) fn renew(&mut self, token: Token, principal: HeldPrincipal) {
        let connection = &mut self.connections[token];
        let before = std::mem::replace(&mut connection.principal, principal.take());
        if before != Principal::ANONYMOUS {
            self.surroundings.authority.leave(before);
        }
        self.show_anew(token, self.source(token));
        self.reconsider(token);
    }

    /// A connection goes on as far as its principal's rights reach now.
    fn go_on(&mut self, token: Token, standing: Standing) {
        self.connections[token].notices.on_renewed();
        // From the last on: one that ends gives its place to the one behind it.
        let subscriptions: Vec<Which> = self.subscriptions(token).collect();
        let rests: Vec<(Which, Rest)> =
            subscriptions.into_iter().map(|which| (which, self.rest(token, which))).collect();
        if rests.iter().all(|(_, rest)| matches!(rest, Rest::All)) {
            return self.look_after(token, standing);
        }
        if let Some(collector) = self.connections[token].outlet.socket.collector_mut() {
            // Its client asks again, and is told what is left.
            collector.begin_again();
            return self.close(token, CloseReason::RightsChanged);
        }
        if rests.iter().any(|(_, rest)| matches!(rest, Rest::Other)) {
            return self.dismiss(token, ByeReason::RightsChanged);
        }
        let is_nothing =
            |rest: &Rest| matches!(rest, Rest::Less(rest) if rest.filters().is_empty());
        if rests.iter().all(|(which, rest)| self.follows_nothing(token, *which) || is_nothing(rest))
        {
            return self.dismiss(token, ByeReason::Forbidden);
        }
        for (which, rest) in rests.into_iter().rev() {
            if let Rest::Less(rest) = rest {
                self.lose(token, which, &rest);
            }
        }
        // Whoever waited for history may need another page now, or none.
        self.connections[token].awaits_history = false;
        self.count_followed(token);
        self.note_followed(token);
        self.look_after(token, standing);
        self.queue(token);
    }

    /// What new rights leave of one of a connection's subscriptions.
    fn rest(&mut self, token: Token, which: Which) -> Rest {
        let lane = which.of(&mut self.connections[token]).delivery.lane();
        let (principal, filters) = (self.connections[token].principal, self.hub.filters(lane));
        self.book_rights(principal, filters.iter().count());
        let follows = self.hub.follows(lane);
        match self.surroundings.authority.rest(principal, follows.clone()) {
            Ok(rest) if rest == *follows => Rest::All,
            Ok(rest) if follows.sees_like(&rest) => Rest::Less(rest),
            Ok(_) | Err(_) => Rest::Other,
        }
    }

    fn follows_nothing(&mut self, token: Token, which: Which) -> bool {
        let lane = which.of(&mut self.connections[token]).delivery.lane();
        self.hub.filters(lane).is_empty()
    }

    /// Lets a subscription follow only what is left of it. What was asked for can still be taken back.
    fn lose(&mut self, token: Token, which: Which, rest: &EffectiveFilter) {
        let connection = &mut self.connections[token];
        // It could come back, once it may read more again, with a cursor of less.
        connection.outlet.set_marks(Marks::Off);
        let Some(websocket) = &connection.websocket else {
            connection.notices.on_narrowed();
            return self.narrow(token, which, rest);
        };
        let id = match which {
            Which::Main => None,
            Which::Added(index) => websocket.added()[index].id.clone(),
        };
        let narrowed = Control::Narrowed { topics: rest.filters() };
        let narrowed = connection.outlet.form.control(&narrowed, id.as_ref());
        let asked = rest.unless_these(self.asked(token, which));
        match which {
            Which::Added(index) if rest.filters().is_empty() => self.cancel(token, index),
            Which::Added(index) => {
                self.websocket(token).added_mut()[index].asked = asked;
                self.narrow(token, which, rest);
            }
            Which::Main => {
                self.websocket(token).set_asked(asked);
                self.narrow(token, which, rest);
            }
        }
        self.websocket(token).reply(narrowed);
    }

    /// What somebody has shown may end sooner than the wheel brings their connection round.
    fn look_after(&mut self, token: Token, standing: Standing) {
        let Standing::Ends { tolerated, .. } = standing else { return };
        let now = self.agenda.now();
        let mut due_at = standing::due_at(standing, now);
        let connection = &mut self.connections[token];
        if let Some(collector) = connection.outlet.socket.collector_mut() {
            // It is told of nothing ahead.
            due_at = in_time(tolerated, now);
            collector.due = collector.due.min(due_at);
        }
        if due_at < connection.due_at {
            connection.due_at = self.agenda.look_after(token, due_at);
        }
    }

    /// Tells a client what there is to tell it beside its events, unless its socket is full.
    pub(super) fn tell_notices(&mut self, token: Token) -> std::io::Result<()> {
        let connection = &mut self.connections[token];
        if connection.websocket.is_none() {
            let (work, segments) = self.ledger.open();
            let mut account = Account { now: self.agenda.now(), work, segments };
            if !connection.outlet.flush(&mut account)? {
                return Ok(());
            }
        }
        let owed = connection.notices.take_owed(connection.progress());
        if connection.outlet.has_said_all() {
            // Behind the last words comes nothing.
            return Ok(());
        }
        let told = [
            self.rest_told(token, owed),
            self.renewal_told(token, owed),
            self.outage_told(token, owed),
        ];
        let told: Bytes = told.concat().into();
        let connection = &mut self.connections[token];
        match &mut connection.websocket {
            Some(websocket) if !told.is_empty() => websocket.reply(told),
            Some(_) => {}
            None => connection.outlet.put(told),
        }
        Ok(())
    }

    fn rest_told(&self, token: Token, owed: Owed) -> Bytes {
        if !owed.rest {
            return Bytes::new();
        }
        let connection = &self.connections[token];
        let topics = self.hub.filters(connection.main.delivery.lane());
        connection.outlet.form.control(&Control::Narrowed { topics }, None)
    }

    fn renewal_told(&self, token: Token, owed: Owed) -> Bytes {
        let connection = &self.connections[token];
        let authority = &self.surroundings.authority;
        let principal = connection.principal;
        let (true, Standing::Ends { left, .. }) = (owed.renewal, authority.standing(principal))
        else {
            return Bytes::new();
        };
        let Some(renews) = authority.renews(principal) else { return Bytes::new() };
        let renew = Control::Renew { expires_in: left, renews: &renews };
        connection.outlet.form.control(&renew, None)
    }

    /// Somebody who comes in may have renewed what they have shown since they were let in.
    pub(super) fn permit_anew(
        &mut self,
        principal: Principal,
        request: &mut StreamRequest,
    ) -> Result<(), Problem> {
        let is_renewed = || self.surroundings.authority.is_renewed(principal);
        if principal == Principal::ANONYMOUS || !is_renewed() {
            return Ok(());
        }
        let follows = &request.follows;
        self.book_rights(principal, follows.iter().count());
        let rest =
            self.surroundings.authority.rest(principal, follows.clone()).map_err(too_many)?;
        if rest.filters().is_empty() && !follows.filters().is_empty() {
            return Err(Problem::new(
                Code::Forbidden,
                "you may read none of these topics any more",
            ));
        }
        request.is_narrowed |= rest.filters() != follows.filters();
        if let Some(handshake) = &mut request.handshake
            && handshake.asked.is_empty()
        {
            // What was asked for can still be taken back.
            handshake.asked = rest.unless_these(follows.iter().collect());
        }
        request.follows = rest;
        Ok(())
    }
}

fn too_many(error: FilterError) -> Problem {
    Problem::new(Code::TopicInvalid, error)
}
