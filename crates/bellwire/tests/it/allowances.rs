//! What roles allow in a while, each subject for itself, on every way in.
//!
//! What is sent at once is so much more than a second's worth that no machine is slow enough to let
//! the next through.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::frames::text;
use crate::harness::{Answer, Frames, Http2, Raw, Request, Server, bellwire, request};

/// A server with roles and keys; the keys are in the order of their subjects and roles.
fn with_roles<const KEYS: usize>(
    roles: &str,
    keys: [(&str, &[&str]); KEYS],
) -> (Server, [String; KEYS], TempDir) {
    let folder = TempDir::new().expect("a folder");
    let mut config = roles.to_owned();
    let keys = keys.map(|(subject, roles)| {
        let mut arguments = vec!["key", "make", "--subject", subject];
        arguments.extend(roles.iter().flat_map(|role| ["--role", role]));
        let made = bellwire(&arguments).output().expect("it runs");
        let made = String::from_utf8(made.stdout).expect("text");
        let (key, table) = made.split_once('\n').expect("a key, then a table");
        config.push_str(table);
        key.trim().to_owned()
    });
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, config).expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    (server, keys, folder)
}

fn role(name: &str, limits: &str) -> String {
    format!(
        "[[access.role]]\nname = \"{name}\"\nsubscribe = [\"a\", \"b\"]\n\
         publish = [\"a\", \"t/*\"]\n\
         ingest = ['{{}}']\nlimits = {{ {limits} }}\n"
    )
}

/// The status, and the code of the problem where it is one.
fn told(answer: &Answer) -> (u16, String) {
    let problem = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    (answer.status, problem["code"].as_str().unwrap_or_default().to_owned())
}

fn exhausted() -> (u16, String) {
    (429, "principal_exhausted".to_owned())
}

fn send(server: &Server, key: &str, path: &str, body: &str) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [("Authorization", authorization.as_str())];
    let post = Request { method: "POST", path, headers: &headers, body: body.as_bytes() };
    request(server.address(), post)
}

/// A WebSocket of this key, whose requests are answered.
fn websocket(server: &Server, key: &str) -> Frames {
    Frames::open_with(server.address(), "", &format!("Authorization: Bearer {key}\r\n"))
}

fn asked(socket: &mut Frames, what: &Value) -> Value {
    socket.send(text(what.to_string()));
    socket.reply(1)
}

#[test]
fn connections_are_counted_on_every_way_in_and_come_back() {
    let roles = role("few", "connections = 1") + &role("free", "");
    let keys =
        [("ada", &["few"][..]), ("ada", &["few"]), ("bob", &["few"]), ("ada", &["few", "free"])];
    let (server, [ada, again, bob, generous], _folder) = with_roles(&roles, keys);
    let address = server.address();
    let head = |key: &str, more: &str| {
        format!(
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{more}\r\n"
        )
    };
    let opened = |key: &str| {
        let mut raw = Raw::connect(address);
        raw.send(head(key, ""));
        let head = raw.until("\r\n\r\n");
        (raw, head)
    };
    let (first, begun) = opened(&ada);
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    // The same subject by another key; on a connection of its own, and on one that was used.
    for before in ["", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"] {
        for key in [&ada, &again] {
            let mut raw = Raw::connect(address);
            if !before.is_empty() {
                raw.send(before);
                assert_eq!(raw.answer().status, 200);
            }
            raw.send(head(key, ""));
            let answer = raw.answer();
            assert_eq!(told(&answer), exhausted(), "{before}");
            assert!(answer.header("retry-after").is_some(), "{before}");
        }
        let mut raw = Raw::connect(address);
        if !before.is_empty() {
            raw.send(before);
            assert_eq!(raw.answer().status, 200);
        }
        raw.send(head(&ada, "Accept: text/event-stream\r\n"));
        let told = raw.until("\"reason\":\"principal_exhausted\"");
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    }
    let authorization = format!("Bearer {ada}");
    let headers = [("authorization", authorization.as_str()), ("accept", "application/json")];
    let path = "/v1/events?topic=a";
    let get = |headers| Request { method: "GET", path, headers, body: b"" };
    assert_eq!(told(&request(address, get(&headers))), exhausted());
    assert_eq!(told(&Http2::plain(address).begin(get(&headers[..1]))), exhausted());
    // Somebody else, and a role that sets no limit.
    for key in [&bob, &generous, &generous] {
        let (raw, begun) = opened(key);
        assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
        std::mem::forget(raw);
    }
    drop(first);
    let comes_in = |_: u32| opened(&ada).1.starts_with("HTTP/1.1 200 ");
    assert!((0..10_000).any(comes_in), "there is room again");
    // Of HTTP/2 as well, and of answers that do not last.
    let has_room = |_: u32| request(address, get(&headers)).status == 200;
    assert!((0..10_000).any(has_room) && (0..3).all(has_room), "a poll gives it back");
    let mut http2 = Http2::plain(address);
    assert_eq!(http2.begin(get(&headers[..1])).status, 200);
    assert!(!comes_in(0));
    drop(http2);
    assert!((0..10_000).any(comes_in), "there is room again");
}

#[test]
fn events_and_their_bytes_are_counted_on_every_way_in() {
    for limits in ["events_per_second = 1", "bytes_per_second = 1"] {
        let keys = [("ada", &["few"][..]), ("bob", &["few"])];
        let (server, [ada, bob], _folder) = with_roles(&role("few", limits), keys);
        // Whoever owes nothing may send as much as there is.
        let batch = vec![json!({ "topic": "a", "data": "x".repeat(50) }); 500];
        let batch = json!(batch).to_string();
        assert_eq!(send(&server, &ada, "/v1/events", &batch).status, 200, "{limits}");
        let refused = send(&server, &ada, "/v1/events", &batch);
        assert_eq!(told(&refused), exhausted(), "{limits}");
        let seconds: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
        assert!((300..=60_000).contains(&seconds), "{limits}: {seconds}");
        assert_eq!(told(&send(&server, &ada, "/v1/topics/a", "1")), exhausted(), "{limits}");
        let publish = json!({ "request": "publish", "id": 1, "topic": "a", "data": 1 });
        let reply = asked(&mut websocket(&server, &ada), &publish);
        assert_eq!(reply["error"]["code"], "principal_exhausted", "{limits}: {reply}");
        if limits.starts_with("events") {
            let authorization = format!("Bearer {ada}");
            let headers = [("Authorization", authorization.as_str())];
            let path = "/v1/topics/a?key=k";
            let delete = Request { method: "DELETE", path, headers: &headers, body: b"" };
            assert_eq!(told(&request(server.address(), delete)), exhausted());
            let delete = json!({ "request": "delete", "id": 1, "topic": "a", "key": "k" });
            let reply = asked(&mut websocket(&server, &ada), &delete);
            assert_eq!(reply["error"]["code"], "principal_exhausted", "{reply}");
        }
        assert_eq!(send(&server, &bob, "/v1/topics/a", "1").status, 201, "{limits}");
    }
}

#[test]
fn keys_that_are_deleted_together_count_one_by_one() {
    let roles = "[[topic]]\nmatch = \"t/*\"\nkind = \"state\"\n".to_owned()
        + &role("few", "events_per_second = 1")
        + &role("free", "");
    let (server, [ada, bob], _folder) =
        with_roles(&roles, [("ada", &["few"][..]), ("bob", &["free"])]);
    let keys = (0..5_000).map(|key| json!({ "topic": "t/x", "key": key.to_string(), "data": 1 }));
    let batch = json!(keys.collect::<Vec<_>>()).to_string();
    assert_eq!(send(&server, &bob, "/v1/events", &batch).status, 200);
    let delete = |key: &str| {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", authorization.as_str())];
        let path = "/v1/topics/t/x?prefix=";
        request(server.address(), Request { method: "DELETE", path, headers: &headers, body: b"" })
    };
    let refused = delete(&ada);
    assert_eq!(told(&refused), exhausted());
    let deleted = refused.json()["deleted"].as_u64().expect("a number");
    // What is owed for the first page may be paid by the second, and for that by none.
    assert!([1_024, 2_048].contains(&deleted), "{deleted}");
    let refused = delete(&ada);
    assert_eq!((told(&refused), refused.json().get("deleted")), (exhausted(), None));
    assert_eq!(delete(&bob).json(), json!({ "deleted": 5_000 - deleted }));
}

#[test]
fn samples_are_counted_from_every_source() {
    let sample = json!({ "name": "cpu", "value": 1 });
    let batch = json!(vec![sample.clone(); 500]).to_string();
    for limits in ["samples_per_second = 1", "bytes_per_second = 1"] {
        let keys = [("ada", &["few"][..]), ("bob", &["few"]), ("root", &["admin"])];
        let (server, [ada, bob, root], _folder) = with_roles(&role("few", limits), keys);
        assert_eq!(send(&server, &ada, "/v1/samples", &batch).status, 200, "{limits}");
        assert_eq!(told(&send(&server, &ada, "/v1/samples", &batch)), exhausted(), "{limits}");
        assert_eq!(send(&server, &ada, "/write", "cpu value=1").status, 503, "{limits}");
        let samples = json!({ "request": "samples", "id": 1, "samples": [sample] });
        let reply = asked(&mut websocket(&server, &ada), &samples);
        assert_eq!(reply["error"]["code"], "principal_exhausted", "{limits}: {reply}");
        assert_eq!(send(&server, &bob, "/write", "cpu value=1").status, 204, "{limits}");
        let authorization = format!("Bearer {root}");
        let headers = [("Authorization", authorization.as_str())];
        let metrics = Request { method: "GET", path: "/metrics", headers: &headers, body: b"" };
        let metrics = request(server.address(), metrics);
        assert!(metrics.text().contains("\nbellwire_principals_refused_total 3\n"), "{limits}");
    }
}

#[test]
fn a_connection_that_is_renewed_stays_counted_until_it_ends() {
    let roles = role("few", "connections = 1") + &role("free", "");
    let keys = [("ada", &["few"][..]), ("ada", &["few"]), ("ada", &["free"])];
    let (server, [ada, again, free], _folder) = with_roles(&roles, keys);
    let comes_in = || {
        let mut raw = Raw::connect(server.address());
        let authorization = format!("Authorization: Bearer {ada}");
        raw.send(format!("GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\n{authorization}\r\n\r\n"));
        raw.until("\r\n\r\n").starts_with("HTTP/1.1 200 ")
    };
    let mut socket = websocket(&server, &ada);
    for key in [&again, &free, &ada, &again] {
        let renew = json!({ "request": "renew", "id": 1, "token": key });
        let reply = asked(&mut socket, &renew);
        assert!(reply.get("error").is_none(), "{reply}");
        assert!(!comes_in());
    }
    drop(socket);
    assert!((0..10_000).any(|_| comes_in()), "there is room again");
}

/// Opens a stream; the head of the answer.
fn opened(server: &Server, query: &str, headers: &str) -> (Raw, String) {
    let mut raw = Raw::connect(server.address());
    raw.send(format!("GET /v1/events?{query} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
    let head = raw.until("\r\n\r\n");
    (raw, head)
}

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

#[test]
fn filters_of_all_connections_count_together_as_they_come_and_go() {
    let keys = [("ada", &["few"][..]), ("ada", &["few"]), ("bob", &["few"])];
    let (server, [ada, again, bob], _folder) = with_roles(&role("few", "subscriptions = 2"), keys);
    let (stream, begun) = opened(&server, "topic=a", &bearer(&ada));
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    let mut socket = websocket(&server, &again);
    let ask = |socket: &mut Frames, what: &str, topics: &[&str]| {
        let asked = asked(socket, &json!({ "request": what, "id": 1, "topics": topics }));
        asked["error"]["code"].as_str().map(ToOwned::to_owned)
    };
    assert_eq!(ask(&mut socket, "subscribe", &["a"]), None);
    assert_eq!(ask(&mut socket, "subscribe", &["b"]).as_deref(), Some("principal_exhausted"));
    for (query, accept) in [("topic=b", ""), ("topic=b", "Accept: application/json\r\n")] {
        let (_, refused) = opened(&server, query, &(bearer(&ada) + accept));
        assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    }
    let (_other, begun) = opened(&server, "topic=a&topic=b", &bearer(&bob));
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    // What is not followed any more makes room, on the same connection and on others.
    assert_eq!(ask(&mut socket, "unsubscribe", &["a"]), None);
    assert_eq!(ask(&mut socket, "subscribe", &["b"]), None);
    drop(stream);
    assert!((0..10_000).any(|_| ask(&mut socket, "subscribe", &["a"]).is_none()), "there is room");
    let whoami = send_get(&server, &ada, "/v1/whoami").json();
    assert_eq!(whoami["limits"], json!({ "subscriptions": { "max": 2, "left": 0 } }));
}

#[test]
fn who_is_displaced_by_its_own_ticket_leaves_its_place() {
    let roles = role("few", "connections = 1, subscriptions = 1");
    let (server, [ada], _folder) = with_roles(&roles, [("ada", &["few"][..])]);
    let made = send(&server, &ada, "/v1/tickets", r#"{"topics":["a"]}"#);
    assert_eq!(made.status, 201, "{}", made.text());
    let query = format!("topic=a&ticket={}", made.json()["ticket"].as_str().expect("a ticket"));
    let (mut before, begun) = opened(&server, &query, "");
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    for _ in 0..5 {
        let (newer, begun) = opened(&server, &query, "");
        assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
        assert!(opened(&server, "topic=a", &bearer(&ada)).1.starts_with("HTTP/1.1 429 "));
        before.until("displaced");
        before = newer;
    }
    drop(before);
    let comes_in = |_| opened(&server, "topic=a", &bearer(&ada)).1.starts_with("HTTP/1.1 200 ");
    assert!((0..10_000).any(comes_in), "there is room again");
}

fn send_get(server: &Server, key: &str, path: &str) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [("Authorization", authorization.as_str())];
    request(server.address(), Request { method: "GET", path, headers: &headers, body: b"" })
}

#[test]
fn what_only_the_head_is_asked_of_is_no_connection() {
    let roles = role("few", "connections = 1, connects_per_second = 1");
    let (server, [ada], _folder) = with_roles(&roles, [("ada", &["few"][..])]);
    let authorization = format!("Bearer {ada}");
    let headers = [("Authorization", authorization.as_str())];
    for _ in 0..20 {
        let path = "/v1/events?topic=a";
        let head = Request { method: "HEAD", path, headers: &headers, body: b"" };
        assert_eq!(request(server.address(), head).status, 200);
    }
    let told = send_get(&server, &ada, "/v1/whoami").json();
    let full = json!({ "max": 1, "left": 1 });
    assert_eq!(told["limits"], json!({ "connections": full, "connects_per_second": full }));
}

#[test]
fn so_many_topics_are_published_to_and_known_ones_go_on() {
    let keys = [("ada", &["few"][..]), ("bob", &["few"])];
    let (server, [ada, bob], _folder) = with_roles(&role("few", "topics = 2"), keys);
    let publish =
        |key: &str, topic: &str| told(&send(&server, key, &format!("/v1/topics/t/{topic}"), "1"));
    for _ in 0..2 {
        assert_eq!((publish(&ada, "1").0, publish(&ada, "2").0), (201, 201));
        assert_eq!(publish(&ada, "3"), exhausted());
    }
    let refused = send(&server, &ada, "/v1/topics/t/3", "1");
    let seconds: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=3_600).contains(&seconds), "{seconds}");
    let batch = json!([
        { "topic": "t/1", "data": 1 }, { "topic": "t/4", "data": 1 }, { "topic": "t/2", "data": 1 }
    ]);
    let results = send(&server, &ada, "/v1/events", &batch.to_string()).json()["results"].take();
    assert_eq!(results[1]["error"]["code"], "principal_exhausted", "{results}");
    assert!(results[0]["cursor"].is_string() && results[2]["cursor"].is_string(), "{results}");
    let over_websocket = json!({ "request": "publish", "id": 1, "topic": "t/5", "data": 1 });
    let reply = asked(&mut websocket(&server, &ada), &over_websocket);
    assert_eq!(reply["error"]["code"], "principal_exhausted", "{reply}");
    assert_eq!(publish(&bob, "5").0, 201);
}

#[test]
fn a_sensor_with_ever_new_labels_has_so_many_series_and_others_have_theirs() {
    let keys = [("ada", &["few"][..]), ("bob", &["few"])];
    let (server, [ada, bob], _folder) = with_roles(&role("few", "series = 3"), keys);
    let samples = |from: u32, count: u32| {
        let sample = |id| json!({ "name": "cpu", "labels": { "id": format!("{id}") }, "value": 1 });
        json!((from..from + count).map(sample).collect::<Vec<_>>())
    };
    let sent = |key: &str, from: u32, count: u32| {
        send(&server, key, "/v1/samples", &samples(from, count).to_string()).json()
    };
    assert_eq!(sent(&ada, 0, 2), json!({ "accepted": 2 }));
    let cut = sent(&ada, 1, 1_000);
    assert_eq!((&cut["accepted"], &cut["rejected"]), (&json!(2), &json!(998)), "{cut}");
    assert_eq!(cut["errors"][0]["code"], "principal_exhausted");
    assert_eq!(cut["errors"][0]["line"], 3);
    assert_eq!(sent(&ada, 0, 3), json!({ "accepted": 3 }), "what is known goes on");
    assert_eq!(sent(&ada, 7, 1)["code"], "samples_invalid");
    let influx = send(&server, &ada, "/write", "cpu,id=new value=1\n");
    assert!(
        influx.status == 400 && influx.text().contains("3 different series"),
        "{}",
        influx.text()
    );
    let over_websocket = json!({ "request": "samples", "id": 1, "samples": samples(2, 2) });
    let reply = asked(&mut websocket(&server, &ada), &over_websocket);
    assert_eq!((&reply["accepted"], &reply["rejected"]), (&json!(1), &json!(1)), "{reply}");
    assert_eq!(reply["errors"][0]["code"], "principal_exhausted", "{reply}");
    assert_eq!(sent(&bob, 500, 3), json!({ "accepted": 3 }));
    let told = send_get(&server, &ada, "/v1/whoami").json();
    assert_eq!(told["limits"], json!({ "series": { "max": 3, "left": 0 } }));
}

#[test]
fn limits_are_above_zero_and_have_names() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("wrong.toml");
    for limits in ["connections = 0", "events_per_second = -1", "series = 0", "subscribers = 1"] {
        std::fs::write(&path, role("none", limits)).expect("written");
        let output = bellwire(&["serve", "--config", path.to_str().expect("text")]).output();
        let told = String::from_utf8_lossy(&output.expect("it runs").stderr).into_owned();
        assert!(told.contains("wrong.toml:6:"), "{told}");
    }
}

#[test]
fn an_address_connects_so_often_in_a_second_and_no_more() {
    let flags = ["--connects-per-second-per-address-max", "2", "--trusted-proxies", "loopback"];
    let server = Server::start_with(&flags);
    let ask = |client: &str| {
        let mut raw = Raw::connect(server.address());
        raw.send(format!(
            "GET /v1/events?topic=a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n"
        ));
        raw.until("\r\n\r\n").split(' ').nth(1).expect("a status").to_owned()
    };
    // Each of these is a client of its own.
    for client in 1..=8 {
        assert_eq!(ask(&format!("192.0.2.{client}")), "200");
    }
    // Of one client so many do not come within the seconds that they take.
    assert!((0..100_000).any(|_| ask("192.0.2.100") == "429"), "nobody is refused");
    assert_eq!(ask("192.0.2.101"), "200");
    let mut kept = Raw::connect(server.address());
    for _ in 0..50 {
        kept.send("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.102\r\n\r\n");
        assert_eq!(kept.answer().status, 200, "requests are no connections");
    }
}
