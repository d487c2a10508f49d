//! The JSON that is the same on every transport: events, alerts, samples.

mod read;

use std::fmt::Display;

use bellwire_model::limits::{EXPRESSION_TOLD_BYTES_MAX, KEY_BYTES_MAX};
use bellwire_model::{
    Alert, AlertSource, AlertStatus, Attention, Body, Comment, Cursor, Event, FilterSet,
    Fingerprint, Labels, METRIC_NAME, Sample, Timestamp, Transition,
};

use crate::control::write_filters;
use crate::position::Position;
use crate::{Control, Outage, write};

pub use read::{
    AlertError, labels_of, labels_of_series, read_alert, read_series_history, read_shown_alert,
};

/// What the names, quotes and numbers of an event take beside its texts: so that one allocation
/// is enough for all but texts full of characters to escape.
const ENVELOPE_BYTES: usize = 80;

/// An event on one line: `{"topic","key"?,"type"?,"time","cursor"?,"version"?,"data"}`, in this order.
///
/// State events have a cursor for those alone who resume by it. A deleted state key has `"deleted":true` in place
/// of `data`, and `"reason":"expired"` behind it where its time was over. JSON is embedded as it came, its line breaks made spaces; text is a string; binary
/// is base64, with `"encoding":"base64"` and its `"content_type"` behind it. What says what becomes of
/// a topic is the control event that tells so.
pub fn event(position: impl Into<Position>, event: &Event) -> Vec<u8> {
    let position = position.into();
    let mut out = Vec::with_capacity(event_bytes(position, event));
    write_event(&mut out, position, event);
    out
}

/// Bytes to set aside for an event's JSON; exact to a few where nothing is escaped.
pub(crate) fn event_bytes(Position { cursor, version }: Position, event: &Event) -> usize {
    let body = match &event.body {
        Some(Body::Binary { content_type, bytes }) => {
            write::base64_bytes(bytes.len()) + content_type.len() + 40
        }
        Some(Body::Json(bytes) | Body::Text(bytes)) => bytes.len(),
        None => 0,
    };
    let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    let texts = event.topic.as_str().len() + text(&event.key) + text(&event.event_type);
    ENVELOPE_BYTES + write::cursor_bytes(cursor) + write::version_bytes(version) + texts + body
}

/// Appends what [`event`] returns.
pub(crate) fn write_event(
    out: &mut Vec<u8>,
    Position { cursor, version }: Position,
    event: &Event,
) {
    if let Some((closure, cursor)) = event.closure().zip(cursor) {
        out.extend_from_slice(&Control::of_closure(closure, &event.topic, cursor).json());
        return;
    }
    out.extend_from_slice(b"{\"topic\":");
    write::string(out, event.topic.as_str());
    if let Some(key) = &event.key {
        write::member(out, "key");
        write::string(out, key);
    }
    if let Some(event_type) = event.shown_type() {
        write::member(out, "type");
        write::string(out, event_type);
    }
    write::member(out, "time");
    write::integer(out, event.time.as_ms());
    if let Some(cursor) = cursor {
        out.extend_from_slice(b",\"cursor\":\"");
        write::cursor(out, cursor);
        out.push(b'"');
    }
    if let Some(version) = version {
        write::version_member(out, version);
    }
    if let Some(body) = &event.body {
        write::member(out, "data");
        write_body(out, body);
    } else {
        out.extend_from_slice(b",\"deleted\":true");
        if let Some(reason) = event.reason() {
            write::member(out, "reason");
            write::string(out, reason);
        }
    }
    out.push(b'}');
}

fn write_body(out: &mut Vec<u8>, body: &Body) {
    match body {
        Body::Json(json) => {
            let start = out.len();
            out.extend_from_slice(json);
            // Inside strings JSON has no line breaks, so all of them are white space.
            for byte in &mut out[start..] {
                *byte = if matches!(*byte, b'\n' | b'\r') { b' ' } else { *byte };
            }
        }
        Body::Text(text) => write::lossy_string(out, text),
        Body::Binary { content_type, bytes } => {
            out.push(b'"');
            write::base64(out, bytes);
            out.extend_from_slice(b"\",\"encoding\":\"base64\",\"content_type\":");
            write::string(out, content_type);
        }
    }
}

/// An alert as its source has it: the data of its transitions.
///
/// `fired_at` and `resolved_at` are left out until they are known. A value that is not finite is
/// one of the strings `"NaN"`, `"+Inf"`, `"-Inf"`.
pub fn alert(alert: &Alert) -> Vec<u8> {
    shown_alert(alert, &AlertStatus::default())
}

/// What an event tells of a transition: the alert, and `expression` behind all else where the rule's is
/// known, as it was then. Of a very long one its beginning, with `…` behind it.
pub fn transition(transition: &Transition) -> Vec<u8> {
    let mut out = alert(&transition.alert);
    if let Some(expression) = &transition.expression {
        out.pop();
        write::member(&mut out, "expression");
        let told = expression.floor_char_boundary(EXPRESSION_TOLD_BYTES_MAX);
        if told < expression.len() {
            write::string(&mut out, &format!("{}…", &expression[..told]));
        } else {
            write::string(&mut out, expression);
        }
        out.push(b'}');
    }
    out
}

/// An alert as it is shown: the value of `alerts/active`. Its state is the one word that tells
/// most of it; who silences, inhibits or has acknowledged it, or is to see to it, stands beside it.
pub fn shown_alert(alert: &Alert, status: &AlertStatus) -> Vec<u8> {
    shown_alert_naming(alert, status, status)
}

/// The same, with what somebody has said of it: the event that tells of that.
pub fn commented_alert(alert: &Alert, status: &AlertStatus, comment: &Comment) -> Vec<u8> {
    let mut out = shown_alert(alert, status);
    out.pop();
    write::member(&mut out, "comment");
    write_comment(&mut out, comment);
    out.push(b'}');
    out
}

/// What was said of an alert, the oldest first: an array of `{"by","text","at"}`.
pub fn comments(attention: &Attention) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, comment) in attention.comments.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_comment(&mut out, comment);
    }
    out.push(b']');
    out
}

fn write_comment(out: &mut Vec<u8>, Comment { by, text, at }: &Comment) {
    out.extend_from_slice(b"{\"by\":");
    write::string(out, by);
    write::member(out, "text");
    write::string(out, text);
    write::member(out, "at");
    write::integer(out, at.as_ms());
    out.push(b'}');
}

/// The same for somebody who may not see all silences and alerts: its state is as `status` says, and
/// only those stand beside it that `named` has.
pub fn shown_alert_naming(alert: &Alert, status: &AlertStatus, named: &AlertStatus) -> Vec<u8> {
    let texts = alert.labels.size_bytes() + alert.annotations.size_bytes();
    let mut out = Vec::with_capacity(320 + 2 * texts);
    out.extend_from_slice(b"{\"fingerprint\":\"");
    out.extend_from_slice(alert.fingerprint.to_string().as_bytes());
    out.extend_from_slice(b"\",\"state\":\"");
    out.extend_from_slice(status.shown(alert.state).as_bytes());
    out.push(b'"');
    write_status(&mut out, named);
    write::member(&mut out, "severity");
    write::string(&mut out, alert.severity());
    write::member(&mut out, "labels");
    write::labels(&mut out, &alert.labels, None);
    write::member(&mut out, "annotations");
    write::labels(&mut out, &alert.annotations, None);
    let is_of_rule = alert.rule().is_some();
    if is_of_rule {
        write::member(&mut out, "value");
        write::number(&mut out, alert.value);
    }
    let times = [
        ("active_at", Some(alert.active_at)),
        ("fired_at", alert.fired_at),
        ("resolved_at", alert.resolved_at),
        ("sample_time", is_of_rule.then_some(alert.sample_time)),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            write::member(&mut out, name);
            write::integer(&mut out, time.as_ms());
        }
    }
    write_source(&mut out, &alert.source);
    out.push(b'}');
    out
}

/// Members that say why a shown state is what it is; none where there is nothing to say.
fn write_status(out: &mut Vec<u8>, status: &AlertStatus) {
    let AlertStatus { silenced_by, has_more_silences, inhibited_by, acknowledged, attention } =
        status;
    write_texts(out, "silenced_by", silenced_by);
    if *has_more_silences {
        out.extend_from_slice(b",\"more_silences\":true");
    }
    write_texts(out, "inhibited_by", inhibited_by);
    if let Some(acknowledgement) = acknowledged {
        out.extend_from_slice(b",\"acknowledged\":{\"by\":");
        write::string(out, &acknowledgement.by);
        write::member(out, "note");
        write::string(out, &acknowledgement.note);
        write::member(out, "at");
        write::integer(out, acknowledgement.at.as_ms());
        out.push(b'}');
    }
    if let Some(attention) = attention {
        write_attention(out, attention);
    }
}

/// Who is to see to it; and of what was said how much there is, who said something last and when: all
/// of it would be sent again with each change of the alert.
fn write_attention(out: &mut Vec<u8>, Attention { assigned, comments }: &Attention) {
    if let Some(assignment) = assigned {
        out.extend_from_slice(b",\"assigned\":{\"to\":");
        write::string(out, &assignment.to);
        write::member(out, "by");
        write::string(out, &assignment.by);
        write::member(out, "at");
        write::integer(out, assignment.at.as_ms());
        out.push(b'}');
    }
    if let Some(last) = comments.last() {
        out.extend_from_slice(b",\"comments\":{\"count\":");
        out.extend_from_slice(comments.len().to_string().as_bytes());
        write::member(out, "last_by");
        write::string(out, &last.by);
        write::member(out, "last_at");
        write::integer(out, last.at.as_ms());
        out.push(b'}');
    }
}

fn write_texts(out: &mut Vec<u8>, name: &str, texts: &[impl Display]) {
    if texts.is_empty() {
        return;
    }
    write::member(out, name);
    for (index, text) in texts.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        write::string(out, &text.to_string());
    }
    out.push(b']');
}

fn write_source(out: &mut Vec<u8>, source: &AlertSource) {
    match source {
        AlertSource::Rule(rule) => {
            out.extend_from_slice(b",\"rule\":{\"file\":");
            write::string(out, &rule.file);
            write::member(out, "group");
            write::string(out, &rule.group);
            write::member(out, "name");
            write::string(out, &rule.alert);
            out.push(b'}');
        }
        AlertSource::Posted { generator_url: Some(url) } => {
            write::member(out, "generator_url");
            write::string(out, url);
        }
        AlertSource::Posted { generator_url: None } => {}
    }
}

/// A sample as `POST /v1/samples` takes it: the value of `samples/…` and `rules/…` topics.
pub fn sample(sample: &Sample) -> Vec<u8> {
    let mut out = Vec::with_capacity(80 + 2 * sample.series.size_bytes());
    out.extend_from_slice(b"{\"name\":");
    write::string(&mut out, sample.series.metric_name().unwrap_or_default());
    write::member(&mut out, "labels");
    write::labels(&mut out, &sample.series, Some(METRIC_NAME));
    write::member(&mut out, "value");
    write::number(&mut out, sample.value);
    write::member(&mut out, "timestamp");
    write::integer(&mut out, sample.time.as_ms());
    out.push(b'}');
    out
}

/// The past of a series: `{"name":…,"labels":{…},"timestamps":[…],"values":[…]}`, with as many values
/// as timestamps, in milliseconds.
pub fn series_history(series: &Labels, points: &[(Timestamp, f64)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(80 + 2 * series.size_bytes() + 24 * points.len());
    out.extend_from_slice(b"{\"name\":");
    write::string(&mut out, series.metric_name().unwrap_or_default());
    write::member(&mut out, "labels");
    write::labels(&mut out, series, Some(METRIC_NAME));
    write::member(&mut out, "timestamps");
    write_list(&mut out, points, |out, (time, _)| write::integer(out, time.as_ms()));
    write::member(&mut out, "values");
    write_list(&mut out, points, |out, (_, value)| write::number(out, *value));
    out.push(b'}');
    out
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// What an answer says beside its events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// What lies before the first of the events, and is missing.
    pub gap: Option<&'a Control<'a>>,
    /// Topics that have ended among the events, or were reopened, in this order.
    pub ends: &'a [Control<'a>],
    /// What the client has of state topics is void; all there is comes with this and the next answers.
    pub reset: Option<&'a Control<'a>>,
    /// Values that it has no room for.
    pub values_left_out: usize,
    /// Whether others than these are there already, where that is said.
    pub more: Option<bool>,
    /// What is left of what was asked for, where that is less.
    pub narrowed: Option<&'a FilterSet>,
    /// Why nothing new comes, or is taken, where that is so.
    pub outage: Option<Outage>,
    /// Where to go on.
    pub cursor: Option<Cursor>,
}

/// The answer of a long poll or a page of history: `{"events":[…],"gap"?,"ends"?,"reset"?,"more"?,"narrowed"?,"degraded"?,"cursor"?}`
/// around events that are JSON already.
pub fn page<'a>(events: impl IntoIterator<Item = &'a [u8]>, beside: &Beside<'_>) -> Vec<u8> {
    let Beside { gap, ends, reset, values_left_out, more, narrowed, outage, cursor } = *beside;
    let mut out = b"{\"events\":[".to_vec();
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(event);
    }
    out.push(b']');
    if let Some(gap) = gap {
        write::member(&mut out, "gap");
        out.extend_from_slice(&gap.json());
    }
    for (index, end) in ends.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"ends\":[" } else { b"," });
        out.extend_from_slice(&end.json());
    }
    if !ends.is_empty() {
        out.push(b']');
    }
    if let Some(reset) = reset {
        write::member(&mut out, "reset");
        out.extend_from_slice(&reset.json());
    }
    if values_left_out > 0 {
        out.extend_from_slice(format!(",\"values_left_out\":{values_left_out}").as_bytes());
    }
    if let Some(more) = more {
        out.extend_from_slice(if more { &b",\"more\":true"[..] } else { b",\"more\":false" });
    }
    if let Some(topics) = narrowed {
        write_filters(&mut out, "narrowed", topics);
    }
    if let Some(outage) = outage {
        write::member(&mut out, "degraded");
        out.extend_from_slice(&Control::Degraded { outage }.json());
    }
    if let Some(cursor) = cursor {
        out.extend_from_slice(b",\"cursor\":\"");
        write::cursor(&mut out, cursor);
        out.push(b'"');
    }
    out.push(b'}');
    out
}

/// A text as JSON.
pub fn text(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write::string(&mut out, text);
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// The key of a series on a `samples/…` or `rules/…` topic: its labels without the metric name,
/// as `{a="1",b="2"}`, or `{}`. Names are quoted where they would end too early. A key longer than
/// [`KEY_BYTES_MAX`] is cut and ends in `…` and the fingerprint of all the labels, so that two series
/// never share one.
pub fn state_key(labels: &Labels) -> String {
    key_behind("", labels)
}

/// The key of an element on a `query/…` topic: as [`state_key`], behind its metric name, if it has
/// one.
pub fn element_key(labels: &Labels) -> String {
    key_behind(labels.metric_name().unwrap_or_default(), labels)
}

fn key_behind(name: &str, labels: &Labels) -> String {
    let mut key = String::with_capacity(2 + 2 * labels.size_bytes());
    key.extend(name.chars().filter(|character| !character.is_control()));
    let first = key.len() + 1;
    key.push('{');
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        if key.len() > first {
            key.push(',');
        }
        // What ends a name stands within it: quotes show where it does end.
        if name.contains(['"', '\\', '=', ',']) {
            push_quoted(&mut key, name);
        } else {
            key.push_str(name);
        }
        key.push('=');
        push_quoted(&mut key, value);
    }
    key.push('}');
    if key.len() > KEY_BYTES_MAX {
        let end = format!("…{}", Fingerprint::of(labels));
        key.truncate(key.floor_char_boundary(KEY_BYTES_MAX - end.len()));
        key.push_str(&end);
    }
    key
}

/// Escapes as Prometheus does; a key has no control characters, so those are escaped too.
fn push_quoted(key: &mut String, text: &str) {
    key.push('"');
    for character in text.chars() {
        match character {
            '\n' => key.push_str("\\n"),
            '"' | '\\' => {
                key.push('\\');
                key.push(character);
            }
            _ if character.is_control() => key.extend(character.escape_unicode()),
            _ => key.push(character),
        }
    }
    key.push('"');
}
