//! What people do with alerts: take them up, say who is to see to them, say something of them; with one
//! or with many.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bellwire_alerts::desk::{Action, AttendError, Desk, Plan};
use bellwire_model::limits::ATTENDED_AT_ONCE_MAX;
use bellwire_model::{Coded, Fingerprint, NameSet, NewAcknowledgement, NewAssignment, NewComment};
use bellwire_wire::problem::{Code, Problem};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::alerts::{answer, read, shown};
use super::body::{json as json_of, read_batch};
use super::permission::Caller;
use crate::access::{Attending, Onlooker};
use crate::allowances::Sent;
use crate::audit::{Deed, Kind};
use crate::problem::Refused;

/// Who acknowledges.
#[derive(Deserialize)]
struct AcknowledgementText {
    by: Box<str>,
    #[serde(default)]
    note: Box<str>,
}

/// Who is to see to it, and who says so. Where callers are known it need not be said.
#[derive(Deserialize)]
struct AssignmentText {
    to: Box<str>,
    #[serde(default)]
    by: Box<str>,
}

/// What somebody says of it.
#[derive(Deserialize)]
struct CommentText {
    text: Box<str>,
    #[serde(default)]
    by: Box<str>,
}

/// What is to be done with many.
#[derive(Deserialize)]
struct ManyText {
    fingerprints: Vec<Box<str>>,
    #[serde(flatten)]
    action: ActionText,
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum ActionText {
    Acknowledge(AcknowledgementText),
    Unacknowledge,
    Assign(AssignmentText),
    Unassign,
    Comment(CommentText),
}

impl From<AcknowledgementText> for Action {
    fn from(AcknowledgementText { by, note }: AcknowledgementText) -> Self {
        Self::Acknowledge(NewAcknowledgement { by, note })
    }
}

impl From<AssignmentText> for Action {
    fn from(AssignmentText { to, by }: AssignmentText) -> Self {
        Self::Assign(NewAssignment { to, by })
    }
}

impl From<CommentText> for Action {
    fn from(CommentText { text, by }: CommentText) -> Self {
        Self::Comment(NewComment { by, text })
    }
}

impl From<ActionText> for Action {
    fn from(text: ActionText) -> Self {
        match text {
            ActionText::Acknowledge(text) => text.into(),
            ActionText::Unacknowledge => Self::Unacknowledge,
            ActionText::Assign(text) => text.into(),
            ActionText::Unassign => Self::Unassign,
            ActionText::Comment(text) => text.into(),
        }
    }
}

fn kind_of(action: &Action) -> Kind {
    match action {
        Action::Acknowledge(_) => Kind::Acknowledged,
        Action::Unacknowledge => Kind::Unacknowledged,
        Action::Assign(_) => Kind::Assigned,
        Action::Unassign => Kind::Unassigned,
        Action::Comment(_) => Kind::Commented,
    }
}

/// A request that says something of one alert.
struct Asked {
    app: Arc<App>,
    caller: Caller,
    fingerprint: String,
    headers: HeaderMap,
    body: Body,
}

/// `POST /v1/alerts/{fingerprint}/ack`: somebody takes the alert up. Answers with the alert.
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(fingerprint): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let asked = Asked { app, caller, fingerprint, headers, body };
    say::<AcknowledgementText>(asked, "an acknowledgement is {\"by\":…,\"note\":…}").await
}

/// `PUT /v1/alerts/{fingerprint}/assignment`: somebody is to see to it. Answers with the alert.
pub(super) async fn assign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(fingerprint): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let asked = Asked { app, caller, fingerprint, headers, body };
    say::<AssignmentText>(asked, "an assignment is {\"to\":…,\"by\":…}").await
}

/// `POST /v1/alerts/{fingerprint}/comments`: somebody says something of it. Answers with the alert.
pub(super) async fn comment(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(fingerprint): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let asked = Asked { app, caller, fingerprint, headers, body };
    say::<CommentText>(asked, "a comment is {\"by\":…,\"text\":…}").await
}

/// `DELETE /v1/alerts/{fingerprint}/ack`: nobody attends to it any more. Answers with the alert.
pub(super) async fn unacknowledge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(fingerprint): Path<String>,
) -> Result<Response, Refused> {
    act(&app, &caller, (read(&fingerprint)?, Action::Unacknowledge)).await
}

/// `DELETE /v1/alerts/{fingerprint}/assignment`: nobody is to see to it any more. Answers with the alert.
pub(super) async fn unassign(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(fingerprint): Path<String>,
) -> Result<Response, Refused> {
    act(&app, &caller, (read(&fingerprint)?, Action::Unassign)).await
}

/// Does what a body says, which is of this form.
async fn say<T: for<'a> Deserialize<'a> + Into<Action>>(
    Asked { app, caller, fingerprint, headers, body }: Asked,
    form: &str,
) -> Result<Response, Refused> {
    let fingerprint = read(&fingerprint)?;
    let held = read_batch(&app.admission, &headers, body).await?;
    let said: T = json_of(&held)
        .map_err(|error| Problem::new(Code::BodyInvalid, format!("{form}: {error}")))?;
    act(&app, &caller, (fingerprint, said.into())).await
}

/// Does something with one alert, and answers with the alert.
async fn act(
    app: &App,
    Caller(identity): &Caller,
    (fingerprint, action): (Fingerprint, Action),
) -> Result<Response, Refused> {
    let kind = kind_of(&action);
    let attending = Attending::of(Arc::clone(identity));
    let plan = move |desk: &Desk, now| match attending.act(desk, now, (fingerprint, action)) {
        Ok(plan) => (plan, Ok(())),
        Err(error) => (Plan::default(), Err(Problem::from(error))),
    };
    app.alerting.request(plan).await??;
    let cases = app.alerting.cases(&[fingerprint]);
    let seen = Onlooker::with(&identity.rights).see(&app.alerting, cases);
    let alert = answer(shown(seen.first().ok_or(AttendError::NotFound)?));
    Ok(Deed::to(kind, fingerprint).told_by(alert))
}

/// `POST /v1/alerts/actions`: somebody does the same with many alerts. Answers with what became of each:
/// `{"results":[{"fingerprint","error"?:{"code","detail"}}]}`.
pub(super) async fn many(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let held = read_batch(&app.admission, &headers, body).await?;
    app.access.allowances.spend(&identity, Sent::Bytes(held.bytes.len()))?;
    let ManyText { fingerprints, action } = json_of(&held).map_err(|error| {
        let detail = format!("an action is {{\"action\":…,\"fingerprints\":[…]}}: {error}");
        Problem::new(Code::BodyInvalid, detail)
    })?;
    if fingerprints.is_empty() || fingerprints.len() > ATTENDED_AT_ONCE_MAX {
        let detail = format!("`fingerprints` names 1 to {ATTENDED_AT_ONCE_MAX} alerts");
        return Err(Problem::new(Code::BodyInvalid, detail).into());
    }
    app.access.allowances.spend(&identity, Sent::Events(fingerprints.len()))?;
    let read = |text: &str| {
        read(text).map_err(|problem| Problem::new(Code::BodyInvalid, problem.detail()))
    };
    let mut fingerprints =
        fingerprints.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    let mut known = NameSet::default();
    fingerprints.retain(|fingerprint| known.insert(*fingerprint));
    let action = Action::from(action);
    let kind = kind_of(&action);
    let (attending, asked) = (Attending::of(identity), fingerprints.clone());
    let plan = move |desk: &Desk, now| attending.act_on(desk, now, (&asked, action));
    let results = app.alerting.request(plan).await?;
    let done = fingerprints.iter().zip(&results).filter(|(_, result)| result.is_ok());
    let done: Vec<String> = done.map(|(fingerprint, _)| fingerprint.to_string()).collect();
    let results: Value = fingerprints.iter().zip(results).map(told).collect();
    let response = answer(json!({ "results": results }).to_string().into_bytes());
    if done.is_empty() {
        return Ok(response);
    }
    Ok(Deed::new(kind).with("count", done.len()).with("targets", done).told_by(response))
}

/// What became of one.
fn told((fingerprint, result): (&Fingerprint, Result<(), AttendError>)) -> Value {
    let mut told = json!({ "fingerprint": fingerprint.to_string() });
    if let Err(error) = result {
        told["error"] = json!({ "code": error.code(), "detail": error.to_string() });
    }
    told
}
