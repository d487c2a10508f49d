//! Carries a shard's stream into a body of HTTP/2.
//!
//! ```text
//! shard ─▶ one end of a socket pair ─▶ the other end ─▶ body ─▶ hyper ─▶ HTTP/2 stream
//! ```
//!
//! Streams are delivered in one place, the shard; here their bytes are moved on. A client that
//! reads slowly fills its window, then the pair, and then its connection waits in the shard like
//! any other. When either end closes, the other end closes too.

use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bellwire_model::limits::{CARRY_BYTES_MAX, CARRY_QUEUE_BYTES_MAX};
use bytes::Bytes;
use http::header;
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::io::{AsyncRead, ReadBuf};

use super::Door;
use crate::problem::{Code, Problem};
use crate::shard::{Handoff, Socket};
use crate::stream_request::StreamRequest;

/// Opens a stream at a shard and answers with what it writes.
pub(super) async fn open(door: &Door, request: StreamRequest) -> Result<Response, Problem> {
    door.admission.connection()?;
    door.admission.subscriber()?;
    let content_type = request.form.encoding.content_type();
    let (near, far) = pair().map_err(|error| {
        let detail = format!("the system gives no descriptors for another stream: {error}");
        Problem::new(Code::ConnectionsExhausted, detail).retry_after(5)
    })?;
    if door.spread.adopt(Handoff { socket: Socket::Pair(far), request }).is_err() {
        door.figures.connections_refused.add(1);
        return Err(Problem::new(Code::ConnectionsExhausted, "too many streams come at once")
            .retry_after(1));
    }
    let mut carried = Carried { near, first: None };
    // A shard that cannot take the stream closes it before it has written anything.
    let Some(Ok(first)) = carried.frame().await else {
        let detail = "as many different filters are followed as may be, or the server is to end";
        return Err(Problem::new(Code::ConnectionsExhausted, detail).retry_after(30));
    };
    carried.first = Some(first);
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::new(carried)).into_response())
}

/// The near end for tokio, the far one for a shard.
fn pair() -> io::Result<(tokio::net::UnixStream, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    // What waits for a slow client is bounded here, as by a socket's own buffer.
    socket2::SockRef::from(&far).set_send_buffer_size(CARRY_QUEUE_BYTES_MAX)?;
    Ok((tokio::net::UnixStream::from_std(near)?, far))
}

/// What comes through a pair, as a body.
#[derive(Debug)]
struct Carried {
    near: tokio::net::UnixStream,
    /// What was read to see whether there is anything.
    first: Option<Frame<Bytes>>,
}

impl hyper::body::Body for Carried {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        // Nothing is allocated while there is nothing to read: most streams are idle.
        let mut scratch = [0; CARRY_BYTES_MAX];
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut self.near).poll_read(context, &mut buffer))?;
        Poll::Ready(match buffer.filled() {
            [] => None,
            bytes => Some(Ok(Frame::data(Bytes::copy_from_slice(bytes)))),
        })
    }
}
