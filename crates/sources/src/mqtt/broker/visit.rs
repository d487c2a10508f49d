//! A broker that is gone to, again and again: connect, read, hand over, acknowledge.

use std::future::pending;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bellwire_access::Identity;
use bellwire_ingest::mqtt::mapping::Learned;
use bellwire_ingest::mqtt::packet::{Frame, Outgoing, Publish, Version};
use bellwire_ingest::mqtt::publication::Age;
use bellwire_ingest::mqtt::sparkplug::Rebirth;
use bellwire_model::limits::{
    DRAIN_TIMEOUT, MQTT_BROKER_IN_FLIGHT_BYTES_MAX, MQTT_BROKER_IN_FLIGHT_MAX,
    MQTT_PACKET_BYTES_MAX, MQTT_UNSENT_BYTES_MAX,
};
use bellwire_process::clock::Ticker;
use bellwire_process::jittered;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::BrokerParts;
use super::config::BrokerConfig;
use super::figures::Connected;
use super::link::{self, Input, Link, Output};
use super::pause::Pause;
use super::session::{Failure, Said, Session};
use crate::intake::Sender;
use crate::mqtt::batch::{Gathered, Settled};

/// What is known of a broker, over all connections to it.
pub(super) struct Visit {
    place: usize,
    config: Arc<BrokerConfig>,
    parts: BrokerParts,
    session: Session,
    learned: Learned,
    gathered: Gathered,
    /// Where messages of this connection gather.
    part: Option<u32>,
    /// What the rules look at.
    settling: Option<JoinHandle<Vec<Settled>>>,
    /// Messages that wait for them, and their bytes.
    waits: (usize, usize),
    sender: Sender,
    /// Which connection it is.
    number: u64,
    /// Since when the broker has taken it.
    connected: Option<(Duration, Connected)>,
    time: Ticker,
    /// When the server began to drain.
    drains_since: Option<Duration>,
}

/// Whether a message was there before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comes {
    First,
    Again,
}

/// What a connection waits for.
enum Event {
    Read(std::io::Result<usize>),
    Sent(std::io::Result<()>),
    Settled(Vec<Settled>),
    Time,
    Drain,
}

impl Visit {
    pub(super) fn new(place: usize, config: Arc<BrokerConfig>, parts: BrokerParts) -> Self {
        let filters = match &config.filters[..] {
            [] => parts.mapping.filters().into_iter().map(Into::into).collect(),
            filters => filters.to_vec(),
        };
        Self {
            place,
            session: Session::new(&config, &filters),
            config,
            parts,
            learned: Learned::default(),
            gathered: Gathered::default(),
            part: None,
            settling: None,
            waits: (0, 0),
            // Who configures brokers may have the rules see whatever they bring.
            sender: Sender::new(Arc::new(Identity::open()), None),
            number: 0,
            connected: None,
            time: Ticker::start(),
            drains_since: None,
        }
    }

    /// Until the server drains.
    pub(super) async fn run(mut self) {
        let mut pause = Pause::new();
        loop {
            let Err(failure) = self.connection().await else { return };
            let lasted =
                self.connected.take().map(|(since, _)| self.time.elapsed().saturating_sub(since));
            self.parts.figures.lost(self.place, &self.config, (failure.word, &failure.detail));
            if self.session.break_off(failure.refusal) {
                tracing::info!(broker = %self.config.address, "From now on MQTT 3.1.1 is spoken with it.");
            }
            let pause = pause.after(lasted.unwrap_or_default());
            if self.meanwhile(sleep(pause / 2 + jittered(pause / 2))).await.is_none() {
                return;
            }
        }
    }

    /// Waits for something while what has gathered goes on to the rules. `None`: the server drains.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            self.hand_over();
            tokio::select! {
                done = &mut work => return Some(done),
                batch = settled(&mut self.settling) => {
                    // Those of connections that are gone cannot be acknowledged.
                    _ = self.settle(&batch, None);
                }
                () = drain(&mut self.parts) => return None,
            }
        }
    }

    /// One connection. It ends well where the server drains.
    async fn connection(&mut self) -> Result<(), Failure> {
        self.number += 1;
        self.part = None;
        let config = Arc::clone(&self.config);
        let password = link::password(&config.login)?;
        let Some(connected) = self.meanwhile(Link::connect(&config)).await else { return Ok(()) };
        let Link { mut input, mut output } = connected?;
        let shown = (config.login.username.as_deref(), password.as_deref());
        self.session.begin(self.time.elapsed(), shown, &mut output.bytes);
        let talked = self.talk(&mut input, &mut output).await;
        if let Err(Failure { fault: Some(fault), .. }) = &talked
            && self.session.version() == Version::V5
        {
            let goodbye = Outgoing::Disconnect(fault.reason, fault.detail);
            goodbye.write(Version::V5, &mut output.bytes);
        }
        output.end().await;
        talked
    }

    async fn talk(&mut self, input: &mut Input, output: &mut Output) -> Result<(), Failure> {
        loop {
            self.digest(input, output)?;
            self.hand_over();
            if self.is_over(output) {
                self.session.leave(&mut output.bytes);
                return Ok(());
            }
            let is_read = self.may_read(output);
            if !is_read {
                self.session.rest(self.time.elapsed());
            }
            self.session.tick(self.time.elapsed(), &mut output.bytes)?;
            let due = self.session.deadline().unwrap_or(Duration::MAX);
            let due = due.min(self.drains_since.map_or(Duration::MAX, |since| since + LAST_WORDS));
            let mut due = due.saturating_sub(self.time.elapsed());
            if !self.parts.intake.has_room() {
                due = due.min(LOOK_INTERVAL);
            }
            let event = tokio::select! {
                batch = settled(&mut self.settling) => Event::Settled(batch),
                sent = output.send(), if output.is_waiting() => Event::Sent(sent),
                read = input.read(), if is_read => Event::Read(read),
                () = sleep(due) => Event::Time,
                () = drain(&mut self.parts), if self.drains_since.is_none() => Event::Drain,
            };
            match event {
                Event::Read(Ok(0)) => return Err(gone("it has closed the connection")),
                Event::Read(Err(error)) | Event::Sent(Err(error)) => {
                    return Err(gone(format!("the connection has broken: {error}")));
                }
                Event::Read(Ok(_)) | Event::Sent(Ok(())) | Event::Time => {}
                Event::Settled(batch) => self.settle(&batch, Some(output))?,
                Event::Drain => self.drains_since = Some(self.time.elapsed()),
            }
        }
    }

    /// Whether all is said that is to be said before a drain ends.
    fn is_over(&self, output: &Output) -> bool {
        let Some(since) = self.drains_since else { return false };
        let is_settled =
            self.settling.is_none() && self.gathered.is_empty() && !output.is_waiting();
        is_settled || self.time.elapsed().saturating_sub(since) >= LAST_WORDS
    }

    /// Whether anything more can be taken of the broker.
    fn may_read(&self, output: &Output) -> bool {
        self.drains_since.is_none()
            && self.waits.0 < usize::from(MQTT_BROKER_IN_FLIGHT_MAX)
            && self.waits.1 < MQTT_BROKER_IN_FLIGHT_BYTES_MAX
            && !self.gathered.is_full()
            && output.bytes.len() <= MQTT_UNSENT_BYTES_MAX
            && self.parts.intake.has_room()
    }

    /// Takes the packets that are whole, as long as there is room for what they bring.
    fn digest(&mut self, input: &mut Input, output: &mut Output) -> Result<(), Failure> {
        let mut done = 0;
        while self.may_read(output) {
            let Some(frame) = Frame::first(&input.bytes[done..], MQTT_PACKET_BYTES_MAX)? else {
                break;
            };
            done += frame.length;
            match self.session.take(self.time.elapsed(), frame, &mut output.bytes)? {
                Said::Nothing => {}
                Said::Take(publish) => self.gather(&publish, Comes::First),
                Said::Repeated(publish) => self.gather(&publish, Comes::Again),
                Said::Welcome { is_kept } => {
                    let broker = &self.config.address;
                    tracing::info!(%broker, session_kept = is_kept, "Connected to a broker of MQTT.");
                    self.welcome();
                }
                Said::Answered => self.tell_what_is_refused(),
            }
        }
        input.bytes.drain(..done);
        for Rebirth { topic, payload } in self.learned.rebirths() {
            self.parts.figures.counts.rebirths.add(1);
            self.session.publish(self.time.elapsed(), (&topic, &payload), &mut output.bytes);
        }
        Ok(())
    }

    fn welcome(&mut self) {
        let connected = Connected::new(&self.parts.figures);
        self.connected = Some((self.time.elapsed(), connected));
        if self.session.is_answered() {
            self.tell_what_is_refused();
        }
    }

    fn tell_what_is_refused(&mut self) {
        let refused = self.session.refused();
        let refused: Vec<_> =
            refused.map(|(filter, reason)| format!("`{filter}` ({})", reason.word())).collect();
        let address = &self.config.address;
        let line = format!("the broker of MQTT at {address} does not grant {}", refused.join(", "));
        self.parts.figures.came(self.place, (!refused.is_empty()).then_some(line));
    }

    /// Adds a message to the batch that gathers.
    fn gather(&mut self, publish: &Publish<'_>, comes: Comes) {
        let part = *self
            .part
            .get_or_insert_with(|| self.gathered.part((0, self.number), self.sender.clone()));
        self.parts.figures.counts.messages.add(1);
        let bytes = if comes == Comes::First {
            let age = if publish.is_retained { Age::Retained } else { Age::Live };
            let mapping = (&*self.parts.mapping, &mut self.learned);
            self.gathered.add(part, (publish, age), mapping)
        } else {
            self.parts.figures.counts.repeated.add(1);
            self.gathered.repeat(part, publish)
        };
        self.waits = (self.waits.0 + 1, self.waits.1 + bytes as usize);
    }

    /// Sends what has gathered to the rules, where they look at nothing else.
    fn hand_over(&mut self) {
        if self.settling.is_some() || self.gathered.is_empty() {
            return;
        }
        let gathered = std::mem::take(&mut self.gathered);
        self.part = None;
        let settle = gathered.settle(Arc::clone(&self.parts.intake));
        self.settling = Some(tokio::spawn(settle));
    }

    /// Acknowledges what the rules have seen of this connection. What comes on the next one again is
    /// acknowledged there.
    fn settle(&mut self, batch: &[Settled], mut to: Option<&mut Output>) -> Result<(), Failure> {
        let now = self.time.elapsed();
        for settled in batch {
            self.waits.0 -= settled.messages();
            self.waits.1 -= settled.origin.bytes as usize;
            if let Some(problem) = settled.problem() {
                // The broker has them still, and those that came after them.
                let detail = format!("its messages were not taken: {}", problem.detail());
                (self.gathered, self.part, self.waits) = (Gathered::default(), None, (0, 0));
                self.session.forget_messages();
                return Err(Failure::other("not_taken", detail));
            }
            let Some(output) = to.as_deref_mut() else { continue };
            if settled.origin.client.1 == self.number {
                for (packet_id, _) in settled.acknowledgements() {
                    self.session.acknowledge(now, packet_id, &mut output.bytes);
                }
            }
        }
        Ok(())
    }
}

/// How long the last words take at most.
const LAST_WORDS: Duration = Duration::from_millis(DRAIN_TIMEOUT.as_millis() as u64 / 2);

/// How often it is looked whether there is memory again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

fn gone(detail: impl Into<String>) -> Failure {
    Failure::other("closed", detail)
}

/// Waits for the batch that the rules look at. It is lost by nobody who gives that up.
async fn settled(settling: &mut Option<JoinHandle<Vec<Settled>>>) -> Vec<Settled> {
    let Some(handle) = settling else { return pending().await };
    let done = handle.await;
    *settling = None;
    match done {
        Ok(settled) => settled,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime ends, and this with it.
        Err(_) => pending().await,
    }
}

async fn drain(parts: &mut BrokerParts) {
    // Without anybody to say so it ends, too.
    _ = parts.draining.wait_for(|is_draining| *is_draining).await;
}
