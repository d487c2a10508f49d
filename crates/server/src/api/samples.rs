//! Telemetry over HTTP: JSON, and the line protocol of InfluxDB.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_ingest::{Decoded, json, line_protocol};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::App;
use super::body::{header as text_of, read_batch};
use crate::problem::Refused;

/// `POST /v1/samples`. Answers `{"accepted":n}`, with `"rejected"` and `"errors"` where some samples
/// were refused; they name the line and the reason. The others count all the same.
pub(super) async fn json(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    app.admission.publication()?;
    let format = json::Format::from_content_type(text_of(&headers, header::CONTENT_TYPE)?);
    let held = read_batch(&app.admission, &headers, body).await?;
    let decoded = json::decode(format, &held.bytes, clock::now())
        .map_err(|error| Problem::of_decoder(error.code(), error))?;
    let (summary, accepted) = summary(&decoded);
    if accepted == 0 && decoded.rejected > 0 {
        app.figures.alerting.samples_rejected.add(decoded.rejected as u64);
        return Err(Problem::new(Code::SamplesInvalid, first_reason(&decoded))
            .with("errors", summary["errors"].clone())
            .into());
    }
    take(&app, decoded).await?;
    Ok((StatusCode::OK, Json(summary)).into_response())
}

/// `POST /api/v2/write` and `/write`, as InfluxDB answers: 204, or 400 that says what was refused.
pub(super) async fn line_protocol(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let mut parameters = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let precision =
        parameters.find(|(name, _)| name == "precision").map(|(_, precision)| precision);
    let precision = precision
        .as_deref()
        .unwrap_or("ns")
        .parse()
        .map_err(|error| invalid(&format!("`precision`: {error}")))?;
    app.admission.publication().map_err(of_problem)?;
    let held = read_batch(&app.admission, &headers, body).await.map_err(of_problem)?;
    let decoded = line_protocol::decode(&held.bytes, precision, clock::now());
    let refused = (decoded.rejected > 0).then(|| {
        format!(
            "partial write: {} of the lines refused: {}",
            decoded.rejected,
            first_reason(&decoded)
        )
    });
    take(&app, decoded).await.map_err(of_problem)?;
    match refused {
        Some(reason) => Err(invalid(&reason)),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

async fn take(app: &App, decoded: Decoded) -> Result<(), Problem> {
    app.figures.alerting.samples_rejected.add(decoded.rejected as u64);
    app.intake.take(decoded.samples).await
}

/// What was taken and what was not, and how many were taken.
fn summary(decoded: &Decoded) -> (serde_json::Value, usize) {
    let accepted = decoded.samples.len();
    if decoded.rejected == 0 {
        return (serde_json::json!({ "accepted": accepted }), accepted);
    }
    let error = |rejection: &bellwire_ingest::Rejection| {
        serde_json::json!({
            "line": rejection.line,
            "code": rejection.code,
            "detail": rejection.detail,
        })
    };
    let errors: Vec<_> = decoded.rejections.iter().map(error).collect();
    let rejected = decoded.rejected;
    (serde_json::json!({ "accepted": accepted, "rejected": rejected, "errors": errors }), accepted)
}

fn first_reason(decoded: &Decoded) -> String {
    decoded.rejections.first().map_or_else(String::new, |rejection| {
        format!("line {}: {}", rejection.line, rejection.detail)
    })
}

fn invalid(reason: &str) -> Response {
    influx_error(StatusCode::BAD_REQUEST, "invalid", reason)
}

/// A problem in the form that clients of InfluxDB read; its status and headers stay.
pub(super) fn of_problem(problem: Problem) -> Response {
    let error = influx_error(StatusCode::BAD_REQUEST, problem.code.as_str(), problem.detail());
    let mut response = Refused(problem).into_response();
    *response.body_mut() = error.into_body();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The error that clients of InfluxDB read: `code` and `message` in version 2, `error` in version 1.
fn influx_error(status: StatusCode, code: &str, reason: &str) -> Response {
    let error = serde_json::json!({ "code": code, "message": reason, "error": reason });
    (status, Json(error)).into_response()
}
