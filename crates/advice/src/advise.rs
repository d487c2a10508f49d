//! Advice on all flows of a description.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cost::{Candidate, Cost};
use crate::decide::{Choice, Decision, decide};
use crate::flow::{Client, Description};
use crate::measured::{FIGURES, Figure, Transport};
use crate::outcome::{FlowAdvice, Totals};
use crate::reason::Reason;
use crate::say;
use crate::steps::{Step, steps};

/// What is advised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The six steps, with what each comes to here.
    pub steps: Vec<Step>,
    /// Of each flow, in the order of the description.
    pub flows: Vec<FlowAdvice>,
    /// Of all together.
    pub totals: Totals,
    /// What the costs are made of.
    pub figures: &'static [Figure],
}

/// The advice on a description.
pub fn advise(description: &Description) -> Advice {
    let Description { infrastructure, flows } = description;
    let mut advised: Vec<FlowAdvice> = flows
        .iter()
        .map(|flow| {
            let Decision { choice, reasons, warnings } = decide(flow, *infrastructure);
            let candidates =
                Transport::ALL.iter().map(|transport| Candidate::of(flow, *transport)).collect();
            FlowAdvice { flow: flow.clone(), choice, reasons, warnings, candidates }
        })
        .collect();
    note_shared_sockets(&mut advised);
    let totals = totals(&advised);
    Advice {
        steps: steps(description, &advised, &totals),
        flows: advised,
        totals,
        figures: &FIGURES,
    }
}

/// Whoever has a WebSocket already can have other flows over it.
fn note_shared_sockets(advised: &mut [FlowAdvice]) {
    let mut sockets: BTreeMap<Client, Vec<String>> = BTreeMap::new();
    for FlowAdvice { flow, choice, .. } in &*advised {
        if *choice == Choice::Websocket {
            sockets.entry(flow.client).or_default().push(flow.name.clone());
        }
    }
    for FlowAdvice { flow, choice, warnings, .. } in advised {
        let is_streamed = matches!(choice, Choice::Sse | Choice::Hybrid);
        let Some(names) = sockets.get(&flow.client).filter(|_| is_streamed) else { continue };
        let text = format!(
            "A client that has a WebSocket for {} anyway may `subscribe` to this over it: one \
             connection, one order, one cursor.",
            say::list(names)
        );
        warnings.push(Reason::new(6, "shares_websocket", text).with("flows", names.clone()));
    }
}

fn totals(advised: &[FlowAdvice]) -> Totals {
    let sum =
        |of: &dyn Fn(&FlowAdvice) -> Cost| advised.iter().map(of).fold(Cost::NOTHING, Cost::plus);
    let all = |transport: Transport| sum(&|advice| advice.candidate(transport).cost);
    let holds = |advice: &&FlowAdvice| advice.choice != Choice::Post;
    Totals {
        connections: advised.iter().filter(holds).map(|advice| advice.flow.connections).sum(),
        deliveries_per_second: advised
            .iter()
            .map(|advice| advice.flow.connections * advice.flow.down_per_second)
            .sum(),
        advised: sum(&FlowAdvice::cost),
        all_sse: all(Transport::Sse),
        all_websocket: all(Transport::Websocket),
        all_long_poll: all(Transport::LongPoll),
    }
}
