//! Telemetry over HTTP: JSON, and the line protocol of InfluxDB.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::Rights;
use bellwire_alerting::Source;
use bellwire_ingest::{Decoded, Rejection, json, line_protocol};
use bellwire_model::limits::REJECTIONS_REPORTED_MAX;
use bellwire_process::clock;
use bellwire_rules::{RefusedSamples, SampleRefusal};
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{Extensions, StatusCode, header};

use super::body::{header as text_of, read_batch, work_through};
use super::permission::Caller;
use super::{App, dialect};
use crate::admission;
use crate::allowances::Sent;
use crate::front_door::Peer;
use crate::problem::Refused;

/// `POST /v1/samples`. Answers `{"accepted":n}`, with `"rejected"` and `"errors"` where some samples
/// were refused; they name the line and the reason. The others count all the same.
pub(super) async fn json(
    State(app): State<Arc<App>>,
    caller: Caller,
    parts: Parts,
    body: Body,
) -> Result<Response, Refused> {
    app.admission.publication()?;
    let format = json::Format::from_content_type(text_of(&parts.headers, header::CONTENT_TYPE)?);
    let held = read_batch(&app.admission, &parts.headers, body).await?;
    app.access.allowances.spend(&caller.0, Sent::Bytes(held.bytes.len()))?;
    let decode = || json::decode(format, &held.bytes, clock::now());
    let mut decoded = work_through(&app.admission, held.bytes.len(), decode)
        .await
        .map_err(|error| Problem::of_decoder(error.code(), error))?;
    keep_permitted(&mut decoded, caller.rights());
    app.access.allowances.spend(&caller.0, Sent::Samples(decoded.samples.len()))?;
    let accepted = take(&app, source_of(&parts.extensions), &mut decoded).await?;
    let summary = summary(&decoded, accepted);
    if accepted == 0 && decoded.rejected > 0 {
        return Err(Problem::new(Code::SamplesInvalid, first_reason(&decoded))
            .with("errors", summary["errors"].clone())
            .into());
    }
    Ok((StatusCode::OK, Json(summary)).into_response())
}

/// `POST /api/v2/write` and `/write`, as InfluxDB answers: 204, or 400 that says what was refused.
pub(super) async fn line_protocol(
    State(app): State<Arc<App>>,
    caller: Caller,
    parts: Parts,
    body: Body,
) -> Result<Response, Response> {
    let mut parameters =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let precision =
        parameters.find(|(name, _)| name == "precision").map(|(_, precision)| precision);
    let precision = precision
        .as_deref()
        .unwrap_or("ns")
        .parse()
        .map_err(|error| invalid(&format!("`precision`: {error}")))?;
    app.admission.publication().map_err(dialect::of_influxdb)?;
    let held =
        read_batch(&app.admission, &parts.headers, body).await.map_err(dialect::of_influxdb)?;
    let spend = |sent| app.access.allowances.spend(&caller.0, sent);
    spend(Sent::Bytes(held.bytes.len())).map_err(dialect::of_influxdb)?;
    let decode = || line_protocol::decode(&held.bytes, precision, clock::now());
    let mut decoded = work_through(&app.admission, held.bytes.len(), decode).await;
    keep_permitted(&mut decoded, caller.rights());
    spend(Sent::Samples(decoded.samples.len())).map_err(dialect::of_influxdb)?;
    take(&app, source_of(&parts.extensions), &mut decoded).await.map_err(dialect::of_influxdb)?;
    let refused = (decoded.rejected > 0).then(|| {
        format!(
            "partial write: {} of the lines refused: {}",
            decoded.rejected,
            first_reason(&decoded)
        )
    });
    match refused {
        Some(reason) => Err(invalid(&reason)),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// Rejects the samples that the rights do not allow.
pub(crate) fn keep_permitted(decoded: &mut Decoded, rights: &Rights) {
    if !rights.ingest.is_all() {
        decoded.keep(|series| rights.ingest.passes(series));
    }
}

/// Hands the samples to the rules, and says how many they have taken. Those for which they had no
/// room are rejected like those that could not be read.
async fn take(app: &App, source: Source, decoded: &mut Decoded) -> Result<usize, Problem> {
    app.figures.alerting.samples_rejected.add(decoded.rejected as u64);
    let samples = std::mem::take(&mut decoded.samples);
    let count = samples.len();
    let refused = app.intake.take(source, samples).await?;
    let accepted = count - refused.count;
    reject(decoded, refused);
    Ok(accepted)
}

/// Whose samples they are.
fn source_of(extensions: &Extensions) -> Source {
    source(extensions.get().map(|Peer(address)| *address))
}

/// Whose samples come from an address.
pub(crate) fn source(address: Option<IpAddr>) -> Source {
    Source::of(address.map(admission::counted))
}

/// Rejects what the rules had no room for.
pub(crate) fn reject(decoded: &mut Decoded, refused: RefusedSamples) {
    decoded.rejected += refused.count;
    let rejection = |(place, refusal): (usize, SampleRefusal)| Rejection {
        line: decoded.lines[place] as usize,
        code: refusal.code(),
        detail: refusal.to_string(),
    };
    let rejections: Vec<Rejection> = refused.first.into_iter().map(rejection).collect();
    decoded.rejections.extend(rejections);
    decoded.rejections.sort_by_key(|rejection| rejection.line);
    decoded.rejections.truncate(REJECTIONS_REPORTED_MAX);
}

/// What was taken and what was not.
fn summary(decoded: &Decoded, accepted: usize) -> serde_json::Value {
    if decoded.rejected == 0 {
        return serde_json::json!({ "accepted": accepted });
    }
    let error = |rejection: &Rejection| {
        serde_json::json!({
            "line": rejection.line,
            "code": rejection.code,
            "detail": rejection.detail,
        })
    };
    let errors: Vec<_> = decoded.rejections.iter().map(error).collect();
    let rejected = decoded.rejected;
    serde_json::json!({ "accepted": accepted, "rejected": rejected, "errors": errors })
}

fn first_reason(decoded: &Decoded) -> String {
    decoded.rejections.first().map_or_else(String::new, |rejection| {
        format!("line {}: {}", rejection.line, rejection.detail)
    })
}

fn invalid(reason: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(dialect::influxdb("invalid", reason))).into_response()
}

#[cfg(test)]
mod tests {
    use bellwire_model::Timestamp;

    use super::*;

    #[test]
    fn what_there_was_no_room_for_is_told_with_its_line_and_reason() {
        let now = Timestamp::from_ms(1_000_000_000_000);
        let body = b"t,s=a value=1,x=2\nbroken\nt,s=b value=1\n";
        let mut decoded = line_protocol::decode(body, line_protocol::Precision::default(), now);
        assert_eq!(decoded.lines, [1, 1, 3]);
        let first = vec![(1, SampleRefusal::SeriesOfMetric), (2, SampleRefusal::Series)];
        reject(&mut decoded, RefusedSamples { count: 2, first });
        let told: Vec<_> = decoded.rejections.iter().map(|one| (one.line, one.code)).collect();
        assert_eq!(told[0], (1, "metric_series_limit"));
        assert_eq!((told[1].0, told[2]), (2, (3, "series_limit")));
        let summary = summary(&decoded, 1);
        assert_eq!((&summary["accepted"], &summary["rejected"]), (&1.into(), &3.into()));
    }
}
