//! What topics there are, and what they hold.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_access::Rights;
use bellwire_hub::{
    Begin, Begun, Gap, GapReason, Known, PastCopy, Payload as _, Start, StateFigures,
    Value as StateValue,
};
use bellwire_journal::{Bounds, Page, ReadLimit, TopicFigures};
use bellwire_model::limits::{
    PAGE_BYTES_MAX, PAGE_EVENTS_MAX, STATE_ANSWER_BYTES_MAX, TOPICS_LISTED_MAX,
};
use bellwire_model::{
    Closure, Cursor, EffectiveFilter, Epoch, Filter, FilterSet, LabelsOf, Offset, QueryId, Scope,
    Timestamp, Topic,
};
use bellwire_process::clock;
use bellwire_shards::{
    Frames, Kind, Lately, PollAnswer, States, parse_cursor, parse_history, past_event, read_page,
};
use bellwire_wire::json;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::App;
use super::page_tag::{Keeping, PagePlace, PageTag};
use super::permission::Caller;
use super::publish::TopicPath;
use crate::access::{self, permit_reading, shows_presence};
use crate::problem::Refused;

/// `GET /v1/topics?prefix=…&after=…&limit=…`: topics with their kinds and figures, sorted by name.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = ListQuery::parse(query.as_deref().unwrap_or_default())?;
    let list = || Json(listing(&app, &query, caller.rights())).into_response();
    Ok(app.large_reads.run(list).await?)
}

fn listing(app: &App, query: &ListQuery, rights: &Rights) -> Value {
    let shown = ShownTopics::new(rights);
    let epoch = app.publisher.journal.epoch();
    let counts = app.subscriptions.counts();
    // One more than is asked for shows that there are others.
    let limit = query.limit + 1;
    let mut topics: BTreeMap<Topic, Value> = BTreeMap::new();
    let prefixes = shown.prefixes(&query.prefix);
    for figures in prefixes.iter().flat_map(|prefix| streams(app, (prefix, query), &shown)) {
        let cursor = Cursor::new(epoch, figures.last);
        let subscribers = counts.of(&figures.topic);
        if app.publisher.topics.kind(&figures.topic) == Kind::State {
            let none = StateFigures { keys: 0, changes: 0 };
            let value = of_state(app, (&figures.topic, none), &shown, subscribers);
            topics.insert(figures.topic, value);
            continue;
        }
        let lately = app.rates.of(&figures.topic);
        let mut topic = json!({
            "topic": figures.topic.as_str(),
            "kind": Kind::Stream.as_str(),
            "events": figures.events,
            "bytes": figures.bytes,
            "events_per_second": round(lately.map_or(0.0, |lately| lately.per_second)),
            "cursor": cursor.to_string(),
            "subscribers": subscribers,
        });
        if let Some(Lately { ago, .. }) = lately {
            topic["last_event_at"] = clock::now().saturating_sub(ago).as_ms().into();
        }
        if figures.has_ended {
            topic["ended"] = true.into();
        }
        topics.insert(figures.topic, topic);
    }
    let is_wanted = |topic: &Topic| query.names(topic) && shown.has(topic);
    let states = prefixes
        .iter()
        .flat_map(|prefix| app.publisher.states.topics((prefix, &query.after), limit, is_wanted));
    for (topic, figures) in states {
        let value = of_state(app, (&topic, figures), &shown, counts.of(&topic));
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

/// What a listing says of a state topic.
fn of_state(
    app: &App,
    (topic, figures): (&Topic, StateFigures),
    shown: &ShownTopics<'_>,
    subscribers: usize,
) -> Value {
    let kind = Kind::State.as_str();
    let durability = app.publisher.topics.state_durability(topic).as_str();
    let mut value = json!({ "topic": topic.as_str(), "kind": kind, "durability": durability });
    if shown.shows_all_of(topic) {
        value["keys"] = figures.keys.into();
        value["changes"] = figures.changes.into();
        value["subscribers"] = subscribers.into();
    }
    if app.publisher.journal.ended(topic.as_str()).is_some() {
        value["ended"] = true.into();
    }
    value
}

/// Streams that are shown, and state topics that have ended, as many as a listing may have and one
/// more.
fn streams(
    app: &App,
    (prefix, query): (&str, &ListQuery),
    shown: &ShownTopics<'_>,
) -> Vec<TopicFigures> {
    let limit = query.limit + 1;
    // Of those that are looked at very few may be shown, and each look asks the journal.
    let looked_at = if shown.shows_each() { limit } else { limit.max(LISTED_DEFAULT) };
    let (mut found, mut after) = (Vec::new(), query.after.clone());
    // Of a state topic that goes on the journal may have that it had ended.
    let is_shown = |figures: &TopicFigures| {
        let topic = &figures.topic;
        let is_stream = app.publisher.topics.kind(topic) == Kind::Stream;
        (figures.has_ended || is_stream) && query.names(topic) && shown.has(topic)
    };
    while found.len() < limit {
        let page = app.publisher.journal.list_topics(prefix, &after, looked_at);
        let Some(last) = page.last().filter(|_| page.len() == looked_at) else {
            found.extend(page.into_iter().filter(is_shown));
            break;
        };
        last.topic.as_str().clone_into(&mut after);
        found.extend(page.into_iter().filter(is_shown));
    }
    found
}

/// The topics whose names somebody may see.
struct ShownTopics<'a> {
    rights: &'a Rights,
    shows_all: bool,
    /// The answers of queries that somebody may follow who does not see everything.
    answers: Option<FilterSet>,
}

impl<'a> ShownTopics<'a> {
    fn new(rights: &'a Rights) -> Self {
        let shows_all = rights.subscribe.covers(&Rights::all().subscribe);
        let sight = access::sight(rights);
        let own = || Some(QueryId::topics_of(&sight)).filter(|_| rights.query != Scope::none());
        let answers = (!sight.is_all()).then(|| FilterSet::gathered(own().into_iter().collect()));
        Self { rights, shows_all, answers }
    }

    /// Whether nothing is hidden.
    fn shows_each(&self) -> bool {
        self.shows_all && self.rights.alerts.is_all() && self.rights.query.is_all()
    }

    /// The beginnings of all of them that begin with `prefix`.
    fn prefixes(&self, prefix: &str) -> Vec<String> {
        if self.shows_all {
            return vec![prefix.to_owned()];
        }
        let stems = self.rights.subscribe.iter().map(|filter| {
            let text = filter.as_str();
            // `a/**` has `a`, too.
            text.split(['*']).next().unwrap_or_default().trim_end_matches('/')
        });
        let longer = |stem: &str| {
            let is_within = stem.starts_with(prefix) || prefix.starts_with(stem);
            is_within.then(|| if stem.len() > prefix.len() { stem } else { prefix }.to_owned())
        };
        // Of what may be read it may be read who follows it.
        let below = |stem: &str| longer(&format!("{}/{stem}", Topic::PRESENCE));
        let stems = stems.flat_map(|stem| [longer(stem), below(stem)]);
        let mut prefixes: Vec<String> = stems.flatten().collect();
        prefixes.sort_unstable();
        // What begins with one is found by it.
        prefixes.dedup_by(|later, earlier| later.starts_with(earlier.as_str()));
        prefixes
    }

    /// Whether it is one of them. The names of topics of alerts and of samples tell what there is to
    /// whoever sees only some of those.
    fn has(&self, topic: &Topic) -> bool {
        let is_board = topic.as_str() == bellwire_alerting::ALERTS_ACTIVE;
        (is_board || self.shows_all_of(topic))
            && (self.shows_all || self.may_read(topic))
            && self.has_in_sight(topic)
    }

    /// Whether it is no answer of a query of those who see something else, and does not tell who
    /// follows one: as many keys as it has there are series. Its name can be found out by who guesses
    /// the expression.
    fn has_in_sight(&self, topic: &Topic) -> bool {
        let Some(answers) = &self.answers else { return true };
        match topic.as_str().split_once('/') {
            Some((Topic::QUERIES, _)) => answers.matches(topic),
            Some((Topic::PRESENCE, of)) => of.parse().is_ok_and(|of| self.has_in_sight(&of)),
            _ => true,
        }
    }

    fn may_read(&self, topic: &Topic) -> bool {
        let subscribe = &self.rights.subscribe;
        shows_presence(subscribe, topic).unwrap_or_else(|| subscribe.matches(topic))
    }

    /// Whether everything on it is in sight, so that its figures tell of nothing else.
    fn shows_all_of(&self, topic: &Topic) -> bool {
        match topic.labels_of() {
            None => true,
            Some(LabelsOf::Alert) => self.rights.alerts.is_all(),
            Some(LabelsOf::Series) => self.rights.query.is_all(),
        }
    }
}

/// Which topics a listing has.
struct ListQuery {
    prefix: String,
    after: String,
    limit: usize,
}

impl ListQuery {
    /// As with wildcards: the server's own topics must be asked for.
    fn names(&self, topic: &Topic) -> bool {
        self.prefix.starts_with('$') || !topic.as_str().starts_with('$')
    }
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

pub(super) fn parse_limit(text: &str, most: usize) -> Result<usize, Problem> {
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
    caller: Caller,
    TopicPath(topic): TopicPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let query = HistoryQuery::parse(query.as_deref().unwrap_or_default())?;
    let follows = permit_reading(caller.rights(), &topic)?;
    match app.publisher.topics.kind(&topic) {
        Kind::State => {
            let read = || super::events::answer_json(&values(&app, &follows, &query), (None, None));
            Ok(app.large_reads.run(read).await?)
        }
        Kind::Stream if query.history.is_some() => {
            let detail = "`history` is what is remembered of series, on `samples/…` and `query/…`";
            Err(Problem::new(Code::ParameterInvalid, detail).into())
        }
        Kind::Stream => stream(&app, (&topic, &follows), &query, &headers).await,
    }
}

/// A page of a stream, unless the client has it.
async fn stream(
    app: &App,
    (topic, follows): (&Topic, &EffectiveFilter),
    query: &HistoryQuery,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    let is_kept = app.access.authenticator.is_open() && matches!(query.start, Start::After(_));
    let keeping = if is_kept { Keeping::AsItIs } else { Keeping::Asking };
    let journal = &app.publisher.journal;
    // Of what some alerts or series are left of, who may see which would have to be told as well.
    let sees_all = follows.sight().on(topic).is_none();
    let tags = PageTag::all_of(headers);
    if let Some(place) = query.place(journal.epoch()).filter(|_| sees_all && !tags.is_empty()) {
        let held = (&**journal, follows.filters());
        let find = || tags.into_iter().find(|tag| tag.holds(held, place));
        // Whoever commits may hold what says what is gone.
        if let Some(tag) = tokio::task::block_in_place(find) {
            return Ok(tag.not_modified(keeping));
        }
    }
    let (answer, tag) = page(app, follows, query).await?;
    let response = super::events::answer_json(&answer, (None, None));
    Ok(match tag.filter(|_| sees_all) {
        Some(tag) => tag.marked(response, keeping),
        None => response,
    })
}

/// The values of a state topic; where the past is asked for, that of each series that has one takes the
/// place of its value.
fn values(app: &App, follows: &EffectiveFilter, query: &HistoryQuery) -> PollAnswer {
    let (states, sight) = (&app.publisher.states, follows.sight());
    let limit = query.limit.unwrap_or(usize::MAX);
    let since = query.history.map(|history| clock::now().saturating_sub(history));
    let encode = |values: &[Arc<StateValue<Frames>>]| match since {
        Some(since) => pasts(states, values, since),
        None => values.iter().map(|value| value.payload.json()).collect(),
    };
    let (mut answer, mut waiting, mut shown) = (Encoded::default(), Vec::new(), 0);
    let there = states.read(follows.filters(), |value| {
        // Of what somebody sees a part of, each has to be looked at to be counted.
        if shown == limit || answer.is_full && sight.is_all() {
            return ControlFlow::Break(());
        }
        if sight.shows(&value.topic, || value.payload.labels()) {
            shown += 1;
            if !answer.is_full {
                waiting.push(value);
            }
            if waiting.len() == ENCODED_AT_A_TIME {
                answer.add(encode(&waiting));
                waiting.clear();
            }
        }
        ControlFlow::Continue(())
    });
    answer.add(encode(&waiting));
    let wanted = if answer.is_full && sight.is_all() { there.min(limit) } else { shown };
    let events = answer.events;
    let values_left_out = wanted - events.len();
    let journal = &app.publisher.journal;
    let at = |offset| Cursor::new(journal.epoch(), offset);
    let end = |filter: &Filter| {
        let end = journal.ended(filter.as_str())?;
        Some((Closure::End, filter.topic()?, at(end.at)))
    };
    let ends = follows.filters().iter().filter_map(end).collect();
    let cursor = at(journal.bounds().tail);
    PollAnswer { events, cursor, gap: None, ends, reset: None, values_left_out, more: None }
}

/// Values that are encoded at a time; their pasts are copied before others get their turn at the table.
const ENCODED_AT_A_TIME: usize = 128;

/// Values of a state topic, as many as one answer may have.
#[derive(Default)]
struct Encoded {
    events: Vec<Bytes>,
    bytes: usize,
    is_full: bool,
}

impl Encoded {
    fn add(&mut self, events: Vec<Bytes>) {
        for event in events {
            self.bytes += event.len();
            self.is_full |= self.bytes > STATE_ANSWER_BYTES_MAX;
            if self.is_full {
                return;
            }
            self.events.push(event);
        }
    }
}

fn pasts(states: &States, values: &[Arc<StateValue<Frames>>], since: Timestamp) -> Vec<Bytes> {
    let pasts = states.pasts(values).into_iter().zip(values);
    let event = |(past, value): (Option<PastCopy>, &Arc<StateValue<Frames>>)| {
        let event = past_event(value, past.as_ref()?, since)?;
        Some(json::event(None, &event).into())
    };
    pasts.map(|both| event((both.0, both.1)).unwrap_or_else(|| both.1.payload.json())).collect()
}

async fn page(
    app: &App,
    follows: &EffectiveFilter,
    query: &HistoryQuery,
) -> Result<(PollAnswer, Option<PageTag>), Problem> {
    let journal = Arc::clone(&app.publisher.journal);
    let filters = follows.filters().clone();
    let epoch = journal.epoch();
    let start = query.start;
    let limit = ReadLimit { events: query.events(), bytes: PAGE_BYTES_MAX };
    let _turn = app.admission.page().await;
    let read_follows = follows.clone();
    let read = move || -> Result<ReadPage, bellwire_journal::Error> {
        let Bounds { tail, trimmed } = journal.bounds();
        let place = Begin { start, tail, trimmed }.among_others(journal.known());
        let begun = place.begun(Cursor::new(epoch, tail));
        let page = read_page(&*journal, (begun.offset, limit), &read_follows)?;
        let event = |entry: &bellwire_model::Entry| {
            json::event(Some(Cursor::new(epoch, entry.offset)), &entry.event)
        };
        let is_shown = |entry: &&bellwire_model::Entry| {
            let labels = json::labels_of(&entry.event);
            read_follows.sight().shows(&entry.event.topic, || labels.as_ref())
        };
        let (mut events, mut ends) = (Vec::new(), Vec::new());
        for entry in page.entries.iter().filter(is_shown) {
            match entry.event.closure() {
                Some(closure) => {
                    let at = Cursor::new(epoch, entry.offset);
                    ends.push((closure, entry.event.topic.clone(), at));
                }
                None => events.push(event(entry).into()),
            }
        }
        let is_full = page.end < tail || page.entries.len() == limit.events;
        Ok(ReadPage { begun, page, events, ends, is_full })
    };
    let ReadPage { begun, page, events, ends, is_full } = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Problem::new(Code::JournalUnavailable, error))??;
    let at = |offset| Cursor::new(epoch, offset);
    let is_news = match begun.known {
        Known::To(offset) => page.trimmed > offset,
        Known::WhateverIsGone => false,
    };
    let missed = page.lost > 0 || is_news;
    let expired = Gap { from: at(begun.offset), to: at(page.trimmed), reason: GapReason::Expired };
    let foreign = begun.gap.map(|gap| Gap { to: expired.to, ..gap });
    let gap = foreign.or(missed.then_some(expired)).map(|gap| (gap, filters));
    let cursor = at(page.end.max(begun.offset));
    let place = query.place(epoch).filter(|_| gap.is_none());
    let (end, trimmed) = (cursor.offset, page.trimmed);
    let tag = place.map(|place| PageTag { place, end, trimmed, is_full });
    let (reset, values_left_out, more) = (None, 0, None);
    Ok((PollAnswer { events, cursor, gap, ends, reset, values_left_out, more }, tag))
}

/// A page of a stream as it was read.
struct ReadPage {
    begun: Begun,
    page: Page,
    events: Vec<Bytes>,
    /// Where among them the topic has ended, or was reopened.
    ends: Vec<(Closure, Topic, Cursor)>,
    /// Whether no event that is still to come belongs to it.
    is_full: bool,
}

/// Where a page begins and how long it is.
struct HistoryQuery {
    start: Start,
    /// Where the client says so.
    limit: Option<usize>,
    /// How far back the past of series is wanted, where it is.
    history: Option<Duration>,
}

/// Events of a stream's page where the client does not say.
const LIMIT_DEFAULT: usize = 100;

impl HistoryQuery {
    fn events(&self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT)
    }

    /// Where its page begins, if that is the same whenever it is asked for.
    fn place(&self, epoch: Epoch) -> Option<PagePlace> {
        let after = match self.start {
            Start::Earliest => Cursor::new(epoch, Offset::ZERO),
            Start::After(cursor) if cursor.epoch == epoch => Cursor::new(epoch, cursor.offset),
            Start::After(_) | Start::Latest => return None,
        };
        Some(PagePlace { after, limit: self.events() })
    }

    fn parse(query: &str) -> Result<Self, Problem> {
        let mut parsed = Self { start: Start::Earliest, limit: None, history: None };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "after" if value == "earliest" => parsed.start = Start::Earliest,
                "after" if value == "latest" => parsed.start = Start::Latest,
                "after" => parsed.start = Start::After(parse_cursor(&value)?),
                "limit" => parsed.limit = Some(parse_limit(&value, PAGE_EVENTS_MAX)?),
                "history" => parsed.history = Some(parse_history(&value)?),
                other => {
                    let detail =
                        format!("`{other}` is no parameter: there are after, limit and history");
                    return Err(Problem::new(Code::ParameterInvalid, detail));
                }
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::Sight;

    use super::*;

    #[test]
    fn a_listing_has_no_answers_of_those_who_see_something_else() {
        let narrow = |sets: &[&str]| {
            Scope::of(sets.iter().map(|set| set.parse().expect("matchers")).collect())
        };
        let mut of_blue = Rights { query: narrow(&["team=blue"]), ..Rights::all() };
        let of_all = QueryId::of("up == 0", &Sight::all()).topic();
        let of_team = QueryId::of("up == 0", &access::sight(&of_blue)).topic();
        let presence = |of: &Topic| format!("presence/{of}").parse::<Topic>().expect("a topic");
        let lab: Topic = "lab/a".parse().expect("a topic");
        for (topic, is_own) in [(&of_all, false), (&of_team, true), (&lab, true)] {
            let shown = ShownTopics::new(&of_blue);
            assert_eq!(shown.has(topic), is_own, "{topic}");
            assert_eq!(shown.has(&presence(topic)), is_own, "presence of {topic}");
            let all = Rights::all();
            assert!(ShownTopics::new(&all).has(topic), "{topic}");
        }
        // Whatever a role says of these topics: see `readable`.
        of_blue.subscribe = FilterSet::gathered(vec!["query/**".parse().expect("a filter")]);
        assert!(!ShownTopics::new(&of_blue).has(&of_all));
        let none = Rights { query: Scope::none(), ..Rights::all() };
        assert!(!ShownTopics::new(&none).has(&of_all) && !ShownTopics::new(&none).has(&of_team));
    }
}
