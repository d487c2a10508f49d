//! Accepting connections: who comes is met, and led to whoever serves him.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;

use bellwire_access::Identity;
use bellwire_authn::Shown;
use bellwire_model::limits::{DRAIN_HEAD_TIMEOUT, HEAD_BYTES_MAX, HEAD_TIMEOUT, LINGER_TIMEOUT};
use bellwire_process::clock;
use bellwire_shards::{EVENTS_PATH, Handoff, Place, StreamRequest};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::proxy_protocol::{self, Sender, Step};
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};

use super::door::Door;
use super::farewell::{head_timeout, linger, refuse, refuse_stream};
use super::head::{self, Decision};
use super::http1::{Driven, Lean};
use super::opening::{Opening, counted, following};
use super::replay::Replay;
use super::stream::{Peer, Stream, TLS_HANDSHAKE};
use super::{http1, http2};
use crate::access::Permitted;
use crate::admission::{Descriptor, Needs};
use crate::page::Callers;
use crate::proxies;

/// Pause after an accept that failed for want of descriptors: they come back when others leave.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that are accepted before others get their turn.
const ACCEPTS_PER_TURN: usize = 64;

/// Connections that are accepted yet once the server drains: those that wait, and no more, however
/// fast others come.
const ACCEPTS_AT_THE_END: usize = 4096;

/// Accepts until `draining` turns true, then lets the requests that are under way finish.
pub(crate) async fn serve(
    listener: AsyncFd<TcpListener>,
    door: Door,
    mut draining: watch::Receiver<bool>,
) {
    let door = Arc::new(door);
    let mut guests = JoinSet::new();
    let drains = draining.clone();
    let mut drained = pin!(draining.wait_for(|draining| *draining));
    // Heads are read into it; those that are not whole at once are copied out.
    let mut scratch = vec![0; HEAD_BYTES_MAX];
    loop {
        let mut ready = tokio::select! {
            ready = listener.readable() => ready.expect("the runtime is there"),
            _ = &mut drained => break,
            Some(_) = guests.join_next() => continue,
        };
        for _ in 0..ACCEPTS_PER_TURN {
            match ready.try_io(|listener| accept(listener.get_ref())) {
                Ok(Ok((socket, address))) => {
                    if let Some(guest) = receive(socket, address, &door, &mut scratch) {
                        guests.spawn(greet(guest, Arc::clone(&door), drains.clone()));
                    }
                }
                Ok(Err(error)) if is_of_the_peer(&error) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "No connection can be accepted now.");
                    sleep(ACCEPT_PAUSE).await;
                    break;
                }
                Err(_would_block) => break,
            }
        }
        tokio::task::yield_now().await;
    }
    // Who came before the drain may have sent a request, and would not know what became of it.
    for _ in 0..ACCEPTS_AT_THE_END {
        match accept(listener.get_ref()) {
            Ok((socket, address)) => {
                if let Some(guest) = receive(socket, address, &door, &mut scratch) {
                    guests.spawn(greet(guest, Arc::clone(&door), drains.clone()));
                }
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(_nobody_waits) => break,
        }
    }
    drop(listener);
    // Their connections are hyper's, and end when the streams and polls do.
    door.spread.drain_carried();
    drop(door);
    while guests.join_next().await.is_some() {}
}

/// A connection whose socket does not block, and the address of its other end.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, address) = acceptfrom_with(listener, flags)?;
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
    Ok((TcpStream::from(socket), address))
}

/// Whether accepting failed because of the one connection that was to be accepted.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Who has come, and is yet to be led on.
#[derive(Debug)]
struct Guest {
    socket: TcpStream,
    arrival: Arrival,
    welcome: Welcome,
}

/// Where somebody comes from, and what has come of their head.
#[derive(Debug)]
struct Arrival {
    /// The other end of the socket, or whom it speaks for by the PROXY protocol.
    source: IpAddr,
    place: Option<Box<Place>>,
    head: Vec<u8>,
}

impl Arrival {
    /// The place of somebody whose head is there: behind a trusted proxy it has to be waited for.
    fn place_for(&mut self, client: IpAddr, door: &Door) -> Result<(), Problem> {
        if self.place.is_none() && door.callers.proxies.trust(self.source) {
            let visitor = door.admission.newcomer(client)?;
            self.place = Some(Place::new(Some(client), visitor));
        }
        Ok(())
    }
}

/// Whether a connection may stay, and what it takes meanwhile.
#[derive(Debug)]
enum Welcome {
    In(Descriptor),
    Out(Problem, OwnedSemaphorePermit),
}

/// Meets a connection without a wait: a stream or WebSocket whose head is there already, as most
/// are, goes to a shard. Returns whoever needs more than that.
fn receive(
    socket: TcpStream,
    source: IpAddr,
    door: &Arc<Door>,
    scratch: &mut [u8],
) -> Option<Guest> {
    let (admission, proxies) = (&door.admission, &door.callers.proxies);
    let descriptor = admission.connection(door.spread.connections(), Needs::Socket);
    let descriptor = descriptor.and_then(|it| proxies.check(source).map(|()| it));
    let admitted = match descriptor {
        // Whose it is shows later.
        Ok(descriptor) if proxies.trust(source) => Ok((None, descriptor)),
        descriptor => descriptor.and_then(|it| Ok((admission.address(source)?, it))),
    };
    let (place, welcome) = match admitted {
        Ok((place, descriptor)) => {
            (place.map(|place| Place::new(None, place)), Welcome::In(descriptor))
        }
        Err(problem) => {
            // Where even these are too many, all that is left is to hang up.
            let welcome = Welcome::Out(problem, admission.turn_away()?);
            let arrival = Arrival { source, place: None, head: Vec::new() };
            return Some(Guest { socket, arrival, welcome });
        }
    };
    let arrival = Arrival { source, place, head: Vec::new() };
    let mut guest = Guest { socket, arrival, welcome };
    if door.tls.is_some() || proxies.speak_first() {
        return Some(guest);
    }
    match guest.socket.read(scratch) {
        Ok(0) => return None,
        Ok(bytes) => guest.arrival.head = scratch[..bytes].to_vec(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(_) => return None,
    }
    match head::decide(&guest.arrival.head, &door.callers, source) {
        Ok(Some(Decision::Lean { request, head_bytes, shown, client })) => {
            // Who is yet to be verified is so elsewhere: that takes its time.
            let Some(identity) = door.access.authenticator.known(&shown, clock::now()) else {
                return Some(guest);
            };
            if guest.arrival.place_for(client, door).is_err() {
                return Some(guest);
            }
            let permitted = door.access.permit(&identity, *request);
            let Ok(permitted) = permitted.and_then(|it| door.access.admit(&identity, it)) else {
                return Some(guest);
            };
            let Permitted { request, principal, counted: count } = permitted;
            let Arrival { place, head, .. } = guest.arrival;
            let place = counted(place, count);
            let (socket, early) = (guest.socket.into(), head[head_bytes..].into());
            hand_over(Handoff { socket, request, principal, early, place, answers: None }, door);
            None
        }
        _ => Some(guest),
    }
}

/// Leads a guest on. In a storm there is a task of this for each who has not said what he wants, and
/// what they leave in the heap stays there: so all that is large and seldom is in boxes.
async fn greet(guest: Guest, door: Arc<Door>, mut draining: watch::Receiver<bool>) {
    let _visit = door.figures.door.guests.enter();
    let Guest { socket, mut arrival, welcome } = guest;
    let Ok(stream) = tokio::net::TcpStream::from_std(socket) else { return };
    let _descriptor = match welcome {
        Welcome::In(descriptor) => descriptor,
        Welcome::Out(problem, _place) => {
            return Box::pin(turn_away(stream, &door, &problem)).await;
        }
    };
    let Some((stream, decision)) = meet_in_time((stream, &mut arrival), &door, &mut draining).await
    else {
        return;
    };
    let source = Peer(arrival.source);
    let lean = match decision {
        Decision::Lean { request, head_bytes, shown, client } => {
            if let Err(problem) = arrival.place_for(client, &door) {
                return Box::pin(refuse_stream(stream, &request, &problem)).await;
            }
            let origin = request.allow_origin.clone();
            let permitted = permit(&door, *request, (&shown, client)).await;
            if let Ok((request, identity)) = &permitted
                && let Err(problem) = door.access.has_room(identity, request)
            {
                door.access.audit.forbidden(&problem, Some(identity), (EVENTS_PATH, Some(client)));
                return Box::pin(refuse_stream(stream, request, &problem)).await;
            }
            match permitted.and_then(|(it, identity)| door.access.admit(&identity, it)) {
                Ok(permitted) => {
                    let opening = Opening { permitted, visitor: None, followed: Vec::new() };
                    Lean { stream, opening, early: arrival.head[head_bytes..].into() }
                }
                Err(problem) => {
                    return Box::pin(refuse(stream, &problem, origin.as_deref())).await;
                }
            }
        }
        Decision::Replay => {
            let head = std::mem::take(&mut arrival.head);
            let replay = Replay::of_requests(head, stream, door.stall_timeout);
            let driving = http1::drive((replay, source), &door, draining);
            match Box::pin(driving).await {
                Driven::Lean(lean) => lean,
                Driven::Unread(stream) => return Box::pin(linger(stream)).await,
                // Of a head that is none nobody can say which page it is of.
                Driven::Refused(stream, problem) => {
                    return Box::pin(refuse(stream, &problem, None)).await;
                }
                Driven::Ended => return,
            }
        }
        Decision::Http2 => {
            let replay = Replay::open(arrival.head, stream, door.stall_timeout);
            let driving = http2::drive((replay, source), Arc::clone(&door), draining);
            return Box::pin(driving).await;
        }
    };
    let Lean { stream, opening, early } = lean;
    let Opening { permitted, visitor, followed } = opening;
    let Permitted { request, principal, counted: count } = permitted;
    let Ok(socket) = stream.into_socket() else { return };
    let place = following(Opening::place(visitor).or(arrival.place), followed);
    let place = counted(place, count);
    hand_over(Handoff { socket, request, principal, early, place, answers: None }, &door);
}

/// Finds out who asks for a stream and what of it they may follow. What is refused is in the audit.
async fn permit(
    door: &Door,
    request: StreamRequest,
    (shown, client): (&Shown, IpAddr),
) -> Result<(StreamRequest, Arc<Identity>), Problem> {
    let (access, place) = (&door.access, (EVENTS_PATH, Some(client)));
    let identified = access.authenticator.identify(shown, Some(client)).await;
    let identity = identified.inspect_err(|problem| {
        access.audit.refused(problem, (shown.kind(), None), place);
    })?;
    let permitted = access.permit(&identity, request);
    let forbidden = |problem: &Problem| access.audit.forbidden(problem, Some(&identity), place);
    Ok((permitted.inspect_err(forbidden)?, identity))
}

/// Meets somebody. Who has come before a drain has a moment yet to say what he wants: a proxy that finds
/// its connection closed would not know what became of its request.
async fn meet_in_time(
    (stream, arrival): (tokio::net::TcpStream, &mut Arrival),
    door: &Door,
    draining: &mut watch::Receiver<bool>,
) -> Option<(Stream, Decision)> {
    let mut meeting = pin!(meet(stream, arrival, door));
    tokio::select! {
        biased;
        met = &mut meeting => return met,
        _ = draining.wait_for(|draining| *draining) => {}
    }
    timeout(DRAIN_HEAD_TIMEOUT, meeting).await.ok().flatten()
}

/// Hears whom a proxy speaks for, shakes hands and reads the first head, all before one deadline.
/// `None`: there is nobody to serve, or who came has had an answer.
async fn meet(
    mut stream: tokio::net::TcpStream,
    arrival: &mut Arrival,
    door: &Door,
) -> Option<(Stream, Decision)> {
    let mut deadline = pin!(sleep(HEAD_TIMEOUT));
    if door.callers.proxies.speak_first() {
        let heard = tokio::select! {
            heard = introduce(&mut stream, arrival, door) => heard?,
            () = &mut deadline => return None,
        };
        if let Err(problem) = heard {
            Box::pin(turn_away(stream, door, &problem)).await;
            return None;
        }
    }
    let opened = tokio::select! {
        opened = open((stream, arrival.source), door) => opened,
        () = &mut deadline => Err(io::ErrorKind::TimedOut.into()),
    };
    let mut stream = match opened {
        Ok(opened) => opened?,
        Err(error) => {
            door.figures.door.tls_failures.add(1);
            tracing::debug!(%error, "A TLS handshake failed.");
            return None;
        }
    };
    if stream.has_chosen_http2() {
        return Some((stream, Decision::Http2));
    }
    let Arrival { head, source, .. } = arrival;
    head.reserve(HEAD_BYTES_TYPICAL);
    let read = tokio::select! {
        read = head::read(&mut stream, head, (&door.callers, *source)) => Some(read),
        () = &mut deadline => None,
    };
    let problem = match read {
        Some(Ok(decision)) => return Some((stream, decision?)),
        Some(Err(problem)) => problem,
        // Who has not said a word only opened a connection ahead of need.
        None if head.is_empty() => return None,
        None => head_timeout(),
    };
    Box::pin(refuse(stream, &problem, None)).await;
    None
}

/// Bytes that most heads have.
const HEAD_BYTES_TYPICAL: usize = 1024;

/// Reads the header of the PROXY protocol, to the byte, and finds out whether whom it names may come
/// in. `None`: the proxy has gone.
async fn introduce(
    stream: &mut tokio::net::TcpStream,
    arrival: &mut Arrival,
    door: &Door,
) -> Option<Result<(), Problem>> {
    let mut header = Vec::new();
    let sender = loop {
        match proxy_protocol::read(&header) {
            Ok(Step::Whole(sender, _)) => break sender,
            Ok(Step::More(bytes)) => {
                let begun = header.len();
                header.resize(begun + bytes, 0);
                stream.read_exact(&mut header[begun..]).await.ok()?;
            }
            Err(error) => return Some(Err(proxies::unread(error))),
        }
    };
    let Sender::Client(client) = sender else {
        // The proxy does not say for whom it speaks, as when it looks whether anybody is here. What
        // the head says is not the proxy's own word then: it is nobody's, whom nobody trusts.
        arrival.source = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        return Some(Ok(()));
    };
    arrival.source = client;
    if door.callers.proxies.trust(arrival.source) {
        return Some(Ok(()));
    }
    Some(door.admission.newcomer(arrival.source).map(|visitor| {
        arrival.place = Some(Place::new(Some(arrival.source), visitor));
    }))
}

/// Shakes hands where this port speaks TLS. `None`: the client does not, or has gone.
async fn open(
    (stream, source): (tokio::net::TcpStream, IpAddr),
    door: &Door,
) -> io::Result<Option<Stream>> {
    let Some(tls) = &door.tls else { return Ok(Some(Stream::Plain(stream))) };
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] == TLS_HANDSHAKE {
        return Box::pin(Stream::secure(stream, tls)).await.map(Some);
    }
    Box::pin(tell_of_tls(Stream::Plain(stream), (&door.callers, source))).await;
    Ok(None)
}

/// Answers who speaks plain HTTP where TLS is spoken.
async fn tell_of_tls(mut stream: Stream, callers: (&Callers, IpAddr)) {
    if let Ok(Some(_)) = head::read(&mut stream, &mut Vec::new(), callers).await {
        let detail = "this port speaks TLS: use https://";
        refuse(stream, &Problem::new(Code::TlsRequired, detail), None).await;
    }
}

/// Gives a connection to a shard.
fn hand_over(mut handoff: Handoff, door: &Door) {
    if let Err(problem) = door.admission.subscriber() {
        return handoff.socket.refuse(&handoff.request, &problem);
    }
    if let Err(mut handoff) = door.spread.adopt(handoff) {
        door.figures.door.connections_refused.add(1);
        let problem = Problem::new(Code::ConnectionsExhausted, "too many connections come at once");
        handoff.socket.refuse(&handoff.request, &problem.retry_after(1));
    }
}

/// Tells a client that there are too many, where that costs no handshake. What it asks for says how:
/// who is slow to say that is told as programs are.
async fn turn_away(stream: tokio::net::TcpStream, door: &Door, problem: &Problem) {
    if door.tls.is_some() {
        return;
    }
    let (mut stream, mut head) = (Stream::Plain(stream), Vec::new());
    // Whose it is does not matter any more.
    let nobody = Ipv4Addr::UNSPECIFIED.into();
    let read = head::read(&mut stream, &mut head, (&door.callers, nobody));
    match timeout(LINGER_TIMEOUT, read).await {
        Ok(Ok(Some(Decision::Lean { request, .. }))) => {
            refuse_stream(stream, &request, problem).await;
        }
        Ok(Ok(None)) => {}
        Ok(Ok(Some(Decision::Replay))) => {
            let origin = head::allowed_origin(&head, &door.callers);
            refuse(stream, problem, origin.as_ref()).await;
        }
        _ => refuse(stream, problem, None).await,
    }
}
