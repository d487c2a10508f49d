//! Topics that end: told on every transport in their place, once and for all, and lasting.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Http2, Lines, Process, Request, Server, Spoken, Stream, WebSocket, get, post, request,
};

const JSON: (&str, &str) = ("Accept", "application/json");
const END: &[(&str, &str)] = &[("Bellwire-End", "true")];
const REOPEN: &[(&str, &str)] = &[("Bellwire-End", "false")];

fn say(address: SocketAddr, topic: &str, (headers, body): (&[(&str, &str)], &str)) -> Answer {
    let path = format!("/v1/topics/{topic}");
    let body = body.as_bytes();
    request(address, Request { method: "POST", path: &path, headers, body })
}

/// Ends a topic by itself; returns the cursor of that.
fn end(address: SocketAddr, topic: &str) -> String {
    let answer = say(address, topic, (END, ""));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["end"].as_str().expect("a cursor").to_owned()
}

fn publish(address: SocketAddr, topic: &str, n: u64) -> String {
    post(address, &format!("/v1/topics/{topic}"), n.to_string()).cursor()
}

fn ask(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/v1/events?{query}");
    request(address, Request { method: "GET", path: &path, headers, body: b"" })
}

fn code(answer: &Answer) -> Value {
    answer.json()["code"].clone()
}

fn told(topic: &str, cursor: &str) -> Value {
    json!({"control": "end", "topic": topic, "cursor": cursor})
}

#[test]
fn an_end_comes_behind_the_last_event_and_closes_the_stream_for_good() {
    let server = Server::start();
    let address = server.address();
    publish(address, "jobs/7", 1);
    let mut followers: Vec<_> = ["", "&format=raw", "&after=earliest"]
        .into_iter()
        .map(|more| Stream::open(address, &format!("topic=jobs/7{more}")))
        .collect();
    let mut lines = Lines::open(address, "topic=jobs/7");
    for follower in &mut followers {
        follower.until_ready();
    }
    lines.until_ready();
    let last = say(address, "jobs/7", (END, "2"));
    assert_eq!(last.status, 201, "{}", last.text());
    let (cursor, at) = (last.cursor(), last.json()["end"].as_str().expect("an end").to_owned());
    for follower in &mut followers {
        let event = follower.next().expect("the last event");
        assert_eq!((event.event_type.as_str(), event.id), ("message", cursor.clone()));
        let end = follower.next().expect("the end");
        assert_eq!((end.event_type.as_str(), &end.id), ("end", &at));
        assert_eq!(end.json(), told("jobs/7", &at));
        assert_eq!(follower.next(), None, "the stream ends in order");
    }
    assert_eq!(lines.next().expect("the last event")["cursor"], json!(cursor));
    assert_eq!(lines.next().expect("the end"), told("jobs/7", &at));
    assert_eq!(lines.next(), None);

    // Who comes back has nothing to come back for, on each transport that has a status.
    for accept in ["text/event-stream", "application/x-ndjson", "application/json"] {
        let headers = [("Accept", accept), ("Last-Event-ID", at.as_str())];
        let answer = ask(address, "topic=jobs/7&wait=10s", &headers);
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{accept}");
        let headers = [("Accept", accept)];
        let head = Request {
            method: "HEAD",
            path: &format!("/v1/events?topic=jobs/7&after={at}"),
            headers: &headers,
            body: b"",
        };
        assert_eq!(request(address, head).status, 204, "{accept}");
    }
    let mut http2 = Http2::plain(address);
    assert_eq!(http2.get(&format!("/v1/events?topic=jobs/7&after={at}")).status, 204);
    let mut over_http2 = http2.stream(&format!("topic=jobs/7&after={cursor}"), &[]);
    assert_eq!(http2.next_of(&mut over_http2, "end").json(), told("jobs/7", &at));
    assert_eq!(http2.next_of(&mut over_http2, "ready").id, at);
    assert_eq!(http2.next(&mut over_http2), None);

    // Who was not there is told, be it by the entry or, for whoever wants no history, beside it.
    for (query, events) in [("&after=earliest", 2), (&format!("&after={cursor}"), 0), ("", 0)] {
        let mut late = Stream::open(address, &format!("topic=jobs/7{query}"));
        let before = late.until_ready();
        assert_eq!(before.len(), events + 1, "{query}: {before:?}");
        assert_eq!(before[events].event_type, "end");
        assert_eq!(before[events].json()["topic"], "jobs/7");
        assert_eq!(late.next(), None, "{query}");
    }
}

#[test]
fn what_is_published_to_an_ended_topic_is_refused_until_it_is_reopened() {
    let server = Server::start();
    let address = server.address();
    let keyed = [("Bellwire-End", "true"), ("Idempotency-Key", "k")];
    let last = say(address, "jobs/7", (&keyed, "1"));
    let again = say(address, "jobs/7", (&keyed, "1"));
    assert_eq!(again.json()["duplicate"], true);
    assert_eq!((again.cursor(), &again.json()["end"]), (last.cursor(), &last.json()["end"]));
    let refused = post(address, "/v1/topics/jobs/7", "2");
    assert_eq!((refused.status, code(&refused)), (409, json!("topic_ended")));
    let at = last.json()["end"].as_str().expect("an end").to_owned();
    assert!(refused.text().contains(&at), "{}", refused.text());
    let refused = say(address, "jobs/7", (END, "2"));
    assert_eq!((refused.status, code(&refused)), (409, json!("topic_ended")));
    let twice = say(address, "jobs/7", (END, ""));
    assert_eq!(twice.json(), json!({"end": at, "duplicate": true}));

    // In a batch it costs itself alone, and an end counts for what stands behind it.
    let batch = r#"[{"topic":"jobs/7","data":1},{"topic":"jobs/8","data":1},
        {"topic":"jobs/9","end":true,"data":1},{"topic":"jobs/9","data":2},
        {"topic":"jobs/8","end":true},{"topic":"jobs/7","end":false},{"topic":"jobs/7","data":3},
        {"topic":"jobs/7","end":false,"data":1},{"topic":"alerts/active","end":true}]"#;
    let answer = post(address, "/v1/events", batch);
    let results = answer.json()["results"].as_array().expect("results").clone();
    let wrong = |index: usize| results[index]["error"]["code"].as_str();
    let wrongs: Vec<_> = (0..results.len()).map(wrong).collect();
    let (ok, ended) = (None, Some("topic_ended"));
    let (invalid, reserved) = (Some("event_invalid"), Some("topic_reserved"));
    assert_eq!(wrongs, [ended, ok, ok, ended, ok, ok, ok, invalid, reserved]);
    assert!(results[2]["cursor"].is_string() && results[2]["end"].is_string());
    assert!(results[4]["end"].is_string() && results[5]["reopened"].is_string());

    for (headers, body, status) in [
        (&[("Bellwire-End", "yes")][..], "", 400),
        (REOPEN, "1", 400),
        (REOPEN, "", 201),
        (&[("Bellwire-End", "true"), ("ce-specversion", "1.0")], "1", 400),
    ] {
        assert_eq!(say(address, "jobs/8", (headers, body)).status, status, "{headers:?} {body}");
    }
    assert_eq!(say(address, "alerts/active", (END, "")).status, 403);
    let listed = get(address, "/v1/topics?prefix=jobs/").json();
    let ended = |index: usize| listed["topics"][index].get("ended").cloned();
    assert_eq!([ended(0), ended(1), ended(2)], [None, None, Some(json!(true))]);

    for spoken in Spoken::BOTH {
        let mut socket = WebSocket::open_as(address, "", spoken);
        socket.until_ready(&Value::Null);
        let publish = |more: Value| {
            let mut ask = json!({"request": "publish", "id": 1, "topic": "jobs/10"});
            ask.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("one"));
            ask
        };
        let reply = socket.call(&publish(json!({"data": 1, "end": true})));
        assert!(reply["cursor"].is_string() && reply["end"].is_string(), "{reply}");
        let reply = socket.call(&publish(json!({"data": 1})));
        assert_eq!(reply["error"]["code"], "topic_ended");
        assert_eq!(socket.call(&publish(json!({"end": true})))["duplicate"], true);
        assert!(socket.call(&publish(json!({"end": false})))["reopened"].is_string());
        assert!(socket.call(&publish(json!({"data": 2})))["cursor"].is_string());
    }
}

#[test]
fn one_topic_of_several_ends_and_the_stream_goes_on() {
    let server = Server::start();
    let address = server.address();
    let mut both = Stream::open(address, "topic=jobs/1&topic=jobs/2");
    let mut wild = Stream::open(address, "topic=jobs/*");
    for stream in [&mut both, &mut wild] {
        stream.until_ready();
    }
    let first = end(address, "jobs/1");
    let between = publish(address, "jobs/2", 1);
    let second = end(address, "jobs/2");
    let elsewhere = publish(address, "jobs/3", 1);
    for (stream, goes_on) in [(&mut both, false), (&mut wild, true)] {
        assert_eq!(stream.next().expect("an end").json(), told("jobs/1", &first));
        assert_eq!(stream.next().expect("an event").id, between);
        assert_eq!(stream.next().expect("an end").json(), told("jobs/2", &second));
        if goes_on {
            assert_eq!(stream.next().expect("an event").id, elsewhere);
        } else {
            assert_eq!(stream.next(), None);
        }
    }
    // Between the two there is something to come for; with a wildcard there always is.
    let mut back = Stream::resume(address, "topic=jobs/1&topic=jobs/2", &first);
    let ids: Vec<_> = back.until_ready().into_iter().map(|item| item.id).collect();
    assert_eq!(ids, [between, second.clone()]);
    assert_eq!(back.next(), None);
    let answer = ask(address, &format!("topic=jobs/*&after={elsewhere}"), &[JSON]);
    assert_eq!(answer.status, 200);
    let status = |query: &str| ask(address, query, &[JSON]).status;
    assert_eq!(status(&format!("topic=jobs/1&topic=jobs/2&after={second}")), 204);
    assert_eq!(status(&format!("topic=jobs/1&topic=jobs/3&after={elsewhere}")), 200);

    let reopened = say(address, "jobs/1", (REOPEN, "")).json()["reopened"].clone();
    let goes_on = wild.next().expect("it goes on");
    assert_eq!(
        goes_on.json(),
        json!({"control": "reopened", "topic": "jobs/1", "cursor": reopened})
    );
    // It has not ended any more for whoever passes its old end.
    let mut passing = Stream::open(address, "topic=jobs/1&after=earliest");
    let types: Vec<_> = passing.until_ready().into_iter().map(|item| item.event_type).collect();
    assert_eq!(types, ["end", "reopened"]);
    let next = publish(address, "jobs/1", 2);
    assert_eq!(passing.next().expect("an event").id, next);
}

#[test]
fn polls_and_pages_have_ends_beside_their_events() {
    let server = Server::start();
    let address = server.address();
    let first = publish(address, "jobs/7", 1);
    publish(address, "jobs/8", 1);
    let at = end(address, "jobs/7");
    let poll = |query: &str| ask(address, query, &[JSON]).json();
    let answer = poll(&format!("topic=jobs/7&topic=jobs/8&after={first}"));
    assert_eq!(answer["events"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!((&answer["ends"], &answer["cursor"]), (&json!([told("jobs/7", &at)]), &json!(at)));
    // Who knows it is not told again, and waits.
    let answer = poll(&format!("topic=jobs/7&topic=jobs/8&after={at}"));
    assert_eq!(answer, json!({"events": [], "more": false, "cursor": at}));
    // Who begins without a cursor has not heard of it, and need not wait.
    let answer = poll("topic=jobs/7&wait=60s");
    let ends = json!([told("jobs/7", &at)]);
    assert_eq!(answer, json!({"events": [], "more": false, "ends": ends, "cursor": at}));
    let page = get(address, "/v1/topics/jobs/7").json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!((&page["ends"], &page["cursor"]), (&json!([told("jobs/7", &at)]), &json!(at)));
    let waiting = std::thread::spawn(move || ask(address, "topic=jobs/8&wait=60s", &[JSON]).json());
    server.wait_for_figure("bellwire_polls_waiting", 1);
    let later = end(address, "jobs/8");
    let answer = waiting.join().expect("an answer");
    assert_eq!(answer["ends"], json!([told("jobs/8", &later)]));
}

#[test]
fn a_websocket_is_told_and_stays() {
    let server = Server::start();
    let address = server.address();
    publish(address, "jobs/7", 1);
    let early = end(address, "jobs/6");
    for (number, spoken) in Spoken::BOTH.into_iter().enumerate() {
        let topic = format!("jobs/1{number}");
        let mut socket = WebSocket::open_as(address, &format!("topic={topic}"), spoken);
        socket.until_ready(&Value::Null);
        let at = end(address, &topic);
        assert_eq!(socket.next(), told(&topic, &at));
        let items = socket.subscribe(1, &["jobs/6"], "latest");
        assert_eq!((&items[0]["control"], &items[0]["topic"]), (&json!("end"), &json!("jobs/6")));
        assert_eq!(items.len(), 2, "{items:?}");
        let items = socket.subscribe(2, &["jobs/6"], "earliest");
        assert_eq!(items[0], told("jobs/6", &early));
        // A cursor is good for what talks, too: it has other things to do.
        let mut back = WebSocket::open_as(address, &format!("topic={topic}&after={at}"), spoken);
        let items = back.until_ready(&Value::Null);
        assert_eq!(items[items.len() - 1]["control"], "ready");
    }
}

#[test]
fn an_end_outlives_the_process_and_what_was_in_the_topic() {
    let mut server = Server::start_with(&["--retention-age", "1s"]);
    let before = publish(server.address(), "jobs/7", 1);
    let at = end(server.address(), "jobs/7");
    server.kill();
    server.restart();
    let address = server.address();
    let refused = post(address, "/v1/topics/jobs/7", "2");
    assert_eq!((refused.status, code(&refused)), (409, json!("topic_ended")));
    assert_eq!(ask(address, &format!("topic=jobs/7&after={at}"), &[JSON]).status, 204);
    let mut stream = Stream::resume(address, "topic=jobs/7", &before);
    assert_eq!(stream.next_of("end").json(), told("jobs/7", &at));
    assert_eq!(stream.next_of("ready").id, at);
    assert_eq!(stream.next(), None);
}

#[test]
fn subscribe_ends_in_order_when_all_that_it_follows_has_ended() {
    let server = Server::start();
    let address = server.address();
    let url = server.url();
    let start = |topics: &[&str]| {
        let arguments = [&["subscribe"], topics, &["--server", &url, "--data-only"]].concat();
        let mut subscriber = Process::start(&arguments);
        subscriber.wait_for_error("ready");
        subscriber
    };
    let subscriber = start(&["jobs/7", "jobs/8"]);
    publish(address, "jobs/7", 1);
    end(address, "jobs/7");
    publish(address, "jobs/8", 2);
    let arguments = ["publish", "jobs/8", "3", "--end", "--server", &url];
    let (status, cursor, errors) = Process::start(&arguments).finish();
    assert_eq!(status, Some(0), "{errors}");
    assert!(cursor.starts_with('e'), "{cursor}");
    let (status, printed, errors) = subscriber.finish();
    assert_eq!((status, printed.as_str()), (Some(0), "1\n2\n3\n"), "{errors}");
    assert!(
        errors.contains("`jobs/7` has ended") && errors.contains("`jobs/8` has ended"),
        "{errors}"
    );
    assert!(!errors.contains("reconnecting"), "{errors}");
    // Who comes later learns it, too.
    let arguments = ["subscribe", "jobs/8", "--server", &url, "--data-only"];
    let (status, printed, errors) = Process::start(&arguments).finish();
    assert_eq!((status, printed.as_str()), (Some(0), ""), "{errors}");
    let arguments = ["publish", "jobs/8", "--reopen", "--server", &url];
    assert_eq!(Process::start(&arguments).finish().0, Some(0));
    publish(address, "jobs/8", 4);
    let arguments = ["publish", "jobs/8", "--end", "--server", &url];
    assert_eq!(Process::start(&arguments).finish().0, Some(0));
    let refused = Process::start(&["publish", "jobs/8", "5", "--server", &url]).finish();
    assert_ne!(refused.0, Some(0));
}
