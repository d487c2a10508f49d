//! The server's own topics, `$sys/…`: what it knows of itself, for those who ask.
//!
//! - `$sys/connections`: the connections that lag, by name, the slowest of them.
//! - `$sys/server`: the figures of `/metrics`, by name.

use std::sync::{Arc, Mutex};

use bellwire_model::limits::{LAG_INTERVAL, LAGGARDS_NAMED_MAX};
use bellwire_model::{Body, Event, Topic};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::json;

use crate::clock;
use crate::observe::Figures;
use crate::shard::{LagReport, Laggard};
use crate::state::States;

const CONNECTIONS: &str = "$sys/connections";
const SERVER: &str = "$sys/server";

/// What each shard has told last of those who lag.
#[derive(Debug, Default)]
pub(crate) struct Lags(Mutex<FxHashMap<usize, LagReport>>);

impl Lags {
    pub(crate) fn report(&self, shard: usize, report: LagReport) {
        self.0.lock().expect("not poisoned").insert(shard, report);
    }

    /// How many lag in all, and the slowest of them.
    fn slowest(&self) -> (usize, Vec<Laggard>) {
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

/// Keeps `$sys/…` as it is now.
#[derive(Debug)]
pub(crate) struct SysTopics {
    pub(crate) lags: Arc<Lags>,
    figures: Arc<Figures>,
    states: Arc<States>,
}

impl SysTopics {
    /// The figures that it tells.
    pub(crate) fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    pub(crate) fn new(figures: Arc<Figures>, states: Arc<States>) -> Self {
        Self { lags: Arc::default(), figures, states }
    }

    /// Looks again and again.
    pub(crate) async fn keep_current(self) {
        let mut interval = tokio::time::interval(LAG_INTERVAL);
        let mut named = FxHashSet::default();
        let mut shown = FxHashMap::default();
        loop {
            interval.tick().await;
            // Where subscribers' threads have no room, figures are not what should fill it.
            if self.states.has_room() {
                let mut events = self.connections(&mut named);
                events.extend(self.server(&mut shown));
                self.states.apply_now(events);
            }
        }
    }

    /// The connections that lag now, and the end of those that did before.
    fn connections(&self, named: &mut FxHashSet<String>) -> Vec<Event> {
        let (lagging, slowest) = self.lags.slowest();
        self.figures.streams_lagging.set(lagging as u64);
        let most = |of: fn(&Laggard) -> u64| slowest.iter().map(of).max().unwrap_or(0);
        self.figures.lag_events.set(most(|laggard| laggard.lag_events));
        self.figures.lag_ms.set(most(|laggard| laggard.lag_ms.unwrap_or(laggard.stalled_ms)));
        let now_named: FxHashSet<String> =
            slowest.iter().map(|laggard| laggard.name.clone()).collect();
        let gone = named.difference(&now_named).map(|name| event(CONNECTIONS, name, None));
        let mut events: Vec<Event> = gone.collect();
        events.extend(slowest.into_iter().map(|laggard| {
            let name = laggard.name.clone();
            event(CONNECTIONS, &name, Some(laggard_json(laggard)))
        }));
        *named = now_named;
        events
    }

    /// The figures that have changed.
    fn server(&self, shown: &mut FxHashMap<&'static str, u64>) -> Vec<Event> {
        let changed = |(name, value): &(&'static str, u64)| {
            shown.insert(name, *value).is_none_or(|before| before != *value)
        };
        let figures = self.figures.all().into_iter().filter(changed);
        figures.map(|(name, value)| event(SERVER, name, Some(json!(value)))).collect()
    }
}

fn laggard_json(laggard: Laggard) -> serde_json::Value {
    let mut json = json!({
        "connection": laggard.name,
        "transport": laggard.transport,
        "filters": laggard.filters,
        "lag_events": laggard.lag_events,
        "stalled_ms": laggard.stalled_ms,
        "cursor": laggard.cursor,
    });
    if let Some(lag_ms) = laggard.lag_ms {
        json["lag_ms"] = lag_ms.into();
    }
    json
}

/// A value, or the end of one.
fn event(topic: &str, key: &str, value: Option<serde_json::Value>) -> Event {
    let topic: Topic = topic.parse().expect("the names above are topics");
    let body = value.map(|value| Body::Json(value.to_string().into()));
    Event { topic, key: Some(key.into()), event_type: None, time: clock::now(), body }
}
