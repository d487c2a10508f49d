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

use super::super::activity::Busy;
use super::super::answer::Keep;

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
    /// h2 may have the last piece for as long as the client gives it no window.
    const ENDS_ONCE_GONE: bool = true;

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
    use std::convert::Infallible;
    use std::future::pending;

    use axum::body::Body;
    use hyper::Response;
    use hyper::server::conn::http2;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::Semaphore;
    use tokio::time::{Instant, timeout};

    use super::super::super::activity::Activity;
    use super::super::super::answer::Answer;
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

    const DATA: u8 = 0;
    const RST_STREAM: u8 = 3;
    const WINDOW_UPDATE: u8 = 8;
    const END_STREAM: u8 = 1;

    /// Asks for one answer on stream 1, with so much of a window for it.
    async fn ask(client: &mut DuplexStream, window: u32) {
        let settings = [b"\0\0\x06\x04\0\0\0\0\0\0\x04".as_slice(), &window.to_be_bytes()].concat();
        let get = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86";
        let all = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings.as_slice(), get].concat();
        client.write_all(&all).await.expect("it reads");
    }

    /// The kind, the flags and the length of the next frame on stream 1.
    async fn next(client: &mut DuplexStream) -> (u8, u8, usize) {
        loop {
            let mut head = [0; 9];
            client.read_exact(&mut head).await.expect("a frame");
            let [a, b, c, kind, flags, .., stream] = head;
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            client.read_exact(&mut vec![0; length]).await.expect("all of it");
            if stream == 1 {
                return (kind, flags, length);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_last_byte_of_a_large_answer_is_given_up() {
        const ANSWER_BYTES: u32 = 20_000;
        for takes_the_last in [false, true] {
            let (activity, places) = (Arc::new(Activity::default()), Arc::new(Semaphore::new(1)));
            let patience = Patience::default();
            let (own, requests, all) =
                (patience.clone(), Arc::clone(&activity), Arc::clone(&places));
            let service = service_fn(move |_| {
                let (own, busy) = (own.clone(), Arc::new(requests.enter()));
                let place = Arc::clone(&all).try_acquire_owned().expect("free");
                async move {
                    let body = Body::from(vec![7; ANSWER_BYTES as usize]);
                    let answer = Answer::new(body, own.keep(busy), Some(place));
                    Ok::<_, Infallible>(Response::new(answer))
                }
            });
            let (mut client, server) = duplex(1 << 20);
            let server =
                http2::Builder::new(patience).serve_connection(TokioIo::new(server), service);
            let server = tokio::spawn(server);

            ask(&mut client, ANSWER_BYTES - 1).await;
            let mut taken = 0;
            while taken < ANSWER_BYTES as usize - 1 {
                let (kind, _, length) = next(&mut client).await;
                taken += if kind == DATA { length } else { 0 };
            }
            assert_eq!(places.available_permits(), 0);
            let begun = Instant::now();
            if takes_the_last {
                let update = [0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 1, 0, 0, 0, 1];
                client.write_all(&update).await.expect("it reads");
                assert_eq!(next(&mut client).await, (DATA, 0, 1));
                assert_eq!(next(&mut client).await, (DATA, END_STREAM, 0));
            } else {
                let reset = timeout(2 * STALL_TIMEOUT, next(&mut client)).await;
                assert_eq!(reset.expect("it is given up").0, RST_STREAM);
                assert!(begun.elapsed() >= STALL_TIMEOUT);
            }
            assert_eq!((places.available_permits(), activity.since(1)), (1, None));
            drop(client);
            server.await.expect("no panic").ok();
        }
    }
}
