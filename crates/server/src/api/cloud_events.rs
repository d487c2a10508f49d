//! CloudEvents 1.0, as its HTTP binding has them.

use std::convert::identity;

use axum::body::Body;
use axum::response::Response;
use bellwire_model::{Topic, WriteTerms};
use bellwire_wire::problem::{Code, Problem};
use bellwire_wire::publish::{CloudEventMode, Identified, Place, Refusal, Rejection};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::App;
use super::body::header as text_of;
use super::permission::Caller;
use super::posted::{KEY, Posted, take, take_one, terms};
use crate::problem::Refused;

/// What attributes in headers begin with.
const PREFIX: &str = "ce-";

/// How a request has CloudEvents. `None`: it has none.
pub(super) fn mode(headers: &HeaderMap) -> Result<Option<CloudEventMode>, Problem> {
    let content_type = text_of(headers, header::CONTENT_TYPE)?;
    Ok(CloudEventMode::of(content_type, || headers.contains_key("ce-specversion")))
}

/// `POST /v1/topics/{topic}` with CloudEvents: one is answered as an event is, a batch of them as
/// `POST /v1/events` is.
pub(super) async fn post(
    app: &App,
    caller: &Caller,
    (topic, mode): (&Topic, CloudEventMode),
    posted: Posted<'_, Body>,
) -> Result<Response, Refused> {
    let headers = posted.headers;
    let place = Place { topic, key: text_of(headers, KEY)? };
    let problem = |refusal: Refusal| Problem::of_decoder(refusal.code, refusal.detail);
    match mode {
        CloudEventMode::Batch => {
            if terms(headers)? != WriteTerms::default() {
                let detail =
                    "a condition is of one event, and this is a batch: send them one by one";
                return Err(Problem::new(Code::ParameterInvalid, detail).into());
            }
            let read = |body: &Bytes| -> Result<Vec<Result<Identified, Rejection>>, Problem> {
                place.batch(body).map_err(|error| Problem::of_decoder(error.code(), error))
            };
            take(app, caller, (posted, identity), read).await
        }
        CloudEventMode::Structured => {
            let read = |body: &Bytes| place.structured(body).map_err(problem);
            take_one(app, caller, posted, read).await
        }
        CloudEventMode::Binary => {
            let content_type = text_of(headers, header::CONTENT_TYPE)?;
            let read = |body: &Bytes| {
                let attributes = headers.iter().filter_map(attribute);
                place.binary(attributes, (content_type, body)).map_err(problem)
            };
            take_one(app, caller, posted, read).await
        }
    }
}

/// An attribute that a header has.
fn attribute<'a>((name, value): (&'a HeaderName, &'a HeaderValue)) -> Option<(&'a str, &'a [u8])> {
    Some((name.as_str().strip_prefix(PREFIX)?, value.as_bytes()))
}
