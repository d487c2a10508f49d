//! What a WebSocket has beyond a stream: a client that talks, and is answered.

use std::collections::VecDeque;
use std::io;

use bellwire_model::limits::{BEATS_INCOMPLETE_MAX, PINGS_UNANSWERED_MAX, REQUESTS_IN_FLIGHT_MAX};
use bellwire_model::{PacedFilter, Principal};
use bellwire_wire::request::RequestId;
use bellwire_wire::ws::{self, CloseCode, Decoder, Role, Subprotocol};
use bytes::{Bytes, BytesMut};

use super::outlet::{Account, Outlet};
use super::subscription::Subscription;
use crate::form::WebSocketForm;

/// The talkative half of a connection.
#[derive(Debug)]
pub(super) struct WebSocket {
    pub(super) decoder: Decoder,
    pub(super) subprotocol: Subprotocol,
    /// Whose requests these are.
    pub(super) principal: Principal,
    /// Tells a reply for this connection from one for an earlier connection with the same token.
    pub(super) serial: u32,
    /// Subscriptions that are on their way to become part of the main one.
    pub(super) added: Vec<Added>,
    /// Filters of the main subscription that others of it cover: they count again when those go.
    pub(super) covered: Vec<PacedFilter>,
    replies: VecDeque<Bytes>,
    /// Requests that are yet to be replied to.
    pub(super) requests_in_flight: u16,
    /// Pings since the client has last been heard.
    pub(super) pings_unanswered: u8,
    /// Heartbeats since which something has been incomplete.
    pub(super) beats_incomplete: u8,
    /// The socket may have input that was not read yet.
    pub(super) has_input: bool,
    /// What was read and is yet to be listened to: a visit's budget was used up.
    pub(super) unheard: Box<[u8]>,
    phase: Phase,
}

/// A subscription that is catching up.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) subscription: Subscription,
    /// As in [`WebSocket::covered`].
    pub(super) covered: Vec<PacedFilter>,
    /// The request's, if it had one.
    pub(super) id: Option<RequestId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame is the last thing that is written.
    Ending,
    /// It has been written; the client's end of the connection is waited for.
    Ended,
}

impl WebSocket {
    pub(super) fn new(
        serial: u32,
        principal: Principal,
        (form, covered): (WebSocketForm, Vec<PacedFilter>),
    ) -> Self {
        Self {
            decoder: Decoder::new(Role::Server, form.compression),
            subprotocol: form.subprotocol,
            principal,
            serial,
            added: Vec::new(),
            covered,
            replies: VecDeque::new(),
            requests_in_flight: 0,
            pings_unanswered: 0,
            beats_incomplete: 0,
            // What came along with the handshake does not tell of itself.
            has_input: true,
            unheard: Box::default(),
            phase: Phase::Open,
        }
    }

    /// Whether the client is listened to: not while it has as many replies to come as it may, or
    /// does not read those that came; a subscription counts until it is ready. At the end its words
    /// are read, and not minded.
    pub(super) fn listens(&self) -> bool {
        let owed = self.requests_in_flight as usize + self.replies.len() + self.added.len();
        !self.is_open() || owed < REQUESTS_IN_FLIGHT_MAX
    }

    /// Whether it has said something that may be listened to now.
    pub(super) fn wants_to_talk(&self) -> bool {
        (self.has_input || !self.unheard.is_empty()) && self.listens()
    }

    /// Bytes that are held of what the client has said: in part, or more than was listened to.
    pub(super) fn held_bytes(&self) -> usize {
        self.decoder.held_bytes() + self.unheard.len()
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether a close frame is being written.
    pub(super) fn is_ending(&self) -> bool {
        self.phase == Phase::Ending
    }

    /// Whether all has been said.
    pub(super) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// A frame of its own for the client.
    pub(super) fn reply(&mut self, frame: Bytes) {
        if self.is_open() {
            self.replies.push_back(frame);
        }
    }

    /// A heartbeat is due: asks for a sign of the client, unless there is a reason to end.
    pub(super) fn beat(&mut self) -> Option<&'static str> {
        if self.pings_unanswered >= PINGS_UNANSWERED_MAX {
            return Some("no answer to pings");
        }
        if self.beats_incomplete >= BEATS_INCOMPLETE_MAX {
            return Some("what is sent takes too long to become complete");
        }
        // Who is not listened to cannot be heard.
        if self.listens() {
            self.pings_unanswered += 1;
            self.beats_incomplete += u8::from(self.decoder.held_bytes() > 0);
        }
        None
    }

    /// A close frame is the last thing that is written; what is held of the client's words is freed.
    pub(super) fn end(&mut self, code: CloseCode, reason: &str) {
        if self.is_open() {
            self.replies.push_back(ws::close(code, reason));
            self.phase = Phase::Ending;
        }
        self.decoder.end();
        self.unheard = Box::default();
    }

    /// The last words have been written: there may be an answer.
    pub(super) fn on_ended(&mut self) {
        self.phase = Phase::Ended;
        self.has_input = true;
    }

    /// Writes the replies; returns whether all were taken.
    pub(super) fn write_replies(
        &mut self,
        outlet: &mut Outlet,
        account: &mut Account<'_>,
    ) -> io::Result<bool> {
        loop {
            if !outlet.flush(account)? {
                return Ok(false);
            }
            match self.replies.len() {
                0 => {
                    self.replies = VecDeque::new();
                    return Ok(true);
                }
                1 => outlet.put(self.replies.pop_front().expect("there is one")),
                _ => {
                    // They are small: one write for all of them.
                    let mut all = BytesMut::new();
                    self.replies.drain(..).for_each(|reply| all.extend_from_slice(&reply));
                    outlet.put(all.freeze());
                }
            }
        }
    }
}
