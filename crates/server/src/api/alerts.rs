//! Alerts as they are now.

use std::ops::ControlFlow;

use axum::response::{IntoResponse, Response};
use bellwire_access::Rights;
use bellwire_alerting::ALERTS_ACTIVE;
use bellwire_alerts::Matchers;
use bellwire_model::{FilterSet, Fingerprint};
use bellwire_wire::json;
use bellwire_wire::problem::{Code, Problem};
use http::header;

use super::App;
use crate::access::{Onlooker, SeenCase};
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

pub(super) fn read(text: &str) -> Result<Fingerprint, Problem> {
    let is_fingerprint = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fingerprint = text.parse().ok().filter(|_| is_fingerprint);
    fingerprint.ok_or_else(|| {
        let detail =
            format!("`{text}` is no fingerprint: 16 hexadecimal digits, as /v1/alerts has them");
        Problem::new(Code::AlertNotFound, detail)
    })
}
