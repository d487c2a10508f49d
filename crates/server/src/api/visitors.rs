//! Whose a request is: of the address that its connection comes from, or of the one that a trusted
//! proxy names, or another node that has passed it on. Each request of such a connection may be another client's.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::front_door::Peer;
use crate::problem::Refused;
use crate::relay;

/// The request has come over a connection of a trusted proxy. Found among its extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfProxy;

/// Puts the client in the proxy's place, and has it count among the connections of its address for
/// as long as its request is under way.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(Peer(source)) = request.extensions().get().copied() else {
        return next.run(request).await;
    };
    let client = match relay::client_of(&request) {
        Some(client) => Ok(client),
        None if app.callers.proxies.trust(source) => {
            app.callers.proxies.client_of(source, request.headers())
        }
        None => return next.run(request).await,
    };
    match client.and_then(|client| app.admission.visitor(client)) {
        Ok(visitor) => {
            let visitor = Arc::new(visitor);
            // What is said of who it is may be the client's own word where a node has passed it on, which
            // looks at none of that.
            if !relay::is_marked(request.headers()) {
                request.extensions_mut().insert(OfProxy);
            }
            request.extensions_mut().insert(Peer(visitor.address));
            request.extensions_mut().insert(Arc::clone(&visitor));
            next.run(request).await
        }
        Err(problem) => Refused(problem).into_response(),
    }
}
