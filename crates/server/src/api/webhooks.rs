//! What other systems post, as events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bellwire_wire::problem::{Code, Problem};
use http::HeaderMap;

use super::App;
use super::permission::Caller;
use super::posted::{Posted, take};
use crate::problem::Refused;

/// `POST /v1/webhooks/{name}`: JSON that becomes events as `[[webhook]]` says. Answers one result
/// each, as `POST /v1/events` does; where none could be published, with what is wrong.
pub(super) async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let Some(webhook) = app.webhooks.iter().find(|webhook| *webhook.name == *name) else {
        let detail = "there is no such webhook: `[[webhook]]` in the configuration makes one";
        return Err(Problem::new(Code::NotFound, detail).into());
    };
    let read = |body: &_| {
        webhook.mapping.read(body).map_err(|error| Problem::of_decoder(error.code(), error))
    };
    take(&app, &caller, Posted { headers: &headers, body }, read).await
}
