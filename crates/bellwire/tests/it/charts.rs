//! The recent past of series: what charts are full of when they open.

use std::net::SocketAddr;

use bellwire_process::clock;
use serde_json::{Value, json};

use crate::harness::{Server, Stream, get, post};

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
