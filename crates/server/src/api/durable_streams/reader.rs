//! Streams as they are read: what there is, page by page.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bellwire_journal::{Journal, Page, ReadLimit};
use bellwire_model::{Body, Closure, Cursor, EffectiveFilter, Event, FilterSet, Offset, Topic};
use bellwire_process::clock;
use bellwire_shards::read_page;
use bellwire_wire::durable_streams::{From, Payload, StreamCursor};
use bellwire_wire::json;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::App;
use super::answer::{Told, content_type};
use crate::durable_streams::Stream;
use crate::problem::Refused;

/// Somebody who reads a stream.
pub(super) struct Reader<'a> {
    pub(super) app: &'a App,
    pub(super) topic: &'a Topic,
    pub(super) stream: Stream,
    pub(super) follows: EffectiveFilter,
    pub(super) cursor: StreamCursor,
}

/// What comes behind a place.
pub(super) struct Stretch {
    pub(super) bodies: Vec<Body>,
    pub(super) told: Told,
}

impl Reader<'_> {
    fn journal(&self) -> &Arc<dyn Journal> {
        &self.app.publisher.journal
    }

    pub(super) fn at(&self, offset: Offset) -> Cursor {
        Cursor::new(self.journal().epoch(), offset)
    }

    pub(super) fn payload(&self) -> Payload {
        Payload::of(&self.stream.content_type)
    }

    /// What retention has removed of the topic.
    fn trimmed(&self) -> Offset {
        let filters: &FilterSet = self.follows.filters();
        // Whoever commits may hold what says it.
        tokio::task::block_in_place(|| self.journal().trimmed(filters))
    }

    /// Where somebody begins who asks for this, unless what comes behind it is gone.
    pub(super) fn begin(&self, from: From) -> Result<Offset, Problem> {
        let begin = self.stream.begin;
        let place = match from {
            From::Beginning => return Ok(begin.max(self.trimmed())),
            From::Now => return Ok(self.app.streams.streams.tail(self.topic, &self.stream)),
            From::After(place) => place,
        };
        let is_own = place.epoch == self.journal().epoch()
            && (begin..=self.journal().bounds().tail).contains(&place.offset);
        if is_own && place.offset >= self.trimmed() { Ok(place.offset) } else { Err(self.gone()) }
    }

    /// What is between the offset and what there is will not come.
    pub(super) fn gone(&self) -> Problem {
        let detail = format!(
            "of `{}` there is nothing behind this offset any more, or it is of a stream that was \
             deleted: begin anew with `offset=-1`",
            self.topic
        );
        Problem::new(Code::OffsetGone, detail)
    }

    /// Refuses what was read where it may be of another stream: this one was deleted meanwhile.
    pub(super) fn check_same(&self) -> Result<(), Problem> {
        let now = super::found(self.app, self.topic)?;
        let is_same =
            now.begin == self.stream.begin && now.content_type == self.stream.content_type;
        if is_same { Ok(()) } else { Err(self.gone()) }
    }

    /// Whether somebody who has everything up to here has all that there will ever be.
    pub(super) fn is_closed(&self, upto: Offset) -> bool {
        self.journal().ended(self.topic.as_str()).is_some_and(|end| end.at <= upto)
    }

    /// Whether an event may be seen by whoever reads.
    pub(super) fn shows(&self, event: &Event) -> bool {
        let labels = json::labels_of(event);
        self.follows.sight().shows(&event.topic, || labels.as_ref())
    }

    /// `offset=now`, by somebody who does not wait.
    pub(super) fn nothing_yet(&self, after: Offset) -> Response {
        let told = Told {
            next: self.at(after),
            is_up_to_date: true,
            is_closed: self.is_closed(after),
            cursor: None,
        };
        let head = [(header::CONTENT_TYPE, content_type(&self.stream))];
        told.with((head, self.payload().body(&[])))
    }

    pub(super) async fn page(
        &self,
        after: Offset,
        headers: &HeaderMap,
    ) -> Result<Response, Refused> {
        let Stretch { bodies, told } = self.stretch(after).await?;
        let tag = Tag { after, told };
        let keeping = self.keeping(told);
        if tag.is_held(headers) {
            return Ok(tag.mark(told.with(StatusCode::NOT_MODIFIED), keeping));
        }
        let head = [(header::CONTENT_TYPE, content_type(&self.stream))];
        Ok(tag.mark(told.with((head, self.payload().body(&bodies))), keeping))
    }

    /// How an answer may be kept. One that is not the newest stays what it is for as long as it is
    /// there; where somebody is asked who they are, that may change.
    fn keeping(&self, told: Told) -> &'static str {
        let is_full = !told.is_up_to_date || told.is_closed;
        if is_full && self.app.access.authenticator.is_open() {
            "private, max-age=60, stale-while-revalidate=300"
        } else {
            "private, no-cache"
        }
    }

    /// A page of what comes behind a place.
    pub(super) async fn stretch(&self, after: Offset) -> Result<Stretch, Problem> {
        let _turn = self.app.admission.page().await;
        let (journal, follows) = (Arc::clone(self.journal()), self.follows.clone());
        let read = move || {
            let tail = journal.bounds().tail;
            read_page(&*journal, (after, ReadLimit::PAGE), &follows).map(|page| (page, tail))
        };
        let (page, tail) = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| Problem::new(Code::JournalUnavailable, error))??;
        let mut is_up_to_date = page.end >= tail;
        let Page { mut entries, mut end, trimmed, lost } = page;
        if lost > 0 || trimmed > after {
            return Err(self.gone());
        }
        self.check_same()?;
        if let Some(count) = reopening(entries.iter().map(|entry| &entry.event)) {
            entries.truncate(count);
            end = entries.last().map_or(after, |entry| entry.offset);
            is_up_to_date = false;
        }
        // Of what somebody sees a part of, where a page ends must not tell of the rest.
        let sees_all = self.follows.sight().on(self.topic).is_none();
        let newest = entries.last().map_or(after, |entry| entry.offset);
        let next = if sees_all { newest } else { end.max(after) };
        let shown = entries.into_iter().filter(|entry| self.shows(&entry.event));
        let bodies = shown.filter_map(|entry| entry.event.body).collect();
        let told = Told {
            next: self.at(next),
            is_up_to_date,
            is_closed: is_up_to_date && self.is_closed(next),
            cursor: Some(self.cursor.at(clock::now())),
        };
        Ok(Stretch { bodies, told })
    }
}

/// How many events there are before the topic goes on that has ended among them. What comes then may be of
/// another stream, whose reader asks for it anew.
pub(super) fn reopening<'a>(mut events: impl Iterator<Item = &'a Event>) -> Option<usize> {
    let mut has_ended = false;
    events.position(|event| {
        has_ended |= event.closure() == Some(Closure::End);
        has_ended && event.closure() == Some(Closure::Reopened)
    })
}

/// What tells an answer from all others of its stream.
struct Tag {
    after: Offset,
    told: Told,
}

impl Tag {
    fn text(&self) -> String {
        let Told { next, is_up_to_date, is_closed, .. } = self.told;
        let rest = match (is_up_to_date, is_closed) {
            (_, true) => "c",
            (true, false) => "u",
            (false, false) => "p",
        };
        format!("\"{}-{}-{}-{rest}\"", next.epoch, self.after, next.offset)
    }

    /// Whether the client says that it has it.
    fn is_held(&self, headers: &HeaderMap) -> bool {
        let text = self.text();
        let lists = headers.get_all(header::IF_NONE_MATCH).iter();
        let mut tags = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
        // Something on the way may have made it a weak one, by compressing the answer.
        tags.any(|tag| tag.trim().trim_start_matches("W/") == text)
    }

    fn mark(&self, answer: impl IntoResponse, keeping: &'static str) -> Response {
        let mut response = answer.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ETAG, HeaderValue::try_from(self.text()).expect("plain words"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keeping));
        headers.append(header::VARY, HeaderValue::from_static("Authorization, Cookie"));
        response
    }
}
