//! HTTP/1: requests one after another, served by hyper until one of them takes the connection.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::response::Response;
use bellwire_model::limits::{HEAD_BYTES_MAX, HEADERS_MAX, KEEP_ALIVE_TIMEOUT};
use bellwire_wire::problem::Problem;
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tower::Service;

use super::answer::{self, Answer};
use super::door::Door;
use super::farewell::head_timeout;
use super::leftover;
use super::opening::Opening;
use super::progress::{HeadDeadline, Progress, Visit};
use super::replay::Replay;
use super::stream::{Peer, Stream};
use super::takeover::{Passage, Takeover};

/// How hyper's part in a connection ended.
#[derive(Debug)]
pub(super) enum Driven {
    /// A request takes the connection.
    Lean(Lean),
    /// A request has been answered, and more of its body comes.
    Unread(Stream),
    /// A head that came behind others is none, or took too long.
    Refused(Stream, Problem),
    /// There is nothing to add.
    Ended,
}

/// A connection that has asked for a stream.
#[derive(Debug)]
pub(super) struct Lean {
    pub(super) stream: Stream,
    pub(super) opening: Opening,
    /// What came behind the request.
    pub(super) early: Box<[u8]>,
}

/// Why hyper is left.
enum Turn {
    Taken(Opening),
    Refused(Problem),
    Ended,
}

/// Serves requests until the connection ends, or until one of them asks for a lean stream.
pub(super) async fn drive(
    (replay, source): (Replay, Peer),
    door: &Door,
    mut draining: watch::Receiver<bool>,
) -> Driven {
    let progress = replay.progress();
    let (takeover, taken_over) = Takeover::new();
    let passage = Passage::Socket(takeover);
    let answer = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(source);
        answer(request, door, (&passage, &progress))
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX * 2)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(replay), answer);
    let mut taken_over = pin!(taken_over);
    let mut drained = pin!(draining.wait_for(|draining| *draining));
    let mut head_deadline = HeadDeadline::new(Arc::clone(&progress));
    let (mut is_draining, mut asked) = (false, None);
    let turn = poll_fn(|context| {
        // An error is the peer's: it left, or sent what hyper has answered already.
        if Pin::new(&mut connection).poll(context).is_ready() {
            return Poll::Ready(Turn::Ended);
        }
        // Behind the first look at what has come: before it, hyper would take none of that.
        if !is_draining && drained.as_mut().poll(context).is_ready() {
            is_draining = true;
            Pin::new(&mut connection).graceful_shutdown();
            if Pin::new(&mut connection).poll(context).is_ready() {
                return Poll::Ready(Turn::Ended);
            }
        }
        if asked.is_none()
            && let Poll::Ready(Ok(opening)) = taken_over.as_mut().poll(context)
        {
            asked = Some(opening);
        }
        // Answers to earlier requests on this connection go out first.
        if progress.is_flushed()
            && let Some(opening) = asked.take()
        {
            return Poll::Ready(Turn::Taken(opening));
        }
        if progress.is_flushed()
            && let Some(problem) = progress.take_refusal()
        {
            return Poll::Ready(Turn::Refused(problem));
        }
        head_deadline.poll(context).map(|()| Turn::Refused(head_timeout()))
    })
    .await;
    if matches!(turn, Turn::Ended) && !progress.is_unread() {
        return Driven::Ended;
    }
    let parts = connection.into_parts();
    let (stream, held) = parts.io.into_inner().into_parts();
    match turn {
        Turn::Taken(opening) => {
            let early = [&parts.read_buf[..], &held].concat().into();
            Driven::Lean(Lean { stream, opening, early })
        }
        Turn::Refused(problem) => Driven::Refused(stream, problem),
        Turn::Ended => Driven::Unread(stream),
    }
}

/// Answers one request, and sees to it that the next one can be found behind its body.
fn answer(
    mut request: Request<Incoming>,
    door: &Door,
    (passage, progress): (&Passage, &Arc<Progress>),
) -> impl Future<Output = Result<http::Response<Answer<Visit>>, Infallible>> + use<> {
    let visit = Visit(Arc::clone(progress));
    progress.on_request(&request);
    let (progress, admission) = (Arc::clone(progress), Arc::clone(&door.admission));
    let is_asking = request.headers().contains_key(header::EXPECT);
    request.extensions_mut().insert(passage.clone());
    let (parts, body) = request.into_parts();
    let (body, leftover) = leftover::lend(body);
    let answer = door.routes.now().call(Request::from_parts(parts, body));
    async move {
        let response: Response = answer.await?;
        // To read what a client only offers would be to ask for it.
        let is_read = if is_asking { leftover.is_empty() } else { leftover.drain().await };
        let mut response = answer::of(response, &admission, visit);
        if !is_read {
            progress.on_unread();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}
