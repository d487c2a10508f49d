//! Patience with clients that do not take their answers.
//!
//! On HTTP/1 it is the socket that is full, and [`Replay`](super::Replay) gives up on it. On HTTP/2
//! a client may refuse one answer and take others, or none: the socket stays free. A piece of the
//! answer then stays where it is, and none of those before it goes.
//!
//! While hyper is at an answer its stream is reset. With the last piece of a small one hyper is
//! done, and h2 has it: where that stays, all that is left is to end the connection, once nothing
//! else goes on there.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, ready};

use bellwire_model::limits::CARRY_BYTES_MAX;
use hyper::rt::Executor;
use rustc_hash::FxHashMap;
use tokio::task;
use tokio::time::{Duration, Instant, Sleep, sleep, sleep_until};

use super::super::activity::Busy;
use super::super::answer::Keep;

/// Runs what hyper makes of each request of one connection, and drops what its client takes nothing
/// of for too long: that resets the stream, and leaves the others of its connection alone.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    stall_timeout: Duration,
    answers: Arc<Mutex<FxHashMap<task::Id, Answer>>>,
}

/// An answer whose task runs, or pieces of which have not gone.
#[derive(Debug, Default)]
struct Answer {
    pace: Arc<Pace>,
    /// When its task ended.
    left_at: Option<Instant>,
    busy: Weak<Busy>,
}

impl Patience {
    pub(super) fn new(stall_timeout: Duration) -> Self {
        Self { stall_timeout, answers: Arc::default() }
    }

    /// What the answer of the request is to be kept with whose task asks.
    pub(super) fn keep(&self, busy: Arc<Busy>) -> Taking {
        let id = task::try_id();
        let mut answers = self.answers.lock().expect("not poisoned");
        let answer = id.and_then(|id| answers.get_mut(&id));
        let pace = answer.map(|answer| {
            answer.busy = Arc::downgrade(&busy);
            Arc::clone(&answer.pace)
        });
        drop(answers);
        Taking { pace: pace.unwrap_or_default(), id, patience: self.clone(), _busy: busy }
    }

    /// Ready once the client leaves an answer lying for too long with which hyper is done.
    pub(super) async fn exhausted(&self) {
        let mut until = Instant::now() + self.stall_timeout;
        loop {
            sleep_until(until).await;
            let answers = self.answers.lock().expect("not poisoned");
            let left = answers.values().filter_map(|answer| answer.left_at).min();
            drop(answers);
            let now = Instant::now();
            until = left.unwrap_or(now) + self.stall_timeout;
            if until <= now {
                return;
            }
        }
    }

    /// How many answers have been left lying for too long.
    pub(super) fn left(&self) -> usize {
        let now = Instant::now();
        let answers = self.answers.lock().expect("not poisoned");
        let left = answers.values().filter_map(|answer| answer.left_at);
        left.filter(|left_at| *left_at + self.stall_timeout <= now).count()
    }

    /// Tells whoever makes the answer that it ends since its client takes nothing.
    fn give_up(&self, id: Option<task::Id>) {
        let answers = self.answers.lock().expect("not poisoned");
        let busy = id.and_then(|id| answers.get(&id)?.busy.upgrade());
        drop(answers);
        busy.inspect(|busy| busy.give_up());
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
    id: Option<task::Id>,
    patience: Patience,
    _busy: Arc<Busy>,
}

impl Drop for Taking {
    fn drop(&mut self) {
        let mut answers = self.patience.answers.lock().expect("not poisoned");
        let left = self.id.filter(|id| answers.get(id).is_some_and(|it| it.left_at.is_some()));
        left.and_then(|id| answers.remove(&id));
    }
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
            let pace = Arc::clone(&self.pace);
            let answer = Answer { pace, left_at: None, busy: Weak::new() };
            let mut answers = self.patience.answers.lock().expect("not poisoned");
            answers.extend(self.id.map(|id| (id, answer)));
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
                    self.patience.give_up(self.id);
                    return Poll::Ready(());
                }
                _ => self.stall = Some((gone, Box::pin(sleep(self.patience.stall_timeout)))),
            }
        }
    }
}

impl<F> Drop for Watched<F> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut answers = self.patience.answers.lock().expect("not poisoned");
        match answers.get_mut(&id) {
            Some(answer) if answer.pace.waiting_at().is_some() => {
                answer.left_at = Some(Instant::now());
            }
            _ => _ = answers.remove(&id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use axum::body::Body;
    use bellwire_model::limits::STALL_TIMEOUT;
    use hyper::Response;
    use hyper::server::conn::http2;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::{Semaphore, oneshot};
    use tokio::time::{Instant, timeout};

    use super::super::super::activity::Activity;
    use super::super::super::answer::Answer;
    use super::*;

    /// Runs what an answer does with its pieces.
    async fn run<F: Future<Output = ()> + Send + 'static>(
        answer: impl FnOnce(Taking) -> F + Send + 'static,
    ) {
        let patience = Patience::new(STALL_TIMEOUT);
        let (own, busy) = (patience.clone(), Arc::new(Arc::new(Activity::default()).enter()));
        let answer = async move { answer(own.keep(busy)).await };
        tokio::spawn(patience.watch(answer)).await.expect("no panic");
        assert!(patience.answers.lock().expect("not poisoned").is_empty());
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

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_an_answer_that_hyper_is_done_with_exhausts_it() {
        for is_taken in [false, true] {
            let patience = Patience::new(STALL_TIMEOUT);
            let (own, busy) = (patience.clone(), Arc::new(Arc::new(Activity::default()).enter()));
            let (leave, left) = oneshot::channel();
            let answer = async move {
                let taking = own.keep(busy);
                taking.on_piece();
                leave.send(taking).expect("it waits");
            };
            tokio::spawn(patience.watch(answer)).await.expect("no panic");
            let (begun, taking) = (Instant::now(), left.await.expect("an answer"));
            if is_taken {
                sleep(STALL_TIMEOUT / 2).await;
                taking.on_piece_gone();
                drop(taking);
                timeout(STALL_TIMEOUT * 3, patience.exhausted()).await.expect_err("none is left");
                assert!(patience.answers.lock().expect("not poisoned").is_empty());
            } else {
                patience.exhausted().await;
                assert_eq!(begun.elapsed(), STALL_TIMEOUT);
            }
        }
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
            let patience = Patience::new(STALL_TIMEOUT);
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
            assert_eq!((places.available_permits(), activity.since(1, 0)), (1, None));
            drop(client);
            server.await.expect("no panic").ok();
        }
    }
}
