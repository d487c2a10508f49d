//! Clients of a node that takes the desk over, or gives it up: they stay, and miss nothing.

use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::super::{KINDS, data};
use super::{House, nodes, on_each, sample};
use crate::harness::{Engine, Port, Raw, Stream, StreamItem, WebSocket, get, post, until};

/// Whoever is connected to a node, in each way there is.
struct Clients {
    address: SocketAddr,
    /// Events, and what rules say.
    stream: Stream,
    /// Values of samples.
    values: Stream,
    /// The answer of a query.
    query: Stream,
    socket: WebSocket,
}

/// What is not to come: whoever is told one of these begins again.
fn check(item: &StreamItem) {
    assert!(!["bye", "gap", "reset"].contains(&&*item.event_type), "{item:?}");
}

/// Reads up to what is wanted; returns it all.
#[track_caller]
fn read_up_to(stream: &mut Stream, is_it: impl Fn(&StreamItem) -> bool) -> Vec<StreamItem> {
    let mut items = Vec::new();
    loop {
        let item = stream.next().expect("the stream goes on");
        check(&item);
        let is_last = is_it(&item);
        items.push(item);
        if is_last {
            return items;
        }
    }
}

fn is_deleted(item: &StreamItem) -> bool {
    item.json()["deleted"] == true
}

/// Whether it is the answer of the query, and that.
fn answers(item: &StreamItem, value: u8) -> bool {
    item.json()["key"] != "query" && item.payload()["value"] == value
}

impl Clients {
    /// Connected to this node, which shows a door that is open.
    fn of(address: SocketAddr) -> Self {
        let cursor = post(address, "/v1/topics/lab/a", "0").cursor();
        let events = "topic=lab/**&topic=alerts/events/**";
        let mut stream = Stream::resume(address, events, &cursor);
        stream.until_ready();
        let mut values = Stream::open(address, "topic=samples/**");
        let mut query = Stream::open(address, "query=sum(door_open)");
        for stream in [&mut values, &mut query] {
            assert!(!stream.until_ready().is_empty());
        }
        let mut socket = WebSocket::open(address, "topic=lab/**");
        socket.until_ready(&Value::Null);
        Self { address, stream, values, query, socket }
    }

    /// Publishes numbers until that is so; each client gets all of them, in order.
    #[track_caller]
    fn publish_until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let mut published = 0;
        until(what, || {
            published += 1;
            let answer = post(self.address, "/v1/topics/lab/a", published.to_string());
            assert_eq!(answer.status, 201, "{}", answer.text());
            is_so()
        });
        let is_last = |item: &StreamItem| item.payload() == json!(published);
        let items = read_up_to(&mut self.stream, is_last);
        let numbers = items.iter().filter(|item| item.json()["topic"] == "lab/a");
        let numbers: Vec<Value> = numbers.map(StreamItem::payload).collect();
        let expected: Vec<Value> = (1..=published).map(Value::from).collect();
        assert_eq!(numbers, expected);
        let heard = self.socket.events(expected.len());
        assert_eq!(data(&heard), expected);
    }

    /// Sends a sample over the WebSocket until it is taken.
    #[track_caller]
    fn sample(&mut self, name: &str, value: u8) {
        let labels = json!({ "site": "oslo" });
        let samples = json!([{ "name": name, "labels": labels, "value": value }]);
        until("the sample is taken", || {
            let reply =
                self.socket.call(&json!({ "request": "samples", "id": 7, "samples": samples }));
            let is_away = reply["error"]["code"] == "desk_away";
            assert!(reply["accepted"] == 1 || is_away, "{reply}");
            !is_away
        });
    }

    /// Each of them is served as it was.
    #[track_caller]
    fn are_served(&mut self, other: SocketAddr) {
        self.publish_until("once", || true);
        for value in [0, 1] {
            self.sample("door_open", value);
            let shown = |item: &StreamItem| {
                item.json()["topic"] == "samples/door_open" && item.payload()["value"] == value
            };
            read_up_to(&mut self.values, shown);
            let answers = read_up_to(&mut self.query, |item| answers(item, value));
            assert!(!answers.iter().any(is_deleted), "{answers:?}");
        }
        // The alert is told here, whichever node was asked.
        for (value, told) in [(1, "alert.firing"), (0, "alert.resolved")] {
            sample(other, "fire", value);
            let is_it = |item: &StreamItem| {
                item.event_type == told && item.payload()["labels"]["alertname"] == "Fire"
            };
            read_up_to(&mut self.stream, is_it);
        }
    }
}

/// Waits for the standby that takes over with all that rules know.
#[track_caller]
fn has_standby(house: &House) {
    let keeper = house.pair.addresses()[house.keeper];
    until("there is a standby", || {
        nodes(keeper).is_some_and(|told| told["standby"]["state"] == "whole")
    });
}

#[test]
fn the_clients_of_a_node_that_takes_over_stay_and_miss_nothing() {
    on_each(|mut house| {
        has_standby(&house);
        let (keeper, other) = (house.pair.addresses()[house.keeper], house.other());
        sample(other, "door_open", 1);
        sample(other, "lonely", 1);
        house.told_webhook("first notification: +DoorOpen");
        house.pair.settle();
        let mut clients = Clients::of(other);
        clients.are_served(keeper);
        let cursor = post(other, "/v1/topics/lab/poll", "0").cursor();
        read_up_to(&mut clients.stream, |item| item.json()["topic"] == "lab/poll");
        clients.socket.events(1);
        let mut poll = Raw::connect(other);
        poll.send(format!(
            "GET /v1/events?topic=lab/poll&after={cursor}&wait=1m HTTP/1.1\r\nHost: x\r\n\
             Accept: application/json\r\n\r\n"
        ));
        house.keeper().kill();
        let is_keeper = || nodes(other).is_some_and(|told| told["node"] == told["desk"]);
        clients.publish_until("the other has taken over", is_keeper);
        house.keeper = 1 - house.keeper;
        clients.are_served(other);
        // What the last keeper had and this one lacks goes, and nothing else.
        let gone = read_up_to(&mut clients.values, is_deleted);
        assert_eq!(gone.iter().filter(|item| is_deleted(item)).count(), 1);
        assert_eq!(gone.last().expect("it").json()["topic"], "samples/lonely");
        post(other, "/v1/topics/lab/poll", "1").cursor();
        let answer = poll.answer();
        assert_eq!(
            (answer.status, data(answer.json()["events"].as_array().expect("events"))),
            (200, vec![json!(1)])
        );
        read_up_to(&mut clients.stream, |item| item.json()["topic"] == "lab/poll");
        clients.socket.events(1);
        clients.are_served(other);
    });
}

#[test]
fn a_node_that_takes_over_scrapes_and_hears_sensors() {
    KINDS.into_iter().filter_map(Engine::start).for_each(|engine| {
        let (port, target) = (Port::new(), Port::new());
        let of_both = format!(
            "[mqtt]\nlisten = \"{}\"\n[[mqtt.topics]]\ntopic = \"sensors/{{site}}/{{name}}\"\n\
             [[scrape]]\njob_name = \"bells\"\nscrape_interval = \"200ms\"\n\
             static_configs = [{{ targets = [\"{}\"] }}]\n",
            port.address(),
            target.address()
        );
        let mut house = House::configured(engine, &of_both);
        let other = house.other();
        house.keeper().kill();
        TcpStream::connect(port.address()).expect_err("nobody listens any more");
        house.pass_over();
        TcpStream::connect(port.address()).expect("sensors are heard");
        until("the target is asked", || {
            let targets = get(other, "/api/v1/targets").json();
            targets["data"]["activeTargets"][0]["health"] == "down"
        });
    });
}

#[test]
fn the_clients_of_a_keeper_that_another_has_taken_over_from_stay() {
    on_each(|mut house| {
        has_standby(&house);
        let (asleep, sleeping) = (house.pair.addresses()[house.keeper], house.keeper);
        sample(asleep, "door_open", 1);
        house.told_webhook("first notification: +DoorOpen");
        let mut clients = Clients::of(asleep);
        house.keeper().process().signal("STOP");
        house.pass_over();
        let other = house.pair.addresses()[house.keeper];
        sample(other, "door_open", 1);
        house.pair.nodes[sleeping].process().signal("CONT");
        until("it is one of the others", || {
            house.named_keeper(&house.pair.nodes[sleeping]) == Some(house.keeper)
        });
        clients.are_served(other);
        // And it takes over once more.
        has_standby(&house);
        house.keeper().kill();
        let is_keeper = || nodes(asleep).is_some_and(|told| told["node"] == told["desk"]);
        clients.publish_until("it has taken over again", is_keeper);
        clients.are_served(asleep);
    });
}
