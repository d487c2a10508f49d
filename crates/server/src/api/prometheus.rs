//! Prometheus' HTTP API, as far as rules and what they remember go: for Grafana, for `curl`, and
//! for whoever compares.
//!
//! Answers and errors have Prometheus' shape here, not problem JSON.

mod parameters;
mod query;
mod reload;
mod rules;
mod series;
mod syntax;
mod targets;

use axum::Json;
use axum::response::{IntoResponse, Response};
use bellwire_wire::problem::Problem;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) use self::query::{instant, range};
pub(super) use self::reload::reload;
pub(super) use self::rules::{alerts, rules};
pub(super) use self::series::{labels, series, values};
pub(super) use self::syntax::parse_query;
pub(super) use self::targets::targets;
use crate::place::line_and_column;

/// What went wrong, as Prometheus says it.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

impl Failure {
    /// The request cannot be understood.
    fn bad_data(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", text: text.into() }
    }

    /// It has taken longer than it may.
    fn timeout(text: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "timeout", text: text.into() }
    }

    /// There is no room for it now.
    fn unavailable(text: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "unavailable", text: text.into() }
    }

    /// The request is understood, and comes to nothing.
    fn execution(text: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", text: text.into() }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::unavailable(problem.detail())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, kind, text } = self;
        let body = json!({ "status": "error", "errorType": kind, "error": text });
        (status, Json(body)).into_response()
    }
}

/// An answer.
fn success(data: impl Serialize) -> Json<Value> {
    Json(json!({ "status": "success", "data": data }))
}

/// `GET /api/v1/status/buildinfo`: Grafana tells by it that this is no Mimir.
pub(super) async fn build_information() -> Json<Value> {
    let version = env!("CARGO_PKG_VERSION");
    let unknown = "";
    success(json!({
        "version": version, "revision": unknown, "branch": unknown,
        "buildUser": unknown, "buildDate": unknown, "goVersion": unknown,
    }))
}

/// `GET /api/v1/metadata`: of no metric is it known what kind it is. Grafana asks, and tells its user
/// of an error where there is no answer.
pub(super) async fn metadata() -> Json<Value> {
    success(json!({}))
}

/// Why an expression is refused, and where.
fn refusal(text: &str, error: &bellwire_rules::ExpressionError) -> String {
    let (line, column) = line_and_column(text, error.offset);
    format!("{line}:{column}: parse error: {error}")
}
