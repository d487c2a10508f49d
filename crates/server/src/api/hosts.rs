//! Refuses requests for hosts that are not known, before anything else is made of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::peers::FromNode;
use crate::problem::Refused;

pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let checked = app.callers.hosts.check(request.uri(), request.headers());
    // A node may be asked by a name of its own, which it has looked at before it passed this on; and at an
    // address that no client knows.
    let is_of_node = request.extensions().get::<FromNode>().is_some();
    match checked {
        Err(problem) if !is_of_node => Refused(problem).into_response(),
        _ => next.run(request).await,
    }
}
