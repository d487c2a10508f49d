//! How a request that hyper has read becomes a stream of a shard after all.

use std::sync::{Arc, Mutex};

use axum::response::Response;
use bellwire_wire::problem::Problem;
use tokio::sync::oneshot;

use super::carry::{self, One};
use super::opening::Opening;

/// The way from hyper to a shard. Found among the extensions of each request.
#[derive(Clone, Debug)]
pub(crate) enum Passage {
    /// HTTP/1: the stream takes the whole connection.
    Socket(Takeover),
    /// HTTP/2: it is one of many on its connection.
    One(One),
}

impl Passage {
    /// Opens the stream. Where it takes the connection no answer comes.
    pub(crate) async fn open(self, opening: Opening) -> Result<Response, Problem> {
        match self {
            Self::Socket(takeover) => match takeover.take(opening).await {},
            Self::One(one) => carry::open(one, opening).await,
        }
    }
}

/// Asks the task that drives a hyper connection to give its socket to a shard. One for each
/// connection.
#[derive(Clone, Debug)]
pub(crate) struct Takeover(Arc<Mutex<Option<oneshot::Sender<Opening>>>>);

impl Takeover {
    pub(super) fn new() -> (Self, oneshot::Receiver<Opening>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Asks. The request's handler then waits for an end that comes with its connection's: the
    /// driver drops hyper, the handler with it, and nothing of an answer has been written.
    async fn take(&self, opening: Opening) -> std::convert::Infallible {
        let sender = self.0.lock().expect("not poisoned").take();
        if let Some(sender) = sender {
            // Without a driver there is no connection, and nobody who waits.
            let _ = sender.send(opening);
        }
        std::future::pending().await
    }
}
