//! The run: who publishes, who follows, and who breaks the network, each on a thread of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::clock::Clock;
use super::fault::{FaultKind, Schedule};
use super::feed::{self, Transport};
use super::follower::{Follower, Patience};
use super::ledger::{Healed, Ledger, Tally};
use super::network::Network;
use super::outcome::{Memories, Outcome, Side};
use crate::load::{Connection, request};
use crate::process;
use crate::system::Server;

const TOPIC: &str = "bench/soak";

/// How many of the server's heartbeats a follower waits for, as our clients do.
const HEARTBEATS_MISSED: f64 = 2.5;

/// How long followers have to catch up once the last event is published and the network is whole.
const CATCH_UP_MAX: Duration = Duration::from_mins(1);

/// How often it is told how it goes.
const TELL_INTERVAL: Duration = Duration::from_secs(10);

/// Of the run, what has passed until memory is looked at first: until then all of it is new.
const WARM_UP_SHARE: f64 = 0.1;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// On each transport.
    pub(crate) followers: usize,
    /// Events a second.
    pub(crate) rate: f64,
    pub(crate) body_bytes: usize,
    pub(crate) time: Duration,
    /// Between two faults, on average.
    pub(crate) fault_interval: Duration,
    /// What the first wait of a follower is drawn below.
    pub(crate) backoff: Duration,
    /// How often the server gives a sign.
    pub(crate) heartbeat: Duration,
    pub(crate) seed: u64,
}

/// Followers of one transport.
type Ledgers = Vec<(Transport, Vec<Arc<Mutex<Ledger>>>)>;

/// Runs it, and says now and then what there is so far.
pub(crate) fn run(
    server: &Server,
    plan: &Plan,
    mut tell: impl FnMut(&Outcome) -> Result<()>,
) -> Result<Outcome> {
    let network = Network::start(server.peer().address)?;
    let clock = Arc::new(Clock::new());
    let (ledgers, followers) = start_followers(plan, &network, &clock)?;
    let published = AtomicU64::new(0);
    let faults = Mutex::new(BTreeMap::new());
    let (peace, over) = sync_channel::<()>(0);
    let mut memory_at_begin = None;
    let outcome = |memory_at_begin, awaited| Outcome {
        sides: sides(&ledgers, awaited),
        published: published.load(Ordering::Acquire),
        faults: faults.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        memory_at_begin,
        memory_at_end: memories(server).ok(),
    };
    let done = thread::scope(|scope| {
        let (ledgers, network, published, faults, clock) =
            (&ledgers, &network, &published, &faults, &clock);
        scope.spawn(move || {
            let schedule = Schedule::new(plan.seed, plan.fault_interval);
            break_network(network, schedule, &over, |kind| {
                *faults.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_insert(0) +=
                    1;
                let first = published.load(Ordering::Acquire) + 1;
                let healed = Healed { kind, at: clock.now(), first };
                for ledger in ledgers.iter().flat_map(|(_, ledgers)| ledgers) {
                    ledger.lock().unwrap_or_else(PoisonError::into_inner).heal(healed);
                }
            });
        });
        let mut told_at = Instant::now();
        let published = publish(server, plan, clock, published, |passed| {
            if memory_at_begin.is_none() && passed >= plan.time.mul_f64(WARM_UP_SHARE) {
                memory_at_begin = memories(server).ok();
            }
            if told_at.elapsed() < TELL_INTERVAL {
                return Ok(());
            }
            told_at = Instant::now();
            // What is under way is not missed.
            tell(&outcome(memory_at_begin, 0))
        });
        drop(peace);
        published
    });
    let patience = if done.is_ok() { CATCH_UP_MAX } else { Duration::ZERO };
    clock.end(published.load(Ordering::Acquire), patience);
    for follower in followers {
        follower.join().expect("a follower does not panic");
    }
    done?;
    Ok(outcome(memory_at_begin, published.load(Ordering::Acquire)))
}

fn start_followers(
    plan: &Plan,
    network: &Network,
    clock: &Arc<Clock>,
) -> Result<(Ledgers, Vec<JoinHandle<()>>)> {
    let patience = Patience {
        silence: plan.heartbeat.mul_f64(HEARTBEATS_MISSED),
        poll: plan.heartbeat,
        backoff: plan.backoff,
    };
    let (mut all, mut threads) = (Ledgers::new(), Vec::new());
    let mut random = fastrand::Rng::with_seed(plan.seed);
    for transport in Transport::ALL {
        let mut ledgers = Vec::new();
        for _ in 0..plan.followers {
            let ledger = Arc::new(Mutex::new(Ledger::new()));
            ledgers.push(Arc::clone(&ledger));
            let follower = Follower {
                transport,
                topic: TOPIC,
                server: network.address(),
                patience,
                clock: Arc::clone(clock),
                ledger,
                random: random.fork(),
            };
            let builder = thread::Builder::new().name(transport.as_str().into());
            threads.push(builder.spawn(|| follower.follow()).context("cannot start a thread")?);
        }
        all.push((transport, ledgers));
    }
    Ok((all, threads))
}

/// Publishes one event after the other, straight to the server: the last is acknowledged at the end.
fn publish(
    server: &Server,
    plan: &Plan,
    clock: &Clock,
    published: &AtomicU64,
    mut meanwhile: impl FnMut(Duration) -> Result<()>,
) -> Result<()> {
    let mut connection = Connection::open(server.peer())?;
    let begin = Instant::now();
    let events = (plan.time.as_secs_f64() * plan.rate).ceil() as u64;
    ensure!(events > 0, "there is nothing to publish");
    for number in 1..=events {
        let due = begin + Duration::from_secs_f64(number as f64 / plan.rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        published.store(number, Ordering::Release);
        let body = feed::body(number, clock.now(), plan.body_bytes)?;
        let path = format!("/v1/topics/{TOPIC}");
        connection.ask(&request::post(&path, "application/json", body.as_bytes()))?;
        meanwhile(begin.elapsed())?;
    }
    Ok(())
}

/// One fault after the other, until it is over; the last is let end by itself.
fn break_network(
    network: &Network,
    schedule: Schedule,
    over: &Receiver<()>,
    mut healed: impl FnMut(FaultKind),
) {
    for (peace, fault) in schedule {
        if over.recv_timeout(peace) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        network.suffer(fault);
        thread::sleep(fault.lasts);
        healed(fault.kind);
    }
}

/// What there is, where all events up to the last one should have come.
fn sides(ledgers: &Ledgers, last: u64) -> Vec<Side> {
    let side = |(transport, ledgers): &(Transport, Vec<Arc<Mutex<Ledger>>>)| {
        let mut tally = Tally::new();
        for ledger in ledgers {
            tally.add(&ledger.lock().unwrap_or_else(PoisonError::into_inner).tally_at(last));
        }
        Side { transport: *transport, tally }
    };
    ledgers.iter().map(side).collect()
}

fn memories(server: &Server) -> Result<Memories> {
    let generator = process::memory(std::process::id())?;
    Ok(Memories { server: server.memory()?, generator })
}
