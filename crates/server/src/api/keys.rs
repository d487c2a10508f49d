//! API keys, for whoever runs the server: made, listed, taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bellwire_access::{Claim, StoredKey, read_distinct_claims};
use bellwire_authn::{KeyOrder, KeySource, ListedKey};
use bellwire_model::Timestamp;
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::body::{json as json_of, read_batch};
use super::permission::Caller;
use crate::audit::{Deed, Kind};
use crate::problem::Refused;

/// What a key is to be. A member that is misspelt must not make a key that never ends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderText {
    subject: Box<str>,
    roles: Box<[Box<str>]>,
    #[serde(default, deserialize_with = "read_distinct_claims")]
    claims: BTreeMap<Box<str>, Claim>,
    #[serde(default)]
    note: Box<str>,
    ends_at: Option<i64>,
}

/// `POST /v1/keys`: makes a key, and tells it this once.
pub(super) async fn make(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let held = read_batch(&app.admission, &headers, body).await?;
    let OrderText { subject, roles, claims, note, ends_at } = json_of(&held).map_err(|error| {
        let detail = format!("a key is {{\"subject\":…,\"roles\":[…]}}: {error}");
        Problem::new(Code::BodyInvalid, detail)
    })?;
    let ends_at = ends_at.map(Timestamp::from_ms);
    let order = KeyOrder { subject, roles, claims, note, ends_at };
    let authenticator = &app.access.authenticator;
    let by = (identity.subject(), clock::now(), || authenticator.counts(&identity));
    let policy = authenticator.policy()?;
    let (key, stored) = authenticator.keys().make(policy, order, by).await?;
    let mut json = shown(&ListedKey { stored, source: KeySource::Api });
    let deed = Deed::to(Kind::KeyMade, key.id());
    let deed = deed.with("subject", json["subject"].clone()).with("roles", json["roles"].clone());
    json["key"] = key.text().into();
    let not_stored = [(header::CACHE_CONTROL, "no-store")];
    Ok(deed.told_by((StatusCode::CREATED, not_stored, Json(json)).into_response()))
}

/// `GET /v1/keys`: all of them, and nothing by which they could be used.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    let list = || {
        let listed = app.access.authenticator.keys().list();
        let keys: Vec<Value> = listed.iter().map(shown).collect();
        ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "keys": keys }))).into_response()
    };
    Ok(app.large_reads.run(list).await?)
}

/// `DELETE /v1/keys/{id}`: the key counts no more, and its streams have ended.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let authenticator = &app.access.authenticator;
    authenticator.policy()?;
    let mut ending = None;
    let on_revoked = |subject: &str| ending = Some(app.end_revoked(Some(subject)));
    let revoked = authenticator.keys().revoke(&id, clock::now(), on_revoked).await;
    if let Some(ending) = ending {
        ending.is_through().await;
    }
    let deed = Deed::to(Kind::KeyRevoked, &id);
    Ok(match revoked {
        Ok(key) => {
            let deed = deed.with("subject", &*key.subject);
            deed.told_by(StatusCode::NO_CONTENT.into_response())
        }
        // It counts no more all the same.
        Err(problem) if problem.code != Code::NotFound => {
            deed.told_by(Refused(problem).into_response())
        }
        Err(problem) => return Err(problem.into()),
    })
}

fn shown(ListedKey { stored, source }: &ListedKey) -> Value {
    let StoredKey { id, subject, roles, claims, note, made_by, .. } = stored;
    let mut json = json!({
        "id": id,
        "source": source.as_str(),
        "subject": subject,
        "roles": roles,
        "claims": claims,
        "note": note,
        "made_by": made_by,
    });
    let times = [
        ("made_at", stored.made_at),
        ("ends_at", stored.ends_at),
        ("revoked_at", stored.revoked_at),
        ("last_used_at", stored.used_at),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            json[name] = time.as_ms().into();
        }
    }
    json
}
