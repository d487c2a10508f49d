//! Cross-origin requests: pages of configured origins may use the API, others may not change
//! anything. (A browser hides an answer from a foreign page, but it sends the request.)

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};

use super::App;
use crate::front_door::Peer;
use crate::page::Page;
use crate::problem::Refused;
use crate::proxies::FORWARDED_PROTO;

/// Methods and headers that the API knows.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, PATCH");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, content-encoding, last-event-id, bellwire-end, bellwire-key, \
     bellwire-type, bellwire-if-version, bellwire-if-absent, bellwire-ttl, idempotency-key, \
     producer-id, producer-epoch, producer-seq, if-none-match, stream-closed, stream-expires-at, \
     stream-seq, stream-ttl",
);
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

pub(super) async fn guard(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    // While it is known whose connection it is: behind this it is of the client that a proxy names.
    if let Some(Peer(source)) = request.extensions().get().copied() {
        let said = request.headers().get_all(FORWARDED_PROTO).iter().map(HeaderValue::as_bytes);
        let arrived = app.callers.arrived(source, &said.collect::<Vec<_>>());
        request.extensions_mut().insert(arrived);
    }
    let page = Page::of(request.uri(), request.headers(), request.extensions());
    let Some(origin) = page.allowed_origin(&app.callers.origins) else {
        if !request.method().is_safe() && page.is_foreign() {
            return Refused(page.refusal()).into_response();
        }
        return next.run(request).await;
    };
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
        response
    } else {
        next.run(request).await
    };
    for (name, value) in bellwire_wire::cors::headers(&origin) {
        response.headers_mut().append(name, value);
    }
    response
}
