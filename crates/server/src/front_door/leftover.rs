//! What a handler leaves unread of its request's body.
//!
//! The next request stands behind it, and hyper looks for that only once the body is through: so
//! the rest of a small one is read before the answer goes out. Where there is more to come, the
//! connection ends with the answer, and whatever still comes is let run into the void, since to
//! close over it would be a reset that overtakes the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::Body;
use bellwire_model::limits::{IDLE_INPUT_BYTES_MAX, LINGER_TIMEOUT};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

type Home = Arc<Mutex<Option<Incoming>>>;

/// Where the body comes back to.
#[derive(Debug)]
pub(super) struct Leftover(Option<Home>);

/// Lends a request's body to its handler.
pub(super) fn lend(body: Incoming) -> (Body, Leftover) {
    if hyper::body::Body::is_end_stream(&body) {
        return (Body::empty(), Leftover(None));
    }
    let home = Home::default();
    let lent = Lent { body: Some(body), home: Arc::clone(&home) };
    (Body::new(lent), Leftover(Some(home)))
}

impl Leftover {
    /// Reads what is left, if it is little. Returns whether all of the body has been read.
    pub(super) async fn drain(self) -> bool {
        let left = self.0.and_then(|home| home.lock().expect("not poisoned").take());
        let Some(mut body) = left else { return true };
        let is_large = |bytes: u64| bytes > IDLE_INPUT_BYTES_MAX as u64;
        if is_large(hyper::body::Body::size_hint(&body).lower()) {
            return false;
        }
        let drain = async {
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                if is_large(bytes) {
                    return false;
                }
            }
            true
        };
        timeout(LINGER_TIMEOUT, drain).await.unwrap_or(false)
    }

    /// Whether nothing is left, without waiting for it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|home| home.lock().expect("not poisoned").is_none())
    }
}

/// A body at its handler's.
#[derive(Debug)]
struct Lent {
    /// `None`: it has been read to its end.
    body: Option<Incoming>,
    home: Home,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !hyper::body::Body::is_end_stream(body));
        *self.home.lock().expect("not poisoned") = body;
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = frame {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}
