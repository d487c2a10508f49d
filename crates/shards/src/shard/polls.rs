//! Long polls: connections of a shard that are answered once.
//!
//! ```text
//! handler ── PollRequest ─▶ inbox ─▶ Shard ─▶ Collector: Hub::next, pointers
//!    ▲                                           │ there is something, or the time is up
//!    └────────────── Collected ◀─────────────────┘
//! ```
//!
//! A poll has a lane, a delivery, pages of history and a place on the wheel like any stream. It
//! has no socket: the handler encodes the answer, off the shard.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwire_hub::Start;
use bellwire_process::clock::{TICK, Tick, ticks};
use bellwire_wire::problem::{Code, Problem};

use super::collector::{Asked, Collector, Ticket};
use super::connection::Connection;
use super::marks::Marks;
use super::membership::Begun;
use super::outlet::Outlet;
use super::parts::Shard;
use super::socket::Socket;
use super::{Handoff, ShardHandle, Token, standing};
use crate::authority::HeldPrincipal;
use crate::closed::CloseReason;
use crate::ends;
use crate::form::{Coding, Encoding, Form, Framing, HttpForm};
use crate::poll::Collected;
use crate::presence;
use crate::stream_request::{PollRequest, StreamRequest};

/// A poll that a shard collects for. Whoever drops it gives it up.
#[derive(Debug)]
pub struct Pending {
    asked: Asked,
    shard: ShardHandle,
    is_answered: bool,
}

impl Pending {
    /// Asks a shard.
    pub(super) fn ask(
        shard: &ShardHandle,
        request: PollRequest,
        principal: HeldPrincipal,
    ) -> Result<Self, Problem> {
        let PollRequest { follows, start, wait, is_narrowed, resumes_state, present, .. } = request;
        let (collector, asked) = Collector::new(wait);
        // Its JSON is what a line has.
        let (encoding, coding, framing) = (Encoding::Ndjson, Coding::Identity, Framing::Plain);
        let form = Form::Http(HttpForm { encoding, coding, framing });
        let handoff = Handoff {
            socket: Socket::Collector(collector),
            request: StreamRequest {
                is_narrowed,
                resumes_state,
                present,
                ..StreamRequest::new(follows, start, form)
            },
            principal,
            early: Box::default(),
            place: None,
            answers: None,
        };
        shard.adopt(handoff).map_err(|_| {
            let detail = "too many streams and polls come at once";
            Problem::new(Code::ConnectionsExhausted, detail).retry_after(1)
        })?;
        Ok(Self { asked, shard: shard.clone(), is_answered: false })
    }

    /// Waits for the answer.
    pub async fn collected(mut self) -> Result<Collected, Problem> {
        let reply = (&mut self.asked.answer).await;
        self.is_answered = true;
        reply.unwrap_or_else(|_| {
            let detail = "the poll could not keep up with what changes: ask again";
            Err(Problem::new(Code::ReadersBusy, detail).retry_after(1))
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_answered {
            // Before the shard is told: one that it is yet to take in, it leaves out.
            self.asked.answer.close();
            self.shard.give_up(Arc::clone(&self.asked.ticket));
        }
    }
}

impl Shard {
    /// Takes a poll in, and answers it if there is something.
    pub(super) fn adopt_poll(
        &mut self,
        mut collector: Box<Collector>,
        mut request: StreamRequest,
        principal: HeldPrincipal,
    ) {
        let token = self.connections.vacant_key();
        let now = self.agenda.now();
        let followed = if collector.is_given_up() {
            None
        } else {
            let admitted =
                standing::ends_at(&*self.surroundings.authority, principal.principal(), now);
            let begun = admitted.and_then(|ends_at| {
                self.permit_anew(principal.principal(), &mut request)?;
                let present = self.present(&request, (principal.principal(), None))?;
                if present.as_ref().is_some_and(|present| !present.is_known()) {
                    return Err(presence::unknown_poll());
                }
                Ok((self.begin(token, &request.follows, request.start())?, ends_at, present))
            });
            begun.map_err(|problem| collector.refuse(&problem)).ok()
        };
        let Some((begun, ends_at, present)) = followed else { return self.handle.forget_poll() };
        let Begun { subscription: main, gap, reset } = begun;
        if let Some(gap) = gap {
            collector.tell_gap(gap, request.follows.filters());
        }
        if let Some(cursor) = reset.filter(|_| request.resumes_state) {
            collector.tell_reset(cursor, request.follows.filters());
        }
        let begun_at = (request.start, main.delivery.offset());
        let journal = &*self.surroundings.journal;
        collector.tell_ends(ends::owed(journal, request.follows.filters(), begun_at));
        collector.marks = Marks::of(&request);
        collector.become_one(
            token,
            match request.start {
                Start::After(cursor) => cursor,
                Start::Earliest | Start::Latest => self.hub.cursor(&main.delivery),
            },
        );
        let has_time = !collector.wait.is_zero() && !self.handle.is_drained();
        // The tick has begun already: one more, so that no wait is cut short.
        let wait = if has_time { ticks(collector.wait + TICK) } else { 0 };
        // It lasts no longer than what its client has shown.
        collector.due = ends_at.min(now + wait);
        let due = collector.due;
        let outlet = Outlet::new(Socket::Collector(collector), request.form, now);
        let key =
            self.connections.insert(Connection::new(outlet, main, None, (principal.take(), None)));
        assert_eq!(key, token, "the slot that was vacant");
        self.keep_present(token, present);
        self.connections[token].due_at = self.agenda.look_after(token, due);
        self.visit(token);
    }

    /// The client of a poll has gone.
    pub(super) fn on_given_up(&mut self, ticket: &Arc<Ticket>) {
        let Some(token) = ticket.token() else { return };
        let connection = self.connections.get(token);
        let collector = connection.and_then(|connection| connection.outlet.socket.collector());
        if collector.is_some_and(|collector| collector.is_of(ticket)) {
            self.close(token, CloseReason::ClientClosed);
        }
    }

    /// A poll's time is up: it is answered as soon as it has what there is. Returns when it wants
    /// to be looked after again, as [`attend`](Self::attend) does.
    pub(super) fn attend_poll(&mut self, token: Token, due: Tick, now: Tick) -> Option<Tick> {
        if now < due {
            return Some(due);
        }
        self.visit(token);
        // History is on its way, and brings the answer.
        let interval = ticks(self.surroundings.timing.heartbeat_interval);
        self.connections.contains(token).then_some(now + interval)
    }

    /// Answers every poll with what there is.
    pub(super) fn drain_polls(&mut self) {
        let is_poll = |handoff: &Handoff| matches!(handoff.socket, Socket::Collector(_));
        let waiting = self.agenda.take_expected().into_iter();
        let (polls, others): (VecDeque<_>, VecDeque<_>) = waiting.partition(is_poll);
        self.agenda.expect(others);
        for poll in polls {
            self.adopt(poll);
        }
        let now = self.agenda.now();
        let mut tokens = Vec::new();
        for (token, connection) in &mut self.connections {
            if let Some(collector) = connection.outlet.socket.collector_mut() {
                collector.due = collector.due.min(now);
                tokens.push(token);
            }
        }
        for token in tokens {
            self.visit(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_model::{Filter, FilterSet};

    use super::super::inbox::poll_and_handle;
    use super::*;

    #[test]
    fn a_poll_that_is_dropped_is_given_up() {
        let (_poll, shard) = poll_and_handle(mio::Token(0)).expect("a poll");
        let ask = || {
            let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
            let request = PollRequest::new(filters.into(), Start::Latest, Duration::ZERO);
            Pending::ask(&shard, request, crate::HeldPrincipal::anonymous()).expect("room")
        };
        let (kept, dropped) = (ask(), ask());
        drop(dropped);
        let waiting = shard.0.take();
        let given_up: Vec<bool> = waiting
            .adoptions
            .iter()
            .map(|handoff| handoff.socket.collector().expect("a poll").is_given_up())
            .collect();
        assert_eq!(given_up, [false, true]);
        let last = waiting.adoptions.back().and_then(|handoff| handoff.socket.collector());
        assert!(last.expect("a poll").is_of(&waiting.given_up[0]));
        assert_eq!(waiting.given_up.len(), 1);
        drop(kept);
    }
}
