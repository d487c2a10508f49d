//! State topics of a cluster: each node has the same values.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::on_each;
use crate::harness::{Server, Stream, delete, get, until};
use crate::state::put;

/// The values of a topic as a node tells them.
fn values(address: SocketAddr, topic: &str) -> Vec<Value> {
    let answer = get(address, &format!("/v1/topics/{topic}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["events"].as_array().expect("events").clone()
}

/// `key=data` of each.
fn summary(values: &[Value]) -> Vec<String> {
    let mut summary: Vec<String> = values
        .iter()
        .map(|value| format!("{}={}", value["key"].as_str().expect("a key"), value["data"]))
        .collect();
    summary.sort();
    summary
}

#[test]
fn each_node_has_the_same_values_also_one_that_joins_later() {
    on_each(|mut pair| {
        let [one, other] = pair.addresses();
        let mut streams = [one, other].map(|address| Stream::open(address, "topic=tickers/**"));
        for stream in &mut streams {
            drop(stream.until_ready());
        }
        for (number, key) in ["a", "b", "c", "a", "d", "b"].into_iter().enumerate() {
            put([one, other][number % 2], "tickers/x", key, &number.to_string());
            for stream in &mut streams {
                let event = stream.events(1)[0].json();
                assert_eq!((&event["key"], &event["data"]), (&json!(key), &json!(number)));
            }
        }
        assert_eq!(delete(other, "/v1/topics/tickers/x?key=c").status, 204);
        for stream in &mut streams {
            assert_eq!(stream.events(1)[0].json()["deleted"], true);
        }
        let expected = ["a=3", "b=5", "d=4"];
        let has_them = |address| summary(&values(address, "tickers/x")) == expected;
        until("both have them", || has_them(one) && has_them(other));
        assert_eq!(values(one, "tickers/x"), values(other, "tickers/x"));

        let mut late = pair.join();
        assert_eq!(values(late.address(), "tickers/x"), values(one, "tickers/x"));
        put(late.address(), "tickers/x", "a", "7");
        for stream in &mut streams {
            assert_eq!(stream.events(1)[0].json()["data"], 7);
        }
        // What is put while one is away is there when it is back.
        pair.nodes[1].kill();
        late.kill();
        put(one, "tickers/x", "a", "8");
        assert_eq!(delete(one, "/v1/topics/tickers/x?key=d").status, 204);
        pair.nodes[1].restart();
        late.restart();
        let nodes: [&Server; 3] = [&pair.nodes[0], &pair.nodes[1], &late];
        for node in nodes {
            assert_eq!(summary(&values(node.address(), "tickers/x")), ["a=8", "b=5"]);
        }
    });
}
