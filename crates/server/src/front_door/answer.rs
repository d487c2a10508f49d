//! The body of an answer on its way through hyper: in pieces, so that hyper holds little of it, and
//! each of them tells when hyper has let go of it. What an answer keeps, its place among all bytes
//! that wait for clients included, it keeps until the last of its pieces has gone.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::admission::Admission;
use crate::problem::Refused;

/// What is kept until all of an answer has gone.
pub(super) trait Keep: Send + Sync + Unpin + 'static {
    /// Bytes of one piece: hyper lets go of each before it asks for the next.
    const PIECE_BYTES_MAX: usize;
    /// Where hyper may be done with an answer before its last piece has gone, and nobody is left to
    /// give up on it, a large one ends after that.
    const ENDS_ONCE_GONE: bool = false;

    /// hyper has a piece.
    fn on_piece(&self) {}

    /// hyper has let go of one: it is on its way to the client, or never will be.
    fn on_piece_gone(&self) {}
}

/// Answers below this are not counted: most are, and a connection can have few of them.
const ANSWER_BYTES_SMALL: u64 = 16 * 1024;

/// Makes an answer of a response. A large one takes its place among those that wait for clients
/// who do not read, or is refused.
pub(super) fn of<K: Keep>(
    response: Response,
    admission: &Admission,
    keep: K,
) -> http::Response<Answer<K>> {
    let bytes = response.body().size_hint().lower();
    let place = (bytes > ANSWER_BYTES_SMALL).then(|| admission.answer(bytes));
    let (response, place) = match place.transpose() {
        Ok(place) => (response, place),
        Err(problem) => (Refused(problem).into_response(), None),
    };
    response.map(|body| Answer::new(body, keep, place))
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answer<K: Keep> {
    body: Body,
    /// What is left of the last frame.
    rest: Bytes,
    /// Whether the body has no more frames.
    is_over: bool,
    kept: Arc<Kept<K>>,
}

#[derive(Debug)]
struct Kept<K> {
    keep: K,
    place: Option<OwnedSemaphorePermit>,
    waiting: Mutex<Waiting>,
}

/// The pieces that have not gone.
#[derive(Debug, Default)]
struct Waiting {
    pieces: usize,
    /// Who waits for the last of them.
    waker: Option<Waker>,
}

impl<K: Keep> Kept<K> {
    fn is_to_end_later(&self) -> bool {
        self.awaits_pieces() && self.waiting.lock().expect("not poisoned").pieces > 0
    }

    /// Ready once the answer may end.
    fn poll_end(&self, context: &Context<'_>) -> Poll<()> {
        if !self.awaits_pieces() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock().expect("not poisoned");
        if waiting.pieces == 0 {
            return Poll::Ready(());
        }
        waiting.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn awaits_pieces(&self) -> bool {
        K::ENDS_ONCE_GONE && self.place.is_some()
    }

    fn on_piece(&self) {
        self.keep.on_piece();
        if self.awaits_pieces() {
            self.waiting.lock().expect("not poisoned").pieces += 1;
        }
    }

    fn on_piece_gone(&self) {
        self.keep.on_piece_gone();
        if self.awaits_pieces() {
            let mut waiting = self.waiting.lock().expect("not poisoned");
            waiting.pieces -= 1;
            let waker = if waiting.pieces == 0 { waiting.waker.take() } else { None };
            drop(waiting);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl<K: Keep> Answer<K> {
    pub(super) fn new(body: Body, keep: K, place: Option<OwnedSemaphorePermit>) -> Self {
        let kept = Arc::new(Kept { keep, place, waiting: Mutex::default() });
        Self { body, rest: Bytes::new(), is_over: false, kept }
    }

    fn piece(&self, bytes: Bytes) -> Piece<K> {
        self.kept.on_piece();
        Piece { bytes, kept: Arc::clone(&self.kept) }
    }
}

impl<K: Keep> hyper::body::Body for Answer<K> {
    type Data = Piece<K>;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece<K>>, axum::Error>>> {
        if self.is_over {
            return self.kept.poll_end(context).map(|()| None);
        }
        if self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)?) else {
                self.is_over = true;
                return self.kept.poll_end(context).map(|()| None);
            };
            match frame.into_data() {
                Ok(bytes) => self.rest = bytes,
                Err(trailers) => {
                    return Poll::Ready(Some(Ok(trailers.map_data(|bytes| self.piece(bytes)))));
                }
            }
        }
        let bytes = self.rest.len().min(K::PIECE_BYTES_MAX);
        let bytes = self.rest.split_to(bytes);
        Poll::Ready(Some(Ok(Frame::data(self.piece(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream() && !self.kept.is_to_end_later()
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

/// A part of an answer.
#[derive(Debug)]
pub(super) struct Piece<K: Keep> {
    bytes: Bytes,
    kept: Arc<Kept<K>>,
}

impl<K: Keep> Drop for Piece<K> {
    fn drop(&mut self) {
        self.kept.on_piece_gone();
    }
}

impl<K: Keep> Buf for Piece<K> {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt;
    use tokio::sync::Semaphore;

    use super::*;

    /// Counts the pieces that are about.
    #[derive(Debug, Default)]
    struct Counted(Arc<AtomicUsize>);

    impl Keep for Counted {
        const PIECE_BYTES_MAX: usize = 100;

        fn on_piece(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn on_piece_gone(&self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn an_answer_comes_in_pieces_and_keeps_its_place_until_the_last_has_gone() {
        let bytes = Bytes::from(vec![7; 201]);
        let (pieces, places) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(1)));
        let place = Arc::clone(&places).try_acquire_owned().expect("free");
        let keep = Counted(Arc::clone(&pieces));
        let mut answer = Answer::new(Body::from(bytes.clone()), keep, Some(place));
        assert_eq!(answer.size_hint().exact(), Some(bytes.len() as u64));
        let mut seen = Vec::new();
        let mut held = Vec::new();
        while let Some(frame) = answer.frame().await {
            let piece = frame.expect("no error").into_data().expect("data");
            seen.extend_from_slice(piece.chunk());
            assert_eq!(answer.size_hint().exact(), Some((bytes.len() - seen.len()) as u64));
            held.push(piece);
            assert_eq!(pieces.load(Ordering::Relaxed), held.len());
        }
        assert_eq!((seen.len(), held.len()), (bytes.len(), 3));
        assert!(answer.is_end_stream());
        drop(answer);
        held.truncate(1);
        assert_eq!((pieces.load(Ordering::Relaxed), places.available_permits()), (1, 0));
        drop(held);
        assert_eq!((pieces.load(Ordering::Relaxed), places.available_permits()), (0, 1));
    }
}
