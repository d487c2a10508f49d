//! HTTP/1: requests one after another, served by hyper until one of them takes the connection.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use bellwire_model::limits::{HEAD_BYTES_MAX, HEADERS_MAX, KEEP_ALIVE_TIMEOUT};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tower::Service;

use super::Door;
use super::accept::Lean;
use super::replay::Replay;
use super::takeover::{Passage, Takeover};

/// Serves requests until the connection ends, or until one of them asks for a lean stream.
pub(super) async fn drive(
    replay: Replay,
    door: &Door,
    mut draining: watch::Receiver<bool>,
) -> Option<Lean> {
    let flushed = replay.flushed();
    let (takeover, taken_over) = Takeover::new();
    let passage = Passage::Socket(takeover);
    let answer = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(passage.clone());
        door.router.clone().call(request)
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX * 2)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(replay), answer);
    let mut taken_over = pin!(taken_over);
    let mut drained = pin!(draining.wait_for(|draining| *draining));
    let (mut is_draining, mut asked) = (false, None);
    let request = poll_fn(|context| {
        if !is_draining && drained.as_mut().poll(context).is_ready() {
            is_draining = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        // An error is the peer's: it left, or sent what hyper has answered already.
        if Pin::new(&mut connection).poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if asked.is_none()
            && let Poll::Ready(Ok(request)) = taken_over.as_mut().poll(context)
        {
            asked = Some(request);
        }
        // Answers to earlier requests on this connection go out first.
        if asked.is_some() && flushed.get() { Poll::Ready(asked.take()) } else { Poll::Pending }
    })
    .await?;
    let parts = connection.into_parts();
    let (stream, early) = (parts.io.into_inner().into_stream(), parts.read_buf.into());
    Some(Lean { stream, request, early })
}
