//! The listener of MQTT over real sockets, with rules that take their time.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bellwire_access::Identity;
use bellwire_ingest::mqtt::json_path::JsonPath;
use bellwire_ingest::mqtt::mapping::{JsonPayload, JsonValue, Mapping, Payload, TopicRule};
use bellwire_ingest::mqtt::topic::Template;
use bellwire_model::Event;
use bellwire_rules::RefusedSamples;
use bellwire_sources::mqtt::{
    Admitted, Arrival, Credential, Gate, Identified, Listener, ListenerParts,
};
use bellwire_sources::{Batch, EventsTaken, Intake, Kind, Outcome, Part, PartsTaken, Taken};
use bellwire_wire::problem::Problem;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_mins(1);
/// Values of one message.
const VALUES: usize = 60;

/// Lets everybody in.
#[derive(Debug)]
struct OpenGate;

impl Gate for OpenGate {
    fn identify(&self, _: Credential, _: IpAddr) -> Identified {
        Box::pin(async { Ok(Admitted { identity: Arc::new(Identity::open()), place: None }) })
    }

    fn counts(&self, _: &Identity) -> bool {
        true
    }

    fn has_clients(&self, _: u64) {}
}

/// Rules that look at nothing before they are told to.
#[derive(Debug)]
struct Rules(watch::Receiver<bool>);

impl Intake for Rules {
    fn take(&self, _: Batch) -> Taken {
        unreachable!("messages come together")
    }

    fn note_unread(&self, _: Kind, _: &'static str) {}

    fn has_room(&self) -> bool {
        true
    }

    fn admit(&self, _: Kind, part: Part) -> Result<Part, Problem> {
        Ok(part)
    }

    fn take_together(&self, _: Kind, parts: Vec<Part>) -> PartsTaken {
        let mut open = self.0.clone();
        Box::pin(async move {
            // The test may have ended.
            let _ = open.wait_for(|open| *open).await;
            let outcome = |part: Part| Outcome::new(part.decoded, RefusedSamples::default());
            Ok(parts.into_iter().map(outcome).collect())
        })
    }

    fn publish(&self, _: Vec<Event>) -> EventsTaken {
        unreachable!("no topic brings events")
    }
}

fn mapping() -> Mapping {
    let value = |number| JsonValue {
        name: Some(format!("v{number}").into()),
        path: JsonPath::parse(&format!("v{number}")).expect("a path"),
    };
    let payload = JsonPayload::new((0..VALUES).map(value).collect(), Vec::new(), None);
    let topic = Template::parse("t/{device}").expect("a topic");
    let rule = TopicRule { topic, name: None, labels: Vec::new(), payload: Payload::Json(payload) };
    Mapping::new(vec![rule]).expect("entries")
}

/// A client that is let in.
fn client(listener: &Listener, name: &str, keep_alive_s: u8) -> TcpStream {
    let door = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let mut client = TcpStream::connect(door.local_addr().expect("bound")).expect("a connection");
    let (socket, address) = door.accept().expect("a connection");
    socket.set_nonblocking(true).expect("a socket");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket");
    client.set_nodelay(true).expect("a socket");
    let (address, place) = (address.ip(), Box::new(()));
    listener.adopt(Arrival { socket, session: None, address, place });
    let mut body = b"\x00\x04MQTT\x04\x02\x00".to_vec();
    body.extend([keep_alive_s, 0, name.len() as u8]);
    body.extend(name.as_bytes());
    let mut packet = vec![0x10, body.len() as u8];
    packet.extend(body);
    client.write_all(&packet).expect("sent");
    let mut accepted = [0; 4];
    client.read_exact(&mut accepted).expect("an answer");
    assert_eq!(accepted, [0x20, 2, 0, 0]);
    client
}

/// A message of quality 0 with all values.
fn message() -> Vec<u8> {
    let members: Vec<String> = (0..VALUES).map(|n| format!("\"v{n}\":1")).collect();
    let mut body = b"\x00\x03t/d".to_vec();
    body.extend(format!("{{{}}}", members.join(",")).as_bytes());
    let mut packet = vec![0x30, body.len() as u8 | 0x80, (body.len() >> 7) as u8];
    packet.extend(body);
    packet
}

#[test]
fn who_is_there_is_heard_while_the_rules_take_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (open, is_open) = watch::channel(false);
    let (listener, thread) = Listener::start(ListenerParts {
        mapping: Arc::new(mapping()),
        gate: Arc::new(OpenGate),
        intake: Arc::new(Rules(is_open)),
        runtime: runtime.handle().clone(),
    })
    .expect("a thread");
    let mut idle = client(&listener, "idle", 1);
    // More than is gathered at a time, though it is less than each of them may have in flight.
    let floods = ["a", "b", "c"].map(|name| {
        let mut flood = client(&listener, name, 0);
        std::thread::spawn(move || {
            flood.write_all(&message().repeat(1_000)).expect("sent");
            flood
        })
    });
    // Twice the time after which it would be closed.
    for _ in 0..30 {
        idle.write_all(&[0xc0, 0]).expect("sent");
        let mut answer = [0; 2];
        idle.read_exact(&mut answer).expect("the listener hears");
        assert_eq!(answer, [0xd0, 0]);
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
    }
    open.send(true).expect("the rules wait");
    for flood in floods {
        let mut flood = flood.join().expect("sent");
        flood.write_all(&[0xc0, 0]).expect("sent");
        let mut answer = [0; 2];
        flood.read_exact(&mut answer).expect("all of it was taken");
    }
    listener.drain();
    thread.join().expect("it ends");
}
