//! The web page and the API's description, embedded.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, header};

/// The page loads what comes from here, and nothing else.
const POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

pub(super) async fn index() -> Response {
    asset("text/html; charset=utf-8", include_str!("../../../../web/index.html"))
}

pub(super) async fn board_css() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../../../web/board.css"))
}

pub(super) async fn board_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/board.js"))
}

pub(super) async fn openapi() -> Response {
    asset("application/json", include_str!("../../openapi.json"))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
