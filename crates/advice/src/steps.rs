//! The six steps, and what each comes to for a description.

use serde::Serialize;

use crate::decide::Choice;
use crate::flow::{Client, Description, Direction, Flow, Proxies, Team, WebSockets};
use crate::outcome::{FlowAdvice, Totals};
use crate::reason::Reason;
use crate::say;

/// What is asked in each step.
pub const STEPS: [&str; 6] = [
    "Map the data flows",
    "How often, and how much",
    "The team and what is on the way",
    "The client's side",
    "Scale",
    "Each way in what suits it",
];

/// One of the steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// From 1.
    pub number: u8,
    /// What is asked.
    pub name: &'static str,
    /// What it comes to.
    pub findings: Vec<Reason>,
}

/// Connections that were measured on one server.
const CONNECTIONS_MEASURED: f64 = 18_000.0;

/// What one server of the table has.
const CORES_MEASURED: f64 = 2.0;

pub(crate) fn steps(
    description: &Description,
    advised: &[FlowAdvice],
    totals: &Totals,
) -> Vec<Step> {
    let findings = [
        map(&description.flows),
        often(&description.flows),
        on_the_way(description),
        clients(advised),
        scale(totals),
        hybrid(advised),
    ];
    let step = |(index, findings): (usize, Vec<Reason>)| Step {
        number: index as u8 + 1,
        name: STEPS[index],
        findings,
    };
    findings.into_iter().enumerate().map(step).collect()
}

fn map(flows: &[Flow]) -> Vec<Reason> {
    let count = |direction| flows.iter().filter(|flow| flow.direction() == direction).count();
    let (down, up, both) = (count(Direction::Down), count(Direction::Up), count(Direction::Both));
    let text = format!(
        "{}: {down} to clients, {up} from them, {both} both ways.",
        say::counted(flows.len(), "flow")
    );
    vec![Reason::new(1, "flows", text).with("down", down).with("up", up).with("both", both)]
}

fn often(flows: &[Flow]) -> Vec<Reason> {
    let bytes = |flow: &Flow| flow.down_per_second * flow.bytes;
    let busiest = flows.iter().max_by(|a, b| bytes(a).total_cmp(&bytes(b)));
    let busiest = busiest.filter(|flow| flow.down_per_second > 0.0).map(|flow| {
        let text = format!(
            "Most comes over `{}`: {} of {} to each client.",
            flow.name,
            say::rate(flow.down_per_second),
            say::bytes(flow.bytes)
        );
        Reason::new(2, "busiest", text).with("flow", flow.name.clone())
    });
    let sender = flows.iter().max_by(|a, b| a.up_per_second.total_cmp(&b.up_per_second));
    let sender = sender.filter(|flow| flow.up_per_second > 0.0).map(|flow| {
        let text =
            format!("A client sends most over `{}`: {}.", flow.name, say::rate(flow.up_per_second));
        Reason::new(2, "sends_most", text).with("flow", flow.name.clone())
    });
    busiest.into_iter().chain(sender).collect()
}

fn on_the_way(description: &Description) -> Vec<Reason> {
    let infrastructure = &description.infrastructure;
    let (proxies, text) = match infrastructure.proxies {
        Proxies::None => ("proxies_none", "No proxy is on the way."),
        Proxies::Stream => ("proxies_stream", "Proxies pass on each piece as it comes."),
        Proxies::Buffer => ("proxies_buffer", "A proxy holds answers back until they end."),
        Proxies::Unknown => ("proxies_unknown", "What proxies do is not known: try it, see below."),
    };
    let (sockets, sockets_text) = match infrastructure.websockets {
        WebSockets::Pass => ("websockets_pass", "WebSockets come through."),
        WebSockets::Blocked => ("websockets_blocked", "WebSockets do not come through."),
        WebSockets::Unknown => {
            ("websockets_unknown", "Whether WebSockets come through is not known.")
        }
    };
    let (team, team_text) = match infrastructure.team {
        Team::Http => ("team_http", "The team runs requests and answers."),
        Team::Websocket => ("team_websocket", "The team runs WebSockets already."),
    };
    [(proxies, text), (sockets, sockets_text), (team, team_text)]
        .map(|(code, text)| Reason::new(3, code, text))
        .into()
}

fn clients(advised: &[FlowAdvice]) -> Vec<Reason> {
    let kinds = [
        (Client::Browser, "Browsers"),
        (Client::App, "Applications"),
        (Client::Program, "Programs"),
        (Client::Device, "Devices"),
    ];
    let of_kind = |(kind, name): &(Client, &'static str)| {
        let flows: Vec<&FlowAdvice> =
            advised.iter().filter(|advice| advice.flow.client == *kind).collect();
        if flows.is_empty() {
            return None;
        }
        let names = |of: &dyn Fn(Choice) -> bool| -> Vec<String> {
            let chosen = flows.iter().filter(|advice| of(advice.choice));
            chosen.map(|advice| format!("`{}`", advice.flow.name)).collect()
        };
        let streams = names(&|choice| matches!(choice, Choice::Sse | Choice::Hybrid));
        let sockets = names(&|choice| choice == Choice::Websocket);
        let polls = names(&|choice| choice == Choice::LongPoll);
        let mut has = Vec::new();
        for (what, names) in
            [("one stream", &streams), ("one WebSocket", &sockets), ("long polls", &polls)]
        {
            if !names.is_empty() {
                has.push(format!("{what} for {}", say::list(names)));
            }
        }
        let has = if has.is_empty() { "requests alone".to_owned() } else { say::list(&has) };
        let text = format!("{name} have {has}.");
        let reason = Reason::new(4, "clients", text);
        Some(reason.with("streams", streams).with("websockets", sockets).with("polls", polls))
    };
    kinds.iter().filter_map(of_kind).collect()
}

fn scale(totals: &Totals) -> Vec<Reason> {
    let advised = totals.advised;
    let memory = match advised.memory_bytes {
        Some(bytes) => format!("take {} of memory", say::bytes(bytes)),
        None => "take memory that was not measured".to_owned(),
    };
    let cpu = match advised.cpu_cores {
        Some(cores) => format!(" take {} of a core", say::number(cores)),
        None => String::new(),
    };
    let text = format!(
        "{} connections {memory}. {} events a second to all of them{cpu}{} {} a second on the wire.",
        say::number(totals.connections),
        say::number(totals.deliveries_per_second),
        if cpu.is_empty() { " are" } else { ", and" },
        say::bytes(advised.bytes_per_second)
    );
    let mut findings = vec![
        Reason::new(5, "totals", text)
            .with("connections", totals.connections)
            .with("memory_bytes", advised.memory_bytes)
            .with("cpu_cores", advised.cpu_cores)
            .with("bytes_per_second", advised.bytes_per_second),
    ];
    if totals.connections > CONNECTIONS_MEASURED {
        let text = format!(
            "One server was measured with {} connections: more of them are arithmetic, until you \
             have tried it with `bellwire bench idle`.",
            say::number(CONNECTIONS_MEASURED)
        );
        findings.push(Reason::new(5, "beyond_measured", text));
    }
    if advised.cpu_cores > Some(CORES_MEASURED) {
        let text = format!(
            "That is more than the {} cores of the machine that was measured, if each event is a \
             write of its own: `max_rate`, or fewer events, costs less than more machines.",
            say::number(CORES_MEASURED)
        );
        findings.push(Reason::new(5, "more_cores", text));
    }
    findings
}

fn hybrid(advised: &[FlowAdvice]) -> Vec<Reason> {
    let count =
        |of: &dyn Fn(Choice) -> bool| advised.iter().filter(|advice| of(advice.choice)).count();
    let streams = count(&|choice| matches!(choice, Choice::Sse | Choice::Hybrid));
    let sockets = count(&|choice| choice == Choice::Websocket);
    let polls = count(&|choice| choice == Choice::LongPoll);
    let posts = count(&|choice| choice == Choice::Post);
    let text = format!(
        "Of {}: {streams} over SSE, {sockets} over WebSocket, {polls} over long polls, {posts} by \
         POST alone. All have the same events and cursors, so to change your mind later costs a \
         line.",
        say::counted(advised.len(), "flow")
    );
    vec![
        Reason::new(6, "choices", text)
            .with("sse", streams)
            .with("websocket", sockets)
            .with("long_poll", polls)
            .with("post", posts),
    ]
}
