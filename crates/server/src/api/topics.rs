//! What topics there are, and what they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use bellwire_hub::{Gap, GapReason, Start};
use bellwire_journal::{Page, ReadLimit};
use bellwire_model::limits::{PAGE_BYTES_MAX, PAGE_EVENTS_MAX, STATE_ANSWER_BYTES_MAX};
use bellwire_model::{Cursor, Filter, FilterSet, Offset, Topic};
use bellwire_wire::json;
use bytes::Bytes;
use serde_json::{Value, json};

use super::App;
use super::publish::TopicPath;
use crate::problem::{Code, Problem};
use crate::stream_request::parse_cursor;
use crate::tasks::PollAnswer;
use crate::topics::Kind;

/// `GET /v1/topics`: every topic with its kind and figures.
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let epoch = app.publisher.journal.epoch();
    let counts = app.subscriptions.counts();
    let mut topics: BTreeMap<Topic, Value> = BTreeMap::new();
    for figures in app.publisher.journal.topics() {
        let cursor = Cursor { epoch, offset: figures.last };
        let subscribers = counts.of(&figures.topic);
        let topic = json!({
            "topic": figures.topic.as_str(),
            "kind": Kind::Stream.as_str(),
            "events": figures.events,
            "bytes": figures.bytes,
            "events_per_second": round(app.rates.of(&figures.topic)),
            "cursor": cursor.to_string(),
            "subscribers": subscribers,
        });
        topics.insert(figures.topic, topic);
    }
    // As with wildcards: the server's own topics are not what users ask for.
    let is_of_users = |topic: &Topic| !topic.as_str().starts_with('$');
    let states = app.publisher.states.topics().into_iter();
    for (topic, keys) in states.filter(|(topic, _)| is_of_users(topic)) {
        let subscribers = counts.of(&topic);
        let kind = Kind::State.as_str();
        let value = json!({ "topic": topic.as_str(), "kind": kind, "keys": keys, "subscribers": subscribers });
        topics.insert(topic, value);
    }
    Json(json!({ "topics": topics.into_values().collect::<Vec<_>>() }))
}

/// A rate for people.
fn round(rate: f64) -> f64 {
    (rate * 100.0).round() / 100.0
}

/// `GET /v1/topics/{topic}?after=…&limit=…`: a page of a stream's history, or a state topic's
/// values. The same shape as a long poll's answer.
pub(super) async fn history(
    State(app): State<Arc<App>>,
    TopicPath(topic): TopicPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = HistoryQuery::parse(query.as_deref().unwrap_or_default())?;
    let answer = match app.publisher.topics.kind(&topic) {
        Kind::State => values(&app, &topic, query.limit),
        Kind::Stream => page(&app, &topic, &query).await?,
    };
    Ok(super::events::answer_json(&answer))
}

fn values(app: &App, topic: &Topic, limit: Option<usize>) -> PollAnswer {
    let snapshot = app.publisher.states.snapshot(&FilterSet::from(Filter::from(topic)));
    let mut bytes = 0;
    let fits = |json: &Bytes| {
        bytes += json.len();
        bytes <= STATE_ANSWER_BYTES_MAX
    };
    let values = snapshot.values.iter().take(limit.unwrap_or(usize::MAX));
    let events = values.map(|value| value.payload.json()).take_while(fits).collect();
    let journal = &app.publisher.journal;
    let cursor = Cursor { epoch: journal.epoch(), offset: journal.bounds().tail };
    PollAnswer { events, cursor, gap: None }
}

async fn page(app: &App, topic: &Topic, query: &HistoryQuery) -> Result<PollAnswer, Problem> {
    let journal = Arc::clone(&app.publisher.journal);
    let filters = FilterSet::from(Filter::from(topic));
    let bounds = journal.bounds();
    let epoch = journal.epoch();
    let is_known = |cursor: &Cursor| cursor.epoch == epoch && cursor.offset <= bounds.tail;
    let (after, foreign) = match query.start {
        Start::Earliest => (Offset::ZERO, None),
        Start::Latest => (bounds.tail, None),
        Start::After(cursor) if is_known(&cursor) => (cursor.offset, None),
        Start::After(cursor) => (Offset::ZERO, Some(cursor)),
    };
    let limit = ReadLimit { events: query.limit.unwrap_or(LIMIT_DEFAULT), bytes: PAGE_BYTES_MAX };
    let _turn = app.admission.page().await;
    let read_filters = filters.clone();
    let read = move || journal.read(after, &read_filters, limit);
    let page: Page = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Problem::new(Code::JournalUnavailable, error))??;
    let missed = query.start != Start::Earliest && page.trimmed > after;
    let to = Cursor { epoch, offset: page.trimmed };
    let gap = match foreign {
        Some(from) => Some((from, GapReason::Epoch)),
        None if missed => Some((Cursor { epoch, offset: after }, GapReason::Expired)),
        None => None,
    };
    let gap = gap.map(|(from, reason)| (Gap { from, to, reason }, filters));
    let event =
        |entry: &bellwire_model::Entry| json::event(epoch, Some(entry.offset), &entry.event);
    let events = page.entries.iter().map(|entry| event(entry).into()).collect();
    Ok(PollAnswer { events, cursor: Cursor { epoch, offset: page.end.max(after) }, gap })
}

/// Where a page begins and how long it is.
struct HistoryQuery {
    start: Start,
    /// Where the client says so.
    limit: Option<usize>,
}

/// Events of a stream's page where the client does not say.
const LIMIT_DEFAULT: usize = 100;

impl HistoryQuery {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut parsed = Self { start: Start::Earliest, limit: None };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "after" if value == "earliest" => parsed.start = Start::Earliest,
                "after" if value == "latest" => parsed.start = Start::Latest,
                "after" => parsed.start = Start::After(parse_cursor(&value)?),
                "limit" => {
                    let limit =
                        value.parse().ok().filter(|limit| (1..=PAGE_EVENTS_MAX).contains(limit));
                    parsed.limit = Some(limit.ok_or_else(|| {
                        let detail = format!(
                            "`limit` is a number from 1 to {PAGE_EVENTS_MAX}, not `{value}`"
                        );
                        Problem::new(Code::ParameterInvalid, detail)
                    })?);
                }
                other => {
                    let detail = format!("`{other}` is no parameter: there are after and limit");
                    return Err(Problem::new(Code::ParameterInvalid, detail));
                }
            }
        }
        Ok(parsed)
    }
}
