//! What clients say over a WebSocket, and what they are answered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{
    FailingDisk, Fault, Process, Request, Server, Spoken, WebSocket, delete, get, post, request,
};

type Headers<'a> = &'a [(&'a str, &'a str)];

const STATE: &str = "[[topic]]\nmatch = \"tickers/**\"\nkind = \"state\"\n";

/// A server with state topics, and the folder of its configuration.
fn start() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellwire.toml");
    std::fs::write(&file, STATE).expect("written");
    let server = Server::start_with(&["--config", file.to_str().expect("UTF-8")]);
    (server, folder)
}

#[test]
fn what_is_published_is_acknowledged_with_the_cursor_of_its_event() {
    let server = Server::start();
    for spoken in Spoken::BOTH {
        let topic = format!("chat/{}", spoken.name());
        let mut socket = WebSocket::open_as(server.address(), "topic=chat/**", spoken);
        socket.until_ready(&Value::Null);
        let data = json!({"text": "hello", "n": [1, -2, 2.5, null, true], "ü": "🔔"});
        let ask = json!({
            "request": "publish", "id": 7, "topic": topic, "type": "note", "key": "k", "data": data,
        });
        let reply = socket.call(&ask);
        let event = socket.events(1).remove(0);
        assert_eq!(reply, json!({ "reply": 7, "cursor": event["cursor"] }));
        assert_eq!(
            (&event["topic"], &event["type"], &event["key"], &event["data"]),
            (&json!(topic), &json!("note"), &json!("k"), &data)
        );
        let kept = get(server.address(), &format!("/v1/topics/{topic}")).json();
        assert_eq!(kept["events"], json!([event]), "{spoken:?}");
    }
}

#[test]
fn both_subprotocols_carry_what_others_publish() {
    let server = Server::start();
    let address = server.address();
    let mut sockets =
        Spoken::BOTH.map(|spoken| WebSocket::open_as(address, "topic=lab/**", spoken));
    for socket in &mut sockets {
        socket.until_ready(&Value::Null);
    }
    let binary: Vec<u8> = (0..=255).collect();
    let large = format!("[{}\"end\"]", "\"the same again\", ".repeat(5_000));
    let cases: [(&str, &[u8], Headers<'_>); 6] = [
        ("application/json", b"{\"a\":[1,{\"b\":-1.5e3}],\"c\":\"\\u00fc\"}", &[]),
        ("application/json", large.as_bytes(), &[("Bellwire-Type", "large")]),
        ("application/json", b"18446744073709551615", &[]),
        ("text/plain", "two\nlines \u{1f514}".as_bytes(), &[("Bellwire-Key", "k")]),
        ("image/png", &binary, &[]),
        ("application/octet-stream", b"", &[]),
    ];
    for (content_type, body, headers) in cases {
        let headers: Vec<_> =
            [("Content-Type", content_type)].into_iter().chain(headers.iter().copied()).collect();
        let path = "/v1/topics/lab/a";
        let cursor =
            request(address, Request { method: "POST", path, headers: &headers, body }).cursor();
        let [as_json, mut as_msgpack] = sockets.each_mut().map(|socket| socket.events(1).remove(0));
        assert_eq!(as_json["cursor"], cursor);
        if as_json["encoding"] == "base64" {
            assert_eq!((as_msgpack.get("encoding"), &as_msgpack["data"]), (None, &json!(body)));
            as_msgpack["data"] = json!(STANDARD.encode(body));
            as_msgpack["encoding"] = json!("base64");
        }
        assert_eq!(as_json, as_msgpack, "{content_type}");
    }
}

#[test]
fn every_kind_of_payload_can_be_published() {
    let server = Server::start();
    let mut socket = WebSocket::open(server.address(), "topic=lab/**");
    socket.until_ready(&Value::Null);
    let base64 = json!({"data": "AP8K/g==", "encoding": "base64", "content_type": "image/x"});
    let cases = [
        json!({"data": null}),
        json!({"data": "text"}),
        json!({"data": {"encoding": "base64"}}),
        base64.clone(),
    ];
    for case in cases {
        let mut ask = json!({"request": "publish", "id": 1, "topic": "lab/a"});
        let members = case.as_object().expect("members");
        ask.as_object_mut().expect("one").extend(members.clone());
        assert!(socket.call(&ask)["cursor"].is_string(), "{case}");
        let event = socket.events(1).remove(0);
        for (name, value) in members {
            assert_eq!(&event[name], value, "{name} of {case}");
        }
    }
    // What is binary in MessagePack needs no encoding.
    let mut packed = WebSocket::open_as(server.address(), "", Spoken::Msgpack);
    let ask = rmpv::Value::Map(vec![
        ("request".into(), "publish".into()),
        ("id".into(), "b".into()),
        ("topic".into(), "lab/a".into()),
        ("data".into(), rmpv::Value::Binary(vec![0, 255, 10, 254])),
        ("content_type".into(), "image/x".into()),
    ]);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &ask).expect("memory");
    packed.send_raw(&bytes);
    assert!(packed.reply(&json!("b"))["cursor"].is_string());
    let event = socket.events(1).remove(0);
    for (name, value) in base64.as_object().expect("members") {
        assert_eq!(&event[name], value);
    }
}

#[test]
fn an_idempotency_key_publishes_once_on_whatever_way() {
    let server = Server::start();
    let address = server.address();
    let mut socket = WebSocket::open(address, "topic=lab/a");
    socket.until_ready(&Value::Null);
    let ask = |id: u64, key: &str| {
        json!({"request": "publish", "id": id, "topic": "lab/a", "data": id,
               "idempotency_key": key})
    };
    let first = socket.call(&ask(1, "one"))["cursor"].clone();
    let again = json!({"reply": 2, "cursor": first, "duplicate": true});
    assert_eq!(socket.call(&ask(2, "one")), again);
    let path = "/v1/topics/lab/a";
    let headers = [("Idempotency-Key", "one")];
    let answer = request(address, Request { method: "POST", path, headers: &headers, body: b"3" });
    assert_eq!(answer.json(), json!({"cursor": first, "duplicate": true}));
    let headers = [("Idempotency-Key", "two")];
    let second = request(address, Request { method: "POST", path, headers: &headers, body: b"4" });
    let again = json!({"reply": 5, "cursor": second.cursor(), "duplicate": true});
    assert_eq!(socket.call(&ask(5, "two")), again);
    let data: Vec<_> = socket.events(2).iter().map(|event| event["data"].clone()).collect();
    assert_eq!(data, [1, 4]);
}

#[test]
fn replies_and_events_come_in_the_order_of_the_requests() {
    const COUNT: u64 = 500;
    let server = Server::start();
    for spoken in Spoken::BOTH {
        let mut socket = WebSocket::open_as(server.address(), "topic=lab/a", spoken);
        socket.until_ready(&Value::Null);
        for n in 0..COUNT {
            // Every other one without an id: it gets no reply.
            let id = if n % 2 == 0 { json!(n) } else { Value::Null };
            socket.ask(&json!({"request": "publish", "id": id, "topic": "lab/a", "data": n}));
        }
        let (mut events, mut replies) = (Vec::new(), Vec::new());
        while events.len() < COUNT as usize || replies.len() < COUNT as usize / 2 {
            let item = socket.next();
            if item.get("reply").is_some() { replies.push(item) } else { events.push(item) }
        }
        for (n, event) in events.iter().enumerate() {
            assert_eq!(event["data"], n);
        }
        for (index, reply) in replies.iter().enumerate() {
            let n = index * 2;
            assert_eq!(*reply, json!({"reply": n, "cursor": events[n]["cursor"]}));
        }
    }
}

#[test]
fn state_topics_are_written_deleted_and_followed() {
    let (server, _folder) = start();
    let address = server.address();
    for spoken in Spoken::BOTH {
        let mut writer = WebSocket::open_as(address, "", spoken);
        let put = |key: &str, data: u64| json!({"request": "publish", "id": 1, "topic": "tickers/x", "key": key, "data": data});
        let is_done = |reply: &Value| reply["version"].is_string() && reply.get("error").is_none();
        for ask in [put("a", 1), put("b", 1), put("a", 2)] {
            assert!(is_done(&writer.call(&ask)));
        }
        let mut reader = WebSocket::open_as(address, "topic=tickers/**", spoken);
        let keys = |items: &[Value]| {
            let summary = |item: &Value| (item["key"].clone(), item["data"].clone());
            items.iter().map(summary).collect::<Vec<_>>()
        };
        let snapshot = reader.until_ready(&Value::Null);
        let snapshot = keys(&snapshot[..snapshot.len() - 1]);
        assert_eq!(snapshot, [(json!("b"), json!(1)), (json!("a"), json!(2))]);

        let reply = writer.call(&put("b", 3));
        let event = reader.events(1);
        assert_eq!(reply, json!({ "reply": 1, "version": event[0]["version"] }));
        assert_eq!(keys(&event), [(json!("b"), json!(3))]);
        for key in ["a", "b"] {
            let ask = json!({"request": "delete", "id": 1, "topic": "tickers/x", "key": key});
            assert!(is_done(&writer.call(&ask)));
            let event = reader.events(1).remove(0);
            assert_eq!((&event["key"], &event["deleted"]), (&json!(key), &json!(true)));
            assert_eq!(writer.call(&ask)["error"]["code"], "key_not_found");
        }
        assert_eq!(delete(address, "/v1/topics/tickers/x?key=a").status, 404);
    }
}

const RULES: &str = "groups:\n- name: boilers\n  rules:\n  - alert: BoilerHot\n    \
                     expr: boiler_temperature_celsius > 90\n    labels: {severity: critical}\n";

#[test]
fn a_sample_and_its_alert_travel_on_one_socket() {
    let rules = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(rules.path(), RULES).expect("a file is written");
    let server = Server::start_with(&["--rules", rules.path().to_str().expect("UTF-8")]);
    for (site, spoken) in ["oslo", "bergen"].into_iter().zip(Spoken::BOTH) {
        let mut socket = WebSocket::open_as(server.address(), "topic=alerts/events/**", spoken);
        socket.until_ready(&Value::Null);
        let name = "boiler_temperature_celsius";
        let labels = json!({ "site": site });
        let ask = json!({"request": "samples", "id": "s", "samples": [
            {"name": name, "labels": labels, "value": 93.5},
            {"name": name, "labels": labels},
            {"name": "other", "value": 1},
        ]});
        let reply = socket.call(&ask);
        assert_eq!((&reply["accepted"], &reply["rejected"]), (&json!(2), &json!(1)), "{reply}");
        assert_eq!(reply["errors"][0]["line"], 2, "{reply}");
        assert_eq!(reply["errors"][0]["code"], "value_missing", "{reply}");
        let alert = socket.events(1).remove(0);
        assert_eq!(alert["type"], "alert.firing");
        assert_eq!(alert["data"]["labels"]["site"], site);
        assert_eq!(alert["data"]["value"], 93.5);
    }
}

#[test]
fn samples_whose_state_cannot_be_kept_are_refused_in_their_answer_and_in_order() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: no disk can be made to fail");
        return;
    };
    let data = disk.data();
    let rules = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(rules.path(), RULES).expect("a file is written");
    let rules = rules.path().to_str().expect("UTF-8");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--rules", rules];
    let mut process = Process::spawn(disk.command(&arguments));
    let line = process.line();
    let address = line.strip_prefix("listening on http://").and_then(|text| text.parse().ok());
    let mut socket = WebSocket::open(address.expect("an address"), "topic=lab/a");
    socket.until_ready(&Value::Null);
    let sample = |id: u32| {
        let samples = [json!({"name": "boiler_temperature_celsius", "value": id})];
        json!({"request": "samples", "id": id, "samples": samples})
    };
    assert_eq!(socket.call(&sample(0)), json!({"reply": 0, "accepted": 1}));

    let errno = rustix::io::Errno::NOSPC.raw_os_error();
    let for_ever = Fault { kind: "write", skip: 0, count: u64::MAX >> 1, errno, sleep_ms: 0 };
    disk.fail(for_ever);
    let wrong = json!({"request": "samples", "id": 3, "samples": [{"name": "t"}, 7]});
    for request in [&sample(1), &sample(2), &wrong, &sample(4)] {
        socket.ask(request);
    }
    for (id, code) in [(1, "journal_full"), (2, "journal_full"), (3, ""), (4, "journal_full")] {
        let reply = socket.try_next().expect("a reply");
        assert_eq!(reply["reply"], id, "in order: {reply}");
        assert_eq!(reply["error"]["code"].as_str().unwrap_or_default(), code, "{reply}");
    }
    disk.heal();
    let is_kept = |reply: Value| reply == json!({"reply": 5, "accepted": 1});
    while !is_kept(socket.call(&sample(5))) {
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

#[test]
fn each_wrong_request_is_answered_and_the_connection_goes_on() {
    let (server, _folder) = start();
    let mut socket = WebSocket::open(server.address(), "topic=lab/a");
    socket.until_ready(&Value::Null);
    let many = (0..65).map(|n| format!("\"t{n}\"")).collect::<Vec<_>>().join(",");
    let many = format!(r#"{{"id":1,"request":"subscribe","topics":[{many}]}}"#);
    let large = "x".repeat(70_000);
    let large =
        format!(r#"{{"id":1,"request":"publish","topic":"tickers/x","key":"a","data":"{large}"}}"#);
    // The id of the reply, and the code of the error.
    let cases: &[(&str, Value, &str)] = &[
        ("", Value::Null, "json_invalid"),
        ("hello", Value::Null, "json_invalid"),
        ("[]", Value::Null, "request_invalid"),
        ("null", Value::Null, "request_invalid"),
        (r#"{"id":1}"#, json!(1), "request_invalid"),
        (r#"{"id":"a","request":"follow"}"#, json!("a"), "request_invalid"),
        (r#"{"id":1,"request":"publish","topic":"#, json!(1), "json_invalid"),
        (r#"{"id":-1,"request":"unsubscribe","topics":["a"]}"#, Value::Null, "type_invalid"),
        (r#"{"id":1.5,"request":"unsubscribe","topics":["a"]}"#, Value::Null, "type_invalid"),
        (r#"{"id":[1],"request":"unsubscribe","topics":["a"]}"#, Value::Null, "type_invalid"),
        (r#"{"id":1,"id":2,"request":"unsubscribe","topics":["a"]}"#, json!(1), "duplicate_field"),
        (r#"{"id":1,"request":"subscribe"}"#, json!(1), "topic_missing"),
        (r#"{"id":1,"request":"subscribe","topics":[]}"#, json!(1), "topic_invalid"),
        (r#"{"id":1,"request":"subscribe","topics":["a//b"]}"#, json!(1), "topic_invalid"),
        (r#"{"id":1,"request":"subscribe","topics":"a"}"#, json!(1), "type_invalid"),
        (
            r#"{"id":1,"request":"subscribe","topics":["a"],"after":"x"}"#,
            json!(1),
            "cursor_invalid",
        ),
        (r#"{"id":1,"request":"subscribe","topics":["a"],"wait":1}"#, json!(1), "unknown_field"),
        (r#"{"id":1,"request":"unsubscribe","topics":["x"]}"#, json!(1), "parameter_invalid"),
        (r#"{"id":1,"request":"publish","topic":"a"}"#, json!(1), "data_missing"),
        (r#"{"id":1,"request":"publish","data":1}"#, json!(1), "topic_missing"),
        (r#"{"id":1,"request":"publish","topic":"a*","data":1}"#, json!(1), "topic_invalid"),
        (r#"{"id":1,"request":"publish","topic":"alerts/a","data":1}"#, json!(1), "topic_reserved"),
        (r#"{"id":1,"request":"publish","topic":"$a","data":1}"#, json!(1), "topic_reserved"),
        (r#"{"id":1,"request":"publish","topic":"tickers/x","data":1}"#, json!(1), "key_missing"),
        (
            r#"{"id":1,"request":"publish","topic":"a","data":1,"type":"gap"}"#,
            json!(1),
            "event_type_invalid",
        ),
        (
            r#"{"id":1,"request":"publish","topic":"a","data":1,"idempotency_key":""}"#,
            json!(1),
            "idempotency_key_invalid",
        ),
        (&large, json!(1), "event_too_large"),
        (r#"{"id":1,"request":"delete","topic":"lab/a","key":"a"}"#, json!(1), "kind_mismatch"),
        (r#"{"id":1,"request":"delete","topic":"tickers/x","key":"?"}"#, json!(1), "key_not_found"),
        (r#"{"id":1,"request":"delete","topic":"tickers/x"}"#, json!(1), "key_missing"),
        (
            r#"{"id":1,"request":"delete","topic":"alerts/active","key":"a"}"#,
            json!(1),
            "topic_reserved",
        ),
        (r#"{"id":1,"request":"samples"}"#, json!(1), "body_empty"),
        (r#"{"id":1,"request":"samples","samples":7}"#, json!(1), "type_invalid"),
        (&many, json!(1), "topic_invalid"),
    ];
    for (ask, id, code) in cases {
        socket.send_raw(ask.as_bytes());
        let reply = socket.next();
        assert_eq!(reply["reply"], *id, "{ask}: {reply}");
        assert_eq!(reply["error"]["code"], *code, "{ask}: {reply}");
        assert!(reply["error"]["detail"].as_str().is_some_and(|it| it.len() > 5), "{reply}");
    }
    socket.publish("lab/a", json!("it goes on"));
    assert_eq!(socket.events(1)[0]["data"], "it goes on");
}

#[test]
fn message_pack_that_has_no_json_is_refused() {
    let server = Server::start();
    let address = server.address();
    let mut socket = WebSocket::open_as(address, "topic=lab/a", Spoken::Msgpack);
    socket.until_ready(&Value::Null);
    let publish = |data: rmpv::Value| {
        rmpv::Value::Map(vec![
            ("id".into(), 1.into()),
            ("request".into(), "publish".into()),
            ("topic".into(), "lab/a".into()),
            ("data".into(), data),
        ])
    };
    let deep = (0..200).fold(rmpv::Value::Nil, |inner, _| rmpv::Value::Array(vec![inner]));
    let number_as_name = rmpv::Value::Map(vec![(1.into(), 2.into())]);
    let nested_binary = rmpv::Value::Array(vec![rmpv::Value::Binary(vec![1])]);
    let cases = [rmpv::Value::Ext(1, vec![2]), deep, number_as_name, nested_binary];
    for data in cases {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &publish(data.clone())).expect("memory");
        socket.send_raw(&bytes);
        let reply = socket.next();
        assert_eq!(reply["reply"], 1, "{data:?}: {reply}");
        assert!(reply["error"]["code"].is_string(), "{data:?}: {reply}");
    }
    let mut whole = Vec::new();
    rmpv::encode::write_value(&mut whole, &publish(7.into())).expect("memory");
    for end in 0..whole.len() {
        socket.send_raw(&whole[..end]);
        assert_eq!(socket.next()["error"]["code"], "msgpack_invalid", "cut at {end}");
    }
    let twice = [&whole[..], &whole[..]].concat();
    for bytes in [&[0xC1][..], &[0xDD, 0xFF, 0xFF, 0xFF, 0xFF], &[0xDB, 0x7F, 0, 0, 0], &twice] {
        socket.send_raw(bytes);
        assert_eq!(socket.next()["error"]["code"], "msgpack_invalid");
    }
    let kept = get(address, "/v1/topics/lab/a").json();
    assert_eq!(kept["events"], json!([]), "nothing wrong was published");
    // Numbers that JSON does not have are texts, as in alerts.
    let float = rmpv::Value::Array(vec![f64::NAN.into(), f64::NEG_INFINITY.into(), 0.5.into()]);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &publish(float)).expect("memory");
    socket.send_raw(&bytes);
    assert_eq!(socket.events(1)[0]["data"], json!(["NaN", "-Inf", 0.5]));
}

#[test]
fn what_is_published_by_http_and_by_websocket_is_one_order() {
    let server = Server::start();
    let address = server.address();
    let mut socket = WebSocket::open(address, "topic=lab/**");
    socket.until_ready(&Value::Null);
    let mut cursors = Vec::new();
    for n in 0..20 {
        cursors.push(if n % 2 == 0 {
            post(address, "/v1/topics/lab/a", n.to_string()).cursor()
        } else {
            socket.publish("lab/b", json!(n))
        });
    }
    for (n, (event, cursor)) in socket.events(20).iter().zip(cursors).enumerate() {
        assert_eq!((&event["data"], &event["cursor"]), (&json!(n), &json!(cursor)));
    }
}
