//! What topics there are, and what they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_hub::{Begin, Begun, Gap, GapReason, Known, Start};
use bellwire_journal::{Bounds, Page, ReadLimit};
use bellwire_model::limits::{
    PAGE_BYTES_MAX, PAGE_EVENTS_MAX, STATE_ANSWER_BYTES_MAX, TOPICS_LISTED_MAX,
};
use bellwire_model::{Cursor, Filter, FilterSet, Topic};
use bellwire_shards::Kind;
use bellwire_shards::PollAnswer;
use bellwire_shards::parse_cursor;
use bellwire_wire::json;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use serde_json::{Value, json};

use super::App;
use super::publish::TopicPath;
use crate::problem::Refused;

/// `GET /v1/topics?prefix=…&after=…&limit=…`: topics with their kinds and figures, sorted by name.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = ListQuery::parse(query.as_deref().unwrap_or_default())?;
    Ok(app.large_reads.run(|| Json(listing(&app, &query)).into_response()).await?)
}

fn listing(app: &App, query: &ListQuery) -> Value {
    let epoch = app.publisher.journal.epoch();
    let counts = app.subscriptions.counts();
    let within = (&*query.prefix, &*query.after);
    // One more than is asked for shows that there are others.
    let limit = query.limit + 1;
    let mut topics: BTreeMap<Topic, Value> = BTreeMap::new();
    for figures in app.publisher.journal.list_topics(within.0, within.1, limit) {
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
    // As with wildcards: the server's own topics must be asked for.
    let is_wanted =
        |topic: &Topic| query.prefix.starts_with('$') || !topic.as_str().starts_with('$');
    for (topic, keys) in app.publisher.states.topics(within, limit, is_wanted) {
        let subscribers = counts.of(&topic);
        let kind = Kind::State.as_str();
        let value = json!({ "topic": topic.as_str(), "kind": kind, "keys": keys, "subscribers": subscribers });
        topics.insert(topic, value);
    }
    let last = topics.keys().nth(query.limit - 1).filter(|_| topics.len() > query.limit);
    let next = last.map(|last| last.as_str().to_owned());
    let page: Vec<Value> = topics.into_values().take(query.limit).collect();
    let mut listing = json!({ "topics": page });
    if let Some(next) = next {
        listing["next"] = next.into();
    }
    listing
}

/// Which topics a listing has.
struct ListQuery {
    prefix: String,
    after: String,
    limit: usize,
}

/// Topics of a listing where the client does not say.
const LISTED_DEFAULT: usize = 1_000;

impl ListQuery {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut parsed =
            Self { prefix: String::new(), after: String::new(), limit: LISTED_DEFAULT };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "prefix" => parsed.prefix = value.into_owned(),
                "after" => parsed.after = value.into_owned(),
                "limit" => parsed.limit = parse_limit(&value, TOPICS_LISTED_MAX)?,
                other => {
                    let detail =
                        format!("`{other}` is no parameter: there are prefix, after and limit");
                    return Err(Problem::new(Code::ParameterInvalid, detail));
                }
            }
        }
        Ok(parsed)
    }
}

fn parse_limit(text: &str, most: usize) -> Result<usize, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| {
        let detail = format!("`limit` is a number from 1 to {most}, not `{text}`");
        Problem::new(Code::ParameterInvalid, detail)
    })
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
) -> Result<Response, Refused> {
    let query = HistoryQuery::parse(query.as_deref().unwrap_or_default())?;
    match app.publisher.topics.kind(&topic) {
        Kind::State => {
            let read = || super::events::answer_json(&values(&app, &topic, query.limit));
            Ok(app.large_reads.run(read).await?)
        }
        Kind::Stream => Ok(super::events::answer_json(&page(&app, &topic, &query).await?)),
    }
}

fn values(app: &App, topic: &Topic, limit: Option<usize>) -> PollAnswer {
    let snapshot = app.publisher.states.snapshot(&FilterSet::from(Filter::from(topic)));
    let mut bytes = 0;
    let fits = |json: &Bytes| {
        bytes += json.len();
        bytes <= STATE_ANSWER_BYTES_MAX
    };
    let mut values = snapshot.into_values();
    values.truncate(limit.unwrap_or(usize::MAX));
    let wanted = values.len();
    let values = values.into_iter().map(|value| value.payload.json());
    let events: Vec<Bytes> = values.take_while(fits).collect();
    let values_left_out = wanted - events.len();
    let journal = &app.publisher.journal;
    let cursor = Cursor { epoch: journal.epoch(), offset: journal.bounds().tail };
    PollAnswer { events, cursor, gap: None, values_left_out }
}

async fn page(app: &App, topic: &Topic, query: &HistoryQuery) -> Result<PollAnswer, Problem> {
    let journal = Arc::clone(&app.publisher.journal);
    let filters = FilterSet::from(Filter::from(topic));
    let epoch = journal.epoch();
    let start = query.start;
    let limit = ReadLimit { events: query.limit.unwrap_or(LIMIT_DEFAULT), bytes: PAGE_BYTES_MAX };
    let _turn = app.admission.page().await;
    let read_filters = filters.clone();
    let read = move || -> Result<(Begun, Page, Vec<Bytes>), bellwire_journal::Error> {
        let Bounds { tail, trimmed } = journal.bounds();
        let place = Begin { start, tail, trimmed };
        let begun = place.begun(Cursor { epoch, offset: tail });
        let page = journal.read(begun.offset, &read_filters, limit)?;
        let event =
            |entry: &bellwire_model::Entry| json::event(epoch, Some(entry.offset), &entry.event);
        let events = page.entries.iter().map(|entry| event(entry).into()).collect();
        Ok((begun, page, events))
    };
    let (begun, page, events) = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Problem::new(Code::JournalUnavailable, error))??;
    let at = |offset| Cursor { epoch, offset };
    let is_news = match begun.known {
        Known::To(offset) => page.trimmed > offset,
        Known::WhateverIsGone => false,
    };
    let missed = page.lost > 0 || is_news;
    let expired = Gap { from: at(begun.offset), to: at(page.trimmed), reason: GapReason::Expired };
    let foreign = begun.gap.map(|gap| Gap { to: expired.to, ..gap });
    let gap = foreign.or(missed.then_some(expired)).map(|gap| (gap, filters));
    let cursor = at(page.end.max(begun.offset));
    Ok(PollAnswer { events, cursor, gap, values_left_out: 0 })
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
                "limit" => parsed.limit = Some(parse_limit(&value, PAGE_EVENTS_MAX)?),
                other => {
                    let detail = format!("`{other}` is no parameter: there are after and limit");
                    return Err(Problem::new(Code::ParameterInvalid, detail));
                }
            }
        }
        Ok(parsed)
    }
}
