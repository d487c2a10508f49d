//! State topics: the newest value of each key, whoever comes when and however slowly.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Lines, Raw, Request, Server, Stream, StreamItem, delete, get, post, request};

const CONFIG: &str = "[[topic]]\nmatch = \"tickers/**\"\nkind = \"state\"\n";

/// A server with state topics, and the folder of its configuration.
pub(crate) fn start() -> (Server, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellwire.toml");
    std::fs::write(&file, CONFIG).expect("written");
    let server = Server::start_with(&["--config", file.to_str().expect("UTF-8")]);
    (server, folder)
}

pub(crate) fn put(address: SocketAddr, topic: &str, key: &str, value: &str) {
    let path = format!("/v1/topics/{topic}");
    let headers = [("Bellwire-Key", key), ("Content-Type", "application/json")];
    let request =
        Request { method: "POST", path: &path, headers: &headers, body: value.as_bytes() };
    let answer = crate::harness::request(address, request);
    assert_eq!(answer.status, 201);
    assert!(answer.json()["version"].is_string(), "{}", answer.text());
}

/// `key=data` of each event; a deleted one is `-key`.
fn summary<'a>(events: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let summary = |event: &Value| {
        assert_eq!(event.get("cursor"), None, "{event}");
        let key = event["key"].as_str().expect("a key");
        if event["deleted"] == true {
            assert_eq!(event.get("data"), None, "{event}");
            return format!("-{key}");
        }
        format!("{key}={}", event["data"])
    };
    events.into_iter().map(summary).collect()
}

fn snapshot(stream: &mut Stream) -> Vec<String> {
    let events: Vec<Value> = stream.until_ready().iter().map(StreamItem::json).collect();
    summary(&events)
}

#[test]
fn current_values_come_first_and_changes_follow() {
    let (server, _folder) = start();
    let address = server.address();
    for (key, value) in [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2"), ("d", "1")] {
        put(address, "tickers/x", key, value);
    }
    assert_eq!(delete(address, "/v1/topics/tickers/x?key=c").status, 204);
    put(address, "tickers/y", "a", "7");
    let expected = ["b=1", "a=2", "d=1", "a=7"];

    let mut sse = Stream::open(address, "topic=tickers/*");
    assert_eq!(snapshot(&mut sse), expected);
    let mut lines = Lines::open(address, "topic=tickers/*");
    let before = lines.until_ready();
    assert_eq!(summary(&before[..before.len() - 1]), expected);
    let history = get(address, "/v1/topics/tickers/x").json();
    assert_eq!(summary(history["events"].as_array().expect("events")), &expected[..3]);

    // One at a time: who is slow may skip a value that is replaced at once.
    let changes: [(&str, &dyn Fn()); 3] = [
        ("b=3", &|| put(address, "tickers/x", "b", "3")),
        ("-b", &|| assert_eq!(delete(address, "/v1/topics/tickers/x?key=b").status, 204)),
        ("ü=[1]", &|| put(address, "tickers/x", "ü", "[1]")),
    ];
    for (expected, change) in changes {
        change();
        let event = sse.events(1)[0].json();
        assert_eq!(summary([&event]), [expected]);
        assert_eq!(lines.events(1), [event]);
    }
}

#[test]
fn values_have_no_id_so_that_a_stream_beside_them_resumes() {
    let (mut server, _folder) = start();
    let address = server.address();
    let query = "topic=tickers/**&topic=lab/a";
    let mut stream = Stream::open(address, query);
    let ready = stream.next_of("ready");
    put(address, "tickers/x", "k", "1");
    assert_eq!(stream.events(1)[0].id, ready.id, "the last event id stays");
    let first = post(address, "/v1/topics/lab/a", "{\"n\":1}").cursor();
    assert_eq!(stream.events(1)[0].id, first);
    put(address, "tickers/x", "k", "2");
    post(address, "/v1/topics/lab/a", "{\"n\":2}");

    let mut resumed = Stream::resume(address, query, &first);
    let mut got: Vec<String> =
        resumed.until_ready().iter().map(|item| item.payload().to_string()).collect();
    got.sort();
    assert_eq!(got, ["2", "{\"n\":2}"], "the value as it is now, and the stream's rest");

    // Values are in memory; a restart begins without them, and the stream goes on.
    server.restart();
    let mut resumed = Stream::resume(address, query, &first);
    let events = resumed.until_ready();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].payload(), json!({"n": 2}));
}

#[test]
fn who_reconnects_gets_what_there_is_without_what_was_deleted() {
    let (server, _folder) = start();
    let address = server.address();
    let mut witness = Stream::open(address, "topic=tickers/x");
    for n in 0..200 {
        put(address, "tickers/x", &format!("k{n}"), "1");
    }
    witness.events(200);
    drop(Stream::open(address, "topic=tickers/x"));
    for n in 0..199 {
        let path = format!("/v1/topics/tickers/x?key=k{n}");
        assert_eq!(delete(address, &path).status, 204);
    }
    let mut again = Stream::open(address, "topic=tickers/x");
    assert_eq!(snapshot(&mut again), ["k199=1"]);
    let deleted = witness.events(199);
    assert!(deleted.iter().all(|item| item.json()["deleted"] == true));
}

#[test]
fn what_does_not_fit_a_state_topic_is_refused() {
    let (server, _folder) = start();
    let address = server.address();
    put(address, "tickers/x", "k", "1");
    let codes = |answer: crate::harness::Answer| (answer.status, answer.json()["code"].clone());
    let cases = [
        (post(address, "/v1/topics/tickers/x", "1"), 400, "key_missing"),
        (delete(address, "/v1/topics/tickers/x"), 400, "key_missing"),
        (delete(address, "/v1/topics/tickers/x?key=other"), 404, "key_not_found"),
        (delete(address, "/v1/topics/tickers/none?key=k"), 404, "key_not_found"),
        (delete(address, "/v1/topics/lab/a?key=k"), 409, "kind_mismatch"),
        (delete(address, "/v1/topics/alerts/active?key=k"), 403, "topic_reserved"),
    ];
    for (answer, status, code) in cases {
        assert_eq!(codes(answer), (status, json!(code)));
    }
    let large = vec![b'x'; 64 * 1024 + 1];
    let headers = [("Bellwire-Key", "k"), ("Content-Type", "text/plain")];
    let path = "/v1/topics/tickers/x";
    let answer =
        request(address, Request { method: "POST", path, headers: &headers, body: &large });
    assert_eq!(codes(answer), (413, json!("event_too_large")));
    let batch = r#"[{"topic":"tickers/x","data":1},{"topic":"tickers/x","key":"k","data":2},
        {"topic":"lab/a","data":3}]"#;
    let results = post(address, "/v1/events", batch).json()["results"].clone();
    assert_eq!(results[0]["error"]["code"], "key_missing");
    assert!(results[1]["version"].is_string());
    assert!(results[2]["cursor"].is_string());
    let mut stream = Stream::open(address, "topic=tickers/**");
    assert_eq!(snapshot(&mut stream), ["k=2"]);
}

/// Puts `{"n":round,"x":…}` of 10 KB under each of 100 keys, in one batch.
fn put_all(raw: &mut Raw, round: u64) {
    let filler = "x".repeat(10_000);
    let mut lines = String::new();
    for key in 0..100 {
        let data = format!("{{\"n\":{round},\"x\":\"{filler}\"}}");
        writeln!(lines, "{{\"topic\":\"tickers/x\",\"key\":\"{key}\",\"data\":{data}}}")
            .expect("a text grows");
    }
    let answer = raw.try_post("/v1/events", "", lines).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("error"), "{}", answer.text());
}

#[test]
fn a_slow_reader_skips_to_the_newest_value_of_each_key() {
    const ROUNDS: u64 = 60;
    let (server, _folder) = start();
    let address = server.address();
    let mut slow: Vec<Stream> = (0..5).map(|_| Stream::open(address, "topic=tickers/*")).collect();
    for stream in &mut slow {
        stream.until_ready();
    }
    let mut raw = Raw::connect(address);
    for round in 1..=ROUNDS {
        put_all(&mut raw, round);
    }
    put(address, "tickers/x", "end", "1");
    for stream in &mut slow {
        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = 0;
        loop {
            let event = stream.events(1)[0].json();
            let key = event["key"].as_str().expect("a key");
            if key == "end" {
                break;
            }
            let round = event["data"]["n"].as_u64().expect("a round");
            let before = newest.insert(key.to_owned(), round);
            assert!(before < Some(round), "{key}: {round} after {before:?}");
            count += 1;
        }
        assert_eq!(newest.len(), 100);
        assert!(newest.values().all(|round| *round == ROUNDS), "{newest:?}");
        assert!(count < ROUNDS * 100, "nothing was skipped");
    }
}

#[test]
fn all_who_follow_agree_on_the_end_whoever_wrote_last() {
    let (server, _folder) = start();
    let address = server.address();
    let mut streams: Vec<Stream> =
        (0..4).map(|_| Stream::open(address, "topic=tickers/race")).collect();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                let mut raw = Raw::connect(address);
                for n in 0..100 {
                    let key = format!("Bellwire-Key: {}\r\n", n % 3);
                    let body = format!("\"{writer}-{n}\"");
                    let answer = raw.try_post("/v1/topics/tickers/race", &key, body);
                    assert_eq!(answer.expect("an answer").status, 201);
                }
            });
        }
    });
    put(address, "tickers/race", "end", "1");
    let mut now = Stream::open(address, "topic=tickers/race");
    let mut expected = snapshot(&mut now);
    expected.sort();
    assert_eq!(expected.len(), 4);
    for stream in &mut streams {
        let mut newest: BTreeMap<String, String> = BTreeMap::new();
        while !newest.contains_key("end") {
            let event = stream.events(1)[0].json();
            let key = event["key"].as_str().expect("a key").to_owned();
            newest.insert(key, summary([&event]).remove(0));
        }
        let mut newest: Vec<String> = newest.into_values().collect();
        newest.sort();
        assert_eq!(newest, expected);
    }
}

#[test]
fn a_rate_holds_back_what_comes_too_soon_for_all_who_ask_for_it() {
    let (server, _folder) = start();
    let address = server.address();
    let mut seldom = Stream::open(address, "topic=tickers/**&topic=lab/a&max_rate=0.001");
    let mut always = Stream::open(address, "topic=tickers/**");
    seldom.until_ready();
    always.until_ready();
    for (key, value) in [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1")] {
        put(address, "tickers/x", key, value);
        assert_eq!(summary([&always.events(1)[0].json()]), [format!("{key}={value}")]);
    }
    assert_eq!(delete(address, "/v1/topics/tickers/x?key=b").status, 204);
    let cursor = post(address, "/v1/topics/lab/a", "{\"n\":1}").cursor();
    let got: Vec<Value> = seldom.events(3).iter().map(StreamItem::json).collect();
    assert_eq!(summary(&got[..2]), ["a=1", "b=1"], "the first change of each key");
    assert_eq!(got[2]["cursor"], json!(cursor), "streams have no rate");
    // Who comes later sees what the others see.
    let mut later = Stream::open(address, "topic=tickers/**&topic=lab/a&max_rate=0.001");
    assert_eq!(snapshot(&mut later), ["a=1", "b=1"]);
    let poll = request(
        address,
        Request {
            method: "GET",
            path: "/v1/events?topic=tickers/**&max_rate=0.001",
            headers: &[("Accept", "application/json")],
            body: b"",
        },
    );
    assert_eq!(summary(poll.json()["events"].as_array().expect("events")), ["a=3"]);
}

#[test]
fn what_a_rate_holds_back_comes_when_it_is_due() {
    let (server, _folder) = start();
    let address = server.address();
    let mut stream = Stream::open(address, "topic=tickers/x&max_rate=50");
    stream.until_ready();
    for n in 1..=200 {
        put(address, "tickers/x", "k", &n.to_string());
    }
    let mut newest = 0;
    while newest < 200 {
        let data = stream.events(1)[0].json()["data"].as_u64().expect("a number");
        assert!(newest < data, "{data} after {newest}");
        newest = data;
    }
    put(address, "tickers/x", "k", "201");
    assert_eq!(delete(address, "/v1/topics/tickers/x?key=k").status, 204);
    let mut last = String::new();
    while last != "-k" {
        last = summary([&stream.events(1)[0].json()]).remove(0);
    }
}
