//! `/v1/ds/{topic}`: topics as Durable Streams, for the clients of that protocol.
//!
//! | method | what it does | module |
//! |---|---|---|
//! | `PUT` | creates a stream | `create` |
//! | `POST` | appends, or closes it | `append` |
//! | `GET` | reads what there is, or follows it by long polls or Server-Sent Events | `reader`, `live` |
//! | `HEAD` | tells where it ends | `read` |
//! | `DELETE` | deletes it | `create` |
//!
//! Events are those of the topic: whoever follows it by this server's own API gets the same.

mod answer;
mod append;
mod asked;
mod content;
mod create;
mod live;
mod names;
mod read;
mod reader;
mod sequence;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use bellwire_model::Topic;
use bellwire_shards::Kind;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderName, HeaderValue};

use self::sequence::Sequences;
use super::App;
use crate::durable_streams::{DurableStreams, Stream};

/// What handlers of streams reach.
#[derive(Clone, Debug)]
pub(crate) struct StreamsApi {
    pub(crate) streams: Arc<DurableStreams>,
    sequences: Arc<Sequences>,
}

impl StreamsApi {
    pub(crate) fn new(streams: Arc<DurableStreams>) -> Self {
        Self { streams, sequences: Arc::default() }
    }
}

/// The routes.
pub(super) fn routes() -> Router<Arc<App>> {
    router().layer(axum::middleware::map_response(embed_nowhere))
}

/// A `HEAD` is a `GET` of which only the head is told.
fn router() -> Router<Arc<App>> {
    Router::new().route(
        "/v1/ds/{*topic}",
        get(read::read).put(create::create).post(append::append).delete(create::delete),
    )
}

/// Pages of other sites have no use for a stream but by a request that they may make.
async fn embed_nowhere(mut response: Response) -> Response {
    let name = HeaderName::from_static("cross-origin-resource-policy");
    response.headers_mut().entry(name).or_insert(HeaderValue::from_static("same-origin"));
    response
}

/// The stream of a topic, which has to be there.
fn found(app: &App, topic: &Topic) -> Result<Stream, Problem> {
    check_kind(app, topic)?;
    app.streams.streams.find(topic).ok_or_else(|| {
        let detail = format!("there is no stream `{topic}`: `PUT` creates one");
        Problem::new(Code::StreamNotFound, detail)
    })
}

/// Refuses state topics.
fn check_kind(app: &App, topic: &Topic) -> Result<(), Problem> {
    if app.publisher.topics.kind(topic) == Kind::Stream {
        return Ok(());
    }
    let detail = format!("`{topic}` is a state topic: read it by `/v1/topics` or `/v1/events`");
    Err(Problem::new(Code::KindMismatch, detail))
}
