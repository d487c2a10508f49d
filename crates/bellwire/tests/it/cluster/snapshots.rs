//! The log is trimmed, and whoever cannot get on by it begins with a snapshot of another node.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Pair, history, on_each, tail};
use crate::harness::{Request, Server, get, post, request, until};
use crate::resume::Way;
use crate::state::put;

/// More than the places that stay in the log.
const ENTRIES: usize = 300;

/// What nodes say of the cluster.
fn nodes(address: SocketAddr) -> Value {
    let answer = get(address, "/v1/nodes");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn trimmed(address: SocketAddr) -> u64 {
    nodes(address)["log"]["trimmed"].as_u64().expect("a place")
}

fn end_of_log(address: SocketAddr) -> u64 {
    nodes(address)["log"]["tail"].as_u64().expect("a place")
}

/// Publishes so many events, each by itself: half of them at each of two nodes, at once. Returns the
/// cursors that were answered.
pub(super) fn publish([one, other]: [SocketAddr; 2], topic: &str, count: usize) -> Vec<String> {
    let path = format!("/v1/topics/{topic}");
    std::thread::scope(|scope| {
        let at = |address: SocketAddr, name: &'static str| {
            let path = &path;
            scope.spawn(move || -> Vec<String> {
                let body = |number| json!(format!("{name}{number}")).to_string();
                (0..count / 2).map(|number| post(address, path, body(number)).cursor()).collect()
            })
        };
        let both = [at(one, "one"), at(other, "other")];
        both.into_iter().flat_map(|it| it.join().expect("published")).collect()
    })
}

/// Has the nodes trim the log up to there or further.
#[track_caller]
fn until_trimmed(address: SocketAddr, to: u64) {
    until("the log is trimmed", || trimmed(address) >= to);
}

/// All values of a state topic, and events of a stream, are at two nodes in the same places.
#[track_caller]
fn are_alike(one: SocketAddr, other: SocketAddr, topic: &str) {
    until("both have the same", || tail(one) == tail(other));
    assert_eq!(history(one, topic), history(other, topic));
    let values = |address| get(address, "/v1/topics/tickers/x").json()["events"].clone();
    assert_eq!(values(one), values(other));
}

/// Each event that was answered is there once, where that was said.
#[track_caller]
fn has_all(address: SocketAddr, topic: &str, cursors: &[String]) {
    let events = history(address, topic);
    let mut found: Vec<&str> = events.iter().filter_map(|event| event["cursor"].as_str()).collect();
    let mut expected: Vec<&str> = cursors.iter().map(String::as_str).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

fn forget(address: SocketAddr, node: &Server) {
    let name = std::fs::read_to_string(node.data().join("node")).expect("a name");
    let path = format!("/v1/nodes/{}", name.trim());
    let answer =
        request(address, Request { method: "DELETE", path: &path, headers: &[], body: b"" });
    assert_eq!(answer.status, 204, "{}", answer.text());
}

fn begun_with_a_snapshot(node: &mut Server) -> bool {
    node.process().errors().contains("The snapshot is in place")
}

/// A pair that has trimmed what there was, and the cursors of what was published.
pub(super) fn trimmed_pair(pair: &Pair) -> Vec<String> {
    let addresses = pair.addresses();
    for key in ["a", "b", "a"] {
        put(addresses[0], "tickers/x", key, "1");
    }
    let cursors = publish(addresses, "lab/a", 2 * ENTRIES);
    until_trimmed(addresses[0], 1);
    cursors
}

#[test]
fn a_node_that_joins_behind_a_trim_has_everything_and_cursors_go_on_there() {
    on_each(|pair| {
        let addresses = pair.addresses();
        let cursors = trimmed_pair(&pair);
        let mut late = pair.join();
        assert!(begun_with_a_snapshot(&mut late), "{}", late.process().errors());
        are_alike(addresses[0], late.address(), "lab/a");
        has_all(late.address(), "lab/a", &cursors);
        put(late.address(), "tickers/x", "c", "2");
        post(late.address(), "/v1/topics/lab/a", "\"last\"").cursor();
        are_alike(addresses[1], late.address(), "lab/a");
        let events = history(addresses[0], "lab/a");
        let middle = events.len() - 20;
        let cursor = events[middle].as_object().expect("an event")["cursor"].as_str();
        for way in Way::ALL {
            let taken = way.take(late.address(), "topic=lab/a", cursor.expect("a cursor"), 19);
            assert_eq!((taken.gap, &taken.events[..]), (None, &events[middle + 1..]), "{way:?}");
        }
        // It is a node of its own, and holds what is left of the log as the others do.
        let name = std::fs::read_to_string(late.data().join("node")).expect("a name");
        until("it is among the nodes", || {
            let said = nodes(addresses[0]);
            let mut told = said["nodes"].as_array().expect("nodes").iter();
            told.any(|node| node["id"] == name.trim() && node["applied"].is_u64())
        });
        // What counts once counts once there, too.
        late.kill();
        late.restart();
        are_alike(addresses[0], late.address(), "lab/a");
        let gone = trimmed(addresses[0]);
        let more = publish([addresses[0], late.address()], "lab/b", 2 * ENTRIES);
        until_trimmed(addresses[0], gone + ENTRIES as u64 / 2);
        has_all(late.address(), "lab/b", &more);
        are_alike(addresses[1], late.address(), "lab/b");
    });
}

#[test]
fn a_node_that_comes_back_behind_a_trim_has_what_it_missed() {
    on_each(|mut pair| {
        let [one, other] = pair.addresses();
        let cursors = trimmed_pair(&pair);
        let third = pair.join();
        let stopped = end_of_log(one);
        pair.nodes[1].kill();
        forget(one, &pair.nodes[1]);
        let more = publish([one, third.address()], "lab/b", 3 * ENTRIES);
        until_trimmed(one, stopped + 1);
        pair.nodes[1].restart();
        assert!(begun_with_a_snapshot(&mut pair.nodes[1]));
        has_all(other, "lab/a", &cursors);
        has_all(other, "lab/b", &more);
        are_alike(one, other, "lab/b");
        until("nothing is kept for it any more", || {
            let said = nodes(one);
            let applied = |node: &Value| node["applied"].as_u64();
            let told: Vec<_> =
                said["nodes"].as_array().expect("nodes").iter().map(applied).collect();
            told.len() == 3 && told.iter().all(|it| *it == told[0])
        });
        // One that was only paused begins anew by itself.
        pair.nodes[1].process().signal("STOP");
        let stopped = end_of_log(one);
        forget(one, &pair.nodes[1]);
        let more = publish([one, third.address()], "lab/c", 3 * ENTRIES);
        until_trimmed(one, stopped + 1);
        pair.nodes[1].process().signal("CONT");
        until("it begins with another snapshot", || {
            let errors = pair.nodes[1].process().errors();
            errors.matches("The snapshot is in place").count() == 2
        });
        until("it follows again", || {
            super::try_get(other, "/v1/nodes").is_some_and(|answer| {
                answer.status == 200 && answer.json()["standing"]["state"] == "following"
            }) && super::try_get(other, "/v1/topics/lab/c?limit=1")
                .is_some_and(|answer| answer.status == 200)
        });
        are_alike(one, other, "lab/c");
        has_all(other, "lab/c", &more);
    });
}

#[test]
fn a_peer_that_dies_while_it_sends_is_no_loss_and_without_one_a_node_says_what_to_do() {
    on_each(|mut pair| {
        let addresses = pair.addresses();
        // Enough that it takes a moment to send.
        let large = json!("x".repeat(200_000)).to_string();
        for _ in 0..100 {
            post(addresses[0], "/v1/topics/lab/large", large.clone()).cursor();
        }
        let cursors = trimmed_pair(&pair);
        let third = pair.join();
        let (url, config) = (pair.engine.url(), pair.folder.path().join("bellwire.toml"));
        let joining = std::thread::spawn(move || {
            let config = config.to_str().expect("UTF-8");
            Server::start_with(&["--cluster", &url, "--config", config])
        });
        // Whichever is asked first: both of these end.
        until("one of them makes a snapshot, or has", || {
            joining.is_finished()
                || pair.nodes.iter().any(|node| {
                    let folder = std::fs::read_dir(node.data().join("snapshots.tmp"));
                    folder.is_ok_and(|mut files| files.next().is_some())
                })
        });
        for node in &mut pair.nodes {
            node.kill();
        }
        let joining = joining.join().expect("it joins");
        are_alike(third.address(), joining.address(), "lab/a");
        has_all(joining.address(), "lab/a", &cursors);
        are_alike(third.address(), joining.address(), "lab/large");
        drop((third, joining));
        // Nobody is there who has what is gone.
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().to_str().expect("UTF-8");
        let url = pair.engine.url();
        let process = crate::harness::Process::start(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            folder,
            "--cluster",
            &url,
        ]);
        let (code, output, errors) = process.finish();
        assert_eq!((code, output.as_str()), (Some(1), ""), "{errors}");
        assert!(errors.contains("needs a snapshot of another node"), "{errors}");
        assert!(errors.contains("cluster_address"), "{errors}");
        // Those that were killed still have it.
        pair.nodes[0].restart();
        has_all(addresses[0], "lab/a", &cursors);
    });
}

#[test]
fn nobody_but_a_node_gets_a_snapshot() {
    on_each(|pair| {
        let [one, _] = pair.addresses();
        post(one, "/v1/topics/lab/a", "1").cursor();
        let name = std::fs::read_to_string(pair.nodes[1].data().join("node")).expect("a name");
        let shown = |shown: &str| {
            let headers = [("Bellwire-Node", shown)];
            let headers = if shown.is_empty() { &[][..] } else { &headers[..] };
            let path = "/v1/nodes/snapshot";
            request(one, Request { method: "GET", path, headers, body: b"" })
        };
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let tag = "A".repeat(43);
        for (text, code) in [
            (String::new(), "credential_missing"),
            ("x".to_owned(), "credential_invalid"),
            (format!("{} {now} {tag}", name.trim()), "credential_invalid"),
            (format!("{} {} {tag}", name.trim(), now - 3600), "credential_invalid"),
        ] {
            let answer = shown(&text);
            assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(code)), "{text}");
        }
        let alone = Server::start();
        assert_eq!(get(alone.address(), "/v1/nodes/snapshot").status, 404);
    });
}
