//! One stream of Server-Sent Events, from its request to its frames.

use bellwire_wire::sse::{Item, Parser};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use url::form_urlencoded::byte_serialize;

use super::Followed;
use crate::error::{ArgumentError, ConnectionError, Error, ProtocolError};
use crate::http::{Http, refusal};
use crate::token::Shown;

const MEDIA_TYPE: &str = "text/event-stream";
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// What a server answers to whoever would follow.
pub(super) enum Opened {
    Stream(Stream),
    /// All topics have ended.
    Over,
}

/// A stream that is being read.
pub(super) struct Stream {
    body: UnsyncBoxBody<Bytes, Error>,
    parser: Parser,
}

/// Asks for a stream behind a cursor.
pub(super) async fn open(
    http: &Http,
    followed: &Followed,
    cursor: Option<&str>,
    shown: Shown,
) -> Result<Opened, Error> {
    let request = request(followed, cursor)?;
    let answer = http.ask(request, shown.as_deref()).await.map_err(|failed| failed.error)?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NO_CONTENT => return Ok(Opened::Over),
        _ => return Err(refusal(answer).await.into()),
    }
    let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("nothing");
    if !content_type.to_ascii_lowercase().starts_with(MEDIA_TYPE) {
        return Err(ProtocolError::NoStream { content_type: content_type.to_owned() }.into());
    }
    Ok(Opened::Stream(Stream { body: answer.into_body(), parser: Parser::default() }))
}

fn request(followed: &Followed, cursor: Option<&str>) -> Result<Request<Bytes>, ArgumentError> {
    let mut path = followed.path.clone();
    if let Some(after) = cursor.or(followed.after.as_deref()) {
        path.push_str("&after=");
        path.extend(byte_serialize(after.as_bytes()));
    }
    let uri = path.parse().map_err(|source| ArgumentError::Path { path, source })?;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPE));
    // As an `EventSource` has it, which whatever is in between may know.
    if let Some(Ok(cursor)) = cursor.map(HeaderValue::try_from) {
        headers.insert(LAST_EVENT_ID, cursor);
    }
    Ok(request)
}

impl Stream {
    /// The next bytes, whatever they hold.
    pub(super) async fn piece(&mut self) -> Result<Bytes, Error> {
        match self.body.frame().await {
            None => Err(ConnectionError::Ended.into()),
            Some(Err(error)) => Err(error),
            Some(Ok(frame)) => Ok(frame.into_data().unwrap_or_default()),
        }
    }

    /// What events hold that are whole with these bytes, and what is wrong behind them.
    pub(super) fn frames(&mut self, piece: &[u8]) -> (Vec<String>, Option<Error>) {
        let mut items = Vec::new();
        let fault = self.parser.push(piece, &mut items).err();
        let frames = items.into_iter().filter_map(|item| match item {
            Item::Event(received) => Some(received.data),
            Item::Comment(_) | Item::Retry(_) => None,
        });
        let fault = fault.map(|error| ProtocolError::Malformed(error.into()).into());
        (frames.collect(), fault)
    }
}
