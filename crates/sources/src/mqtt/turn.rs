//! The listener's loop: letters, clients that have something to say, a batch.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bellwire_ingest::mqtt::mapping::Learned;
use bellwire_ingest::mqtt::packet::{Connect, Frame, Outgoing, Publish, Reason, Version};
use bellwire_ingest::mqtt::publication::Age;
use bellwire_model::limits::{
    DRAIN_TIMEOUT, MQTT_CONNECT_BYTES_MAX, MQTT_CONNECT_TIMEOUT, MQTT_IN_FLIGHT_BYTES_MAX,
    MQTT_IN_FLIGHT_MAX, MQTT_PACKET_BYTES_MAX, MQTT_PARTIAL_BYTES_MAX, MQTT_STALL_TIMEOUT,
    MQTT_VISIT_BYTES_MAX,
};
use bellwire_process::clock::{self, Ticker};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::batch::{Gathered, Settled};
use super::client::{Client, Known, Stage, Unread, Waits};
use super::clients::Clients;
use super::gate::{Admitted, Arrival, Credential};
use super::inbox::{INBOX, Inbox, Letter, ListenerParts};
use super::session::{self, Departure, Step, Violation};
use crate::intake::Sender;
use crate::kind::Kind;

/// Clients whose sockets are looked at together.
const EVENTS_MAX: usize = 1_024;
/// Bytes that are read of a client while no message can be taken.
const HEARD_BYTES_MAX: usize = 1_024;
/// How often clients are looked at that say nothing.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The loop.
pub(super) struct Turns {
    poll: Poll,
    inbox: Arc<Inbox>,
    parts: ListenerParts,
    clients: Clients,
    learned: Learned,
    gathered: Gathered,
    /// Whether the rules look at a batch.
    is_settling: bool,
    /// Who is to be visited at once: their sockets say something, or they are to be told something.
    called: BTreeSet<usize>,
    /// Who is to be visited once there is room for more messages.
    waiting: BTreeSet<usize>,
    /// Bytes of packets that are not whole.
    partial_bytes: usize,
    time: Ticker,
    /// When the drain has begun.
    drains_since: Option<Duration>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The client, or the way to it, is gone.
    Gone,
    /// It has said so.
    Left(Departure),
    /// It does not come in.
    Refused(Violation, Version),
    /// It is told to go.
    Closed(Violation),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        Self::Closed(violation)
    }
}

impl Turns {
    pub(super) fn new(poll: Poll, inbox: Arc<Inbox>, parts: ListenerParts) -> Self {
        Self {
            poll,
            inbox,
            parts,
            clients: Clients::default(),
            learned: Learned::default(),
            gathered: Gathered::default(),
            is_settling: false,
            called: BTreeSet::new(),
            waiting: BTreeSet::new(),
            partial_bytes: 0,
            time: Ticker::start(),
            drains_since: None,
        }
    }

    /// Until a drain has ended.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut scratch = vec![0; MQTT_VISIT_BYTES_MAX];
        let mut looked = Duration::ZERO;
        while !self.is_over() {
            let at_once = !self.waiting.is_empty() && self.takes_more();
            let timeout = if at_once { Duration::ZERO } else { LOOK_INTERVAL };
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    tracing::error!(%error, "The listener of MQTT has failed.");
                    return;
                }
                _ => {}
            }
            for letter in self.inbox.take() {
                self.read(letter);
            }
            events.iter().filter(|event| event.token() != INBOX).for_each(|event| self.hear(event));
            // While no message can be taken, who says anything else is heard all the same.
            if self.takes_more() {
                self.called.append(&mut self.waiting);
            }
            for place in std::mem::take(&mut self.called) {
                self.visit(place, &mut scratch);
            }
            self.send();
            if self.time.elapsed().saturating_sub(looked) >= LOOK_INTERVAL {
                looked = self.time.elapsed();
                self.look_at_all();
            }
        }
        for place in self.clients.places() {
            let detail = "the server ends: come back a little later";
            self.close(place, End::Closed(Violation { reason: Reason::ShuttingDown, detail }));
        }
        self.parts.gate.has_clients(0);
    }

    /// A socket says something: its client is to be visited.
    fn hear(&mut self, event: &Event) {
        let place = event.token().0;
        if let Some(client) = self.clients.get(place) {
            client.unread.note(event);
        }
        self.called.insert(place);
    }

    /// Whether all is said that is to be said before a drain ends.
    fn is_over(&self) -> bool {
        let Some(since) = self.drains_since else { return false };
        let is_settled = !self.is_settling && self.gathered.is_empty();
        is_settled || self.time.elapsed().saturating_sub(since) > DRAIN_TIMEOUT / 2
    }

    /// Whether there is room for more messages.
    fn takes_more(&self) -> bool {
        !self.gathered.is_full() && self.parts.intake.has_room()
    }

    fn now_s(&self) -> u32 {
        self.time.elapsed().as_secs() as u32
    }

    fn read(&mut self, letter: Letter) {
        match letter {
            Letter::Arrived(arrival) => self.welcome(arrival),
            Letter::Identified(client, admitted) => self.admit(client, admitted),
            Letter::Settled(settled) => {
                self.is_settling = false;
                for settled in settled {
                    self.acknowledge(&settled);
                }
            }
            Letter::Drain => self.drains_since = Some(self.time.elapsed()),
        }
    }

    fn welcome(&mut self, arrival: Arrival) {
        let fd = arrival.socket.as_raw_fd();
        let now_s = self.now_s();
        let place = self.clients.add(arrival, now_s);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut SourceFd(&fd), Token(place), interest).is_err() {
            self.clients.remove(place);
        }
        self.parts.gate.has_clients(self.clients.len() as u64);
        // What a session has read along with its handshake no poll tells of.
        self.called.insert(place);
    }

    /// Lets a client in, or not. Whoever has had its name goes, if it is theirs.
    fn admit(&mut self, client: (usize, u64), admitted: Result<Admitted, Reason>) {
        let Some(mut known) = self.clients.numbered(client).and_then(Client::asked) else { return };
        let place = client.0;
        if known.is_named_here {
            known.client_id = self.clients.free_name(client.1);
        }
        let refuse = |reason, detail| End::Refused(Violation { reason, detail }, known.version);
        let Admitted { identity, place: place_of_subject } = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => return self.close(place, refuse(reason, "not let in")),
        };
        if let Some(other) = self.clients.named(&known.client_id) {
            let holder = self.clients.get(other).and_then(|other| other.identity());
            if holder.is_some_and(|holder| holder.subject() != identity.subject()) {
                let detail = "somebody else has this name";
                return self.close(place, refuse(Reason::ClientIdentifier, detail));
            }
            let detail = "another connection has come with this name";
            self.close(other, End::Closed(Violation { reason: Reason::TakenOver, detail }));
        }
        self.clients.name(known.client_id.clone(), place);
        let Some(client) = self.clients.get(place) else { return };
        session::accept(&known, client.output());
        client.stage = Stage::In { known, identity, _place: place_of_subject };
        self.called.insert(place);
    }

    /// Serves a client; what its input leaves over is kept.
    fn visit(&mut self, place: usize, scratch: &mut [u8]) {
        if let Err(end) = self.serve(place, scratch) {
            self.close(place, end);
        }
    }

    fn serve(&mut self, place: usize, scratch: &mut [u8]) -> Result<(), End> {
        let mut read_bytes = 0;
        let Some(client) = self.clients.get(place) else { return Ok(()) };
        client.flush()?;
        self.check(place)?;
        let mut fresh = 0;
        loop {
            self.digest(place, &scratch[..fresh])?;
            let (is_draining, is_full) = (self.drains_since.is_some(), !self.takes_more());
            let Some(client) = self.clients.get(place) else { return Ok(()) };
            if is_draining || client.has_to_wait() {
                return Ok(client.flush()?);
            }
            let bytes_max = if is_full { HEARD_BYTES_MAX } else { MQTT_VISIT_BYTES_MAX };
            // What waits for room is not added to, nor is there so much of it that others are closed.
            let holds_enough =
                !client.input.is_empty() || self.partial_bytes > MQTT_PARTIAL_BYTES_MAX / 2;
            if read_bytes >= bytes_max || is_full && holds_enough {
                self.waiting.insert(place);
                return Ok(client.flush()?);
            }
            // Nobody has said that there is more: to ask would take as long as to read it.
            if client.unread == Unread::Nothing {
                return Ok(client.flush()?);
            }
            fresh = match client.read(&mut scratch[..bytes_max]) {
                Ok(0) => return Err(End::Gone),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(client.flush()?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(_) => return Err(End::Gone),
            };
            read_bytes += fresh;
        }
    }

    /// Whether what a client has shown counts still.
    fn check(&mut self, place: usize) -> Result<(), End> {
        let Some(identity) = self.clients.get(place).and_then(|client| client.identity()) else {
            return Ok(());
        };
        if !identity.is_over(clock::now()) && self.parts.gate.counts(identity) {
            return Ok(());
        }
        let detail = "what was shown at the beginning counts no more";
        Err(Violation { reason: Reason::NotAuthorized, detail }.into())
    }

    /// Takes the packets that are whole, as long as the client does not have to wait.
    fn digest(&mut self, place: usize, fresh: &[u8]) -> Result<(), End> {
        let Some(client) = self.clients.get(place) else { return Ok(()) };
        let mut kept = std::mem::take(&mut client.input);
        self.partial_bytes -= kept.len();
        let is_kept = !kept.is_empty();
        if is_kept {
            kept.extend_from_slice(fresh);
        }
        let bytes = if is_kept { &kept[..] } else { fresh };
        let mut rest = bytes;
        while let Some(frame) = self.next(place, rest)? {
            self.take(place, frame)?;
            rest = &rest[frame.length..];
        }
        let Some(client) = self.clients.get(place) else { return Ok(()) };
        if rest.is_empty() {
            return Ok(());
        }
        self.partial_bytes += rest.len();
        let is_unchanged = fresh.is_empty() && rest.len() == bytes.len();
        client.input = if is_unchanged { kept } else { rest.to_vec() };
        if self.partial_bytes > MQTT_PARTIAL_BYTES_MAX { self.make_room(place) } else { Ok(()) }
    }

    /// Closes those who hold the most of what is not whole, of whom this may be one: not whoever has
    /// the bad luck to come last.
    fn make_room(&mut self, place: usize) -> Result<(), End> {
        let detail = "packets that are not whole take too much room";
        let end = End::Closed(Violation { reason: Reason::QuotaExceeded, detail });
        let excess = self.partial_bytes - MQTT_PARTIAL_BYTES_MAX / 8 * 7;
        let largest = self.clients.largest(excess);
        let closed = largest.iter().filter(|other| **other != place);
        closed.for_each(|other| self.close(*other, end));
        if largest.contains(&place) { Err(end) } else { Ok(()) }
    }

    /// The next packet, where it is whole and its client's turn.
    fn next<'a>(&mut self, place: usize, rest: &'a [u8]) -> Result<Option<Frame<'a>>, End> {
        let is_full = !self.takes_more();
        let Some(client) = self.clients.get(place) else { return Ok(None) };
        if client.has_to_wait() {
            return Ok(None);
        }
        let is_in = matches!(client.stage, Stage::In { .. });
        let first = if is_in {
            Frame::first(rest, MQTT_PACKET_BYTES_MAX)
        } else {
            Connect::frame(rest, MQTT_CONNECT_BYTES_MAX)
        };
        let frame = first.map_err(|error| {
            let version = client.version();
            let violation = Violation::from(error);
            if is_in { End::Closed(violation) } else { End::Refused(violation, version) }
        })?;
        Ok(frame.filter(|frame| !(is_full && frame.is_message())))
    }

    fn take(&mut self, place: usize, frame: Frame<'_>) -> Result<(), End> {
        let now_s = self.now_s();
        let Some(client) = self.clients.get(place) else { return Ok(()) };
        client.heard_s = now_s;
        match &client.stage {
            Stage::In { known, .. } => {
                let version = known.version;
                match session::step(frame, version, client.output())? {
                    Step::Nothing => Ok(()),
                    Step::Goes(departure) => Err(End::Left(departure)),
                    Step::Take(publish) => {
                        self.gather(place, &publish);
                        Ok(())
                    }
                }
            }
            Stage::Arriving => {
                let (known, credential) = session::begin(frame)
                    .map_err(|(violation, version)| End::Refused(violation, version))?;
                self.ask(place, known, credential);
                Ok(())
            }
            Stage::Asking(_) => Ok(()),
        }
    }

    /// Has it found out who a client is.
    fn ask(&mut self, place: usize, known: Known, credential: Credential) {
        let Some(client) = self.clients.get(place) else { return };
        client.stage = Stage::Asking(Box::new(known));
        let (number, address) = (client.number, client.address);
        let identified = self.parts.gate.identify(credential, address);
        let inbox = Arc::clone(&self.inbox);
        self.parts.runtime.spawn(async move {
            inbox.put(Letter::Identified((place, number), identified.await));
        });
    }

    /// Adds a message to the batch that gathers.
    fn gather(&mut self, place: usize, publish: &Publish<'_>) {
        let Some(client) = self.clients.get(place) else { return };
        let (number, address) = (client.number, client.address);
        let Some(identity) = client.identity() else { return };
        let part = client.waits.part.unwrap_or_else(|| {
            let sender = Sender::new(Arc::clone(identity), Some(address));
            self.gathered.part((place, number), sender)
        });
        // What a client asks to be kept is of now all the same: nothing is kept here.
        let message = (publish, Age::Live);
        let bytes = self.gathered.add(part, message, (&self.parts.mapping, &mut self.learned));
        let waits = &mut client.waits;
        waits.part = Some(part);
        waits.messages += 1;
        waits.bytes += bytes;
    }

    /// Sends what has gathered to the rules, where they look at nothing else.
    fn send(&mut self) {
        if self.is_settling || self.gathered.is_empty() {
            return;
        }
        self.is_settling = true;
        let gathered = std::mem::take(&mut self.gathered);
        for client in gathered.clients() {
            if let Some(client) = self.clients.numbered(client) {
                client.waits.part = None;
            }
        }
        let (intake, inbox) = (Arc::clone(&self.parts.intake), Arc::clone(&self.inbox));
        self.parts.runtime.spawn(async move {
            inbox.put(Letter::Settled(gathered.settle(intake).await));
        });
    }

    /// Tells a client what became of its messages.
    fn acknowledge(&mut self, settled: &Settled) {
        let (place, _) = settled.origin.client;
        let Some(client) = self.clients.numbered(settled.origin.client) else { return };
        client.waits.messages -= settled.messages() as u16;
        client.waits.bytes -= settled.origin.bytes;
        if let Some(reason) = settled.refusal() {
            let detail = "the messages were not taken: send them again";
            return self.close(place, End::Closed(Violation { reason, detail }));
        }
        let version = client.version();
        for (packet_id, reason) in settled.acknowledgements() {
            Outgoing::Acknowledge { packet_id, reason }.write(version, client.output());
        }
        self.called.insert(place);
    }

    /// Ends connections whose time is over.
    fn look_at_all(&mut self) {
        let (now_s, is_read) = (self.now_s(), self.takes_more());
        for place in self.clients.places() {
            let checked = self.check(place);
            let Some(client) = self.clients.get(place) else { continue };
            if !is_read {
                client.heard_s = now_s;
            }
            if let Some(end) = client.overdue(now_s).or(checked.err()) {
                self.close(place, end);
            }
        }
        self.parts.gate.has_clients(self.clients.len() as u64);
    }

    fn close(&mut self, place: usize, end: End) {
        let Some(mut client) = self.clients.remove(place) else { return };
        self.called.remove(&place);
        self.waiting.remove(&place);
        self.partial_bytes -= client.input.len();
        let fd = client.socket.as_raw_fd();
        // It goes with the socket in any case.
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        let version = client.version();
        match end {
            End::Gone | End::Left(_) => {}
            End::Refused(violation, version) => {
                self.parts.intake.note_unread(Kind::Mqtt, violation.reason.word());
                tracing::debug!(address = %client.address, reason = violation.detail, "A client of MQTT was refused.");
                Outgoing::Refuse(violation.reason).write(version, client.output());
            }
            End::Closed(violation) => {
                self.parts.intake.note_unread(Kind::Mqtt, violation.reason.word());
                tracing::debug!(address = %client.address, reason = violation.detail, "A client of MQTT was closed.");
                if version == Version::V5 {
                    let goodbye = Outgoing::Disconnect(violation.reason, violation.detail);
                    goodbye.write(version, client.output());
                }
            }
        }
        // What its socket does not take now it does not take at all.
        let _ = client.flush();
        let _ = client.socket.shutdown(std::net::Shutdown::Write);
        if end.is_for_the_will() {
            self.publish_will(place, &client);
        }
    }

    /// Takes what a client wanted to be said once it is gone.
    fn publish_will(&mut self, place: usize, client: &Client) {
        let Stage::In { known, identity, .. } = &client.stage else { return };
        let Some(will) = &known.will else { return };
        let sender = Sender::new(Arc::clone(identity), Some(client.address));
        let part = self.gathered.part((place, client.number), sender);
        let publish = Publish::plain(&will.topic, &will.payload);
        self.gathered.add(part, (&publish, Age::Live), (&self.parts.mapping, &mut self.learned));
    }
}

impl End {
    /// Whether the client's will is to be heard: it has not gone in order, nor for the server's sake.
    fn is_for_the_will(self) -> bool {
        match self {
            Self::Gone | Self::Left(Departure::WithWill) => true,
            Self::Left(Departure::InOrder) | Self::Refused(..) => false,
            Self::Closed(violation) => violation.reason != Reason::ShuttingDown,
        }
    }
}

impl Client {
    /// Whether nothing more is read of it for now.
    fn has_to_wait(&self) -> bool {
        let Waits { messages, bytes, .. } = self.waits;
        matches!(self.stage, Stage::Asking(_))
            || messages >= MQTT_IN_FLIGHT_MAX
            || bytes as usize >= MQTT_IN_FLIGHT_BYTES_MAX
            || self.is_behind()
    }

    /// What a client has said of itself of whom it is being found out who it is.
    fn asked(&mut self) -> Option<Box<Known>> {
        match std::mem::replace(&mut self.stage, Stage::Arriving) {
            Stage::Asking(known) => {
                self.stage = Stage::Asking(known.clone());
                Some(known)
            }
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// How it ends, where its time is over.
    fn overdue(&mut self, now_s: u32) -> Option<End> {
        let silent_s = u64::from(now_s.saturating_sub(self.heard_s));
        let closed = |detail| Some(End::Closed(Violation { reason: Reason::KeepAlive, detail }));
        match &self.stage {
            Stage::Arriving | Stage::Asking(_) => {
                (silent_s > MQTT_CONNECT_TIMEOUT.as_secs()).then_some(End::Gone)
            }
            // It is the rules that it waits for: what it says meanwhile is not read.
            Stage::In { .. } if self.waits.messages > 0 => {
                self.heard_s = now_s;
                None
            }
            Stage::In { .. } if self.is_midway() && silent_s > MQTT_STALL_TIMEOUT.as_secs() => {
                closed("a packet did not become whole, or nothing was taken")
            }
            Stage::In { known, .. } => {
                let most = u64::from(known.keep_alive_s) * 3 / 2;
                if most > 0 && silent_s > most { closed("nothing came for too long") } else { None }
            }
        }
    }
}
