//! Queries that are followed: an expression's answer as a state topic, from its first value on.

mod names;
mod pasts;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{Lines, Server, Stream, StreamItem, get, post};

/// Sends samples, and waits until the rules have seen them.
fn send(server: &Server, samples: &[(&str, &str, f64)]) {
    let lines = samples.iter().map(|(name, site, value)| {
        json!({ "name": name, "labels": { "site": site }, "value": value }).to_string()
    });
    let lines: Vec<String> = lines.collect();
    let answer = post(server.address(), "/v1/samples", lines.join("\n"));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn query(expression: &str) -> String {
    format!("query={}", url(expression))
}

/// Every byte but letters and digits as `%xx`.
fn url(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The elements among events of queries, by their keys; what is said of a query itself is none.
fn elements(events: &[Value]) -> BTreeMap<String, Value> {
    let elements =
        events.iter().filter(|event| event["key"] != "query" && event["control"].is_null());
    elements
        .map(|event| {
            assert!(event["topic"].as_str().is_some_and(|topic| topic.starts_with("query/")));
            let key = event["key"].as_str().expect("a key").to_owned();
            (
                key,
                if event["deleted"] == true { json!(null) } else { event["data"]["value"].clone() },
            )
        })
        .collect()
}

fn ready(stream: &mut Stream) -> Vec<Value> {
    stream.until_ready().iter().map(StreamItem::json).collect()
}

/// The next change of an element.
fn change(stream: &mut Stream) -> (String, Value) {
    loop {
        let event = stream.events(1)[0].json();
        if let Some(element) = elements(&[event]).pop_first() {
            return element;
        }
    }
}

#[test]
fn an_answer_comes_whole_then_its_changes_and_what_has_gone() {
    let server = Server::start_with(&[]);
    let address = server.address();
    let hot = query("temperature > 90");
    let mut stream = Stream::open(address, &hot);
    let first = ready(&mut stream);
    assert_eq!(elements(&first), BTreeMap::new());
    let said = &first[0];
    assert_eq!(
        (&said["key"], &said["data"]["query"]),
        (&json!("query"), &json!("temperature > 90"))
    );
    assert_eq!(said["data"]["mode"], "stream");

    send(&server, &[("temperature", "oslo", 95.0), ("temperature", "bergen", 20.0)]);
    let oslo = "temperature{site=\"oslo\"}";
    assert_eq!(change(&mut stream), (oslo.into(), json!(95)));
    send(&server, &[("temperature", "oslo", 96.5)]);
    assert_eq!(change(&mut stream), (oslo.into(), json!(96.5)));

    // Whoever comes later, and writes it otherwise, follows the same query and has all of it.
    let mut other = Lines::open(address, &query(" temperature>90.0 "));
    let before = other.until_ready();
    assert_eq!(elements(&before), BTreeMap::from([(oslo.to_owned(), json!(96.5))]));
    assert_eq!(before[0]["topic"], said["topic"]);

    send(&server, &[("temperature", "oslo", 80.0), ("temperature", "bergen", 91.0)]);
    let changes = BTreeMap::from([change(&mut stream), change(&mut stream)]);
    let bergen = "temperature{site=\"bergen\"}";
    let expected = [(oslo.to_owned(), json!(null)), (bergen.to_owned(), json!(91))];
    assert_eq!(changes, BTreeMap::from(expected));
    assert_eq!(elements(&other.events(2)), changes);

    let path =
        format!("/api/v1/{}", query("temperature > 90").replacen("query=", "query?query=", 1));
    let truth = get(address, &path).json();
    assert_eq!(truth["data"]["result"][0]["metric"]["site"], "bergen");
    assert_eq!(truth["data"]["result"].as_array().map(Vec::len), Some(1));
}

#[test]
fn queries_and_topics_share_a_stream_and_a_long_poll() {
    let server = Server::start_with(&[]);
    let address = server.address();
    let both = format!("{}&{}&topic=chat/*", query("sum(t)"), query("1 + 1"));
    let mut stream = Stream::open(address, &both);
    let number = json!(2);
    assert_eq!(elements(&ready(&mut stream)), BTreeMap::from([("{}".to_owned(), number.clone())]));
    post(address, "/v1/topics/chat/a", "hello");
    assert_eq!(stream.events(1)[0].json()["topic"], "chat/a");
    send(&server, &[("t", "oslo", 1.0), ("t", "bergen", 2.0)]);
    assert_eq!(change(&mut stream), ("{}".to_owned(), json!(3)));

    let headers = [("Accept", "application/json")];
    let path = format!("/v1/events?{}", query("1 + 1"));
    let poll = crate::harness::Request { method: "GET", path: &path, headers: &headers, body: b"" };
    let answer = crate::harness::request(address, poll).json();
    let events = answer["events"].as_array().expect("events");
    assert_eq!(elements(events), BTreeMap::from([("{}".to_owned(), number)]));
}

/// The next thing that is said of a query itself.
fn said(stream: &mut Stream) -> Value {
    loop {
        let event = stream.events(1)[0].json();
        if event["key"] == "query" {
            return event;
        }
    }
}

#[test]
fn a_query_that_comes_to_select_too_much_says_why_it_ends() {
    let server = Server::start_with(&[]);
    let mut stream = Stream::open(server.address(), &query("sum(wide)"));
    ready(&mut stream);
    let sites: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let samples: Vec<_> = sites.iter().map(|site| ("wide", &**site, 1.0)).collect();
    send(&server, &samples);
    let ended = said(&mut stream);
    let error = ended["data"]["error"].as_str().expect("an error");
    assert_eq!(error, "it has ended: one evaluation of it looks at more than 10000 series");
    assert_eq!(said(&mut stream)["deleted"], true);
}

#[test]
fn a_query_says_that_a_value_has_no_room_on_its_topic() {
    let server = Server::start_with(&[]);
    let mut stream = Stream::open(server.address(), &query("long"));
    ready(&mut stream);
    let labels: BTreeMap<String, String> =
        (0..20).map(|number| (format!("l{number}"), "x".repeat(4_000))).collect();
    let sample = json!({ "name": "long", "labels": labels, "value": 1 }).to_string();
    let answer = post(server.address(), "/v1/samples", sample);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let error = said(&mut stream)["data"]["error"].clone();
    let error = error.as_str().expect("an error");
    assert!(error.starts_with("the answer is not whole: "), "{error}");
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let server = Server::start_with(&[]);
    let address = server.address();
    for (text, said) in [
        ("", "1:1: the expression is empty"),
        ("sum(", "1:4: "),
        ("x[5m]", "1:1: "),
        ("'text'", "1:1: "),
        ("x @ 10", "1:3: "),
    ] {
        let answer = get(address, &format!("/v1/events?{}", query(text)));
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!("query_invalid")),
            "{text}"
        );
        let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.starts_with(said), "{text}: {detail}");
    }
    let publish = post(address, "/v1/topics/query/x", "1");
    assert_eq!((publish.status, &publish.json()["code"]), (403, &json!("topic_reserved")));
}
