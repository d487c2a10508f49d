//! What clients of InfluxDB ask beside writing: whether it is there, of which version it is, and
//! whether their database is.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_model::limits::PARAMETERS_BYTES_MAX;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use serde_json::{Value, json};

use super::body::read;
use super::{App, dialect};

/// What clients take the version from: the last one whose protocol is the same.
const VERSION: &str = "1.8.10";
const VERSION_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (HeaderName::from_static("x-influxdb-version"), HeaderValue::from_static(VERSION)),
    (HeaderName::from_static("x-influxdb-build"), HeaderValue::from_static("OSS")),
];

/// The one database that there is, whatever names clients write to.
const DATABASE: &str = "bellwire";

/// `GET /ping`: 204, or 200 with the version where `verbose` asks for it.
pub(super) async fn ping(uri: Uri) -> Response {
    let mut parameters = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let is_off = |value: &str| matches!(value, "" | "0" | "false");
    if parameters.any(|(name, value)| name == "verbose" && !is_off(&value)) {
        return (VERSION_HEADERS, Json(json!({ "version": VERSION }))).into_response();
    }
    (StatusCode::NO_CONTENT, VERSION_HEADERS).into_response()
}

/// `GET /health`, as version 2 answers it.
pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let (status, word, message) = if app.intake.is_blocked() {
        (StatusCode::SERVICE_UNAVAILABLE, "fail", "the journal does not take alert transitions")
    } else {
        (StatusCode::OK, "pass", "ready for writes")
    };
    let health = json!({
        "name": "influxdb", "message": message, "status": word, "checks": [],
        "version": VERSION, "commit": "",
    });
    (status, VERSION_HEADERS, Json(health)).into_response()
}

/// `GET /ready`, as version 2 answers it.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let started = app.alerting.started_at().rfc3339().to_string();
    let ready = json!({ "status": "ready", "started": started });
    (VERSION_HEADERS, Json(ready)).into_response()
}

/// `GET`, `POST /query`: databases are there as soon as somebody asks for one. What is asked of
/// samples is told where to ask.
pub(super) async fn query(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let held = read(&app.admission, &headers, body, PARAMETERS_BYTES_MAX);
    let held = held.await.map_err(dialect::of_influxdb)?;
    let form = std::str::from_utf8(&held.bytes).unwrap_or_default();
    bellwire_shards::check_query(form).map_err(dialect::of_influxdb)?;
    let query = uri.query().unwrap_or_default();
    let mut parameters = url::form_urlencoded::parse(form.as_bytes())
        .chain(url::form_urlencoded::parse(query.as_bytes()));
    let Some((_, text)) = parameters.find(|(name, _)| name == "q") else {
        let error = json!({ "error": "missing required parameter \"q\"" });
        return Err((StatusCode::BAD_REQUEST, VERSION_HEADERS, Json(error)).into_response());
    };
    let statements = text.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    let results: Value = statements.enumerate().map(result).collect();
    Ok((VERSION_HEADERS, Json(json!({ "results": results }))).into_response())
}

/// What one statement gives.
fn result((id, statement): (usize, &str)) -> Value {
    let mut words = statement.split_ascii_whitespace().map(str::to_ascii_uppercase);
    match [words.next(), words.next()].map(Option::unwrap_or_default) {
        [verb, noun] if verb == "CREATE" && (noun == "DATABASE" || noun == "RETENTION") => {
            json!({ "statement_id": id })
        }
        [verb, noun] if verb == "SHOW" && noun == "DATABASES" => json!({
            "statement_id": id,
            "series": [{ "name": "databases", "columns": ["name"], "values": [[DATABASE]] }],
        }),
        _ => json!({
            "statement_id": id,
            "error": "InfluxQL is not answered here: ask /api/v1/query with PromQL",
        }),
    }
}
