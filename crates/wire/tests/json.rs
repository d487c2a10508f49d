//! The JSON that clients see, byte by byte: a change here is a change of the protocol.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::KEY_BYTES_MAX;
use bellwire_model::{
    Acknowledgement, Alert, AlertSource, AlertState, AlertStatus, Assignment, Attention, Body,
    Closure, Comment, Cursor, Epoch, Event, Filter, FilterSet, Fingerprint, KeyVersion, Labels,
    Life, METRIC_NAME, Offset, RuleName, Sample, SilenceId, Timestamp, Version,
};
use bellwire_wire::json::Beside;
use bellwire_wire::{ByeReason, Control, GapReason, Outage, Position, json, msgpack, ndjson, sse};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

const EPOCH: Epoch = Epoch::new(7);
const CURSOR: Cursor = Cursor::new(EPOCH, Offset::new(1042));

fn event(body: impl Into<Option<Body>>) -> Event {
    let topic = "plants/oslo".parse().expect("a topic");
    Event { topic, key: None, event_type: None, time: Timestamp::from_ms(1_700), body: body.into() }
}

fn json_body(text: &'static str) -> Body {
    Body::Json(Bytes::from_static(text.as_bytes()))
}

fn text_body(text: &'static [u8]) -> Body {
    Body::Text(Bytes::from_static(text))
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("labels")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[test]
fn an_event_has_its_members_in_this_order() {
    let full = Event {
        key: Some("k\"1".into()),
        event_type: Some("hot".into()),
        ..event(json_body("{\"a\":1}"))
    };
    let cases = [
        (
            full,
            Some(CURSOR.offset),
            r#"{"topic":"plants/oslo","key":"k\"1","type":"hot","time":1700,"cursor":"e7-1042","data":{"a":1}}"#,
        ),
        (event(json_body("null")), None, r#"{"topic":"plants/oslo","time":1700,"data":null}"#),
        (
            Event { key: Some("k".into()), ..event(None) },
            None,
            r#"{"topic":"plants/oslo","key":"k","time":1700,"deleted":true}"#,
        ),
        (
            event(text_body("it's \"hot\"\r\nüber 40 °C\u{1}".as_bytes())),
            None,
            r#"{"topic":"plants/oslo","time":1700,"data":"it's \"hot\"\r\nüber 40 °C\u0001"}"#,
        ),
        (
            event(text_body(b"h\xF6he")),
            None,
            "{\"topic\":\"plants/oslo\",\"time\":1700,\"data\":\"h\u{FFFD}he\"}",
        ),
        (
            event(json_body("{\n  \"a\":\r\n[1,\n2], \"b\": \"x\\n\"\n}")),
            None,
            r#"{"topic":"plants/oslo","time":1700,"data":{   "a":  [1, 2], "b": "x\n" }}"#,
        ),
        (
            event(Body::Binary {
                content_type: "image/png".into(),
                bytes: Bytes::from_static(b"\x89PNG\r\n"),
            }),
            None,
            r#"{"topic":"plants/oslo","time":1700,"data":"iVBORw0K","encoding":"base64","content_type":"image/png"}"#,
        ),
        (
            event(Body::Binary { content_type: "a/b".into(), bytes: Bytes::new() }),
            None,
            r#"{"topic":"plants/oslo","time":1700,"data":"","encoding":"base64","content_type":"a/b"}"#,
        ),
    ];
    for (event, offset, expected) in cases {
        let bytes = json::event(offset.map(|offset| Cursor::new(EPOCH, offset)), &event);
        let _: Value = serde_json::from_slice(&bytes).expect("valid JSON");
        assert_eq!(text(bytes), expected);
    }
}

#[test]
fn a_value_that_clients_may_write_says_which_version_it_is() {
    let version = Some(KeyVersion::Table { life: Life::new(9), version: Version::new(77) });
    let value = Event { key: Some("k".into()), ..event(json_body("1")) };
    let deletion = Event { body: None, ..value.clone() };
    let expired = Event { event_type: Some("expired".into()), ..deletion.clone() };
    let cases = [
        (value, None, r#""time":1700,"version":"s9-77","data":1}"#),
        (deletion, Some(CURSOR), r#""cursor":"e7-1042","version":"s9-77","deleted":true}"#),
        (
            expired,
            None,
            r#""key":"k","time":1700,"version":"s9-77","deleted":true,"reason":"expired"}"#,
        ),
    ];
    for (event, cursor, end) in cases {
        let position = Position { cursor, version };
        let json = text(json::event(position, &event));
        assert!(json.ends_with(end), "{json}");
        let frame = text(sse::frame(position, &event).payload().to_vec());
        assert!(frame.contains(&json) && !frame.contains("event:"), "{frame}");
        let msgpack = msgpack::to_json(&msgpack::event(position, &event)).expect("an event");
        assert_eq!(text(msgpack), json);
    }
}

#[test]
fn an_alert_says_all_that_is_known_about_it() {
    let labels = labels(&[("alertname", "BoilerHot"), ("severity", "critical"), ("site", "oslo")]);
    let mut alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        source: AlertSource::Rule(Arc::new(RuleName {
            file: "rules/boiler.yml".into(),
            group: "boilers".into(),
            alert: "BoilerHot".into(),
        })),
        state: AlertState::Pending,
        labels,
        annotations: Labels::from_pairs([("summary", "hot\n\"now\"")]).expect("labels"),
        value: 93.25,
        active_at: Timestamp::from_ms(1_000),
        fired_at: None,
        resolved_at: None,
        sample_time: Timestamp::from_ms(1_500),
    };
    let fingerprint = alert.fingerprint.to_string();
    let expected = format!(
        "{{\"fingerprint\":\"{fingerprint}\",\"state\":\"pending\",\"severity\":\"critical\",\
         \"labels\":{{\"alertname\":\"BoilerHot\",\"severity\":\"critical\",\"site\":\"oslo\"}},\
         \"annotations\":{{\"summary\":\"hot\\n\\\"now\\\"\"}},\"value\":93.25,\
         \"active_at\":1000,\"sample_time\":1500,\
         \"rule\":{{\"file\":\"rules/boiler.yml\",\"group\":\"boilers\",\"name\":\"BoilerHot\"}}}}"
    );
    assert_eq!(text(json::alert(&alert)), expected);

    alert.state = AlertState::Resolved;
    alert.fired_at = Some(Timestamp::from_ms(2_000));
    alert.resolved_at = Some(Timestamp::from_ms(3_000));
    alert.labels = Labels::empty();
    let value: Value = serde_json::from_slice(&json::alert(&alert)).expect("valid JSON");
    assert_eq!(value["state"], "resolved");
    assert_eq!(value["severity"], "none");
    assert_eq!((&value["fired_at"], &value["resolved_at"]), (&json!(2000), &json!(3000)));
}

#[test]
fn an_alert_is_shown_with_what_has_been_made_of_it() {
    let labels = labels(&[("alertname", "Hot")]);
    let fingerprint = Fingerprint::of(&labels);
    let alert = Alert {
        fingerprint,
        source: AlertSource::Posted { generator_url: Some("http://prometheus/graph".into()) },
        state: AlertState::Firing,
        labels,
        annotations: Labels::empty(),
        value: 0.0,
        active_at: Timestamp::from_ms(1_000),
        fired_at: Some(Timestamp::from_ms(1_000)),
        resolved_at: None,
        sample_time: Timestamp::from_ms(1_500),
    };
    let (by, note) = ("ada".into(), "on \"it\"".into());
    let status = AlertStatus {
        silenced_by: vec![SilenceId::from_random(1), SilenceId::from_random(2)],
        has_more_silences: true,
        inhibited_by: vec![fingerprint],
        acknowledged: Some(Arc::new(Acknowledgement { by, note, at: Timestamp::from_ms(7) })),
        attention: None,
    };
    let expected = format!(
        "{{\"fingerprint\":\"{fingerprint}\",\"state\":\"silenced\",\
         \"silenced_by\":[\"00000000-0000-4000-8000-000000000001\",\"00000000-0000-4000-8000-000000000002\"],\
         \"more_silences\":true,\
         \"inhibited_by\":[\"{fingerprint}\"],\
         \"acknowledged\":{{\"by\":\"ada\",\"note\":\"on \\\"it\\\"\",\"at\":7}},\
         \"severity\":\"none\",\"labels\":{{\"alertname\":\"Hot\"}},\"annotations\":{{}},\
         \"active_at\":1000,\"fired_at\":1000,\"generator_url\":\"http://prometheus/graph\"}}"
    );
    assert_eq!(text(json::shown_alert(&alert, &status)), expected);
}

#[test]
fn a_value_is_a_number_or_says_why_not() {
    let cases = [
        (21.5, "21.5"),
        (3.0, "3"),
        (-0.5, "-0.5"),
        (0.1, "0.1"),
        (1e15, "1000000000000000"),
        (1e300, "1e+300"),
        (f64::NAN, "\"NaN\""),
        (f64::INFINITY, "\"+Inf\""),
        (f64::NEG_INFINITY, "\"-Inf\""),
    ];
    let series = labels(&[(METRIC_NAME, "temp"), ("site", "oslo")]);
    for (value, expected) in cases {
        let sample = Sample { series: series.clone(), value, time: Timestamp::from_ms(-5) };
        let expected = format!(
            "{{\"name\":\"temp\",\"labels\":{{\"site\":\"oslo\"}},\"value\":{expected},\"timestamp\":-5}}"
        );
        assert_eq!(text(json::sample(&sample)), expected);
    }
}

#[test]
fn a_series_key_is_its_labels_without_the_name() {
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[], "{}"),
        (&[(METRIC_NAME, "up")], "{}"),
        (&[("b", "2"), (METRIC_NAME, "up"), ("a", "1")], "{a=\"1\",b=\"2\"}"),
        (&[("a", "x\"\\\n°")], "{a=\"x\\\"\\\\\\n°\"}"),
        (&[("a", "\u{7}\u{85}")], "{a=\"\\u{7}\\u{85}\"}"),
    ];
    for (pairs, expected) in cases {
        assert_eq!(json::state_key(&labels(pairs)), expected);
    }
}

#[test]
fn two_series_never_have_one_key() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("a", "1"), ("b", "2")], r#"{a="1",b="2"}"#),
        (&[("a=\"1\",b", "2")], r#"{"a=\"1\",b"="2"}"#),
        (&[("a\\", "1")], r#"{"a\\"="1"}"#),
        (&[("service.name", "a b")], r#"{service.name="a b"}"#),
    ];
    for (pairs, expected) in cases {
        assert_eq!(json::state_key(&labels(pairs)), expected);
    }
}

#[test]
fn a_long_series_key_ends_in_the_fingerprint() {
    for length in [KEY_BYTES_MAX - 6, KEY_BYTES_MAX - 5, 4_000] {
        let labels = labels(&[("a", &"x".repeat(length))]);
        let key = json::state_key(&labels);
        let fingerprint = format!("…{}", Fingerprint::of(&labels));
        assert_eq!(key.ends_with(&fingerprint), length + 6 > KEY_BYTES_MAX, "{length}");
        assert!(key.len() <= KEY_BYTES_MAX);
    }
    // A cut never lies within a character.
    for shift in 0..4 {
        let labels = labels(&[("a", &format!("{}{}", "x".repeat(shift), "°".repeat(400)))]);
        assert!(json::state_key(&labels).len() <= KEY_BYTES_MAX);
    }
}

#[test]
fn control_events_are_the_same_everywhere() {
    let filters =
        FilterSet::new(["b/**", "a"].map(|filter| filter.parse::<Filter>().expect("a filter")))
            .expect("a set");
    let from = Cursor::new(Epoch::new(6), Offset::new(9));
    let ready = Control::Ready { cursor: CURSOR, heartbeat_interval: Duration::from_secs(25) };
    let gap = Control::Gap { from, to: CURSOR, reason: GapReason::Epoch, filters: &filters };
    let bye = Control::Bye { reason: ByeReason::Drain, retry: Duration::from_millis(2_500) };
    let cases = [
        (ready, r#"{"control":"ready","cursor":"e7-1042","heartbeat_interval_ms":25000}"#),
        (
            gap,
            r#"{"control":"gap","from":"e6-9","to":"e7-1042","reason":"epoch","filters":["a","b/**"]}"#,
        ),
        (
            Control::Reset { cursor: from, filters: &filters },
            r#"{"control":"reset","cursor":"e6-9","filters":["a","b/**"]}"#,
        ),
        (Control::Narrowed { topics: &filters }, r#"{"control":"narrowed","topics":["a","b/**"]}"#),
        (
            Control::Renew { expires_in: Duration::from_mins(1), renews: "bwr_x" },
            r#"{"control":"renew","expires_in_ms":60000,"renews":"bwr_x"}"#,
        ),
        (
            Control::Degraded { outage: Outage::EngineAway },
            r#"{"control":"degraded","reason":"engine_away","detail":"the engine of the cluster is away: live events wait until it is back, and what is published is refused; history and state can be read","works":["history","state"],"fails":["live","publish"]}"#,
        ),
        (Control::Restored, r#"{"control":"restored"}"#),
        (bye, r#"{"control":"bye","reason":"drain","retry_ms":2500}"#),
    ];
    for (control, expected) in cases {
        assert_eq!(text(control.json()), expected);
        assert_eq!(text(ndjson::control(&control)), format!("{expected}\n"));
    }
    assert_eq!(GapReason::Expired.as_str(), "expired");
    assert_eq!([ByeReason::Stalled, ByeReason::Limit].map(ByeReason::as_str), ["stalled", "limit"]);
}

#[test]
fn ndjson_is_one_line_each() {
    assert_eq!(ndjson::line(b"{}"), b"{}\n");
    assert_eq!(ndjson::line_frame(b"{}").payload(), b"{}\n");
    assert_eq!(ndjson::heartbeat(None), b"\n");
    let moved = text(ndjson::heartbeat(Some(CURSOR)));
    assert_eq!(moved, "{\"control\":\"heartbeat\",\"cursor\":\"e7-1042\"}\n");
}

#[test]
fn a_page_is_its_events_and_where_to_go_on() {
    assert_eq!(text(json::page([], &Beside::default())), r#"{"events":[]}"#);
    let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
    let gap =
        Control::Gap { from: CURSOR, to: CURSOR, reason: GapReason::Expired, filters: &filters };
    let topic = "jobs/7".parse().expect("a topic");
    let ends = [
        Control::of_closure(Closure::End, &topic, CURSOR),
        Control::of_closure(Closure::Reopened, &topic, CURSOR),
    ];
    let beside = Beside {
        gap: Some(&gap),
        ends: &ends,
        reset: Some(&Control::Reset { cursor: CURSOR, filters: &filters }),
        values_left_out: 3,
        more: Some(true),
        narrowed: Some(&filters),
        outage: Some(Outage::JournalFailing),
        cursor: Some(CURSOR),
    };
    let degraded = text(Control::Degraded { outage: Outage::JournalFailing }.json());
    let page = text(json::page([&b"{}"[..], b"[]"], &beside));
    let (gap, reset) =
        (text(gap.json()), r#"{"control":"reset","cursor":"e7-1042","filters":["a"]}"#);
    let end = r#"{"control":"end","topic":"jobs/7","cursor":"e7-1042"}"#;
    let reopened = r#"{"control":"reopened","topic":"jobs/7","cursor":"e7-1042"}"#;
    assert_eq!(
        page,
        format!(
            "{{\"events\":[{{}},[]],\"gap\":{gap},\"ends\":[{end},{reopened}],\"reset\":{reset},\"values_left_out\":3,\"more\":true,\"narrowed\":[\"a\"],\
             \"degraded\":{degraded},\"cursor\":\"e7-1042\"}}"
        )
    );
}

/// What says what becomes of a topic reads the same on every transport, and as its control event.
#[test]
fn an_end_is_a_control_event_on_every_transport() {
    for closure in [Closure::End, Closure::Reopened] {
        let event = closure.event("jobs/7".parse().expect("a topic"), Timestamp::from_ms(5));
        assert_eq!(event.closure(), Some(closure));
        let control = Control::of_closure(closure, &event.topic, CURSOR);
        assert_eq!(json::event(Some(CURSOR), &event), control.json());
        assert_eq!(sse::frame(Some(CURSOR), &event).payload(), sse::control(&control));
        assert_eq!(msgpack::event(Some(CURSOR), &event), control.msgpack_for(None));
        assert_eq!(control.cursor(), Some(CURSOR));
        // A key that is deleted says nothing of its topic, whatever type it has.
        let deleted = Event { key: Some("k".into()), ..event };
        assert_eq!(deleted.closure(), None);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}|[\r\n\u{2028}\"\\\\\u{0}-\u{1f}]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn an_event_is_valid_json_on_one_line(
        topic in "[a-z\"\\\\°]{1,9}(/[a-z ]{1,9}){0,3}",
        key in prop::option::of("\\PC{1,9}"),
        data in any_json(),
        offset in prop::option::of(1_u64..),
        time in any::<i64>(),
    ) {
        for pretty in [serde_json::to_vec(&data), serde_json::to_vec_pretty(&data)] {
            let event = Event {
                topic: topic.parse().expect("a topic"),
                key: key.as_deref().map(Box::from),
                event_type: None,
                time: Timestamp::from_ms(time),
                body: Some(Body::Json(pretty.expect("JSON").into())),
            };
            let bytes = json::event(offset.map(Offset::new).map(|offset| Cursor::new(EPOCH, offset)), &event);
            prop_assert!(!bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
            let read: Value = serde_json::from_slice(&bytes).expect("valid JSON");
            prop_assert_eq!(&read["topic"], &topic);
            prop_assert_eq!(read["key"].as_str(), key.as_deref());
            prop_assert_eq!(&read["time"], time);
            prop_assert_eq!(&read["data"], &data);
            let cursor = offset.map(|offset| format!("e7-{offset}"));
            prop_assert_eq!(read["cursor"].as_str(), cursor.as_deref());
        }
    }

    #[test]
    fn every_finite_value_reads_back(value in any::<f64>()) {
        prop_assume!(value.is_finite());
        let sample = Sample { series: Labels::empty(), value, time: Timestamp::default() };
        let json = text(json::sample(&sample));
        // As text: `serde_json` itself reads numbers to the last bit but one.
        let (_, read) = json.split_once("\"value\":").expect("a value");
        let (read, _) = read.split_once(',').expect("a timestamp");
        prop_assert_eq!(read.parse(), Ok(value));
    }
}

#[test]
fn who_is_to_see_to_an_alert_and_how_much_was_said_stand_beside_it() {
    let labels = labels(&[("alertname", "Hot")]);
    let alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        source: AlertSource::Posted { generator_url: None },
        state: AlertState::Firing,
        labels,
        annotations: Labels::empty(),
        value: 0.0,
        active_at: Timestamp::from_ms(1),
        fired_at: Some(Timestamp::from_ms(1)),
        resolved_at: None,
        sample_time: Timestamp::from_ms(1),
    };
    let comment = |by: &str, text: &str, at| {
        Arc::new(Comment { by: by.into(), text: text.into(), at: Timestamp::from_ms(at) })
    };
    let (to, by) = ("<b>bob</b>".into(), "ada".into());
    let assigned = Some(Assignment { to, by, at: Timestamp::from_ms(5) });
    let comments = vec![comment("ada", "one", 6), comment("bob", "\"two\"", 7)];
    let attention = Attention { assigned, comments };
    let said = attention.comments[1].clone();
    let all = json::comments(&attention);
    let status = AlertStatus { attention: Some(Arc::new(attention)), ..AlertStatus::default() };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let shown = text(json::shown_alert(&alert, &status));
    let beside = r#""state":"firing","assigned":{"to":"<b>bob</b>","by":"ada","at":5},"comments":{"count":2,"last_by":"bob","last_at":7},"severity""#;
    assert!(shown.contains(beside), "{shown}");
    let two = r#"{"by":"bob","text":"\"two\"","at":7}"#;
    assert_eq!(text(all), format!(r#"[{{"by":"ada","text":"one","at":6}},{two}]"#));
    let told = text(json::commented_alert(&alert, &status, &said));
    assert_eq!(told, format!("{},\"comment\":{two}}}", &shown[..shown.len() - 1]));
    let (read, _) = json::read_shown_alert(told.as_bytes()).expect("an alert");
    assert_eq!(read, alert);
}
