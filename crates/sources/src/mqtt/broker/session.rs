//! What is said with a broker, over one connection after the other. It is told the time, which only
//! goes forward, and does no I/O.
//!
//! ```text
//! Away ── begin: CONNECT ─▶ Greeting ── CONNACK ─▶ In: SUBSCRIBE, messages, pings
//!   ▲                          │                       │
//!   └──────── break_off ◀──────┴── fault, leave ◀──────┘
//! ```

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bellwire_ingest::mqtt::packet::{
    Accepted, Frame, Incoming, Login, Outgoing, Publish, Quality, Reason, Sender, Version,
};
use bellwire_model::limits::{
    MQTT_BROKER_ANSWER_TIMEOUT, MQTT_BROKER_IN_FLIGHT_MAX, MQTT_PACKET_BYTES_MAX,
};

use super::config::{BrokerConfig, BrokerVersion};
use fault::Fault;
use subscriptions::Subscriptions;

mod fault;
mod subscriptions;

pub(super) use fault::Failure;

/// How often filters that the broker has refused are asked for again.
const ASK_AGAIN_INTERVAL: Duration = Duration::from_mins(1);

/// The client's side.
#[derive(Debug)]
pub(super) struct Session {
    client_id: Box<str>,
    expiry: Duration,
    wanted: BrokerVersion,
    version: Version,
    stage: Stage,
    /// How long we may say nothing.
    keep_alive: Duration,
    /// What of it is configured.
    keep_alive_wanted: Duration,
    heard: Duration,
    said: Duration,
    /// Since when an answer to a ping is waited for.
    pinged: Option<Duration>,
    subscriptions: Subscriptions,
    /// Messages of the broker's session that were taken and that it was never told of, by their
    /// numbers: it cannot use one for another message before it is. So it is known what comes again.
    unacknowledged: BTreeMap<u16, u64>,
    /// How many of this connection there are.
    in_flight: u16,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Away,
    /// The answer to our `CONNECT` is waited for since then.
    Greeting(Duration),
    In,
}

/// What a packet says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Nothing to be done.
    Nothing,
    /// We are in.
    Welcome {
        /// Whether the broker has kept what came while we were away.
        is_kept: bool,
    },
    /// All filters are answered.
    Answered,
    /// A message is to be taken.
    Take(Publish<'a>),
    /// A message was taken that the broker has not been told of: it is to be acknowledged in its turn.
    Repeated(Publish<'a>),
}

impl Session {
    /// The session with a broker that is asked for these filters.
    pub(super) fn new(config: &BrokerConfig, filters: &[Box<str>]) -> Self {
        let version = match config.version {
            BrokerVersion::Newest | BrokerVersion::V5 => Version::V5,
            BrokerVersion::V311 => Version::V311,
        };
        Self {
            client_id: config.client_id.clone(),
            expiry: config.session_expiry,
            wanted: config.version,
            version,
            stage: Stage::Away,
            keep_alive: config.keep_alive,
            keep_alive_wanted: config.keep_alive,
            heard: Duration::ZERO,
            said: Duration::ZERO,
            pinged: None,
            subscriptions: Subscriptions::new(filters),
            unacknowledged: BTreeMap::new(),
            in_flight: 0,
        }
    }

    /// In which version is spoken.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Filters that the broker does not grant.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, Reason)> {
        self.subscriptions.refused()
    }

    /// Whether all filters are answered.
    pub(super) fn is_answered(&self) -> bool {
        self.stage == Stage::In && self.subscriptions.asked_since().is_none()
    }

    /// Begins a connection, with what the broker is shown.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        (username, password): (Option<&str>, Option<&[u8]>),
        out: &mut Vec<u8>,
    ) {
        self.stage = Stage::Greeting(now);
        (self.heard, self.said, self.pinged) = (now, now, None);
        self.keep_alive = self.keep_alive_wanted;
        self.in_flight = 0;
        self.subscriptions.forget_questions();
        let login = Login {
            client_id: &self.client_id,
            clean_start: self.expiry.is_zero(),
            session_expiry_s: u32::try_from(self.expiry.as_secs()).unwrap_or(u32::MAX),
            keep_alive_s: self.keep_alive.as_secs() as u16,
            receive_maximum: MQTT_BROKER_IN_FLIGHT_MAX,
            packet_bytes_max: MQTT_PACKET_BYTES_MAX as u32,
            username,
            password,
        };
        Outgoing::Connect(login).write(self.version, out);
    }

    /// The connection is gone. Where another version is to be tried says so.
    pub(super) fn break_off(&mut self, reason: Option<Reason>) -> bool {
        let is_greeting = matches!(self.stage, Stage::Greeting(_));
        self.stage = Stage::Away;
        let is_too_new = is_greeting
            && reason == Some(Reason::UnsupportedVersion)
            && self.wanted == BrokerVersion::Newest
            && self.version == Version::V5
            && !self.subscriptions.are_shared();
        if is_too_new {
            self.version = Version::V311;
        }
        is_too_new
    }

    /// Takes a packet; what the broker is told is appended.
    pub(super) fn take<'a>(
        &mut self,
        now: Duration,
        frame: Frame<'a>,
        out: &mut Vec<u8>,
    ) -> Result<Said<'a>, Failure> {
        (self.heard, self.pinged) = (now, None);
        let packet = Incoming::read(frame, self.version, Sender::Broker)?;
        match (self.stage, packet) {
            (Stage::Greeting(_), Incoming::Accepted(accepted)) => self.welcome(now, accepted, out),
            (Stage::In, Incoming::Publish(publish)) => self.message(publish),
            (Stage::In, Incoming::Subscribed { packet_id, reasons }) => {
                self.subscriptions.answer(packet_id, reasons)?;
                let is_last = self.subscriptions.asked_since().is_none();
                Ok(if is_last { Said::Answered } else { Said::Nothing })
            }
            (Stage::In, Incoming::PingResponse) => Ok(Said::Nothing),
            (_, Incoming::Disconnect(departure)) => Err(Failure::dismissed(departure)),
            _ => Err(Failure::protocol("a packet that may not come now")),
        }
    }

    fn welcome(
        &mut self,
        now: Duration,
        accepted: Accepted<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Said<'static>, Failure> {
        if accepted.reason != 0 {
            return Err(Failure::refused(&accepted));
        }
        let is_kept = accepted.is_session_present;
        if is_kept && self.expiry.is_zero() {
            return Err(Failure::protocol("a session was kept that is not wanted"));
        }
        self.stage = Stage::In;
        if let Some(seconds) = accepted.keep_alive_s {
            // It wants nothing; we want to know whether it is there.
            let theirs = Duration::from_secs(seconds.into());
            // To say something more often than it wants is allowed.
            self.keep_alive = match theirs {
                Duration::ZERO => self.keep_alive_wanted,
                theirs => theirs.min(self.keep_alive_wanted),
            };
        }
        if !is_kept {
            self.unacknowledged.clear();
        }
        // A session that is there may be without them: of another client with this name, or of a
        // broker that was killed. To ask for what it has changes nothing.
        self.subscriptions.forget();
        self.ask(now, out);
        Ok(Said::Welcome { is_kept })
    }

    fn ask(&mut self, now: Duration, out: &mut Vec<u8>) {
        let before = out.len();
        self.subscriptions.ask(now, self.version, out);
        if out.len() > before {
            self.said = now;
        }
    }

    fn message<'a>(&mut self, publish: Publish<'a>) -> Result<Said<'a>, Failure> {
        match publish.quality {
            Quality::AtMostOnce => return Ok(Said::Take(publish)),
            Quality::AtLeastOnce => {}
            Quality::ExactlyOnce => {
                return Err(Failure::protocol("a quality that was not granted"));
            }
        }
        // 3.1.1 knows no bound: there the reading waits.
        if self.version == Version::V5 && self.in_flight >= MQTT_BROKER_IN_FLIGHT_MAX {
            let detail = "more messages at a time than was agreed";
            return Err(Fault { reason: Reason::ReceiveMaximum, detail }.into());
        }
        self.in_flight += 1;
        let mut hasher = DefaultHasher::new();
        (publish.topic, publish.payload).hash(&mut hasher);
        let content = hasher.finish();
        let before = self.unacknowledged.insert(publish.packet_id, content);
        let is_known = publish.is_repeated && before == Some(content);
        Ok(if is_known { Said::Repeated(publish) } else { Said::Take(publish) })
    }

    /// Tells the broker that the rules have seen a message that has come on this connection.
    pub(super) fn acknowledge(&mut self, now: Duration, packet_id: u16, out: &mut Vec<u8>) {
        if self.unacknowledged.remove(&packet_id).is_none() {
            return;
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        self.said = now;
        // Whether they liked it is nothing that the broker could mend: it is counted here.
        Outgoing::Acknowledge { packet_id, reason: Reason::Success }.write(self.version, out);
    }

    /// Publishes a message that may get lost.
    pub(super) fn publish(
        &mut self,
        now: Duration,
        (topic, payload): (&str, &[u8]),
        out: &mut Vec<u8>,
    ) {
        if self.stage == Stage::In {
            self.said = now;
            Outgoing::Publish { topic, payload }.write(self.version, out);
        }
    }

    /// The rules have not seen messages that came: none of those that come again is known.
    pub(super) fn forget_messages(&mut self) {
        self.unacknowledged.clear();
    }

    /// Goes in order; the broker keeps the session.
    pub(super) fn leave(&mut self, out: &mut Vec<u8>) {
        if self.stage == Stage::In {
            Outgoing::Disconnect(Reason::Success, "").write(self.version, out);
        }
        self.stage = Stage::Away;
    }

    /// Nothing is read for now: the broker cannot be heard, and has its time once it is again.
    pub(super) fn rest(&mut self, now: Duration) {
        self.heard = now;
        self.pinged = self.pinged.map(|_| now);
        self.subscriptions.wait_from(now);
    }

    /// Does what it is time for.
    pub(super) fn tick(&mut self, now: Duration, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self.stage {
            Stage::Greeting(since) if now >= since + MQTT_BROKER_ANSWER_TIMEOUT => {
                return Err(Failure::silent("it does not answer CONNECT"));
            }
            Stage::Away | Stage::Greeting(_) => return Ok(()),
            Stage::In => {}
        }
        let is_over =
            |since: Option<Duration>, most| since.is_some_and(|since| now >= since + most);
        if is_over(self.subscriptions.asked_since(), MQTT_BROKER_ANSWER_TIMEOUT) {
            return Err(Failure::silent("it does not answer SUBSCRIBE"));
        }
        if is_over(self.pinged, self.ping_patience()) {
            return Err(Failure::silent("it does not answer PINGREQ"));
        }
        if self.subscriptions.refused().next().is_some()
            && is_over(self.subscriptions.answered(), ASK_AGAIN_INTERVAL)
        {
            self.ask(now, out);
        }
        if now >= self.ping_due() {
            Outgoing::PingRequest.write(self.version, out);
            self.said = now;
            self.pinged.get_or_insert(now);
        }
        Ok(())
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.stage {
            Stage::Away => None,
            Stage::Greeting(since) => Some(since + MQTT_BROKER_ANSWER_TIMEOUT),
            Stage::In => {
                let asked = self.subscriptions.asked_since();
                let again = self.subscriptions.answered().map(|since| since + ASK_AGAIN_INTERVAL);
                let times = [
                    Some(self.ping_due()),
                    asked.map(|since| since + MQTT_BROKER_ANSWER_TIMEOUT),
                    self.pinged.map(|since| since + self.ping_patience()),
                    again.filter(|_| self.subscriptions.refused().next().is_some()),
                ];
                times.into_iter().flatten().min()
            }
        }
    }

    /// When either has said nothing for so long that the broker is asked whether it is there: early
    /// enough for it to hear it in time.
    fn ping_due(&self) -> Duration {
        let silence = self.keep_alive * 3 / 4;
        match self.pinged {
            Some(_) => self.said + silence,
            None => self.said.min(self.heard) + silence,
        }
    }

    fn ping_patience(&self) -> Duration {
        self.keep_alive.min(MQTT_BROKER_ANSWER_TIMEOUT)
    }
}

#[cfg(test)]
mod tests;
