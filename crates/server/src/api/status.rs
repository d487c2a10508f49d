//! What a board has to know before it says that all is well.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_model::Scope;
use bellwire_process::clock;
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::App;
use super::permission::Caller;
use super::system::unready;
use crate::problem::Refused;
use crate::relay;

/// Where it is asked for.
pub(super) const PATH: &str = "/v1/status";

/// Bytes of an answer of another node at most: it is figures.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// `GET /v1/status`: whether alerts are looked for at all, and when a sample came last. Everything in
/// it is a figure: it costs the same whatever there is, and whoever asks.
///
/// It names no rule, no series and no file, so that all who may see alerts are told the same of the
/// rules; whoever may see none is told nothing of them.
pub(super) async fn status(State(app): State<Arc<App>>, caller: Caller) -> Json<Value> {
    let (rights, figures) = (caller.rights(), &app.figures.alerting);
    let unready = unready(&app).map(|(reason, _)| reason);
    let mut status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "time": clock::slewed().now.as_ms(),
        "ready": unready.is_none(),
    });
    if let Some(reason) = unready {
        status["unready"] = reason.into();
    }
    if rights.alerts != Scope::none() {
        let mut rules = json!({
            "loaded": figures.rules_loaded.get(),
            "alerting": figures.rules_alerting.get(),
            "failing": figures.rules_failing.get(),
            "without_series": figures.rules_without_series.get(),
            "reload_failing": figures.reload_failing.get() > 0,
            "series_refused": figures.series_refused.get(),
            "alerts_refused": figures.alerts_refused.get(),
            "samples_dropped": figures.samples_dropped_late.get() + figures.samples_dropped_ahead.get(),
            // Of some alerts nobody can say whether the last sample was of theirs.
            "seen": if rights.alerts.is_all() { "all" } else { "some" },
        });
        let last_sample_ms = figures.last_sample_ms.get();
        if last_sample_ms > 0 {
            rules["last_sample_at"] = last_sample_ms.into();
        }
        if let Some(failure) = app.reload.failure().filter(|_| rights.is_admin) {
            rules["reload_failure"] = failure.into();
        }
        status["rules"] = rules;
    }
    Json(status)
}

/// The keeper's answer, as a node gives it that has asked: where that node itself is not ready, what it
/// shows may be old, and nothing proves that all is well.
pub(super) async fn by_way_of(app: &App, answer: Response) -> Response {
    let Some((reason, _)) = unready(app).filter(|_| answer.status() == StatusCode::OK) else {
        return answer;
    };
    let (mut head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await;
    let status = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
    let Some(Value::Object(mut status)) = status else {
        let problem = relay::nobody_keeps("the node that has the alerts has not answered whole");
        return Refused(problem).into_response();
    };
    status.insert("ready".to_owned(), false.into());
    status.insert("unready".to_owned(), reason.into());
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Value::Object(status).to_string().into())
}
