//! Cross-origin requests: pages of configured origins may use the API.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};

use super::App;

/// Methods and headers that the API knows.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, last-event-id, bellwire-key, bellwire-type, idempotency-key",
);
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

pub(super) async fn allow(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(origin) = allowed_origin(&app.allowed_origins, request.headers().get(header::ORIGIN))
    else {
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
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

/// The origin to answer with, where it is allowed.
pub(crate) fn allowed_origin(
    allowed: &[String],
    origin: Option<&HeaderValue>,
) -> Option<HeaderValue> {
    let origin = origin?;
    let is_allowed =
        allowed.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes());
    is_allowed.then(|| origin.clone())
}
