//! What senders of remote write are told.

use bellwire_ingest::remote_write::HISTOGRAM_UNSUPPORTED;
use http::Request;

use super::*;

fn head(content_type: Option<&str>) -> Parts {
    let mut request = Request::new(());
    if let Some(content_type) = content_type {
        let value = HeaderValue::from_str(content_type).expect("a value");
        request.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    request.into_parts().0
}

fn written(answer: &Answer) -> Option<[&str; 3]> {
    let count = |name: &HeaderName| answer.headers().get(name)?.to_str().ok();
    Some([count(&SAMPLES_WRITTEN)?, count(&HISTOGRAMS_WRITTEN)?, count(&EXEMPLARS_WRITTEN)?])
}

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

#[test]
fn the_content_type_says_which_message_it_is_and_another_is_415() {
    let protocol = RemoteWrite::default();
    for (content_type, message) in [
        (None, Some(Version::V1)),
        (Some("application/x-protobuf"), Some(Version::V1)),
        (Some("Application/X-Protobuf; proto=prometheus.WriteRequest"), Some(Version::V1)),
        (Some(V2), Some(Version::V2)),
        (
            Some("application/x-protobuf; charset=x; proto=\"io.prometheus.write.v2.Request\""),
            Some(Version::V2),
        ),
        (Some("application/x-protobuf;proto=io.prometheus.write.v3.Request"), None),
        (Some("application/json"), None),
        (Some(""), None),
    ] {
        match (protocol.begin(&head(content_type)), message) {
            (Ok(found), Some(message)) => assert_eq!(found, message, "{content_type:?}"),
            (Err(answer), None) => assert_eq!(answer.status(), 415, "{content_type:?}"),
            (other, _) => unreachable!("{content_type:?}: {other:?}"),
        }
    }
}

#[test]
fn what_may_be_taken_later_is_503_and_what_never_will_be_is_not() {
    let protocol = RemoteWrite::default();
    for code in Code::ALL {
        let problem = Problem::new(*code, "why");
        let answer = protocol.refuse(&head(None).headers, problem.clone());
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
        assert_eq!(written(&answer), None);
        let answer = protocol.refuse(&head(Some(V2)).headers, problem);
        assert_eq!(written(&answer), Some(["0"; 3]), "{code:?}");
    }
}

#[test]
fn what_was_not_taken_is_counted_and_the_first_series_named() {
    let protocol = RemoteWrite::default();
    let rejection = |code, detail: &str| Rejection {
        line: 2,
        code,
        detail: detail.to_owned(),
        excerpt: "up{job=\"a\"}".into(),
    };
    let outcome = |by_code: &[(&'static str, usize)], late: usize| {
        let mut decoded = Decoded { passed_over: 1, ..Decoded::default() };
        for (code, count) in by_code {
            decoded.count(code, *count);
            decoded.rejections.push(rejection(code, "so"));
        }
        let first_late = (0..late).map(|_| rejection("sample_late", "too late")).collect();
        Outcome { accepted: 5, decoded, late, first_late }
    };
    for (by_code, late, statuses, samples) in [
        (&[][..], 0, [204, 204], "6"),
        (&[], 2, [400, 400], "4"),
        (&[(EXEMPLAR_UNSUPPORTED, 3)], 0, [204, 400], "6"),
        (&[(HISTOGRAM_UNSUPPORTED, 3)], 0, [400, 400], "6"),
        (&[("name_missing", 1), (HISTOGRAM_UNSUPPORTED, 1)], 1, [400, 400], "5"),
    ] {
        for (message, status) in [Version::V1, Version::V2].into_iter().zip(statuses) {
            let answer = protocol.answer(&message, outcome(by_code, late));
            assert_eq!(answer.status(), status, "{message:?} {by_code:?} {late}");
            let counts = (message == Version::V2).then_some([samples, "0", "0"]);
            assert_eq!(written(&answer), counts);
        }
    }
    let answer = protocol.answer(&Version::V2, outcome(&[("name_missing", 3)], 1));
    assert_eq!(
        &answer.body()[..],
        b"not taken: 4 (name_missing 3, sample_late 1); the first is series 2, up{job=\"a\"}: so\n"
    );
}
