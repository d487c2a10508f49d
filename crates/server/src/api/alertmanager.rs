//! Alertmanager's API v2, as its clients know it: amtool, Prometheus as a sender, Grafana, Karma.
//!
//! Errors are JSON strings here, and times are as RFC 3339 writes them.

mod alerts;
mod filter;
mod groups;
pub(super) mod silences;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_alerts::Matchers;
use bellwire_alerts::config::{Config, Receiver};
use bellwire_alerts::desk::Case;
use bellwire_model::Scope;
use bellwire_wire::problem::Problem;
use http::StatusCode;
use serde_json::{Value, json};

use self::filter::Query;
use super::App;
use super::permission::Caller;
use crate::observe::ALERTMANAGER_VERSION;

pub(super) use alerts::{list as alerts, post as post_alerts};
pub(super) use groups::list as groups;
pub(super) use silences::{
    delete as delete_silence, list as silences, one as silence, post as post_silence,
};

/// An error, as clients of Alertmanager expect it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    /// What was asked for is wrong.
    fn bad(text: impl Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.to_string() }
    }

    /// There is no such thing.
    fn not_found(text: impl Display) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.to_string() }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.code.status());
        Self {
            status: status.expect("the table has valid codes"),
            text: problem.detail().to_owned(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.text)).into_response()
    }
}

fn answer(value: Value) -> Response {
    Json(value).into_response()
}

/// `GET /api/v2/status`. The configuration names everybody's receivers and what goes to them: it is
/// for whoever runs the server.
pub(super) async fn status(State(app): State<Arc<App>>, caller: Caller) -> Response {
    let name = "bellwire";
    let config = app.alerting.config();
    let original = if caller.rights().is_admin { config.original() } else { "" };
    answer(json!({
        // Of one node, which is always ready.
        "cluster": {
            "name": name,
            "status": "ready",
            "peers": [{ "name": name, "address": app.address.to_string() }],
        },
        "versionInfo": {
            "version": ALERTMANAGER_VERSION,
            "revision": "",
            "branch": name,
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        },
        "config": { "original": original },
        "uptime": app.alerting.started_at().rfc3339().to_string(),
    }))
}

/// `GET /api/v2/receivers`: who does not see all alerts is told those to which alerts go that they
/// see.
pub(super) async fn receivers(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::new(query.as_deref());
    let read = || {
        let receivers = query.receivers()?;
        let config = app.alerting.config();
        let seen = receivers_seen(&app, &config, &caller.rights().alerts)?;
        let is_seen = |name: &str| seen.as_ref().is_none_or(|seen| seen.contains(name));
        let taken = config
            .receivers
            .iter()
            .filter(|receiver| is_seen(&receiver.name) && receivers.take(&config, &receiver.name));
        let view = |receiver: &Receiver| {
            let labels = alerts::labels_json(&receiver.labels);
            json!({ "name": &*receiver.name, "labels": labels })
        };
        Ok(answer(taken.map(view).collect()))
    };
    app.large_reads.run(read).await?
}

/// The receivers to which alerts of a scope go. `None`: all may be seen.
fn receivers_seen(
    app: &App,
    config: &Config,
    scope: &Scope,
) -> Result<Option<BTreeSet<Arc<str>>>, Problem> {
    if scope.is_all() {
        return Ok(None);
    }
    let seen = app.alerting.matching((scope, &Matchers::default()), |_| true)?;
    let cases = app.alerting.cases(&seen);
    let of_case = |case: &Case| config.routes.receivers_of(&case.alert().labels);
    Ok(Some(cases.iter().flat_map(of_case).collect()))
}
