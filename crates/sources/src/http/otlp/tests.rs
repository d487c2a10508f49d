//! What senders of OTLP are told.

use std::sync::Arc;

use bellwire_access::Identity;
use http::Request;

use super::*;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn head(content_type: &str) -> Parts {
    let mut request = Request::new(());
    let value = HeaderValue::from_str(content_type).expect("a value");
    request.headers_mut().insert(header::CONTENT_TYPE, value);
    request.into_parts().0
}

fn rejection(line: usize, code: &'static str, detail: &str) -> Rejection {
    Rejection { line, code, detail: detail.to_owned(), excerpt: "".into() }
}

#[test]
fn the_content_type_says_the_encoding_and_another_is_415() {
    let protocol = Otlp::default();
    for (content_type, encoding) in [(PROTOBUF, Encoding::Protobuf), (JSON, Encoding::Json)] {
        assert_eq!(protocol.begin(&head(content_type)).expect("known"), encoding);
    }
    for content_type in ["text/plain", "application/grpc", ""] {
        let answer = protocol.begin(&head(content_type)).expect_err("unknown");
        assert_eq!(answer.status(), 415, "{content_type}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], JSON);
    }
}

#[test]
fn what_may_be_taken_later_is_503_and_nothing_else_is_sent_again() {
    for code in Code::ALL {
        let problem = Problem::new(*code, "why");
        let answer = refuse(&head(JSON).headers, &problem);
        let status = answer.status().as_u16();
        match code.status() {
            408 | 429 | 503 | 507 => {
                assert_eq!(status, 503, "{code:?}");
                assert!(answer.headers().contains_key(header::RETRY_AFTER), "{code:?}");
            }
            // No handler of samples gives any other.
            own if own >= 500 => assert!(
                matches!(code, Code::TransferCodingUnsupported | Code::StandsInCluster),
                "{code:?}"
            ),
            own => assert_eq!(status, own, "{code:?}"),
        }
        let told: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!(told["message"], format!("{}: why", code.as_str()));
        assert!(told["code"].as_u64().is_some_and(|number| number > 0));
    }
    let problem = Problem::new(Code::PublishersBusy, "later").retry_after(7);
    let answer = refuse(&head(PROTOBUF).headers, &problem);
    assert_eq!(answer.headers()[header::RETRY_AFTER], "7");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], PROTOBUF);
    assert_eq!(&answer.body()[..], b"\x08\x0e\x12\x16publishers_busy: later");
}

#[test]
fn what_was_not_taken_is_counted_by_points_and_told_once_for_each_reason() {
    let protocol = Otlp::default();
    let mut decoded = Decoded { items: 6, ..Decoded::default() };
    decoded.count("exponential_histogram", 3);
    decoded.count("label_invalid", 1);
    decoded.rejections = vec![
        rejection(1, "exponential_histogram", "`a` is one"),
        Rejection { excerpt: "a_metric".into(), ..rejection(2, "label_invalid", "too long") },
        rejection(3, "label_invalid", "too long"),
    ];
    decoded.warnings = vec!["`x` and `y` both become `z`".to_owned()];
    let outcome = Outcome {
        accepted: 3,
        decoded,
        late: 1,
        first_late: vec![rejection(6, "sample_late", "too late")],
    };
    let told = |outcome: &Outcome| {
        let answer = protocol.answer(&Encoding::Json, outcome.clone());
        let body = serde_json::from_slice::<serde_json::Value>(answer.body()).expect("JSON");
        (answer.status().as_u16(), body)
    };
    let message = "not taken: exponential_histogram 3, label_invalid 1, sample_late 1; `a` is one; \
                   a_metric: too long; too late; `x` and `y` both become `z`";
    let success = serde_json::json!({ "rejectedDataPoints": "5", "errorMessage": message });
    assert_eq!(told(&outcome), (200, serde_json::json!({ "partialSuccess": success })));
    // A histogram has many series, and is one point.
    let mut one = outcome.clone();
    one.decoded.items = 1;
    assert_eq!(told(&one).1["partialSuccess"]["rejectedDataPoints"], "1");
    // Nothing at all will never be taken.
    let none = Outcome { accepted: 0, ..outcome };
    assert_eq!(told(&none), (400, serde_json::json!({ "code": 3, "message": message })));
    assert_eq!(told(&Outcome::default()), (200, serde_json::json!({})));
}

#[test]
fn requests_that_bring_changes_take_turns() {
    let body = |start: u64, value: u8| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"c","sum":{{
            "aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{{"asInt":{value},
            "startTimeUnixNano":{start}000000,"timeUnixNano":{}000000}}]}}}}]}}]}}]}}"#,
            start + 1
        )
    };
    let protocol = Otlp::default();
    let now = Timestamp::from_ms(1_700_000_000_000);
    let sender = Sender::new(Arc::new(Identity::open()), None);
    let take = |start, value| {
        let body = body(start, value);
        let mut decoded =
            protocol.decode(&Encoding::Json, body.as_bytes(), now).expect("a request");
        protocol.settle(&mut decoded, &sender, now);
        decoded.samples[0].value as u64
    };
    let start = 1_699_999_999_000;
    assert_eq!([take(start, 5), take(start + 1, 2), take(start + 1, 2)], [5, 7, 7]);
}
