//! How a request that hyper has read becomes a lean stream after all.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::stream_request::StreamRequest;

/// Asks the task that drives a hyper connection to give its socket to a shard. One for each
/// connection, found among the extensions of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Takeover(Arc<Mutex<Option<oneshot::Sender<StreamRequest>>>>);

impl Takeover {
    pub(super) fn new() -> (Self, oneshot::Receiver<StreamRequest>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Asks. The request's handler then waits for an end that comes with its connection's: the
    /// driver drops hyper, the handler with it, and nothing of an answer has been written.
    pub(crate) async fn take(&self, request: StreamRequest) -> std::convert::Infallible {
        let sender = self.0.lock().expect("not poisoned").take();
        if let Some(sender) = sender {
            // Without a driver there is no connection, and nobody who waits.
            let _ = sender.send(request);
        }
        std::future::pending().await
    }
}
