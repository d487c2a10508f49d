//! `/api/v2/silences`: what is silenced, by whom, from when to when.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_alerting::new_silence_id;
use bellwire_alerts::desk::Plan;
use bellwire_alerts::silence::{Ending, NewSilence, Silence, SilenceState};
use bellwire_alerts::{Matcher, Matchers, MatchersBuilder, Operator};
use bellwire_model::{Labels, SilenceId, Timestamp};
use bellwire_process::clock;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::alerts::{labels_json, time};
use super::filter::Query;
use super::{App, Refusal, answer};
use crate::access::{Attending, Onlooker};
use crate::api::body::{json as json_of, objects, read_batch};
use crate::api::permission::Caller;
use crate::audit::{Deed, Kind};

/// `GET /api/v2/silences`: those in force first, the next to end before others; then those to
/// come, then those that have ended, the last to end first.
pub(in crate::api) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::new(query.as_deref());
    let now = clock::now();
    let read = || {
        let wanted = query.matchers()?;
        let has = |silence: &Silence, matcher: &Matcher| {
            silence.matchers.iter().any(|own| own == matcher)
        };
        let is_wanted = |silence: &&Silence| {
            query.is_set(silence.state(now).as_str())
                && wanted.iter().all(|matcher| has(silence, matcher))
        };
        // Copied, so that no alert waits for the answer to be written.
        let mut silences: Vec<Silence> =
            app.alerting.desk().silences().filter(is_wanted).cloned().collect();
        silences.retain(|silence| Onlooker::with(caller.rights()).sees_silence(&silence.matchers));
        silences.sort_by_key(|silence| in_order(silence, now));
        Ok(answer(silences.iter().map(|silence| view(silence, now)).collect()))
    };
    app.large_reads.run(read).await?
}

/// What silences are sorted by.
pub(in crate::api) fn in_order(
    silence: &Silence,
    now: Timestamp,
) -> (SilenceState, i64, SilenceId) {
    let state = silence.state(now);
    let time = match state {
        SilenceState::Active => silence.ends_at.as_ms(),
        SilenceState::Pending => silence.starts_at.as_ms(),
        SilenceState::Expired => -silence.ends_at.as_ms(),
    };
    (state, time, silence.id)
}

/// `GET /api/v2/silence/{id}`.
pub(in crate::api) async fn one(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = read_id(&id)?;
    let desk = app.alerting.desk();
    let is_seen =
        |silence: &&Silence| Onlooker::with(caller.rights()).sees_silence(&silence.matchers);
    let silence = desk.silence(id).filter(is_seen);
    let silence = silence.ok_or_else(|| Refusal::not_found("silence not found"))?;
    Ok(answer(view(silence, clock::now())))
}

/// `DELETE /api/v2/silence/{id}`: it ends now, and is remembered for a while.
pub(in crate::api) async fn delete(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = read_id(&id)?;
    let attending = Attending::of(identity);
    let planned =
        app.alerting.request(move |desk, now| match attending.end_silence(desk, now, id) {
            Ok(plan) => (plan, Ok(())),
            Err(error) => (Plan::default(), Err(Refusal::not_found(error))),
        });
    planned.await??;
    Ok(Deed::to(Kind::SilenceEnded, id).told_by(StatusCode::OK.into_response()))
}

/// What is no id is the id of nothing.
fn read_id(text: &str) -> Result<SilenceId, Refusal> {
    text.parse().map_err(Refusal::not_found)
}

/// A matcher as Alertmanager's JSON has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MatcherText {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    is_equal: Option<bool>,
}

/// A silence as clients post it. `until_resolved` is Bellwire's own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SilenceText {
    id: Option<String>,
    #[serde(deserialize_with = "objects")]
    matchers: Vec<MatcherText>,
    starts_at: Option<String>,
    ends_at: String,
    created_by: String,
    comment: String,
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "until_resolved")]
    until_resolved: bool,
}

/// `POST /api/v2/silences`: a new one, or another form of one that there is.
pub(in crate::api) async fn post(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    use bellwire_alerts::silence::SilenceError;

    let held = read_batch(&app.admission, &headers, body).await?;
    let text: SilenceText = json_of(&held)
        .map_err(|error| Refusal::bad(format!("parsing silence body failed: {error}")))?;
    // Expressions may take long to compile.
    let mut new = tokio::task::block_in_place(|| read(text, clock::now()))?;
    let attending = Attending::of(identity);
    new.matchers = attending.narrowed(new.matchers)?;
    let (matchers, ends_at) = (new.matchers.to_string(), new.ends_at.as_ms());
    let new = (new, new_silence_id());
    let planned = app.alerting.request(move |desk, now| match attending.silence(desk, now, new) {
        Ok((id, plan)) => (plan, Ok(id)),
        Err(error) => (Plan::default(), Err(error)),
    });
    match planned.await? {
        Ok(id) => {
            let deed = Deed::to(Kind::Silenced, id);
            let deed = deed.with("matchers", matchers).with("ends_at", ends_at);
            Ok(deed.told_by(answer(json!({ "silenceID": id.to_string() }))))
        }
        Err(error @ SilenceError::NotFound) => Err(Refusal::not_found(error)),
        Err(error) => Err(Refusal::bad(error)),
    }
}

fn read(text: SilenceText, now: Timestamp) -> Result<NewSilence, Refusal> {
    let id = text.id.filter(|id| !id.is_empty());
    let ends_at = time(Some(&text.ends_at), "endsAt").map_err(Refusal::bad)?;
    let annotations = text.annotations.unwrap_or_default();
    let annotations = annotations.iter().map(|(name, value)| (&**name, &**value));
    let until_resolved = text.until_resolved;
    let has_matched = false;
    Ok(NewSilence {
        id: id.as_deref().map(read_id).transpose()?,
        matchers: matchers(&text.matchers)
            .map_err(|error| Refusal::bad(format!("invalid silence: {error}")))?,
        starts_at: time(text.starts_at.as_deref(), "startsAt")
            .map_err(Refusal::bad)?
            .unwrap_or(now),
        ends_at: ends_at
            .ok_or_else(|| Refusal::bad("invalid silence: invalid zero end timestamp"))?,
        created_by: text.created_by.into(),
        comment: text.comment.into(),
        annotations: Labels::from_pairs(annotations)
            .map_err(|error| Refusal::bad(format!("invalid silence: annotations: {error}")))?,
        ending: if until_resolved { Ending::Resolution { has_matched } } else { Ending::Time },
    })
}

/// The matchers, or which of them is none.
pub(in crate::api) fn matchers(texts: &[MatcherText]) -> Result<Matchers, String> {
    let mut builder = MatchersBuilder::default();
    for (index, text) in texts.iter().enumerate() {
        let operator = match (text.is_regex, text.is_equal.unwrap_or(true)) {
            (false, true) => Operator::Equal,
            (false, false) => Operator::NotEqual,
            (true, true) => Operator::Matches,
            (true, false) => Operator::NotMatches,
        };
        let matcher = Matcher::new(&text.name, operator, &text.value);
        let matcher = matcher.map_err(|error| format!("invalid label matcher {index}: {error}"))?;
        builder.push(matcher).map_err(|error| error.to_string())?;
    }
    Ok(builder.finish())
}

fn view(silence: &Silence, now: Timestamp) -> Value {
    let mut view = json!({
        "id": silence.id.to_string(),
        "status": { "state": silence.state(now).as_str() },
        "updatedAt": silence.updated_at.rfc3339().to_string(),
        "startsAt": silence.starts_at.rfc3339().to_string(),
        "endsAt": silence.ends_at.rfc3339().to_string(),
        "createdBy": &*silence.created_by,
        "comment": &*silence.comment,
        "annotations": labels_json(&silence.annotations),
        "matchers": matchers_json(&silence.matchers),
    });
    if silence.ending != Ending::Time {
        view["until_resolved"] = Value::Bool(true);
    }
    view
}

/// Matchers as Alertmanager's JSON has them.
pub(in crate::api) fn matchers_json(matchers: &Matchers) -> Value {
    let matcher = |matcher: &Matcher| {
        json!({
            "name": matcher.name(),
            "value": matcher.value(),
            "isRegex": matcher.operator().is_regex(),
            "isEqual": matcher.operator().is_equal(),
        })
    };
    matchers.iter().map(matcher).collect()
}
