//! HTTP/2: many requests on one connection, all of them hyper's; streams come from shards through
//! socket pairs.

mod meter;
mod patience;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bellwire_model::limits::{
    HEAD_TIMEOUT, HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_HEADER_LIST_BYTES_MAX, HTTP2_PING_INTERVAL,
    HTTP2_PING_TIMEOUT, HTTP2_RESETS_MAX, HTTP2_SEND_BUFFER_BYTES_MAX, HTTP2_STREAM_WINDOW_BYTES,
    HTTP2_STREAMS_MAX, KEEP_ALIVE_TIMEOUT, LINGER_TIMEOUT,
};
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::time::sleep;
use tower::Service;

use self::meter::Metered;
use self::patience::Patience;
use super::activity::Activity;
use super::answer;
use super::carry::One;
use super::door::Door;
use super::leftover;
use super::letter;
use super::replay::Replay;
use super::stream::Peer;
use super::takeover::Passage;
use crate::problem::Refused;

/// Serves requests until the connection ends, or has had none for a while.
pub(super) async fn drive(
    (replay, source): (Replay, Peer),
    door: Arc<Door>,
    mut draining: watch::Receiver<bool>,
) {
    let activity = Arc::new(Activity::default());
    let patience = Patience::new(door.stall_timeout);
    let answer = service_fn(|mut request: Request<Incoming>| {
        let busy = Arc::new(activity.enter());
        let upgrade =
            (request.method() == Method::CONNECT).then(|| hyper::upgrade::on(&mut request));
        let is_tunnel = upgrade.is_some();
        let (admission, patience) = (Arc::clone(&door.admission), patience.clone());
        let one = One { door: Arc::clone(&door), busy: Arc::clone(&busy), upgrade };
        request.extensions_mut().insert(Passage::One(one));
        request.extensions_mut().insert(source);
        let checked = letter::check_authority(request.uri(), request.headers());
        let (parts, body) = request.into_parts();
        // What comes through a tunnel is no body.
        let (body, leftover) = if is_tunnel {
            (axum::body::Body::new(body), None)
        } else {
            let (body, leftover) = leftover::lend(body);
            (body, Some(leftover))
        };
        let request = Request::from_parts(parts, body);
        let answer = checked.map(|()| door.routes.now().call(request));
        async move {
            let answer: Response = match answer {
                Ok(answer) => answer.await?,
                Err(problem) => Refused(problem).into_response(),
            };
            // What is wrong with a body shows at its end: its length, and its trailers.
            if let Some(leftover) = leftover {
                leftover.drain().await;
            }
            Ok::<_, Infallible>(answer::of(answer, &admission, patience.keep(busy)))
        }
    });
    let connection = http2::Builder::new(patience.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HTTP2_HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(HTTP2_RESETS_MAX)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(HTTP2_SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT)
        .enable_connect_protocol()
        .serve_connection(TokioIo::new(Metered::new(replay)), answer);
    let mut connection = pin!(connection);
    let mut exhausted = pin!(patience.exhausted());
    let mut drained = pin!(draining.wait_for(|draining| *draining));
    let (mut seen, mut wait) = (0, HEAD_TIMEOUT);
    let (mut is_ending, mut is_hopeless) = (false, false);
    loop {
        tokio::select! {
            // An error is the peer's: it left, or broke the protocol and has been told.
            _ = connection.as_mut() => return,
            _ = &mut drained, if !is_ending => {}
            () = &mut exhausted, if !is_hopeless => is_hopeless = true,
            // What else goes on here may be others', of whom a proxy has many on a connection.
            () = sleep(wait) => match activity.since(seen, patience.left()) {
                Some(requests) => {
                    wait = if is_hopeless { LINGER_TIMEOUT } else { KEEP_ALIVE_TIMEOUT };
                    seen = requests;
                    continue;
                }
                // It has been asked to end, and has not.
                None if is_ending => return,
                None => {}
            },
        }
        (is_ending, wait) = (true, LINGER_TIMEOUT);
        connection.as_mut().graceful_shutdown();
    }
}
