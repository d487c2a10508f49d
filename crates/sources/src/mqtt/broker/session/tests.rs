//! The session in virtual time, with packets as brokers send them.

use super::*;
use crate::mqtt::broker::config::{BrokerAddress, BrokerLogin};
use crate::tls::TlsFiles;

const FILTERS: [&str; 2] = ["a/+", "b/#"];

/// A session, its time, and what was said last.
struct Talk {
    session: Session,
    now: Duration,
    out: Vec<u8>,
}

fn config(version: BrokerVersion, session_expiry: Duration) -> BrokerConfig {
    BrokerConfig {
        address: BrokerAddress { host: "broker".into(), port: 1883, is_secure: false },
        client_id: "me".into(),
        login: BrokerLogin::default(),
        tls: TlsFiles::default(),
        version,
        filters: Vec::new(),
        keep_alive: Duration::from_secs(20),
        session_expiry,
    }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Talk {
    fn new(version: BrokerVersion) -> Self {
        let filters = FILTERS.map(Into::into);
        let session = Session::new(&config(version, s(60)), &filters);
        Self { session, now: s(1_000), out: Vec::new() }
    }

    /// One that is in; its filters are granted.
    fn within() -> Self {
        let mut talk = Self::new(BrokerVersion::Newest);
        talk.begin();
        talk.hears(WELCOME).expect("in");
        assert_eq!(talk.hears(GRANTED), Ok(Heard::Answered));
        talk.said();
        talk
    }

    fn begin(&mut self) {
        self.out.clear();
        self.session.begin(self.now, (None, None), &mut self.out);
    }

    /// What a packet says; messages by their payload.
    fn hears(&mut self, packet: &[u8]) -> Result<Heard, &'static str> {
        let frame = Frame::first(packet, 1 << 20).expect("a packet").expect("a whole one");
        let said = self.session.take(self.now, frame, &mut self.out);
        said.map(Heard::from).map_err(|failure| failure.word)
    }

    fn said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Some time passes.
    fn passes(&mut self, time: Duration) -> Result<(), Failure> {
        self.now += time;
        self.session.tick(self.now, &mut self.out)
    }

    /// Time passes as the session wants it to, to its next deadline.
    fn waits(&mut self) -> Result<(), Failure> {
        let due = self.session.deadline().expect("something is to be done");
        assert!(due > self.now, "it would go round and round");
        self.now = due;
        self.passes(Duration::ZERO)
    }
}

#[derive(Debug, PartialEq)]
enum Heard {
    Nothing,
    Welcome(bool),
    Answered,
    Take(String),
    Repeated(String),
}

impl From<Said<'_>> for Heard {
    fn from(said: Said<'_>) -> Self {
        let text = |publish: Publish<'_>| String::from_utf8_lossy(publish.payload).into_owned();
        match said {
            Said::Nothing => Self::Nothing,
            Said::Welcome { is_kept } => Self::Welcome(is_kept),
            Said::Answered => Self::Answered,
            Said::Take(publish) => Self::Take(text(publish)),
            Said::Repeated(publish) => Self::Repeated(text(publish)),
        }
    }
}

const WELCOME: &[u8] = b"\x20\x03\0\0\0";
const WELCOME_BACK: &[u8] = b"\x20\x03\x01\0\0";
const GRANTED: &[u8] = b"\x90\x05\0\x01\0\x01\x01";
const PING: &[u8] = b"\xc0\0";
const PONG: &[u8] = b"\xd0\0";

/// A message of quality 1 on `t`.
fn message(first: u8, packet_id: u8, payload: u8) -> [u8; 9] {
    [first, 7, 0, 1, b't', 0, packet_id, 0, payload]
}

const NEW: u8 = 0x32;
const AGAIN: u8 = 0x3a;

fn take(text: &str) -> Heard {
    Heard::Take(text.to_owned())
}

#[test]
fn a_connection_begins_with_its_session_and_its_filters() {
    let mut talk = Talk::new(BrokerVersion::Newest);
    talk.begin();
    // A session of a minute that is to go on, 20 s, 4,096 messages, packets of 256 KiB.
    assert_eq!(
        talk.said(),
        b"\x10\x1c\0\x04MQTT\x05\0\0\x14\x0d\x11\0\0\0\x3c\x21\x10\0\x27\0\x04\0\0\0\x02me"
    );
    assert_eq!(talk.hears(WELCOME), Ok(Heard::Welcome(false)));
    assert!(!talk.session.is_answered());
    // What is kept is sent with the first subscription alone.
    assert_eq!(talk.said(), b"\x82\x0f\0\x01\0\0\x03a/+\x11\0\x03b/#\x11");
    assert_eq!(talk.hears(GRANTED), Ok(Heard::Answered));
    assert!(talk.session.is_answered());

    // The broker has kept a session: whether these filters are in it, it does not say.
    talk.session.break_off(None);
    talk.begin();
    talk.said();
    assert_eq!(talk.hears(WELCOME_BACK), Ok(Heard::Welcome(true)));
    assert_eq!(talk.said(), b"\x82\x0f\0\x01\0\0\x03a/+\x11\0\x03b/#\x11");
    assert!(!talk.session.is_answered());
    assert_eq!(talk.hears(GRANTED), Ok(Heard::Answered));
    // It has lost it.
    talk.session.break_off(None);
    talk.begin();
    talk.said();
    assert_eq!(talk.hears(WELCOME), Ok(Heard::Welcome(false)));
    assert_eq!(talk.said()[0], 0x82);
}

#[test]
fn without_expiry_nothing_is_to_be_left_of_earlier_connections() {
    let filters = FILTERS.map(Into::into);
    let session = Session::new(&config(BrokerVersion::V311, Duration::ZERO), &filters);
    let mut talk = Talk { session, now: s(0), out: Vec::new() };
    talk.begin();
    assert_eq!(talk.said(), b"\x10\x0e\0\x04MQTT\x04\x02\0\x14\0\x02me");
    assert_eq!(talk.hears(b"\x20\x02\x01\0"), Err("protocol"));
}

#[test]
fn messages_are_acknowledged_when_it_is_said() {
    let mut talk = Talk::within();
    assert_eq!(talk.hears(&message(NEW, 7, b'1')), Ok(take("1")));
    assert_eq!(talk.hears(b"\x30\x05\0\x01t\x002"), Ok(take("2")));
    assert!(talk.said().is_empty());
    talk.session.acknowledge(talk.now, 7, &mut talk.out);
    assert_eq!(talk.said(), b"\x40\x02\0\x07");
    // Nothing is acknowledged twice.
    talk.session.acknowledge(talk.now, 7, &mut talk.out);
    assert!(talk.said().is_empty());
}

#[test]
fn what_comes_again_is_known_until_it_is_acknowledged() {
    let mut talk = Talk::within();
    talk.hears(&message(NEW, 1, b'1')).expect("a message");
    talk.hears(&message(NEW, 2, b'2')).expect("a message");
    talk.session.acknowledge(talk.now, 2, &mut talk.out);
    talk.session.break_off(None);
    talk.begin();
    talk.hears(WELCOME_BACK).expect("in");
    assert_eq!(talk.hears(&message(AGAIN, 1, b'1')), Ok(Heard::Repeated("1".to_owned())));
    // Whether the broker has heard that is not known: a number that is used again is another message.
    assert_eq!(talk.hears(&message(AGAIN, 2, b'2')), Ok(take("2")));
    // Neither is what says that it is new, nor what says something else.
    talk.session.break_off(None);
    talk.begin();
    talk.hears(WELCOME_BACK).expect("in");
    assert_eq!(talk.hears(&message(NEW, 1, b'1')), Ok(take("1")));
    assert_eq!(talk.hears(&message(AGAIN, 2, b'3')), Ok(take("3")));
    // The rules did not see it after all.
    talk.session.forget_messages();
    talk.session.break_off(None);
    talk.begin();
    talk.hears(WELCOME_BACK).expect("in");
    assert_eq!(talk.hears(&message(AGAIN, 1, b'1')), Ok(take("1")));
    // The numbers of another session mean nothing.
    talk.session.break_off(None);
    talk.begin();
    talk.hears(WELCOME).expect("in");
    assert_eq!(talk.hears(&message(AGAIN, 1, b'1')), Ok(take("1")));
}

#[test]
fn a_broker_that_says_nothing_is_asked_and_then_left() {
    let mut talk = Talk::new(BrokerVersion::Newest);
    talk.begin();
    let failed = talk.waits().expect_err("no CONNACK");
    assert_eq!((failed.word, talk.now), ("silent", s(1_010)));
    assert_eq!(failed.detail, "it does not answer CONNECT");

    let mut talk = Talk::new(BrokerVersion::Newest);
    talk.begin();
    talk.hears(WELCOME).expect("in");
    assert_eq!(talk.waits().expect_err("no SUBACK").detail, "it does not answer SUBSCRIBE");

    let mut talk = Talk::within();
    talk.waits().expect("nothing is wrong");
    assert_eq!((talk.said(), talk.now), (PING.to_vec(), s(1_015)));
    talk.passes(s(1)).expect("nothing is wrong");
    talk.hears(PONG).expect("it is there");
    for _ in 0..5 {
        talk.waits().expect("nothing is wrong");
        talk.hears(PONG).expect("it is there");
    }
    assert_eq!(talk.said(), PING.repeat(5));
    talk.waits().expect("nothing is wrong");
    let pinged = talk.now;
    let failed = talk.waits().expect_err("no PINGRESP");
    assert_eq!((failed.detail.as_str(), talk.now), ("it does not answer PINGREQ", pinged + s(10)));
}

#[test]
fn a_broker_that_is_not_read_is_not_blamed_and_hears_of_us() {
    let mut talk = Talk::within();
    for _ in 0..100 {
        talk.now += s(5);
        talk.session.rest(talk.now);
        talk.session.tick(talk.now, &mut talk.out).expect("nothing is wrong");
    }
    // 500 s, one within 15 each.
    assert_eq!(talk.said(), PING.repeat(33));
    // It is read again, and has its time.
    talk.passes(s(9)).expect("nothing is wrong");
    assert_eq!(talk.passes(s(2)).expect_err("no PINGRESP").word, "silent");
}

#[test]
fn the_broker_may_say_the_interval() {
    let mut talk = Talk::new(BrokerVersion::Newest);
    talk.begin();
    talk.hears(b"\x20\x06\0\0\x03\x13\0\x04").expect("in");
    talk.hears(GRANTED).expect("granted");
    talk.said();
    talk.waits().expect("nothing is wrong");
    assert_eq!((talk.said(), talk.now), (PING.to_vec(), s(1_003)));
    // One that hangs is not to be noticed later than is configured.
    let mut talk = Talk::new(BrokerVersion::Newest);
    talk.begin();
    talk.hears(b"\x20\x06\0\0\x03\x13\xff\xff").expect("in");
    talk.hears(GRANTED).expect("granted");
    talk.said();
    talk.waits().expect("nothing is wrong");
    assert_eq!((talk.said(), talk.now), (PING.to_vec(), s(1_015)));
}

#[test]
fn a_refusal_says_why_and_whereto() {
    for (version, packet, word, part) in [
        (BrokerVersion::V311, &b"\x20\x02\0\x05"[..], "not_authorized", "it refuses"),
        (BrokerVersion::V311, b"\x20\x02\0\x03", "unavailable", "(0x03)"),
        (BrokerVersion::V5, b"\x20\x03\0\x86\0", "credentials", "(0x86)"),
        (
            BrokerVersion::V5,
            b"\x20\x0a\0\x9d\x07\x1c\0\x04b\nad",
            "server_moved",
            "\"bad\", which is not",
        ),
        (BrokerVersion::V5, b"\x20\x03\0\xfe\0", "unspecified", "(0xfe)"),
    ] {
        let mut talk = Talk::new(version);
        talk.begin();
        let frame = Frame::first(packet, 1 << 20).expect("a packet").expect("a whole one");
        let failed = talk.session.take(talk.now, frame, &mut talk.out).expect_err("refused");
        assert_eq!(failed.word, word);
        assert!(failed.detail.contains(part), "{}", failed.detail);
        assert!(!talk.session.break_off(failed.refusal), "{word}: it is the same version");
    }
    let mut talk = Talk::within();
    assert_eq!(talk.hears(b"\xe0\x02\x8e\0"), Err("taken_over"));
    assert_eq!(talk.hears(b"\xe0\0"), Err("closed"));
}

#[test]
fn an_older_version_is_spoken_where_the_broker_knows_no_newer_one() {
    for answer in [&b"\x20\x02\0\x01"[..], b"\x20\x03\0\x84\0"] {
        let mut talk = Talk::new(BrokerVersion::Newest);
        talk.begin();
        assert_eq!(talk.hears(answer), Err("version"));
        assert!(talk.session.break_off(Some(Reason::UnsupportedVersion)));
        talk.begin();
        assert_eq!(talk.said()[8], 4);
        assert_eq!(talk.hears(b"\x20\x02\0\0"), Ok(Heard::Welcome(false)));
        assert_eq!(talk.said(), b"\x82\x0e\0\x01\0\x03a/+\x01\0\x03b/#\x01");
    }
    // Not where it is said, nor where something is asked for that 3.1.1 does not have.
    let mut talk = Talk::new(BrokerVersion::V5);
    talk.begin();
    assert!(!talk.session.break_off(Some(Reason::UnsupportedVersion)));
    let shared = ["$share/g/a".into()];
    let session = Session::new(&config(BrokerVersion::Newest, s(60)), &shared);
    let mut talk = Talk { session, ..talk };
    talk.begin();
    assert!(!talk.session.break_off(Some(Reason::UnsupportedVersion)));
}

#[test]
fn filters_that_are_refused_are_asked_for_again() {
    let mut talk = Talk::new(BrokerVersion::Newest);
    talk.begin();
    talk.hears(WELCOME).expect("in");
    talk.said();
    assert_eq!(talk.hears(b"\x90\x05\0\x01\0\x87\x01"), Ok(Heard::Answered));
    let refused: Vec<_> = talk.session.refused().collect();
    assert_eq!(refused, [("a/+", Reason::NotAuthorized)]);
    let asked = talk.now;
    while talk.said().first() != Some(&0x82) {
        talk.waits().expect("nothing is wrong");
        if talk.out == PING {
            talk.hears(PONG).expect("it is there");
        }
    }
    assert_eq!(talk.now, asked + s(60));
    assert_eq!(talk.hears(GRANTED), Ok(Heard::Answered));
    assert_eq!(talk.session.refused().count(), 0);
}

#[test]
fn many_filters_are_asked_for_a_few_at_a_time() {
    let filters: Vec<Box<str>> = (0..20).map(|number| format!("t/{number}").into()).collect();
    let session = Session::new(&config(BrokerVersion::V5, s(60)), &filters);
    let mut talk = Talk { session, now: s(0), out: Vec::new() };
    talk.begin();
    talk.said();
    talk.hears(WELCOME).expect("in");
    let mut packets = 0;
    let said = talk.said();
    let mut rest = &said[..];
    while let Some(frame) = Frame::first(rest, 1 << 20).expect("packets") {
        packets += 1;
        rest = &rest[frame.length..];
    }
    assert_eq!(packets, 3);
    assert_eq!(talk.hears(b"\x90\x0b\0\x01\0\x01\x01\x01\x01\x01\x01\x01\x01"), Ok(Heard::Nothing));
    assert_eq!(talk.hears(b"\x90\x07\0\x03\0\x01\x01\x01\x01"), Ok(Heard::Nothing));
    assert_eq!(talk.hears(b"\x90\x0b\0\x02\0\0\x01\x01\x01\x01\x01\x01\x01"), Ok(Heard::Answered));
}

#[test]
fn what_breaks_the_protocol_is_told_with_its_reason() {
    for (packet, word) in [
        (&b"\x34\x07\0\x01t\0\x01\x001"[..], "protocol"),
        (b"\x36\x07\0\x01t\0\x01\x001", "malformed"),
        (b"\x32\x07\0\x01t\0\0\x001", "malformed"),
        (b"\x90\x05\0\x01\0\x01\x01", "protocol"),
        (b"\x90\x05\0\x09\0\x01\x01", "protocol"),
        (b"\x20\x03\0\0\0", "protocol"),
        (b"\x40\x02\0\x01", "protocol"),
        (b"\xf0\x02\0\0", "protocol"),
        (b"\x30\x08\0\x01t\x03\x23\0\x011", "topic_alias"),
        (b"\xc0\0", "malformed"),
    ] {
        let mut talk = Talk::within();
        let frame = Frame::first(packet, 1 << 20).expect("a packet").expect("a whole one");
        let failed = talk.session.take(talk.now, frame, &mut talk.out).expect_err("a fault");
        assert_eq!(failed.word, word, "{packet:x?}");
        assert!(failed.fault.is_some_and(|fault| fault.reason.word() == word));
    }
    // Before the connection has begun.
    let mut talk = Talk::new(BrokerVersion::Newest);
    talk.begin();
    assert_eq!(talk.hears(&message(NEW, 1, b'1')), Err("protocol"));
    // More than was agreed.
    let mut talk = Talk::within();
    for number in 1..=MQTT_BROKER_IN_FLIGHT_MAX {
        let [high, low] = number.to_be_bytes();
        talk.hears(&[NEW, 7, 0, 1, b't', high, low, 0, b'1']).expect("room");
    }
    assert_eq!(talk.hears(b"\x32\x07\0\x01t\xff\xff\x001"), Err("receive_maximum"));
}

#[test]
fn whoever_goes_says_so() {
    let mut talk = Talk::within();
    talk.session.leave(&mut talk.out);
    assert_eq!(talk.said(), b"\xe0\x01\0");
    let mut talk = Talk::new(BrokerVersion::Newest);
    talk.begin();
    talk.said();
    talk.session.leave(&mut talk.out);
    assert!(talk.said().is_empty());
}
