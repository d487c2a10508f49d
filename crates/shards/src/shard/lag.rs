//! Who lags: connections whose sockets are full, or that wait for history.
//!
//! Only these are looked at, so that it costs nothing while all keep up.

use std::sync::Mutex;
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::{LAG_INTERVAL, LAGGARDS_LOOKED_AT_MAX, LAGGARDS_NAMED_MAX};
use bellwire_process::clock::{self, TICK, Tick, ticks};

use rustc_hash::FxHashMap;

use super::Token;
use super::turn::Shard;

/// The connections of one shard that lag.
#[derive(Clone, Debug, Default)]
pub struct LagReport {
    /// How many do.
    pub connections: usize,
    /// Those that are furthest behind.
    pub slowest: Vec<Laggard>,
}

/// One connection that lags.
#[derive(Clone, Debug)]
pub struct Laggard {
    /// The address of its client, or the shard's name for it.
    pub name: String,
    pub transport: &'static str,
    pub filters: Vec<String>,
    pub lag_events: u64,
    /// The age of the first event that it lacks, where that is in memory.
    pub lag_ms: Option<u64>,
    /// For how long its socket has taken nothing.
    pub stalled_ms: u64,
    pub cursor: String,
}

/// What each shard has told last of those who lag.
#[derive(Debug, Default)]
pub struct Lags(Mutex<FxHashMap<usize, LagReport>>);

impl Lags {
    pub fn report(&self, shard: usize, report: LagReport) {
        self.0.lock().expect("not poisoned").insert(shard, report);
    }

    /// How many lag in all, and the slowest of them.
    pub fn slowest(&self) -> (usize, Vec<Laggard>) {
        let reports = self.0.lock().expect("not poisoned");
        let connections = reports.values().map(|report| report.connections).sum();
        let mut slowest: Vec<Laggard> =
            reports.values().flat_map(|report| report.slowest.iter().cloned()).collect();
        drop(reports);
        slowest.sort_by_key(|laggard| std::cmp::Reverse((laggard.lag_events, laggard.stalled_ms)));
        slowest.truncate(LAGGARDS_NAMED_MAX);
        (connections, slowest)
    }
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
        let name = outlet.socket.peer().map(|address| address.to_string());
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
