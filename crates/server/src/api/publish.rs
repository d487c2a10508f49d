//! Publishing and deleting over HTTP.

use std::fmt::Display;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::Response;
use bellwire_journal::Append;
use bellwire_model::limits::EVENT_BYTES_MAX;
use bellwire_model::{Topic, TopicError, without_byte_order_mark};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::{self, BatchFormat, Identified, Publish};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};

use super::body::{header as text_of, read, read_batch, work_through};
use super::permission::Caller;
use super::posted::{IDEMPOTENCY_KEY, KEY, Posted, checked, publish_batch, publish_one};
use super::{App, cloud_events};
use crate::access::permit_publishing;
use crate::allowances::{Named, Sent};
use crate::problem::Refused;
use bellwire_shards::wrong_escape;

const TYPE: HeaderName = HeaderName::from_static("bellwire-type");

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
    if let Some(mode) = cloud_events::mode(&headers)? {
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
    let held = read(&app.admission, &headers, body, EVENT_BYTES_MAX).await?;
    let bytes = held.bytes.len();
    app.access.allowances.spend(&caller.0, Sent::Bytes(bytes))?;
    app.access.allowances.spend(&caller.0, Sent::Events(1))?;
    app.access.allowances.name_topic(&caller.0, &topic)?;
    let checked = || publish::body(content_type, held.bytes);
    let body = work_through(&app.admission, bytes, checked)
        .await
        .map_err(|error| Problem::of_decoder(error.code(), error))?;
    let (key, event_type) = (key.map(Into::into), event_type.map(Into::into));
    let publish = Publish { topic, key, event_type, body };
    publish_one(&app, &caller, publish.into(), idempotency_key).await
}

/// `POST /v1/events`: a JSON array or NDJSON of events. Answers one result each, in order: what was
/// published, or what is wrong with it.
pub(super) async fn many(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    app.admission.publication()?;
    let content_type = text_of(&headers, header::CONTENT_TYPE)?;
    let held = read_batch(&app.admission, &headers, body).await?;
    let (admission, bytes) = (&app.admission, held.bytes.len());
    app.access.allowances.spend(&caller.0, Sent::Bytes(bytes))?;
    let format = batch_format(content_type, &held.bytes);
    let naming = app.access.allowances.naming(&caller.0, Named::Topics)?;
    let read = || {
        let items = publish::batch(format, &held.bytes)
            .map_err(|error| Problem::of_decoder(error.code(), error))?;
        let items = items.into_iter().map(|item| item.map(Identified::from));
        Ok::<_, Problem>(checked((&app, &caller, naming.as_ref()), items))
    };
    let batch = work_through(admission, bytes, read).await?;
    publish_batch(&app, &caller, (batch, bytes)).await
}

/// `DELETE /v1/topics/{topic}?key=K`: deletes a key of a state topic.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    uri: Uri,
) -> Result<StatusCode, Refused> {
    permit_publishing(caller.rights(), &topic)?;
    let mut parameters = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let key = parameters.find(|(name, _)| name == "key").map(|(_, key)| key);
    let key = key.ok_or_else(|| Problem::new(Code::KeyMissing, "say which: `?key=K`"))?;
    app.access.allowances.spend(&caller.0, Sent::Events(1))?;
    let event = app.publisher.deletion(topic, &key)?;
    app.publisher.publish(vec![Append::new(event, None)]).await?;
    Ok(StatusCode::NO_CONTENT)
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
