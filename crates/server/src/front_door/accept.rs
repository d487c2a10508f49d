//! Accepting connections: who comes is met, and led to whoever serves him.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use bellwire_model::limits::{HEAD_TIMEOUT, IDLE_INPUT_BYTES_MAX, LINGER_TIMEOUT};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};

use super::head::{self, Decision};
use super::replay::Replay;
use super::stream::{Stream, TLS_HANDSHAKE};
use super::{http1, http2};
use crate::admission::Admission;
use crate::observe::Figures;
use crate::problem::{Code, Problem};
use crate::shard::{Handoff, Spread};
use crate::stream_request::StreamRequest;
use crate::tls::Tls;

/// What every connection needs.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) router: Router,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) spread: Arc<Spread>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) admission: Arc<Admission>,
}

/// Pause after an accept that failed for want of descriptors: they come back when others leave.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `draining` turns true, then lets the requests that are under way finish.
pub(crate) async fn serve(listener: TcpListener, door: Door, mut draining: watch::Receiver<bool>) {
    let door = Arc::new(door);
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
                connections.spawn(greet(stream, Arc::clone(&door), drains.clone()));
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "No connection can be accepted now.");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Their connections are hyper's, and end when the streams do.
    door.spread.drain_pairs();
    drop(door);
    while connections.join_next().await.is_some() {}
}

/// Whether accepting failed because of the one connection that was to be accepted.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn greet(stream: TcpStream, door: Arc<Door>, mut draining: watch::Receiver<bool>) {
    if let Err(problem) = door.admission.connection() {
        return turn_away(stream, &door, &problem).await;
    }
    let _guest = Guest::enter(&door);
    // Small events must not wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let mut head = Vec::new();
    let met = tokio::select! {
        met = meet(stream, &mut head, &door) => met,
        _ = draining.wait_for(|draining| *draining) => return,
    };
    let Some((stream, decision)) = met else { return };
    match decision {
        Decision::Lean(request) => hand_over(stream, request, &door),
        Decision::Replay => {
            let driven = http1::drive(Replay::new(head, stream), &door, draining).await;
            if let Some((stream, request)) = driven {
                hand_over(stream, request, &door);
            }
        }
        Decision::Http2 => {
            let connection = http2::drive(Replay::new(head, stream), Arc::clone(&door), draining);
            // It is large, and would make the task of every connection so.
            Box::pin(connection).await;
        }
    }
}

/// Shakes hands and reads the first head, all before one deadline. `None`: there is nobody to
/// serve, or who came has had an answer.
async fn meet(stream: TcpStream, head: &mut Vec<u8>, door: &Door) -> Option<(Stream, Decision)> {
    let mut deadline = pin!(sleep(HEAD_TIMEOUT));
    let opened = tokio::select! {
        opened = open(stream, door) => opened,
        () = &mut deadline => Err(io::ErrorKind::TimedOut.into()),
    };
    let mut stream = match opened {
        Ok(opened) => opened?,
        Err(error) => {
            door.figures.tls_failures.add(1);
            tracing::debug!(%error, "A TLS handshake failed.");
            return None;
        }
    };
    if stream.has_chosen_http2() {
        return Some((stream, Decision::Http2));
    }
    head.reserve(HEAD_BYTES_TYPICAL);
    let read = tokio::select! {
        read = head::read(&mut stream, head) => Some(read),
        () = &mut deadline => None,
    };
    let problem = match read {
        Some(Ok(decision)) => return Some((stream, decision?)),
        Some(Err(problem)) => problem,
        // Who has not said a word only opened a connection ahead of need.
        None if head.is_empty() => return None,
        None => {
            let detail = format!("the head did not arrive within {} s", HEAD_TIMEOUT.as_secs());
            Problem::new(Code::HeadTimeout, detail)
        }
    };
    refuse(stream, &problem).await;
    None
}

/// Bytes that most heads have.
const HEAD_BYTES_TYPICAL: usize = 1024;

/// Shakes hands where this port speaks TLS. `None`: the client does not, or has gone.
async fn open(stream: TcpStream, door: &Door) -> io::Result<Option<Stream>> {
    let Some(tls) = &door.tls else { return Ok(Some(Stream::Plain(stream))) };
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] == TLS_HANDSHAKE {
        return Stream::secure(stream, tls).await.map(Some);
    }
    let mut stream = Stream::Plain(stream);
    if let Ok(Some(_)) = head::read(&mut stream, &mut Vec::new()).await {
        let detail = "this port speaks TLS: use https://";
        refuse(stream, &Problem::new(Code::TlsRequired, detail)).await;
    }
    Ok(None)
}

fn hand_over(stream: Stream, request: StreamRequest, door: &Door) {
    let Ok(mut socket) = stream.into_socket() else { return };
    if let Err(problem) = door.admission.subscriber() {
        return socket.refuse(&problem);
    }
    if let Err(mut handoff) = door.spread.adopt(Handoff { socket, request }) {
        door.figures.connections_refused.add(1);
        let problem = Problem::new(Code::ConnectionsExhausted, "too many connections come at once");
        handoff.socket.refuse(&problem.retry_after(1));
    }
}

/// Tells a client at once that there are too many, where that costs no handshake.
async fn turn_away(mut stream: TcpStream, door: &Door, problem: &Problem) {
    if door.tls.is_none() {
        let _ = timeout(HEAD_TIMEOUT, answer(&mut stream, problem)).await;
    }
}

/// Answers, and ends the connection.
async fn refuse(mut stream: Stream, problem: &Problem) {
    let refuse = async {
        answer(&mut stream, problem).await?;
        // To close while the client is still sending would be a reset, which overtakes the answer.
        let mut rest = stream.take(IDLE_INPUT_BYTES_MAX as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // A peer that does not even read this is left alone.
    let _ = timeout(LINGER_TIMEOUT, refuse).await;
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), problem: &Problem) -> io::Result<()> {
    stream.write_all(&problem.http1_response()).await?;
    stream.shutdown().await
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
