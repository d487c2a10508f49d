//! What clients ask over a WebSocket, and what they are answered.

use std::time::Duration;

use bellwire_model::limits::{
    EVENT_BYTES_MAX, FILTERS_PER_CONNECTION_MAX, IDEMPOTENCY_KEY_BYTES_MAX, REQUEST_ID_BYTES_MAX,
};
use bellwire_model::{
    AskedQuery, Body, Condition, Cursor, Epoch, Filter, FilterSet, KeyVersion, Life, MaxRate,
    Offset, Version, WriteTerms,
};
use bellwire_wire::publish::{Post, Publish};
use bellwire_wire::reply::{Reply, SampleError};
use bellwire_wire::request::{
    After, Received, Refusal, Request, RequestId, read_json, read_msgpack,
};
use bellwire_wire::{Control, GapReason, control, msgpack};
use bytes::Bytes;
use proptest::prelude::*;

const CURSOR: Cursor = Cursor::new(Epoch::new(7), Offset::new(1042));

const VERSION: KeyVersion = KeyVersion::Table { life: Life::new(9), version: Version::new(77) };

fn topics(names: &[&str]) -> Vec<Filter> {
    names.iter().map(|name| name.parse().expect(name)).collect()
}

fn publish(body: Body) -> Publish {
    let (topic, terms) = ("chat/a".parse().expect("a topic"), WriteTerms::default());
    Publish { topic, key: None, event_type: None, body, terms, fence: None }
}

const SEVEN: Option<RequestId> = Some(RequestId::Number(7));

#[test]
fn a_request_is_read_as_it_is_written_in_both_encodings() {
    let json = |text: &'static str| Body::Json(Bytes::from_static(text.as_bytes()));
    let full = Publish {
        key: Some("k".into()),
        event_type: Some("said".into()),
        ..publish(json("{\"a\":[1,2.5]}"))
    };
    let at_version = Publish {
        key: Some("k".into()),
        terms: WriteTerms { condition: Condition::At(VERSION), ttl: None },
        ..publish(json("1"))
    };
    let png = Body::Binary { content_type: "image/png".into(), bytes: b"\x89PNG"[..].into() };
    let subscribe = |names: &[&str], after, max_rate: Option<f64>| Request::Subscribe {
        topics: topics(names),
        queries: Vec::new(),
        after,
        max_rate: max_rate.map(|rate| MaxRate::per_second(rate).expect("a rate")),
        history: None,
    };
    let cases = [
        (
            r#"{"request":"subscribe","topics":["chat/*"]}"#,
            None,
            subscribe(&["chat/*"], None, None),
        ),
        (
            r#"{"request":"subscribe","id":7,"topics":["a","b/**"],"after":"e7-1042","max_rate":5}"#,
            SEVEN,
            subscribe(&["a", "b/**"], Some(After::Cursor(CURSOR)), Some(5.0)),
        ),
        (
            r#"{"max_rate":0.5,"after":"earliest","topics":["a"],"id":"x","request":"subscribe"}"#,
            Some(RequestId::Text("x".into())),
            subscribe(&["a"], Some(After::Earliest), Some(0.5)),
        ),
        (
            r#"{"request":"subscribe","id":null,"topics":["a"],"after":"latest","max_rate":null}"#,
            None,
            subscribe(&["a"], Some(After::Latest), None),
        ),
        (
            r#"{"request":"subscribe","queries":["sum(x) > 1"],"query_names":["hot"],"history":"15m"}"#,
            None,
            Request::Subscribe {
                topics: Vec::new(),
                queries: vec![
                    AskedQuery::Expression("sum(x) > 1".into()),
                    AskedQuery::Named("hot".into()),
                ],
                after: None,
                max_rate: None,
                history: Some(Duration::from_mins(15)),
            },
        ),
        (
            r#"{"request":"unsubscribe","id":18446744073709551615,"topics":["a","a"]}"#,
            Some(RequestId::Number(u64::MAX)),
            Request::Unsubscribe { topics: topics(&["a", "a"]) },
        ),
        (
            r#"{"request":"publish","id":9,"topic":"chat/a","key":"k","type":"said","data":{"a":[1,2.5]},"idempotency_key":"i"}"#,
            Some(RequestId::Number(9)),
            Request::Publish { post: Post::Event(full), idempotency_key: Some("i".into()) },
        ),
        (
            r#"{"request":"publish","topic":"chat/a","data":"iVBORw==","encoding":"base64","content_type":"image/png"}"#,
            None,
            Request::Publish { post: Post::Event(publish(png)), idempotency_key: None },
        ),
        (
            r#"{"request":"publish","topic":"chat\/a","data":null,"key":null}"#,
            None,
            Request::Publish { post: Post::Event(publish(json("null"))), idempotency_key: None },
        ),
        (
            r#"{"request":"publish","topic":"chat/a","key":"k","data":1,"if_version":"s9-77","if_absent":false}"#,
            None,
            Request::Publish { post: Post::Event(at_version), idempotency_key: None },
        ),
        (
            r#"{"request":"publish","topic":"chat/a","data":1,"if_version":null,"if_absent":true}"#,
            None,
            Request::Publish {
                post: Post::Event(Publish {
                    terms: WriteTerms { condition: Condition::Absent, ttl: None },
                    ..publish(json("1"))
                }),
                idempotency_key: None,
            },
        ),
        (
            r#"{"request":"delete","id":10,"topic":"tickers/x","key":"EURUSD"}"#,
            Some(RequestId::Number(10)),
            Request::Delete {
                topic: "tickers/x".parse().expect("a topic"),
                key: "EURUSD".into(),
                condition: Condition::Always,
            },
        ),
        (
            r#"{"request":"touch","topic":"tickers/x","key":"EURUSD","ttl":"30s"}"#,
            None,
            Request::Touch {
                topic: "tickers/x".parse().expect("a topic"),
                key: "EURUSD".into(),
                terms: WriteTerms { ttl: Some(Duration::from_secs(30)), ..WriteTerms::default() },
            },
        ),
        (
            r#"{"request":"delete","topic":"tickers/x","key":"EURUSD","if_version":"s9-77"}"#,
            None,
            Request::Delete {
                topic: "tickers/x".parse().expect("a topic"),
                key: "EURUSD".into(),
                condition: Condition::At(VERSION),
            },
        ),
        (
            r#"{"request":"delete","topic":"tickers/x","prefix":"EUR"}"#,
            None,
            Request::DeleteAll {
                topic: "tickers/x".parse().expect("a topic"),
                prefix: "EUR".into(),
            },
        ),
        (
            r#"{"request":"delete","topic":"tickers/x","prefix":"","key":null}"#,
            None,
            Request::DeleteAll { topic: "tickers/x".parse().expect("a topic"), prefix: "".into() },
        ),
        (
            r#"{"request":"samples","id":11,"samples":[{"name":"t","value":1}]}"#,
            Some(RequestId::Number(11)),
            Request::Samples { json: Bytes::from_static(br#"[{"name":"t","value":1}]"#) },
        ),
        (
            r#"{"request":"acknowledge","id":12,"fingerprint":"00000000000000ff","by":"ada","note":"on it"}"#,
            Some(RequestId::Number(12)),
            Request::Acknowledge {
                fingerprint: "ff".parse().expect("a fingerprint"),
                by: "ada".into(),
                note: "on it".into(),
            },
        ),
        (
            r#"{"request":"unacknowledge","fingerprint":"00000000000000ff"}"#,
            None,
            Request::Unacknowledge { fingerprint: "ff".parse().expect("a fingerprint") },
        ),
        (
            r#"{"request":"samples","samples":{"name":"t","value":1}}"#,
            None,
            Request::Samples { json: Bytes::from_static(br#"{"name":"t","value":1}"#) },
        ),
    ];
    for (text, id, request) in cases {
        let expected = Received { id, request: Ok(request) };
        assert_eq!(read_json(text), expected, "{text}");
        assert_eq!(read_msgpack(&msgpack::from_json(text.as_bytes())), expected, "{text}");
    }
}

#[test]
fn binary_data_needs_no_encoding_in_msgpack() {
    let request = b"\x84\xA7request\xA7publish\xA5topic\xA6chat/a\xA4data\xC4\x02\xFF\x00\
                    \xA2id\x05";
    let body = Body::Binary {
        content_type: "application/octet-stream".into(),
        bytes: Bytes::from_static(b"\xFF\0"),
    };
    let expected = Request::Publish { post: Post::Event(publish(body)), idempotency_key: None };
    assert_eq!(
        read_msgpack(request),
        Received { id: Some(RequestId::Number(5)), request: Ok(expected) }
    );
}

#[test]
fn a_wrong_request_says_why_and_keeps_its_id() {
    let long_id =
        format!(r#"{{"request":"delete","id":"{}"}}"#, "x".repeat(REQUEST_ID_BYTES_MAX + 1));
    let many = vec!["\"a\""; FILTERS_PER_CONNECTION_MAX + 1].join(",");
    let many = format!(r#"{{"request":"subscribe","id":7,"topics":[{many}]}}"#);
    let long_key = "k".repeat(IDEMPOTENCY_KEY_BYTES_MAX + 1);
    let long_key = format!(
        r#"{{"request":"publish","id":7,"topic":"a","data":1,"idempotency_key":"{long_key}"}}"#
    );
    let large = "x".repeat(EVENT_BYTES_MAX);
    let large = format!(r#"{{"request":"publish","id":7,"topic":"a","data":"{large}"}}"#);
    let seven = [
        ("{\"id\":7}", "request_invalid"),
        ("{\"id\":7,\"request\":null}", "request_invalid"),
        ("{\"id\":7,\"request\":\"dance\"}", "request_invalid"),
        ("{\"id\":7,\"request\":\"dance\",\"partner\":1}", "request_invalid"),
        ("{\"id\":7,\"request\":5}", "type_invalid"),
        ("{\"id\":7,\"request\":\"subscribe\"", "json_invalid"),
        ("{\"id\":7,\"request\":\"subscribe\"} x", "json_invalid"),
        ("{\"id\":7,\"id\":8,\"request\":\"unsubscribe\",\"topics\":[\"a\"]}", "duplicate_field"),
        ("{\"id\":7,\"request\":\"subscribe\"}", "topic_missing"),
        ("{\"id\":7,\"request\":\"subscribe\",\"topics\":[]}", "topic_invalid"),
        ("{\"id\":7,\"request\":\"subscribe\",\"topics\":[\"a//b\"]}", "topic_invalid"),
        ("{\"id\":7,\"request\":\"subscribe\",\"topics\":\"a\"}", "type_invalid"),
        ("{\"id\":7,\"request\":\"subscribe\",\"topics\":[1]}", "type_invalid"),
        (
            "{\"id\":7,\"request\":\"delete\",\"topic\":\"a\",\"key\":\"k\",\"if_absent\":true}",
            "unknown_field",
        ),
        ("{\"id\":7,\"request\":\"subscribe\",\"topic\":\"a\"}", "unknown_field"),
        (
            "{\"id\":7,\"request\":\"unsubscribe\",\"topics\":[\"a\"],\"after\":\"e7-1\"}",
            "unknown_field",
        ),
        (
            "{\"id\":7,\"request\":\"subscribe\",\"topics\":[\"a\"],\"from\":\"e7-1\"}",
            "unknown_field",
        ),
        (
            "{\"id\":7,\"request\":\"subscribe\",\"topics\":[\"a\"],\"after\":\"7\"}",
            "cursor_invalid",
        ),
        ("{\"id\":7,\"request\":\"subscribe\",\"topics\":[\"a\"],\"after\":7}", "type_invalid"),
        (
            "{\"id\":7,\"request\":\"subscribe\",\"topics\":[\"a\"],\"max_rate\":0}",
            "parameter_invalid",
        ),
        (
            "{\"id\":7,\"request\":\"subscribe\",\"topics\":[\"a\"],\"max_rate\":-1}",
            "parameter_invalid",
        ),
        (
            "{\"id\":7,\"request\":\"subscribe\",\"topics\":[\"a\"],\"max_rate\":\"5\"}",
            "parameter_invalid",
        ),
        (
            "{\"id\":7,\"request\":\"subscribe\",\"topics\":[\"a\"],\"max_rate\":1e999}",
            "parameter_invalid",
        ),
        ("{\"id\":7,\"request\":\"publish\",\"data\":1}", "topic_missing"),
        ("{\"id\":7,\"request\":\"publish\",\"topic\":\"a\"}", "data_missing"),
        ("{\"id\":7,\"request\":\"publish\",\"topic\":\"a/*\",\"data\":1}", "topic_invalid"),
        (
            "{\"id\":7,\"request\":\"publish\",\"topic\":\"a\",\"data\":1,\"type\":\"gap\"}",
            "event_type_invalid",
        ),
        (
            "{\"id\":7,\"request\":\"publish\",\"topic\":\"a\",\"data\":1,\"samples\":[]}",
            "unknown_field",
        ),
        (
            "{\"id\":7,\"request\":\"publish\",\"topic\":\"a\",\"data\":1,\"idempotency_key\":\"\"}",
            "idempotency_key_invalid",
        ),
        ("{\"id\":7,\"request\":\"delete\",\"topic\":\"a\"}", "key_missing"),
        ("{\"id\":7,\"request\":\"delete\",\"key\":\"a\"}", "topic_missing"),
        ("{\"id\":7,\"request\":\"delete\",\"prefix\":\"a\"}", "topic_missing"),
        ("{\"id\":7,\"request\":\"delete\",\"topic\":\"a\",\"prefix\":1}", "type_invalid"),
        (
            "{\"id\":7,\"request\":\"delete\",\"topic\":\"a\",\"prefix\":\"a\",\"key\":\"a\"}",
            "parameter_invalid",
        ),
        (
            "{\"id\":7,\"request\":\"delete\",\"topic\":\"a\",\"prefix\":\"a\",\"if_version\":\"s9-77\"}",
            "parameter_invalid",
        ),
        ("{\"id\":7,\"request\":\"delete\",\"topic\":\"a\",\"key\":\"\"}", "key_invalid"),
        ("{\"id\":7,\"request\":\"samples\"}", "body_empty"),
        ("{\"id\":7,\"request\":\"samples\",\"samples\":5}", "type_invalid"),
        (&many, "topic_invalid"),
        (&long_key, "idempotency_key_invalid"),
        (&large, "event_too_large"),
    ];
    let without = [
        ("", "json_invalid"),
        ("nope", "json_invalid"),
        ("[]", "request_invalid"),
        ("[{\"id\":7}]", "request_invalid"),
        ("\"subscribe\"", "request_invalid"),
        ("5", "request_invalid"),
        ("null", "request_invalid"),
        ("{}", "request_invalid"),
        ("{\"request\":\"delete\",\"id\":-1}", "type_invalid"),
        ("{\"request\":\"delete\",\"id\":1.5}", "type_invalid"),
        ("{\"request\":\"delete\",\"id\":[]}", "type_invalid"),
        ("{\"request\":\"delete\",\"id\":18446744073709551616}", "type_invalid"),
        (&long_id, "type_invalid"),
    ];
    let seven = seven.map(|(text, code)| (text, code, SEVEN));
    let without = without.map(|(text, code)| (text, code, None));
    for (text, code, id) in seven.into_iter().chain(without) {
        let received = read_json(text);
        let refusal = received.request.expect_err(text);
        assert_eq!((refusal.code, received.id), (code, id), "{text}: {}", refusal.detail);
        assert!(!refusal.detail.is_empty() && refusal.detail.len() < 300, "{}", refusal.detail);
    }
}

/// Replies wait for clients that do not take them, and are counted by number.
#[test]
fn no_refusal_says_a_long_text_again() {
    let long = "\u{1}x".repeat(10_000);
    let json = serde_json::to_string(&long).expect("a text");
    let requests = [
        format!(r#"{{"request":"subscribe","topics":[{json}]}}"#),
        format!(r#"{{"request":"subscribe","topics":["a"],"after":{json}}}"#),
        format!(r#"{{"request":"subscribe","topics":["a"],"max_rate":{json}}}"#),
        format!(r#"{{"request":"subscribe","topics":{json}}}"#),
        format!(r#"{{"request":"acknowledge","fingerprint":{json},"by":"ada"}}"#),
        format!(r#"{{"request":"publish","topic":{json},"data":1}}"#),
        format!(r#"{{"request":"publish","topic":"a","data":1,"type":{json}}}"#),
        format!(r#"{{"request":"publish","topic":"a","data":{json},"encoding":"base64"}}"#),
        format!(r#"{{"request":"publish","topic":"a","data":1,"encoding":{json}}}"#),
        format!(r#"{{"request":"publish","topic":"a","data":1,"idempotency_key":{json}}}"#),
        format!(r#"{{"request":"delete","topic":"a","key":{json}}}"#),
        format!(r#"{{"request":"samples","samples":{json}}}"#),
        format!(r#"{{"request":{json}}}"#),
        format!(r#"{{"request":"subscribe","id":{json}}}"#),
        format!(r#"{{{json}:1,"request":"subscribe"}}"#),
        json,
        long,
    ];
    for text in requests {
        let refusal = read_json(&text).request.expect_err("a refusal");
        assert!(refusal.detail.len() < 500, "{text:.60}: {} bytes", refusal.detail.len());
    }
}

#[test]
fn wrong_msgpack_says_where_and_keeps_the_id_that_came_before() {
    let cases: [(&[u8], Option<RequestId>); 5] = [
        (b"", None),
        (b"\xC1", None),
        (b"\x82\xA2id\x07\xA7request", SEVEN),
        (b"\x81\xA2id\x07\x00", SEVEN),
        (b"\x83\xA2id\x07\xA7request\xA7publish\xA4data\x91\xC4\x01a", SEVEN),
    ];
    for (bytes, id) in cases {
        let received = read_msgpack(bytes);
        let refusal = received.request.expect_err("a refusal");
        assert_eq!((refusal.code, received.id), ("msgpack_invalid", id), "{bytes:x?}");
        assert!(refusal.detail.starts_with("at byte "), "{}", refusal.detail);
    }
    let not_a_map = read_msgpack(b"\x90");
    assert_eq!(not_a_map.request.expect_err("a refusal").code, "request_invalid");
}

#[test]
fn a_reply_names_its_request() {
    let refusal = Refusal { code: "topic_reserved", detail: "`alerts/x` is \"ours\"".into() };
    let error = SampleError { line: 2, code: "name_invalid", detail: "no" };
    let text = Some(RequestId::Text("a\"b".into()));
    let cases = [
        (Reply::Done, Some(RequestId::Number(9)), r#"{"reply":9}"#),
        (Reply::Done, text, r#"{"reply":"a\"b"}"#),
        (
            Reply::Published { cursor: CURSOR, is_duplicate: false, end: None },
            Some(RequestId::Number(9)),
            r#"{"reply":9,"cursor":"e7-1042"}"#,
        ),
        (
            Reply::Published { cursor: CURSOR, is_duplicate: true, end: None },
            None,
            r#"{"reply":null,"cursor":"e7-1042","duplicate":true}"#,
        ),
        (Reply::Written { version: VERSION, end: None }, SEVEN, r#"{"reply":7,"version":"s9-77"}"#),
        (
            Reply::Written { version: VERSION, end: Some(CURSOR) },
            SEVEN,
            r#"{"reply":7,"version":"s9-77","end":"e7-1042"}"#,
        ),
        (Reply::Deleted { keys: 1_000_000 }, SEVEN, r#"{"reply":7,"deleted":1000000}"#),
        (
            Reply::Samples { accepted: 3, rejected: 0, errors: &[] },
            Some(RequestId::Number(11)),
            r#"{"reply":11,"accepted":3}"#,
        ),
        (
            Reply::Samples { accepted: 0, rejected: 200, errors: &[error, error] },
            Some(RequestId::Number(11)),
            r#"{"reply":11,"accepted":0,"rejected":200,"errors":[{"line":2,"code":"name_invalid","detail":"no"},{"line":2,"code":"name_invalid","detail":"no"}]}"#,
        ),
        (
            Reply::Known { epoch: 3, sequence: 9_007_199_254_740_991 },
            SEVEN,
            r#"{"reply":7,"duplicate":true,"producer_epoch":3,"producer_seq":9007199254740991}"#,
        ),
        (
            Reply::Error {
                code: "sequence_gap",
                detail: "no",
                version: None,
                numbers: &[("expected_seq", 3), ("received_seq", 5)],
                may_be_taken: None,
                retry_after_s: None,
            },
            SEVEN,
            r#"{"reply":7,"error":{"code":"sequence_gap","detail":"no","expected_seq":3,"received_seq":5}}"#,
        ),
        (
            Reply::from(&refusal),
            None,
            r#"{"reply":null,"error":{"code":"topic_reserved","detail":"`alerts/x` is \"ours\""}}"#,
        ),
    ];
    for (reply, id, expected) in cases {
        is_written(&reply, id.as_ref(), expected);
    }
}

#[track_caller]
fn is_written(reply: &Reply<'_>, id: Option<&RequestId>, expected: &str) {
    assert_eq!(String::from_utf8(reply.json_for(id)).expect("UTF-8"), expected);
    let msgpack = reply.msgpack_for(id);
    assert_eq!(msgpack::to_json(&msgpack).expect("a reply"), expected.as_bytes());
}

#[test]
fn a_reply_says_whether_what_it_refuses_may_have_been_done() {
    for (may_be_taken, expected) in [
        (
            Some(true),
            r#"{"reply":7,"error":{"code":"desk_away","detail":"no","may_be_taken":true}}"#,
        ),
        (
            Some(false),
            r#"{"reply":7,"error":{"code":"desk_away","detail":"no","may_be_taken":false}}"#,
        ),
        (None, r#"{"reply":7,"error":{"code":"desk_away","detail":"no"}}"#),
    ] {
        let (code, detail, version, numbers) = ("desk_away", "no", None, &[][..]);
        let reply =
            Reply::Error { code, detail, version, numbers, may_be_taken, retry_after_s: None };
        is_written(&reply, SEVEN.as_ref(), expected);
    }
}

#[test]
fn a_reply_says_when_another_try_is_worth_it() {
    let reply = Reply::Error {
        code: "publishers_busy",
        detail: "no",
        version: None,
        numbers: &[],
        may_be_taken: None,
        retry_after_s: Some(2),
    };
    let expected =
        r#"{"reply":7,"error":{"code":"publishers_busy","detail":"no","retry_ms":2000}}"#;
    is_written(&reply, SEVEN.as_ref(), expected);
}

#[test]
fn controls_name_the_request_that_they_belong_to() {
    let filters = FilterSet::new(topics(&["a"])).expect("a set");
    let ready = Control::Ready { cursor: CURSOR, heartbeat_interval: Duration::from_secs(25) };
    let to = Cursor::new(Epoch::new(8), Offset::ZERO);
    let gap = Control::Gap { from: CURSOR, to, reason: GapReason::Epoch, filters: &filters };
    let cases = [
        (ready, r#"{"control":"ready","id":7,"cursor":"e7-1042","heartbeat_interval_ms":25000}"#),
        (
            gap,
            r#"{"control":"gap","id":7,"from":"e7-1042","to":"e8-0","reason":"epoch","filters":["a"]}"#,
        ),
    ];
    for (control, expected) in cases {
        let (id, with_id) = (SEVEN, expected.as_bytes());
        assert_eq!(control.json_for(id.as_ref()), with_id);
        assert_eq!(control.json_for(None), expected.replace("\"id\":7,", "").as_bytes());
        assert_eq!(
            msgpack::to_json(&control.msgpack_for(id.as_ref())).expect("a control"),
            with_id
        );
    }
    let heartbeat = msgpack::to_json(&control::heartbeat_msgpack(CURSOR)).expect("a control");
    assert_eq!(heartbeat, control::heartbeat_json(CURSOR));
    assert_eq!(heartbeat, br#"{"control":"heartbeat","cursor":"e7-1042"}"#);
}

proptest! {
    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}\":,\\\\a-e0-9.\\-\n ]{0,120}",
        names in prop::collection::vec("request|id|topics?|after|key|data|samples|max_rate", 0..5),
        values in prop::collection::vec("[1-9][0-9]{0,2}|\"[a-e]{0,3}\"|\\[\"a\"\\]|null|\"publish\"|\"subscribe\"", 5),
    ) {
        let _ = (read_json(&text), read_msgpack(&bytes));
        let members: Vec<_> =
            names.iter().zip(&values).map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let json = format!("{{{}}}", members.join(","));
        let packed = read_msgpack(&msgpack::from_json(json.as_bytes()));
        prop_assert_eq!(read_json(&json), packed);
    }
}
