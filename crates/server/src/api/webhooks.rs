//! What other systems post, as events.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, StatusCode};

use super::App;
use super::permission::Caller;
use super::posted::{Posted, take};
use crate::problem::Refused;

/// Seconds after which something may be sent again, where its problem does not say.
const RETRY_S: u32 = 5;

/// `POST /v1/webhooks/{name}`: JSON that becomes events as `[[webhook]]` says. Answers one result
/// each, as `POST /v1/events` does; where none could be published, with what is wrong; and with `503`
/// where something may be taken later, since senders give up on the other statuses for that.
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
    let posted = (Posted { headers: &headers, body }, to_be_sent_again as fn(_) -> _);
    take(&app, &caller, posted, read)
        .await
        .map_err(|Refused(problem)| Refused(to_be_sent_again(problem)))
}

/// What has a sender try again where that may help: most give up on all but `5xx`.
fn to_be_sent_again(problem: Problem) -> Problem {
    if !matches!(problem.status().as_u16(), 408 | 429 | 507) {
        return problem;
    }
    let seconds = problem.retry_after_s().unwrap_or(RETRY_S);
    problem.retry_after(seconds).told_as(StatusCode::SERVICE_UNAVAILABLE)
}
