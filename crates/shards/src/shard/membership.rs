//! Who is in a shard and follows what: connections come, subscribe to more or less, and go.

use std::io;

use bellwire_hub::{Begin, Delivery, Gap, Joined, LaneEnd, LaneId, Start};
use bellwire_journal::{Bounds, Ended};
use bellwire_model::limits::IDLE_INPUT_BYTES_MAX;
use bellwire_model::{Cursor, EffectiveFilter, PacedFilter, Principal, StateMark, Topic};
use bellwire_process::clock::{self, Tick, ticks};
use bellwire_wire::Control;
use bellwire_wire::problem::{Code, Problem};
use bytes::{Bytes, BytesMut};

use super::connection::{Connection, Which};
use super::marks::Marks;
use super::outlet::Outlet;
use super::parts::{self, Shard};
use super::past_reader::PastReader;
use super::socket::Socket;
use super::speech::Speech;
use super::subscription::Subscription;
use super::websocket::{Added, WebSocket};
use super::{Handoff, Place, Token, speech, standing};
use crate::closed::CloseReason;
use crate::ends;
use crate::form::Form;
use crate::presence::Present;
use crate::stream_request::StreamRequest;
use crate::topics::Kind;
use crate::transport::Transport;

const TOO_MANY_VALUES: &str = "the keys of state topics that are followed take as much memory as they \
                               may: follow fewer of them";

/// A subscription that has begun, and what to tell of it before all else.
pub(super) struct Begun {
    pub(super) subscription: Subscription,
    pub(super) gap: Option<Gap>,
    /// What its client had of state topics is void, with what is left of its cursor.
    pub(super) reset: Option<Cursor>,
}

/// Topics that had ended when a subscription began.
pub(super) struct EarlierEnds {
    /// Those that are told before all else.
    pub(super) told: Vec<(Topic, Ended)>,
    /// Whether others are owed, which `ready` tells of.
    pub(super) are_some_owed: bool,
}

impl Shard {
    /// Takes a connection in, and begins to serve it.
    pub(super) fn adopt(&mut self, handoff: Handoff) {
        let Handoff { mut socket, mut request, principal, mut early, place, answers } = handoff;
        if let Socket::Collector(collector) = socket {
            return self.adopt_poll(collector, request, principal);
        }
        let token = self.connections.vacant_key();
        let now = self.agenda.now();
        let whose = (principal.principal(), place.as_deref(), &socket);
        let followed = self.let_in(token, &mut request, whose);
        let (begun, due, present) = match followed {
            Ok(followed) => followed,
            Err(problem) => {
                socket.refuse(&request, &problem);
                if let Some(answers) = answers {
                    // Who does not wait any more is told nothing.
                    let _ = answers.send(problem);
                }
                return self.handle.forget_connection();
            }
        };
        let form = request.form;
        let mut opening = opening(&socket, &request, &begun);
        let (mut main, has_gap) = (begun.subscription, begun.gap.is_some());
        let mut outlet = outlet_of(socket, &request, (&main.delivery, has_gap, now));
        let heartbeat_interval = self.surroundings.timing.heartbeat_interval;
        opening.extend_from_slice(&self.tell_earlier_ends(&mut outlet, (request.start, &main)));
        if let Some(history) = request.history() {
            self.past_readers.put(token, Box::new(PastReader::begin(history)));
        } else if self.hub.is_complete(&main.delivery) {
            // Most begin with nothing to catch up: all that there is to say goes out in one write.
            let cursor = outlet.tell(&self.hub, &main.delivery);
            let ready = Control::Ready { cursor, heartbeat_interval };
            opening.extend_from_slice(&form.control(&ready, None));
            main.delivery.took_ready();
        }
        outlet.put(opening.freeze());
        let mut websocket = None;
        if let Form::WebSocket(spoken) = form {
            let serial = self.input.next_serial();
            let asked = request.handshake.map_or_else(Vec::new, |handshake| handshake.asked);
            websocket = Some(Box::new(WebSocket::new(serial, (spoken, asked))));
        }
        let held = (principal.take(), place);
        let key = self.connections.insert(Connection::new(outlet, main, websocket, held));
        assert_eq!(key, token, "the slot that was vacant");
        self.keep_present(token, present);
        self.owe_outage(token);
        // It may be less than what the front door has let in.
        self.count_followed(token);
        let connection = &mut self.connections[token];
        let due = due.min(now + ticks(heartbeat_interval));
        connection.due_at = self.agenda.look_after(token, due);
        let filters = self.hub.filters(connection.main.delivery.lane());
        connection.traffic = self.traffic.place(form.carrier(), filters);
        self.traffic.at(connection.traffic).open(clock::steady().as_ms() as u64);
        self.surroundings.figures.streams_open.add(1);
        self.surroundings.transports.open(Transport::of(form));
        let registry = self.poll.registry();
        if let Err(error) = connection.outlet.socket.register(registry, mio::Token(token)) {
            tracing::warn!(%error, "The poll does not take a connection; it is closed.");
            return self.close(token, CloseReason::ServerFault);
        }
        if connection.outlet.socket.has_read_ahead()
            && connection.websocket.is_none()
            && let Err(error) = connection.drop_input(self.input.scratch(), IDLE_INPUT_BYTES_MAX)
        {
            // Its end came right behind the request: no event of the poll would tell.
            return self.fail(token, &error);
        }
        if connection.websocket.is_some() && !early.is_empty() {
            self.ledger.begin_visit(self.counts());
            self.hear(token, &mut early);
        }
        self.visit(token);
    }

    /// What tells a client of the ends that its stream begins with.
    fn tell_earlier_ends(
        &self,
        outlet: &mut Outlet,
        (start, main): (Start, &Subscription),
    ) -> Bytes {
        let ends = self.earlier_ends((start, &main.delivery));
        if ends.are_some_owed {
            outlet.owe_ends();
        }
        outlet.tell_ends(&ends.told, (self.hub.cursor(&main.delivery), None))
    }

    /// The topics whose ends are to be told to a subscription before all else. Where it catches up,
    /// its `ready` tells of those whose entries are gone, and of state topics, whose values come first.
    pub(super) fn earlier_ends(&self, (start, delivery): (Start, &Delivery)) -> EarlierEnds {
        let (begun, filters) = (delivery.offset(), self.hub.filters(delivery.lane()));
        let is_complete = self.hub.is_complete(delivery);
        let journal = &*self.surroundings.journal;
        let mut owed = ends::owed(journal, filters, (start, begun));
        let topics = &self.surroundings.topics;
        let is_of_state = |(topic, _): &(Topic, Ended)| topics.kind(topic) == Kind::State;
        // Whoever comes back and lacks values of them is told again.
        let are_some_owed = !is_complete
            && ends::ended(journal, filters, |end| end.at <= begun).iter().any(is_of_state);
        owed.retain(|end| is_complete || (end.1.is_kept && !is_of_state(end)));
        EarlierEnds { told: owed, are_some_owed }
    }

    /// The topics whose ends no entry tells any more to a subscription that has caught up, and, where
    /// they are owed, those of state topics.
    fn ends_at_ready(&self, added: &Added) -> Vec<(Topic, Ended)> {
        let delivery = &added.subscription.delivery;
        let held = (self.hub.filters(delivery.lane()), &self.surroundings.topics);
        ends::at_ready(&*self.surroundings.journal, held, (delivery.offset(), added.are_ends_owed))
    }

    /// Begins what somebody follows who comes, says when they are to be looked after, and shows them
    /// where they have asked for that.
    fn let_in(
        &mut self,
        token: Token,
        request: &mut StreamRequest,
        (principal, place, socket): (Principal, Option<&Place>, &Socket),
    ) -> Result<(Begun, Tick, Option<Present>), Problem> {
        let (authority, now) = (&*self.surroundings.authority, self.agenda.now());
        let due = standing::looked_after_at(authority, principal, now)?;
        self.permit_anew(principal, request)?;
        let mut present = None;
        if request.present.is_some() {
            let client = place.and_then(|place| place.client);
            let source = client.or_else(|| socket.peer().map(|address| address.ip()));
            present = self.present(request, (principal, source))?;
        }
        Ok((self.follow(token, &request.follows, request.start())?, due, present))
    }

    /// Begins a subscription of this connection, and counts it; says what to tell it before all
    /// else.
    pub(super) fn follow(
        &mut self,
        token: Token,
        follows: &EffectiveFilter,
        start: Start,
    ) -> Result<Begun, Problem> {
        let begun = self.begin(token, follows, start)?;
        self.surroundings.subscriptions.join(follows.filters());
        Ok(begun)
    }

    /// [`follow`](Self::follow) without the count: polls are no subscribers.
    pub(super) fn begin(
        &mut self,
        token: Token,
        follows: &EffectiveFilter,
        start: Start,
    ) -> Result<Begun, Problem> {
        let start = self.within_life(follows, start);
        let journal = &self.surroundings.journal;
        let Bounds { tail, trimmed } = journal.bounds();
        let begin = Begin { start, tail, trimmed }.among_others(journal.known());
        let mut touched = Vec::new();
        let (table, inbox) = (&self.surroundings.table, &self.handle.0);
        let now_ms = self.agenda.now_ms();
        if let Start::After(Cursor { state: Some(mark), .. }) = start
            && mark.since > self.hub.version()
        {
            // It has been told by another shard, which was ahead of this one.
            let table = table.lock().expect("not poisoned");
            let batches = inbox.take_batches();
            drop(table);
            parts::push(&mut self.hub, batches, now_ms, &mut touched);
        }
        if !self.hub.has_lane(follows)
            && !table.lock().expect("not poisoned").may_share(follows.filters())
        {
            return Err(Problem::new(Code::ConnectionsExhausted, TOO_MANY_VALUES).retry_after(30));
        }
        let joined = self.hub.join(follows, begin, |hub| {
            // Changes come into the inbox under the table's lock: the two agree while it is held.
            let mut table = table.lock().expect("not poisoned");
            let batches = inbox.take_batches();
            let snapshot = table.snapshot(follows.filters());
            drop(table);
            parts::push(hub, batches, now_ms, &mut touched);
            snapshot
        });
        self.touch(touched);
        let Joined { delivery, gap, reset } = joined
            .map_err(|error| Problem::new(Code::ConnectionsExhausted, error).retry_after(30))?;
        let place = self.members.join(delivery.lane(), token);
        Ok(Begun { subscription: Subscription { delivery, place }, gap, reset })
    }

    /// Of a cursor, what may be gone on from: who follows topics that are in memory, too, begins all
    /// anew where these do.
    fn within_life(&self, follows: &EffectiveFilter, start: Start) -> Start {
        match start {
            Start::After(Cursor { state: Some(mark), .. })
                if mark.durable.is_some()
                    && !self.surroundings.topics.are_on_disk(follows.filters()) =>
            {
                let Start::After(cursor) = start else { return start };
                let state = Some(StateMark { durable: None, ..mark });
                Start::After(Cursor { state, ..cursor })
            }
            _ => start,
        }
    }

    /// Ends a subscription that was counted.
    fn unfollow(&mut self, subscription: &Subscription) {
        let filters = self.hub.filters(subscription.delivery.lane());
        self.surroundings.subscriptions.leave(filters);
        self.leave(subscription);
    }

    /// Ends a subscription.
    fn leave(&mut self, subscription: &Subscription) {
        let lane = subscription.delivery.lane();
        self.leave_lane(lane, subscription.place);
        let end = self.hub.leave(&subscription.delivery);
        self.on_lane_end(lane, end);
    }

    /// Makes a subscription that has caught up a part of the connection's main one.
    pub(super) fn unite(&mut self, token: Token, index: usize) {
        let mut asked: Vec<PacedFilter> = self.asked(token, Which::Main);
        asked.extend(self.asked(token, Which::Added(index)));
        let added = self.websocket(token).take_added(index);
        let gone = self.ends_at_ready(&added);
        let added_lane = added.subscription.delivery.lane();
        self.leave_lane(added_lane, added.subscription.place);
        let main = &self.connections[token].main;
        let (main_lane, main_place) = (main.delivery.lane(), main.place);
        self.leave_lane(main_lane, main_place);

        let connection = &mut self.connections[token];
        let subscriptions = &self.surroundings.subscriptions;
        subscriptions.leave(self.hub.filters(main_lane));
        subscriptions.leave(self.hub.filters(added_lane));
        let ends = self.hub.unite(&mut connection.main.delivery, added.subscription.delivery);
        let lane = connection.main.delivery.lane();
        subscriptions.join(self.hub.filters(lane));
        let websocket = connection.websocket.as_mut().expect("only a WebSocket adds some");
        websocket.set_asked(self.hub.follows(lane).unless_these(asked));
        connection.main.place = self.members.join(lane, token);
        // What both had counts once from now on.
        self.count_followed(token);
        self.on_lane_end(main_lane, ends.main);
        self.on_lane_end(added_lane, ends.added);
        self.count_elsewhere(token);

        let connection = &mut self.connections[token];
        let heartbeat_interval = self.surroundings.timing.heartbeat_interval;
        let cursor = connection.outlet.tell(&self.hub, &connection.main.delivery);
        let ready = Control::Ready { cursor, heartbeat_interval };
        let ready = connection.outlet.form.control(&ready, added.id.as_ref());
        let gone = connection.outlet.tell_ends(&gone, (cursor, added.id.as_ref()));
        if !gone.is_empty() {
            self.websocket(token).reply(gone);
        }
        self.websocket(token).reply(ready);
    }

    /// Lets one of a connection's subscriptions follow only `rest`, a part of what it follows.
    pub(super) fn narrow(&mut self, token: Token, which: Which, rest: &EffectiveFilter) {
        let subscription = which.of(&mut self.connections[token]);
        let (old, place) = (subscription.delivery.lane(), subscription.place);
        self.leave_lane(old, place);
        let subscriptions = &self.surroundings.subscriptions;
        subscriptions.leave(self.hub.filters(old));
        subscriptions.join(rest.filters());
        let subscription = which.of(&mut self.connections[token]);
        let end = self.hub.narrow(&mut subscription.delivery, rest);
        subscription.place = self.members.join(subscription.delivery.lane(), token);
        self.on_lane_end(old, end);
        if which == Which::Main {
            self.count_elsewhere(token);
        }
    }

    /// A connection follows something else: what goes over it is counted with others of its kind.
    fn count_elsewhere(&mut self, token: Token) {
        let connection = &mut self.connections[token];
        let filters = self.hub.filters(connection.main.delivery.lane());
        let place = self.traffic.place(connection.outlet.form.carrier(), filters);
        let before = std::mem::replace(&mut connection.traffic, place);
        if before != place {
            let now_ms = clock::steady().as_ms() as u64;
            self.traffic.at(before).close(now_ms);
            self.traffic.at(place).open_again(now_ms);
        }
    }

    /// Ends a subscription that is on its way.
    pub(super) fn cancel(&mut self, token: Token, index: usize) {
        let added = self.websocket(token).take_added(index);
        self.unfollow(&added.subscription);
    }

    /// Gives up a place among the members of a lane, which somebody else may then take.
    fn leave_lane(&mut self, lane: LaneId, place: u32) {
        let Some(moved) = self.members.leave(lane, place) else { return };
        let Some(connection) = self.connections.get_mut(moved.token) else { return };
        let is_moved = |subscription: &&mut Subscription| {
            subscription.delivery.lane() == lane && subscription.place == moved.from
        };
        let subscription = connection.subscriptions_mut().find(is_moved);
        subscription.expect("members know their place").place = place;
    }

    fn on_lane_end(&mut self, lane: LaneId, end: LaneEnd) {
        if end == LaneEnd::Ended {
            self.pages.abandon(lane);
        }
    }

    /// Closes a connection whose socket has failed. Where a shard comes late to it, the kernel is
    /// the first to say that a client has taken nothing for too long.
    pub(super) fn fail(&mut self, token: Token, error: &io::Error) {
        let reason = match error.kind() {
            io::ErrorKind::TimedOut => {
                self.surroundings.figures.streams_stalled.add(1);
                CloseReason::Stalled
            }
            io::ErrorKind::UnexpectedEof => CloseReason::ClientClosed,
            io::ErrorKind::InvalidInput => CloseReason::InputExceeded,
            _ => CloseReason::ConnectionLost,
        };
        self.close(token, reason);
    }

    pub(super) fn close(&mut self, token: Token, reason: CloseReason) {
        self.note_closed(token, reason);
        let Some(connection) = self.connections.get_mut(token) else { return };
        connection.outlet.socket.end();
        // The descriptor is about to close, which removes it from the poll.
        self.input.hoards.note(token, 0);
        while self.connections[token].has_added() {
            self.cancel(token, 0);
        }
        self.presents.remove(&token);
        let mut connection = self.connections.remove(token);
        // Before its ticket is free: whoever comes with that next must not find the place taken.
        connection.give_back_place();
        if connection.principal != Principal::ANONYMOUS {
            self.surroundings.authority.leave(connection.principal);
        }
        self.pages.forget_reader(token);
        self.past_readers.take(token);
        if connection.outlet.socket.collector().is_some() {
            self.leave(&connection.main);
            self.handle.forget_poll();
        } else {
            self.unfollow(&connection.main);
            self.traffic.at(connection.traffic).close(clock::steady().as_ms() as u64);
            self.surroundings.figures.streams_open.sub(1);
            self.surroundings.transports.close(Transport::of(connection.outlet.form));
            self.handle.forget_connection();
        }
    }
}

/// Where a stream goes that begins there.
fn outlet_of(
    socket: Socket,
    request: &StreamRequest,
    (delivery, has_gap, now): (&Delivery, bool, Tick),
) -> Outlet {
    let mut outlet = Outlet::new(socket, request.form, now);
    outlet.set_marks(Marks::of(request));
    if outlet.marks().is_on() {
        // It is not to be taken back behind where it begins.
        outlet.told = delivery.offset();
    }
    if request.form.durable().is_some() {
        // There it is until it is given something.
        outlet.told = delivery.offset();
        if has_gap {
            outlet.note_break();
        }
    }
    outlet
}

/// What a stream begins with: its head, and what there is to tell before all else.
fn opening(socket: &Socket, request: &StreamRequest, begun: &Begun) -> BytesMut {
    let (form, filters) = (request.form, request.follows.filters());
    let mut opening = match socket {
        // Whoever has the other end has written the head.
        Socket::Pair(_) | Socket::Collector(_) => BytesMut::new(),
        Socket::Tcp(_) | Socket::Tls(_) => speech::opening(request),
    };
    opening.extend_from_slice(&form.greeting());
    if request.is_narrowed {
        let narrowed = Control::Narrowed { topics: filters };
        opening.extend_from_slice(&form.control(&narrowed, None));
    }
    if let Some(gap) = &begun.gap {
        opening.extend_from_slice(&form.control(&crate::controls::gap(gap, filters), None));
    }
    if let Some(cursor) = begun.reset.filter(|_| request.resumes_state) {
        opening.extend_from_slice(&form.control(&Control::Reset { cursor, filters }, None));
    }
    opening
}
