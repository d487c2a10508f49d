//! Streams as they are followed: by long polls and Server-Sent Events, which shards deliver as they do
//! those of `/v1/events`.

use std::sync::Arc;

use axum::response::Response;
use bellwire_hub::Start;
use bellwire_model::limits::{DURABLE_STREAMS_WAIT, PAGE_BYTES_MAX};
use bellwire_model::{Event, Offset};
use bellwire_process::clock;
use bellwire_shards::{DurableForm, Form, Framing, PollRequest, StreamRequest};
use http::request::Parts;
use http::{StatusCode, Version, header};

use super::super::events::{counted, may_begin};
use super::super::permission::Caller;
use super::answer::{Told, content_type};
use super::reader::{Reader, Stretch, reopening};
use crate::admission::Visitor;
use crate::front_door::{Opening, Passage};
use crate::page::Page;
use crate::problem::Refused;

/// Somebody who waits for what comes.
pub(super) struct Following<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) caller: Caller,
    pub(super) parts: Parts,
}

impl Following<'_> {
    /// `live=long-poll`: what there is, or the next that comes, or after a while nothing.
    pub(super) async fn poll(self, after: Offset) -> Result<Response, Refused> {
        let reader = &self.reader;
        let there = reader.stretch(after).await?;
        let told = there.told;
        if !there.bodies.is_empty() || told.is_closed || !told.is_up_to_date {
            return Ok(self.answer(&there));
        }
        let app = reader.app;
        app.admission.subscriber()?;
        let _waiting = app.figures.shards.polls_waiting.enter();
        let identity = &self.caller.0;
        let _counted = app.access.allowances.connect(identity, 1)?;
        let start = Start::After(told.next);
        let poll = PollRequest::new(reader.follows.clone(), start, DURABLE_STREAMS_WAIT);
        let principal = app.access.enter(identity);
        let counted = counted(app, &poll, (&self.parts.uri, &self.parts.headers));
        let collected = app.spread.poll(poll, principal)?.collected().await?;
        app.streams.streams.note_use(reader.topic);
        if collected.has_gap() {
            return Err(reader.gone().into());
        }
        let mut events: Vec<(Offset, &Event)> = collected.stream_events().collect();
        if !events.is_empty() {
            reader.check_same()?;
        }
        let before = reopening(events.iter().map(|(_, event)| *event));
        events.truncate(before.unwrap_or(events.len()));
        let next = events.last().map_or(told.next.offset, |(offset, _)| *offset);
        let bytes: usize = events.iter().map(|(_, event)| event.size_bytes()).sum();
        let is_closed = reader.is_closed(next);
        let shown = events.into_iter().filter(|(_, event)| reader.shows(event));
        let bodies: Vec<_> = shown.filter_map(|(_, event)| event.body.clone()).collect();
        counted.answered(bodies.len(), bodies.iter().map(|body| body.bytes().len()).sum());
        let told = Told {
            next: reader.at(next),
            is_up_to_date: bytes < PAGE_BYTES_MAX && before.is_none(),
            is_closed,
            cursor: Some(reader.cursor.at(clock::now())),
        };
        Ok(self.answer(&Stretch { bodies, told }))
    }

    fn answer(&self, Stretch { bodies, told }: &Stretch) -> Response {
        if bodies.is_empty() && told.is_up_to_date {
            return told.with(StatusCode::NO_CONTENT);
        }
        let head = [(header::CONTENT_TYPE, content_type(&self.reader.stream))];
        told.with((head, self.reader.payload().body(bodies)))
    }

    /// `live=sse`: a shard has the connection from now on.
    pub(super) async fn open(self, after: Offset, passage: Passage) -> Result<Response, Refused> {
        let Self { reader, caller, parts } = self;
        let (app, identity) = (reader.app, &caller.0);
        let is_chunked = parts.version == Version::HTTP_11;
        let framing = if is_chunked { Framing::Chunked } else { Framing::Plain };
        let form = Form::Durable(DurableForm::new(reader.payload(), reader.cursor, framing));
        let start = Start::After(reader.at(after));
        let mut stream = StreamRequest::new(reader.follows.clone(), start, form);
        let page = Page::of(&parts.uri, &parts.headers, &parts.extensions);
        stream.allow_origin = page.allowed_origin(&app.callers.origins).map(Box::new);
        let visitor: Option<Arc<Visitor>> = parts.extensions.get().cloned();
        may_begin(app, (identity, &stream), visitor.as_ref())?;
        let permitted = app.access.admit(identity, stream)?;
        Ok(passage.open(Opening { permitted, visitor, followed: Vec::new() }).await?)
    }
}
