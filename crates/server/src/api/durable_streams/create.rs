//! Streams come and go.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bellwire_model::{Cursor, Topic};
use bellwire_shards::check_topic;
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use super::super::body::{read_batch, work_through};
use super::super::permission::Caller;
use super::super::publish::TopicPath;
use super::answer::{Told, content_type, lifetime};
use super::asked::Creation;
use super::content::{appends, bodies};
use super::{App, check_kind};
use crate::access::permit_publishing;
use crate::allowances::Sent;
use crate::durable_streams::Stream;
use crate::page::{Arrived, Page};
use crate::problem::Refused;

/// `PUT /v1/ds/{topic}`: creates a stream, with what the body has, or finds it as it was created.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    parts: Parts,
    body: Body,
) -> Result<Response, Refused> {
    permit_publishing(caller.rights(), &topic)?;
    check_topic(&topic)?;
    check_kind(&app, &topic)?;
    app.admission.publication()?;
    let creation = Creation::of(&parts.headers)?;
    let held = read_batch(&app.admission, &parts.headers, body).await?;
    let bytes = held.bytes.len();
    app.access.allowances.spend(&caller.0, Sent::Bytes(bytes))?;
    let read =
        || if bytes == 0 { Ok(Vec::new()) } else { bodies(&creation.content_type, held.bytes) };
    let bodies = work_through(&app.admission, bytes, read).await?;
    // That there is a stream is kept, too, though it has nothing in it.
    app.access.allowances.spend(&caller.0, Sent::Events(bodies.len().max(1)))?;
    app.access.allowances.name_topic(&caller.0, &topic)?;
    let streams = &app.streams.streams;
    let turn = streams.alone(&topic).await?;
    let (stream, status) = if let Some(stream) = streams.find(&topic) {
        if !creation.matches(&stream, app.publisher.journal.ended(topic.as_str())) {
            return Err(differs(&topic, &stream).into());
        }
        if !streams.is_created(&topic) {
            streams.adopt(&topic, stream.clone(), turn).await?;
        }
        (stream, StatusCode::OK)
    } else {
        let content = appends(&topic, bodies, (None, creation.is_closed));
        let created = (creation.content_type, creation.lifetime);
        (streams.create(&topic, (created, content), turn).await?, StatusCode::CREATED)
    };
    let mut response = told(&app, &topic, &stream).with(status);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type(&stream));
    headers.extend(lifetime(&stream));
    if status == StatusCode::CREATED {
        headers.insert(header::LOCATION, location(&parts));
    }
    Ok(response)
}

/// The address that was asked for, as far as it is known here.
fn location(parts: &Parts) -> HeaderValue {
    let page = Page::of(&parts.uri, &parts.headers, &parts.extensions);
    let scheme = if page.arrived == Arrived::Encrypted { "https" } else { "http" };
    let path = parts.uri.path();
    let whole = page.host.map(|host| format!("{scheme}://{host}{path}"));
    let location = HeaderValue::try_from(whole.as_deref().unwrap_or(path));
    location.unwrap_or_else(|_| HeaderValue::from_static("/v1/ds"))
}

/// Where a stream is as a whole.
pub(super) fn told(app: &App, topic: &Topic, stream: &Stream) -> Told {
    let journal = &app.publisher.journal;
    let next = Cursor::new(journal.epoch(), app.streams.streams.tail(topic, stream));
    Told { is_closed: journal.ended(topic.as_str()).is_some(), ..Told::of_stream(next) }
}

fn differs(topic: &Topic, stream: &Stream) -> Problem {
    let detail = format!(
        "there is a stream `{topic}` of `{}` that was created otherwise: `HEAD` tells how",
        stream.content_type
    );
    Problem::new(Code::StreamMismatch, detail)
}

/// `DELETE /v1/ds/{topic}`: whoever reads the stream is told that there is none.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    TopicPath(topic): TopicPath,
) -> Result<StatusCode, Refused> {
    permit_publishing(caller.rights(), &topic)?;
    check_topic(&topic)?;
    app.access.allowances.spend(&caller.0, Sent::Events(1))?;
    let turn = app.streams.streams.alone(&topic).await?;
    super::found(&app, &topic)?;
    app.streams.streams.delete(&topic, turn).await?;
    Ok(StatusCode::NO_CONTENT)
}
