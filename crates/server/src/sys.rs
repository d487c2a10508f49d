//! The server's own topics, `$sys/…`: what it knows of itself, for those who ask.
//!
//! - `$sys/connections`: the connections that lag, by name, the slowest of them.
//! - `$sys/server`: the figures of `/metrics` that have no labels, by name.
//! - `$sys/rejects`: what was refused of what sources sent, of each source and reason the newest.
//!
//! `$sys/audit` is a stream of the journal's: see `audit`.

use std::sync::Arc;

use bellwire_model::limits::LAG_INTERVAL;
use bellwire_model::{Body, Event, NameMap, NameSet, Topic};
use bellwire_process::{Row, clock};
use bellwire_shards::{Laggard, States, Traffic};
use serde_json::json;

use crate::observe::Figures;
use crate::traffic::TrafficWatch;

pub(crate) const CONNECTIONS: &str = "$sys/connections";
const SERVER: &str = "$sys/server";
const REJECTS: &str = "$sys/rejects";

/// Keeps `$sys/…` as it is now.
#[derive(Debug)]
pub(crate) struct SysTopics {
    pub(crate) traffic: Arc<Traffic>,
    watch: Arc<TrafficWatch>,
    figures: Arc<Figures>,
    states: Arc<States>,
}

impl SysTopics {
    /// The figures that it tells.
    pub(crate) fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// What went over which transport lately.
    pub(crate) fn watch(&self) -> Arc<TrafficWatch> {
        Arc::clone(&self.watch)
    }

    /// The state topics.
    pub(crate) fn states(&self) -> Arc<States> {
        Arc::clone(&self.states)
    }

    pub(crate) fn new(figures: Arc<Figures>, states: Arc<States>) -> Self {
        let traffic = Arc::<Traffic>::default();
        let watch = Arc::new(TrafficWatch::new(Arc::clone(&traffic)));
        Self { traffic, watch, figures, states }
    }

    /// Looks again and again.
    pub(crate) async fn keep_current(self) {
        let mut interval = tokio::time::interval(LAG_INTERVAL);
        let mut named = NameSet::default();
        let mut shown = NameMap::default();
        loop {
            interval.tick().await;
            // Where subscribers' threads have no room, figures are not what should fill it.
            if self.states.has_room() {
                let mut events = self.connections(&mut named);
                events.extend(self.server(&mut shown));
                events.extend(self.rejects());
                self.states.apply_now(events);
            }
        }
    }

    /// The connections that lag now, and the end of those that did before.
    fn connections(&self, named: &mut NameSet<String>) -> Vec<Event> {
        let (lagging, slowest) = self.figures.lags.slowest();
        self.figures.shards.streams_lagging.set(lagging as u64);
        let most = |of: fn(&Laggard) -> u64| slowest.iter().map(of).max().unwrap_or(0);
        self.figures.shards.lag_events.set(most(|laggard| laggard.lag_events));
        self.figures
            .shards
            .lag_ms
            .set(most(|laggard| laggard.lag_ms.unwrap_or(laggard.stalled_ms)));
        let now_named: NameSet<String> =
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
    fn server(&self, shown: &mut NameMap<&'static str, u64>) -> Vec<Event> {
        let changed =
            |row: &Row| shown.insert(row.name, row.value).is_none_or(|before| before != row.value);
        let figures = self.figures.rows().filter(changed);
        figures.map(|row| event(SERVER, row.name, Some(json!(row.value)))).collect()
    }

    /// What was refused since the last look.
    fn rejects(&self) -> impl Iterator<Item = Event> {
        self.figures.sources.rejects().take().into_iter().map(|reject| {
            let event = event(REJECTS, &reject.key(), Some(reject.json()));
            Event { time: reject.time(), ..event }
        })
    }
}

/// A connection that lags, as it is told.
pub(crate) fn laggard_json(laggard: Laggard) -> serde_json::Value {
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
