//! Events that were posted, in whatever form: they are checked, published, and answered for.

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bellwire_model::limits::{EVENT_BYTES_MAX, REJECTIONS_REPORTED_MAX};
use bellwire_model::{Closure, Cursor};
use bellwire_model::{Fence, WriteTerms};
use bellwire_shards::{Kind, Published, Results, Write, Writes, check_idempotency_key};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::{FenceTexts, Identified, Post, Rejection, TermTexts};
use bellwire_wire::request::ONE_OF_BOTH;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::{Value, json};

use super::App;
use super::body::{header as text_of, read, read_batch, work_through};
use super::permission::Caller;
use crate::access::permit_publishing;
use crate::allowances::{Named, Naming, Sent};
use crate::problem::{Forbidden, Refused};

pub(super) const KEY: HeaderName = HeaderName::from_static("bellwire-key");
pub(super) const END: HeaderName = HeaderName::from_static("bellwire-end");
pub(super) const TYPE: HeaderName = HeaderName::from_static("bellwire-type");
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IF_VERSION: HeaderName = HeaderName::from_static("bellwire-if-version");
const IF_ABSENT: HeaderName = HeaderName::from_static("bellwire-if-absent");
const TTL: HeaderName = HeaderName::from_static("bellwire-ttl");

const PRODUCER: HeaderName = HeaderName::from_static("producer-id");
const PRODUCER_EPOCH: HeaderName = HeaderName::from_static("producer-epoch");
const PRODUCER_SEQUENCE: HeaderName = HeaderName::from_static("producer-seq");

/// Whose event it is, and which of theirs, as headers say it.
pub(super) fn fence(headers: &HeaderMap) -> Result<Option<Box<Fence>>, Problem> {
    FenceTexts {
        producer: text_of(headers, PRODUCER)?,
        epoch: text_of(headers, PRODUCER_EPOCH)?,
        sequence: text_of(headers, PRODUCER_SEQUENCE)?,
    }
    .read()
    .map_err(|error| Problem::of_decoder(error.code(), error))
}

/// Refuses what headers say of a producer where that counts for nothing.
pub(super) fn check_no_fence(headers: &HeaderMap, instead: &str) -> Result<(), Problem> {
    let headers = [PRODUCER, PRODUCER_EPOCH, PRODUCER_SEQUENCE]
        .into_iter()
        .find(|name| headers.contains_key(name));
    headers.map_or(Ok(()), |name| {
        let detail = format!("`{name}` is not for this: {instead}");
        Err(Problem::new(Code::ProducerInvalid, detail))
    })
}

/// How a key is to be written, as headers say it.
pub(super) fn terms(headers: &HeaderMap) -> Result<WriteTerms, Problem> {
    let if_absent = match text_of(headers, IF_ABSENT)? {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let detail = format!("`Bellwire-If-Absent` is `true` or `false`, not `{other}`");
            return Err(Problem::new(Code::ParameterInvalid, detail));
        }
    };
    TermTexts { if_version: text_of(headers, IF_VERSION)?, if_absent, ttl: text_of(headers, TTL)? }
        .read()
        .map_err(|refusal| Problem::of_decoder(refusal.code, refusal.detail))
}

/// Refuses headers of ours that do not exist: a condition that is misspelt must not be none.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    let known = [KEY, TYPE, END, IF_VERSION, IF_ABSENT, TTL];
    let is_strange =
        |name: &&HeaderName| name.as_str().starts_with("bellwire-") && !known.contains(*name);
    match headers.keys().find(is_strange) {
        None => Ok(()),
        Some(name) => {
            let known = known.each_ref().map(HeaderName::as_str).join(", ");
            let detail = format!("`{name}` is no header that is known here: there are {known}");
            Err(Problem::new(Code::ParameterInvalid, detail))
        }
    }
}

/// What was posted, and not read yet.
pub(super) struct Posted<'a, B> {
    pub(super) headers: &'a HeaderMap,
    pub(super) body: B,
}

/// What somebody asks of a topic, with what tells it from what else they ask.
pub(super) struct Item {
    post: Post,
    identity: Option<Box<str>>,
}

impl From<Post> for Item {
    fn from(post: Post) -> Self {
        Self { post, identity: None }
    }
}

impl From<Identified> for Item {
    fn from(Identified { publish, identity }: Identified) -> Self {
        Self { post: Post::Event(publish), identity }
    }
}

/// Takes a request that is one event of somebody else's form.
pub(super) async fn take_one(
    app: &App,
    caller: &Caller,
    Posted { headers, body }: Posted<'_, Body>,
    read_event: impl FnOnce(&Bytes) -> Result<Identified, Problem>,
) -> Result<Response, Refused> {
    let idempotency_key = text_of(headers, IDEMPOTENCY_KEY)?;
    let held = read(&app.admission, headers, body, EVENT_BYTES_MAX).await?;
    let bytes = held.bytes.len();
    app.access.allowances.spend(&caller.0, Sent::Bytes(bytes))?;
    app.access.allowances.spend(&caller.0, Sent::Events(1))?;
    let mut event = work_through(&app.admission, bytes, || read_event(&held.bytes)).await?;
    event.publish.terms = terms(headers)?;
    app.access.allowances.name_topic(&caller.0, &event.publish.topic)?;
    publish_one(app, caller, event, idempotency_key).await
}

pub(super) async fn publish_one(
    app: &App,
    caller: &Caller,
    item: impl Into<Item>,
    idempotency_key: Option<&str>,
) -> Result<Response, Refused> {
    let Item { post, identity } = item.into();
    let write = app.publisher.posted(post)?.by(|name| caller.0.own_name(name));
    let given = idempotency_key.map(check_idempotency_key).transpose()?;
    if given.is_some() && write.fence.is_some() {
        return Err(Problem::new(Code::ProducerInvalid, ONE_OF_BOTH).into());
    }
    let idempotency_key = given.or(identity).map(|key| caller.0.own_name(&key));
    let said = write.fence.as_ref().map(|fence| (fence.epoch, fence.sequence));
    let (topic, bytes) = (write.event.topic.clone(), write.event.size_bytes());
    let results = app.publisher.publish(Write { idempotency_key, ..write }.into()).await?;
    let result = results.into_iter().next().expect("one result each")?;
    app.traffic.requests.published(&topic, 1, bytes);
    match (result, said) {
        (Published::Known { epoch, sequence }, _) => {
            Ok((StatusCode::NO_CONTENT, of_producer((epoch, sequence))).into_response())
        }
        (published, said) => {
            let body = Json(published_json(published));
            let answer = (StatusCode::CREATED, body).into_response();
            Ok(match said {
                Some(said) => (of_producer(said), answer).into_response(),
                None => answer,
            })
        }
    }
}

/// What a producer is told with success: its epoch, and the newest of its events.
pub(super) fn of_producer((epoch, sequence): (u64, u64)) -> [(HeaderName, String); 2] {
    [(PRODUCER_EPOCH, epoch.to_string()), (PRODUCER_SEQUENCE, sequence.to_string())]
}

/// Takes a request that is many events of somebody else's form, whose senders look at the status
/// alone. Where each of them is wrong, what is wrong with the first is the answer. Where something may
/// be taken later the answer has all sent again: what was taken is known by its name then, and where
/// something has none nothing is taken. `told`: the words of such an answer.
pub(super) async fn take(
    app: &App,
    caller: &Caller,
    (Posted { headers, body }, told): (Posted<'_, Body>, fn(Problem) -> Problem),
    read_events: impl FnOnce(&Bytes) -> Result<Vec<Result<Identified, Rejection>>, Problem>,
) -> Result<Response, Refused> {
    app.admission.publication()?;
    let held = read_batch(&app.admission, headers, body).await?;
    let (admission, bytes) = (&app.admission, held.bytes.len());
    app.access.allowances.spend(&caller.0, Sent::Bytes(bytes))?;
    let naming = app.access.allowances.naming(&caller.0, Named::Topics)?;
    let naming = naming.as_ref();
    let read = || read_events(&held.bytes).map(|items| checked((app, caller, naming), items));
    let mut batch = work_through(admission, bytes, read).await?;
    let is_repeatable = batch.events.iter().all(|write| is_repeatable(app, write));
    if let Some(later) = batch.later.take_if(|_| !is_repeatable || batch.events.is_empty()) {
        return Err(Refused(told(later)));
    }
    if batch.events.is_empty()
        && let Some((code, first)) = batch.first
    {
        let errors: Vec<Value> = batch.refused.into_iter().flatten().collect();
        let errors = &errors[..errors.len().min(REJECTIONS_REPORTED_MAX)];
        let refused = Refused(Problem::new(code, first).with("errors", json!(errors)));
        return Ok(noted(refused.into_response(), batch.forbidden));
    }
    let Batch { events, refused, forbidden, later, .. } = batch;
    app.access.allowances.spend(&caller.0, Sent::Events(events.len()))?;
    let first = events.first().map(|write| write.event.topic.clone());
    let published = app.publisher.publish(Writes { writes: events, is_atomic: false }).await?;
    if let Some(topic) = first {
        app.traffic.requests.published(&topic, published.len(), bytes);
    }
    let full = published
        .iter()
        .filter_map(|result| result.as_ref().err())
        .find(|problem| may_be_taken_later(problem));
    let later = later.or_else(|| full.filter(|_| is_repeatable).cloned());
    let response = work_through(&app.admission, bytes, || {
        let results = results_json(refused, published);
        match later {
            Some(later) => Refused(told(later).with("results", results)).into_response(),
            None => results_response(results),
        }
    });
    Ok(noted(response.await, forbidden))
}

/// Whether an event that is sent once more is the same one.
fn is_repeatable(app: &App, Write { event, idempotency_key, .. }: &Write) -> bool {
    idempotency_key.is_some() || app.publisher.topics.kind(&event.topic) == Kind::State
}

/// Whether what was refused for this may be taken later.
fn may_be_taken_later(problem: &Problem) -> bool {
    matches!(problem.code.status(), 429 | 503 | 507)
}

/// Publishes what is right of a batch, or, where it is to be whole, all or nothing.
pub(super) async fn publish_batch(
    app: &App,
    caller: &Caller,
    (batch, bytes): (Batch, usize),
) -> Result<Response, Refused> {
    let is_atomic = batch.is_atomic;
    if is_atomic && let Some((code, first)) = &batch.first {
        let items = batch.refused.into_iter().enumerate();
        let item = |(index, refused): (usize, Option<Value>)| {
            let mut item = refused?;
            item["index"] = index.into();
            Some(item)
        };
        let items = items.filter_map(item).take(REJECTIONS_REPORTED_MAX).collect();
        let refused = Refused(Problem::new(*code, first).of_whole(items));
        return Ok(noted(refused.into_response(), batch.forbidden));
    }
    let Batch { events, refused, forbidden, .. } = batch;
    app.access.allowances.spend(&caller.0, Sent::Events(events.len()))?;
    let first = events.first().map(|write| write.event.topic.clone());
    let published = app.publisher.publish(Writes { writes: events, is_atomic }).await?;
    if let Some(topic) = first {
        app.traffic.requests.published(&topic, published.len(), bytes);
    }
    let response =
        work_through(&app.admission, bytes, || results_response(results_json(refused, published)));
    Ok(noted(response.await, forbidden))
}

/// The answer to a batch of which something may not be published.
fn noted(response: Response, forbidden: Option<Problem>) -> Response {
    match forbidden {
        Some(problem) => Forbidden(problem).noted_with(response),
        None => response,
    }
}

/// A batch as it was sent.
pub(super) struct Batch {
    events: Vec<Write>,
    /// For each item what is wrong with it, or nothing.
    refused: Vec<Option<Value>>,
    /// What is wrong with the first that is.
    first: Option<(Code, String)>,
    /// The first of those that its sender may not publish.
    forbidden: Option<Problem>,
    /// What is wrong with the first of those that may be taken later.
    later: Option<Problem>,
    /// Whether all is to be published, or nothing.
    pub(super) is_atomic: bool,
}

/// Finds out which items may be published.
pub(super) fn checked(
    (app, caller, naming): (&App, &Caller, Option<&Naming<'_>>),
    items: impl IntoIterator<Item = Result<impl Into<Item>, Rejection>>,
) -> Batch {
    let items = items.into_iter();
    let (mut events, mut first) = (Vec::with_capacity(items.size_hint().0), None);
    let (mut forbidden, mut later) = (None, None);
    let mut refused = Vec::with_capacity(items.size_hint().0);
    for item in items {
        let event = match item {
            Ok(item) => {
                let Item { post, identity } = item.into();
                permit_publishing(caller.rights(), post.topic())
                    .and_then(|()| naming.map_or(Ok(()), |naming| naming.take(post.topic())))
                    .and_then(|()| app.publisher.posted(post))
                    .map(|write| (write, identity))
                    .map_err(|problem| {
                        first.get_or_insert_with(|| (problem.code, problem.detail().to_owned()));
                        let rejection = problem.as_item(None);
                        if may_be_taken_later(&problem) {
                            later.get_or_insert(problem);
                        } else if problem.code == Code::Forbidden {
                            forbidden.get_or_insert(problem);
                        }
                        rejection
                    })
            }
            Err(rejected) => {
                first.get_or_insert_with(|| {
                    let problem = Problem::of_decoder(rejected.code, &rejected.detail);
                    (problem.code, rejected.detail.clone())
                });
                Err(rejection_json(&rejected))
            }
        };
        match event {
            Ok((write, identity)) => {
                let idempotency_key = identity.map(|key| caller.0.own_name(&key));
                let write = write.by(|name| caller.0.own_name(name));
                events.push(Write { idempotency_key, ..write });
                refused.push(None);
            }
            Err(error) => refused.push(Some(error)),
        }
    }
    Batch { events, refused, first, forbidden, later, is_atomic: false }
}

/// What became of each item, in order.
fn results_json(refused: Vec<Option<Value>>, published: Results) -> Value {
    let mut published = published.into_iter();
    let result = |refused: Option<Value>| match refused {
        Some(error) => json!({ "error": error }),
        None => match published.next().expect("one result each") {
            Ok(published) => published_json(published),
            Err(problem) => json!({ "error": problem.as_item(None) }),
        },
    };
    refused.into_iter().map(result).collect()
}

fn results_response(results: Value) -> Response {
    (StatusCode::OK, Json(json!({ "results": results }))).into_response()
}

pub(super) fn published_json(published: Published) -> Value {
    match published {
        Published::Stream { cursor, duplicate, end } => {
            let mut json = told("cursor", (cursor, duplicate));
            if let Some(end) = end {
                json[Closure::End.as_str()] = end.to_string().into();
            }
            json
        }
        Published::Closed { closure, cursor, duplicate } => {
            told(closure.as_str(), (cursor, duplicate))
        }
        // State events have no cursor: whoever follows gets the newest values first.
        Published::State { version, end } => {
            let mut json = json!({ "version": version.to_string() });
            if let Some(end) = end {
                json[Closure::End.as_str()] = end.to_string().into();
            }
            json
        }
        Published::Known { epoch, sequence } => {
            json!({ "duplicate": true, "producer_epoch": epoch, "producer_seq": sequence })
        }
        Published::Deleted { keys } => json!({ "deleted": keys }),
        Published::Board => json!({}),
    }
}

/// Where something is, and whether it was there before.
fn told(name: &str, (cursor, duplicate): (Cursor, bool)) -> Value {
    let mut json = json!({ name: cursor.to_string() });
    if duplicate {
        json["duplicate"] = true.into();
    }
    json
}

/// What is wrong with an item, and where NDJSON has it.
fn rejection_json(rejected: &Rejection) -> Value {
    let mut json = json!({ "code": rejected.code, "detail": rejected.detail });
    if let Some(line) = rejected.line {
        json["line"] = line.into();
    }
    json
}
