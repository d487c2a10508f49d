//! Who lags: connections whose sockets are full, or that wait for history.
//!
//! Only these are looked at, so that it costs nothing while all keep up.

use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{LAG_INTERVAL, LAGGARDS_LOOKED_AT_MAX, LAGGARDS_NAMED_MAX};

use super::Token;
use super::turn::Shard;
use crate::clock::{self, TICK, Tick, ticks};

/// The connections of one shard that lag.
#[derive(Clone, Debug, Default)]
pub(crate) struct LagReport {
    /// How many do.
    pub(crate) connections: usize,
    /// Those that are furthest behind.
    pub(crate) slowest: Vec<Laggard>,
}

/// One connection that lags.
#[derive(Clone, Debug)]
pub(crate) struct Laggard {
    /// The address of its client, or the shard's name for it.
    pub(crate) name: String,
    pub(crate) transport: &'static str,
    pub(crate) filters: Vec<String>,
    pub(crate) lag_events: u64,
    /// The age of the first event that it lacks, where that is in memory.
    pub(crate) lag_ms: Option<u64>,
    /// For how long its socket has taken nothing.
    pub(crate) stalled_ms: u64,
    pub(crate) cursor: String,
}

/// Who may lag, and when that is looked at next.
#[derive(Debug, Default)]
pub(super) struct Laggards {
    tokens: Vec<Token>,
    look_at: Tick,
    /// Whether the last report named anybody, which the next has to take back.
    has_reported: bool,
}

impl Laggards {
    pub(super) fn push(&mut self, token: Token) {
        self.tokens.push(token);
    }

    /// When they want to be looked at again, if at all.
    pub(super) fn next_look(&self) -> Option<Tick> {
        (self.has_reported || !self.tokens.is_empty()).then_some(self.look_at)
    }
}

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
        let now = self.ticker.now();
        if self.laggards.next_look().is_none_or(|look_at| now < look_at) {
            return;
        }
        self.laggards.look_at = now + ticks(LAG_INTERVAL);
        let connections = &mut self.connections;
        self.laggards.tokens.retain(|token| {
            let Some(connection) = connections.get_mut(*token) else { return false };
            connection.is_laggard &= connection.lags();
            connection.is_laggard
        });
        let tokens = self.laggards.tokens.iter().take(LAGGARDS_LOOKED_AT_MAX);
        let mut slowest: Vec<Laggard> = tokens.map(|token| self.laggard(*token, now)).collect();
        slowest.sort_by_key(|laggard| std::cmp::Reverse((laggard.lag_events, laggard.stalled_ms)));
        slowest.truncate(LAGGARDS_NAMED_MAX);
        let connections = self.laggards.tokens.len();
        self.laggards.has_reported = connections > 0;
        self.surroundings.lags.report(self.index, LagReport { connections, slowest });
    }

    fn laggard(&self, token: Token, now: Tick) -> Laggard {
        let connection = &self.connections[token];
        let outlet = &connection.outlet;
        let delivery = &connection.main.delivery;
        let lag = self.hub.lag(delivery);
        let age_ms = |time: Timestamp| u64::try_from(clock::now().as_ms() - time.as_ms());
        let lag_ms = lag.first.map(|first| age_ms(first.payload.event().time).unwrap_or(0));
        let stalled: Duration = TICK * now.saturating_sub(outlet.written_at);
        let name = outlet.socket.peer_name();
        Laggard {
            name: name.unwrap_or_else(|| format!("shard-{}/{token}", self.index)),
            transport: outlet.form.transport(),
            filters: self.hub.filters(delivery.lane()).iter().map(ToString::to_string).collect(),
            lag_events: lag.events,
            lag_ms,
            stalled_ms: stalled.as_millis() as u64,
            cursor: self.hub.cursor(delivery).to_string(),
        }
    }
}
