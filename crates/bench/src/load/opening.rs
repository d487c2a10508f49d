//! How a subscriber's connection begins.

use super::marker::Marker;

/// What is sent, and what is waited for, step by step. After the last step the subscriber is
/// live: it gets what is published from then on.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    sent: Vec<u8>,
    awaited: Marker,
}

impl Opening {
    /// Sends the request, and is live where `awaited` comes.
    pub(crate) fn new(request: Vec<u8>, awaited: &str) -> Self {
        Self { steps: vec![Step { sent: request, awaited: Marker::new(awaited, 0) }] }
    }

    /// What is to be sent at the beginning of a step.
    pub(super) fn sent(&self, step: usize) -> &[u8] {
        &self.steps[step].sent
    }

    /// What ends a step; `None` where the subscriber is live.
    pub(super) fn awaited(&self, step: usize) -> Option<&Marker> {
        self.steps.get(step).map(|step| &step.awaited)
    }
}
