//! The recent past of series: what charts are full of when they open.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bellwire_process::clock;
use serde_json::{Value, json};

use crate::harness::{Lines, Server, Stream, WebSocket, get, post};

/// Sends a sample of a sensor, and waits until it is shown.
fn measure(server: &Server, shown: &mut Stream, (site, time_ms, value): (&str, i64, f64)) {
    let sample = json!({
        "name": "temperature", "labels": { "site": site }, "value": value, "timestamp": time_ms
    });
    let answer = post(server.address(), "/v1/samples", sample.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    shown.events(1);
}

fn read(address: SocketAddr, query: &str) -> Vec<Value> {
    let answer = get(address, &format!("/v1/topics/samples/temperature{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["events"].as_array().expect("events").clone()
}

#[test]
fn the_past_of_a_topics_series_can_be_read() {
    let server = Server::start();
    let address = server.address();
    let mut shown = Stream::open(address, "topic=samples/**");
    shown.until_ready();
    let start = clock::now().as_ms() - 30 * 60_000;
    // Half an hour, of which a quarter is remembered.
    for minute in 0..=30 {
        let value = minute as f64 / 10.0;
        measure(&server, &mut shown, ("oslo", start + minute * 60_000, value));
    }
    measure(&server, &mut shown, ("bergen", start, -0.5));

    let events = read(address, "?history=15m");
    let (oslo, bergen) = (&events[0], &events[1]);
    assert_eq!(oslo["type"], "history");
    assert_eq!(
        (&oslo["topic"], &oslo["key"]),
        (&json!("samples/temperature"), &json!("{site=\"oslo\"}"))
    );
    assert_eq!(oslo["data"]["name"], "temperature");
    assert_eq!(oslo["data"]["labels"], json!({ "site": "oslo" }));
    let minutes: Vec<i64> = (16..=30).collect();
    let times: Vec<i64> = minutes.iter().map(|minute| start + minute * 60_000).collect();
    let values: Vec<f64> = minutes.iter().map(|minute| *minute as f64 / 10.0).collect();
    assert_eq!(oslo["data"]["timestamps"], json!(times));
    let got: Vec<f64> = oslo["data"]["values"]
        .as_array()
        .expect("values")
        .iter()
        .map(|it| it.as_f64().expect("a number"))
        .collect();
    assert_eq!(got, values);
    assert_eq!(oslo["time"], json!(start + 30 * 60_000));
    // What has no past in that time is the value that it would be.
    assert_eq!((&bergen["type"], &bergen["data"]["value"]), (&Value::Null, &json!(-0.5)));

    let short = read(address, "?history=90s&limit=1");
    assert_eq!(short.len(), 1);
    assert_eq!(short[0]["data"]["timestamps"], json!(times[13..]));
    // Longer than what is remembered says what there is.
    let long = read(address, "?history=24h&limit=1");
    let first = long[0]["data"]["timestamps"][0].as_i64().expect("a time");
    assert!((start + 14 * 60_000..=start + 16 * 60_000).contains(&first), "{first}");
    assert_eq!(read(address, "").len(), 2);
    assert_eq!(read(address, "")[0]["data"]["value"], json!(3));
    for wrong in ["history=0s", "history=25h", "history=x", "history="] {
        let answer = get(address, &format!("/v1/topics/samples/temperature?{wrong}"));
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some("parameter_invalid"))
        );
    }
    let stream = get(address, "/v1/topics/chat?history=15m");
    assert_eq!((stream.status, stream.json()["code"].as_str()), (400, Some("parameter_invalid")));
    assert_eq!(server.figure("bellwire_state_history_series"), 2);
    assert!(server.figure("bellwire_state_history_bytes") > 0);
}

#[test]
fn the_configuration_says_how_much_is_remembered_of_which_series() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellwire.toml");
    let text = "[[samples.history]]\nmatch = \"samples/temperature\"\nkeep = \"1h\"\npoints_max = 8\n\n\
                [[samples.history]]\nmatch = \"samples/**\"\nkeep = \"0s\"\n";
    std::fs::write(&file, text).expect("the file");
    let server = Server::start_with(&["--config", file.to_str().expect("a path")]);
    let mut shown = Stream::open(server.address(), "topic=samples/**");
    shown.until_ready();
    let now = clock::now().as_ms();
    for minute in 0..=50 {
        measure(&server, &mut shown, ("oslo", now - (50 - minute) * 60_000, 1.0));
    }
    assert_eq!(post(server.address(), "/v1/samples", "{\"name\":\"a\",\"value\":1}").status, 200);
    shown.events(1);
    let events = read(server.address(), "?history=1h");
    let times = events[0]["data"]["timestamps"].as_array().expect("times");
    assert!((4..=8).contains(&times.len()), "{times:?}");
    assert_eq!(times.last(), Some(&json!(now)));
    assert!(times[0].as_i64().expect("a time") < now - 20 * 60_000, "thinned, and not cut off");
    assert_eq!(server.figure("bellwire_state_history_series"), 1);
}

/// What a client makes of a stream: the past of a series takes the place of what it has, and each
/// later value comes behind.
#[derive(Default)]
struct Chart {
    points: BTreeMap<String, Vec<(i64, f64)>>,
    histories: usize,
    is_ready: bool,
}

impl Chart {
    fn take(&mut self, event: &Value) {
        if event["control"] == "ready" {
            self.is_ready = true;
        }
        let (Some(key), data) = (event["key"].as_str(), &event["data"]) else { return };
        if event["deleted"] == true {
            return;
        }
        let points = self.points.entry(key.to_owned()).or_default();
        if event["type"] == "history" {
            assert!(!self.is_ready, "the past comes before `ready`: {event}");
            self.histories += 1;
            let times = data["timestamps"].as_array().expect("times").iter();
            let values = data["values"].as_array().expect("values").iter();
            *points = times
                .zip(values)
                .map(|(time, value)| {
                    (time.as_i64().expect("a time"), value.as_f64().expect("a number"))
                })
                .collect();
        } else if let Some(value) = data["value"].as_f64() {
            points.push((data["timestamp"].as_i64().expect("a time"), value));
        }
    }
}

/// Takes events until a chart is ready, or has the newest point of each series.
fn follow(chart: &mut Chart, mut next: impl FnMut() -> Value, is_enough: impl Fn(&Chart) -> bool) {
    while !is_enough(chart) {
        chart.take(&next());
    }
}

const SERIES: usize = 40;

/// Sends a sample of each series, again and again.
fn publish_rounds(address: SocketAddr, (rounds, start): (i64, i64)) {
    for round in 0..rounds {
        let samples: Vec<Value> = (0..SERIES)
            .map(|n| {
                let labels = json!({ "n": n.to_string() });
                json!({ "name": "load", "labels": labels, "value": start + round, "timestamp": start + round })
            })
            .collect();
        let answer = post(address, "/v1/samples", Value::from(samples).to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// What is missing of the truth, and whether anything comes twice or out of order.
fn check(chart: &Chart, rounds: i64, start: i64) {
    assert_eq!(chart.points.len(), SERIES);
    for (key, points) in &chart.points {
        assert!(
            points.is_sorted_by(|a, b| a.0 < b.0),
            "{key}: doubled, or out of order: {points:?}"
        );
        assert!(points.iter().all(|(time, value)| *time == *value as i64), "{key}: {points:?}");
        assert_eq!(
            points[..10].iter().map(|it| it.0).collect::<Vec<_>>(),
            (start..start + 10).collect::<Vec<_>>()
        );
        assert_eq!(points.last().map(|point| point.0), Some(start + rounds - 1), "{key}");
    }
}

/// However the past is followed, and whatever comes meanwhile: it is before `ready`, it is what there
/// was, what follows goes on behind it, and nothing comes twice.
#[test]
fn charts_are_full_when_they_open_and_go_on_without_a_seam() {
    let server = Server::start();
    let address = server.address();
    let start = clock::now().as_ms() - 60_000;
    // Few enough to be kept whole.
    publish_rounds(address, (10, start));
    let is_shown = || {
        let events = get(address, "/v1/topics/samples/load?history=15m").json();
        let events = events["events"].as_array().expect("events");
        let has_all = |event: &Value| event["data"]["timestamps"][9] == json!(start + 9);
        events.len() == SERIES && events.iter().all(has_all)
    };
    while !is_shown() {
        std::thread::yield_now();
    }
    let query = "topic=samples/**&history=15m";
    let publisher = std::thread::spawn(move || publish_rounds(address, (20, start + 10)));
    let mut charts = Vec::new();
    let is_full = |chart: &Chart| {
        let has_all = |points: &Vec<(i64, f64)>| points.last().is_some_and(|it| it.0 == start + 29);
        chart.is_ready && chart.points.len() == SERIES && chart.points.values().all(has_all)
    };
    for _ in 0..4 {
        let mut chart = Chart::default();
        let mut stream = Stream::open(address, query);
        follow(&mut chart, || stream.next().expect("an event").json(), |chart| chart.is_ready);
        assert_eq!(chart.histories, SERIES);
        // Nothing is missing of what was there when it opened.
        for points in chart.points.values() {
            let times: Vec<i64> = (start..start + points.len() as i64).collect();
            assert!(points.len() >= 10);
            assert_eq!(points.iter().map(|point| point.0).collect::<Vec<_>>()[..10], times[..10]);
        }
        charts.push((chart, stream));
    }
    let mut lines = Lines::open(address, query);
    let mut of_lines = Chart::default();
    let mut socket = WebSocket::open(address, "");
    let mut of_socket = Chart::default();
    socket.ask(&json!({
        "request": "subscribe", "id": 1, "topics": ["samples/load"], "history": "15m"
    }));
    publisher.join().expect("all was sent");
    for (mut chart, mut stream) in charts {
        follow(&mut chart, || stream.next().expect("an event").json(), is_full);
        check(&chart, 30, start);
    }
    follow(&mut of_lines, || lines.next().expect("an event"), is_full);
    check(&of_lines, 30, start);
    // The connection's own `ready` is not that of the subscription.
    let until_ready = |chart: &Chart| is_full(chart) && chart.histories == SERIES;
    follow(
        &mut of_socket,
        || {
            let event = socket.next();
            if event["control"] == "ready" && event["id"] != 1 { Value::Null } else { event }
        },
        until_ready,
    );
    check(&of_socket, 30, start);
}

/// Of a query all is remembered that was shown; what its series were before stands in front of it.
#[test]
fn the_answer_of_a_query_has_a_past() {
    let server = Server::start();
    let address = server.address();
    let mut first = Stream::open(address, "query=sum(load)");
    first.until_ready();
    let start = clock::now().as_ms() - 60_000;
    let mut values = Vec::new();
    for round in 0..5 {
        let sample = json!({ "name": "load", "value": round, "timestamp": start + round * 1_000 });
        assert_eq!(post(address, "/v1/samples", sample.to_string()).status, 200);
        let event = first.events(1)[0].json();
        values.push((event["data"]["timestamp"].clone(), event["data"]["value"].clone()));
    }
    let mut later = Stream::open(address, "query=sum(load)&history=15m");
    let before = later.until_ready();
    let history = before.iter().find(|item| item.event_type == "history").expect("a past").json();
    assert_eq!(history["key"], "{}");
    let (times, values): (Vec<Value>, Vec<Value>) = values.into_iter().unzip();
    for (name, shown) in [("timestamps", &times), ("values", &values)] {
        let all = history["data"][name].as_array().expect("a list");
        assert_eq!(all[all.len() - shown.len()..], shown[..]);
    }
    // Two that were shown may be of one millisecond.
    let all = history["data"]["timestamps"].as_array().expect("a list");
    let (past, shown) = all.split_at(all.len() - times.len());
    assert!(shown.iter().map(Value::as_i64).is_sorted(), "{history}");
    let past = past.iter().chain(&shown[..1]).map(Value::as_i64);
    assert!(past.is_sorted_by(|one, other| one < other), "{history}");
    assert_eq!(before.iter().filter(|item| item.event_type == "history").count(), 1);
}

/// A reader that takes little of very much at a time: nothing of it is kept for the reader, and yet it
/// has all in the end, each past once and whole.
#[test]
fn a_slow_reader_gets_all_of_a_long_past() {
    const MANY: usize = 3_000;
    let server = Server::start();
    let address = server.address();
    let start = clock::now().as_ms() - 60_000;
    let rounds = |rounds: std::ops::Range<i64>| {
        for round in rounds {
            let samples: Vec<Value> = (0..MANY)
                .map(|n| {
                    let labels = json!({ "n": n.to_string(), "padding": "x".repeat(200) });
                    let value = start + round;
                    json!({ "name": "load", "labels": labels, "value": value, "timestamp": value })
                })
                .collect();
            let answer = post(address, "/v1/samples", Value::from(samples).to_string());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    };
    rounds(0..20);
    server.wait_for_figure("bellwire_state_history_series", MANY as u64);
    let mut stream = Stream::open(address, "topic=samples/load&history=15m");
    // Its socket is full by now, in the middle of the values; these come meanwhile.
    rounds(20..25);
    let mut chart = Chart::default();
    follow(&mut chart, || stream.next().expect("an event").json(), |chart| chart.is_ready);
    assert_eq!(chart.histories, MANY);
    let last = start + 24;
    let has_all = |chart: &Chart| {
        let newest = chart.points.values().filter_map(|points| points.last());
        newest.filter(|point| point.0 == last).count() == MANY
    };
    follow(&mut chart, || stream.next().expect("an event").json(), has_all);
    for (key, points) in &chart.points {
        let times: Vec<i64> = points.iter().map(|point| point.0).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "{key}: {times:?}");
        assert_eq!(times[0], start, "{key}");
    }
}
