//! What went over which transport lately.
//!
//! Counts only grow. Every few minutes it is written down how far they are, so that what is told is of
//! the last hour rather than of all time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bellwire_advice::{Carrier as Shown, Counts, Kind, Seen};
use bellwire_model::Timestamp;
use bellwire_model::limits::{TRAFFIC_SPAN, TRAFFIC_SPANS_MAX};
use bellwire_process::clock;
use bellwire_shards::{Carried, Carrier, RequestTraffic, Traffic};

/// Counts by carrier and kind, sorted by these.
type Counted = Vec<(Carrier, Arc<str>, Carried)>;

/// Keeps what was counted.
#[derive(Debug)]
pub(crate) struct TrafficWatch {
    traffic: Arc<Traffic>,
    /// Where requests are counted that no shard has.
    pub(crate) requests: RequestTraffic,
    /// How far counts were, the oldest first.
    spans: Mutex<VecDeque<(Timestamp, Counted)>>,
}

impl TrafficWatch {
    /// Nothing was counted yet.
    pub(crate) fn new(traffic: Arc<Traffic>) -> Self {
        let requests = RequestTraffic::new(Arc::clone(&traffic));
        let spans = Mutex::new(VecDeque::from([(clock::steady(), Vec::new())]));
        Self { traffic, requests, spans }
    }

    /// Writes down again and again how far counts are.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        let mut interval = tokio::time::interval(TRAFFIC_SPAN);
        // The first tick is at once.
        interval.tick().await;
        loop {
            interval.tick().await;
            self.mark(clock::steady());
        }
    }

    fn mark(&self, now: Timestamp) {
        let now_ms = now.as_ms() as u64;
        let forgotten = self.traffic.forget_idle(now_ms);
        let counted = self.traffic.read(now_ms);
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if !forgotten.is_empty() {
            // One that comes again begins at nothing.
            for (_, counted) in &mut *spans {
                counted.retain(|(_, kind, _)| !forgotten.contains(kind));
            }
        }
        spans.push_back((now, counted));
        if spans.len() > TRAFFIC_SPANS_MAX {
            spans.pop_front();
        }
    }

    /// What was counted since the oldest time that is written down.
    pub(crate) fn lately(&self, now: Timestamp) -> Seen {
        let counted = self.traffic.read(now.as_ms() as u64);
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, earlier) = spans.front().expect("the beginning is never removed alone");
        let kind = |(carrier, name, carried): (Carrier, Arc<str>, Carried)| {
            let place = earlier
                .binary_search_by(|(known, kind, _)| (*known, &**kind).cmp(&(carrier, &*name)));
            let before = place.map_or_else(|_| Carried::default(), |place| earlier[place].2);
            let counts = counts(carried.since(before));
            let binary = carrier == Carrier::WebsocketBinary;
            Kind { carrier: shown(carrier), name: name.to_string(), binary, counts }
        };
        let kinds = counted.into_iter().map(kind).filter(|kind| !is_nothing(&kind.counts));
        let ms = now.as_ms().saturating_sub(began.as_ms()).max(0);
        Seen { seconds: ms as f64 / 1_000.0, kinds: kinds.collect() }
    }
}

fn shown(carrier: Carrier) -> Shown {
    match carrier {
        Carrier::Sse => Shown::Sse,
        Carrier::Ndjson => Shown::Ndjson,
        Carrier::Websocket | Carrier::WebsocketBinary => Shown::Websocket,
        Carrier::Poll => Shown::LongPoll,
        Carrier::Post => Shown::Post,
    }
}

fn counts(carried: Carried) -> Counts {
    let Carried {
        open,
        opened,
        open_ms,
        events_down,
        bytes_down,
        heartbeats,
        messages_up,
        bytes_up,
    } = carried;
    Counts {
        open,
        opened,
        connection_seconds: open_ms as f64 / 1_000.0,
        events_down,
        bytes_down,
        heartbeats,
        messages_up,
        bytes_up,
    }
}

/// Nobody has been there.
fn is_nothing(counts: &Counts) -> bool {
    counts.open == 0 && counts.opened == 0 && counts.connection_seconds <= 0.0
}

#[cfg(test)]
mod tests {
    use bellwire_model::Topic;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(clock::steady().as_ms() + ms)
    }

    #[test]
    fn an_hour_is_looked_back() {
        let watch = TrafficWatch::new(Arc::default());
        let topic: Topic = "chat/a".parse().expect("a topic");
        watch.requests.published(&topic, 5, 500);
        let span = TRAFFIC_SPAN.as_millis() as i64;
        let events = |now| -> u64 {
            watch.lately(now).kinds.iter().map(|kind| kind.counts.messages_up).sum()
        };
        assert_eq!(events(at(0)), 5);
        for spans in 1..=TRAFFIC_SPANS_MAX as i64 {
            watch.mark(at(spans * span));
        }
        // What was there before the oldest mark does not count any more.
        let later = at((TRAFFIC_SPANS_MAX as i64 + 1) * span);
        assert_eq!(events(later), 0);
        watch.requests.published(&topic, 2, 200);
        assert_eq!(events(later), 2);
        let seconds = watch.lately(later).seconds;
        assert!((seconds - 3_600.0).abs() < 5.0, "{seconds}");
    }
}
