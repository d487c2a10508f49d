//! The end: a shard says good-bye to its connections, as far as their sockets take it at once.

use std::sync::atomic::Ordering;

use bellwire_model::limits::DRAIN_RETURN;
use bellwire_wire::ByeReason;

use super::outlet::{Account, Outlet};
use super::turn::Shard;
use super::{Token, speech};

impl Shard {
    /// Ends everybody's stream.
    pub(super) fn drain(&mut self) {
        self.write_what_waits();
        let mut account = Account {
            now: self.ticker.now(),
            written: &mut self.written,
            segments: &mut self.segments,
        };
        for (_, connection) in &mut self.connections {
            say_goodbye(&mut connection.outlet, &mut account);
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
        let is_pair = |token: &Token| self.connections[*token].outlet.socket.is_pair();
        let tokens = self.connections.iter().map(|(token, _)| token);
        let pairs: Vec<Token> = tokens.filter(is_pair).collect();
        for token in pairs {
            let mut account = Account {
                now: self.ticker.now(),
                written: &mut self.written,
                segments: &mut self.segments,
            };
            say_goodbye(&mut self.connections[token].outlet, &mut account);
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
fn say_goodbye(outlet: &mut Outlet, account: &mut Account<'_>) {
    if !outlet.is_clear() {
        return;
    }
    let retry = crate::controls::jittered(DRAIN_RETURN);
    outlet.put(speech::farewell(outlet.form, ByeReason::Drain, retry));
    let _ = outlet.flush(account);
    outlet.socket.end();
}
