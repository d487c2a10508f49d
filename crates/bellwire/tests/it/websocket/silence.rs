//! Heartbeats, the dead, and how a server ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::frames::{CLOSE, FIN, Frame, Frames, PING, PONG, TEXT, masked, text};
use crate::harness::{End, Over, Raw, Server, Spoken, WebSocket, closely, get, post};

/// Soon, but not so soon that a test which is held up counts as dead. Nor does it wait for the disk.
const QUICK: [&str; 4] = ["--heartbeat-interval", "1s", "--durability", "interval"];

#[test]
fn pings_come_with_the_cursor_where_it_moved_and_keep_who_answers_them() {
    let server = Server::start_with(&QUICK);
    let address = server.address();
    for spoken in Spoken::BOTH {
        let mut socket = WebSocket::open_as(address, "topic=quiet", spoken);
        let ready = socket.until_ready(&Value::Null).remove(0);
        assert_eq!(ready["heartbeat_interval_ms"], 1_000);
        let cursor = post(address, "/v1/topics/busy", "1").cursor();
        assert_eq!(socket.next(), json!({"control": "heartbeat", "cursor": cursor}));
        // Pings are answered while something is waited for; more of them than the dead get.
        while socket.pings < 4 {
            post(address, "/v1/topics/busy", "1");
            assert_eq!(socket.next()["control"], "heartbeat");
        }
    }
}

#[test]
fn who_does_not_answer_pings_is_told_and_closed() {
    let server = Server::start_with(&QUICK);
    let mut frames = Frames::open(server.address(), "topic=lab/a");
    let mut pings = 0;
    let close = loop {
        let frame = frames.next();
        match frame.first {
            first if first == FIN | PING => pings += 1,
            first if first == FIN | CLOSE => break frame.close(),
            _ => assert_eq!(frame.json()["control"], "ready"),
        }
    };
    assert_eq!((pings, close), (2, (1008, "no answer to pings".to_owned())));
    assert_eq!(frames.raw.try_rest().expect("an end in order"), b"");
    server.wait_for_streams(0);
    assert_eq!(server.figure("bellwire_streams_stalled_total"), 1);
}

#[test]
fn any_sign_of_a_client_keeps_it_but_a_message_has_to_end() {
    let server = Server::start_with(&QUICK);
    let mut frames = Frames::open(server.address(), "");
    // It says something at each ping, and never answers one.
    let mut pings = 0;
    while pings < 4 {
        if frames.next().first == FIN | PING {
            frames.send(masked(FIN | PONG, b"unasked"));
            pings += 1;
        }
    }
    // A byte for each ping: it is there, and takes too long.
    let ask = text(r#"{"request":"unsubscribe","topics":["a"]}"#);
    let mut rest = ask.iter();
    let (code, reason) = loop {
        let frame = frames.next();
        if frame.first == FIN | CLOSE {
            break frame.close();
        }
        let byte = rest.next().expect("it is refused before its end");
        let _ = frames.raw.try_send([*byte]);
    };
    assert_eq!(code, 1008, "{reason}");
    assert!(reason.contains("too long"), "{reason}");
    server.wait_for_streams(0);
}

#[test]
fn both_sides_may_end_a_connection_in_order() {
    let server = Server::start();
    for spoken in Spoken::BOTH {
        let mut socket = WebSocket::open_as(server.address(), "topic=lab/a", spoken);
        socket.until_ready(&Value::Null);
        socket.close(4321, "enough");
        assert_eq!(socket.end(), End::Closed(4321, String::new()));
        server.wait_for_streams(0);
    }
}

#[test]
fn a_drain_says_good_bye_also_to_those_who_talk() {
    let mut server = Server::start();
    let address = server.address();
    let mut listeners =
        Spoken::BOTH.map(|spoken| WebSocket::open_as(address, "topic=lab/**", spoken));
    for socket in &mut listeners {
        socket.until_ready(&Value::Null);
    }
    let mut frames = Frames::open(address, "topic=lab/a");
    assert_eq!(frames.next().json()["control"], "ready");
    // This one publishes as fast as it can, and is in the middle of a word when the end comes.
    let talker = Frames::open(address, "");
    let mut sender = Raw::over(talker.raw.socket().try_clone().expect("a second handle"));
    let (is_over, replies) = (&Over::default(), &AtomicUsize::new(0));
    let (said, acknowledged) = std::thread::scope(|scope| {
        scope.spawn(move || {
            let data = "x".repeat(2_000);
            let ask = json!({"request": "publish", "id": 1, "topic": "talk", "data": data});
            let ask = text(ask.to_string());
            while !is_over.is_so() && sender.try_send(&ask).is_ok() {}
        });
        let _beside = is_over.at_the_end();
        let heard = scope.spawn(move || hear_to_the_end(talker, replies));
        closely("it talks", || replies.load(Ordering::Relaxed) >= 50);
        assert!(server.end().success());
        heard.join().expect("an end in order")
    });
    let [bye, close] = &said[..] else { panic!("{said:?}") };
    assert_eq!((&bye.json()["control"], &bye.json()["reason"]), (&json!("bye"), &json!("drain")));
    assert_eq!(close.close(), (1001, "drain".to_owned()));

    for socket in &mut listeners {
        let bye = socket.next();
        assert_eq!((&bye["control"], &bye["reason"]), (&json!("bye"), &json!("drain")));
        assert!(bye["retry_ms"].is_u64(), "{bye}");
        assert_eq!(socket.end(), End::Closed(1001, "drain".to_owned()));
    }
    assert_eq!(frames.next().json()["control"], "bye");
    assert_eq!(frames.closed(), (1001, "drain".to_owned()));

    // What was acknowledged is there.
    server.restart();
    let topics = get(server.address(), "/v1/topics").json();
    let kept = topics["topics"][0]["events"].as_u64().expect("a number");
    assert!(kept >= acknowledged, "{kept} of {acknowledged} are kept");
}

/// Reads to the end, which is in order; the frames that are no replies, and the number of
/// events that were acknowledged.
fn hear_to_the_end(mut frames: Frames, replies: &AtomicUsize) -> (Vec<Frame>, u64) {
    let (mut said, mut acknowledged) = (Vec::new(), 0);
    assert_eq!(frames.next().json()["control"], "ready");
    loop {
        let frame = frames.next();
        if frame.first == FIN | TEXT && frame.json().get("reply").is_some() {
            replies.fetch_add(1, Ordering::Relaxed);
            acknowledged += u64::from(frame.json()["cursor"].is_string());
            continue;
        }
        said.push(frame);
        if said.last().is_some_and(|frame| frame.first == FIN | CLOSE) {
            assert_eq!(frames.raw.try_rest().expect("an end in order"), b"");
            return (said, acknowledged);
        }
    }
}
