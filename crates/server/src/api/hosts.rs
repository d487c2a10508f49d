//! Refuses requests for hosts that are not known, before anything else is made of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::problem::Refused;
use crate::relay;

pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let checked = app.callers.hosts.check(request.uri(), request.headers());
    let (head, body) = request.into_parts();
    // A node may be asked by a name of its own, which it has looked at before it passed this on.
    let was_checked = || {
        let cluster = app.cluster.as_ref();
        cluster.is_some_and(|cluster| relay::client_of(&cluster.peers, &head).is_some())
    };
    match checked {
        Err(problem) if !was_checked() => Refused(problem).into_response(),
        _ => next.run(Request::from_parts(head, body)).await,
    }
}
