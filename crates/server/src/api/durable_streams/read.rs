//! Who reads a stream, and how.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use bellwire_model::Topic;
use bellwire_process::{clock, jittered};
use bellwire_wire::durable_streams::{From, StreamCursor};
use http::request::Parts;
use http::{Method, StatusCode, header};

use super::super::permission::Caller;
use super::super::publish::TopicPath;
use super::answer::{content_type, lifetime};
use super::asked::{Live, Reading};
use super::create::told;
use super::live::Following;
use super::reader::Reader;
use super::{App, found};
use crate::access::permit_reading;
use crate::front_door::Passage;
use crate::problem::Refused;

/// How far ahead a reader's cursor is put at most that comes back early.
const CURSOR_JITTER: Duration = Duration::from_mins(1);

/// `GET /v1/ds/{topic}?offset=…&live=…`.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Extension(passage): Extension<Passage>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    parts: Parts,
) -> Result<Response, Refused> {
    if parts.method == Method::HEAD {
        return head(&app, &caller, &topic);
    }
    let follows = permit_reading(caller.rights(), &topic)?;
    let reading = Reading::of(parts.uri.query().unwrap_or_default())?;
    let stream = found(&app, &topic)?;
    app.streams.streams.note_use(&topic);
    let (now, jitter) = (clock::now(), jittered(CURSOR_JITTER));
    let cursor = StreamCursor::after(reading.cursor.as_deref(), (now, jitter));
    let reader = Reader { app: &app, topic: &topic, stream, follows, cursor };
    let after = reader.begin(reading.from.unwrap_or(From::Beginning))?;
    match reading.live {
        Live::No if reading.from == Some(From::Now) => Ok(reader.nothing_yet(after)),
        Live::No => reader.page(after, &parts.headers).await,
        Live::LongPoll => Following { reader, caller, parts }.poll(after).await,
        Live::Sse => Following { reader, caller, parts }.open(after, passage).await,
    }
}

/// `HEAD /v1/ds/{topic}`: where the stream ends, and how long it stays. That is no use of it.
fn head(app: &App, caller: &Caller, topic: &Topic) -> Result<Response, Refused> {
    permit_reading(caller.rights(), topic)?;
    let stream = found(app, topic)?;
    let mut response = told(app, topic, &stream).with(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type(&stream));
    headers.extend(lifetime(&stream));
    Ok(response)
}
