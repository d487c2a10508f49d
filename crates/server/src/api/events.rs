//! `GET /v1/events`, as far as hyper serves it: long polls, and errors of all forms.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::{Identity, Means};
use bellwire_alerting::LiveQuery;
use bellwire_model::{Filter, FilterSet, PacedFilter};
use bellwire_shards::{
    Asked, CountedPoll, EVENTS_PATH, EventsRequest, Framing, Handshake, Held, PollAnswer,
    PollRequest, StreamRequest,
};
use bellwire_wire::json::{self, Beside};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::{Control, Outage};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, Method, StatusCode, Uri, Version, header};
use hyper::body::Body as _;
use hyper::ext::Protocol;

use super::App;
use super::body::header as text_of;
use super::permission::{Asks, Caller, peer};
use crate::access::{self, Permitted};
use crate::admission::Visitor;
use crate::envoy;
use crate::front_door::{Opening, Passage, stream_headers};
use crate::live::{self, QueryPasts};
use crate::mirror::Want;
use crate::page::Page;
use crate::problem::Refused;
use crate::relay;

pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(passage): Extension<Passage>,
    Caller(identity): Caller,
    parts: Parts,
) -> Result<Response, Refused> {
    let Parts { method, uri, version, headers, extensions, .. } = parts;
    let handshake = match extensions.get::<Protocol>() {
        // HTTP/1.0 knows no upgrades, and a WebSocket begins with `GET`: what else says of them does
        // not count.
        None if version < Version::HTTP_11 || method != Method::GET => None,
        None => Handshake::of_http1(&headers)?,
        protocol => Handshake::of_http2(protocol.map(Protocol::as_str), &headers)?,
    };
    if method == Method::CONNECT && handshake.is_none() {
        let detail = "`CONNECT` opens WebSockets alone: see RFC 8441";
        return Err(Problem::new(Code::MethodNotAllowed, detail).into());
    }
    let page = Page::of(&uri, &headers, &extensions);
    if handshake.is_some() && page.is_forbidden(&app.callers.origins) {
        return Err(page.refusal().into());
    }
    let framing = if version == Version::HTTP_11 { Framing::Chunked } else { Framing::Plain };
    let accept = list(&headers, header::ACCEPT);
    let accept_encoding = list(&headers, header::ACCEPT_ENCODING);
    let asked = Asked {
        query: uri.query().unwrap_or_default(),
        accept: accept.as_deref(),
        accept_encoding: accept_encoding.as_deref(),
        last_event_id: text_of(&headers, header::HeaderName::from_static("last-event-id"))?,
        framing,
        handshake,
    };
    let (request, queries) = with_queries(&app, EventsRequest::parse(asked)?, &identity).await?;
    match request {
        request if method == Method::HEAD => head(&app, &identity, request),
        EventsRequest::Stream(mut stream) => {
            stream.allow_origin = page.allowed_origin(&app.callers.origins).map(Box::new);
            let (foreign, address) = (page.foreign(), peer(&extensions));
            check_ticket(&app, &identity, &stream, (foreign.as_deref(), address))?;
            let stream = app.access.permit(&identity, stream)?;
            if is_over(&app, &stream) {
                return Ok(nothing_more());
            }
            open(&app, (&identity, stream), (queries, &extensions), passage).await
        }
        EventsRequest::Poll(poll) => {
            check_polls(&identity)?;
            let may = (&identity.rights, app.access.wider);
            let (mut poll, narrowed) = access::permit_poll(may, poll)?;
            if let Some(present) = &mut poll.present {
                present.source = peer(&extensions);
            }
            if app.publisher.is_at_end(poll.follows.filters(), poll.start) {
                return Ok(nothing_more());
            }
            app.admission.subscriber()?;
            let _want = wait_for(&app, poll.follows.filters()).await?;
            let _waiting = app.figures.shards.polls_waiting.enter();
            let filters = poll.follows.iter().count();
            let _counted = app.access.allowances.connect(&identity, filters)?;
            let _followed = follow(&app, (queries, None), (&identity, peer(&extensions))).await?;
            let principal = app.access.enter(&identity);
            let counted = counted(&app, &poll, (&uri, &headers));
            let collected = app.spread.poll(poll, principal)?.collected().await?;
            let is_large = collected.is_large();
            let encode = || {
                let answer = collected.encode();
                let beside = (narrowed.as_ref(), app.spread.outage());
                let response = answer_json(&answer, beside);
                counted.answered(answer.events.len(), response.body().size_hint().lower() as usize);
                response
            };
            Ok(if is_large { app.large_reads.run(encode).await? } else { encode() })
        }
    }
}

/// A poll is counted while it waits, with the bytes that its request has about.
pub(super) fn counted(
    app: &App,
    poll: &PollRequest,
    (uri, headers): (&Uri, &HeaderMap),
) -> CountedPoll {
    let line = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    let each = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    app.traffic.requests.poll(poll.follows.filters(), line + each.sum::<usize>())
}

/// What the answer to a `GET` would begin with. It is not waited for: nobody would see it.
fn head(app: &App, identity: &Identity, request: EventsRequest) -> Result<Response, Refused> {
    let (is_over, headers) = match request {
        EventsRequest::Stream(stream) => {
            let stream = app.access.permit(identity, stream)?;
            (is_over(app, &stream), stream_headers(&stream).into_response())
        }
        EventsRequest::Poll(poll) => {
            let (poll, _) = access::permit_poll((&identity.rights, app.access.wider), poll)?;
            let is_over = app.publisher.is_at_end(poll.follows.filters(), poll.start);
            (is_over, POLL_HEADERS.into_response())
        }
    };
    Ok(if is_over { nothing_more() } else { headers })
}

/// Whether a stream would have nothing to bring, ever. A WebSocket has other things to talk of.
fn is_over(app: &App, stream: &StreamRequest) -> bool {
    let (filters, start) = (stream.follows.filters(), stream.start);
    stream.handshake.is_none() && app.publisher.is_at_end(filters, start)
}

/// Whoever has seen the end of all that is followed need not come back: an `EventSource` does not.
fn nothing_more() -> Response {
    (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response()
}

/// Opens a stream that was permitted, once the queries stand that it follows.
async fn open(
    app: &App,
    (identity, stream): (&Arc<Identity>, StreamRequest),
    (queries, extensions): (Queries, &Extensions),
    passage: Passage,
) -> Result<Response, Refused> {
    let begun = match may_begin(app, (identity, &stream), extensions.get()) {
        Ok(()) => {
            let pasts = stream.history_ms.map(|_| &*app.pasts);
            follow(app, (queries, pasts), (identity, peer(extensions))).await
        }
        Err(problem) => Err(problem),
    };
    let followed = match begun {
        Ok(followed) => followed,
        Err(problem) => {
            // Told so that whoever asks can read it.
            let form = (stream.form, stream.refusals);
            let words = bellwire_shards::refusal_body(form, &problem).ok_or(problem)?;
            return Ok((stream_headers(&stream), words).into_response());
        }
    };
    let want = want(app, stream.follows.filters());
    if let Some(want) = &want {
        // Where nobody is reached who shows it, it comes once somebody is.
        want.is_shown().await;
    }
    let permitted = admit(app, identity, stream, peer(extensions))?;
    let visitor = extensions.get().cloned();
    Ok(passage.open(Opening { permitted, visitor, followed }).await?)
}

/// Has it shown here what another node shows of this, where one does.
fn want(app: &App, filters: &FilterSet) -> Option<Want> {
    app.mirror.as_ref().map(|mirror| mirror.want(filters))
}

/// The same, and waits for it: there is nothing to answer before.
async fn wait_for(app: &App, filters: &FilterSet) -> Result<Option<Want>, Problem> {
    let want = want(app, filters);
    match &want {
        Some(it) if !it.is_shown().await => {
            Err(relay::nobody_keeps("the node that has the samples is not reached"))
        }
        _ => Ok(want),
    }
}

/// The queries that a request names are read, and their topics are followed with the others.
async fn with_queries(
    app: &App,
    mut request: EventsRequest,
    identity: &Identity,
) -> Result<(EventsRequest, Queries), Problem> {
    let (follows, queries) = match &mut request {
        EventsRequest::Stream(stream) => (&mut stream.follows, &mut stream.queries),
        EventsRequest::Poll(poll) => (&mut poll.follows, &mut poll.queries),
    };
    if queries.asked.is_empty() {
        return Ok((request, Queries::Here(Vec::new())));
    }
    Asks::Query.check(&identity.rights)?;
    let asked = std::mem::take(&mut queries.asked);
    let read = match &app.envoy {
        Some(_) => Queries::Elsewhere(envoy::read(identity, asked).await?),
        None => Queries::Here(live::read(&app.live, identity, asked).await?),
    };
    let topics = read.topics();
    *follows = queries.beside(follows, topics.clone())?;
    let max_rate = queries.max_rate;
    if let EventsRequest::Stream(StreamRequest { handshake: Some(handshake), .. }) = &mut request
        && !handshake.asked.is_empty()
    {
        let paced = |filter| PacedFilter { filter, max_rate };
        handshake.asked.extend(topics.into_iter().map(paced));
    }
    Ok((request, read))
}

/// Queries that are to be followed.
enum Queries {
    /// They stand here.
    Here(Vec<LiveQuery>),
    /// Another node has the samples.
    Elsewhere(Vec<envoy::Asked>),
}

impl Queries {
    /// Where their answers are.
    fn topics(&self) -> Vec<Filter> {
        match self {
            Self::Here(queries) => {
                queries.iter().map(|query| (&query.id().topic()).into()).collect()
            }
            Self::Elsewhere(queries) => queries.iter().map(|(_, topic)| topic.into()).collect(),
        }
    }
}

/// Follows them: returns once all of them stand.
async fn follow(
    app: &App,
    (queries, pasts): (Queries, Option<&QueryPasts>),
    (identity, address): (&Identity, Option<IpAddr>),
) -> Result<Vec<Held>, Problem> {
    match (queries, &app.envoy) {
        (Queries::Here(queries), _) => {
            let (who, followings) = ((identity, address), app.followings.as_ref());
            envoy::follow_here(&app.live, (queries, pasts), who, followings).await
        }
        (Queries::Elsewhere(queries), Some(envoy)) => {
            let followed = envoy.follow((identity, address), &queries).await?;
            Ok(followed.into_iter().map(|it| Box::new(it) as Held).collect())
        }
        (Queries::Elsewhere(_), None) => Err(Problem::new(Code::Draining, "the server ends")),
    }
}

/// Whether a ticket, if one is shown, is good for a stream, for a page of this origin where it is of
/// another site, at this address.
fn check_ticket(
    app: &App,
    identity: &Identity,
    stream: &StreamRequest,
    (origin, address): (Option<&str>, Option<IpAddr>),
) -> Result<(), Problem> {
    let Means::Ticket(ticket) = &identity.means else { return Ok(()) };
    let checked = app.access.check_ticket(ticket, stream, origin);
    checked.inspect_err(|problem| tell_refused(app, identity, address, problem))
}

/// Lets in a stream that was permitted, by somebody at this address.
fn admit(
    app: &App,
    identity: &Arc<Identity>,
    stream: StreamRequest,
    address: Option<IpAddr>,
) -> Result<Permitted, Problem> {
    let Means::Ticket(ticket) = &identity.means else {
        return app.access.admit(identity, stream);
    };
    let admitted = app.access.admit_with((identity, ticket), stream, (address, &app.spread));
    admitted.inspect_err(|problem| tell_refused(app, identity, address, problem))
}

fn tell_refused(app: &App, identity: &Identity, address: Option<IpAddr>, problem: &Problem) {
    let showed = (identity.means.as_str(), Some(identity));
    app.access.audit.refused(problem, showed, (EVENTS_PATH, address));
}

/// Whether somebody may begin one more stream now. `visitor`: of whom a proxy has it.
pub(super) fn may_begin(
    app: &App,
    (identity, stream): (&Identity, &StreamRequest),
    visitor: Option<&Arc<Visitor>>,
) -> Result<(), Problem> {
    app.access.has_room(identity, stream)?;
    // Last, since it is taken.
    visitor.map_or(Ok(()), |visitor| app.admission.connects(visitor.address))
}

/// Whether what somebody has shown is good for more than streams.
fn check_polls(identity: &Identity) -> Result<(), Problem> {
    match identity.means {
        Means::Ticket(_) => {
            let detail = "a ticket opens streams: show another credential for a single answer";
            Err(Problem::new(Code::CredentialInvalid, detail))
        }
        Means::Pending => {
            let detail = "`credential=message` is for WebSockets";
            Err(Problem::new(Code::CredentialMissing, detail))
        }
        _ => Ok(()),
    }
}

/// Several headers of one name are one list. `None` where it is empty.
fn list(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let list = values.collect::<Vec<_>>().join(",");
    (!list.is_empty()).then_some(list)
}

/// `{"events":[…],"gap"?,"ends"?,"reset"?,"values_left_out"?,"more"?,"narrowed"?,"degraded"?,"cursor"}`.
pub(super) fn answer_json(
    answer: &PollAnswer,
    (narrowed, outage): (Option<&FilterSet>, Option<Outage>),
) -> Response {
    let ends: Vec<Control<'_>> = answer
        .ends
        .iter()
        .map(|(closure, topic, cursor)| Control::of_closure(*closure, topic, *cursor))
        .collect();
    let gap = answer.gap.as_ref().map(|(gap, filters)| bellwire_shards::gap(gap, filters));
    let events = answer.events.iter().map(|event| &event[..]);
    let reset = answer.reset.as_ref();
    let reset = reset.map(|(cursor, filters)| Control::Reset { cursor: *cursor, filters });
    let (gap, reset) = (gap.as_ref(), reset.as_ref());
    let (values_left_out, more) = (answer.values_left_out, answer.more);
    let (ends, cursor) = (&ends[..], Some(answer.cursor));
    let beside = Beside { gap, ends, reset, values_left_out, more, narrowed, outage, cursor };
    let json = json::page(events, &beside);
    (POLL_HEADERS, json).into_response()
}

const POLL_HEADERS: [(HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
