//! What is advised: of each flow, and of all together.

use serde::Serialize;

use crate::cost::{Candidate, Cost};
use crate::decide::Choice;
use crate::flow::Flow;
use crate::measured::Transport;
use crate::reason::Reason;

/// What is advised for one flow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowAdvice {
    /// The flow, as it was understood.
    pub flow: Flow,
    /// The advice.
    pub choice: Choice,
    /// Why, in the order of the steps.
    pub reasons: Vec<Reason>,
    /// What to look out for.
    pub warnings: Vec<Reason>,
    /// What it would cost over each transport.
    pub candidates: Vec<Candidate>,
}

/// What all flows cost together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// Streams, WebSockets and waiting polls at once.
    pub connections: f64,
    /// Events a second to all clients.
    pub deliveries_per_second: f64,
    /// As it is advised.
    pub advised: Cost,
    /// All over one transport.
    pub all_sse: Cost,
    /// See there.
    pub all_websocket: Cost,
    /// See there.
    pub all_long_poll: Cost,
}

impl FlowAdvice {
    /// What it costs as it is advised.
    pub fn cost(&self) -> Cost {
        self.candidate(self.choice.transport()).cost
    }

    pub(crate) fn candidate(&self, transport: Transport) -> &Candidate {
        &self.candidates[transport as usize]
    }
}
