//! Accepting connections, and driving those that hyper serves.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use bellwire_model::limits::{HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX, KEEP_ALIVE_TIMEOUT};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};
use tower::Service;

use super::head::{self, Decision};
use super::replay::Replay;
use super::takeover::Takeover;
use crate::observe::Figures;
use crate::problem::{Code, Problem};
use crate::shard::{Handoff, Spread};
use crate::stream_request::StreamRequest;

/// What every connection needs.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) router: Router,
    pub(crate) spread: Arc<Spread>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) connections_max: usize,
}

/// Pause after an accept that failed for want of descriptors: they come back when others leave.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `draining` turns true, then lets the requests that are under way finish.
pub(crate) async fn serve(listener: TcpListener, door: Door, mut draining: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let drains = draining.clone();
    let mut drained = pin!(draining.wait_for(|draining| *draining));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut drained => break,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(greet(stream, door.clone(), drains.clone()));
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "No connection can be accepted now.");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Whether accepting failed because of the one connection that was to be accepted.
fn is_of_the_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn greet(mut stream: TcpStream, door: Door, mut draining: watch::Receiver<bool>) {
    let _guest = Guest::enter(&door);
    if door.figures.connections_open.get() as usize > door.connections_max {
        door.figures.connections_refused.add(1);
        let detail =
            format!("there are {} connections, the most this server takes", door.connections_max);
        let problem = Problem::new(Code::ConnectionsExhausted, detail).retry_after(5);
        return refuse(stream, &problem).await;
    }
    // Small events must not wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let mut head = Vec::with_capacity(1024);
    let read = tokio::select! {
        read = timeout(HEAD_TIMEOUT, head::read(&mut stream, &mut head)) => read,
        _ = draining.wait_for(|draining| *draining) => return,
    };
    let decision = match read {
        Ok(Ok(Some(decision))) => decision,
        Ok(Ok(None)) => return,
        Ok(Err(problem)) => return refuse(stream, &problem).await,
        // Who has not said a word only opened a connection ahead of need.
        Err(_) if head.is_empty() => return,
        Err(_) => {
            let detail = format!("the head did not arrive within {} s", HEAD_TIMEOUT.as_secs());
            return refuse(stream, &Problem::new(Code::HeadTimeout, detail)).await;
        }
    };
    match decision {
        Decision::Lean(request) => hand_over(stream, request, &door),
        Decision::Replay => {
            if let Some((stream, request)) = drive(Replay::new(head, stream), &door, draining).await
            {
                hand_over(stream, request, &door);
            }
        }
    }
}

/// Serves requests until the connection ends, or until one of them asks for a lean stream.
async fn drive(
    replay: Replay,
    door: &Door,
    mut draining: watch::Receiver<bool>,
) -> Option<(TcpStream, StreamRequest)> {
    let flushed = replay.flushed();
    let (takeover, taken_over) = Takeover::new();
    let answer = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(takeover.clone());
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
    Some((connection.into_parts().io.into_inner().into_stream(), request))
}

fn hand_over(stream: TcpStream, request: StreamRequest, door: &Door) {
    let Ok(socket) = stream.into_std() else { return };
    if let Err(mut handoff) = door.spread.adopt(Handoff { socket: socket.into(), request }) {
        door.figures.connections_refused.add(1);
        let problem = Problem::new(Code::ConnectionsExhausted, "too many connections come at once");
        handoff.socket.refuse(&problem.retry_after(1));
    }
}

/// Answers, and ends the connection.
async fn refuse(mut stream: TcpStream, problem: &Problem) {
    let answer = async {
        stream.write_all(&problem.http1_response()).await?;
        stream.shutdown().await
    };
    // A peer that does not even read this is left alone.
    let _ = timeout(HEAD_TIMEOUT, answer).await;
}

/// Counts a connection while the front door has it; a shard counts its own.
struct Guest<'a>(&'a Door);

impl<'a> Guest<'a> {
    fn enter(door: &'a Door) -> Self {
        door.figures.connections_open.add(1);
        Self(door)
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.figures.connections_open.sub(1);
    }
}
