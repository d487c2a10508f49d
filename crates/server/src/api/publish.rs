//! Publishing and deleting over HTTP.

use std::fmt::Display;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_model::limits::EVENT_BYTES_MAX;
use bellwire_model::{Closure, Topic, TopicError, WriteTerms, excerpt, without_byte_order_mark};
use bellwire_shards::Published;
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::{self, BatchFormat, Post, Publish, Refusal, TermTexts};
use bellwire_wire::request::PREFIX_ALONE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::body::{header as text_of, read, read_batch, work_through};
use super::permission::Caller;
use super::posted::{
    END, IDEMPOTENCY_KEY, KEY, Posted, TYPE, check_headers, check_no_fence, checked, fence,
    publish_batch, publish_one, published_json, terms,
};
use super::{App, cloud_events};
use crate::access::permit_publishing;
use crate::allowances::{Named, Sent};
use crate::problem::Refused;
use bellwire_shards::wrong_escape;

/// What keeps the sequences of producers from deletions and renewals.
const DELETED_TWICE: &str = "to do it twice is to do it once, and `if_version` says what was seen";
/// Of an answer without a body: which version a key has now.
const VERSION: HeaderName = HeaderName::from_static("bellwire-version");

/// `POST /v1/topics/{topic}`: the body is one event.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    permit_publishing(caller.rights(), &topic)?;
    app.admission.publication()?;
    check_headers(&headers)?;
    let end = end(&headers)?;
    let fence = fence(&headers)?;
    if let Some(mode) = cloud_events::mode(&headers)? {
        check_no_fence(&headers, "a CloudEvent has an `id` of its own, by which it counts once")?;
        if end.is_some() {
            let detail =
                "`Bellwire-End` does not come with CloudEvents: send it behind them, alone";
            return Err(Problem::new(Code::ParameterInvalid, detail).into());
        }
        let posted = Posted { headers: &headers, body };
        return cloud_events::post(&app, &caller, (&topic, mode), posted).await;
    }
    let key = text_of(&headers, KEY)?;
    let event_type = text_of(&headers, TYPE)?;
    let content_type = text_of(&headers, header::CONTENT_TYPE)?;
    let idempotency_key = text_of(&headers, IDEMPOTENCY_KEY)?;
    let invalid = |error: publish::NameError| Problem::of_decoder(error.code(), error);
    key.map(publish::check_key).transpose().map_err(invalid)?;
    event_type.map(publish::check_event_type).transpose().map_err(invalid)?;
    let terms = terms(&headers)?;
    let held = read(&app.admission, &headers, body, EVENT_BYTES_MAX).await?;
    let bytes = held.bytes.len();
    app.access.allowances.spend(&caller.0, Sent::Bytes(bytes))?;
    app.access.allowances.spend(&caller.0, Sent::Events(1))?;
    app.access.allowances.name_topic(&caller.0, &topic)?;
    if let Some(closure) = end.filter(|_| bytes == 0) {
        check_no_fence(&headers, "to end or to reopen a topic is no event of a producer")?;
        let post = Post::Closure(topic, closure);
        return publish_one(&app, &caller, post, idempotency_key).await;
    }
    if end == Some(Closure::Reopened) {
        let detail =
            "`Bellwire-End: false` reopens a topic: send it without a body, then the event";
        return Err(Problem::new(Code::ParameterInvalid, detail).into());
    }
    let checked = || publish::body(content_type, held.bytes);
    let body = work_through(&app.admission, bytes, checked)
        .await
        .map_err(|error| Problem::of_decoder(error.code(), error))?;
    let (key, event_type) = (key.map(Into::into), event_type.map(Into::into));
    let publish = Publish { topic, key, event_type, body, terms, fence };
    let post = if end.is_some() { Post::Last(publish) } else { Post::Event(publish) };
    publish_one(&app, &caller, post, idempotency_key).await
}

/// What is to become of the topic.
fn end(headers: &HeaderMap) -> Result<Option<Closure>, Problem> {
    match text_of(headers, END)? {
        None => Ok(None),
        Some("true") => Ok(Some(Closure::End)),
        Some("false") => Ok(Some(Closure::Reopened)),
        Some(other) => {
            let detail =
                format!("`Bellwire-End` is `true` or `false`, not `{}`", excerpt(other.into()));
            Err(Problem::new(Code::ParameterInvalid, detail))
        }
    }
}

/// `POST /v1/events`: a JSON array or NDJSON of events. Answers one result each, in order: what was
/// published, or what is wrong with it. With `atomic=true` all are published, or none.
pub(super) async fn many(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    app.admission.publication()?;
    check_no_fence(
        &headers,
        "each event of a batch has `producer_id`, `producer_epoch` and `producer_seq`",
    )?;
    let is_atomic = is_atomic(query.as_deref().unwrap_or_default())?;
    let content_type = text_of(&headers, header::CONTENT_TYPE)?;
    let held = read_batch(&app.admission, &headers, body).await?;
    let (admission, bytes) = (&app.admission, held.bytes.len());
    app.access.allowances.spend(&caller.0, Sent::Bytes(bytes))?;
    let format = batch_format(content_type, &held.bytes);
    let naming = app.access.allowances.naming(&caller.0, Named::Topics)?;
    let read = || {
        let items = publish::batch(format, &held.bytes)
            .map_err(|error| Problem::of_decoder(error.code(), error))?;
        Ok::<_, Problem>(checked((&app, &caller, naming.as_ref()), items))
    };
    let mut batch = work_through(admission, bytes, read).await?;
    batch.is_atomic = is_atomic;
    publish_batch(&app, &caller, (batch, bytes)).await
}

fn is_atomic(query: &str) -> Result<bool, Problem> {
    let mut is_atomic = false;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        is_atomic = match (&*name, &*value) {
            ("atomic", "true") => true,
            ("atomic", "false") => false,
            ("atomic", other) => {
                let detail = format!("`atomic` is `true` or `false`, not `{other}`");
                return Err(Problem::new(Code::ParameterInvalid, detail));
            }
            (other, _) => return Err(unknown_parameter(other, "atomic")),
        };
    }
    Ok(is_atomic)
}

fn unknown_parameter(name: &str, known: &str) -> Problem {
    let detail = format!("`{name}` is no parameter here; known: {known}");
    Problem::new(Code::ParameterInvalid, detail)
}

/// `DELETE /v1/topics/{topic}?key=K&if_version=V`: deletes a key of a state topic; with `?prefix=P` all
/// that begin so.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    permit_publishing(caller.rights(), &topic)?;
    check_no_fence(&headers, DELETED_TWICE)?;
    let query = query.as_deref();
    if let Some(prefix) = prefix(query)? {
        app.access.allowances.spend(&caller.0, Sent::Events(1))?;
        let deleting = app.publisher.deleting(topic, &prefix)?;
        let allow = |keys| app.access.allowances.spend(&caller.0, Sent::Events(keys));
        let published = app.publisher.delete_all(deleting, allow).await?;
        return Ok(Json(published_json(published)).into_response());
    }
    let asked = KeyQuery::parse(query, &["key", "if_version", "prefix"])?;
    app.access.allowances.spend(&caller.0, Sent::Events(1))?;
    let deletion = app.publisher.deletion(topic, &asked.key, asked.terms.condition)?;
    let results = app.publisher.publish(deletion.into()).await?;
    Ok(no_content(results.into_iter().next().expect("one result each")?))
}

/// What the keys begin with that are to go, where that is asked for and nothing else.
fn prefix(query: Option<&str>) -> Result<Option<String>, Problem> {
    let parameters = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let (prefixes, others): (Vec<_>, Vec<_>) = parameters.partition(|(name, _)| name == "prefix");
    match (&prefixes[..], &others[..]) {
        ([], _) => Ok(None),
        ([(_, prefix)], []) => Ok(Some(prefix.clone().into_owned())),
        _ => Err(Problem::new(Code::ParameterInvalid, PREFIX_ALONE)),
    }
}

/// `PATCH /v1/topics/{topic}?key=K&ttl=T&if_version=V`: a key of a state topic goes after a time from
/// now on; its value stays as it is.
pub(super) async fn touch(
    State(app): State<Arc<App>>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    permit_publishing(caller.rights(), &topic)?;
    check_no_fence(&headers, DELETED_TWICE)?;
    let KeyQuery { key, terms } = KeyQuery::parse(query.as_deref(), &["key", "ttl", "if_version"])?;
    if terms.ttl.is_none() {
        let detail = "say how long it stays from now on: `?key=K&ttl=30s`";
        return Err(Problem::new(Code::ParameterInvalid, detail).into());
    }
    app.access.allowances.spend(&caller.0, Sent::Events(1))?;
    Ok(no_content(app.publisher.touch((topic, &key), terms).await?))
}

fn no_content(published: Published) -> Response {
    match published {
        Published::State { version, .. } => {
            (StatusCode::NO_CONTENT, [(VERSION, version.to_string())]).into_response()
        }
        Published::Stream { .. }
        | Published::Known { .. }
        | Published::Closed { .. }
        | Published::Deleted { .. }
        | Published::Board => StatusCode::NO_CONTENT.into_response(),
    }
}

/// A key of a state topic, and what has to be so of it.
struct KeyQuery {
    key: String,
    terms: WriteTerms,
}

impl KeyQuery {
    fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let (mut key, mut if_version, mut ttl) = (None, None, None);
        let query = query.unwrap_or_default().as_bytes();
        for (name, value) in url::form_urlencoded::parse(query) {
            match &*name {
                name if !known.contains(&name) => {
                    return Err(unknown_parameter(name, &known.join(", ")));
                }
                "key" => key = Some(value.into_owned()),
                "ttl" => ttl = Some(value),
                _ => if_version = Some(value),
            }
        }
        let key = key.ok_or_else(|| Problem::new(Code::KeyMissing, "say which: `?key=K`"))?;
        let (if_version, ttl) = (if_version.as_deref(), ttl.as_deref());
        let terms = TermTexts { if_version, if_absent: false, ttl }.read();
        let invalid = |refusal: Refusal| Problem::of_decoder(refusal.code, refusal.detail);
        Ok(Self { key, terms: terms.map_err(invalid)? })
    }
}

/// The path behind `/v1/topics/` as a topic.
#[derive(Debug)]
pub(super) struct TopicPath(pub(super) Topic);

impl<S: Send + Sync> FromRequestParts<S> for TopicPath {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::new(Code::TopicInvalid, error))?;
        let invalid = |error: &dyn Display| {
            Problem::new(Code::TopicInvalid, format!("topic `{text}`: {error}"))
        };
        if let Some(wrong) = wrong_escape(parts.uri.path()) {
            return Err(
                invalid(&format!("`{wrong}` is no percent-encoding: write `%` as `%25`")).into()
            );
        }
        let topic = text.parse().map_err(|error: TopicError| invalid(&error))?;
        Ok(Self(topic))
    }
}

fn batch_format(content_type: Option<&str>, body: &[u8]) -> BatchFormat {
    let says_lines = content_type.is_some_and(|content_type| content_type.contains("ndjson"));
    let starts_array = without_byte_order_mark(body).trim_ascii_start().first() == Some(&b'[');
    if says_lines || !starts_array { BatchFormat::Ndjson } else { BatchFormat::Json }
}
