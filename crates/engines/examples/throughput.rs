//! How fast an engine is: `cargo run -p bellwire-engines --example throughput -- nats://127.0.0.1:4222`.
//!
//! It appends to a log of its own, cluster `throughput`, and trims it when it is done. One batch after the
//! other shows how long one takes; many at once show how many a second are stored, and followed.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bellwire_engines::{Options, connect};
use bellwire_process::clock::Ticker;
use bellwire_shared_log::{Error, Fence, Generation, Position, SharedLog};
use bytes::Bytes;

/// How many batches are appended one after the other.
const SINGLE_COUNT: usize = 2000;

/// How large the batches are of which many are appended at once, how many of them, and how many of them
/// may be without an answer.
const RUNS: [(usize, usize, usize); 3] =
    [(1024, 50_000, 512), (64 * 1024, 8_000, 128), (512 * 1024, 1_000, 16)];

/// How long a following may wait in one call.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let Some(address) = std::env::args().nth(1) else {
        eprintln!("say where the engine is: nats://127.0.0.1:4222");
        return ExitCode::FAILURE;
    };
    match measure(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "figures are for people to read")]
fn measure(address: &str) -> Result<(), Error> {
    let options = Options { cluster: "throughput".to_owned(), ..Options::default() };
    let (log, other) = (connect(address, &options)?, connect(address, &options)?);
    let assurance = log.assurance()?;
    println!("{}", assurance.engine);
    for loss in assurance.losses {
        println!("  may lose {loss}");
    }
    let register = "lease";
    let before = log.register(register)?.generation;
    let generation = log.set_register(register, before, Bytes::from_static(b"holder"))?;
    let fence = Fence { register: register.to_owned(), generation };
    for (name, fence) in [("", None), (" fenced", Some(&fence))] {
        let took = one_by_one(&log, fence)?;
        let share = |share: usize| took[took.len() * share / 100];
        println!(
            "one{name} append of 1 KiB: median {:.0} µs, p99 {:.0} µs",
            share(50).as_secs_f64() * 1e6,
            share(99).as_secs_f64() * 1e6
        );
    }
    for (bytes, count, at_once) in RUNS {
        for (name, fence) in [("", None), (" fenced", Some(&fence))] {
            let seconds = many(&log, &vec![0; bytes].into(), count, (at_once, fence))?;
            report(
                &format!("{at_once}{name} at once of {} KiB", bytes / 1024),
                bytes,
                count,
                seconds,
            );
        }
        let seconds =
            followed(&other, Position::new(other.span()?.tail.get() - count as u64), count)?;
        report(&format!("followed, of {} KiB", bytes / 1024), bytes, count, seconds);
        let ticker = Ticker::start();
        log.trim(log.span()?.tail)?;
        println!("trimmed in {:.2} s", ticker.elapsed().as_secs_f64());
    }
    let register = log.register(register)?;
    assert!(register.generation > Generation::NEVER, "registers stay");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "figures are for people to read")]
fn report(what: &str, bytes: usize, count: usize, seconds: f64) {
    let a_second = count as f64 / seconds;
    let mib = a_second * bytes as f64 / (1024.0 * 1024.0);
    println!("{what}: {a_second:.0} batches/s, {mib:.0} MiB/s");
}

/// Appends one batch after the other; returns how long each took, sorted.
fn one_by_one(log: &Arc<dyn SharedLog>, fence: Option<&Fence>) -> Result<Vec<Duration>, Error> {
    let (sender, answers) = sync_channel(1);
    let batch = Bytes::from(vec![0; 1024]);
    let mut took = Vec::with_capacity(SINGLE_COUNT);
    for _ in 0..SINGLE_COUNT {
        let sender = sender.clone();
        let ticker = Ticker::start();
        let stored = Box::new(move |result| drop(sender.send(result)));
        log.append(batch.clone(), fence.cloned(), stored);
        answers.recv().expect("every append is answered")?;
        took.push(ticker.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

/// Appends many batches, of which so many may be without an answer; returns the seconds that it took.
fn many(
    log: &Arc<dyn SharedLog>,
    batch: &Bytes,
    count: usize,
    (at_once, fence): (usize, Option<&Fence>),
) -> Result<f64, Error> {
    let (sender, answers) = sync_channel(at_once);
    let ticker = Ticker::start();
    for number in 0..count + at_once {
        if number >= at_once {
            answers.recv().expect("every append is answered")?;
        }
        if number < count {
            let sender = sender.clone();
            let stored = Box::new(move |result| drop(sender.send(result)));
            log.append(batch.clone(), fence.cloned(), stored);
        }
    }
    Ok(ticker.elapsed().as_secs_f64())
}

/// Follows so many batches; returns the seconds that it took.
fn followed(log: &Arc<dyn SharedLog>, after: Position, count: usize) -> Result<f64, Error> {
    let mut following = log.follow(after)?;
    let ticker = Ticker::start();
    let mut seen = 0;
    while seen < count {
        let entries = following.next(PATIENCE).map_err(|ended| Error::Away(ended.to_string()))?;
        seen += entries.len();
    }
    Ok(ticker.elapsed().as_secs_f64())
}
