//! What a query was before anybody followed it.

use bellwire_process::clock;
use serde_json::{Value, json};

use super::{query, ready, send};
use crate::harness::{Server, Spoken, Stream, WebSocket, get, post};

/// Sends what two sensors have measured in the last ten minutes, every ten seconds up to now: a counter
/// that grows by one each second, and twice as fast.
fn measure(server: &Server, ends_ms: i64) {
    let mut shown = Stream::open(server.address(), "topic=samples/**");
    shown.until_ready();
    for step in (0..=60i64).rev() {
        let time = ends_ms - step * 10_000;
        let samples = [("oslo", 1.0), ("rome", 2.0)].map(|(site, speed)| {
            let value = (600 - step * 10) as f64 * speed;
            json!({ "name": "t", "labels": { "site": site }, "value": value, "timestamp": time })
        });
        let answer = post(server.address(), "/v1/samples", json!(samples).to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // Who reads slowly is shown the newest of each alone.
    let mut left = 2;
    while left > 0 {
        left -= usize::from(shown.events(1)[0].json()["data"]["timestamp"] == json!(ends_ms));
    }
}

/// The past of an element among events, as times and values.
fn past(events: &[Value], key: &str) -> Vec<(i64, f64)> {
    let event = events.iter().find(|event| event["key"] == key && event["type"] == "history");
    let event = event.unwrap_or_else(|| panic!("no past of {key} among {events:?}"));
    let numbers = |name: &str| event["data"][name].as_array().expect("a list").clone();
    let times = numbers("timestamps").into_iter().map(|time| time.as_i64().expect("a time"));
    let values = numbers("values").into_iter().map(|value| value.as_f64().expect("a number"));
    times.zip(values).collect()
}

#[test]
fn a_query_that_nobody_has_followed_opens_full_and_goes_on_without_a_seam() {
    let server = Server::start_with(&[]);
    let address = server.address();
    let ends_ms = clock::now().as_ms();
    measure(&server, ends_ms);
    // No rule has ever looked at these series.
    let mut stream = Stream::open(address, &format!("{}&history=15m", query("sum(t)")));
    let whole = past(&ready(&mut stream), "{}");
    let (first, last) = (whole[0], whole[whole.len() - 1]);
    assert!(first.0 <= ends_ms - 9 * 60_000 && last.0 >= ends_ms, "{first:?} {last:?} {ends_ms}");
    assert!(whole.len() > 60, "{}", whole.len());
    assert!(whole.is_sorted_by(|one, other| one.0 < other.0), "nothing twice: {whole:?}");
    assert!((last.1 - 1_800.0).abs() < 0.01, "{last:?}");
    for (time, value) in &whole[..whole.len() - 1] {
        // The newest sample of each sensor that is remembered: older ones are thinned to one in four.
        let now = ((time - ends_ms) as f64 / 1_000.0 + 600.0).min(600.0) * 3.0;
        assert!(*value <= now + 0.01 && *value >= now - 40.0 * 3.0, "{time} {value} {now}");
    }
    // What comes next is newer than all of it.
    send(&server, &[("t", "oslo", 700.0)]);
    let next = loop {
        let event = stream.events(1)[0].json();
        if event["key"] == "{}" {
            break event;
        }
    };
    assert_eq!(next["data"]["value"], json!(1_900));
    assert!(next["data"]["timestamp"].as_i64().expect("a time") > last.0);

    // Others find it there, and it is made once.
    let topic = next["topic"].as_str().expect("a topic");
    let read = get(address, &format!("/v1/topics/{topic}?history=15m")).json();
    let read = past(read["events"].as_array().expect("events"), "{}");
    assert!(read.is_sorted_by(|one, other| one.0 < other.0), "nothing twice: {read:?}");
    assert!(read.len() > 60 && read.contains(&last), "{read:?}");
    assert!((read[read.len() - 1].1 - 1_900.0).abs() < 0.01, "{read:?}");
}

#[test]
fn ranges_are_full_from_the_beginning_and_a_websocket_has_it_too() {
    let server = Server::start_with(&[]);
    let address = server.address();
    let ends_ms = clock::now().as_ms();
    measure(&server, ends_ms);
    let mut socket = WebSocket::open_as(address, "", Spoken::Json);
    socket.until_ready(&json!(null));
    let asked = json!({
        "request": "subscribe", "id": 1, "queries": ["rate(t[2m])"], "history": "15m"
    });
    assert_eq!(socket.call(&asked), json!({ "reply": 1 }));
    let events = socket.until_ready(&json!(1));
    for (site, speed) in [("oslo", 1.0), ("rome", 2.0)] {
        let whole = past(&events, &format!("{{site=\"{site}\"}}"));
        assert!(whole.len() > 40, "{}", whole.len());
        // Where the range is full of samples: they begin ten minutes ago.
        for (time, value) in whole.into_iter().filter(|it| it.0 > ends_ms - 7 * 60_000) {
            assert!((value - speed).abs() < 0.25 * speed, "{site} {time} {value}");
        }
    }
}

#[test]
fn without_a_past_of_series_or_a_wish_for_it_a_query_begins_with_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellwire.toml");
    let text = "[[samples.history]]\nmatch = \"query/**\"\nkeep = \"0s\"\n";
    std::fs::write(&file, text).expect("written");
    let server = Server::start_with(&["--config", file.to_str().expect("text")]);
    measure(&server, clock::now().as_ms());
    let mut stream = Stream::open(server.address(), &format!("{}&history=15m", query("sum(t)")));
    let events = ready(&mut stream);
    assert!(events.iter().all(|event| event["type"] != "history"), "{events:?}");

    let server = Server::start_with(&[]);
    measure(&server, clock::now().as_ms());
    let mut stream = Stream::open(server.address(), &query("sum(t)"));
    let events = ready(&mut stream);
    assert!(events.iter().all(|event| event["key"] != "{}"), "{events:?}");
}
