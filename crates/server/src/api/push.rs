//! Push subscriptions: browsers that are told of alerts though no page is open.
//!
//! Whoever sees alerts may have their browsers told of them, and only they see these subscriptions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bellwire_access::Identity;
use bellwire_alerting::{ListedSubscription, NewSubscription, Owner, Subscribed};
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::body::{json as json_of, read_batch};
use super::permission::Caller;
use crate::access::Mandates;
use crate::allowances::Sent;
use crate::audit::{Deed, Kind};
use crate::problem::Refused;

/// What a page asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderText {
    subscription: SubscriptionText,
    #[serde(default)]
    severities: Vec<Box<str>>,
    #[serde(default)]
    matchers: Vec<Box<str>>,
    #[serde(default = "yes")]
    resolved: bool,
    #[serde(default = "english")]
    language: Box<str>,
}

/// A `PushSubscription` as browsers write it. What they may add is for nobody here.
#[derive(Deserialize)]
struct SubscriptionText {
    endpoint: Box<str>,
    keys: KeysText,
}

#[derive(Deserialize)]
struct KeysText {
    p256dh: Box<str>,
    auth: Box<str>,
}

/// For whoever has shown nothing, or a ticket.
const NOBODY_ANSWERS: &str =
    "say who you are: it goes on while you are away, for as long as what you have shown counts";

fn yes() -> bool {
    true
}

fn english() -> Box<str> {
    "en".into()
}

/// `GET /v1/push`: whether there are push messages, and what browsers subscribe with.
pub(super) async fn terms(State(app): State<Arc<App>>) -> Response {
    let mut terms = json!({ "enabled": false });
    if let Some(key) = app.push.public_key() {
        let lifetime_ms = u64::try_from(app.push.lasts().as_millis()).unwrap_or(u64::MAX);
        terms = json!({ "enabled": true, "public_key": key, "lifetime_ms": lifetime_ms });
    }
    Json(terms).into_response()
}

/// `GET /v1/push/subscriptions`: the caller's own.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
) -> Result<Response, Refused> {
    let list = || {
        let own = app.push.list(Owner(&identity.own_name("")));
        let subscriptions: Vec<Value> = own.iter().map(shown).collect();
        Json(json!({ "subscriptions": subscriptions })).into_response()
    };
    Ok(app.large_reads.run(list).await?)
}

/// `POST /v1/push/subscriptions`: has a browser told from now on, or says anew what it is told.
pub(super) async fn subscribe(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    app.admission.publication()?;
    let held = read_batch(&app.admission, &headers, body).await?;
    app.access.allowances.spend(&identity, Sent::Bytes(held.bytes.len()))?;
    app.access.allowances.spend(&identity, Sent::Events(1))?;
    let order: OrderText = json_of(&held).map_err(|error| {
        let detail = format!(
            "it is {{\"subscription\":{{\"endpoint\":…,\"keys\":{{\"p256dh\":…,\"auth\":…}}}},…}}: {error}"
        );
        Problem::new(Code::BodyInvalid, detail)
    })?;
    let authenticator = &app.access.authenticator;
    let counts = || authenticator.counts(&identity);
    let new = ordered(order, &identity)?;
    let (subscription, subscribed) = app.push.subscribe(new, counts).await?;
    let json = Json(shown(&subscription));
    Ok(match subscribed {
        Subscribed::InPlace => json.into_response(),
        Subscribed::New => {
            let deed = Deed::to(Kind::PushSubscribed, &subscription.id);
            let deed = deed.with("service", &*subscription.service);
            let place = format!("/v1/push/subscriptions/{}", subscription.id);
            let place = [(header::LOCATION, place)];
            deed.told_by((StatusCode::CREATED, place, json).into_response())
        }
    })
}

fn ordered(order: OrderText, identity: &Identity) -> Result<NewSubscription, Problem> {
    let OrderText { subscription, severities, matchers, resolved, language } = order;
    let SubscriptionText { endpoint, keys: KeysText { p256dh, auth } } = subscription;
    let mandate = Mandates::written(identity)
        .ok_or_else(|| Problem::new(Code::CredentialMissing, NOBODY_ANSWERS))?;
    let (matchers, owner) = (matchers.join(",").into(), identity.own_name(""));
    Ok(NewSubscription {
        endpoint,
        p256dh,
        auth,
        severities,
        matchers,
        resolved,
        language,
        owner,
        mandate,
    })
}

/// `DELETE /v1/push/subscriptions/{id}`: the browser is told nothing any more.
pub(super) async fn unsubscribe(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    app.push.unsubscribe(&id, Owner(&identity.own_name(""))).await?;
    let deed = Deed::to(Kind::PushUnsubscribed, id);
    Ok(deed.told_by(StatusCode::NO_CONTENT.into_response()))
}

/// `POST /v1/push/subscriptions/{id}/test`: tells the browser that it is reached.
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    app.access.allowances.spend(&identity, Sent::Events(1))?;
    app.push.test(&id, Owner(&identity.own_name("")))?;
    Ok(StatusCode::ACCEPTED.into_response())
}

fn shown(subscription: &ListedSubscription) -> Value {
    let ListedSubscription { id, service, severities, matchers, resolved, language, state, .. } =
        subscription;
    let mut json = json!({
        "id": id,
        "service": service,
        "severities": severities,
        "matchers": matchers,
        "resolved": resolved,
        "language": language,
        "made_at": subscription.made_at.as_ms(),
        "renewed_at": subscription.renewed_at.as_ms(),
        "ends_at": subscription.ends_at.as_ms(),
    });
    if let Some(told_at) = state.told_at {
        json["told_at"] = told_at.as_ms().into();
    }
    if let Some((since, reason)) = &state.failing {
        json["failing"] = json!({ "since": since.as_ms(), "reason": reason });
    }
    json
}
