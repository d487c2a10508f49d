//! Clients that ask for as much as they can, beside those who only listen: what the latter get is
//! exact, and no turn of their thread does more than its budget. Work is counted, not time.

use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use bellwire_model::limits::{LOOKS_PER_TURN_MAX, LOOKS_PER_VISIT_MAX};

use crate::harness::frames::{Frames, text};
use crate::harness::{Over, Request, Server, Stream, get, post, request};

/// Keys that the greedy ask for again and again.
const KEYS: usize = 2_000;
/// Events that others are to get meanwhile.
const EVENTS: usize = 300;

const CONFIG: &str = "[[topic]]\nmatch = \"board/**\"\nkind = \"state\"\n";

fn put_keys(address: SocketAddr) {
    let line =
        |key: usize| format!("{{\"topic\":\"board/1\",\"key\":\"k{key}\",\"data\":{key}}}\n");
    let body: String = (0..KEYS).map(line).collect();
    let headers = [("Content-Type", "application/x-ndjson")];
    let (method, path, body) = ("POST", "/v1/events", body.as_bytes());
    assert_eq!(request(address, Request { method, path, headers: &headers, body }).status, 200);
}

/// Subscribes to much, and takes it back, until it is told to stop; whatever comes is dropped.
fn subscribe_without_end(address: SocketAddr, done: &Over) {
    let Frames { mut raw, .. } = Frames::open(address, "");
    let mut reader = raw.socket().try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = vec![0; 65_536];
            while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
        let mut number = 0;
        while !done.is_so() {
            number += 1;
            let topics = format!(r#""topics":["board/**","own/{}"]"#, number % 100);
            let flood = [
                text(format!(r#"{{"request":"subscribe",{topics},"after":"earliest"}}"#)),
                text(format!(r#"{{"request":"unsubscribe",{topics}}}"#)),
            ];
            if raw.try_send(flood.concat().repeat(70)).is_err() {
                break;
            }
        }
        let _ = raw.socket().shutdown(Shutdown::Both);
    });
}

/// Polls for much, each time along a lane of its own, until it is told to stop.
fn poll_without_end(address: SocketAddr, (poller, polls): (usize, &AtomicUsize), done: &Over) {
    let mut number = 0;
    while !done.is_so() {
        number += 1;
        let path = format!("/v1/events?topic=board/*&topic=own/{poller}/{number}&after=earliest");
        let headers = [("Accept", "application/json")];
        let poll = Request { method: "GET", path: &path, headers: &headers, body: b"" };
        let answer = request(address, poll);
        // Few large answers are made at a time.
        assert!([200, 429].contains(&answer.status), "{}", answer.status);
        polls.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn beside_greedy_clients_all_others_get_every_event_in_bounded_turns() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("bellwire.toml");
    std::fs::write(&config, CONFIG).expect("a file");
    let server =
        Server::start_with(&["--shards", "1", "--config", config.to_str().expect("UTF-8")]);
    let address = server.address();
    put_keys(address);
    let mut listeners: Vec<Stream> =
        (0..5).map(|_| Stream::open(address, "topic=live/*")).collect();
    for listener in &mut listeners {
        listener.until_ready();
    }
    let (done, polls) = (Over::default(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (done, polls) = (&done, &polls);
        scope.spawn(move || subscribe_without_end(address, done));
        for poller in 0..2 {
            scope.spawn(move || poll_without_end(address, (poller, polls), done));
        }
        let _beside = done.at_the_end();
        for number in 0..EVENTS {
            let path = format!("/v1/topics/live/{}", number % 3);
            assert_eq!(post(address, &path, number.to_string()).status, 201);
            for listener in &mut listeners {
                let event = listener.events(1).remove(0).json();
                assert_eq!(event["data"], number, "each once, and in order");
            }
        }
    });
    assert!(polls.load(Ordering::Relaxed) > 0, "somebody polled");

    // What is begun is finished: of those who come, ask or catch up one more than the budget has
    // room for, and each asks for all keys once and drops them.
    let bound = LOOKS_PER_TURN_MAX + 2 * LOOKS_PER_VISIT_MAX + 8 * KEYS;
    let most = server.figure("bellwire_shard_turn_looks_max");
    assert!(most >= KEYS as u64, "{most} looks at most: they asked for little");
    assert!(most <= bound as u64, "{most} looks in one turn, more than {bound}");
    assert_eq!(get(address, "/healthz").status, 200);
}

/// Filters of those who may subscribe, and filters that they ask for at once.
const ALLOWED: usize = 200;
const ASKED: usize = 40;

#[test]
fn what_is_asked_for_counts_as_often_as_rights_are_held_against_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("bellwire.toml");
    let allowed: Vec<String> = (0..ALLOWED).map(|number| format!("\"own/{number}\"")).collect();
    let role = format!("subscribe = [{}]\nadmin = true\n", allowed.join(", "));
    let access = "[access]\nanonymous = \"many\"\n[[access.role]]\nname = \"many\"\n";
    std::fs::write(&config, format!("{access}{role}")).expect("a file");
    let server =
        Server::start_with(&["--shards", "1", "--config", config.to_str().expect("UTF-8")]);
    let mut socket = Frames::open(server.address(), "");
    let topics: Vec<String> = (0..ASKED).map(|number| format!("\"own/{number}\"")).collect();
    let topics = format!(r#""topics":[{}]"#, topics.join(","));
    let flood = [
        text(format!(r#"{{"request":"subscribe",{topics}}}"#)),
        text(format!(r#"{{"request":"unsubscribe",{topics}}}"#)),
    ];
    socket.send(flood.concat().repeat(50));
    socket.send(text(r#"{"request":"unsubscribe","id":1,"topics":["none"]}"#));
    assert_eq!(socket.reply(1)["error"]["code"], "parameter_invalid");
    let most = server.figure("bellwire_shard_turn_looks_max");
    let once = ALLOWED * ASKED;
    assert!(most >= once as u64, "{most} looks at most: rights were looked at for nothing");
    let bound = LOOKS_PER_TURN_MAX + 2 * LOOKS_PER_VISIT_MAX + 2 * once;
    assert!(most <= bound as u64, "{most} looks in one turn, more than {bound}");
}
