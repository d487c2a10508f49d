//! A client that comes back with its cursor, by the rules of our own client libraries.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::clock::Clock;
use super::feed::{Feed, Item, Transport};
use super::ledger::Ledger;

const PIECE_BYTES: usize = 64 * 1024;

/// How often who waits looks whether the run is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Of the first wait, how long a connection has to be live for the next fault to be a first one, and
/// how long waits get.
const HEALTHY_FACTOR: u32 = 10;
pub(super) const BACKOFF_MAX_FACTOR: u32 = 30;

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without a sign of the server a connection is given up.
    pub(super) silence: Duration,
    /// How long a poll waits for something.
    pub(super) poll: Duration,
    /// What the first wait between two connections is drawn below; each further one below twice that.
    pub(super) backoff: Duration,
}

#[derive(Debug)]
pub(super) struct Follower {
    pub(super) transport: Transport,
    pub(super) topic: &'static str,
    pub(super) server: SocketAddr,
    pub(super) patience: Patience,
    pub(super) clock: Arc<Clock>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) random: fastrand::Rng,
}

impl Follower {
    /// Follows from the first event to the last, or until nobody waits any more.
    pub(super) fn follow(mut self) {
        let mut after = "earliest".to_owned();
        let mut failures = 0;
        while !self.is_over() {
            let began = Instant::now();
            // Why it has ended makes no difference: what was not given yet comes with the next.
            if let Err(error) = self.connect(&mut after) {
                self.ledger().tally_mut().last_end = Some(format!("{error:#}"));
            }
            if began.elapsed() >= self.patience.backoff * HEALTHY_FACTOR {
                failures = 0;
            }
            let bound = self.patience.backoff * BACKOFF_MAX_FACTOR.min(1 << failures.min(16));
            failures += 1;
            let share = self.random.f64();
            self.wait(bound.mul_f64(share));
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        let (next, heard_at) = {
            let ledger = self.ledger();
            (ledger.next(), ledger.heard_at())
        };
        self.clock.is_over(next, heard_at)
    }

    fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.is_over() {
            thread::sleep(LOOK_INTERVAL.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// One connection, until it ends or the run is over.
    fn connect(&self, after: &mut String) -> Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.server, self.patience.silence)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.patience.silence))?;
        stream.set_write_timeout(Some(self.patience.silence))?;
        self.ledger().tally_mut().connections += 1;
        let mut feed = Feed::new(self.transport);
        let mut piece = vec![0; PIECE_BYTES];
        self.ask(&mut stream, after)?;
        while !self.is_over() {
            let bytes = match stream.read(&mut piece) {
                Ok(0) => bail!("the connection has ended"),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("the connection is silent, or broke"),
            };
            let now = self.clock.now();
            let taken = feed.take(&piece[..bytes])?;
            let mut ledger = self.ledger();
            ledger.tally_mut().bytes += (bytes + taken.reply.len()) as u64;
            for item in taken.items {
                match item {
                    Item::Event { number, sent } => ledger.event(number, sent, now),
                    Item::Gap(events) => ledger.gap(events),
                    Item::Ready => {}
                    Item::Cursor(cursor) => *after = cursor,
                }
            }
            drop(ledger);
            stream.write_all(&taken.reply)?;
            if taken.is_answered {
                self.ask(&mut stream, after)?;
            }
        }
        Ok(())
    }

    fn ask(&self, stream: &mut TcpStream, after: &str) -> Result<()> {
        let request = self.transport.request(self.topic, after, self.patience.poll);
        let mut ledger = self.ledger();
        ledger.tally_mut().requests += 1;
        ledger.tally_mut().bytes += request.len() as u64;
        drop(ledger);
        stream.write_all(&request).context("cannot ask")
    }
}
