//! Health and figures.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_authn::Query;
use bellwire_cluster::Standing;
use bellwire_model::with_causes;
use http::request::Parts;
use http::{Method, StatusCode, header};

use super::App;
use super::permission::{self, peer};
use crate::page::Page;

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let bounds = app.publisher.journal.bounds();
    app.figures.journal.tail.set(bounds.tail.get());
    app.figures.journal.trimmed.set(bounds.trimmed.get());
    app.figures.shards.state_keys.set(app.publisher.states.keys() as u64);
    let (series, bytes) = app.publisher.states.remembered();
    app.figures.shards.past_series.set(series as u64);
    app.figures.shards.past_bytes.set(bytes as u64);
    app.figures.shards.state_bytes.set(app.publisher.states.size_bytes() as u64);
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.figures.render()).into_response()
}

/// `GET /healthz`: the process serves.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Why the server is not ready: what it is that does not work, and the cause where there is one to
/// tell whoever runs it.
pub(super) fn unready(app: &App) -> Option<(&'static str, Option<String>)> {
    if let Err(error) = app.publisher.journal.health() {
        let standing = app.cluster.as_ref().map(|cluster| cluster.journal.standing());
        return Some((no_events(standing.as_ref()), Some(with_causes(&error))));
    }
    if app.admission.is_behind() {
        return Some(("the node is behind its cluster", None));
    }
    if app.intake.is_blocked() {
        return Some(("the journal does not take alert transitions", None));
    }
    let is_unkept = app.figures.alerting.rule_state_unkept.get() > 0;
    is_unkept.then_some(("the rules' state cannot be written", None))
}

fn no_events(standing: Option<&Standing>) -> &'static str {
    match standing {
        Some(Standing::Away { .. }) => {
            "the journal takes no events, since the engine of the cluster is away"
        }
        _ => "the journal takes no events",
    }
}

/// `GET /readyz`: the journal takes events, and what the rules know is kept. Otherwise 503, and why.
/// Rules that are older than their files are told too, issuers whose keys cannot be fetched, and brokers
/// that are not connected, but are no reason to send nobody here.
///
/// Whoever does not run the server is told no more than what it is that does not work: causes name
/// files, and quote them.
pub(super) async fn readyz(State(app): State<Arc<App>>, parts: Parts) -> (StatusCode, String) {
    let cookies = Page::of(&parts.uri, &parts.headers, &parts.extensions)
        .cookies(&Method::GET, &parts.headers);
    let shown = permission::shown(&app, &parts, (Query::Nothing, cookies));
    let identity = match &shown {
        Ok(shown) => app.access.authenticator.identify(shown, peer(&parts.extensions)).await.ok(),
        Err(_) => None,
    };
    let is_admin = identity.is_some_and(|identity| identity.rights.is_admin);
    if let Some((reason, cause)) = unready(&app) {
        let cause = cause.filter(|_| is_admin).map_or(String::new(), |cause| format!(": {cause}"));
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}{cause}\n"));
    }
    let mut text = "ready\n".to_owned();
    let complaints = app.access.authenticator.complaints();
    if is_admin {
        complaints.reasons.iter().for_each(|reason| text.extend([reason, "\n"]));
    } else if complaints.are_keys_missing {
        text.push_str("the keys of an issuer of tokens are missing\n");
    }
    let brokers = app.figures.sources.mqtt_brokers.complaints();
    if is_admin {
        text.extend(brokers.iter().flat_map(|line| [line, "\n"]));
    } else if !brokers.is_empty() {
        text.push_str("not all is well with a broker of MQTT\n");
    }
    if let Some(cluster) = app.cluster.as_ref().filter(|_| is_admin) {
        let losses = cluster.losses.iter();
        text.extend(losses.map(|loss| format!("the engine of the cluster may lose {loss}\n")));
    }
    if let Some(reason) = app.reload.failure().filter(|_| is_admin) {
        text.extend(["rules and notifications are older than their files: ", &reason, "\n"]);
    }
    (StatusCode::OK, text)
}
