//! What was taken back, for whoever runs the server.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bellwire_authn::{Revocation, Revoked};
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

/// What is to be taken back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedText {
    subject: Option<Box<str>>,
    session: Option<Box<str>>,
}

/// `POST /v1/revocations`: what is named counts no more, and its streams have ended.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let held = read_batch(&app.admission, &headers, body).await?;
    let text: RevokedText = json_of(&held).map_err(|error| wrong(&error))?;
    let of = match text {
        RevokedText { subject: Some(subject), session: None } => Revoked::Subject(subject),
        RevokedText { subject: None, session: Some(session) } => Revoked::Session(session),
        _ => return Err(wrong("it names one of the two").into()),
    };
    let authenticator = &app.access.authenticator;
    authenticator.policy()?;
    if matches!(&of, Revoked::Subject(subject) if **subject == *identity.subject()) {
        let detail = "that is you: nobody might be left to undo it. Ask another administrator";
        return Err(Problem::new(Code::BodyInvalid, detail).into());
    }
    let mut ending = None;
    let subject = match &of {
        Revoked::Subject(subject) => Some(subject.clone()),
        // Whose it is its name does not say.
        Revoked::Session(_) => None,
    };
    let on_revoked = || ending = Some(app.end_revoked(subject.as_deref()));
    let by = (identity.subject(), clock::now);
    let deed = match &of {
        Revoked::Subject(subject) => Deed::to(Kind::Revoked, subject).with("of", "subject"),
        Revoked::Session(session) => Deed::to(Kind::Revoked, session).with("of", "session"),
    };
    let revoked = authenticator.revocations().revoke(of, by, on_revoked).await;
    let Some(ending) = ending else { return Err(revoked.expect_err("nothing ends").into()) };
    ending.is_through().await;
    // Whether or not the journal has it: it counts no more.
    Ok(deed.told_by(match revoked {
        Ok(revocation) => (StatusCode::CREATED, Json(shown(&revocation))).into_response(),
        Err(problem) => Refused(problem).into_response(),
    }))
}

/// `GET /v1/revocations`: all that was taken back.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    let list = || {
        let listed = app.access.authenticator.revocations().list();
        let revocations: Vec<Value> = listed.iter().map(shown).collect();
        let json = Json(json!({ "revocations": revocations }));
        ([(header::CACHE_CONTROL, "no-store")], json).into_response()
    };
    Ok(app.large_reads.run(list).await?)
}

/// `DELETE /v1/revocations/{id}`: it is as if nothing had been taken back.
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    app.access.authenticator.revocations().forget(&id).await?;
    let deed = Deed::to(Kind::RevocationDeleted, &id);
    Ok(deed.told_by(StatusCode::NO_CONTENT.into_response()))
}

fn shown(revocation: &Revocation) -> Value {
    let Revocation { id, of, made_at, made_by, .. } = revocation;
    let mut json = json!({ "id": id, "made_at": made_at.as_ms(), "made_by": made_by });
    match of {
        Revoked::Subject(subject) => json["subject"] = (**subject).into(),
        Revoked::Session(session) => json["session"] = (**session).into(),
    }
    json
}

fn wrong(reason: &str) -> Problem {
    let detail = format!("a revocation is {{\"subject\":…}} or {{\"session\":…}}: {reason}");
    Problem::new(Code::BodyInvalid, detail)
}
