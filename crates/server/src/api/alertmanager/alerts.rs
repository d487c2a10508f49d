//! `/api/v2/alerts`: the alerts that fire, and alerts that others raise.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_alerts::config::Config;
use bellwire_alerts::desk::Desk;
use bellwire_alerts::{Post, PostError};
use bellwire_model::{Alert, AlertSource, Labels, LabelsError, Scope, Timestamp};
use bellwire_process::clock;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::filter::Query;
use super::{App, Refusal, answer};
use crate::access::SeenCase;
use crate::api::body::{Held, array, read_batch, work_through};
use crate::api::permission::Caller;

/// `GET /api/v2/alerts`, by fingerprint.
pub(in crate::api) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = Query::new(query.as_deref());
    let viewer = Viewer { config: app.alerting.config(), now: clock::now() };
    let read = || {
        let (wanted, receivers) = (query.alerts()?, query.receivers()?);
        let cases = wanted.of(&app.alerting, caller.rights())?;
        let wanted_names = receivers.names(&viewer.config);
        let views = cases.iter().filter_map(|case| {
            let names = viewer.receivers_of(case.alert());
            let is_asked_for = names.iter().any(|name| wanted_names.contains(&**name));
            is_asked_for.then(|| viewer.view(case, &names, &[]))
        });
        Ok(answer(views.collect()))
    };
    app.large_reads.run(read).await?
}

/// How alerts look to clients of Alertmanager.
pub(super) struct Viewer {
    pub(super) config: Arc<Config>,
    pub(super) now: Timestamp,
}

impl Viewer {
    pub(super) fn receivers_of(&self, alert: &Alert) -> Vec<Arc<str>> {
        self.config.routes.receivers_of(&alert.labels)
    }

    /// An alert that goes to these receivers, of a group that these time intervals mute.
    pub(super) fn view(&self, seen: &SeenCase, receivers: &[Arc<str>], muted_by: &[&str]) -> Value {
        let (case, named) = (seen.case(), seen.named());
        let (alert, status) = (case.alert(), case.status());
        // A rule's alert goes on until the rule says otherwise.
        let open_end = self.now.saturating_add(self.config.resolve_timeout);
        let ends_at = case.ends_at().unwrap_or(open_end);
        let is_muted = status.is_muted() || !muted_by.is_empty();
        let texts = |texts: &[_]| texts.iter().map(ToString::to_string).collect::<Vec<String>>();
        let inhibited_by: Vec<String> =
            named.inhibited_by.iter().map(ToString::to_string).collect();
        let mut view = json!({
            "labels": labels_json(&alert.labels),
            "annotations": labels_json(&alert.annotations),
            "startsAt": alert.fired_at.unwrap_or(alert.active_at).rfc3339().to_string(),
            "updatedAt": case.updated_at().rfc3339().to_string(),
            "endsAt": ends_at.rfc3339().to_string(),
            "fingerprint": alert.fingerprint.to_string(),
            "receivers": receivers.iter().map(|name| json!({ "name": &**name })).collect::<Value>(),
            "status": {
                "state": if is_muted { "suppressed" } else { "active" },
                "silencedBy": texts(&named.silenced_by),
                "inhibitedBy": inhibited_by,
                "mutedBy": muted_by,
            },
        });
        if named.has_more_silences {
            view["status"]["moreSilences"] = Value::Bool(true);
        }
        if let AlertSource::Posted { generator_url: Some(url) } = &alert.source {
            view["generatorURL"] = json!(&**url);
        }
        view
    }
}

pub(super) fn labels_json(labels: &Labels) -> Value {
    labels
        .iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// An alert as clients post it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedText {
    labels: BTreeMap<String, String>,
    annotations: Option<BTreeMap<String, String>>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    #[serde(rename = "generatorURL")]
    generator_url: Option<String>,
}

/// `POST /api/v2/alerts`. Those that are wrong keep no other from being taken.
pub(in crate::api) async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let held = read_batch(&app.admission, &headers, body).await?;
    let scope = &caller.rights().post_alerts;
    let (posts, mut errors) =
        work_through(&app.admission, held.bytes.len(), || read_all(&held, scope)).await?;
    let resolve_timeout = app.alerting.config().resolve_timeout;
    // Who is not asked who they are is nobody of whom there could be others.
    let poster = Some(caller.0.own_name("")).filter(|name| !name.is_empty()).map(Arc::from);
    let plan = move |desk: &Desk, now| desk.plan_posts(now, (poster, posts), resolve_timeout);
    let refused = app.alerting.request(plan).await?;
    let has_no_room =
        |error: &&PostError| matches!(error, PostError::TooMany | PostError::TooManyOfPoster);
    if let Some(error) = refused.iter().find(has_no_room) {
        let (status, text) = (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        return Err(Refusal { status, text });
    }
    errors.extend(refused.iter().map(ToString::to_string));
    if errors.is_empty() {
        Ok(StatusCode::OK.into_response())
    } else {
        Err(Refusal::bad(errors.join("\n")))
    }
}

/// The alerts of a body that are in a scope, and what is wrong with the others.
fn read_all(held: &Held, scope: &Scope) -> Result<(Vec<Post>, Vec<String>), Refusal> {
    let texts: Vec<PostedText> = array(held)
        .map_err(|error| Refusal::bad(format!("parsing alerts body failed: {error}")))?;
    let (mut posts, mut errors) = (Vec::with_capacity(texts.len()), Vec::new());
    for text in texts {
        match read(text) {
            Ok(post) if scope.passes(&post.labels) => posts.push(post),
            Ok(_) => errors.push(NOT_PERMITTED.to_owned()),
            Err(error) => errors.push(error),
        }
    }
    Ok((posts, errors))
}

/// What is said of an alert that whoever posts it may not.
const NOT_PERMITTED: &str =
    "you may not post an alert with these labels: `GET /v1/whoami` says which you may";

fn read(text: PostedText) -> Result<Post, String> {
    let labels = |pairs: &BTreeMap<String, String>| {
        Labels::from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value)))
    };
    let invalid = |what: &str, error: &LabelsError| format!("invalid {what}: {error}");
    Ok(Post {
        labels: labels(&text.labels).map_err(|error| invalid("label set", &error))?,
        annotations: labels(&text.annotations.unwrap_or_default())
            .map_err(|error| invalid("annotations", &error))?,
        starts_at: time(text.starts_at.as_deref(), "startsAt")?,
        ends_at: time(text.ends_at.as_deref(), "endsAt")?,
        generator_url: text.generator_url.filter(|url| !url.is_empty()).map(Into::into),
    })
}

/// The zero of Go's times: programs send it for a time that they do not set.
const UNSET: Timestamp = Timestamp::from_ms(-62_135_596_800_000);

/// A time that may be left out.
pub(super) fn time(text: Option<&str>, name: &str) -> Result<Option<Timestamp>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let time = Timestamp::from_rfc3339(text);
    let time = time.ok_or_else(|| format!("{name}: `{text}` is no time as RFC 3339 writes it"))?;
    Ok(Some(time).filter(|time| *time > UNSET))
}
