//! A node is killed while events flow: until all of its followers are live elsewhere, and whether each
//! of them got each event once. One server that stands alone is started again instead.
//!
//! Where it is the keeper of the rules, another node takes over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Arguments, Killed};
use crate::Print;
use crate::histogram::Histogram;
use crate::load::{Connection, Peer, request};
use crate::result::Record;
use crate::soak::{Crowd, Tally, body};
use crate::system::Nodes;

const TOPIC: &str = "bench/failover";

/// Events before the node is killed, and again once all are back: of so many seconds.
const FLOW_S: f64 = 2.0;

/// How long an event is offered again and again.
const PUBLISH_TIME_MAX: Duration = Duration::from_mins(1);
const PUBLISH_INTERVAL: Duration = Duration::from_millis(20);

/// How long is listened for what comes twice.
const LINGER: Duration = Duration::from_secs(1);

pub(super) fn run(arguments: &Arguments, print: Print, wrong: &mut Vec<String>) -> Result<()> {
    arguments.kill.iter().try_for_each(|killed| run_with(arguments, *killed, print, wrong))
}

fn run_with(
    arguments: &Arguments,
    killed: Killed,
    print: Print,
    wrong: &mut Vec<String>,
) -> Result<()> {
    let parameters = |record: Record| {
        // Without it they are what they were when there was nothing else.
        let record = match killed {
            Killed::Last => record,
            Killed::Keeper => record.parameter("kill", "keeper"),
        };
        record
            .parameter("clients", arguments.clients)
            .parameter("rate", arguments.failover_rate)
            .parameter("body_bytes", arguments.body_bytes)
    };
    let ratios = ["back_p50_ms", "back_p99_ms", "back_max_ms"];
    arguments.both("nodes-failover", print, parameters, &ratios, |nodes, record| {
        let record = measure(arguments, (nodes, killed), record)?;
        // All nodes have all events: nothing may be told to be gone.
        let bad = ["missed", "doubled", "reordered", "gaps"];
        let counts = bad.map(|name| record.number(name).unwrap_or_default());
        if counts.iter().any(|count| *count > 0.0) {
            let engine = record.text("engine").unwrap_or_default();
            let [missed, doubled, reordered, gaps] = counts;
            wrong.push(format!(
                "{engine}, a node killed: {missed} missed, {doubled} doubled, {reordered} \
                 reordered, {gaps} gaps"
            ));
        }
        Ok(record)
    })
}

fn measure(
    arguments: &Arguments,
    (mut nodes, killed): (Nodes, Killed),
    record: Record,
) -> Result<Record> {
    let mut crowd = Crowd::new(TOPIC, arguments.clients)?;
    let place = match killed {
        Killed::Last => nodes.count() - 1,
        Killed::Keeper => nodes.keeper()?,
    };
    crowd.go_to(vec![nodes.at(place).peer().address]);
    crowd.until_back()?;
    let series = Series::new(arguments, crowd.begin());
    let back = if nodes.are_cluster() {
        let other = if place == 0 { nodes.last() } else { nodes.first() };
        let publisher = other.peer().clone();
        series.flow_while(&publisher, || fail_over((&mut nodes, place), &mut crowd, &series))?
    } else {
        come_back(&mut nodes, &mut crowd, &series)?
    };
    let last = series.published();
    crowd.until_all_have(last)?;
    crowd.linger(LINGER)?;
    let Tally { events, missed, doubled, reordered, gaps, latency, connections, .. } =
        crowd.tally_at(last);
    Ok(record
        .latency("back", &back)
        .figure("published", last as f64)
        .figure("deliveries", events as f64)
        .figure("missed", missed as f64)
        .figure("doubled", doubled as f64)
        .figure("reordered", reordered as f64)
        .figure("gaps", gaps as f64)
        .latency("latency", &latency)
        .figure("connections_per_client", connections as f64 / arguments.clients as f64))
}

/// A node is killed while events go on. Its followers go to all addresses in turns, that of the one that
/// is gone among them, as long as whoever sends them there has not noticed.
fn fail_over(
    (nodes, place): (&mut Nodes, usize),
    crowd: &mut Crowd,
    series: &Series,
) -> Result<Histogram> {
    crowd.until_all_have(series.flow)?;
    let addresses = nodes.addresses();
    crowd.await_return();
    drop(nodes.kill(place));
    crowd.go_to(addresses);
    let back = crowd.until_back()?;
    // Where it was the keeper another node takes over, and events flow meanwhile.
    crowd.receive_while(|| nodes.keeper())?;
    crowd.until_all_have(series.published() + series.flow)?;
    Ok(back)
}

/// The one server is killed and started again; nobody can publish meanwhile.
fn come_back(nodes: &mut Nodes, crowd: &mut Crowd, series: &Series) -> Result<Histogram> {
    let publisher = nodes.first().peer().clone();
    series.flow_while(&publisher, || crowd.until_all_have(series.flow))?;
    crowd.await_return();
    let left = nodes.kill(0);
    nodes.start_again(left)?;
    crowd.go_to(nodes.addresses());
    let back = crowd.until_back()?;
    let publisher = nodes.first().peer().clone();
    let end = series.published() + series.flow;
    series.flow_while(&publisher, || crowd.until_all_have(end))?;
    Ok(back)
}

/// Numbered events, one after the other.
#[derive(Debug)]
struct Series {
    begin: Instant,
    rate: f64,
    body_bytes: usize,
    /// As many as flow undisturbed.
    flow: u64,
    /// The number of the last one that was acknowledged.
    published: AtomicU64,
}

impl Series {
    fn new(arguments: &Arguments, begin: Instant) -> Self {
        let Arguments { failover_rate: rate, body_bytes, .. } = *arguments;
        let flow = (FLOW_S * rate).ceil() as u64;
        Self { begin, rate, body_bytes, flow, published: AtomicU64::new(0) }
    }

    fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Publishes while something is done.
    fn flow_while<T>(&self, peer: &Peer, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let publishing = scope.spawn(|| self.publish(peer, &over));
            let done = work();
            over.store(true, Ordering::Release);
            publishing.join().expect("the publisher does not panic")?;
            done
        })
    }

    fn publish(&self, peer: &Peer, over: &AtomicBool) -> Result<()> {
        let mut connection = Some(Connection::open(peer)?);
        let began = Instant::now();
        let path = format!("/v1/topics/{TOPIC}");
        let first = self.published() + 1;
        for number in first.. {
            let due = Duration::from_secs_f64((number - first) as f64 / self.rate);
            thread::sleep(due.saturating_sub(began.elapsed()));
            if over.load(Ordering::Acquire) {
                break;
            }
            let body = body(number, self.begin.elapsed(), self.body_bytes)?;
            // What was not answered may have been taken: with its key it counts once.
            let key = [("Idempotency-Key", &*number.to_string())];
            let request = request::post_with(&path, "application/json", &key, body.as_bytes());
            offer(&mut connection, peer, &request)?;
            self.published.store(number, Ordering::Release);
        }
        Ok(())
    }
}

/// Sends a request until it is answered, over a new connection where one has ended.
fn offer(connection: &mut Option<Connection>, peer: &Peer, request: &[u8]) -> Result<()> {
    let began = Instant::now();
    loop {
        let asked = match connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(peer),
        };
        let answered = asked.and_then(|mut connection| connection.ask(request).map(|_| connection));
        match answered {
            Ok(kept) => {
                *connection = Some(kept);
                return Ok(());
            }
            Err(error) if began.elapsed() > PUBLISH_TIME_MAX => {
                return Err(error).context("an event was not taken");
            }
            Err(_) => thread::sleep(PUBLISH_INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_was_not_answered_is_sent_again_over_another_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            let mut received = [0; 64];
            // The first ends before its answer.
            let (mut socket, _) = listener.accept().expect("comes");
            let first = socket.read(&mut received).expect("asks");
            drop(socket);
            let (mut socket, _) = listener.accept().expect("comes again");
            let second = socket.read(&mut received).expect("asks again");
            socket.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").expect("reads");
            [first, second]
        });
        let (peer, mut connection) = (Peer { address, trust: None }, None);
        offer(&mut connection, &peer, b"request").expect("is taken");
        assert!(connection.is_some());
        assert_eq!(server.join().expect("the server saw what it expected"), [7, 7]);
    }
}
