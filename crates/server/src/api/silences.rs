//! Silences as pages and programs of Bellwire see them; they are made by Alertmanager's API.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::Rights;
use bellwire_alerts::Matchers;
use bellwire_alerts::desk::Case;
use bellwire_alerts::silence::{Ending, Silence, SilenceState, count_matched};
use bellwire_model::limits::{FILTERING_STEPS_MAX, PREVIEW_ALERTS_MAX};
use bellwire_model::{Alert, Timestamp};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::alertmanager::silences::{MatcherText, in_order, matchers, matchers_json};
use super::body::{json as json_of, objects, read_batch};
use super::permission::Caller;
use crate::access::{Attending, Onlooker};
use crate::problem::Refused;

/// `GET /v1/silences`: those in force first, then those to come, then those that have ended; each
/// with the number of alerts that it silences now, unless it takes too long to count them.
///
/// Both as far as the caller may see them.
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refused> {
    Ok(app.large_reads.run(|| all(&app, caller.rights())).await?)
}

fn all(app: &App, rights: &Rights) -> Response {
    let now = clock::now();
    // Copied, so that no alert waits for the answer to be written.
    let (mut silences, alerts) = {
        let desk = app.alerting.desk();
        let silences: Vec<Silence> = desk.silences().cloned().collect();
        let alerts: Vec<Arc<Alert>> = desk.cases().map(|case| Arc::clone(case.alert())).collect();
        (silences, alerts)
    };
    silences.retain(|silence| Onlooker::with(rights).sees_silence(&silence.matchers));
    let is_in_force = |silence: &&Silence| silence.state(now) == SilenceState::Active;
    let labels = alerts.iter().map(|alert| &alert.labels);
    let labels = labels.filter(|labels| rights.alerts.passes(labels));
    let counts = count_matched(silences.iter().filter(is_in_force), labels, FILTERING_STEPS_MAX);
    silences.sort_by_key(|silence| in_order(silence, now));
    let view = |silence: &Silence| {
        let mut view = view(silence, now);
        if let Some(counts) = &counts {
            view["alerts"] = counts.get(&silence.id).copied().unwrap_or(0).into();
        }
        view
    };
    let silences: Value = silences.iter().map(view).collect();
    Json(json!({ "silences": silences })).into_response()
}

/// A silence as it is shown, but for the alerts that it silences.
pub(super) fn view(silence: &Silence, now: Timestamp) -> Value {
    json!({
        "id": silence.id.to_string(),
        "state": silence.state(now).as_str(),
        "filter": silence.matchers.to_string(),
        "matchers": matchers_json(&silence.matchers),
        "starts_at": silence.starts_at.as_ms(),
        "ends_at": silence.ends_at.as_ms(),
        "created_by": &*silence.created_by,
        "comment": &*silence.comment,
        "until_resolved": silence.ending != Ending::Time,
        "updated_at": silence.updated_at.as_ms(),
    })
}

/// What is to be previewed: a text such as `{site="oslo"}`, or Alertmanager's JSON.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "matchers are a text such as `{site=\"oslo\"}`, or an array of objects"
)]
enum MatchersText {
    Text(String),
    Array(#[serde(deserialize_with = "objects")] Vec<MatcherText>),
}

#[derive(Deserialize)]
struct Preview {
    matchers: MatchersText,
}

/// `POST /v1/silences/preview`: the alerts that a silence with such matchers would match now, and
/// the matchers as `POST /api/v2/silences` takes them: with those that it would add.
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let held = read_batch(&app.admission, &headers, body).await?;
    let preview: Preview = json_of(&held)
        .map_err(|error| Problem::new(Code::BodyInvalid, format!("no matchers: {error}")))?;
    let read = || {
        let parsed = match preview.matchers {
            MatchersText::Text(text) => text.parse::<Matchers>().map_err(|error| error.to_string()),
            MatchersText::Array(texts) => matchers(&texts),
        };
        let matchers = parsed.map_err(|error| Problem::new(Code::BodyInvalid, error))?;
        // Who may silence nothing of it may still want to know what it would be.
        let narrowed = Attending::of(Arc::clone(&identity)).narrowed(matchers.clone());
        matched(&app, &identity.rights, &narrowed.unwrap_or(matchers))
    };
    Ok(app.large_reads.run(read).await??)
}

fn matched(app: &App, rights: &Rights, matchers: &Matchers) -> Result<Response, Problem> {
    // Copied, so that no alert waits for the answer to be found and written.
    let is_left = |case: &Case| case.alert().resolved_at.is_none();
    let matched = app.alerting.matching((&rights.alerts, matchers), is_left)?;
    let count = matched.len();
    let cases = app.alerting.cases(&matched[..count.min(PREVIEW_ALERTS_MAX)]);
    let cases = Onlooker::with(rights).see(&app.alerting, cases);
    let alerts: Vec<_> = cases.iter().map(super::alerts::shown).collect();
    let start = format!("{{\"matchers\":{},\"count\":{count},\"alerts\":", matchers_json(matchers));
    let json = [start.as_bytes(), &super::alerts::array(&alerts), b"}"].concat();
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}
