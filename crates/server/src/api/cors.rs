//! Cross-origin requests: pages of configured origins may use the API, others may not change
//! anything. (A browser hides an answer from a foreign page, but it sends the request.)

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bellwire_wire::problem::{Code, Problem};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use super::App;
use crate::config::Origins;
use crate::problem::Refused;

/// Methods and headers that the API knows.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, content-encoding, last-event-id, bellwire-key, bellwire-type, idempotency-key",
);
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let Some(origin) = allowed_origin(&app.allowed_origins, headers.get(header::ORIGIN)) else {
        if !request.method().is_safe() && is_foreign(request.uri(), headers) {
            return Refused(foreign(request.uri(), headers)).into_response();
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
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

/// Whether a page asks that may not: browsers guard everything but WebSockets themselves.
pub(super) fn is_foreign_page(allowed: &Origins, uri: &Uri, headers: &HeaderMap) -> bool {
    is_foreign(uri, headers) && allowed_origin(allowed, headers.get(header::ORIGIN)).is_none()
}

/// Refuses a page, and says why: it is of another site, or a proxy has made it look so.
pub(super) fn foreign(uri: &Uri, headers: &HeaderMap) -> Problem {
    let text = |value: Option<&HeaderValue>| {
        value.map_or("?".into(), |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let origin = text(headers.get(header::ORIGIN));
    let host = host(uri, headers).unwrap_or("?");
    let detail = format!(
        "the page is of `{origin}`, and the request came for the host `{host}`. If it is this \
         server's own page behind a proxy, have the proxy pass `Host` on as it came (nginx: \
         `proxy_set_header Host $http_host;`); if it is another site's, name its origin in \
         `allowed_origins`"
    );
    Problem::new(Code::OriginForbidden, detail)
}

/// Whether a page of another site asks. Programs and the server's own pages do not.
fn is_foreign(uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let Some((scheme, origin)) = origin else { return true };
    // Browsers leave the scheme's own port out, and write in lower case.
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let bare = |host: &'_ str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    host(uri, headers).map(bare) != Some(bare(origin))
}

/// Whom the request is for.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    // HTTP/2 has a pseudo-header in place of `Host`.
    host.or_else(|| uri.authority().map(Authority::as_str))
}

/// The origin to answer with, where it is allowed.
pub(crate) fn allowed_origin(
    allowed: &Origins,
    origin: Option<&HeaderValue>,
) -> Option<HeaderValue> {
    let origin = origin?;
    origin.to_str().is_ok_and(|origin| allowed.allow(origin)).then(|| origin.clone())
}
