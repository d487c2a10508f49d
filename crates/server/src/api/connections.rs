//! The streams that are open, those that lag, and why others have ended.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bellwire_model::Topic;
use bellwire_process::clock;
use bellwire_shards::ClosedStream;
use serde_json::{Map, Value, json};

use super::App;
use super::permission::Caller;
use crate::access::permit_reading;
use crate::problem::Refused;
use crate::sys;

/// `GET /v1/connections`: counts, laggards, and the newest streams that have ended. It is for those
/// who may read `$sys/connections`: it tells addresses, and what others follow.
///
/// All of it is bounded, and nobody who serves streams is asked for it.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Value>, Refused> {
    let topic: Topic = sys::CONNECTIONS.parse().expect("it is a topic");
    permit_reading(caller.rights(), &topic)?;
    let figures = &app.figures;
    let transports = figures.transports.counts().map(|(transport, open, opened)| {
        json!({
            "transport": transport.name(),
            "encoding": transport.encoding(),
            "open": open,
            "opened": opened,
        })
    });
    let counts = figures.closed.counts().filter(|(_, count)| *count > 0);
    let counts: Map<String, Value> =
        counts.map(|(reason, count)| (reason.as_str().to_owned(), count.into())).collect();
    let (lagging, slowest) = figures.lags.slowest();
    Ok(Json(json!({
        "time": clock::now().as_ms(),
        "connections": figures.connections(),
        "streams": figures.shards.streams_open.get(),
        "polls_waiting": figures.shards.polls_waiting.get(),
        "refused": figures.door.connections_refused.get(),
        "transports": transports.collect::<Vec<_>>(),
        "lagging": lagging,
        "laggards": slowest.into_iter().map(sys::laggard_json).collect::<Vec<_>>(),
        "closed": figures.closed.newest().iter().map(|closed| closed_json(closed)).collect::<Vec<_>>(),
        "closed_counts": counts,
    })))
}

fn closed_json(closed: &ClosedStream) -> Value {
    let mut json = json!({
        "time": closed.time.as_ms(),
        "connection": closed.name,
        "transport": closed.transport.name(),
        "encoding": closed.transport.encoding(),
        "reason": closed.reason.as_str(),
        "filters": closed.filters,
        "duration_ms": closed.duration.as_millis() as u64,
        "bytes": closed.bytes,
        "lagged": closed.was_lagging,
    });
    if let Some(subject) = &closed.subject {
        json["subject"] = (&**subject).into();
    }
    if closed.filters_left_out > 0 {
        json["filters_left_out"] = closed.filters_left_out.into();
    }
    json
}
