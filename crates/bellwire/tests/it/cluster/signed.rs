//! What nodes ask each other, on a way on which somebody reads along, and changes what comes by.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::desk::nodes;
use super::{KINDS, try_get};
use crate::harness::{Answer, Engine, Raw, Server, post, until};

/// What of a request is another one where it arrives.
type Change = (&'static str, &'static str);

/// Between two nodes.
#[derive(Default)]
struct Way {
    /// Where it leads to.
    to: Option<SocketAddr>,
    change: Option<Change>,
    /// The requests that came by.
    seen: Vec<String>,
}

type SharedWay = Arc<Mutex<Way>>;

/// Takes the first request of what has come, once all of it has.
fn first_request(come: &mut Vec<u8>) -> Option<String> {
    let text = String::from_utf8_lossy(come);
    let head = text.find("\r\n\r\n")? + 4;
    let end = if text[..head].contains("transfer-encoding: chunked\r\n") {
        let last = text[head..].find("\r\n0\r\n")? + head;
        text[last + 3..].find("\r\n\r\n")? + last + 7
    } else {
        let length = text[..head].split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        head + length.unwrap_or(0_usize)
    };
    if come.len() < end {
        return None;
    }
    let request = come.drain(..end).collect();
    Some(String::from_utf8(request).expect("these are texts"))
}

/// Passes on what comes from a node, changed as it is to be.
fn pass_on(way: &SharedWay, (mut from, mut to): (TcpStream, TcpStream)) {
    let (mut come, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut piece) {
        come.extend_from_slice(&piece[..read]);
        while let Some(mut request) = first_request(&mut come) {
            let mut way = way.lock().expect("no panic");
            way.seen.push(request.clone());
            if request.starts_with("POST /v1/samples")
                && let Some((what, other)) = way.change
            {
                assert!(request.contains(what), "{request}");
                request = request.replacen(what, other, 1);
            }
            drop(way);
            if to.write_all(request.as_bytes()).is_err() {
                return;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// A way that goes somewhere as soon as that is said, and its address.
fn way() -> (SharedWay, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (way, address) = (SharedWay::default(), listener.local_addr().expect("an address"));
    let shared = Arc::clone(&way);
    // It ends with the tests.
    std::thread::spawn(move || {
        for from in listener.incoming().map_while(Result::ok) {
            let to = shared.lock().expect("no panic").to;
            let Some(to) = to.and_then(|to| TcpStream::connect(to).ok()) else { continue };
            let both = || Some((from.try_clone().ok()?, to.try_clone().ok()?));
            let (Some(there), Some((mut back, mut answers))) = (both(), both()) else { continue };
            let way = Arc::clone(&shared);
            std::thread::spawn(move || pass_on(&way, there));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
        }
    });
    (way, address)
}

/// What the keeper has of the series.
fn value(keeper: SocketAddr) -> Value {
    let answer = try_get(keeper, "/v1/topics/samples/t").expect("an answer");
    answer.json()["events"][0]["data"]["value"].clone()
}

fn send(to: SocketAddr, value: u8) -> Answer {
    post(to, "/v1/samples", json!({ "name": "t", "labels": {}, "value": value }).to_string())
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    let said = answer.json();
    assert_eq!((answer.status, &said["code"]), (503, &json!("desk_away")), "{said}");
    assert!(said["detail"].as_str().is_some_and(|it| it.contains("passed it on")), "{said}");
}

/// The newest request that has come by.
fn seen(way: &SharedWay, begins: &str) -> Option<String> {
    let way = way.lock().expect("no panic");
    way.seen.iter().rev().find(|request| request.starts_with(begins)).cloned()
}

#[test]
fn what_is_replayed_or_changed_on_the_way_is_refused() {
    for engine in KINDS.into_iter().filter_map(Engine::start) {
        let ((way, address), url) = (way(), engine.url());
        let address = format!("http://{address}");
        let server = Server::start_with(&["--cluster", &url, "--cluster-address", &address]);
        let keeper = server.address();
        way.lock().expect("no panic").to = Some(keeper);
        let other = Server::start_with(&["--cluster", &url]);
        until("there is a standby", || {
            nodes(keeper).is_some_and(|told| told["standby"]["state"] == "whole")
        });
        assert_eq!(send(other.address(), 1).status, 200);
        until("it is shown", || value(keeper) == 1);

        let sent = seen(&way, "POST /v1/samples").expect("it came by");
        let replay = |request: &str| {
            let mut raw = Raw::connect(keeper);
            raw.send(request);
            raw.answer()
        };
        assert_refused(&replay(&sent));
        // The same of what nodes ask for themselves.
        let asked = seen(&way, "POST /v1/nodes/standby").expect("it came by");
        let answer = replay(&asked);
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("credential_invalid")));

        for change in [
            ("\"value\":2", "\"value\":3"),
            ("x-forwarded-for: 127.0.0.1", "x-forwarded-for: 192.0.2.7"),
            ("POST /v1/samples ", "POST /v1/samples?precision=s "),
            ("bellwire-node-body: ", "bellwire-node-bodies: "),
            ("\r\nbellwire-node: ", "\r\nbellwire-nodes: "),
        ] {
            way.lock().expect("no panic").change = Some(change);
            assert_refused(&send(other.address(), 2));
        }
        assert_eq!(value(keeper), 1);
        // What somebody adds does not count.
        let added = ("\r\nbellwire-node: ", "\r\ncontent-encoding: gzip\r\nbellwire-node: ");
        way.lock().expect("no panic").change = Some(added);
        assert_eq!(send(other.address(), 2).status, 200);
        until("it is shown", || value(keeper) == 2);
        let told = nodes(keeper).expect("it runs");
        assert_eq!(told["standby"]["state"], "whole", "{told}");
    }
}
