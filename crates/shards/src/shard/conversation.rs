//! Conversations: what the clients of WebSockets say, and what they are answered.
//!
//! Input is read into one buffer of the shard. A connection holds some of it only while a frame
//! or a fragmented message is incomplete. A client that is owed as many replies as it may be is
//! not read from until it has taken some: it is held up, and nobody else.

use std::io::{self, Read};
use std::net::IpAddr;
use std::ops::ControlFlow;

use bellwire_hub::Start;
use bellwire_model::limits::{CLOSE_TIMEOUT, READS_PER_VISIT_MAX};
use bellwire_model::{AskedQuery, NewAcknowledgement};
use bellwire_process::clock;
use bellwire_process::crash;
use bellwire_wire::problem::Problem;
use bellwire_wire::reply::{Reply, SampleError};
use bellwire_wire::request::{self, After, Request, RequestId, Token as Shown};
use bellwire_wire::ws::{self, Close, CloseCode, Opcode, Received, Subprotocol};

use super::following::Subscribed;
use super::parts::Shard;
use super::websocket::WebSocket;
use super::{Answered, Done, ToFollow, Token, standing, work};
use crate::closed::CloseReason;
use crate::publisher::Published;
use crate::requests::{FollowedQueries, Reply as Replied, Requests, SampleRejection, SamplesTaken};

impl Shard {
    /// The talkative half of a connection.
    pub(super) fn websocket(&mut self, token: Token) -> &mut WebSocket {
        self.connections[token].websocket.as_mut().expect("the caller knows that it is one")
    }

    /// Reads what the client of a WebSocket says, until a visit's budget is used up.
    pub(super) fn listen(&mut self, token: Token) {
        self.ledger.begin_visit(self.counts());
        let mut unheard = self.websocket(token).take_unheard();
        if !unheard.is_empty() {
            self.hear(token, &mut unheard);
        }
        let mut scratch = self.input.borrow_scratch();
        let mut reads = 0;
        let has_more = loop {
            if reads == READS_PER_VISIT_MAX || self.has_visited_enough() {
                break true;
            }
            if self.listen_once(token, &mut scratch).is_break() {
                break false;
            }
            reads += 1;
        };
        self.input.give_back(scratch);
        if has_more && self.connections.contains(token) {
            self.queue(token);
        }
    }

    /// Whether what a client says has caused as much in this visit as it may.
    fn has_visited_enough(&self) -> bool {
        self.ledger.visit(self.counts()).uses_up(&work::VISIT)
    }

    /// Breaks where there is nothing to read, or nobody to listen to.
    fn listen_once(&mut self, token: Token, scratch: &mut [u8]) -> ControlFlow<()> {
        let Some(connection) = self.connections.get_mut(token) else {
            return ControlFlow::Break(());
        };
        if !connection.wants_to_talk() {
            return ControlFlow::Break(());
        }
        let websocket = connection.websocket.as_mut().expect("only WebSockets talk");
        match connection.outlet.socket.read(scratch) {
            // It has said its last word, and may wait for ours.
            Ok(0) if websocket.is_ending() => websocket.on_read_up(),
            Ok(0) => self.close(token, CloseReason::ClientClosed),
            Ok(bytes) => {
                websocket.on_heard();
                self.traffic.at(connection.traffic).add_up(0, bytes as u64);
                self.ledger.add_read(bytes);
                self.hear(token, &mut scratch[..bytes]);
                return ControlFlow::Continue(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => websocket.on_read_up(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return ControlFlow::Continue(());
            }
            Err(error) => self.fail(token, &error),
        }
        ControlFlow::Break(())
    }

    /// Takes in bytes of a client. What a visit has no budget for waits for the next.
    pub(super) fn hear(&mut self, token: Token, bytes: &mut [u8]) {
        let mut input = ws::Input::new(bytes);
        loop {
            let Some(connection) = self.connections.get_mut(token) else { return };
            let websocket = connection.websocket.as_mut().expect("only WebSockets are listened to");
            if !websocket.is_open() {
                return;
            }
            match websocket.decode(&mut input, &mut self.input.inflater) {
                Ok(Some(received)) => self.on_received(token, received),
                Ok(None) => return self.note_hoard(token),
                Err(violation) => {
                    let said = (violation.close_code(), &*violation.to_string());
                    return self.end(token, said, CloseReason::ProtocolViolation);
                }
            }
            if self.has_visited_enough() && !input.is_empty() {
                if let Some(connection) = self.connections.get_mut(token)
                    && let Some(websocket) = connection.websocket.as_mut()
                    && websocket.is_open()
                {
                    websocket.keep_unheard(input.into_rest());
                    self.note_hoard(token);
                }
                return;
            }
        }
    }

    /// Counts what is held of a client's words. Where that is too much in all, those end who hoard.
    fn note_hoard(&mut self, token: Token) {
        let bytes = self.websocket(token).held_bytes();
        self.input.hoards.note(token, bytes);
        if !self.input.hoards.is_full() {
            return;
        }
        for hoarder in self.input.hoards.worst() {
            let reason = "too much that is incomplete is held: come back later";
            self.end(hoarder, (CloseCode::TRY_AGAIN_LATER, reason), CloseReason::Hoarding);
            self.queue(hoarder);
        }
    }

    fn on_received(&mut self, token: Token, received: Received<'_>) {
        let websocket = self.websocket(token);
        let asked = match (received, websocket.subprotocol()) {
            (Received::Ping(payload), _) => return websocket.reply(ws::pong(&payload)),
            (Received::Pong(_), _) => return,
            (Received::Close(close), _) => {
                let code = close.map_or(CloseCode::NORMAL, |Close { code, .. }| code);
                return self.end(token, (code, ""), CloseReason::ClientClosed);
            }
            (Received::Text(text), Subprotocol::Json) => {
                crash::contain(|| request::read_json(&text))
            }
            (Received::Binary(bytes), Subprotocol::Msgpack) => {
                crash::contain(|| request::read_msgpack(&bytes))
            }
            (Received::Text(_), _) => {
                return self.end_unsupported(token, "requests are binary: MessagePack");
            }
            (Received::Binary(_), _) => {
                return self.end_unsupported(token, "requests are text: JSON");
            }
        };
        let Some(asked) = asked else {
            tracing::error!("An invariant is broken by a request; its connection ends.");
            return self.close(token, CloseReason::ServerFault);
        };
        self.traffic.at(self.connections[token].traffic).add_up(1, 0);
        match asked.request {
            Ok(request) => self.on_request(token, asked.id, request),
            Err(refusal) => self.reply(token, asked.id.as_ref(), &Reply::from(&refusal)),
        }
    }

    fn on_request(&mut self, token: Token, id: Option<RequestId>, request: Request) {
        let principal = self.connections[token].principal;
        let is_renewal = matches!(request, Request::Renew { .. });
        if !is_renewal && !standing::counts(&*self.surroundings.authority, principal) {
            return self.refuse(token, id.as_ref(), &standing::ended());
        }
        let done = match request {
            Request::Subscribe { topics, queries, after, max_rate, history } => {
                let start = match after {
                    None | Some(After::Latest) => Start::Latest,
                    Some(After::Earliest) => Start::Earliest,
                    Some(After::Cursor(cursor)) => Start::After(cursor),
                };
                let wanted = ToFollow { topics, start, max_rate, history };
                if !queries.is_empty() {
                    return self.ask_to_follow(token, id, (queries, wanted));
                }
                self.subscribe(token, id.as_ref(), wanted.paced()).map(Some)
            }
            Request::Unsubscribe { topics } => {
                let done = self.unsubscribe(token, &topics);
                done.map(|()| self.websocket(token).let_go(&topics)).map(|()| None)
            }
            Request::Publish { post, idempotency_key } => {
                return self.ask(token, id, |requests, reply| {
                    requests.publish(principal, post, idempotency_key, reply)
                });
            }
            Request::Delete { topic, key, condition } => {
                return self.ask(token, id, |requests, reply| {
                    requests.delete(principal, (topic, &key), condition, reply)
                });
            }
            Request::DeleteAll { topic, prefix } => {
                return self.ask(token, id, |requests, reply| {
                    requests.delete_all(principal, (topic, &prefix), reply)
                });
            }
            Request::Touch { topic, key, terms } => {
                return self.ask(token, id, |requests, reply| {
                    requests.touch(principal, (topic, &key), terms, reply)
                });
            }
            Request::Acknowledge { fingerprint, by, note } => {
                return self.ask(token, id, |requests, reply| {
                    requests.acknowledge(
                        principal,
                        fingerprint,
                        NewAcknowledgement { by, note },
                        reply,
                    )
                });
            }
            Request::Unacknowledge { fingerprint } => {
                return self.ask(token, id, |requests, reply| {
                    requests.unacknowledge(principal, fingerprint, reply)
                });
            }
            Request::Renew { token: Shown(shown) } => return self.ask_to_renew(token, id, shown),
            Request::Samples { json } => return self.take_samples(token, id, &json),
        };
        match done {
            Ok(None) => self.reply(token, id.as_ref(), &Reply::Done),
            Ok(Some(subscribed)) => self.reply_of_subscription(token, id.as_ref(), subscribed),
            Err(problem) => self.refuse(token, id.as_ref(), &problem),
        }
    }

    fn reply_of_subscription(
        &mut self,
        token: Token,
        id: Option<&RequestId>,
        Subscribed { narrowed, first }: Subscribed,
    ) {
        let reply = match &narrowed {
            Some(topics) => Reply::Narrowed { topics },
            None => Reply::Done,
        };
        self.reply(token, id, &reply);
        if let Some(frame) = first {
            self.websocket(token).reply(frame);
        }
    }

    /// Has queries stand, which are followed then.
    fn ask_to_follow(
        &mut self,
        token: Token,
        id: Option<RequestId>,
        (queries, wanted): (Vec<AskedQuery>, ToFollow),
    ) {
        let (principal, source) = (self.connections[token].principal, self.source(token));
        let reply = self.begin_request(token, id.clone());
        let queries = (queries, wanted.history);
        let done = |followed| Done::Queries(followed, wanted);
        let reply = Box::new(move |result: Result<_, _>| reply(result.map(done)));
        let requests = &self.surroundings.requests;
        if let Err(problem) = requests.follow_queries(principal, source, queries, reply) {
            self.end_request(token, id.as_ref(), &problem);
        }
    }

    /// Queries stand: they are followed as other topics are.
    fn follow_queries(
        &mut self,
        token: Token,
        id: Option<&RequestId>,
        (FollowedQueries(followed), mut wanted): (FollowedQueries, ToFollow),
    ) {
        wanted.topics.extend(followed.iter().map(|(topic, _)| topic.clone()));
        match self.subscribe(token, id, wanted.paced()) {
            Ok(subscribed) => {
                self.websocket(token).hold(followed);
                self.reply_of_subscription(token, id, subscribed);
            }
            Err(problem) => self.refuse(token, id, &problem),
        }
    }

    /// Asks the rest of the server for something that takes a while.
    fn ask(
        &mut self,
        token: Token,
        id: Option<RequestId>,
        ask: impl FnOnce(&dyn Requests, Replied) -> Result<(), Problem>,
    ) {
        let reply = self.begin_request(token, id.clone());
        let reply = Box::new(move |result: Result<_, _>| reply(result.map(Done::Published)));
        if let Err(problem) = ask(&*self.surroundings.requests, reply) {
            self.end_request(token, id.as_ref(), &problem);
        }
    }

    /// Has it found out who the client is by what it shows now.
    fn ask_to_renew(&mut self, token: Token, id: Option<RequestId>, shown: Box<str>) {
        let (principal, source) = (self.connections[token].principal, self.source(token));
        let reply = self.begin_request(token, id.clone());
        let reply = Box::new(move |result: Result<_, _>| reply(result.map(Done::Renewed)));
        if let Err(problem) = self.surroundings.requests.renew(principal, source, shown, reply) {
            self.end_request(token, id.as_ref(), &problem);
        }
    }

    /// Hands samples to the rules.
    fn take_samples(&mut self, token: Token, id: Option<RequestId>, json: &[u8]) {
        let (principal, source) = (self.connections[token].principal, self.source(token));
        let reply = self.begin_request(token, id.clone());
        let reply = Box::new(move |result: Result<_, _>| reply(result.map(Done::Sampled)));
        let requests = &self.surroundings.requests;
        if let Err(problem) = requests.take_samples(principal, source, json, reply) {
            self.end_request(token, id.as_ref(), &problem);
        }
    }

    /// The address of a client, where that is known.
    pub(super) fn source(&self, token: Token) -> Option<IpAddr> {
        let connection = &self.connections[token];
        let peer = || connection.outlet.socket.peer().map(|address| address.ip());
        connection.client().or_else(peer)
    }

    /// Notes that a client is owed a reply. What is returned brings the result to this shard, from
    /// whatever thread.
    fn begin_request(
        &mut self,
        token: Token,
        id: Option<RequestId>,
    ) -> impl FnOnce(Result<Done, Problem>) + Send + use<> {
        let websocket = self.websocket(token);
        websocket.begin_request();
        let (serial, handle) = (websocket.serial(), self.handle.clone());
        move |result| handle.push_answer(Answered { token, serial, id, result })
    }

    /// What was begun is refused at once.
    fn end_request(&mut self, token: Token, id: Option<&RequestId>, problem: &Problem) {
        self.websocket(token).end_request();
        self.refuse(token, id, problem);
    }

    /// What became of something that a client of this shard asked of others.
    pub(super) fn take_answer(&mut self, answered: Answered) {
        let Answered { token, serial, id, result } = answered;
        let Some(connection) = self.connections.get_mut(token) else { return };
        let Some(websocket) = connection.websocket.as_mut().filter(|it| it.serial() == serial)
        else {
            return;
        };
        websocket.end_request();
        let id = id.as_ref();
        match result {
            Ok(Done::Published(Published::Stream { cursor, duplicate: is_duplicate, end })) => {
                self.reply(token, id, &Reply::Published { cursor, is_duplicate, end });
            }
            Ok(Done::Published(Published::Closed { closure, cursor, duplicate })) => {
                let reply = Reply::Closed { closure, cursor, is_duplicate: duplicate };
                self.reply(token, id, &reply);
            }
            Ok(Done::Published(Published::State { version, end })) => {
                self.reply(token, id, &Reply::Written { version, end });
            }
            Ok(Done::Published(Published::Known { epoch, sequence })) => {
                self.reply(token, id, &Reply::Known { epoch, sequence });
            }
            Ok(Done::Published(Published::Deleted { keys })) => {
                self.reply(token, id, &Reply::Deleted { keys });
            }
            Ok(Done::Published(Published::Board)) => self.reply(token, id, &Reply::Done),
            Ok(Done::Sampled(samples)) => self.reply_of_samples(token, id, &samples),
            Ok(Done::Renewed(principal)) => {
                self.reply(token, id, &Reply::Done);
                self.renew(token, principal);
            }
            Ok(Done::Queries(followed, wanted)) => {
                self.follow_queries(token, id, (followed, wanted));
            }
            Err(problem) => self.refuse(token, id, &problem),
        }
        if self.connections.contains(token) {
            self.queue(token);
        }
    }

    fn reply_of_samples(&mut self, token: Token, id: Option<&RequestId>, samples: &SamplesTaken) {
        let SamplesTaken { accepted, rejected, ref rejections } = *samples;
        let errors: Vec<_> = rejections
            .iter()
            .map(|SampleRejection { line, code, detail }| SampleError { line: *line, code, detail })
            .collect();
        self.reply(token, id, &Reply::Samples { accepted, rejected, errors: &errors });
    }

    fn refuse(&mut self, token: Token, id: Option<&RequestId>, problem: &Problem) {
        let (code, detail) = (problem.code.as_str(), problem.detail());
        let (version, numbers) = (problem.text_of("version"), problem.numbers());
        let (numbers, may_be_taken) = (&numbers[..], problem.is_maybe_taken());
        let retry_after_s = problem.retry_after_s();
        let reply = Reply::Error { code, detail, version, numbers, may_be_taken, retry_after_s };
        self.reply(token, id, &reply);
    }

    /// Answers a request. One without an id is told of errors alone.
    fn reply(&mut self, token: Token, id: Option<&RequestId>, reply: &Reply<'_>) {
        if id.is_none() && !matches!(reply, Reply::Error { .. }) {
            return;
        }
        let websocket = self.websocket(token);
        websocket.reply(match websocket.subprotocol() {
            Subprotocol::Json => ws::frame(Opcode::Text, &reply.json_for(id)),
            Subprotocol::Msgpack => ws::frame(Opcode::Binary, &reply.msgpack_for(id)),
        });
    }

    /// Begins to end a conversation: nothing but a close frame follows what is being written.
    pub(super) fn end(
        &mut self,
        token: Token,
        (code, text): (CloseCode, &str),
        reason: CloseReason,
    ) {
        // Its socket still knows whose it is.
        self.note_closed(token, reason);
        self.websocket(token).end(code, text);
        self.input.hoards.note(token, 0);
    }

    /// The same where what came is not of the kind that was agreed upon.
    fn end_unsupported(&mut self, token: Token, text: &str) {
        self.end(token, (CloseCode::UNSUPPORTED, text), CloseReason::ProtocolViolation);
    }

    /// The last words of a WebSocket are written, and the client is told that nothing follows. It
    /// has a little time to end the connection itself: to close it while the client still sends
    /// would be a reset, which overtakes those words.
    pub(super) fn hang_up(&mut self, token: Token) {
        // Who was not told to end has all that there was.
        self.note_closed(token, CloseReason::TopicsEnded);
        let now = self.agenda.now();
        let connection = &mut self.connections[token];
        connection.outlet.socket.end();
        connection.due_at = self.agenda.look_after(token, now + clock::ticks(CLOSE_TIMEOUT));
        self.websocket(token).on_ended();
        self.listen(token);
    }
}
