//! The end: a shard says good-bye to its connections, as far as their sockets take it at once.

use std::sync::atomic::Ordering;

use bellwire_model::limits::{BODY_BYTES_MAX, CLOSE_TIMEOUT, DRAIN_RETURN};
use bellwire_process::clock::ticks;
use bellwire_process::jittered;
use bellwire_wire::ByeReason;
use mio::Events;

use super::Token;
use super::connection::Connection;
use super::described::Described;
use super::outlet::Account;
use super::parts::Shard;
use super::speech::Speech;
use crate::closed::CloseReason;

impl Shard {
    /// Ends everybody's stream.
    pub(super) fn drain(&mut self) {
        while let Some(answered) = self.agenda.next_answer() {
            self.take_answer(answered);
        }
        // Who came last has asked for a stream, too, and is told where to go on.
        while let Some(handoff) = self.agenda.next_expected() {
            self.adopt(handoff);
        }
        self.write_what_waits();
        self.log_who_is_here();
        let (work, segments) = self.ledger.open();
        let mut account = Account { now: self.agenda.now(), work, segments };
        for (_, connection) in &mut self.connections {
            say_goodbye(connection, &mut account);
        }
        self.report();
        self.wait_for_talkers();
    }

    /// Ends the streams that go through a pair, and answers the polls.
    pub(super) fn drain_carried(&mut self) {
        let mut waiting = self.agenda.take_expected();
        let before = waiting.len();
        waiting.retain(|handoff| !handoff.socket.is_pair());
        let refused = before - waiting.len();
        self.agenda.expect(waiting);
        self.handle.0.connections.fetch_sub(refused, Ordering::Relaxed);
        self.write_what_waits();
        let is_pair = |token: &Token| self.connections[*token].outlet.socket.is_pair();
        let tokens = self.connections.iter().map(|(token, _)| token);
        let pairs: Vec<Token> = tokens.filter(is_pair).collect();
        for token in pairs {
            let (work, segments) = self.ledger.open();
            let mut account = Account { now: self.agenda.now(), work, segments };
            say_goodbye(&mut self.connections[token], &mut account);
            self.close(token, CloseReason::Drain);
        }
        self.drain_polls();
    }

    /// Where each connection was when the server ended, for whoever wants to know.
    fn log_who_is_here(&self) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        for Described { name, form, unwritten, main, added } in self.describe_all() {
            tracing::debug!(
                name,
                transport = form.transport(),
                follows = %main.follows,
                cursor = %main.cursor,
                adds = added.len(),
                unwritten_bytes = unwritten.len(),
                "A connection ends with the server."
            );
        }
    }

    /// The newest events, and the replies to what was published last.
    fn write_what_waits(&mut self) {
        while self.members.has_touched() {
            self.visit_touched();
        }
        for _ in 0..self.agenda.queued() {
            let Some(token) = self.agenda.next_queued() else { break };
            if let Some(connection) = self.connections.get_mut(token) {
                connection.is_queued = false;
                self.visit(token);
            }
        }
    }

    /// Lets the clients that talk end their connections. They may still be sending, and to close
    /// on them would be a reset, which overtakes what they were told last.
    fn wait_for_talkers(&mut self) {
        self.connections.retain(|_, connection| connection.websocket.is_some());
        let until = self.agenda.now() + ticks(CLOSE_TIMEOUT);
        let mut events = Events::with_capacity(1024);
        while !self.connections.is_empty() && self.agenda.now() < until {
            if self.poll.poll(&mut events, Some(self.agenda.until(until))).is_err() {
                return;
            }
            let tokens: Vec<Token> = events.iter().map(|event| event.token().0).collect();
            for token in tokens {
                let scratch = self.input.scratch();
                if let Some(connection) = self.connections.get_mut(token)
                    && connection.drop_input(scratch, BODY_BYTES_MAX).is_err()
                {
                    self.connections.remove(token);
                }
            }
        }
    }
}

/// Whoever does not get it sees the connection end, and comes back the same.
fn say_goodbye(connection: &mut Connection, account: &mut Account<'_>) {
    // Nothing follows a close frame.
    let is_over = connection.is_over();
    let outlet = &mut connection.outlet;
    let is_poll = outlet.socket.collector().is_some();
    if is_over || is_poll || !outlet.is_clear() {
        return;
    }
    let retry = jittered(DRAIN_RETURN);
    outlet.put(outlet.form.farewell(ByeReason::Drain, retry));
    let _ = outlet.flush(account);
    outlet.socket.end();
}
