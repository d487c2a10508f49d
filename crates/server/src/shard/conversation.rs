//! Conversations: what the clients of WebSockets say, and what they are answered.
//!
//! Input is read into one buffer of the shard. A connection holds some of it only while a frame
//! or a fragmented message is incomplete. A client that is owed as many replies as it may be is
//! not read from until it has taken some: it is held up, and nobody else.

use std::io::{self, Read};
use std::ops::ControlFlow;

use bellwire_hub::Start;
use bellwire_ingest::json as samples;
use bellwire_journal::Append;
use bellwire_model::limits::{
    CLOSE_TIMEOUT, READS_PER_VISIT_MAX, SUBSCRIPTIONS_ADDED_MAX, WEBSOCKET_HELD_BYTES_MAX,
};
use bellwire_model::{EffectiveFilter, Filter, PacedFilter};
use bellwire_wire::reply::{Reply, SampleError};
use bellwire_wire::request::{self, After, Request, RequestId};
use bellwire_wire::ws::{self, Close, CloseCode, Opcode, Received};

use super::connection::Which;
use super::turn::Shard;
use super::websocket::{Added, WebSocket};
use super::{Answered, Token, speech};
use crate::clock;
use crate::crash;
use crate::frames::Encoding;
use crate::problem::{Code, Problem};
use crate::publisher::Published;

impl Shard {
    /// The talkative half of a connection.
    pub(super) fn websocket(&mut self, token: Token) -> &mut WebSocket {
        self.connections[token].websocket.as_mut().expect("the caller knows that it is one")
    }

    /// Reads what the client of a WebSocket says, up to its share.
    pub(super) fn listen(&mut self, token: Token) {
        let mut scratch = std::mem::take(&mut self.input.scratch);
        for _ in 0..READS_PER_VISIT_MAX {
            if self.listen_once(token, &mut scratch).is_break() {
                self.input.scratch = scratch;
                return;
            }
        }
        self.input.scratch = scratch;
        self.queue(token);
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
            Ok(0) => self.close(token),
            Ok(bytes) => {
                self.hear(token, &mut scratch[..bytes]);
                return ControlFlow::Continue(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => websocket.has_input = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return ControlFlow::Continue(());
            }
            Err(_) => self.close(token),
        }
        ControlFlow::Break(())
    }

    /// Takes in bytes of a client.
    pub(super) fn hear(&mut self, token: Token, bytes: &mut [u8]) {
        let mut input = ws::Input::new(bytes);
        loop {
            let Some(connection) = self.connections.get_mut(token) else { return };
            let websocket = connection.websocket.as_mut().expect("only WebSockets are listened to");
            if !websocket.is_open() {
                return;
            }
            let held = websocket.decoder.held_bytes();
            let received = websocket.decoder.next(&mut input, &mut self.input.inflater);
            self.input.held_bytes += websocket.decoder.held_bytes();
            self.input.held_bytes -= held;
            match received {
                Ok(Some(received)) => {
                    websocket.pings_unanswered = 0;
                    self.on_received(token, received);
                }
                Ok(None) if self.input.held_bytes > WEBSOCKET_HELD_BYTES_MAX => {
                    let reason = "too much that is incomplete is held: come back later";
                    return websocket.end(CloseCode::TRY_AGAIN_LATER, reason);
                }
                Ok(None) => return,
                Err(violation) => {
                    return websocket.end(violation.close_code(), &violation.to_string());
                }
            }
        }
    }

    fn on_received(&mut self, token: Token, received: Received<'_>) {
        let encoding = self.connections[token].outlet.form.encoding;
        let websocket = self.websocket(token);
        let asked = match (received, encoding) {
            (Received::Ping(payload), _) => return websocket.reply(ws::pong(&payload)),
            (Received::Pong(_), _) => return,
            (Received::Close(close), _) => {
                let code = close.map_or(CloseCode::NORMAL, |Close { code, .. }| code);
                return websocket.end(code, "");
            }
            (Received::Text(text), Encoding::Json) => crash::contain(|| request::read_json(&text)),
            (Received::Binary(bytes), Encoding::Msgpack) => {
                crash::contain(|| request::read_msgpack(&bytes))
            }
            (Received::Text(_), _) => {
                return websocket.end(CloseCode::UNSUPPORTED, "requests are binary: MessagePack");
            }
            (Received::Binary(_), _) => {
                return websocket.end(CloseCode::UNSUPPORTED, "requests are text: JSON");
            }
        };
        let Some(asked) = asked else {
            tracing::error!("An invariant is broken by a request; its connection ends.");
            return self.close(token);
        };
        match asked.request {
            Ok(request) => self.on_request(token, asked.id, request),
            Err(refusal) => self.reply(token, asked.id.as_ref(), &Reply::from(&refusal)),
        }
    }

    fn on_request(&mut self, token: Token, id: Option<RequestId>, request: Request) {
        let done = match request {
            Request::Subscribe { topics, after, max_rate } => {
                let start = match after {
                    None | Some(After::Latest) => Start::Latest,
                    Some(After::Earliest) => Start::Earliest,
                    Some(After::Cursor(cursor)) => Start::After(cursor),
                };
                let paced = |filter| PacedFilter { filter, max_rate };
                let topics = topics.into_iter().map(paced).collect();
                self.subscribe(token, id.as_ref(), (topics, start))
            }
            Request::Unsubscribe { topics } => self.unsubscribe(token, &topics),
            Request::Publish { publish, idempotency_key } => {
                let event = self.surroundings.publisher.event(publish);
                let append = event.map(|event| Append { event, idempotency_key });
                return self.publish(token, id, append);
            }
            Request::Delete { topic, key } => {
                let event = self.surroundings.publisher.deletion(topic, &key);
                let append = event.map(|event| Append { event, idempotency_key: None });
                return self.publish(token, id, append);
            }
            Request::Samples { json } => return self.take_samples(token, id.as_ref(), &json),
        };
        match done {
            Ok(()) => self.reply(token, id.as_ref(), &Reply::Done),
            Err(problem) => self.refuse(token, id.as_ref(), &problem),
        }
    }

    fn subscribe(
        &mut self,
        token: Token,
        id: Option<&RequestId>,
        (topics, start): (Vec<PacedFilter>, Start),
    ) -> Result<(), Problem> {
        let asked = EffectiveFilter::new(topics.iter().cloned()).map_err(invalid)?;
        let connection = &self.connections[token];
        let websocket = connection.websocket.as_ref().expect("a WebSocket asks");
        if websocket.added.len() >= SUBSCRIPTIONS_ADDED_MAX {
            let detail = format!(
                "{SUBSCRIPTIONS_ADDED_MAX} subscriptions of this connection are not ready yet, the most at a time"
            );
            return Err(Problem::new(Code::ConnectionsExhausted, detail));
        }
        let all = connection.subscriptions().map(|one| self.hub.follows(one.delivery.lane()));
        let all = all.flat_map(EffectiveFilter::iter).chain(topics);
        let mut all: Vec<PacedFilter> = all.chain(websocket.covered.iter().cloned()).collect();
        all.sort_unstable();
        all.dedup();
        // As it will be once everything is ready.
        let union = EffectiveFilter::new(all.iter().cloned()).map_err(invalid)?;
        let (subscription, gap) = self.follow(token, &asked, start)?;
        let form = self.connections[token].outlet.form;
        let websocket = self.websocket(token);
        websocket.covered = all;
        websocket.covered.retain(|paced| !union.iter().any(|other| other == *paced));
        websocket.added.push(Added { subscription, id: id.cloned() });
        if let Some(gap) = gap {
            let gap = speech::control(form, &crate::controls::gap(&gap, asked.filters()), id);
            websocket.reply(gap);
        }
        Ok(())
    }

    fn unsubscribe(&mut self, token: Token, filters: &[Filter]) -> Result<(), Problem> {
        let websocket = self.websocket(token);
        let covered = std::mem::take(&mut websocket.covered);
        let connection = &self.connections[token];
        let follows = |filter: &Filter| {
            let mut all = connection.subscriptions().map(|one| one.delivery.lane());
            covered.iter().any(|paced| paced.filter == *filter)
                || all.any(|lane| self.hub.follows(lane).iter().any(|it| it.filter == *filter))
        };
        if let Some(unknown) = filters.iter().find(|filter| !follows(filter)) {
            let detail =
                format!("`{unknown}` is not followed: name filters as you subscribed them");
            self.websocket(token).covered = covered;
            return Err(Problem::new(Code::ParameterInvalid, detail));
        }
        let added = self.connections[token].subscriptions().count() - 1;
        for index in (0..added).rev() {
            let kept = self.rest(token, Which::Added(index), filters, &covered);
            if kept == EffectiveFilter::none() {
                self.cancel(token, index);
            } else {
                self.narrow(token, Which::Added(index), &kept);
            }
        }
        let kept = self.rest(token, Which::Main, filters, &covered);
        self.narrow(token, Which::Main, &kept);
        let is_covered = |paced: &PacedFilter| {
            let mut all = self.connections[token].subscriptions();
            !filters.contains(&paced.filter)
                && !all.any(|one| {
                    self.hub.follows(one.delivery.lane()).iter().any(|other| other == *paced)
                })
        };
        let covered = covered.into_iter().filter(is_covered).collect();
        self.websocket(token).covered = covered;
        // Whoever waited for history may need another page now, or none.
        self.connections[token].awaits_history = false;
        Ok(())
    }

    /// What a subscription follows without `filters`: what these covered counts again.
    fn rest(
        &mut self,
        token: Token,
        which: Which,
        filters: &[Filter],
        covered: &[PacedFilter],
    ) -> EffectiveFilter {
        let lane = which.of(&mut self.connections[token]).delivery.lane();
        let old = self.hub.follows(lane);
        let was_covered = covered.iter().filter(|paced| old.brings(paced)).cloned();
        let kept = old.iter().chain(was_covered).filter(|paced| !filters.contains(&paced.filter));
        EffectiveFilter::new(kept).unwrap_or_else(|_| EffectiveFilter::none())
    }

    fn publish(&mut self, token: Token, id: Option<RequestId>, append: Result<Append, Problem>) {
        let websocket = self.websocket(token);
        websocket.requests_in_flight += 1;
        let (serial, handle) = (websocket.serial, self.handle.clone());
        let reply_id = id.clone();
        let done = move |results: Result<crate::publisher::Results, Problem>| {
            let only = |results: crate::publisher::Results| {
                results.into_iter().next().expect("one result each")
            };
            handle.push_answer(Answered {
                token,
                serial,
                id: reply_id,
                result: results.and_then(only),
            });
        };
        let begun =
            append.and_then(|append| self.surroundings.publisher.publish_then(vec![append], done));
        if let Err(problem) = begun {
            self.websocket(token).requests_in_flight -= 1;
            self.refuse(token, id.as_ref(), &problem);
        }
    }

    /// What became of something that a client of this shard published.
    pub(super) fn take_answer(&mut self, answered: Answered) {
        let Answered { token, serial, id, result } = answered;
        let Some(connection) = self.connections.get_mut(token) else { return };
        let Some(websocket) = connection.websocket.as_mut().filter(|it| it.serial == serial) else {
            return;
        };
        websocket.requests_in_flight -= 1;
        let id = id.as_ref();
        match result {
            Ok(Published::Stream { cursor, duplicate: is_duplicate }) => {
                self.reply(token, id, &Reply::Published { cursor, is_duplicate });
            }
            Ok(Published::State) => self.reply(token, id, &Reply::Done),
            Err(problem) => self.refuse(token, id, &problem),
        }
        self.queue(token);
    }

    fn take_samples(&mut self, token: Token, id: Option<&RequestId>, json: &[u8]) {
        let format = match json.first() {
            Some(b'[') => samples::Format::Array,
            _ => samples::Format::Object,
        };
        let decoded = match samples::decode(format, json, clock::now()) {
            Ok(decoded) => decoded,
            Err(error) => {
                let problem = Problem::of_decoder(error.code(), error);
                return self.refuse(token, id, &problem);
            }
        };
        let (accepted, rejected) = (decoded.samples.len(), decoded.rejected);
        self.surroundings.figures.samples_rejected.add(rejected as u64);
        // With the last handler of HTTP goes the intake, and with the intake the evaluator.
        let intake = self.surroundings.intake.upgrade();
        let intake = intake.ok_or_else(|| Problem::new(Code::Draining, "the server ends"));
        if let Err(problem) = intake.and_then(|intake| intake.take_now(decoded.samples)) {
            return self.refuse(token, id, &problem);
        }
        let error = |one: &bellwire_ingest::Rejection| (one.line, one.code, one.detail.clone());
        let errors: Vec<_> = decoded.rejections.iter().map(error).collect();
        let errors: Vec<_> = errors
            .iter()
            .map(|(line, code, detail)| SampleError { line: *line, code, detail })
            .collect();
        self.reply(token, id, &Reply::Samples { accepted, rejected, errors: &errors });
    }

    fn refuse(&mut self, token: Token, id: Option<&RequestId>, problem: &Problem) {
        let (code, detail) = (problem.code.as_str(), problem.detail());
        self.reply(token, id, &Reply::Error { code, detail });
    }

    /// Answers a request. One without an id is told of errors alone.
    fn reply(&mut self, token: Token, id: Option<&RequestId>, reply: &Reply<'_>) {
        if id.is_none() && !matches!(reply, Reply::Error { .. }) {
            return;
        }
        let frame = match self.connections[token].outlet.form.encoding {
            Encoding::Msgpack => ws::frame(Opcode::Binary, &reply.msgpack_for(id)),
            _ => ws::frame(Opcode::Text, &reply.json_for(id)),
        };
        self.websocket(token).reply(frame);
    }

    /// The last words of a WebSocket are written: it waits a little for the client's end.
    pub(super) fn hang_up(&mut self, token: Token) {
        let now = self.ticker.now();
        let connection = &mut self.connections[token];
        connection.outlet.socket.end();
        connection.due_at = self.wheel.insert(token, now + clock::ticks(CLOSE_TIMEOUT));
        self.websocket(token).on_ended();
        self.listen(token);
    }
}

fn invalid(error: bellwire_model::FilterError) -> Problem {
    Problem::new(Code::TopicInvalid, error)
}
