//! Those who lag, as they are told: by each shard, and of all of them.

use std::cmp::Reverse;
use std::sync::Mutex;

use bellwire_model::limits::{LAG_INTERVAL, LAGGARDS_LOOKED_AT_MAX, LAGGARDS_NAMED_MAX};
use bellwire_process::clock::{Tick, ticks};
use rustc_hash::FxHashMap;

use super::Token;

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
        let all = reports.values().flat_map(|report| report.slowest.iter().cloned()).collect();
        drop(reports);
        (connections, slowest(all))
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

    /// Whether it is time for a look. `still_lags` says of each whether it does.
    pub(super) fn look(&mut self, now: Tick, mut still_lags: impl FnMut(Token) -> bool) -> bool {
        if self.next_look().is_none_or(|look_at| now < look_at) {
            return false;
        }
        self.look_at = now + ticks(LAG_INTERVAL);
        self.tokens.retain(|token| still_lags(*token));
        // One may have gone, and another that lags have its slot.
        self.tokens.sort_unstable();
        self.tokens.dedup();
        true
    }

    /// What is to be told of them; `describe` says what of one.
    pub(super) fn report(&mut self, describe: impl FnMut(Token) -> Laggard) -> LagReport {
        let tokens = self.tokens.iter().copied().take(LAGGARDS_LOOKED_AT_MAX);
        let slowest = slowest(tokens.map(describe).collect());
        let connections = self.tokens.len();
        self.has_reported = connections > 0;
        LagReport { connections, slowest }
    }
}

/// The slowest of them, these first.
fn slowest(mut laggards: Vec<Laggard>) -> Vec<Laggard> {
    laggards.sort_by_key(|laggard| Reverse((laggard.lag_events, laggard.stalled_ms)));
    laggards.truncate(LAGGARDS_NAMED_MAX);
    laggards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_slot_of_another_that_lagged_is_counted_once() {
        let mut laggards = Laggards::default();
        for token in [3, 5, 3] {
            laggards.push(token);
        }
        assert!(laggards.look(0, |token| token == 3));
        let mut described = 0;
        let report = laggards.report(|token| {
            described += 1;
            Laggard {
                name: token.to_string(),
                transport: "sse",
                filters: Vec::new(),
                lag_events: 1,
                lag_ms: None,
                stalled_ms: 0,
                cursor: String::new(),
            }
        });
        assert_eq!((report.connections, report.slowest.len(), described), (1, 1, 1));
    }
}
