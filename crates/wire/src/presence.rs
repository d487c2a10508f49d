//! Presence as clients say and see it: what somebody shows of themselves, and who is there.

use bellwire_model::limits::{NESTING_MAX, PRESENCE_ID_BYTES_MAX, PRESENCE_SHOWN_BYTES_MAX};
use bellwire_model::{Labels, Timestamp, is_nested_deeper};
use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;

use crate::problem::{Code, Problem};
use crate::write;

/// Reads the parameter `present`: JSON, or nothing at all.
pub fn parse_shown(text: &str) -> Result<Option<Bytes>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > PRESENCE_SHOWN_BYTES_MAX {
        let detail = format!(
            "`present` has {} bytes: what somebody shows of themselves has {PRESENCE_SHOWN_BYTES_MAX} at most",
            text.len()
        );
        return Err(Problem::new(Code::ParameterInvalid, detail));
    }
    let json: &RawValue = serde_json::from_str(text).map_err(|error| {
        let detail = format!("`present` is JSON such as `{{\"name\":\"Ada\"}}`, or empty: {error}");
        Problem::new(Code::ParameterInvalid, detail)
    })?;
    let shown = json.get().as_bytes();
    // It stands in an object of the event's.
    if is_nested_deeper(shown, NESTING_MAX - 2) {
        let detail = format!("`present` is nested more than {} times", NESTING_MAX - 2);
        return Err(Problem::new(Code::NestingTooDeep, detail));
    }
    Ok(Some(Bytes::copy_from_slice(shown)))
}

/// Reads the parameter `present_id`.
pub fn parse_id(text: &str) -> Result<Box<str>, Problem> {
    let is_id = (1..=PRESENCE_ID_BYTES_MAX).contains(&text.len());
    if is_id && !text.chars().any(char::is_control) {
        return Ok(text.into());
    }
    let detail = format!(
        "`present_id` is a text of 1 to {PRESENCE_ID_BYTES_MAX} bytes that nobody guesses, such as a UUID"
    );
    Err(Problem::new(Code::ParameterInvalid, detail))
}

/// What is told of somebody who is there. `labels` are those of the alert that they have open.
pub fn follower(
    (subject, since): (Option<&str>, Timestamp),
    shown: Option<&[u8]>,
    labels: Option<&Labels>,
) -> Bytes {
    let mut object = json!({ "since": since.as_ms() });
    if let Some(subject) = subject {
        object["subject"] = subject.into();
    }
    let mut text = object.to_string().into_bytes();
    if let Some(shown) = shown {
        text.pop();
        text.extend_from_slice(b",\"shown\":");
        text.extend_from_slice(shown);
        text.push(b'}');
    }
    with_labels(text, labels)
}

/// How many are there, and whether each of them is told. `labels` as of a [`follower`].
pub fn count((followers, is_named): (usize, bool), labels: Option<&Labels>) -> Bytes {
    let count = json!({ "followers": followers, "named": is_named });
    with_labels(count.to_string().into_bytes(), labels)
}

/// An object with one member more.
fn with_labels(mut object: Vec<u8>, labels: Option<&Labels>) -> Bytes {
    if let Some(labels) = labels {
        object.pop();
        object.extend_from_slice(b",\"labels\":");
        write::labels(&mut object, labels, None);
        object.push(b'}');
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use bellwire_model::{Body, Event};

    use super::*;
    use crate::json;

    #[test]
    fn what_is_shown_is_any_json_of_some_bytes_and_no_more() {
        assert_eq!(parse_shown("").expect("nothing"), None);
        let shown = parse_shown(r#" {"name":"Ada"} "#).expect("JSON").expect("something");
        assert_eq!(shown, r#"{"name":"Ada"}"#);
        let told = follower((Some("ada"), Timestamp::from_ms(5)), Some(&shown), None);
        assert_eq!(told, r#"{"since":5,"subject":"ada","shown":{"name":"Ada"}}"#);
        assert_eq!(follower((None, Timestamp::from_ms(5)), None, None), r#"{"since":5}"#);
        assert_eq!(count((3, true), None), r#"{"followers":3,"named":true}"#);
        let long = format!("\"{}\"", "x".repeat(PRESENCE_SHOWN_BYTES_MAX - 1));
        let deep = "[".repeat(NESTING_MAX - 1) + &"]".repeat(NESTING_MAX - 1);
        assert!(parse_shown(&deep[1..deep.len() - 1]).is_ok(), "as deep as may be");
        for wrong in ["Ada", "{", "1 2", r#"{"a":1}}"#, &long, &deep] {
            assert!(parse_shown(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_those_who_have_an_alert_open_its_labels_are_read_again() {
        let labels = Labels::from_pairs([("alertname", "a\"b"), ("team", "x")]).expect("labels");
        let shown = Some(&br#"{"labels":{"team":"y"}}"#[..]);
        let told = follower((None, Timestamp::from_ms(5)), shown, Some(&labels));
        let count = count((1, true), Some(&labels));
        for body in [told, count] {
            let read = |topic: &str| {
                let (topic, key) = (topic.parse().expect("a topic"), Some("~1".into()));
                let (time, body) = (Timestamp::from_ms(5), Some(Body::Json(body.clone())));
                json::labels_of(&Event { topic, key, event_type: None, time, body })
            };
            assert_eq!(read("presence/alerts/at/f80fe52511abebdc").as_ref(), Some(&labels));
            for other in ["presence/alerts/active", "presence/alerts/at", "presence/alerts/at/a/b"]
            {
                assert_eq!(read(other), None, "{other}");
            }
        }
    }

    #[test]
    fn an_id_is_a_short_text() {
        assert_eq!(&*parse_id("f81d4fae").expect("an id"), "f81d4fae");
        for wrong in ["", "a\nb", &"x".repeat(PRESENCE_ID_BYTES_MAX + 1)] {
            assert!(parse_id(wrong).is_err(), "{wrong:?}");
        }
    }
}
