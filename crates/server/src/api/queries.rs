//! Queries that are recorded under names, for dashboards: an expression is followed by its name then.
//!
//! Who sees the same has the same names. Whoever may query records them; they are changed by who has
//! recorded them, and by those who run the server.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bellwire_access::Identity;
use bellwire_alerting::{Editor, NamedQuery, NewNamedQuery, Recorded, Recording};
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::App;
use super::body::{Held, json as json_of, read_batch};
use super::permission::Caller;
use crate::access;
use crate::allowances::Sent;
use crate::audit::{Deed, Kind};
use crate::problem::Refused;

/// What is to be recorded, with its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewText {
    name: Box<str>,
    query: Box<str>,
    #[serde(default)]
    note: Box<str>,
}

/// What is to be recorded under a name that the path has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    query: Box<str>,
    #[serde(default)]
    note: Box<str>,
}

/// `GET /v1/queries`: those that the caller has the names of, by their names.
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refused> {
    let sight = access::sight(caller.rights());
    let list = || {
        let queries: Vec<Value> = app.live.named(&sight).iter().map(shown).collect();
        Json(json!({ "queries": queries })).into_response()
    };
    Ok(app.large_reads.run(list).await?)
}

/// `GET /v1/queries/{name}`.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let sight = access::sight(caller.rights());
    Ok(Json(shown(&app.live.find_named(&name, &sight)?)).into_response())
}

/// `POST /v1/queries`: records one under a name that no other has.
pub(super) async fn record(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let held = taken(&app, &identity, (&headers, body)).await?;
    let NewText { name, query, note } = json_of(&held).map_err(|error| {
        let detail = format!("a query is {{\"name\":…,\"query\":…}}: {error}");
        Problem::new(Code::BodyInvalid, detail)
    })?;
    recorded(&app, &identity, (name, query, note), Recording::New).await
}

/// `PUT /v1/queries/{name}`: records one under the name, in place of what there is.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    Path(name): Path<Box<str>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let held = taken(&app, &identity, (&headers, body)).await?;
    let Text { query, note } = json_of(&held).map_err(|error| {
        let detail = format!("what a name stands for is {{\"query\":…}}: {error}");
        Problem::new(Code::BodyInvalid, detail)
    })?;
    recorded(&app, &identity, (name, query, note), Recording::InPlace).await
}

/// `DELETE /v1/queries/{name}`: the name stands for nothing, and who follows it is told.
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    app.admission.publication()?;
    app.access.allowances.spend(&identity, Sent::Events(1))?;
    let owner = identity.own_name("");
    let editor = Editor { owner: &owner, is_admin: identity.rights.is_admin };
    app.live.forget(&name, &access::sight(&identity.rights), editor).await?;
    let deed = Deed::to(Kind::QueryDeleted, name);
    Ok(deed.told_by(StatusCode::NO_CONTENT.into_response()))
}

/// The body of a request that writes to the journal, as far as its sender may.
async fn taken(
    app: &App,
    identity: &Identity,
    (headers, body): (&HeaderMap, Body),
) -> Result<Held, Problem> {
    app.admission.publication()?;
    let held = read_batch(&app.admission, headers, body).await?;
    app.access.allowances.spend(identity, Sent::Bytes(held.bytes.len()))?;
    app.access.allowances.spend(identity, Sent::Events(1))?;
    Ok(held)
}

async fn recorded(
    app: &App,
    identity: &Identity,
    (name, text, note): (Box<str>, Box<str>, Box<str>),
    recording: Recording,
) -> Result<Response, Refused> {
    let (owner, by) = (identity.own_name(""), identity.subject().into());
    let sight = access::sight(&identity.rights);
    let new = NewNamedQuery { name, text, note, sight, owner: owner.clone(), by };
    let editor = Editor { owner: &owner, is_admin: identity.rights.is_admin };
    let (query, recorded) = app.live.record(new, recording, editor).await?;
    let deed = Deed::to(Kind::QueryRecorded, query.name()).with("query", query.text());
    let json = Json(shown(&query));
    Ok(match recorded {
        Recorded::Same => json.into_response(),
        Recorded::InPlace => deed.told_by(json.into_response()),
        Recorded::New => {
            let name: String = byte_serialize(query.name().as_bytes()).collect();
            let name = name.replace('+', "%20");
            let place = [(header::LOCATION, format!("/v1/queries/{name}"))];
            deed.told_by((StatusCode::CREATED, place, json).into_response())
        }
    })
}

/// `{"name","query","note","topic","mode","cost","stands","followers","made_by","made_at","changed_at"}`.
fn shown(query: &NamedQuery) -> Value {
    let cost = query.cost();
    let (made_at, changed_at) = query.times();
    json!({
        "name": query.name(),
        "query": query.text(),
        "note": query.note(),
        "topic": query.topic.as_str(),
        "mode": if cost.interval_ms.is_some() { "tick" } else { "stream" },
        "cost": cost,
        "stands": query.stands,
        "followers": query.followers,
        "made_by": query.made_by(),
        "made_at": made_at.as_ms(),
        "changed_at": changed_at.as_ms(),
    })
}
