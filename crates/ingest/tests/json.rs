//! Samples as JSON: what is taken, what is refused and why, and what no input may do.

use std::slice;

use bellwire_ingest::Decoded;
use bellwire_ingest::json::{Error, Format, decode};
use bellwire_model::limits::{
    LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX, REJECTIONS_REPORTED_MAX, SAMPLES_PER_REQUEST_MAX,
};
use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
    let pairs = [(METRIC_NAME, name)].into_iter().chain(labels.iter().copied());
    Sample { series: Labels::from_pairs(pairs).expect("labels"), value, time: NOW }
}

#[test]
fn a_sample_is_read_as_it_is_written() {
    let at = |ms| Sample { time: Timestamp::from_ms(ms), ..sample("up", &[], 1.0) };
    let cases = [
        (r#"{"name":"up","value":1}"#, sample("up", &[], 1.0)),
        (r#"{"value":-2.5e-3,"name":"up"}"#, sample("up", &[], -0.0025)),
        (
            r#"{"name":"t","labels":{"b":"2","a":"1"},"value":0}"#,
            sample("t", &[("a", "1"), ("b", "2")], 0.0),
        ),
        (r#"{"name":"t","labels":{},"value":0}"#, sample("t", &[], 0.0)),
        (r#"{"name":"t","labels":null,"timestamp":null,"value":0}"#, sample("t", &[], 0.0)),
        (r#"{"name":"t","labels":{"a":""},"value":0}"#, sample("t", &[], 0.0)),
        (
            r#"{"name":"t","labels":{"\u0061":"\u00b0\n"},"value":0}"#,
            sample("t", &[("a", "°\n")], 0.0),
        ),
        (r#"{"n\u0061me":"h\u00f6he","value":0}"#, sample("höhe", &[], 0.0)),
        (r#"{"name":"up","value":1,"timestamp":1699999999999}"#, at(1_699_999_999_999)),
        (r#"{"name":"up","value":1,"timestamp":1.7e12}"#, at(1_700_000_000_000)),
        (" {\n\"name\": \"up\",\r\n\t\"value\": 1}\n", sample("up", &[], 1.0)),
    ];
    for (text, expected) in cases {
        for (format, body) in [
            (Format::Object, text.to_owned()),
            (Format::Auto, text.to_owned()),
            (Format::Auto, format!("[{text}]")),
            (Format::Array, format!(" [ {text} ] ")),
            (Format::Ndjson, text.replace(['\n', '\r'], " ")),
        ] {
            let decoded = decode(format, body.as_bytes(), NOW).expect(&body);
            assert_eq!(decoded.rejections, [], "{format:?} {body}");
            assert_eq!(decoded.samples, slice::from_ref(&expected), "{format:?} {body}");
        }
    }
}

#[test]
fn each_wrong_item_is_one_rejection_and_its_neighbours_stand() {
    let long = format!(
        r#"{{"name":"t","labels":{{"a":"{}"}},"value":0}}"#,
        "x".repeat(LABEL_VALUE_BYTES_MAX + 1)
    );
    let many = (0..LABELS_PER_SERIES_MAX).map(|n| format!(r#""l{n}":"v""#)).collect::<Vec<_>>();
    let many = format!(r#"{{"name":"t","labels":{{{}}},"value":0}}"#, many.join(","));
    let cases = [
        ("5", "sample_invalid"),
        ("null", "sample_invalid"),
        ("\"up\"", "sample_invalid"),
        (r#"[{"name":"up","value":1}]"#, "sample_invalid"),
        (r#"{"value":1}"#, "name_missing"),
        (r#"{"name":5,"value":1}"#, "type_invalid"),
        (r#"{"name":null,"value":1}"#, "type_invalid"),
        (r#"{"name":"","value":1}"#, "name_invalid"),
        (r#"{"name":"a\nb","value":1}"#, "name_invalid"),
        (r#"{"name":"\ud800","value":1}"#, "type_invalid"),
        (r#"{"name":"up"}"#, "value_missing"),
        (r#"{"name":"up","value":null}"#, "type_invalid"),
        (r#"{"name":"up","value":true}"#, "type_invalid"),
        (r#"{"name":"up","value":"21.5"}"#, "type_invalid"),
        (r#"{"name":"up","value":[1]}"#, "type_invalid"),
        (r#"{"name":"up","value":"NaN"}"#, "value_not_finite"),
        (r#"{"name":"up","value":"+Inf"}"#, "value_not_finite"),
        (r#"{"name":"up","value":"-Infinity"}"#, "value_not_finite"),
        (r#"{"name":"up","value":1e999}"#, "value_not_finite"),
        (r#"{"name":"up","value":-1e999}"#, "value_not_finite"),
        (r#"{"name":"up","value":1,"unit":"C"}"#, "unknown_field"),
        (r#"{"name":"up","value":1,"value":2}"#, "duplicate_field"),
        (r#"{"name":"up","value":1,"timestamp":"1700000000000"}"#, "type_invalid"),
        (r#"{"name":"up","value":1,"timestamp":1700000000000.5}"#, "type_invalid"),
        (r#"{"name":"up","value":1,"timestamp":1700000000}"#, "timestamp_out_of_range"),
        (r#"{"name":"up","value":1,"timestamp":1700000000000000000}"#, "timestamp_out_of_range"),
        (r#"{"name":"up","value":1,"timestamp":1e300}"#, "type_invalid"),
        (r#"{"name":"up","value":1,"labels":["a"]}"#, "type_invalid"),
        (r#"{"name":"up","value":1,"labels":{"a":1}}"#, "type_invalid"),
        (r#"{"name":"up","value":1,"labels":{"a":"\udc00"}}"#, "label_invalid"),
        (r#"{"name":"up","value":1,"labels":{"":"x"}}"#, "label_invalid"),
        (r#"{"name":"up","value":1,"labels":{"a\u0000":"x"}}"#, "label_invalid"),
        (r#"{"name":"up","value":1,"labels":{"a":"1","a":"2"}}"#, "label_invalid"),
        (r#"{"name":"up","value":1,"labels":{"__name__":"down"}}"#, "label_invalid"),
        (&long, "label_invalid"),
        (&many, "label_invalid"),
    ];
    let good = r#"{"name":"good","value":1}"#;
    for (item, code) in cases {
        for (format, body, line) in [
            (Format::Ndjson, format!("{good}\n\n{item}\r\n{good}\n"), 3),
            (Format::Array, format!("[{good},{item},{good}]"), 2),
        ] {
            let decoded = decode(format, body.as_bytes(), NOW).expect(&body);
            let found = decoded.rejections.iter().map(|r| (r.line, r.code)).collect::<Vec<_>>();
            assert_eq!(found, [(line, code)], "{item}: {:?}", decoded.rejections);
            assert_eq!(decoded.samples.len(), 2, "{item}");
        }
    }
}

#[test]
fn a_line_that_is_no_json_is_one_rejection() {
    let bad: [&[u8]; 6] =
        [b"{", b"nope", b"{}{}", b"{\"name\":\"\xFF\",\"value\":1}", b"{\"value\":NaN}", b"]"];
    for line in bad {
        let body =
            [b"{\"name\":\"up\",\"value\":1}\n", line, b"\n{\"name\":\"up\",\"value\":1}"].concat();
        for format in [Format::Ndjson, Format::Auto] {
            let decoded = decode(format, &body, NOW).expect("lines");
            assert_eq!(decoded.samples.len(), 2, "{line:?}");
            assert!(decoded.rejections[0].detail.contains(" at column "));
            assert_eq!(
                (decoded.rejections[0].line, decoded.rejections[0].code),
                (2, "json_invalid")
            );
        }
    }
}

#[test]
fn a_body_that_cannot_be_read_says_where() {
    let cases = [
        (Format::Array, "[{\"name\":\"up\",\"value\":1},\n{\"name\" 5}]", 2, 9),
        (Format::Auto, "[{\"name\":\"up\",\"value\":1},]", 1, 26),
        (Format::Auto, "[] []", 1, 4),
        (Format::Auto, "temp,site=oslo value=1", 1, 2),
        (Format::Auto, "{\"name\":\"up\",\n\"value\":nan}", 2, 10),
        (Format::Object, "{\"name\":\"up\",\"value\":1}\n{}", 2, 1),
        (Format::Array, "{}", 1, 0),
    ];
    for (format, body, line, column) in cases {
        let error = decode(format, body.as_bytes(), NOW).expect_err(body);
        let Error::Json { line: l, column: c, .. } = error else { panic!("{error}") };
        assert_eq!((l, c), (line, column), "{body}");
    }
    for (format, body) in [(Format::Auto, ""), (Format::Auto, " \n"), (Format::Object, "\n")] {
        assert_eq!(decode(format, body.as_bytes(), NOW), Err(Error::Empty));
    }
    assert_eq!(decode(Format::Ndjson, b"\n\n", NOW), Ok(Decoded::default()));
    assert_eq!(decode(Format::Array, b"[]", NOW), Ok(Decoded::default()));
}

#[test]
fn the_body_shows_whether_it_is_one_object_or_lines_of_them() {
    let good = r#"{"name":"up","value":1}"#;
    let cases = [
        (format!("{good}\n"), 1, 0),
        (format!("{good}\n{good}"), 2, 0),
        (format!("\n\n{good}\r\n\r\n{good}\r\n"), 2, 0),
        (format!("{{\"name\":}}\n{good}\n"), 1, 1),
        (format!("{good}\nnope"), 1, 1),
        (format!("{good} {good}"), 0, 1),
    ];
    for (body, samples, rejected) in cases {
        let decoded = decode(Format::Auto, body.as_bytes(), NOW).expect(&body);
        assert_eq!((decoded.samples.len(), decoded.rejected), (samples, rejected), "{body}");
    }
}

#[test]
fn the_content_type_names_the_format() {
    let cases = [
        (None, Format::Auto),
        (Some("application/json; charset=utf-8"), Format::Auto),
        (Some("application/x-ndjson"), Format::Ndjson),
        (Some("Application/X-NDJSON; charset=utf-8"), Format::Ndjson),
    ];
    for (content_type, format) in cases {
        assert_eq!(Format::from_content_type(content_type), format);
    }
}

#[test]
fn every_bound_is_an_error_or_a_count() {
    let good = r#"{"name":"up","value":1}"#;
    let full = vec![good; SAMPLES_PER_REQUEST_MAX];
    let over = vec![good; SAMPLES_PER_REQUEST_MAX + 1];
    for (format, full, over) in [
        (Format::Ndjson, full.join("\n"), over.join("\n")),
        (Format::Array, format!("[{}]", full.join(",")), format!("[{}]", over.join(","))),
    ] {
        let decoded = decode(format, full.as_bytes(), NOW).expect("at the bound");
        assert_eq!(decoded.samples.len(), SAMPLES_PER_REQUEST_MAX);
        assert_eq!(decode(format, over.as_bytes(), NOW), Err(Error::TooMany));
    }
    let wrong = vec!["{}"; REJECTIONS_REPORTED_MAX + 5].join("\n");
    let decoded = decode(Format::Ndjson, wrong.as_bytes(), NOW).expect("lines");
    assert_eq!(decoded.rejections.len(), REJECTIONS_REPORTED_MAX);
    assert_eq!(decoded.rejected, REJECTIONS_REPORTED_MAX + 5);
}

#[test]
fn deep_nesting_is_no_stack_overflow() {
    for item in ["[".repeat(1 << 20), format!("{{\"labels\":{}", "{\"a\":".repeat(1 << 18))] {
        let body = format!("[{item}");
        assert!(decode(Format::Auto, body.as_bytes(), NOW).is_err());
        assert!(decode(Format::Auto, item.as_bytes(), NOW).is_err());
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        name in "[a-zA-Z_:]{1,20}",
        labels in proptest::collection::btree_map("\\PC{1,8}", "\\PC{1,8}", 0..5),
        value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO,
        age_ms in 0_i64..80_000_000,
    ) {
        let time = NOW.as_ms() - age_ms;
        let body = serde_json::json!(
            {"name": name, "labels": labels, "value": value, "timestamp": time}
        );
        let labels: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = Sample { time: Timestamp::from_ms(time), ..sample(&name, &labels, value) };
        let decoded = decode(Format::Auto, body.to_string().as_bytes(), NOW).expect("an object");
        prop_assert_eq!(decoded.rejections, []);
        prop_assert_eq!(decoded.samples, [expected]);
    }

    #[test]
    fn no_bytes_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}\":,\\\\a-e0-9.\\-\n ]{0,120}",
    ) {
        for format in [Format::Object, Format::Array, Format::Ndjson, Format::Auto] {
            let _ = decode(format, &bytes, NOW);
            let _ = decode(format, text.as_bytes(), NOW);
        }
    }
}
