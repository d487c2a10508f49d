//! The end: a shard says good-bye to its connections, as far as their sockets take it at once.

use std::sync::atomic::Ordering;

use bellwire_model::limits::DRAIN_RETURN;
use bellwire_wire::http1::LAST_CHUNK;
use bellwire_wire::{ByeReason, Control, sse};
use bytes::BytesMut;

use super::Token;
use super::connection::Connection;
use super::pump::{self, Written};
use super::turn::Shard;
use crate::clock::Tick;
use crate::frames::Encoding;
use crate::stream_request::Framing;

impl Shard {
    /// Ends everybody's stream.
    pub(super) fn drain(&mut self) {
        self.write_what_waits();
        let now = self.ticker.now();
        for (_, connection) in &mut self.connections {
            say_goodbye(connection, now, &mut self.written);
        }
        self.report();
    }

    /// Ends the streams that go through a pair.
    pub(super) fn drain_pairs(&mut self) {
        let waiting = self.adoptions.len();
        self.adoptions.retain(|handoff| !handoff.socket.is_pair());
        let refused = waiting - self.adoptions.len();
        self.handle.0.connections.fetch_sub(refused, Ordering::Relaxed);
        self.write_what_waits();
        let now = self.ticker.now();
        let pairs = self.connections.iter().filter(|(_, connection)| connection.socket.is_pair());
        let pairs: Vec<Token> = pairs.map(|(token, _)| token).collect();
        for token in pairs {
            say_goodbye(&mut self.connections[token], now, &mut self.written);
            self.close(token);
        }
    }

    fn write_what_waits(&mut self) {
        while self.members.has_touched() {
            self.visit_touched();
        }
    }
}

/// Whoever does not get it sees the connection end, and comes back the same.
fn say_goodbye(connection: &mut Connection, now: Tick, written: &mut Written) {
    if connection.is_blocked() {
        return;
    }
    connection.unwritten = Some(Box::new(farewell(connection).freeze()));
    let _ = pump::finish(connection, now, written);
    connection.socket.end();
}

fn farewell(connection: &Connection) -> BytesMut {
    let retry = crate::controls::jittered(DRAIN_RETURN);
    let bye = Control::Bye { reason: ByeReason::Drain, retry };
    let mut bytes = BytesMut::new();
    if connection.encoding != Encoding::Ndjson {
        bytes.extend_from_slice(&pump::framed(&sse::retry(retry), connection.framing));
    }
    bytes.extend_from_slice(&pump::control(connection, &bye));
    if connection.framing == Framing::Chunked {
        bytes.extend_from_slice(LAST_CHUNK);
    }
    bytes
}
