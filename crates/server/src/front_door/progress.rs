//! How far a connection of HTTP/1 is between two requests, as far as hyper does not say.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bellwire_model::limits::{HEAD_TIMEOUT, HTTP1_PIECE_BYTES_MAX};
use bellwire_wire::problem::{Code, Problem};
use http::Request;
use tokio::time::{Sleep, sleep};

use super::answer::Keep;

/// What the socket, the requests and whoever drives both know of each other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether hyper has bytes that it has not written out.
    holds_bytes: AtomicBool,
    /// Whether something has been written since the last head.
    has_begun_answer: AtomicBool,
    /// Whether the request under way may be given up: it changes nothing.
    is_safe: AtomicBool,
    /// Whether a body was answered that has not been read to its end.
    is_unread: AtomicBool,
    /// Whether a head has begun that is not complete.
    has_begun_head: AtomicBool,
    turn: Mutex<Turn>,
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Turn {
    /// Whether hyper has a request whose answer has not gone.
    is_hypers: bool,
    /// Who waits for the next request.
    waker: Option<Waker>,
    /// The next head is none.
    refusal: Option<Problem>,
}

impl Progress {
    pub(super) fn on_write(&self) {
        self.holds_bytes.store(true, Ordering::Relaxed);
        self.has_begun_answer.store(true, Ordering::Relaxed);
    }

    /// hyper flushes a socket only when its own buffer is empty.
    pub(super) fn on_flush(&self) {
        self.holds_bytes.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_flushed(&self) -> bool {
        !self.holds_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn has_begun_answer(&self) -> bool {
        self.has_begun_answer.load(Ordering::Relaxed)
    }

    /// hyper begins with a request.
    pub(super) fn on_request<B>(&self, request: &Request<B>) {
        // Prometheus' queries come as `POST`, too.
        let is_safe = request.method().is_safe() || request.uri().path().starts_with("/api/v1/");
        self.is_safe.store(is_safe, Ordering::Relaxed);
    }

    pub(super) fn is_safe(&self) -> bool {
        self.is_safe.load(Ordering::Relaxed)
    }

    pub(super) fn on_unread(&self) {
        self.is_unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.is_unread.load(Ordering::Relaxed)
    }

    pub(super) fn on_head_begun(&self) {
        self.has_begun_head.store(true, Ordering::Relaxed);
    }

    /// hyper gets a whole head.
    pub(super) fn on_head(&self) {
        self.has_begun_answer.store(false, Ordering::Relaxed);
        self.has_begun_head.store(false, Ordering::Relaxed);
        self.turn.lock().expect("not poisoned").is_hypers = true;
    }

    /// The next head is refused.
    pub(super) fn refuse(&self, problem: Problem) {
        self.has_begun_head.store(false, Ordering::Relaxed);
        self.turn.lock().expect("not poisoned").refusal = Some(problem);
    }

    /// What a head is refused with, or a request that has no answer yet.
    pub(super) fn take_refusal(&self) -> Option<Problem> {
        let refusal = self.turn.lock().expect("not poisoned").refusal.take();
        // An answer may have been ready in the same moment.
        refusal.filter(|problem| problem.code != Code::HalfClosed || !self.has_begun_answer())
    }

    /// Ready once hyper has done what it was given.
    pub(super) fn poll_turn(&self, context: &Context<'_>) -> Poll<()> {
        let mut turn = self.turn.lock().expect("not poisoned");
        if !turn.is_hypers {
            return Poll::Ready(());
        }
        turn.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether a head has begun that is not complete, and nothing else is to be waited for.
    fn awaits_head(&self) -> bool {
        self.has_begun_head.load(Ordering::Relaxed)
    }
}

/// A request until its answer has been written.
#[derive(Debug)]
pub(super) struct Visit(pub(super) Arc<Progress>);

impl Drop for Visit {
    fn drop(&mut self) {
        let mut turn = self.0.turn.lock().expect("not poisoned");
        turn.is_hypers = false;
        let waker = turn.waker.take();
        drop(turn);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Keep for Visit {
    const PIECE_BYTES_MAX: usize = HTTP1_PIECE_BYTES_MAX;
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
        if !self.progress.awaits_head() {
            self.sleep = None;
            return Poll::Pending;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(HEAD_TIMEOUT)));
        sleep.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::farewell::half_closed;
    use super::*;

    #[test]
    fn who_has_closed_its_half_is_told_that_it_waits_in_vain_or_gets_its_answer() {
        for has_answer in [false, true] {
            let progress = Progress::default();
            progress.on_head();
            progress.refuse(half_closed());
            if has_answer {
                progress.on_write();
                progress.on_flush();
            }
            assert_eq!(progress.take_refusal().is_none(), has_answer);
        }
    }
}
