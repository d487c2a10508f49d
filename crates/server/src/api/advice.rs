//! Which transport suits what flows: the real traffic, and what somebody describes.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_advice::{advise, observe, read_json};
use bellwire_model::Topic;
use bellwire_model::excerpt;
use bellwire_model::limits::ADVICE_BYTES_MAX;
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use http::HeaderMap;

use super::App;
use super::body;
use super::permission::Caller;
use crate::access::permit_reading;
use crate::problem::Refused;

/// Whoever may read this topic sees what the server knows of itself.
const SERVER: &str = "$sys/server";

/// `GET /v1/advice`: of the traffic of the last hour, for those who may read `$sys/server`.
pub(super) async fn of_traffic(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refused> {
    let server: Topic = SERVER.parse().expect("it is a topic");
    permit_reading(caller.rights(), &server)?;
    Ok(Json(observe(&app.traffic.lately(clock::steady()))).into_response())
}

/// `POST /v1/advice`: of flows that the body describes, as `bellwire advise` reads them, in JSON.
pub(super) async fn of_flows(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let held = body::read(&app.admission, &headers, body, ADVICE_BYTES_MAX).await?;
    let description = read_json(&held.bytes)
        .map_err(|error| Problem::new(Code::BodyInvalid, excerpt(error.to_string())))?;
    Ok(Json(advise(&description)).into_response())
}

#[cfg(test)]
mod tests {
    use bellwire_advice::{FIGURES, Figure, Source, Transport};

    use crate::golden;

    #[test]
    fn the_guide_has_the_figures_that_advice_is_made_of() {
        let number = |value: Option<f64>| match value {
            None => "not measured".to_owned(),
            Some(value) if value >= 100.0 => format!("{value:.0}"),
            Some(value) if value >= 0.1 => format!("{value:.2}"),
            Some(value) => format!("{value:.4}"),
        };
        let row = |figure: &Figure| {
            let [sse, websocket, poll] = Transport::ALL.map(|it| number(figure.of(it)));
            let unit =
                if figure.unit.is_empty() { String::new() } else { format!(", {}", figure.unit) };
            let source = match figure.source {
                Source::Bench { workload, figure, commit, on } => {
                    format!("`bench {workload}`, `{figure}`, commit `{commit}`, {on}")
                }
                Source::Test { test } => format!("the test `{test}`"),
            };
            [format!("{}{unit}", figure.name), sse, websocket, poll, source]
        };
        let heads = ["figure", "SSE", "WebSocket", "long poll", "source"];
        golden::check(
            "docs/choosing.md",
            "figures",
            &golden::table(heads, FIGURES.iter().map(row)),
        );
    }
}
