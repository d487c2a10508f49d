//! Streams are told that the engine is away and that it is back, once each, and get every event once.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Pair, data, history, on_each, post_once};
use crate::harness::{Lines, Request, Spoken, Stream, WebSocket, get, post, request, until};

/// A stream of whichever kind.
enum Reader {
    Sse(Stream),
    Lines(Lines),
    Socket(WebSocket),
}

impl Reader {
    /// One of each kind.
    fn all(address: SocketAddr, query: &str) -> Vec<Self> {
        let sockets = Spoken::BOTH.map(|spoken| WebSocket::open_as(address, query, spoken));
        let others =
            [Self::Sse(Stream::open(address, query)), Self::Lines(Lines::open(address, query))];
        others.into_iter().chain(sockets.map(Self::Socket)).collect()
    }

    /// The next event or control event, but for heartbeats, which may come whenever they like.
    fn next(&mut self) -> Value {
        loop {
            let item = match self {
                Self::Sse(stream) => stream.next().expect("the stream goes on").json(),
                Self::Lines(lines) => lines.next().expect("the stream goes on"),
                Self::Socket(socket) => socket.next(),
            };
            if item["control"] != "heartbeat" {
                return item;
            }
        }
    }

    /// The next, which is this control event.
    #[track_caller]
    fn control(&mut self, name: &str) -> Value {
        let item = self.next();
        assert_eq!(item["control"], name, "{item}");
        item
    }

    /// All that comes up to the event with this payload.
    fn until(&mut self, last: &Value) -> Vec<Value> {
        let mut items = vec![self.next()];
        while items[items.len() - 1]["data"] != *last {
            items.push(self.next());
        }
        items
    }
}

/// What the answer of a poll that does not wait says.
fn poll(address: SocketAddr) -> Value {
    let headers = [("Accept", "application/json")];
    let path = "/v1/events?topic=lab/a";
    request(address, Request { method: "GET", path, headers: &headers, body: b"" }).json()
}

#[track_caller]
fn says_so(degraded: &Value) {
    assert_eq!(degraded["reason"], "engine_away", "{degraded}");
    assert_eq!(degraded["works"], json!(["history", "state"]), "{degraded}");
    assert_eq!(degraded["fails"], json!(["live", "publish"]), "{degraded}");
    let text = degraded.to_string();
    assert!(text.contains("the engine of the cluster is away"), "{text}");
    assert!(!text.contains("127.0.0.1") && degraded.get("cursor").is_none(), "{text}");
}

/// What has come of an outage: one of each control event, and every event in its order.
#[track_caller]
fn is_told_once(items: &[Value], name: &str, events: &[Value]) {
    let (controls, seen): (Vec<_>, Vec<_>) =
        items.iter().cloned().partition(|item| item.get("control").is_some());
    let names: Vec<&Value> = controls.iter().map(|control| &control["control"]).collect();
    assert_eq!(names, [name], "{items:?}");
    assert_eq!(seen, events);
}

/// Takes something away, gives it back, and looks at what streams are told of that.
fn outage(pair: &mut Pair, number: usize, [take, give]: [fn(&mut Pair); 2]) {
    let addresses = pair.addresses();
    let mut readers: Vec<Reader> =
        addresses.into_iter().flat_map(|it| Reader::all(it, "topic=lab/a")).collect();
    for reader in &mut readers {
        reader.control("ready");
    }
    let known = history(addresses[0], "lab/a");
    take(pair);
    for reader in &mut readers {
        says_so(&reader.control("degraded"));
    }
    for address in addresses {
        // Who comes meanwhile has what there is, and is told behind it.
        let mut late = Reader::all(address, "topic=lab/a");
        for reader in &mut late {
            reader.control("ready");
            says_so(&reader.control("degraded"));
        }
        says_so(&poll(address)["degraded"]);
        assert_eq!(history(address, "lab/a"), known);
        readers.extend(late);
    }
    give(pair);
    for (node, address) in addresses.into_iter().enumerate() {
        let (key, body) = (format!("{number}-{node}"), json!({ "outage": number, "node": node }));
        until("it takes events", || {
            post_once(address, "lab/a", (&key, &body.to_string())).status < 300
        });
        until("it is ready", || get(address, "/readyz").status == 200);
        until("polls are told nothing", || poll(address).get("degraded").is_none());
    }
    // Streams were told before polls, or are being told: one more event comes behind that.
    let last = json!({ "last": number });
    until("it is taken", || {
        post_once(addresses[0], "lab/a", (&format!("{number}-last"), &last.to_string())).status
            < 300
    });
    pair.settle();
    let events = history(addresses[1], "lab/a")[known.len()..].to_vec();
    assert_eq!(events.len(), 3, "{:?}", data(&events));
    for reader in &mut readers {
        is_told_once(&reader.until(&last), "restored", &events);
    }
}

#[test]
fn streams_are_told_of_an_outage_once_and_of_its_end_and_get_every_event_once() {
    on_each(|mut pair| {
        post(pair.addresses()[0], "/v1/topics/lab/a", "0").cursor();
        pair.settle();
        outage(&mut pair, 1, [|pair| pair.engine.pause(), |pair| pair.engine.resume()]);
        outage(&mut pair, 2, [|pair| pair.engine.kill(), |pair| pair.engine.start_again()]);
    });
}
