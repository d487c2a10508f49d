//! Stream tickets: what a page of another site opens an `EventSource` with.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::ticket::Bound;
use bellwire_model::limits::PARAMETERS_BYTES_MAX;
use bellwire_model::{EffectiveFilter, Filter, FilterSet};
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::permission::Caller;
use super::{App, body};
use crate::access;
use crate::audit::{Deed, Kind};
use crate::page::Page;
use crate::problem::Refused;

/// What a ticket is to be good for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketText {
    topics: Vec<String>,
    origin: Option<Box<str>>,
}

/// `POST /v1/tickets`: a ticket for one stream, of the caller.
pub(super) async fn make(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    parts: Parts,
    body: Body,
) -> Result<Response, Refused> {
    let held = body::read(&app.admission, &parts.headers, body, PARAMETERS_BYTES_MAX).await?;
    let text: TicketText = body::json(&held).map_err(|error| wrong(&error))?;
    let filters: Result<Vec<Filter>, _> = text.topics.iter().map(|topic| topic.parse()).collect();
    let filters = filters.and_then(FilterSet::new);
    let filters = filters.map_err(|error| Problem::new(Code::TopicInvalid, error))?;
    access::permit((&identity.rights, app.access.wider), EffectiveFilter::from(filters.clone()))?;
    let asking = Page::of(&parts.uri, &parts.headers, &parts.extensions);
    let page = match &text.origin {
        Some(origin) => Page { origin: Some(origin.as_bytes()), ..asking },
        None => asking,
    };
    let bound = Bound { filters, origin: page.foreign().map(Into::into) };
    if page.is_forbidden(&app.callers.origins) {
        let detail = "pages of this `origin` may not use the API: name it in `allowed_origins`";
        return Err(Problem::new(Code::OriginForbidden, detail).into());
    }
    let deed = Deed::to(Kind::TicketMade, &bound.filters);
    let made = app.access.authenticator.make_ticket(&identity, bound)?;
    let mut json = json!({ "ticket": made.text, "opens_until": made.opens_until.as_ms() });
    if let Some(ends_at) = made.ends_at {
        json["ends_at"] = ends_at.as_ms().into();
    }
    let not_stored = [(header::CACHE_CONTROL, "no-store")];
    Ok(deed.told_by((StatusCode::CREATED, not_stored, Json(json)).into_response()))
}

fn wrong(reason: &str) -> Problem {
    let detail = format!("a ticket is asked for with {{\"topics\":[…],\"origin\"?}}: {reason}");
    Problem::new(Code::BodyInvalid, detail)
}
