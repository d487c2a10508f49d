//! What a client asks of `GET /v1/events`: which topics, from where, and in which form.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use bellwire_hub::Start;
use bellwire_model::limits::{FILTERS_PER_CONNECTION_MAX, WAIT_MAX};
use bellwire_model::{
    AskedQuery, Cursor, EffectiveFilter, Filter, FilterError, FilterSet, MaxRate, PacedFilter,
    Sight,
};
use bellwire_wire::presence::{parse_id, parse_shown};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::request::read_history;
use bytes::Bytes;

use http::HeaderValue;

use crate::form::{Coding, Encoding, Form, Framing, HttpForm};
use crate::percent;
use crate::presence::AskedPresence;
use crate::refusals::Refusals;

mod handshake;

pub use handshake::Handshake;

/// The path of the one resource that all transports share.
pub const EVENTS_PATH: &str = "/v1/events";

/// A stream: the connection belongs to it until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRequest {
    pub follows: EffectiveFilter,
    pub start: Start,
    pub form: Form,
    /// How it is told that there is no room for it now.
    pub refusals: Refusals,
    /// The origin of a page that is allowed to read along.
    pub allow_origin: Option<Box<HeaderValue>>,
    /// What makes it a WebSocket.
    pub handshake: Option<Box<Handshake>>,
    /// Whether it follows less than was asked for: that is told first.
    pub is_narrowed: bool,
    /// Whose answers it follows beside these topics, once they stand.
    pub queries: AskedQueries,
    /// Whether its client keeps what it has of state topics, and is to be told what has changed.
    pub resumes_state: bool,
    /// How far back the past of series is wanted, where it is, in milliseconds: requests are small.
    pub history_ms: Option<NonZeroU32>,
    /// What it shows of itself to others who follow the same.
    pub present: Option<Box<AskedPresence>>,
}

/// Queries whose answers are to be followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedQueries {
    /// Which.
    pub asked: Vec<AskedQuery>,
    /// How many updates of an element are wanted in a second.
    pub max_rate: Option<MaxRate>,
}

impl AskedQueries {
    /// What is followed with these topics of them beside.
    pub fn beside(
        &self,
        follows: &EffectiveFilter,
        topics: Vec<Filter>,
    ) -> Result<EffectiveFilter, Problem> {
        if topics.is_empty() {
            return Ok(follows.clone());
        }
        let filters = FilterSet::new(topics).map_err(too_many)?;
        let united = follows.union(&EffectiveFilter::paced(filters, self.max_rate));
        let filters = united.iter().count();
        if filters > FILTERS_PER_CONNECTION_MAX {
            return Err(too_many(FilterError::TooMany { filters }));
        }
        Ok(united)
    }
}

impl StreamRequest {
    /// What follows these, of no page and over no WebSocket; refusals are told by their status.
    pub fn new(follows: EffectiveFilter, start: Start, form: Form) -> Self {
        let (refusals, allow_origin, handshake) = (Refusals::Status, None, None);
        let (is_narrowed, queries, resumes_state) = (false, AskedQueries::default(), false);
        Self {
            follows,
            start,
            form,
            refusals,
            allow_origin,
            handshake,
            is_narrowed,
            queries,
            resumes_state,
            history_ms: None,
            present: None,
        }
    }

    /// Whether its cursors are of state topics, too. Who may read more the next time would come back
    /// with what it has of the rest.
    pub fn has_marks(&self) -> bool {
        self.resumes_state && !self.is_narrowed
    }

    /// How far back the past of series is wanted, where it is.
    pub fn history(&self) -> Option<Duration> {
        self.history_ms.map(|ms| Duration::from_millis(ms.get().into()))
    }

    /// Where it begins.
    pub fn start(&self) -> Start {
        if self.has_marks() { self.start } else { without_state(self.start) }
    }

    /// The same for somebody who may follow only these topics, and see only this of them. What was
    /// asked for is remembered where that is more.
    pub fn within(mut self, allowed: &FilterSet, sight: &Sight) -> Result<Self, Problem> {
        let asked: Vec<PacedFilter> = self.follows.iter().collect();
        let wanted = self.follows.filters().clone();
        self.follows = self.follows.within(allowed, sight).map_err(too_many)?;
        self.is_narrowed |= *self.follows.filters() != wanted;
        if let Some(handshake) = &mut self.handshake
            && handshake.asked.is_empty()
        {
            handshake.asked = self.follows.unless_these(asked);
        }
        Ok(self)
    }
}

/// The same for those who begin with all values.
pub(crate) fn without_state(start: Start) -> Start {
    match start {
        Start::After(cursor) => Start::After(Cursor { state: None, ..cursor }),
        start => start,
    }
}

/// A long poll: one answer. It has what is newest, so that a rate would have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollRequest {
    pub follows: EffectiveFilter,
    pub start: Start,
    pub wait: Duration,
    /// Whose answers it looks at beside these topics, once they stand.
    pub queries: AskedQueries,
    pub is_narrowed: bool,
    pub resumes_state: bool,
    pub present: Option<Box<AskedPresence>>,
}

impl PollRequest {
    /// One that follows all that was asked for, and begins with all values.
    pub fn new(follows: EffectiveFilter, start: Start, wait: Duration) -> Self {
        let queries = AskedQueries::default();
        let (is_narrowed, resumes_state) = (false, false);
        Self { follows, start, wait, queries, is_narrowed, resumes_state, present: None }
    }

    /// The same for somebody who may follow only these topics, and see only this of them.
    pub fn within(mut self, allowed: &FilterSet, sight: &Sight) -> Result<Self, Problem> {
        let wanted = self.follows.filters().clone();
        self.follows = self.follows.within(allowed, sight).map_err(too_many)?;
        self.is_narrowed |= *self.follows.filters() != wanted;
        Ok(self)
    }
}

fn too_many(error: FilterError) -> Problem {
    Problem::new(Code::TopicInvalid, error)
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsRequest {
    Stream(StreamRequest),
    Poll(PollRequest),
}

/// The parts of a request's head that decide.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    pub query: &'a str,
    pub accept: Option<&'a str>,
    pub accept_encoding: Option<&'a str>,
    pub last_event_id: Option<&'a str>,
    pub framing: Framing,
    pub handshake: Option<Handshake>,
}

/// The form of the answer that a client likes best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Sse,
    Ndjson,
    Json,
}

impl EventsRequest {
    pub fn parse(asked: Asked<'_>) -> Result<Self, Problem> {
        percent::check_query(asked.query)?;
        let mut query = Query::default();
        for (name, value) in url::form_urlencoded::parse(asked.query.as_bytes()) {
            query.take(&name, value)?;
        }
        let present = query.present()?;
        let Query { max_rate, .. } = query;
        let queries = AskedQueries { asked: query.queries, max_rate };
        // A WebSocket may begin with nothing: it can subscribe later.
        let may_be_none = asked.handshake.is_some() || !queries.asked.is_empty();
        let filters = if may_be_none && query.filters.is_empty() {
            FilterSet::none()
        } else {
            FilterSet::new(query.filters.iter().cloned())
                .map_err(|error| Problem::new(Code::TopicInvalid, error))?
        };
        let follows = EffectiveFilter::paced(filters.clone(), query.max_rate);
        // What an EventSource has seen since it was opened wins over where its URL had it begin.
        let seen = asked.last_event_id.or(query.last_event_id.as_deref());
        let start = match seen.filter(|id| !id.is_empty()) {
            Some(cursor) => Start::After(parse_cursor(cursor)?),
            None => query.start.unwrap_or(Start::Latest),
        };
        if let Some(mut handshake) = asked.handshake {
            if query.raw == Raw::Yes {
                return Err(raw_is_for_sse());
            }
            query.refusals.map_or(Ok(()), Refusals::check_for_status)?;
            let paced = |filter| PacedFilter { filter, max_rate: query.max_rate };
            handshake.asked = follows.unless_these(query.filters.into_iter().map(paced).collect());
            let stream = StreamRequest::new(follows, start, handshake.form());
            let handshake = Some(Box::new(handshake));
            let (resumes_state, history_ms) = (query.resumes_state, query.history_ms);
            let stream = StreamRequest { handshake, queries, resumes_state, history_ms, ..stream };
            return Ok(Self::Stream(StreamRequest { present, ..stream }));
        }
        let answer = negotiate(asked.accept).ok_or_else(|| {
            let offers = "text/event-stream, application/x-ndjson or application/json";
            Problem::new(Code::NotAcceptable, format!("events come as {offers}"))
        })?;
        let encoding = match (answer, query.raw) {
            (Answer::Sse, Raw::Yes) => Encoding::SseRaw,
            (Answer::Sse, Raw::No) => Encoding::Sse,
            (Answer::Ndjson, Raw::No) => Encoding::Ndjson,
            (Answer::Json, Raw::No) => {
                query.refusals.map_or(Ok(()), Refusals::check_for_status)?;
                query.history_ms.map_or(Ok(()), |_| Err(history_is_for_streams()))?;
                let follows = EffectiveFilter::from(filters);
                let poll = PollRequest::new(follows, start, query.wait);
                let resumes_state = query.resumes_state;
                return Ok(Self::Poll(PollRequest { queries, resumes_state, present, ..poll }));
            }
            (Answer::Ndjson | Answer::Json, Raw::Yes) => return Err(raw_is_for_sse()),
        };
        let coding = if takes_coding(asked.accept_encoding, "gzip") {
            Coding::Gzip
        } else {
            Coding::Identity
        };
        let form = Form::Http(HttpForm { encoding, coding, framing: asked.framing });
        let refusals = query.refusals.unwrap_or_else(|| Refusals::of_client(asked.accept));
        let stream = StreamRequest::new(follows, start, form);
        let (resumes_state, history_ms) = (query.resumes_state, query.history_ms);
        let stream = StreamRequest { refusals, queries, resumes_state, history_ms, ..stream };
        Ok(Self::Stream(StreamRequest { present, ..stream }))
    }
}

/// Whether the client names a content coding in lower case, such as `gzip`, or takes any, and does not
/// say that it would rather not.
#[must_use]
pub fn takes_coding(accept_encoding: Option<&str>, coding: &str) -> bool {
    let codings = accept_encoding.unwrap_or_default().split(',');
    let qualities = codings.filter_map(|named| {
        let mut parts = named.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let exactness = match name.strip_prefix("x-").unwrap_or(&name) {
            name if name == coding => 2,
            "*" => 1,
            _ => return None,
        };
        Some((exactness, quality(parts)))
    });
    qualities.max_by_key(|(exactness, _)| *exactness).is_some_and(|(_, quality)| quality > 0.0)
}

fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f64 {
    let text = parameters.find_map(|it| it.strip_prefix("q=").or(it.strip_prefix("Q=")));
    text.map_or(1.0, |q| q.parse::<f64>().unwrap_or(0.0).clamp(0.0, 1.0))
}

fn raw_is_for_sse() -> Problem {
    let detail = "`format=raw` is for text/event-stream: elsewhere the envelope tells events apart";
    Problem::new(Code::ParameterInvalid, detail)
}

fn history_is_for_streams() -> Problem {
    let detail = "`history` is for streams; who only looks reads GET /v1/topics/{topic}?history=…";
    Problem::new(Code::ParameterInvalid, detail)
}

/// The query's parameters.
#[derive(Default)]
struct Query {
    filters: Vec<Filter>,
    queries: Vec<AskedQuery>,
    start: Option<Start>,
    /// The header of that name, from those who cannot set one.
    last_event_id: Option<String>,
    wait: Duration,
    max_rate: Option<MaxRate>,
    raw: Raw,
    refusals: Option<Refusals>,
    resumes_state: bool,
    history_ms: Option<NonZeroU32>,
    shows_itself: bool,
    shown: Option<Bytes>,
    present_id: Option<Box<str>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Raw {
    Yes,
    #[default]
    No,
}

impl Query {
    /// What is asked of presence.
    fn present(&mut self) -> Result<Option<Box<AskedPresence>>, Problem> {
        let (id, source) = (self.present_id.take(), None);
        if !self.shows_itself && id.is_some() {
            let detail = "`present_id` is for those who show themselves: with `present`";
            return Err(Problem::new(Code::ParameterInvalid, detail));
        }
        let named = self.filters.iter().filter(|filter| filter.is_exact()).cloned().collect();
        let shown = self.shown.take();
        let asked = || Box::new(AskedPresence { shown, named, id, source });
        Ok(self.shows_itself.then(asked))
    }

    fn take(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), Problem> {
        match name {
            "topic" => {
                let filter = value.parse().map_err(|error| {
                    Problem::new(Code::TopicInvalid, format!("topic `{value}`: {error}"))
                })?;
                self.filters.push(filter);
            }
            "query" | "query_name" if self.queries.len() == FILTERS_PER_CONNECTION_MAX => {
                let filters = self.queries.len() + 1;
                return Err(too_many(FilterError::TooMany { filters }));
            }
            "query" => self.queries.push(AskedQuery::Expression(value.into())),
            "query_name" => self.queries.push(AskedQuery::Named(value.into())),
            "after" => {
                self.start = Some(match &*value {
                    "earliest" => Start::Earliest,
                    "latest" => Start::Latest,
                    cursor => Start::After(parse_cursor(cursor)?),
                });
            }
            "wait" => self.wait = parse_wait(&value)?,
            "max_rate" => {
                let max_rate = value.parse().map_err(|error| {
                    let detail = format!("`max_rate` is `{value}`: {error}");
                    Problem::new(Code::ParameterInvalid, detail)
                });
                self.max_rate = Some(max_rate?);
            }
            "format" => {
                self.raw = match &*value {
                    "raw" => Raw::Yes,
                    "json" => Raw::No,
                    other => {
                        let detail = format!("`format` is `json` or `raw`, not `{other}`");
                        return Err(Problem::new(Code::ParameterInvalid, detail));
                    }
                };
            }
            "state" => {
                self.resumes_state = match &*value {
                    "changes" => true,
                    "values" => false,
                    other => {
                        let detail = format!("`state` is `values` or `changes`, not `{other}`");
                        return Err(Problem::new(Code::ParameterInvalid, detail));
                    }
                };
            }
            "history" => {
                self.history_ms = NonZeroU32::new(parse_history(&value)?.as_millis() as u32);
            }
            "present" => (self.shows_itself, self.shown) = (true, parse_shown(&value)?),
            "present_id" => self.present_id = Some(parse_id(&value)?),
            "refusals" => self.refusals = Some(Refusals::parse(&value)?),
            // Who asks is found out elsewhere.
            "ticket" => {}
            "credential" if value == "message" => {}
            "credential" => {
                let detail = format!("`credential` is `message`, not `{value}`");
                return Err(Problem::new(Code::ParameterInvalid, detail));
            }
            other if is_last_event_id(other) => self.last_event_id = Some(value.into_owned()),
            other => {
                let detail = format!(
                    "`{other}` is no parameter: there are topic, query, query_name, after, max_rate, state, history, wait, format, present, present_id, refusals, credential"
                );
                return Err(Problem::new(Code::ParameterInvalid, detail));
            }
        }
        Ok(())
    }
}

/// Whether the parameter stands in for the header `Last-Event-ID`. Libraries spell it in several
/// ways: `lastEventId`, `lastEventID`, `Last-Event-ID`, `last_event_id`.
fn is_last_event_id(name: &str) -> bool {
    let letters = name.bytes().filter(|byte| !matches!(byte, b'-' | b'_'));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(*b"lasteventid")
}

pub fn parse_cursor(text: &str) -> Result<bellwire_model::Cursor, Problem> {
    text.parse().map_err(|error| Problem::new(Code::CursorInvalid, format!("`{text}`: {error}")))
}

/// How far back the past of series is wanted.
pub fn parse_history(text: &str) -> Result<Duration, Problem> {
    read_history(text).map_err(|detail| Problem::new(Code::ParameterInvalid, detail))
}

fn parse_wait(text: &str) -> Result<Duration, Problem> {
    let wait = bellwire_model::duration::parse(text).filter(|wait| *wait <= WAIT_MAX);
    wait.ok_or_else(|| {
        let most = WAIT_MAX.as_secs();
        let detail = format!("`wait` is a duration such as `25s`, {most}s at most, not `{text}`");
        Problem::new(Code::ParameterInvalid, detail)
    })
}

/// The form with the highest quality; among equals the one that the client names most exactly,
/// then SSE before NDJSON before JSON. `None` where the client takes none of them.
fn negotiate(accept: Option<&str>) -> Option<Answer> {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Some(Answer::Sse);
    };
    let offers = [
        (Answer::Sse, "text/event-stream"),
        (Answer::Ndjson, "application/x-ndjson"),
        (Answer::Json, "application/json"),
    ];
    let mut best: Option<(Answer, (u32, u8))> = None;
    for (answer, media_type) in offers {
        let rank = rank(accept, media_type);
        if rank.0 > 0 && best.is_none_or(|(_, other)| rank > other) {
            best = Some((answer, rank));
        }
    }
    best.map(|(answer, _)| answer)
}

/// Quality in thousandths of the most exact range that holds for a media type, and how exact it is.
fn rank(accept: &str, media_type: &str) -> (u32, u8) {
    let (main_type, _) = media_type.split_once('/').expect("a media type");
    let mut ranks = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let exactness = match name.split_once('/') {
            _ if name.eq_ignore_ascii_case(media_type) => 3,
            Some((main, "*")) if main.eq_ignore_ascii_case(main_type) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        let quality = quality(parts);
        if exactness > ranks.1 {
            ranks = ((quality * 1000.0) as u32, exactness);
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str, accept: Option<&str>) -> Result<EventsRequest, Problem> {
        let framing = Framing::Chunked;
        let handshake = None;
        let accept_encoding = None;
        EventsRequest::parse(Asked {
            query,
            accept,
            accept_encoding,
            last_event_id: None,
            framing,
            handshake,
        })
    }

    #[test]
    fn the_form_follows_the_accept_header() {
        let cases = [
            (None, Some(Answer::Sse)),
            (Some("*/*"), Some(Answer::Sse)),
            (Some("text/event-stream"), Some(Answer::Sse)),
            (Some("application/json, text/plain, */*"), Some(Answer::Json)),
            (Some("application/x-ndjson"), Some(Answer::Ndjson)),
            (Some("application/*"), Some(Answer::Ndjson)),
            (Some("application/json;q=0.5, text/event-stream"), Some(Answer::Sse)),
            (Some("text/event-stream;q=0, */*"), Some(Answer::Ndjson)),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Some(Answer::Sse)),
            (Some("image/png"), None),
        ];
        for (accept, form) in cases {
            assert_eq!(negotiate(accept), form, "{accept:?}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let cases = [
            (None, false),
            (Some(""), false),
            (Some("gzip, deflate, br, zstd"), true),
            (Some("br;q=1.0, GZIP;q=0.5"), true),
            (Some("gzip;q=0, *"), false),
            (Some("*"), true),
            (Some("identity, deflate"), false),
            (Some("x-gzip"), true),
        ];
        for (accept_encoding, expected) in cases {
            assert_eq!(takes_coding(accept_encoding, "gzip"), expected, "{accept_encoding:?}");
        }
    }

    #[test]
    fn refusals_are_words_where_the_client_could_read_nothing_else() {
        let (status, stream) = (Refusals::Status, Refusals::Stream);
        let cases = [
            ("topic=a", None, status),
            ("topic=a", Some("*/*"), status),
            ("topic=a", Some("text/event-stream"), stream),
            ("topic=a", Some(" Text/Event-Stream "), stream),
            ("topic=a", Some("text/event-stream, */*"), status),
            ("topic=a", Some("application/x-ndjson"), status),
            ("topic=a&refusals=stream", None, stream),
            ("topic=a&refusals=stream", Some("application/x-ndjson"), stream),
            ("topic=a&refusals=status", Some("text/event-stream"), status),
        ];
        for (query, accept, expected) in cases {
            let Ok(EventsRequest::Stream(stream)) = ask(query, accept) else {
                panic!("a stream: {query}")
            };
            assert_eq!(stream.refusals, expected, "{query} {accept:?}");
        }
        let json = Some("application/json");
        assert!(ask("topic=a&refusals=status", json).is_ok());
        let refused = ask("topic=a&refusals=stream", json).expect_err("a poll is no stream");
        assert_eq!(refused.code, Code::ParameterInvalid);
    }

    #[test]
    fn the_header_wins_over_the_parameter() {
        let asked = Asked {
            query: "topic=a&after=e1-1",
            accept: None,
            accept_encoding: None,
            last_event_id: Some("e1-9"),
            framing: Framing::Chunked,
            handshake: None,
        };
        let Ok(EventsRequest::Stream(stream)) = EventsRequest::parse(asked) else {
            panic!("a stream");
        };
        assert_eq!(stream.start, Start::After("e1-9".parse().expect("a cursor")));
    }

    #[test]
    fn the_last_event_id_may_be_a_parameter() {
        let names = ["lastEventId", "lastEventID", "Last-Event-ID", "last_event_id"];
        let start = |query: &str| match ask(query, None) {
            Ok(EventsRequest::Stream(stream)) => stream.start,
            other => panic!("{query}: {other:?}"),
        };
        for name in names {
            let seen = Start::After("e1-9".parse().expect("a cursor"));
            assert_eq!(start(&format!("topic=a&{name}=e1-9&after=e1-1")), seen, "{name}");
            assert_eq!(start(&format!("topic=a&after=earliest&{name}=")), Start::Earliest);
        }
    }

    #[test]
    fn each_mistake_has_its_code() {
        let cases = [
            ("", Code::TopicInvalid),
            ("topic=a//b", Code::TopicInvalid),
            ("topic=a%ff", Code::Utf8Invalid),
            ("topic=a%zz", Code::ParameterInvalid),
            ("topic=a%", Code::ParameterInvalid),
            ("topic=a&lastEventId=x", Code::CursorInvalid),
            ("topic=a&after=yesterday", Code::CursorInvalid),
            ("topic=a&wait=99999s", Code::ParameterInvalid),
            ("topic=a&format=xml", Code::ParameterInvalid),
            ("topic=a&refusals=no", Code::ParameterInvalid),
            ("topic=a&max_rate=fast", Code::ParameterInvalid),
            ("topic=a&max_rate=0", Code::ParameterInvalid),
            ("topic=a&max_rate=-1", Code::ParameterInvalid),
            ("topic=a&max_rate=1001", Code::ParameterInvalid),
            ("topic=a&history=soon", Code::ParameterInvalid),
            ("topic=a&history=0s", Code::ParameterInvalid),
            ("topic=a&history=25h", Code::ParameterInvalid),
            ("topics=a", Code::ParameterInvalid),
        ];
        for (query, code) in cases {
            assert_eq!(ask(query, None).expect_err(query).code, code, "{query}");
        }
    }
}
