//! How a subscriber's connection begins.

use super::marker::Marker;
use super::request;

/// What is sent, and what is waited for, step by step. After the last step the subscriber is
/// live: it gets what is published from then on.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// The first is a request of HTTP.
    steps: Vec<Step>,
    /// From the second step on there are frames of WebSocket, and not bytes of HTTP.
    is_framed: bool,
    /// What is polled again and again, the cursor behind it.
    polled: Option<String>,
}

#[derive(Clone, Debug)]
struct Step {
    sent: Vec<u8>,
    awaited: Marker,
}

/// How long a poll waits: as long as one may.
const POLL_WAIT_S: u64 = 60;

/// The end of an answer's head.
const HEAD_END: &str = "\r\n\r\n";

impl Opening {
    /// Sends the request, and is live where `awaited` comes.
    pub(crate) fn new(request: Vec<u8>, awaited: &str) -> Self {
        Self { steps: vec![Step::new(request, awaited)], is_framed: false, polled: None }
    }

    /// Sends the request, and is live with the head of its answer.
    pub(crate) fn until_answered(request: Vec<u8>) -> Self {
        Self::new(request, HEAD_END)
    }

    /// Asks for a WebSocket, and is live once it has one.
    pub(crate) fn web_socket(request: Vec<u8>) -> Self {
        Self { is_framed: true, ..Self::until_answered(request) }
    }

    /// Polls: is live with its first answer, which comes at once, and asks again after each.
    pub(crate) fn poll(path: String) -> Self {
        Self { polled: Some(path.clone()), ..Self::until_answered(request::poll(&path)) }
    }

    /// One step more: sends a text, or nothing, and waits for another that has `awaited` in it.
    #[must_use]
    pub(crate) fn then(mut self, text: &str, awaited: &str) -> Self {
        self.steps.push(Step::new(text.as_bytes().to_vec(), awaited));
        self
    }

    /// The same of somebody who shows this key or token.
    #[must_use]
    pub(crate) fn authorized(mut self, token: &str) -> Self {
        let first = self.steps.first_mut().expect("there is a request");
        first.sent = request::authorized(std::mem::take(&mut first.sent), token);
        self
    }

    pub(super) fn is_framed(&self) -> bool {
        self.is_framed
    }

    /// What somebody who polls asks for behind a cursor; `None` where nobody polls.
    pub(super) fn next_poll(&self, cursor: &str) -> Option<Vec<u8>> {
        let path = self.polled.as_ref()?;
        Some(request::poll(&format!("{path}&after={cursor}&wait={POLL_WAIT_S}s")))
    }

    pub(super) fn is_polled(&self) -> bool {
        self.polled.is_some()
    }

    /// What is to be sent at the beginning of a step.
    pub(super) fn sent(&self, step: u8) -> &[u8] {
        &self.steps[usize::from(step)].sent
    }

    /// What ends a step; `None` where the subscriber is live.
    pub(super) fn awaited(&self, step: u8) -> Option<&Marker> {
        self.steps.get(usize::from(step)).map(|step| &step.awaited)
    }
}

impl Step {
    fn new(sent: Vec<u8>, awaited: &str) -> Self {
        Self { sent, awaited: Marker::new(awaited, 0) }
    }
}
