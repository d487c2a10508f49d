//! `MessagePack`, byte by byte where it is ours to choose, and there and back to JSON.

use bellwire_model::limits::NESTING_MAX;
use bellwire_model::{Body, Cursor, Epoch, Event, Offset, Timestamp};
use bellwire_wire::json;
use bellwire_wire::msgpack::{self, Fault, from_json, to_json};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

const EPOCH: Epoch = Epoch::new(7);

fn event(body: impl Into<Option<Body>>) -> Event {
    let topic = "a/b".parse().expect("a topic");
    Event { topic, key: None, event_type: None, time: Timestamp::from_ms(1_700), body: body.into() }
}

fn json_body(text: impl Into<Bytes>) -> Body {
    Body::Json(text.into())
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn fault(bytes: &[u8]) -> Fault {
    to_json(bytes).expect_err("a fault").fault
}

#[test]
fn an_event_is_the_map_that_its_json_is() {
    let full = Event {
        key: Some("k".into()),
        event_type: Some("hot".into()),
        ..event(json_body("{\"a\":[1,-1,2.5]}"))
    };
    let cases: [(Event, Option<Offset>, &[u8]); 4] = [
        (
            full,
            Some(Offset::new(9)),
            b"\x86\xA5topic\xA3a/b\xA3key\xA1k\xA4type\xA3hot\xA4time\xCD\x06\xA4\
              \xA6cursor\xA4e7-9\xA4data\x81\xA1a\x93\x01\xFF\xCB\x40\x04\0\0\0\0\0\0",
        ),
        (
            event(Body::Text(Bytes::from_static("°".as_bytes()))),
            None,
            b"\x83\xA5topic\xA3a/b\xA4time\xCD\x06\xA4\xA4data\xA2\xC2\xB0",
        ),
        (
            event(Body::Binary { content_type: "x/y".into(), bytes: Bytes::from_static(b"\xFF\0") }),
            None,
            b"\x84\xA5topic\xA3a/b\xA4time\xCD\x06\xA4\xA4data\xC4\x02\xFF\0\xACcontent_type\xA3x/y",
        ),
        (
            Event { key: Some("k".into()), ..event(None) },
            None,
            b"\x84\xA5topic\xA3a/b\xA3key\xA1k\xA4time\xCD\x06\xA4\xA7deleted\xC3",
        ),
    ];
    for (event, offset, expected) in cases {
        let bytes = msgpack::event(offset.map(|offset| Cursor::new(EPOCH, offset)), &event);
        assert_eq!(bytes, expected, "{bytes:x?}");
        let back: Value =
            serde_json::from_slice(&to_json(&bytes).expect("an event")).expect("JSON");
        let same: Value = serde_json::from_slice(&json::event(
            offset.map(|offset| Cursor::new(EPOCH, offset)),
            &event,
        ))
        .expect("JSON");
        assert_eq!(back, same);
    }
}

#[test]
fn every_value_of_json_takes_as_few_bytes_as_it_can() {
    let long = "x".repeat(300);
    let cases: [(&str, &[u8]); 38] = [
        ("null", b"\xC0"),
        (" true ", b"\xC3"),
        ("false", b"\xC2"),
        ("0", b"\x00"),
        ("127", b"\x7F"),
        ("128", b"\xCC\x80"),
        ("255", b"\xCC\xFF"),
        ("256", b"\xCD\x01\x00"),
        ("65536", b"\xCE\x00\x01\x00\x00"),
        ("4294967296", b"\xCF\x00\x00\x00\x01\x00\x00\x00\x00"),
        ("18446744073709551615", b"\xCF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        ("18446744073709551616", b"\xCB\x43\xF0\x00\x00\x00\x00\x00\x00"),
        ("-1", b"\xFF"),
        ("-32", b"\xE0"),
        ("-33", b"\xD0\xDF"),
        ("-128", b"\xD0\x80"),
        ("-129", b"\xD1\xFF\x7F"),
        ("-32769", b"\xD2\xFF\xFF\x7F\xFF"),
        ("-2147483649", b"\xD3\xFF\xFF\xFF\xFF\x7F\xFF\xFF\xFF"),
        ("-9223372036854775808", b"\xD3\x80\x00\x00\x00\x00\x00\x00\x00"),
        ("1.0", b"\xCB\x3F\xF0\x00\x00\x00\x00\x00\x00"),
        ("1e0", b"\xCB\x3F\xF0\x00\x00\x00\x00\x00\x00"),
        ("1e999", b"\xCB\x7F\xF0\x00\x00\x00\x00\x00\x00"),
        ("\"\"", b"\xA0"),
        ("\"a\"", b"\xA1a"),
        (r#""\"\\\/\b\f\n\r\t""#, b"\xA8\"\\/\x08\x0C\n\r\t"),
        (r#""\u00b0C""#, b"\xA3\xC2\xB0C"),
        (r#""\ud83d\ude00!""#, b"\xA5\xF0\x9F\x98\x80!"),
        (r#""\ud83d""#, b"\xA3\xEF\xBF\xBD"),
        (r#""\ud83dx\ude00""#, b"\xA7\xEF\xBF\xBDx\xEF\xBF\xBD"),
        (r#""\ud83d\u0041""#, b"\xA4\xEF\xBF\xBDA"),
        ("[]", b"\x90"),
        ("{}", b"\x80"),
        ("[ 1 , [ ] , { } ]", b"\x93\x01\x90\x80"),
        ("{ \"a\" : 1 , \"b\" : { \"c\" : null } }", b"\x82\xA1a\x01\xA1b\x81\xA1c\xC0"),
        (
            "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]",
            b"\x9F\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F",
        ),
        (
            "[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16],7]",
            b"\x92\xDC\x00\x10\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\x07",
        ),
        ("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"", b"\xD9\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ];
    for (json, expected) in cases {
        let bytes = from_json(json.as_bytes());
        assert_eq!(bytes, expected, "{json}: {bytes:x?}");
    }
    assert!(from_json(format!("\"{long}\"").as_bytes()).starts_with(b"\xDA\x01\x2Cxxx"));
    let many = format!("[{}1]", "1,".repeat(65_535));
    assert!(from_json(many.as_bytes()).starts_with(b"\xDD\x00\x01\x00\x00\x01\x01"));
    assert_eq!(text(to_json(&from_json(many.as_bytes())).expect("an array")), many);
}

#[test]
fn what_is_no_json_is_a_string() {
    for wrong in
        ["", "nul", "{", "[1", "[1,", "[1 2]", "{\"a\"}", "\"a", "\"\\u12\"", "1 2", "\u{1}"]
    {
        let expected = [&[0xA0 | wrong.len() as u8], wrong.as_bytes()].concat();
        assert_eq!(from_json(wrong.as_bytes()), expected, "{wrong:?}");
    }
}

#[test]
fn what_is_nested_deep_is_a_string_of_its_json() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let most = nested(NESTING_MAX);
    assert_eq!(text(to_json(&from_json(most.as_bytes())).expect("an array")), most);
    let inner = r#"{"a]\"":["}",1]}"#;
    let deep = most.replace("[]", &format!("[{inner}, 2]"));
    let expected = most.replace("[]", &format!("[{},2]", json!(inner)));
    assert_eq!(text(to_json(&from_json(deep.as_bytes())).expect("an array")), expected);
    let very_deep = event(json_body(nested(200_000)));
    let back = to_json(&msgpack::event(None, &very_deep)).expect("an event");
    let back: Value = serde_json::from_slice(&back).expect("not deep");
    assert!(back["data"].is_array());
}

#[test]
fn every_value_of_msgpack_has_its_json() {
    let cases: [(&[u8], &str); 31] = [
        (b"\xC0", "null"),
        (b"\xC2", "false"),
        (b"\x7F", "127"),
        (b"\xE0", "-32"),
        (b"\xCC\x01", "1"),
        (b"\xCD\x00\x01", "1"),
        (b"\xCE\x00\x00\x00\x01", "1"),
        (b"\xCF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "18446744073709551615"),
        (b"\xD0\xFF", "-1"),
        (b"\xD1\xFF\xFF", "-1"),
        (b"\xD2\xFF\xFF\xFF\xFF", "-1"),
        (b"\xD3\x80\x00\x00\x00\x00\x00\x00\x00", "-9223372036854775808"),
        (b"\xCA\x41\xAA\x66\x66", "21.3"),
        (b"\xCA\x7F\x80\x00\x00", "\"+Inf\""),
        (b"\xCB\x40\x35\x80\x00\x00\x00\x00\x00", "21.5"),
        (b"\xCB\xFF\xF0\x00\x00\x00\x00\x00\x00", "\"-Inf\""),
        (b"\xCB\x7F\xF8\x00\x00\x00\x00\x00\x00", "\"NaN\""),
        (b"\xA3a\"\n", "\"a\\\"\\n\""),
        (b"\xD9\x01a", "\"a\""),
        (b"\xDA\x00\x01a", "\"a\""),
        (b"\xDB\x00\x00\x00\x01a", "\"a\""),
        (b"\x92\x01\x90", "[1,[]]"),
        (b"\xDC\x00\x01\x01", "[1]"),
        (b"\xDD\x00\x00\x00\x01\x01", "[1]"),
        (b"\x82\xA1a\x01\xA1b\x80", "{\"a\":1,\"b\":{}}"),
        (b"\xDE\x00\x01\xA1a\x01", "{\"a\":1}"),
        (b"\xDF\x00\x00\x00\x01\xA1a\x01", "{\"a\":1}"),
        (b"\x81\xA4data\xC4\x01a", "{\"data\":\"YQ==\",\"encoding\":\"base64\"}"),
        (
            b"\x82\xA4data\xC5\x00\x01a\xA1b\x01",
            "{\"data\":\"YQ==\",\"b\":1,\"encoding\":\"base64\"}",
        ),
        (b"\x81\xA4data\xC6\x00\x00\x00\x01a", "{\"data\":\"YQ==\",\"encoding\":\"base64\"}"),
        (b"\x81\xA0\xC0", "{\"\":null}"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(text(to_json(bytes).expect(expected)), expected, "{bytes:x?}");
    }
}

#[test]
fn what_has_no_json_says_where_and_why() {
    let cases: [(&[u8], usize, Fault); 18] = [
        (b"", 0, Fault::Cut),
        (b"\xCD\x01", 1, Fault::Cut),
        (b"\xA5abc", 1, Fault::Cut),
        (b"\x92\x01", 2, Fault::Cut),
        (b"\xDD\xFF\xFF\xFF\xFF\x01", 6, Fault::Cut),
        (b"\xDF\xFF\xFF\xFF\xFF", 5, Fault::Cut),
        (b"\xC6\xFF\xFF\xFF\xFFabc", 5, Fault::Cut),
        (b"\xC0\xC0", 1, Fault::Trailing),
        (b"\xC1", 1, Fault::Marker),
        (b"\xD4\x01\x01", 1, Fault::Extension),
        (b"\xC7\x00\x01", 1, Fault::Extension),
        (b"\xA1\xFF", 2, Fault::Utf8),
        (b"\x81\x01\x01", 2, Fault::Key),
        (b"\x81\xC4\x01a\x01", 4, Fault::Key),
        (b"\xC4\x01a", 3, Fault::Binary),
        (b"\x91\xC4\x01a", 4, Fault::Binary),
        (b"\x81\xA1a\xC4\x01a", 6, Fault::Binary),
        (b"\x81\xA4data\x81\xA4data\xC4\x01a", 15, Fault::Binary),
    ];
    for (bytes, offset, fault) in cases {
        let error = to_json(bytes).expect_err("a fault");
        assert_eq!((error.offset, error.fault), (offset, fault), "{bytes:x?}");
    }
    let nested = |depth: usize| [&[0x91].repeat(depth - 1)[..], &[0x90]].concat();
    assert!(to_json(&nested(NESTING_MAX)).is_ok());
    assert_eq!(fault(&nested(NESTING_MAX + 1)), Fault::Nesting);
    assert_eq!(fault(&vec![0x91; 1 << 20]), Fault::Nesting);
    assert_eq!(fault(&b"\x81\xA1a".repeat(1 << 18)), Fault::Nesting);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) + 0.5)),
        "\\PC{0,40}|[\"\\\\/\u{0}-\u{1f}]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,9}", inner, 0..20)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_comes_back_as_it_went(value in any_json(), is_pretty in any::<bool>()) {
        let json = if is_pretty { format!("{value:#}") } else { value.to_string() };
        let back = to_json(&from_json(json.as_bytes())).expect("what it wrote");
        prop_assert_eq!(serde_json::from_slice::<Value>(&back).expect("JSON"), value);
    }

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        json in "[\\[\\]{}\":,\\\\ua-e0-9.\\-\n ]{0,120}",
    ) {
        if let Ok(json) = to_json(&bytes) {
            prop_assert!(serde_json::from_slice::<Value>(&json).is_ok());
        }
        for text in [&bytes[..], json.as_bytes()] {
            let event = event(json_body(text.to_vec()));
            prop_assert!(to_json(&msgpack::event(None, &event)).is_ok());
        }
    }
}
