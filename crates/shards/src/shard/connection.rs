//! A connection of a shard: an outlet, where its subscriber is, and for a WebSocket what is special
//! about it.

use std::io::{self, Read};
use std::net::IpAddr;

use bellwire_model::Principal;
use bellwire_model::limits::IDLE_INPUT_BYTES_MAX;
use bellwire_process::clock::Tick;

use super::Place;
use super::notices::{Notices, Progress};
use super::outlet::Outlet;
use super::subscription::Subscription;
use super::websocket::WebSocket;
use crate::authority::Tally;

/// One client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) outlet: Outlet,
    /// What it follows. Subscriptions that a WebSocket adds become part of it once they have
    /// caught up.
    pub(super) main: Subscription,
    pub(super) websocket: Option<Box<WebSocket>>,
    /// Whose it is.
    pub(super) principal: Principal,
    /// Given back when the connection ends.
    place: Option<Box<Place>>,
    /// When the wheel brings it round.
    pub(super) due_at: Tick,
    /// Bytes that the client sent although nobody listens: as far as it may, and a connection is small.
    input_bytes: u16,
    /// Where it is counted what goes over it.
    pub(super) traffic: u16,
    /// Its next turn is coming: it has more to write, or to say, than one visit may.
    pub(super) is_queued: bool,
    /// It waits for a page of history.
    pub(super) awaits_history: bool,
    /// It is known to lag.
    pub(super) is_laggard: bool,
    /// What it was told, and is yet to be told, of its client's standing and of outages.
    pub(super) notices: Notices,
}

/// What is counted in [`Connection::input_bytes`] has to come to where a client has sent too much.
const _: () = assert!(IDLE_INPUT_BYTES_MAX <= u16::MAX as usize + 1);

/// One of a connection's subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// What has become one.
    Main,
    /// One that a WebSocket adds.
    Added(usize),
}

impl Which {
    pub(super) fn of(self, connection: &mut Connection) -> &mut Subscription {
        match self {
            Self::Main => &mut connection.main,
            Self::Added(index) => {
                let websocket = connection.websocket.as_mut().expect("only a WebSocket adds some");
                &mut websocket.added_mut()[index].subscription
            }
        }
    }
}

// A connection costs O(1), whatever its lag.
const _: () = assert!(size_of::<Connection>() <= 128);

impl Connection {
    pub(super) fn new(
        outlet: Outlet,
        main: Subscription,
        websocket: Option<Box<WebSocket>>,
        (principal, place): (Principal, Option<Box<Place>>),
    ) -> Self {
        Self {
            outlet,
            main,
            websocket,
            principal,
            place,
            due_at: 0,
            input_bytes: 0,
            traffic: 0,
            is_queued: false,
            awaits_history: false,
            is_laggard: false,
            notices: Notices::default(),
        }
    }

    /// It has ended, and is counted no more.
    pub(super) fn give_back_place(&mut self) {
        self.place = None;
    }

    /// Whom the other end of the socket speaks for, where it is a proxy's.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.place.as_ref()?.client
    }

    /// Where it is counted what it follows, if that is limited.
    pub(super) fn tally(&self) -> Option<&dyn Tally> {
        self.place.as_ref()?.tally.as_deref()
    }

    /// Its subscriptions: the main one, and those that are on their way.
    pub(super) fn subscriptions_mut(&mut self) -> impl Iterator<Item = &mut Subscription> {
        let added = self.websocket.as_mut().map_or(&mut [][..], |websocket| websocket.added_mut());
        std::iter::once(&mut self.main).chain(added.iter_mut().map(|added| &mut added.subscription))
    }

    /// [`subscriptions_mut`](Self::subscriptions_mut), to look at.
    pub(super) fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        let added = self.websocket.as_ref().map_or(&[][..], |websocket| websocket.added());
        std::iter::once(&self.main).chain(added.iter().map(|added| &added.subscription))
    }

    /// Whether there is something to tell it beside its events.
    pub(super) fn owes_notice(&self) -> bool {
        self.notices.is_owed(self.progress())
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        if self.main.delivery.is_live() { Progress::Live } else { Progress::Behind }
    }

    /// Whether its client has been told that it ends.
    pub(super) fn is_over(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| !websocket.is_open())
    }

    /// Whether it does not keep up, be it its client's fault or the history's. A poll has nothing
    /// to keep up with.
    pub(super) fn lags(&self) -> bool {
        let is_poll = self.outlet.socket.collector().is_some();
        self.outlet.is_full() || (self.awaits_history && !is_poll)
    }

    /// Whether it has said something that may be listened to now.
    pub(super) fn wants_to_talk(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| websocket.wants_to_talk())
    }

    /// Whether subscriptions are on their way.
    pub(super) fn has_added(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| !websocket.added().is_empty())
    }

    /// Reads and drops what the client sends. An error says that the connection has ended, or
    /// that the client sends without end: `bytes_max` in all, or more.
    pub(super) fn drop_input(&mut self, scratch: &mut [u8], bytes_max: usize) -> io::Result<()> {
        loop {
            match self.outlet.socket.read(scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    let bytes = usize::from(self.input_bytes) + read;
                    if bytes >= bytes_max {
                        return Err(io::ErrorKind::InvalidInput.into());
                    }
                    self.input_bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
