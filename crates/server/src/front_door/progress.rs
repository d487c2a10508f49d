//! How far a connection of HTTP/1 is between two requests, as far as hyper does not say.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bellwire_model::limits::HEAD_TIMEOUT;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// What the socket, the requests and whoever drives both know of each other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether hyper has bytes that it has not written out.
    holds_bytes: AtomicBool,
    /// Bytes that hyper has been given.
    received: AtomicU64,
    /// How many of them there were when the last request was answered.
    received_at_rest: AtomicU64,
    under_way: AtomicUsize,
    /// Whether a body was answered that has not been read to its end.
    is_unread: AtomicBool,
}

impl Progress {
    pub(super) fn on_read(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn on_write(&self) {
        self.holds_bytes.store(true, Ordering::Relaxed);
    }

    /// hyper flushes a socket only when its own buffer is empty.
    pub(super) fn on_flush(&self) {
        self.holds_bytes.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_flushed(&self) -> bool {
        !self.holds_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn on_unread(&self) {
        self.is_unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.is_unread.load(Ordering::Relaxed)
    }

    pub(super) fn enter(self: &Arc<Self>) -> Visit {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Visit(Arc::clone(self))
    }

    /// Whether a head has begun that is not complete.
    fn has_begun_head(&self) -> bool {
        let received = self.received.load(Ordering::Relaxed);
        self.under_way.load(Ordering::Relaxed) == 0
            && received > self.received_at_rest.load(Ordering::Relaxed)
    }
}

/// A request until its answer has been written.
#[derive(Debug)]
pub(super) struct Visit(Arc<Progress>);

impl Drop for Visit {
    fn drop(&mut self) {
        let received = self.0.received.load(Ordering::Relaxed);
        self.0.received_at_rest.store(received, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer; its request is under way until this has gone.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _visit: Visit,
}

impl Answer {
    pub(super) fn new(body: Body, visit: Visit) -> Self {
        Self { body, _visit: visit }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The time that a head has which comes behind others: hyper counts the silence before it, too.
#[derive(Debug)]
pub(super) struct HeadDeadline {
    progress: Arc<Progress>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl HeadDeadline {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self { progress, sleep: None }
    }

    /// Ready when the head that has begun has taken too long.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.progress.has_begun_head() {
            self.sleep = None;
            return Poll::Pending;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(HEAD_TIMEOUT)));
        sleep.as_mut().poll(context)
    }
}
