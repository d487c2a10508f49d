//! Long polls beside everything else that the server does at the same time.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Request, Server, get, post, request};

/// Requests of each thread: enough for locks taken in the wrong order to meet.
const REQUESTS: usize = 150;

/// A poll on a lane of its own takes the hub of the tasks and the state table; a publisher of
/// state takes them, too.
#[test]
fn polls_on_new_lanes_and_publishers_of_state_do_not_block_each_other() {
    let config = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(config.path(), "[[topic]]\nmatch = \"board/**\"\nkind = \"state\"\n")
        .expect("a file is written");
    let config_path = config.path().to_str().expect("UTF-8");
    let server = Server::start_with(&["--config", config_path]);
    let address = server.address();
    std::thread::scope(|scope| {
        for publisher in 0..4 {
            scope.spawn(move || {
                for number in 0..REQUESTS {
                    let path = format!("/v1/topics/board/{}", number % 7);
                    let key = format!("k{publisher}");
                    let headers = [("Bellwire-Key", key.as_str())];
                    let body = number.to_string();
                    let (method, body) = ("POST", body.as_bytes());
                    let put = Request { method, path: &path, headers: &headers, body };
                    assert_eq!(request(address, put).status, 201);
                }
            });
        }
        for poller in 0..8 {
            scope.spawn(move || {
                for number in 0..REQUESTS {
                    let filter = format!("topic=board/*&topic=lane/{poller}/{number}");
                    let path = format!("/v1/events?{filter}");
                    let headers = [("Accept", "application/json")];
                    let poll = Request { method: "GET", path: &path, headers: &headers, body: b"" };
                    assert_eq!(request(address, poll).status, 200);
                }
            });
        }
    });
    assert_eq!(get(address, "/v1/topics").status, 200);
}

#[test]
fn a_poll_that_waits_is_answered_by_the_event_and_by_the_end_of_the_server() {
    let mut server = Server::start();
    let address = server.address();
    let started = AtomicBool::new(false);
    let poll = |query: &str| {
        let path = format!("/v1/events?topic=a&wait=60s{query}");
        let headers = [("Accept", "application/json")];
        started.store(true, Ordering::Release);
        request(address, Request { method: "GET", path: &path, headers: &headers, body: b"" })
    };
    let cursor = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| poll("&after=earliest"));
        let published = post(address, "/v1/topics/a", "1").cursor();
        let answer = waiting.join().expect("an answer").json();
        assert_eq!(answer["events"][0]["data"], 1);
        assert_eq!(answer["cursor"], published.as_str());
        published
    });
    started.store(false, Ordering::Release);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| poll(&format!("&after={cursor}")));
        while !(started.load(Ordering::Acquire) && polls_waiting(address) == 1) {
            std::thread::yield_now();
        }
        server.end();
        let answer = waiting.join().expect("an answer").json();
        assert_eq!(answer["events"].as_array().map(Vec::len), Some(0));
        assert_eq!(answer["cursor"], cursor.as_str(), "it goes on from where it was");
    });
}

fn polls_waiting(address: std::net::SocketAddr) -> u64 {
    let metrics = get(address, "/metrics");
    let line = metrics.text().lines().find(|line| line.starts_with("bellwire_polls_waiting "));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|n| n.parse().ok()).expect("a figure")
}
