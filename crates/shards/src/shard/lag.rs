//! Who lags: connections whose sockets are full, or that wait for history.
//!
//! Only these are looked at, so that it costs nothing while all keep up.

use std::time::Duration;

use bellwire_model::limits::{CLOSED_STREAM_FILTERS_MAX, CLOSED_STREAM_SUBJECT_BYTES_MAX};
use bellwire_model::{Principal, Timestamp};
use bellwire_process::clock::{self, TICK, Tick};

use super::Token;
use super::described::Described;
use super::laggards::Laggard;
use super::parts::Shard;
use crate::closed::{CloseReason, ClosedStream};
use crate::transport::Transport;

impl Shard {
    /// Takes note of a connection that does not keep up.
    pub(super) fn note_lag(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        if connection.lags() && !std::mem::replace(&mut connection.is_laggard, true) {
            self.laggards.push(token);
        }
    }

    /// Tells who lags, once in an interval.
    pub(super) fn report_lag(&mut self) {
        let now = self.agenda.now();
        let connections = &mut self.connections;
        let still_lags = |token: Token| {
            let Some(connection) = connections.get_mut(token) else { return false };
            connection.is_laggard &= connection.lags();
            connection.is_laggard
        };
        if !self.laggards.look(now, still_lags) {
            return;
        }
        let mut laggards = std::mem::take(&mut self.laggards);
        let report = laggards.report(|token| self.laggard(token, now));
        self.laggards = laggards;
        self.surroundings.lags.report(self.index, report);
    }

    /// Tells of a stream that ends, once.
    pub(super) fn note_closed(&self, token: Token, reason: CloseReason) {
        let Some(connection) = self.connections.get(token) else { return };
        let is_told = connection.websocket.as_ref().is_some_and(|it| it.is_ended());
        if is_told || connection.outlet.socket.collector().is_some() {
            return;
        }
        let time = clock::now();
        self.surroundings.closed.note((reason, time), || {
            let outlet = &connection.outlet;
            let Described { name, form, .. } = self.describe(token);
            let filters = self.hub.filters(connection.main.delivery.lane());
            let told = filters.iter().take(CLOSED_STREAM_FILTERS_MAX);
            let told: Box<[Box<str>]> = told.map(|filter| filter.as_str().into()).collect();
            let open_for = TICK * self.agenda.now().saturating_sub(outlet.opened_at);
            ClosedStream {
                time,
                name: name.into(),
                subject: self.subject(token),
                transport: Transport::of(form),
                reason,
                filters_left_out: filters.iter().count() - told.len(),
                filters: told,
                duration: open_for,
                bytes: outlet.written_bytes,
                was_lagging: connection.is_laggard,
            }
        });
    }

    /// Who a connection is of, where that is known.
    fn subject(&self, token: Token) -> Option<Box<str>> {
        let principal = self.connections[token].principal;
        if principal == Principal::ANONYMOUS {
            return None;
        }
        let subject = self.surroundings.authority.follower(principal, None).subject?;
        let end = subject.floor_char_boundary(CLOSED_STREAM_SUBJECT_BYTES_MAX);
        Some(subject[..end].into())
    }

    fn laggard(&self, token: Token, now: Tick) -> Laggard {
        let connection = &self.connections[token];
        let outlet = &connection.outlet;
        let delivery = &connection.main.delivery;
        let lag = self.hub.lag(delivery);
        let age_ms = |time: Timestamp| u64::try_from(clock::now().as_ms() - time.as_ms());
        let lag_ms = lag.first.map(|first| age_ms(first.payload.event().time).unwrap_or(0));
        let stalled: Duration = TICK * now.saturating_sub(outlet.written_at);
        let Described { name, form, main, .. } = self.describe(token);
        let filters = main.follows.filters().iter().map(ToString::to_string).collect();
        Laggard {
            name,
            transport: form.transport(),
            filters,
            lag_events: lag.events,
            lag_ms,
            stalled_ms: stalled.as_millis() as u64,
            cursor: main.cursor.to_string(),
        }
    }
}
