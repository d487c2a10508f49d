//! Long polls beside everything else that the server does at the same time.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Request, Server, closely, get, post, request};

/// Requests of each thread: enough for locks taken in the wrong order to meet.
const REQUESTS: usize = 150;

/// A poll on a lane of its own has its shard take the state table and its inbox; a publisher of
/// state takes them, too.
#[test]
fn polls_on_new_lanes_and_publishers_of_state_do_not_block_each_other() {
    let (server, _config) = start_with_state();
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

/// A page ends at bytes as well as at events: what a client has caught up with only the server knows.
#[test]
fn a_page_says_whether_there_is_more_whatever_has_ended_it() {
    const EVENTS: usize = 40;
    let server = Server::start();
    let address = server.address();
    let large = format!("\"{}\"", "x".repeat(60_000));
    for _ in 0..EVENTS {
        post(address, "/v1/topics/big/a", &large);
    }
    let (mut after, mut pages) = ("earliest".to_owned(), Vec::new());
    loop {
        let path = format!("/v1/events?topic=big/a&after={after}");
        let headers = [("Accept", "application/json")];
        let poll = Request { method: "GET", path: &path, headers: &headers, body: b"" };
        let answer = request(address, poll).json();
        pages.push(answer["events"].as_array().expect("events").len());
        after = answer["cursor"].as_str().expect("a cursor").to_owned();
        if !answer["more"].as_bool().expect("it says so") {
            break;
        }
        assert!(pages.len() <= EVENTS, "{pages:?}");
    }
    assert!(pages.len() > 1 && pages.iter().sum::<usize>() == EVENTS, "{pages:?}");
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
        closely("a poll waits", || started.load(Ordering::Acquire) && polls_waiting(address) == 1);
        server.end();
        let answer = waiting.join().expect("an answer").json();
        assert_eq!(answer["events"].as_array().map(Vec::len), Some(0));
        assert_eq!(answer["cursor"], cursor.as_str(), "it goes on from where it was");
    });
}

/// Values that no answer has room for are counted in it, whoever asks.
#[test]
fn an_answer_says_how_many_values_it_has_no_room_for() {
    const KEYS: usize = 300;
    let (server, _config) = start_with_state();
    let address = server.address();
    let filler = "x".repeat(60_000);
    for batch in 0..KEYS / 50 {
        let mut lines = String::new();
        for number in 0..50 {
            let key = batch * 50 + number;
            writeln!(lines, "{{\"topic\":\"board/1\",\"key\":\"{key}\",\"data\":\"{filler}\"}}")
                .expect("a text grows");
        }
        assert_eq!(post(address, "/v1/events", lines).status, 200);
    }
    for path in ["/v1/events?topic=board/**", "/v1/topics/board/1"] {
        let headers = [("Accept", "application/json")];
        let asked = Request { method: "GET", path, headers: &headers, body: b"" };
        let answer = request(address, asked).json();
        let events = answer["events"].as_array().map_or(0, Vec::len);
        let left_out = answer["values_left_out"].as_u64().expect("a number") as usize;
        assert_eq!(events + left_out, KEYS, "{path}");
        assert!(events > KEYS / 2, "{path}: {events}");
    }
    let few = get(address, "/v1/topics/board/1?limit=3").json();
    assert_eq!(few["values_left_out"], serde_json::Value::Null, "what was not asked for");
}

/// Clients that come again and again for all values of a large topic: each answer is whole, and
/// what is published meanwhile is acknowledged and told.
#[test]
fn polls_of_a_large_state_topic_are_whole_while_it_changes() {
    const KEYS: usize = 20_000;
    const ROUNDS: usize = 10;
    let (server, _config) = start_with_state();
    let address = server.address();
    for batch in 0..KEYS / 5_000 {
        let mut lines = String::new();
        for number in 0..5_000 {
            let key = batch * 5_000 + number;
            writeln!(lines, "{{\"topic\":\"board/1\",\"key\":\"{key}\",\"data\":0}}")
                .expect("a text grows");
        }
        assert_eq!(post(address, "/v1/events", lines).status, 200);
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let headers = [("Accept", "application/json")];
                    let path = "/v1/events?topic=board/**";
                    let poll = Request { method: "GET", path, headers: &headers, body: b"" };
                    // Few large answers are made at a time, and who has waited long is refused.
                    let answers = std::iter::repeat_with(|| request(address, poll));
                    let answer = answers.into_iter().find(|answer| answer.status != 429);
                    let answer = answer.expect("there is no end").json();
                    let events = answer["events"].as_array().expect("events");
                    let keys: HashSet<_> = events.iter().map(|it| it["key"].as_str()).collect();
                    assert_eq!(keys.len(), KEYS);
                    assert_eq!(answer["values_left_out"], serde_json::Value::Null);
                }
            });
        }
        scope.spawn(|| {
            for number in 1..=ROUNDS * 10 {
                let headers = [("Bellwire-Key", "7")];
                let (path, body) = ("/v1/topics/board/1", number.to_string());
                let body = body.as_bytes();
                let put = Request { method: "POST", path, headers: &headers, body };
                assert_eq!(request(address, put).status, 201);
            }
        });
    });
}

/// A client that goes away in the middle leaves nothing behind that would count, or hold a drain
/// up.
#[test]
fn a_poll_whose_client_has_gone_is_over() {
    let mut server = Server::start();
    let address = server.address();
    let head =
        "GET /v1/events?topic=a&wait=60s HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n";
    let sockets: Vec<TcpStream> = (1..=20)
        .map(|waiting| {
            let mut socket = TcpStream::connect(address).expect("a connection");
            socket.write_all(head.as_bytes()).expect("written");
            while polls_waiting(address) < waiting {
                std::thread::yield_now();
            }
            socket
        })
        .collect();
    drop(sockets);
    while polls_waiting(address) > 0 {
        std::thread::yield_now();
    }
    server.end();
}

/// A server whose topics below `board` hold state, and its configuration.
fn start_with_state() -> (Server, tempfile::NamedTempFile) {
    let config = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(config.path(), "[[topic]]\nmatch = \"board/**\"\nkind = \"state\"\n")
        .expect("a file is written");
    let config_path = config.path().to_str().expect("UTF-8").to_owned();
    (Server::start_with(&["--config", &config_path]), config)
}

fn polls_waiting(address: std::net::SocketAddr) -> u64 {
    let metrics = get(address, "/metrics");
    let line = metrics.text().lines().find(|line| line.starts_with("bellwire_polls_waiting "));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|n| n.parse().ok()).expect("a figure")
}
