//! Patience with clients that do not take their answers.
//!
//! On HTTP/1 it is the socket that is full, and [`Replay`](super::Replay) gives up on it. On HTTP/2
//! a client may refuse one answer and take others, or none: the socket stays free. hyper then holds
//! a piece of the answer and asks the body for no more, which is how it shows here.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bellwire_model::limits::{CARRY_BYTES_MAX, STALL_TIMEOUT};
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use super::Busy;

thread_local! {
    /// What the body said that was asked last on this thread.
    static SAID: Cell<Option<Said>> = const { Cell::new(None) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// A piece of the answer.
    Piece,
    /// Nothing for now, or that this was all.
    Nothing,
}

/// The body of an answer, in pieces that fit into a frame: hyper lets go of each before it asks for
/// the next, so that little of an answer is out of reach when its client takes no more of it.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    rest: Bytes,
    _held: Held,
}

/// What goes with the last of an answer.
type Held = (Arc<Busy>, Option<OwnedSemaphorePermit>);

impl Answer {
    pub(super) fn new(body: Body, held: Held) -> Self {
        Self { body, rest: Bytes::new(), _held: held }
    }

    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)?) else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(bytes) => self.rest = bytes,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(CARRY_BYTES_MAX));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let piece = self.poll_piece(context);
        let is_piece = matches!(piece, Poll::Ready(Some(Ok(_))));
        SAID.set(Some(if is_piece { Said::Piece } else { Said::Nothing }));
        piece
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

/// Runs what hyper makes of each request, and drops what its client takes nothing of for too long:
/// that resets the stream, and leaves the others of its connection alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patient;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Patient {
    fn execute(&self, future: F) {
        tokio::spawn(Watched { future: Box::pin(future), stall: None });
    }
}

struct Watched<F> {
    future: Pin<Box<F>>,
    /// Runs while a piece waits for the client.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        SAID.set(None);
        if self.future.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        match SAID.take() {
            Some(Said::Piece) => self.stall = Some(Box::pin(sleep(STALL_TIMEOUT))),
            Some(Said::Nothing) => self.stall = None,
            None => {}
        }
        let Some(stall) = &mut self.stall else { return Poll::Pending };
        stall.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;

    use http_body_util::BodyExt;
    use tokio::time::Instant;

    use super::super::Activity;
    use super::*;

    fn answer(body: Body) -> Answer {
        Answer::new(body, (Arc::new(Arc::new(Activity::default()).enter()), None))
    }

    #[tokio::test]
    async fn an_answer_comes_in_pieces_and_says_how_large_it_is() {
        let bytes = Bytes::from(vec![7; CARRY_BYTES_MAX * 2 + 1]);
        let mut answer = answer(Body::from(bytes.clone()));
        assert_eq!(answer.size_hint().exact(), Some(bytes.len() as u64));
        let mut seen = Vec::new();
        while let Some(frame) = answer.frame().await {
            let piece = frame.expect("no error").into_data().expect("data");
            assert!(piece.len() <= CARRY_BYTES_MAX);
            seen.extend_from_slice(&piece);
            assert_eq!(answer.size_hint().exact(), Some((bytes.len() - seen.len()) as u64));
        }
        assert_eq!(seen, bytes);
        assert!(answer.is_end_stream());
    }

    /// As hyper does: asks for a piece, and then waits for its client.
    async fn hold_a_piece(mut answer: Answer) {
        answer.frame().await.expect("a piece").expect("no error");
        poll_fn(|_| Poll::<()>::Pending).await;
    }

    /// Asks again and again.
    async fn take_all(mut answer: Answer) {
        while answer.frame().await.is_some() {}
    }

    fn watched(future: impl Future<Output = ()>) -> impl Future<Output = ()> {
        Watched { future: Box::pin(future), stall: None }
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_takes_no_piece_is_given_up() {
        let begun = Instant::now();
        watched(hold_a_piece(answer(Body::from("piece")))).await;
        assert_eq!(begun.elapsed(), STALL_TIMEOUT);

        // A body that has nothing to say for long is nobody's fault.
        let begun = Instant::now();
        let silence = STALL_TIMEOUT * 3;
        watched(take_all(answer(Body::new(Silent(Box::pin(sleep(silence))))))).await;
        assert_eq!(begun.elapsed(), silence);
    }

    /// A body that says nothing, and ends.
    struct Silent(Pin<Box<Sleep>>);

    impl hyper::body::Body for Silent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.as_mut().poll(context).map(|()| None)
        }
    }
}
