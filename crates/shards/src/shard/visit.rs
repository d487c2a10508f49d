//! Visits: to listen to a connection's client, to write what it is missing, and to look after it
//! when its time has come.

use std::io;

use bellwire_model::limits::{LOOKS_PER_TURN_MAX, VISITS_PER_TURN};
use bellwire_model::{Cursor, Offset};
use bellwire_process::clock::{Tick, ticks};
use bellwire_process::crash;
use bellwire_wire::ws::CloseCode;

use super::connection::Connection;
use super::outlet::{Account, Outlet};
use super::parts::Shard;
use super::past::PastSource;
use super::pump::{self, Pumped, Tools};
use super::speech::Speech;
use super::{Token, collecting};
use crate::closed::CloseReason;
use crate::form::{Encoding, Form, HttpForm};

/// So many looks take about as long as to look after one connection.
const LOOKS_PER_ATTENDED: usize = 64;

impl Shard {
    /// Listens to a connection's client, and writes what it is missing.
    pub(super) fn visit(&mut self, token: Token) {
        self.serve(token);
        self.note_lag(token);
        self.note_page(token);
    }

    fn serve(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else { return };
        if connection.wants_to_talk() {
            self.listen(token);
        }
        let looks_left = LOOKS_PER_TURN_MAX.saturating_sub(self.work_of_turn().looks as usize);
        loop {
            let Some(connection) = self.connections.get_mut(token) else { return };
            if connection.outlet.is_full() {
                return;
            }
            if connection.owes_notice()
                && let Err(error) = self.tell_notices(token)
            {
                return self.fail(token, &error);
            }
            let pumped = self.pump(token, looks_left);
            let connection = &mut self.connections[token];
            let Some(pumped) = pumped else {
                tracing::error!("An invariant is broken for one connection; it ends.");
                return self.close(token, CloseReason::ServerFault);
            };
            let pumped = match pumped {
                Ok(pumped) => pumped,
                Err(error) => return self.fail(token, &error),
            };
            if pumped.has_ended && connection.websocket.is_none() {
                return self.close(token, CloseReason::TopicsEnded);
            }
            if pumped.has_ended {
                return self.hang_up(token);
            }
            if let Some((lane, after)) = pumped.history {
                self.catch_up(token, lane, after);
            }
            if pumped.has_more {
                self.queue(token);
            }
            match pumped.complete {
                Some(index) => self.unite(token, index),
                // It has become live with this.
                None if self.connections[token].owes_notice() => {}
                None => break,
            }
        }
        // It was not listened to while it was owed replies, which are written now.
        if self.connections[token].wants_to_talk() {
            self.queue(token);
        }
    }

    /// Writes what a connection is missing. `None`: an invariant is broken for it.
    fn pump(&mut self, token: Token, looks_left: usize) -> Option<io::Result<Pumped>> {
        let connection = &mut self.connections[token];
        let now = self.agenda.now();
        let before = self.ledger.written();
        let (work, segments) = self.ledger.open();
        let past = PastSource {
            table: &self.surroundings.table,
            inbox: &self.handle,
            epoch: self.hub.tail().epoch,
            now_ms: self.agenda.now_ms(),
            serial: &mut self.past_serial,
            touched: Vec::new(),
        };
        let mut tools = Tools {
            looks_left,
            past,
            main_past: self.past_readers.take(token),
            hub: &mut self.hub,
            journal: &*self.surroundings.journal,
            topics: &self.surroundings.topics,
            heartbeat_interval: self.surroundings.timing.heartbeat_interval,
            account: Account { now, work, segments },
        };
        let pumped = crash::contain(|| match connection.outlet.socket.collector_mut() {
            Some(collector) => {
                Ok(collecting::pump(collector, &mut connection.main.delivery, &mut tools))
            }
            None => pump::pump(connection, &mut tools),
        });
        let (reader, touched) = (tools.main_past.take(), std::mem::take(&mut tools.past.touched));
        if let Some(reader) = reader {
            self.past_readers.put(token, reader);
        }
        self.touch(touched);
        let (events, bytes) = self.ledger.written();
        // A slow reader is given bytes in one visit, and is through with their event in another.
        if (events, bytes) != before {
            let traffic = self.connections[token].traffic;
            self.traffic.at(traffic).add_down(events - before.0, bytes - before.1);
        }
        pumped
    }

    /// Heartbeats for the silent, an end for the stalled, the dead and those whose credential has
    /// ended.
    ///
    /// Very many may be due at one moment, such as all who have come with tokens of one hour. As many
    /// of them have their turn as take about as long as this turn took so far, or some: whoever waits
    /// for events waits about twice as long at most, and a long turn does not leave the wheel behind.
    pub(super) fn look_at_wheel(&mut self, visited: usize) {
        let now = self.agenda.now();
        let looks = self.work_of_turn().looks as usize;
        let most = (visited + looks / LOOKS_PER_ATTENDED).max(VISITS_PER_TURN);
        for (token, due_at) in self.agenda.due(now, most) {
            let Some(connection) = self.connections.get_mut(token) else { continue };
            if connection.due_at != due_at {
                continue;
            }
            let Some(ends_at) = self.check_standing(token, now) else { continue };
            let Some(next) = self.attend(token, now) else { continue };
            let next = next.min(ends_at);
            // One whose last words were written meanwhile has been given less time.
            if let Some(connection) = self.connections.get_mut(token)
                && connection.due_at == due_at
            {
                connection.due_at = self.agenda.look_after(token, next.max(now + 1));
            }
        }
    }

    /// Looks after one connection whose time has come; returns when it wants to be looked after
    /// again. `None`: it has ended.
    pub(super) fn attend(&mut self, token: Token, now: Tick) -> Option<Tick> {
        let Connection { outlet, main, websocket, .. } = &mut self.connections[token];
        if let Some(due) = outlet.socket.collector().map(|collector| collector.due) {
            return self.attend_poll(token, due, now);
        }
        let timing = self.surroundings.timing;
        let (interval, stall) = (ticks(timing.heartbeat_interval), ticks(timing.stall_timeout));
        let silent = now.saturating_sub(outlet.written_at);
        if outlet.is_full() {
            if silent < stall {
                // It may take bytes again long before that, and then wants its heartbeats.
                return Some((outlet.written_at + stall).min(now + interval));
            }
            // Its socket may have had room for long: of a process that was stopped, or of very many
            // sockets at once, not all that tell so are heard before this is asked. What comes
            // behind the event that it was begun to be given has its turn with everybody else's.
            let (work, segments) = self.ledger.open();
            let mut account = Account { now: self.agenda.now(), work, segments };
            match outlet.try_again(&mut account) {
                Ok(true) => {
                    self.queue(token);
                    return Some(now + interval);
                }
                Ok(false) => {
                    self.surroundings.figures.streams_stalled.add(1);
                    self.close(token, CloseReason::Stalled);
                }
                Err(error) => self.fail(token, &error),
            }
            return None;
        }
        if outlet.has_begun() && !websocket.as_ref().is_some_and(|it| it.has_ended()) {
            // It has room again and a turn coming: the rest is the sign of life, and nothing may
            // come in between.
            return Some(now + interval);
        }
        let cursor = outlet.marks().cursor(&self.hub, &main.delivery);
        let removed = || self.surroundings.journal.bounds().trimmed;
        let is_news = is_news(outlet, cursor, || removed().max(self.hub.half_ring()));
        let is_news = is_news || outlet.marks().is_owed(cursor);
        // Whoever comes back with what is told in the middle of its values gets them anew, unless their
        // topic has ended: then it would be told that there is nothing more.
        let is_cut = !outlet.marks().is_on() && self.hub.lacks_snapshot(&main.delivery);
        let is_news = is_news && !is_cut;
        match websocket {
            // Whoever is kept busy needs no sign of life, and of values none brings a cursor.
            None if silent < interval && !is_news => return Some(outlet.written_at + interval),
            None => {}
            Some(websocket) if websocket.has_ended() => {
                self.close(token, CloseReason::ClientClosed);
                return None;
            }
            Some(websocket) => {
                if let Some(reason) = websocket.beat() {
                    self.end(token, (CloseCode::POLICY, reason), CloseReason::Unanswered);
                    self.surroundings.figures.streams_stalled.add(1);
                    self.visit(token);
                    return Some(now + interval);
                }
            }
        }
        if is_news {
            outlet.tell(&self.hub, &main.delivery);
        }
        outlet.put(outlet.form.heartbeat(is_news.then_some(cursor)));
        let traffic = self.connections[token].traffic;
        self.traffic.at(traffic).add_heartbeat();
        self.visit(token);
        Some(now + interval)
    }
}

/// Whether a heartbeat brings the cursor. To some readers of Server-Sent Events that is an event, so
/// only what the client knows and would soon be old is worth it.
/// From before `old` it would be.
fn is_news(outlet: &Outlet, cursor: Cursor, old: impl FnOnce() -> Offset) -> bool {
    let has_moved = cursor.offset > outlet.told;
    match outlet.form {
        Form::Http(HttpForm { encoding: Encoding::Sse | Encoding::SseRaw, .. }) => {
            has_moved && outlet.told < old()
        }
        Form::Http(HttpForm { encoding: Encoding::Ndjson, .. }) | Form::WebSocket(_) => has_moved,
        // Its places are those of its own events.
        Form::Durable(_) => false,
    }
}
