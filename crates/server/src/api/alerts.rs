//! Alerts as they are now, and who attends to them.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bellwire_access::Rights;
use bellwire_alerting::ALERTS_ACTIVE;
use bellwire_alerts::Matchers;
use bellwire_alerts::desk::{AcknowledgeError, Desk, Plan};
use bellwire_model::{FilterSet, Fingerprint, NewAcknowledgement, Timestamp};
use bellwire_wire::json;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, header};
use serde::Deserialize;

use super::App;
use super::body::{json as json_of, read_batch};
use super::permission::Caller;
use crate::access::{Attending, Onlooker, SeenCase};
use crate::audit::{Deed, Kind};
use crate::problem::Refused;

/// What `alerts/active` holds, as one array, as far as the caller may see it.
pub(super) async fn now(app: &App, rights: &Rights) -> Result<Response, Refused> {
    let read = || if rights.alerts.is_all() { Ok(all(app)) } else { some(app, rights) };
    Ok(app.large_reads.run(read).await??)
}

fn some(app: &App, rights: &Rights) -> Result<Response, Problem> {
    let fingerprints = app.alerting.matching((&rights.alerts, &Matchers::default()), |_| true)?;
    let cases = app.alerting.cases(&fingerprints);
    let cases = Onlooker::with(rights).see(&app.alerting, cases);
    Ok(list_of(&cases.iter().map(shown).collect::<Vec<_>>()))
}

/// An alert as it is shown to somebody.
pub(super) fn shown(seen: &SeenCase) -> Vec<u8> {
    json::shown_alert_naming(seen.alert(), seen.case().status(), seen.named())
}

fn all(app: &App) -> Response {
    let filter = ALERTS_ACTIVE.parse::<bellwire_model::Filter>().expect("a filter");
    let mut alerts = Vec::new();
    app.publisher.states.read(&FilterSet::from(filter), |value| {
        let body = value.payload.event().body.as_ref();
        alerts.push(body.expect("a value that is there has a body").bytes().clone());
        ControlFlow::Continue(())
    });
    list_of(&alerts)
}

fn list_of(alerts: &[impl AsRef<[u8]>]) -> Response {
    answer([b"{\"alerts\":", &*array(alerts), b"}"].concat())
}

/// An array of what is JSON already.
pub(super) fn array(items: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut json = b"[".to_vec();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(item.as_ref());
    }
    json.push(b']');
    json
}

pub(super) fn answer(json: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// Who acknowledges.
#[derive(Deserialize)]
struct AcknowledgementText {
    by: Box<str>,
    #[serde(default)]
    note: Box<str>,
}

/// `POST /v1/alerts/{fingerprint}/ack`: somebody takes the alert up. Answers with the alert.
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    Path(fingerprint): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let fingerprint = read(&fingerprint)?;
    let held = read_batch(&app.admission, &headers, body).await?;
    let AcknowledgementText { by, note } = json_of(&held).map_err(|error| {
        let detail = format!("an acknowledgement is {{\"by\":…,\"note\":…}}: {error}");
        Problem::new(Code::BodyInvalid, detail)
    })?;
    let new = NewAcknowledgement { by, note };
    let attending = Attending::of(Arc::clone(&identity));
    let plan = move |desk: &Desk, now| attending.acknowledge(desk, now, (fingerprint, new));
    let attended = attend((&app, &identity.rights), fingerprint, plan).await?;
    Ok(Deed::to(Kind::Acknowledged, fingerprint).told_by(attended))
}

/// `DELETE /v1/alerts/{fingerprint}/ack`: nobody does any more. Answers with the alert.
pub(super) async fn unacknowledge(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    Path(fingerprint): Path<String>,
) -> Result<Response, Refused> {
    let fingerprint = read(&fingerprint)?;
    let attending = Attending::of(Arc::clone(&identity));
    let plan = move |desk: &Desk, now| attending.unacknowledge(desk, now, fingerprint);
    let attended = attend((&app, &identity.rights), fingerprint, plan).await?;
    Ok(Deed::to(Kind::Unacknowledged, fingerprint).told_by(attended))
}

async fn attend(
    (app, rights): (&App, &Rights),
    fingerprint: Fingerprint,
    plan: impl FnOnce(&Desk, Timestamp) -> Result<Plan, AcknowledgeError> + Send + 'static,
) -> Result<Response, Refused> {
    let planned = app.alerting.request(move |desk, now| match plan(desk, now) {
        Ok(plan) => (plan, Ok(())),
        Err(error) => (Plan::default(), Err(Problem::from(error))),
    });
    planned.await??;
    let seen = Onlooker::with(rights).see(&app.alerting, app.alerting.cases(&[fingerprint]));
    Ok(answer(shown(seen.first().ok_or(AcknowledgeError::NotFound)?)))
}

pub(super) fn read(text: &str) -> Result<Fingerprint, Problem> {
    let is_fingerprint = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fingerprint = text.parse().ok().filter(|_| is_fingerprint);
    fingerprint.ok_or_else(|| {
        let detail =
            format!("`{text}` is no fingerprint: 16 hexadecimal digits, as /v1/alerts has them");
        Problem::new(Code::AlertNotFound, detail)
    })
}
