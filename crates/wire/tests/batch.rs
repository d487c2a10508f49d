//! Batches of events from publishers: what is taken, what is refused and why.

use bellwire_model::limits::{
    EVENT_BYTES_MAX, EVENT_TYPE_BYTES_MAX, EVENTS_PER_REQUEST_MAX, KEY_BYTES_MAX,
};
use bellwire_model::{Body, Closure, Condition, Fence, WriteTerms};
use bellwire_wire::publish::{
    BatchError, BatchFormat, Post, Publish, Rejection, batch, check_event_type, check_key,
};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

const GOOD: &str = r#"{"topic":"a","data":1}"#;

fn read(format: BatchFormat, body: &str) -> Vec<Result<Publish, Rejection>> {
    let posts = posts(format, body);
    posts.into_iter().map(|post| post.map(event)).collect()
}

fn posts(format: BatchFormat, body: &str) -> Vec<Result<Post, Rejection>> {
    batch(format, &Bytes::copy_from_slice(body.as_bytes())).expect(body)
}

fn event(post: Post) -> Publish {
    let Post::Event(publish) = post else { panic!("{post:?} is no event alone") };
    publish
}

fn publish(topic: &str, key: Option<&str>, event_type: Option<&str>, data: &str) -> Publish {
    Publish {
        topic: topic.parse().expect("a topic"),
        key: key.map(Box::from),
        event_type: event_type.map(Box::from),
        body: Body::Json(Bytes::copy_from_slice(data.as_bytes())),
        terms: WriteTerms::default(),
        fence: None,
    }
}

fn binary(content_type: &str, bytes: &'static [u8]) -> Publish {
    let body = Body::Binary { content_type: content_type.into(), bytes: Bytes::from_static(bytes) };
    Publish { body, ..publish("a", None, None, "") }
}

#[test]
fn an_item_is_read_as_it_is_written() {
    let cases = [
        (GOOD, publish("a", None, None, "1")),
        (
            r#"{"data":{"x": [1, 2]},"type":"hot","key":"k","topic":"a/b"}"#,
            publish("a/b", Some("k"), Some("hot"), r#"{"x": [1, 2]}"#),
        ),
        (r#"{"topic":"a","key":null,"type":null,"data":null}"#, publish("a", None, None, "null")),
        (
            r#"{"topic":"a","data":"text \ud83d\ude00"}"#,
            publish("a", None, None, r#""text \ud83d\ude00""#),
        ),
        (r#"{"t\u006fpic":"\u0061\/b","data":1e999}"#, publish("a/b", None, None, "1e999")),
        (r#"{"topic":"a","data":"\ud800"}"#, publish("a", None, None, r#""\ud800""#)),
        (
            r#"{"topic":"a","data":"iVBORw==","encoding":"base64","content_type":"image/png"}"#,
            binary("image/png", b"\x89PNG"),
        ),
        (
            r#"{"topic":"a","data":"iVBO\u0052w==","encoding":"base64"}"#,
            binary("application/octet-stream", b"\x89PNG"),
        ),
        (r#"{"topic":"a","data":"","encoding":"base64"}"#, binary("application/octet-stream", b"")),
        (
            r#"{"topic":"a","data":1,"if_version":"e7-1042","if_absent":null,"ttl":"1m30s"}"#,
            Publish {
                terms: WriteTerms {
                    condition: Condition::At("e7-1042".parse().expect("it")),
                    ttl: Some(std::time::Duration::from_secs(90)),
                },
                ..publish("a", None, None, "1")
            },
        ),
        (
            r#"{"topic":"a","data":1,"producer_id":"p","producer_epoch":3,"producer_seq":9007199254740991}"#,
            Publish {
                fence: Some(Box::new(Fence {
                    producer: "p".into(),
                    epoch: 3,
                    sequence: Fence::NUMBER_MAX,
                })),
                ..publish("a", None, None, "1")
            },
        ),
        (
            r#"{"topic":"a","data":1,"producer_id":null,"producer_epoch":null,"producer_seq":null}"#,
            publish("a", None, None, "1"),
        ),
    ];
    for (item, expected) in cases {
        for (format, body) in [
            (BatchFormat::Json, format!(" [\n{item}\n] ")),
            (BatchFormat::Ndjson, format!("\n{item}\r\n\n")),
            (BatchFormat::Ndjson, item.to_owned()),
        ] {
            assert_eq!(read(format, &body), [Ok(expected.clone())], "{body}");
        }
    }
    assert_eq!(read(BatchFormat::Json, "[]"), []);
    assert_eq!(read(BatchFormat::Ndjson, ""), []);
}

#[test]
fn each_wrong_item_is_one_rejection_and_its_neighbours_stand() {
    let long_key = format!(r#"{{"topic":"a","key":"{}","data":1}}"#, "k".repeat(KEY_BYTES_MAX + 1));
    let large = format!(r#"{{"topic":"a","data":"{}"}}"#, "x".repeat(EVENT_BYTES_MAX));
    let cases = [
        ("5", "event_invalid"),
        ("null", "event_invalid"),
        ("true", "event_invalid"),
        ("-1.5", "event_invalid"),
        ("\"a\"", "event_invalid"),
        (r#"[{"topic":"a","data":1}]"#, "event_invalid"),
        ("{}", "topic_missing"),
        (r#"{"topic":null,"data":1}"#, "topic_missing"),
        (r#"{"topic":5,"data":1}"#, "type_invalid"),
        (r#"{"topic":"","data":1}"#, "topic_invalid"),
        (r#"{"topic":"a/*","data":1}"#, "topic_invalid"),
        (r#"{"topic":"a\n","data":1}"#, "topic_invalid"),
        (r#"{"topic":"\ud800","data":1}"#, "json_invalid"),
        (r#"{"topic":"a"}"#, "data_missing"),
        (r#"{"topic":"a","key":"","data":1}"#, "key_invalid"),
        (r#"{"topic":"a","key":"\u0000","data":1}"#, "key_invalid"),
        (r#"{"topic":"a","key":7,"data":1}"#, "type_invalid"),
        (r#"{"topic":"a","type":"","data":1}"#, "event_type_invalid"),
        (r#"{"topic":"a","type":"a\nid: 1","data":1}"#, "event_type_invalid"),
        (r#"{"topic":"a","type":"gap","data":1}"#, "event_type_invalid"),
        (r#"{"topic":"a","type":"degraded","data":1}"#, "event_type_invalid"),
        (r#"{"topic":"a","type":"restored","data":1}"#, "event_type_invalid"),
        (r#"{"topic":"a","type":[],"data":1}"#, "type_invalid"),
        (r#"{"topic":"a","data":1,"producer_id":"p"}"#, "producer_invalid"),
        (
            r#"{"topic":"a","data":1,"producer_id":"p","producer_epoch":-1,"producer_seq":0}"#,
            "producer_invalid",
        ),
        (
            r#"{"topic":"a","data":1,"producer_id":"p","producer_epoch":0,"producer_seq":1e3}"#,
            "producer_invalid",
        ),
        (
            r#"{"topic":"a","end":true,"producer_id":"p","producer_epoch":0,"producer_seq":0}"#,
            "producer_invalid",
        ),
        (r#"{"topic":"a","data":1,"payload":2}"#, "unknown_field"),
        (r#"{"topic":"a","data":1,"cursor":"e7-1"}"#, "unknown_field"),
        (r#"{"topic":"a","data":1,"data":2}"#, "duplicate_field"),
        (r#"{"topic":"a","data":1,"if_version":"77"}"#, "parameter_invalid"),
        (r#"{"topic":"a","data":1,"if_version":77}"#, "type_invalid"),
        (r#"{"topic":"a","data":1,"if_absent":"true"}"#, "type_invalid"),
        (r#"{"topic":"a","data":1,"if_absent":true,"if_version":"s9-77"}"#, "parameter_invalid"),
        (r#"{"topic":"a","data":"%%%","encoding":"base64"}"#, "base64_invalid"),
        (r#"{"topic":"a","data":{},"encoding":"base64"}"#, "type_invalid"),
        (r#"{"topic":"a","data":"YQ==","encoding":"hex"}"#, "encoding_invalid"),
        (r#"{"topic":"a","data":"a","content_type":"text/plain"}"#, "content_type_invalid"),
        (
            r#"{"topic":"a","data":"","encoding":"base64","content_type":""}"#,
            "content_type_invalid",
        ),
        (&long_key, "key_invalid"),
        (&large, "event_too_large"),
    ];
    for (item, code) in cases {
        for (format, body, line) in [
            (BatchFormat::Ndjson, format!("{GOOD}\n\n{item}\r\n{GOOD}\n"), Some(3)),
            (BatchFormat::Json, format!("[{GOOD},{item},{GOOD}]"), None),
        ] {
            let results = read(format, &body);
            assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
            let rejection = results[1].as_ref().expect_err(item);
            assert_eq!((rejection.index, rejection.line, rejection.code), (1, line, code));
            assert!(rejection.detail.len() < 300, "{}", rejection.detail);
        }
    }
}

#[test]
fn an_unknown_field_is_named() {
    let results = read(BatchFormat::Json, r#"[{"topic":"a","payload":1}]"#);
    let detail = &results[0].as_ref().expect_err("unknown").detail;
    assert!(detail.contains("`payload`") && detail.contains("topic, key, type, data"), "{detail}");
}

#[test]
fn a_line_that_is_no_json_is_one_rejection() {
    for line in [&b"{"[..], b"nope", b"{}{}", b"]", b"{\"topic\":\"\xFF\",\"data\":1}"] {
        let body = [GOOD.as_bytes(), b"\n", line, b"\n", GOOD.as_bytes()].concat();
        let results = batch(BatchFormat::Ndjson, &body.into()).expect("lines");
        let rejection = results[1].as_ref().expect_err("no JSON");
        assert_eq!((rejection.line, rejection.code), (Some(2), "json_invalid"));
        assert!(rejection.detail.contains(" at column "), "{}", rejection.detail);
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    }
}

#[test]
fn an_array_that_cannot_be_read_says_where() {
    let cases = [
        ("", 1, 0),
        ("{}", 1, 0),
        ("[{\"topic\":\"a\",\n\"data\":}]", 2, 8),
        ("[{\"topic\":\"a\",\"data\":1},]", 1, 25),
        ("[] 1", 1, 4),
        ("[\"\u{1}\"]", 1, 3),
    ];
    for (body, line, column) in cases {
        let error = batch(BatchFormat::Json, &Bytes::copy_from_slice(body.as_bytes()));
        let Err(BatchError::Json { line: l, column: c, .. }) = error else { panic!("{error:?}") };
        assert_eq!((l, c), (line, column), "{body}");
    }
    let deep = Bytes::from("[".repeat(1 << 20));
    assert!(batch(BatchFormat::Json, &deep).is_err());
}

#[test]
fn a_batch_has_a_bound() {
    let full = vec![GOOD; EVENTS_PER_REQUEST_MAX];
    let over = vec![GOOD; EVENTS_PER_REQUEST_MAX + 1];
    for (format, full, over) in [
        (BatchFormat::Ndjson, full.join("\n"), over.join("\n")),
        (BatchFormat::Json, format!("[{}]", full.join(",")), format!("[{}]", over.join(","))),
    ] {
        assert_eq!(read(format, &full).len(), EVENTS_PER_REQUEST_MAX);
        assert_eq!(batch(format, &over.into()), Err(BatchError::TooMany));
    }
}

#[test]
fn an_item_may_say_what_becomes_of_its_topic() {
    let topic = || "a".parse().expect("a topic");
    let cases = [
        (r#"{"topic":"a","data":1,"end":true}"#, Post::Last(publish("a", None, None, "1"))),
        (r#"{"topic":"a","data":null,"end":null}"#, Post::Event(publish("a", None, None, "null"))),
        (r#"{"end":true,"topic":"a"}"#, Post::Closure(topic(), Closure::End)),
        (r#"{"topic":"a","end":false}"#, Post::Closure(topic(), Closure::Reopened)),
    ];
    for (item, expected) in cases {
        assert_eq!(posts(BatchFormat::Ndjson, item), [Ok(expected)], "{item}");
    }
    let refused = [
        (r#"{"topic":"a","end":"true"}"#, "type_invalid"),
        (r#"{"topic":"a","end":1}"#, "type_invalid"),
        (r#"{"end":true}"#, "topic_missing"),
        (r#"{"topic":"a","end":false,"data":1}"#, "event_invalid"),
        (r#"{"topic":"a","end":true,"key":"k"}"#, "data_missing"),
        (r#"{"topic":"a","end":true,"end":true}"#, "duplicate_field"),
    ];
    for (item, code) in refused {
        let read = posts(BatchFormat::Ndjson, item);
        assert_eq!(read[0].as_ref().map_err(|rejection| rejection.code), Err(code), "{item}");
    }
    assert!(check_event_type("end").is_err() && check_event_type("reopened").is_err());
}

#[test]
fn a_small_event_does_not_keep_its_request_in_memory() {
    let lies_in = |body: &Bytes, request: &Bytes| request.as_ptr_range().contains(&body.as_ptr());
    let large = format!(r#"[{{"topic":"a","data":"{}"}}]"#, "x".repeat(1_000));
    let many = format!("[{}]", [GOOD; 10].join(","));
    for (request, shared) in [(large, true), (many, false)] {
        let request = Bytes::from(request);
        let results = batch(BatchFormat::Json, &request).expect("a batch");
        let event = event(results[0].clone().expect("an event"));
        assert_eq!(lies_in(event.body.bytes(), &request), shared);
    }
}

#[test]
fn keys_and_types_have_rules() {
    let long_key = "k".repeat(KEY_BYTES_MAX + 1);
    let long_type = "t".repeat(EVENT_TYPE_BYTES_MAX + 1);
    for key in ["", "a\n", "\u{7f}", "\u{85}", &long_key] {
        assert!(check_key(key).is_err(), "{key:?}");
    }
    for key in ["k", "{a=\"1\"}", " ", "°", "ready", &long_key[1..]] {
        assert_eq!(check_key(key), Ok(()), "{key:?}");
    }
    for event_type in
        ["", "a\r", "\0", "ready", "gap", "narrowed", "renew", "bye", "error", &long_type]
    {
        assert!(check_event_type(event_type).is_err(), "{event_type:?}");
    }
    for event_type in ["alert.firing", "message", "Ready", "ready.x", "°", &long_type[1..]] {
        assert_eq!(check_event_type(event_type), Ok(()), "{event_type:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        topic in "[a-z\"\\\\°]{1,9}(/[a-z ]{1,9}){0,3}",
        key in prop::option::of("\\PC{1,9}"),
        data in prop_oneof!["\\PC{0,20}".prop_map(|text| json!(text)), any::<i64>().prop_map(|n| json!([n, {"n": n}]))],
    ) {
        let item = json!({"topic": topic, "key": key, "data": data}).to_string();
        let expected = publish(&topic, key.as_deref(), None, &data.to_string());
        prop_assert_eq!(read(BatchFormat::Ndjson, &item), [Ok(expected.clone())]);
        let array = format!("[{item},{item}]");
        prop_assert_eq!(read(BatchFormat::Json, &array), [Ok(expected.clone()), Ok(expected)]);
    }

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}\":,\\\\a-e0-9.\\-\n ]{0,120}",
    ) {
        for format in [BatchFormat::Json, BatchFormat::Ndjson] {
            let _ = batch(format, &Bytes::from(bytes.clone()));
            let _ = batch(format, &Bytes::from(text.clone()));
        }
        let _ = bellwire_wire::publish::body(None, bytes.into());
    }
}
