//! Patience with clients that do not take their answers.
//!
//! On HTTP/1 it is the socket that is full, and [`Replay`](super::Replay) gives up on it. On HTTP/2
//! a client may refuse one answer and take others, or none: the socket stays free. A piece of the
//! answer then stays where it is, and none of those before it goes.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bellwire_model::limits::{CARRY_BYTES_MAX, STALL_TIMEOUT};
use hyper::rt::Executor;
use rustc_hash::FxHashMap;
use tokio::task;
use tokio::time::{Sleep, sleep};

use super::super::answer::Keep;
use super::Busy;

/// Runs what hyper makes of each request of one connection, and drops what its client takes nothing
/// of for too long: that resets the stream, and leaves the others of its connection alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience(Arc<Mutex<FxHashMap<task::Id, Arc<Pace>>>>);

impl Patience {
    /// What the answer of the request is to be kept with whose task asks.
    pub(super) fn keep(&self, busy: Arc<Busy>) -> Taking {
        let paces = self.0.lock().expect("not poisoned");
        let pace = task::try_id().and_then(|id| paces.get(&id).cloned());
        Taking { pace: pace.unwrap_or_default(), _busy: busy }
    }

    fn watch<F>(&self, future: F) -> Watched<F> {
        let (future, patience) = (Box::pin(future), self.clone());
        Watched { future, patience, pace: Arc::default(), id: None, stall: None }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Patience {
    fn execute(&self, future: F) {
        tokio::spawn(self.watch(future));
    }
}

/// How many pieces of an answer hyper has had, and how many of them have gone.
#[derive(Debug, Default)]
struct Pace {
    given: AtomicU64,
    gone: AtomicU64,
}

impl Pace {
    /// How many have gone, where more are to go.
    fn waiting_at(&self) -> Option<u64> {
        let gone = self.gone.load(Ordering::Relaxed);
        (self.given.load(Ordering::Relaxed) > gone).then_some(gone)
    }
}

/// What goes with the last of an answer.
#[derive(Debug)]
pub(super) struct Taking {
    pace: Arc<Pace>,
    _busy: Arc<Busy>,
}

impl Keep for Taking {
    /// One frame.
    const PIECE_BYTES_MAX: usize = CARRY_BYTES_MAX;

    fn on_piece(&self) {
        self.pace.given.fetch_add(1, Ordering::Relaxed);
    }

    fn on_piece_gone(&self) {
        self.pace.gone.fetch_add(1, Ordering::Relaxed);
    }
}

struct Watched<F> {
    future: Pin<Box<F>>,
    patience: Patience,
    pace: Arc<Pace>,
    /// The task's, once it runs.
    id: Option<task::Id>,
    /// Runs while a piece waits for the client, and as many as this have gone.
    stall: Option<(u64, Pin<Box<Sleep>>)>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.id.is_none() {
            self.id = task::try_id();
            let mut paces = self.patience.0.lock().expect("not poisoned");
            paces.extend(self.id.map(|id| (id, Arc::clone(&self.pace))));
        }
        if self.future.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let Some(gone) = self.pace.waiting_at() else {
                self.stall = None;
                return Poll::Pending;
            };
            match &mut self.stall {
                Some((before, stall)) if *before == gone => {
                    ready!(stall.as_mut().poll(context));
                    return Poll::Ready(());
                }
                _ => self.stall = Some((gone, Box::pin(sleep(STALL_TIMEOUT)))),
            }
        }
    }
}

impl<F> Drop for Watched<F> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.patience.0.lock().expect("not poisoned").remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::super::Activity;
    use super::*;

    /// Runs what an answer does with its pieces.
    async fn run<F: Future<Output = ()> + Send + 'static>(
        answer: impl FnOnce(Taking) -> F + Send + 'static,
    ) {
        let patience = Patience::default();
        let (own, busy) = (patience.clone(), Arc::new(Arc::new(Activity::default()).enter()));
        let answer = async move { answer(own.keep(busy)).await };
        tokio::spawn(patience.watch(answer)).await.expect("no panic");
        assert!(patience.0.lock().expect("not poisoned").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_takes_no_piece_is_given_up() {
        let begun = Instant::now();
        run(|taking| async move {
            taking.on_piece();
            pending::<()>().await;
            drop(taking);
        })
        .await;
        assert_eq!(begun.elapsed(), STALL_TIMEOUT);

        // Who takes one after another may be as slow as he likes.
        let (begun, slow) = (Instant::now(), STALL_TIMEOUT / 2);
        run(move |taking| async move {
            for _ in 0..5 {
                taking.on_piece();
                sleep(slow).await;
                taking.on_piece_gone();
            }
        })
        .await;
        assert_eq!(begun.elapsed(), slow * 5);

        // A body that has nothing to say for long is nobody's fault.
        let (begun, silence) = (Instant::now(), STALL_TIMEOUT * 3);
        run(move |_| sleep(silence)).await;
        assert_eq!(begun.elapsed(), silence);
    }
}
