//! What one node shows of samples, rules and queries, at the others.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::desk::{nodes, on_each, sample};
use super::{KINDS, Pair};
use crate::access::made;
use crate::harness::{
    Engine, Request, Spoken, Stream, StreamItem, WebSocket, get, post, request, until,
};

/// What somebody has of state topics who follows them: the newest of each key.
type Held = BTreeMap<(String, String), Value>;

const SERIES: &str = "topic=samples/**&topic=rules/**";

fn put(held: &mut Held, item: &StreamItem) {
    let event = item.json();
    let text = |name: &str| event[name].as_str().expect("a text").to_owned();
    let place = (text("topic"), text("key"));
    if event["deleted"] == true {
        held.remove(&place);
    } else {
        held.insert(place, event["data"].clone());
    }
}

/// What a node shows whoever comes now.
fn shown(address: SocketAddr, query: &str) -> Held {
    let mut held = Held::new();
    for item in Stream::open(address, query).until_ready() {
        put(&mut held, &item);
    }
    held
}

fn polled(address: SocketAddr, query: &str) -> Value {
    let path = format!("/v1/events?{query}");
    let headers = [("Accept", "application/json")];
    let asked = Request { method: "GET", path: &path, headers: &headers, body: b"" };
    let answer = request(address, asked);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["events"].clone()
}

/// A figure of a node.
fn figure(address: SocketAddr, name: &str) -> u64 {
    let text = get(address, "/metrics").text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.expect("a figure").parse().expect("a number")
}

#[test]
fn values_of_samples_and_rules_are_the_same_at_each_node() {
    on_each(|house| {
        let (keeper, other) = (house.pair.addresses()[house.keeper], house.other());
        sample(other, "door_open", 0);
        until("the sample is shown", || shown(keeper, SERIES).len() == 2);
        // Whoever comes has all before `ready`, also who comes first.
        assert_eq!(figure(other, "bellwire_mirror_streams_open"), 0);
        assert_eq!(shown(other, SERIES), shown(keeper, SERIES));
        assert_eq!(figure(other, "bellwire_mirror_streams_open"), 1);
        for query in ["topic=samples/door_open", "topic=rules/*", "topic=samples/none"] {
            assert_eq!(polled(other, query), polled(keeper, query), "{query}");
        }
        let mut streams = [keeper, other].map(|address| Stream::open(address, SERIES));
        let mut held = streams.each_mut().map(|stream| {
            let mut held = Held::new();
            stream.until_ready().iter().for_each(|item| put(&mut held, item));
            held
        });
        for value in [1, 0, 1] {
            sample(other, "door_open", value);
            for (stream, held) in streams.iter_mut().zip(&mut held) {
                stream.events(2).iter().for_each(|item| put(held, item));
                assert!(held.values().all(|shown| shown["value"] == value), "{held:?}");
            }
            assert_eq!(held[0], held[1]);
        }
        for path in ["/v1/topics/samples/door_open", "/v1/topics/rules/doors", "/v1/topics/samples/x"] {
            let [here, there] = [other, keeper].map(|it| get(it, path).json()["events"].clone());
            assert_eq!(here, there, "{path}");
        }
        let topics = |address| get(address, "/v1/topics?prefix=samples").json()["topics"].clone();
        assert_eq!(topics(other)[0]["topic"], "samples/door_open");
        assert_eq!(topics(other), topics(keeper));
        // One stream is for all who follow something here.
        assert!(figure(other, "bellwire_mirror_streams_open") <= 1);
        assert_eq!(figure(keeper, "bellwire_mirror_streams_total"), 0);
    });
}

#[test]
fn when_the_keeper_is_killed_others_show_what_the_next_one_does() {
    on_each(|mut house| {
        let joined = house.pair.join();
        let [one, three] = [house.other(), joined.address()];
        sample(one, "door_open", 1);
        let mut streams = [one, three].map(|address| {
            let mut stream = Stream::open(address, "topic=samples/**&state=changes");
            let mut held = Held::new();
            stream.until_ready().iter().for_each(|item| put(&mut held, item));
            while held.is_empty() {
                stream.events(1).iter().for_each(|item| put(&mut held, item));
            }
            (stream, held)
        });
        house.keeper().kill();
        let is_desk = |address| nodes(address).is_some_and(|told| told["node"] == told["desk"]);
        until("another has taken over", || is_desk(one) || is_desk(three));
        let (keeper, other) = if is_desk(one) { (0, 1) } else { (1, 0) };
        let keeper = [one, three][keeper];
        sample(keeper, "fire", 0);
        let (stream, held) = &mut streams[other];
        let mut seen: Vec<StreamItem> = Vec::new();
        while held.len() != 1 || !held.contains_key(&("samples/fire".into(), "{site=\"oslo\"}".into())) {
            let item = stream.events(1).remove(0);
            put(held, &item);
            assert!(seen.iter().all(|before| before.data != item.data), "{item:?} comes twice");
            seen.push(item);
        }
        let gone = seen.iter().filter(|item| item.json()["deleted"] == true);
        assert_eq!(gone.count(), 1, "{seen:?}");
        let other = [one, three][other];
        assert_eq!(shown(other, SERIES), shown(keeper, SERIES));
    });
}

/// What is asked of a query by its name.
fn named(address: SocketAddr, name: &str, query: &str) {
    let made = post(address, "/v1/queries", json!({ "name": name, "query": query }).to_string());
    assert_eq!(made.status, 201, "{}", made.text());
}

#[test]
fn queries_that_are_followed_have_the_same_answer_at_each_node() {
    on_each(|house| {
        let (keeper, other) = (house.pair.addresses()[house.keeper], house.other());
        sample(other, "door_open", 1);
        named(other, "doors", "count(door_open)");
        let both = "query=sum(door_open)%20%2B%201&query_name=doors";
        let mut stream = Stream::open(other, both);
        let mut held = Held::new();
        stream.until_ready().iter().for_each(|item| put(&mut held, item));
        // What is said of each, and one element of each.
        assert_eq!(held.len(), 4, "{held:?}");
        assert_eq!(held, shown(keeper, both));
        assert_eq!(polled(other, both), polled(keeper, both));
        let topic = held.keys().next().expect("one").0.clone();
        let path = format!("/v1/topics/{topic}");
        assert_eq!(get(other, &path).json()["events"], get(keeper, &path).json()["events"]);
        let mut socket = WebSocket::open(other, "topic=lab/a");
        socket.until_ready(&Value::Null);
        let ask = json!({ "request": "subscribe", "id": 1, "queries": ["max(door_open)"] });
        assert_eq!(socket.call(&ask), json!({ "reply": 1 }));
        let first = socket.until_ready(&json!(1));
        let values = first.iter().filter(|it| it["control"].is_null());
        assert_eq!(values.count(), 2, "{first:?}");
        sample(keeper, "door_open", 0);
        let changed = stream.events(1)[0].payload();
        assert_eq!((&changed["labels"], &changed["value"]), (&json!({}), &json!(1)));
        assert_eq!(socket.events(1)[0]["data"]["value"], 0);
        let refused = |query: &str| {
            let headers = [("Accept", "application/json")];
            let path = format!("/v1/events?{query}");
            let asked = Request { method: "GET", path: &path, headers: &headers, body: b"" };
            [keeper, other].map(|address| {
                let answer = request(address, asked);
                (answer.status, answer.json()["code"].as_str().map(str::to_owned))
            })
        };
        for query in ["query=sum(", "query_name=none", "query=rate(x%5B9d%5D)"] {
            let [one, two] = refused(query);
            assert_eq!(one, two, "{query}");
            assert!(one.0 >= 400, "{query}");
        }
    });
}

#[test]
fn what_clients_of_websockets_ask_another_node_for_is_done_by_the_keeper() {
    on_each(|house| {
        let other = house.other();
        let mut transitions = Stream::open(other, "topic=alerts/events/**");
        transitions.until_ready();
        for (round, spoken) in Spoken::BOTH.into_iter().enumerate() {
            let mut socket = WebSocket::open_as(other, "topic=lab/a", spoken);
            socket.until_ready(&Value::Null);
            let site = format!("s{round}");
            let sample = |name: &str, value: usize| {
                json!({ "name": name, "labels": { "site": site }, "value": value })
            };
            // In the order in which they are asked for.
            for number in 0..20 {
                let samples = [sample("order", number), sample("order", number)];
                socket.ask(&json!({ "request": "samples", "id": number, "samples": samples }));
            }
            for number in 0..20 {
                let reply = socket.reply(&json!(number));
                assert_eq!(reply["accepted"], 2, "{reply}");
            }
            let key = ("samples/order".to_owned(), format!("{{site=\"{site}\"}}"));
            until("the newest is shown", || {
                let held = shown(other, "topic=samples/order");
                held.get(&key).is_some_and(|shown| shown["value"] == 19)
            });
            let ask = |samples: Value| json!({ "request": "samples", "id": "s", "samples": samples });
            assert_eq!(socket.call(&ask(json!([sample("fire", 1)])))["accepted"], 1);
            let fired = transitions.events(1).remove(0);
            assert_eq!(fired.event_type, "alert.firing");
            let part = socket.call(&ask(json!([sample("fire", 1), { "name": "", "value": 1 }])));
            assert_eq!((&part["accepted"], &part["rejected"]), (&json!(1), &json!(1)), "{part}");
            assert!(part["errors"][0]["code"].is_string(), "{part}");
            let none = socket.call(&ask(json!([{ "name": "", "value": 1 }])));
            assert_eq!(none["accepted"], 0, "{none}");
            let fingerprint = fired.json()["key"].clone();
            let act = |request: &str, fingerprint: &Value| {
                json!({ "request": request, "id": 7, "fingerprint": fingerprint, "by": "ada" })
            };
            assert_eq!(socket.call(&act("acknowledge", &fingerprint)), json!({ "reply": 7 }));
            assert_eq!(transitions.events(1)[0].event_type, "alert.acknowledged");
            let undo = json!({ "request": "unacknowledge", "id": 8, "fingerprint": fingerprint });
            assert_eq!(socket.call(&undo), json!({ "reply": 8 }));
            assert_eq!(transitions.events(1)[0].event_type, "alert.unacknowledged");
            let unknown = socket.call(&act("acknowledge", &json!("00000000000000ff")));
            assert_eq!(unknown["error"]["code"], "alert_not_found", "{unknown}");
            socket.publish("lab/a", json!(round));
            assert_eq!(socket.events(1)[0]["data"], round, "it goes on");
        }
    });
}

#[test]
fn what_is_seen_at_another_node_is_what_its_client_may_see() {
    let (ada, of_ada) = made("ada", "all");
    let (bob, of_bob) = made("bob", "oslo");
    let access = format!(
        "[access]\n[[access.role]]\nname = \"all\"\nsubscribe = [\"**\"]\nquery = ['{{}}']\n\
         ingest = ['{{}}']\n[[access.role]]\nname = \"oslo\"\nsubscribe = [\"samples/**\"]\n\
         query = ['{{site=\"oslo\"}}']\n{of_ada}{of_bob}"
    );
    KINDS.into_iter().filter_map(Engine::start).for_each(|engine| {
        let pair = Pair::configured(engine, &access, &[]);
        let [one, two] = pair.addresses();
        let bearer = |key: &str| format!("Bearer {key}");
        let (of_ada, of_bob) = (bearer(&ada), bearer(&bob));
        let (of_ada, of_bob) = ([("Authorization", &*of_ada)], [("Authorization", &*of_bob)]);
        let samples = json!([
            { "name": "t", "labels": { "site": "oslo" }, "value": 1 },
            { "name": "t", "labels": { "site": "bonn" }, "value": 2 },
        ]);
        let body = samples.to_string();
        let headers = [of_ada[0], ("Content-Type", "application/json")];
        let sent = Request { method: "POST", path: "/v1/samples", headers: &headers, body: body.as_bytes() };
        until("the samples are taken", || request(one, sent).status == 200);
        let keys = |address, query: &str, headers: &[(&str, &str)]| {
            let mut held = Held::new();
            let mut stream = Stream::open_with(address, query, headers);
            stream.until_ready().iter().filter(|it| it.event_type == "message").for_each(|item| put(&mut held, item));
            held.into_keys().map(|(_, key)| key).collect::<Vec<_>>()
        };
        let (oslo, bonn) = ("{site=\"oslo\"}", "{site=\"bonn\"}");
        for address in [one, two] {
            until("all is shown", || keys(address, "topic=samples/t", &of_ada) == [bonn, oslo]);
            assert_eq!(keys(address, "topic=samples/t", &of_bob), [oslo]);
            let query = "query=sum%20by%20(site)%20(last_over_time(t%5B1m%5D))&history=1m";
            // Each sees of it what is theirs: what is asked for by both stands twice.
            sample_again(address, sent);
            until("the query has an answer", || {
                keys(address, query, &of_ada).len() == 3 && keys(address, query, &of_bob) == ["query", oslo]
            });
            let ask = json!({ "request": "samples", "id": 1, "samples": samples });
            let mut socket = WebSocket::open_bearing(address, "", &bob);
            assert_eq!(socket.call(&ask)["error"]["code"], "forbidden");
            let mut socket = WebSocket::open_bearing(address, "", &ada);
            assert_eq!(socket.call(&ask)["accepted"], 2);
        }
        for path in ["/v1/nodes/shown?topic=samples/**", "/v1/nodes/present", "/v1/nodes/errands"] {
            let method = if path.ends_with("errands") { "POST" } else { "GET" };
            for headers in [&of_ada[..], &[("Bellwire-Node", "n 1 x")]] {
                let asked = Request { method, path, headers, body: b"{}" };
                assert_eq!(request(one, asked).status, 401, "{path}");
            }
        }
    });
}

fn sample_again(address: SocketAddr, sent: Request<'_>) {
    until("the samples are taken", || request(address, sent).status == 200);
}
