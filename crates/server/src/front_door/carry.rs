//! Carries what a shard writes into HTTP/2, and for a WebSocket also back.
//!
//! ```text
//! shard ◀─▶ one end of a socket pair ◀─▶ the other end ◀─▶ here ◀─▶ hyper ◀─▶ HTTP/2 stream
//! ```
//!
//! Streams are delivered in one place, the shard; here their bytes are moved on. A client that
//! reads slowly fills its window, then the pair, and then its connection waits in the shard like
//! any other. When either end closes, the other end closes too.

use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bellwire_model::limits::{CARRY_BYTES_MAX, CARRY_QUEUE_BYTES_MAX, STALL_TIMEOUT};
use bellwire_shards::{Handoff, Socket, StreamRequest};
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use hyper::body::Frame;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::{Duration, timeout};

use super::activity::Busy;
use super::door::Door;
use super::opening::{Opening, counted, following};
use crate::admission::{Descriptor, Needs};

/// One request of a connection, for whoever wants to answer it with a stream.
#[derive(Clone, Debug)]
pub(crate) struct One {
    pub(super) door: Arc<Door>,
    /// To be kept for as long as the answer goes on.
    pub(super) busy: Arc<Busy>,
    /// Both ways of a `CONNECT`, once it has been answered.
    pub(super) upgrade: Option<OnUpgrade>,
}

/// Opens a stream at a shard and answers with what it writes.
pub(super) async fn open(one: One, opening: Opening) -> Result<Response, Problem> {
    let request = &opening.permitted.request;
    let (headers, form) = (stream_headers(request), (request.form, request.refusals));
    let (near, descriptor, first) = match begin(&one, opening).await {
        Ok(begun) => begun,
        Err(problem) => {
            let words = bellwire_shards::refusal_body(form, &problem).ok_or(problem)?;
            return Ok((headers, words).into_response());
        }
    };
    let One { door, busy, upgrade } = one;
    if let Some(upgrade) = upgrade {
        tokio::spawn(converse(upgrade, (busy, descriptor), (near, first), door));
        return Ok(headers.into_response());
    }
    let carried = Carried { near, first: Some(first), door, busy, _descriptor: descriptor };
    Ok((headers, Body::new(carried)).into_response())
}

/// Has a shard begin a stream; returns the end of the pair that it comes out of, and what has.
async fn begin(one: &One, opening: Opening) -> Result<(UnixStream, Descriptor, Bytes), Problem> {
    let (mut near, descriptor, mut refused) = adopt(one, opening)?;
    // A shard that cannot take the stream closes it before it has written anything, and has said why.
    let first = read_some(&mut near).await.unwrap_or_default();
    if first.is_empty() {
        return Err(refused.try_recv().unwrap_or_else(|_| is_to_end()));
    }
    Ok((near, descriptor, first))
}

fn is_to_end() -> Problem {
    let detail = "the server is to end";
    Problem::new(Code::ConnectionsExhausted, detail).retry_after(30)
}

/// What the answer says of a stream, beyond how it is framed.
pub(crate) fn stream_headers(request: &StreamRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(handshake) = &request.handshake {
        for (name, value) in handshake.headers() {
            let value = HeaderValue::from_str(value).expect("its own words are valid");
            headers.insert(name, value);
        }
        return headers;
    }
    let content_type = request.form.content_type();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.extend(request.form.headers());
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if request.form.is_gzip() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    headers
}

/// Gives a shard its end of a new pair; returns the other one, and what brings the reason where the
/// shard refuses it.
fn adopt(
    one: &One,
    opening: Opening,
) -> Result<(UnixStream, Descriptor, oneshot::Receiver<Problem>), Problem> {
    let door = &one.door;
    let descriptor = door.admission.connection(door.spread.connections(), Needs::Pair)?;
    door.admission.subscriber()?;
    let (near, far) = pair().map_err(|error| {
        let detail = format!("the system gives no descriptors for another stream: {error}");
        Problem::new(Code::ConnectionsExhausted, detail).retry_after(5)
    })?;
    let Opening { permitted, visitor, followed } = opening;
    let (answers, refused) = oneshot::channel();
    let handoff = Handoff {
        socket: Socket::Pair(far),
        request: permitted.request,
        principal: permitted.principal,
        early: Box::default(),
        place: counted(following(Opening::place(visitor), followed), permitted.counted),
        answers: Some(answers),
    };
    door.spread.adopt(handoff).map_err(|_| {
        door.figures.door.connections_refused.add(1);
        let detail = "too many streams come at once, or the server is to end";
        Problem::new(Code::ConnectionsExhausted, detail).retry_after(1)
    })?;
    Ok((near, descriptor, refused))
}

fn pair() -> io::Result<(UnixStream, StdStream)> {
    let (near, far) = StdStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    // What waits for a slow client is bounded here, as by a socket's own buffer.
    socket2::SockRef::from(&far).set_send_buffer_size(CARRY_QUEUE_BYTES_MAX)?;
    Ok((UnixStream::from_std(near)?, far))
}

/// Reads what there is. Nothing is allocated while there is nothing: most streams are idle.
fn poll_some(
    from: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    let mut scratch = [0; CARRY_BYTES_MAX];
    let mut buffer = ReadBuf::new(&mut scratch);
    let read = Pin::new(from).poll_read(context, &mut buffer);
    read.map_ok(|()| Bytes::copy_from_slice(buffer.filled()))
}

/// No bytes: the other end has closed.
async fn read_some(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    poll_fn(|context| poll_some(from, context)).await
}

/// What comes through a pair, as a body.
#[derive(Debug)]
struct Carried {
    near: UnixStream,
    /// What was read to see whether there is anything.
    first: Option<Bytes>,
    door: Arc<Door>,
    busy: Arc<Busy>,
    _descriptor: Descriptor,
}

impl Drop for Carried {
    fn drop(&mut self) {
        if self.busy.is_given_up() {
            on_stalled(&self.near, &self.door);
        }
    }
}

/// Counts a stream whose client takes nothing, unless its shard was the first to see it.
fn on_stalled(near: &UnixStream, door: &Door) {
    let ready = pin!(near.ready(Interest::WRITABLE)).poll(&mut Context::from_waker(Waker::noop()));
    if !matches!(ready, Poll::Ready(Ok(ready)) if ready.is_write_closed()) {
        door.figures.shards.streams_stalled.add(1);
    }
}

impl hyper::body::Body for Carried {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let read = match self.first.take() {
            Some(first) => Poll::Ready(Ok(first)),
            None => poll_some(&mut self.near, context),
        };
        read.map(|read| match read {
            Ok(bytes) if bytes.is_empty() => None,
            read => Some(read.map(Frame::data)),
        })
    }
}

/// Moves the bytes of a WebSocket both ways until the shard has ended it, or the client has gone.
async fn converse(
    upgrade: OnUpgrade,
    _held: (Arc<Busy>, Descriptor),
    (near, first): (UnixStream, Bytes),
    door: Arc<Door>,
) {
    let stall_timeout = door.stall_timeout;
    let Ok(upgraded) = upgrade.await else { return };
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(upgraded));
    let (mut from_shard, mut to_shard) = near.into_split();
    let outward = async {
        write(&mut to_client, first, stall_timeout).await?;
        copy(&mut from_shard, &mut to_client, stall_timeout).await
    };
    let inward = async {
        // How late a shard may be is no question of how slow a client may be.
        copy(&mut from_client, &mut to_shard, stall_timeout.max(STALL_TIMEOUT)).await?;
        // The shard has the last word.
        std::future::pending::<io::Result<()>>().await
    };
    // What breaks one way ends both.
    let ended = tokio::select! {
        ended = outward => ended,
        _ = inward => return,
    };
    if ended.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        on_stalled(from_shard.as_ref(), &door);
    }
}

/// Moves bytes until there are no more, and says so.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    stall_timeout: Duration,
) -> io::Result<()> {
    loop {
        let bytes = read_some(from).await?;
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        write(to, bytes, stall_timeout).await?;
    }
}

/// Writes, unless the other end takes nothing for too long.
async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: Bytes,
    stall_timeout: Duration,
) -> io::Result<()> {
    let write = async {
        to.write_all(&bytes).await?;
        to.flush().await
    };
    timeout(stall_timeout, write).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}
