//! Looks at what says that another node has signed it, before anything else is made of it: it counts once, so it is
//! looked at once.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::permission::peer;
use crate::peers;
use crate::problem::Refused;
use crate::relay;

/// Has a request be a node's where one has signed it, and refuses what says so and is not.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(cluster) = &app.cluster else { return next.run(request).await };
    let is_relayed = relay::is_marked(request.headers());
    if !is_relayed && !peers::is_signed(request.headers()) {
        return next.run(request).await;
    }
    let path = request.extensions().get::<MatchedPath>().cloned();
    let from = peer(request.extensions());
    match cluster.peers.admit(request) {
        Ok(request) => next.run(request).await,
        Err(problem) => {
            let path = path.as_ref().map_or("", MatchedPath::as_str);
            app.access.on_unreadable(&problem, (path, from));
            // Whoever has asked the node has done nothing wrong, and may ask again.
            let problem =
                if is_relayed { relay::not_as_passed_on(problem.detail()) } else { problem };
            Refused(problem).into_response()
        }
    }
}
