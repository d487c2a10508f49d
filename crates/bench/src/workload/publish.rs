//! Workload `publish`: how many events a second the server acknowledges.

use std::time::Duration;

use anyhow::{Result, ensure};
use bellwire_model::limits::{EVENTS_PER_REQUEST_MAX, REQUESTS_IN_FLIGHT_MAX};
use bellwire_wire::ws::{self, Opcode};

use crate::Print;
use crate::load::{Publication, Publishers, Tally, numbers, provide_for, request};
use crate::result::{OutputFlags, Record};
use crate::system::{Durability, Server, ServerFlags};

/// Before anything counts: connections, caches and files grow to their size.
pub(super) const WARM_UP: Duration = Duration::from_secs(2);
const TIME_MAX_S: u64 = 600;
/// The server reads no more of a WebSocket than that before it has answered some.
pub(super) const IN_FLIGHT_MAX: u64 = REQUESTS_IN_FLIGHT_MAX as u64;
const SUBPROTOCOL: &str = "bellwire.v1.json";
/// Masks of a client's frames protect proxies, of which there are none.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];
/// What has no mask is as it would be with this one.
const UNMASKED: [u8; 4] = [0; 4];

/// What `bench publish` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Publishers, each with a connection of its own.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    publishers: usize,
    /// Events in a request; more than one are sent to `POST /v1/events`.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    batch: usize,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    body_bytes: usize,
    /// When an event is acknowledged.
    #[arg(long, value_enum, default_value_t = Durability::Sync, conflicts_with = "server")]
    durability: Durability,
    /// By what publishers send: requests of HTTP, or a WebSocket that each of them has.
    #[arg(long, value_enum, default_value_t = By::Http)]
    transport: By,
    /// Requests of each publisher that are under way at once; several are sent over a WebSocket.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=IN_FLIGHT_MAX))]
    in_flight: u64,
    /// How long to measure, after a warm-up.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=TIME_MAX_S))]
    seconds: u64,
    #[command(flatten)]
    server: ServerFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// By what an event is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum By {
    Http,
    Websocket,
}

impl By {
    /// Notes it in a record. Without it they are what they were when there was nothing else.
    pub(super) fn noted(self, record: Record, in_flight: u64) -> Record {
        let record = match self {
            Self::Http => record,
            Self::Websocket => record.parameter("transport", "websocket"),
        };
        if in_flight == 1 { record } else { record.parameter("in_flight", in_flight) }
    }
}

/// Fails where requests cannot be under way together.
pub(super) fn check_in_flight(by: By, in_flight: u64) -> Result<()> {
    let is_possible = in_flight == 1 || by == By::Websocket;
    ensure!(is_possible, "several requests are under way over a WebSocket alone");
    Ok(())
}

/// What a publisher's request is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Events in it.
    pub(super) batch: usize,
    pub(super) body_bytes: usize,
    pub(super) by: By,
    /// Requests of one publisher that are under way at once.
    pub(super) in_flight: u64,
    /// Whether each event has a number of its own.
    pub(super) is_numbered: bool,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { publishers, batch, body_bytes, durability, .. } = *arguments;
    ensure!(publishers > 0, "there is nobody to publish");
    ensure!(
        (1..=EVENTS_PER_REQUEST_MAX).contains(&batch),
        "a request has 1 to {EVENTS_PER_REQUEST_MAX} events"
    );
    let by = arguments.transport;
    ensure!(batch == 1 || by == By::Http, "a request of a WebSocket has one event");
    let in_flight = arguments.in_flight;
    check_in_flight(by, in_flight)?;
    provide_for(publishers)?;
    let shape = Shape { batch, body_bytes, by, in_flight, is_numbered: false };
    let requests = requests(publishers, shape)?;
    let server = Server::bellwire(&arguments.server, durability, None)?;
    let mut load = Publishers::open(server.peer().address, requests)?;

    load.run(WARM_UP, &mut Tally::new())?;
    let mut tally = Tally::new();
    let duration = Duration::from_secs(arguments.seconds);
    let ((), cpu) = server.timed(|| load.run(duration, &mut tally))?;
    drop(load);

    let events = tally.acknowledged_events as f64;
    ensure!(events > 0.0, "no event was acknowledged");
    let each = |bytes: u64| bytes as f64 / events;
    let record = Record::new("publish");
    by.noted(record, in_flight)
        .parameter("publishers", publishers)
        .parameter("batch", batch)
        .parameter("body_bytes", body_bytes)
        .parameter("durability", arguments.server.durability_text(durability))
        .parameter("seconds", arguments.seconds)
        .figure("acknowledged_events_per_s", events / duration.as_secs_f64())
        .latency("request", &tally.request)
        .figure("refused_requests", tally.refused_requests as f64)
        .figure("sent_bytes_per_event", each(tally.sent_bytes))
        .figure("received_bytes_per_event", each(tally.received_bytes))
        .cpu("server_cpu_us_per_event", cpu, events)
        .maybe_figure("server_cpu_cores", cpu.map(|cpu| cpu.as_secs_f64() / duration.as_secs_f64()))
        .publish(&arguments.output, print)
}

/// What so many publishers send again and again.
pub(super) fn requests(publishers: usize, shape: Shape) -> Result<Vec<Publication>> {
    (0..publishers).map(|publisher| request_of(publisher, shape)).collect()
}

/// The request that a publisher sends again and again, to a topic of its own.
fn request_of(publisher: usize, shape: Shape) -> Result<Publication> {
    let Shape { batch, body_bytes, by, in_flight, is_numbered } = shape;
    let topic = format!("bench/publish/{publisher}");
    let data = request::padded_json(if is_numbered { numbers::MEMBER } else { "" }, body_bytes)?;
    let numbered = |publication: Publication, payload: &str, mask| {
        if is_numbered { publication.numbered(payload.as_bytes(), mask) } else { publication }
    };
    if by == By::Websocket {
        let asked =
            format!("{{\"request\":\"publish\",\"id\":1,\"topic\":\"{topic}\",\"data\":{data}}}");
        let frame = ws::masked_frame(Opcode::Text, asked.as_bytes(), MASK);
        let upgrade = request::upgrade("/v1/events", Some(SUBPROTOCOL));
        return Ok(numbered(
            Publication::web_socket(upgrade, frame, in_flight as usize),
            &asked,
            MASK,
        ));
    }
    if batch == 1 {
        let path = format!("/v1/topics/{topic}");
        let request = request::post(&path, "application/json", data.as_bytes());
        return Ok(numbered(Publication::http(request), &data, UNMASKED));
    }
    let line = format!("{{\"topic\":\"{topic}\",\"data\":{data}}}\n");
    let body = line.repeat(batch);
    let request = request::post("/v1/events", "application/x-ndjson", body.as_bytes());
    Ok(numbered(Publication::http(request), &body, UNMASKED))
}
