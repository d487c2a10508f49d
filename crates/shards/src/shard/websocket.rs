//! What a WebSocket has beyond a stream: a client that talks, and is answered.

use std::io;

use bellwire_model::limits::{BEATS_INCOMPLETE_MAX, PINGS_UNANSWERED_MAX, REQUESTS_IN_FLIGHT_MAX};
use bellwire_model::{Filter, PacedFilter};
use bellwire_wire::request::RequestId;
use bellwire_wire::ws::{
    self, CloseCode, Decoder, Inflater, Input, Received, Role, Subprotocol, Violation,
};
use bytes::Bytes;

use super::outlet::{Account, Outlet};
use super::past_reader::PastReader;
use super::subscription::Subscription;
use crate::form::WebSocketForm;
use crate::requests::Held;

/// The talkative half of a connection.
#[derive(Debug)]
pub(super) struct WebSocket {
    decoder: Decoder,
    /// What it has beside while there is any of it: most only listen.
    talk: Option<Box<Talk>>,
    /// Tells a reply for this connection from one for an earlier connection with the same token.
    serial: u32,
    /// Requests that are yet to be replied to.
    requests_in_flight: u16,
    /// Pings since the client has last been heard.
    pings_unanswered: u8,
    /// Heartbeats since which something has been incomplete.
    beats_incomplete: u8,
    subprotocol: Subprotocol,
    /// The socket may have input that was not read yet.
    has_input: bool,
    phase: Phase,
}

// Every WebSocket has one.
const _: () = assert!(size_of::<WebSocket>() <= 40);

/// What a conversation needs beyond what every connection does.
#[derive(Debug, Default)]
struct Talk {
    /// Subscriptions that are on their way to become part of the main one.
    added: Vec<Added>,
    /// What was asked for in the main subscription, where something else is followed: filters that
    /// others cover count again when those go, and what may not be followed can be taken back, too.
    asked: Vec<PacedFilter>,
    /// What keeps the queries standing that it follows by `subscribe`.
    held: Vec<(Filter, Held)>,
    /// What is to be written ahead of all events.
    replies: Vec<Bytes>,
    /// What was read and is yet to be listened to: a visit's budget was used up.
    unheard: Box<[u8]>,
}

impl Talk {
    fn is_empty(&self) -> bool {
        let Self { added, asked, held, replies, unheard } = self;
        let follows_no_more = added.is_empty() && asked.is_empty() && held.is_empty();
        follows_no_more && replies.is_empty() && unheard.is_empty()
    }
}

/// A subscription that is catching up.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) subscription: Subscription,
    /// As [`WebSocket::asked`] is of the main one.
    pub(super) asked: Vec<PacedFilter>,
    /// The request's, if it had one.
    pub(super) id: Option<RequestId>,
    /// How far it has come in the past that it wants.
    pub(super) past: Option<Box<PastReader>>,
    /// Whether it is to be told of state topics that have ended, behind their values.
    pub(super) are_ends_owed: bool,
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
    pub(super) fn new(serial: u32, (form, asked): (WebSocketForm, Vec<PacedFilter>)) -> Self {
        let mut new = Self {
            decoder: Decoder::new(Role::Server, form.compression),
            talk: None,
            serial,
            requests_in_flight: 0,
            pings_unanswered: 0,
            beats_incomplete: 0,
            subprotocol: form.subprotocol,
            // What came along with the handshake does not tell of itself.
            has_input: true,
            phase: Phase::Open,
        };
        new.set_asked(asked);
        new
    }

    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    pub(super) fn subprotocol(&self) -> Subprotocol {
        self.subprotocol
    }

    /// Whether it has more than one that only listens.
    #[cfg(test)]
    pub(super) fn holds_talk(&self) -> bool {
        self.talk.is_some()
    }

    /// Does something to what a conversation needs, of which nothing is kept that is empty.
    fn talk<T>(&mut self, act: impl FnOnce(&mut Talk) -> T) -> T {
        let mut talk = self.talk.take().unwrap_or_default();
        let result = act(&mut talk);
        self.talk = Some(talk).filter(|talk| !talk.is_empty());
        result
    }

    /// Subscriptions that are on their way to become part of the main one.
    pub(super) fn added(&self) -> &[Added] {
        self.talk.as_ref().map_or(&[], |talk| &talk.added)
    }

    /// [`added`](Self::added), to go on with.
    pub(super) fn added_mut(&mut self) -> &mut [Added] {
        self.talk.as_mut().map_or(&mut [], |talk| &mut talk.added)
    }

    /// One more is on its way.
    pub(super) fn add(&mut self, added: Added) {
        self.talk(|talk| talk.added.push(added));
    }

    /// One is on its way no more. The last takes its place.
    pub(super) fn take_added(&mut self, index: usize) -> Added {
        self.talk(|talk| talk.added.swap_remove(index))
    }

    /// What was asked for in the main subscription, where something else is followed.
    pub(super) fn asked(&self) -> &[PacedFilter] {
        self.talk.as_ref().map_or(&[], |talk| &talk.asked)
    }

    /// Keeps queries standing.
    pub(super) fn hold(&mut self, held: Vec<(Filter, Held)>) {
        self.talk(|talk| talk.held.extend(held));
    }

    /// These queries are no longer followed.
    pub(super) fn let_go(&mut self, topics: &[Filter]) {
        if self.talk.as_ref().is_some_and(|talk| !talk.held.is_empty()) {
            self.talk(|talk| talk.held.retain(|(topic, _)| !topics.contains(topic)));
        }
    }

    pub(super) fn set_asked(&mut self, asked: Vec<PacedFilter>) {
        if self.talk.is_some() || !asked.is_empty() {
            self.talk(|talk| talk.asked = asked);
        }
    }

    /// Whether the client is listened to: not while it has as many replies to come as it may, or
    /// does not read those that came; a subscription counts until it is ready. At the end its words
    /// are read, and not minded.
    pub(super) fn listens(&self) -> bool {
        let waits = self.talk.as_ref().map_or(0, |talk| talk.replies.len() + talk.added.len());
        !self.is_open() || self.requests_in_flight as usize + waits < REQUESTS_IN_FLIGHT_MAX
    }

    /// Whether it has said something that may be listened to now.
    pub(super) fn wants_to_talk(&self) -> bool {
        (self.has_input || self.unheard_bytes() > 0) && self.listens()
    }

    /// The socket may have input.
    pub(super) fn on_readable(&mut self) {
        self.has_input = true;
    }

    /// The socket has no more input.
    pub(super) fn on_read_up(&mut self) {
        self.has_input = false;
    }

    /// The client has given a sign of life.
    pub(super) fn on_heard(&mut self) {
        self.pings_unanswered = 0;
    }

    /// The next that the client says in `input`, as [`Decoder::next`] has it.
    pub(super) fn decode<'a>(
        &mut self,
        input: &mut Input<'a>,
        inflater: &mut Inflater,
    ) -> Result<Option<Received<'a>>, Violation> {
        let received = self.decoder.next(input, inflater);
        if self.decoder.held_bytes() == 0 {
            self.beats_incomplete = 0;
        }
        received
    }

    fn unheard_bytes(&self) -> usize {
        self.talk.as_ref().map_or(0, |talk| talk.unheard.len())
    }

    /// What was read and not listened to yet.
    pub(super) fn take_unheard(&mut self) -> Box<[u8]> {
        match &self.talk {
            Some(_) => self.talk(|talk| std::mem::take(&mut talk.unheard)),
            None => Box::default(),
        }
    }

    /// This was read, and is to be listened to in the next visit.
    pub(super) fn keep_unheard(&mut self, unheard: &[u8]) {
        self.talk(|talk| talk.unheard = Box::from(unheard));
    }

    /// Bytes that are held of what the client has said: in part, or more than was listened to.
    pub(super) fn held_bytes(&self) -> usize {
        self.decoder.held_bytes() + self.unheard_bytes()
    }

    /// The client is owed a reply.
    pub(super) fn begin_request(&mut self) {
        self.requests_in_flight += 1;
    }

    /// It is known what to reply.
    pub(super) fn end_request(&mut self) {
        self.requests_in_flight -= 1;
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
            self.talk(|talk| talk.replies.push(frame));
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
        self.reply(ws::close(code, reason));
        if self.is_open() {
            self.phase = Phase::Ending;
        }
        self.decoder.end();
        self.take_unheard();
    }

    /// Whether it was told to end.
    pub(super) fn is_ended(&self) -> bool {
        self.phase != Phase::Open
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
        if !outlet.flush(account)? {
            return Ok(false);
        }
        if self.talk.as_ref().is_none_or(|talk| talk.replies.is_empty()) {
            return Ok(true);
        }
        let mut replies = self.talk(|talk| std::mem::take(&mut talk.replies));
        outlet.put(match &mut replies[..] {
            [one] => std::mem::take(one),
            // They are small: one write for all of them.
            many => many.concat().into(),
        });
        outlet.flush(account)
    }
}
