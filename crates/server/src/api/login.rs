//! Logging in at a provider: a browser is sent there, and comes back.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::login::LocalPath;
use bellwire_authn::{Cookies, Return, Unarrived, cleared_login_cookie, login_under_way};
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use super::App;
use super::permission::peer;
use super::session::end_displaced;
use crate::audit::{Deed, Kind};
use crate::problem::Refused;

/// `GET /v1/session/login?return=/path`: sends a browser to the provider.
pub(super) async fn depart(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let departure = match wanted(&uri) {
        Ok(path) => app.access.authenticator.depart(path).await.map_err(|error| error.problem),
        Err(problem) => Err(problem),
    };
    match departure {
        Ok(departure) => sent(StatusCode::FOUND, &departure.location, &[&departure.cookie]),
        Err(problem) => told(problem, &headers),
    }
}

/// `GET /v1/session/callback`: a browser comes back. Whatever comes of it, this login has ended, unless
/// the provider was not asked.
pub(super) async fn arrive(State(app): State<Arc<App>>, parts: Parts) -> Response {
    let Parts { uri, headers, extensions, .. } = &parts;
    let query = uri.query().unwrap_or_default();
    let [state, code, error, issuer] =
        ["state", "code", "error", "iss"].map(|it| single(query, it));
    let cookie = login_under_way(headers);
    let back = Return {
        state: state.as_deref(),
        code: code.as_deref(),
        error: error.as_deref(),
        issuer: issuer.as_deref(),
        cookie,
    };
    let (cleared, from) = (cleared_login_cookie(), peer(extensions));
    match app.access.authenticator.arrive(back, from).await {
        Ok((login, path)) => {
            end_displaced(&app, (headers, Cookies::Count), (&login.identity, from)).await;
            let deed = Deed::new(Kind::Login).with("shown", "oidc");
            app.access.audit.record(&deed, Some(&login.identity), from);
            sent(StatusCode::SEE_OTHER, &path, &[&cleared, &login.cookie])
        }
        Err(Unarrived { problem, keeps_login }) => {
            let route = "/v1/session/callback";
            app.access.audit.refused(&problem, ("oidc", None), (route, from));
            let mut response = told(problem, headers);
            if !keeps_login {
                response.headers_mut().insert(header::SET_COOKIE, text(&cleared));
            }
            response
        }
    }
}

/// Where the browser is to go afterwards.
fn wanted(uri: &Uri) -> Result<Option<LocalPath>, Problem> {
    let query = uri.query().unwrap_or_default();
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let Some((_, path)) = parameters.find(|(name, _)| name == "return") else { return Ok(None) };
    let is_twice = parameters.any(|(name, _)| name == "return");
    let path = LocalPath::read(&path).filter(|_| !is_twice).ok_or_else(|| {
        let detail = "`return` is a path on this server, such as `/`, in visible ASCII";
        Problem::new(Code::ParameterInvalid, detail)
    })?;
    Ok(Some(path))
}

/// A parameter that stands once. One that stands twice says nothing.
fn single(query: &str, wanted: &str) -> Option<String> {
    let parameters = url::form_urlencoded::parse(query.as_bytes());
    let mut values = parameters.filter(|(name, _)| name == wanted).map(|(_, value)| value);
    let first = values.next()?;
    values.next().is_none().then(|| first.into_owned())
}

/// Nobody keeps such an answer, and nobody is told where it came from: addresses have codes in them.
const PRIVATE: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

fn sent(status: StatusCode, location: &str, cookies: &[&str]) -> Response {
    let mut response = (status, PRIVATE).into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, text(location));
    for cookie in cookies {
        headers.append(header::SET_COOKIE, text(cookie));
    }
    response
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("URLs, paths and cookies of ours are visible ASCII")
}

/// The page loads nothing.
const BARE: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// Why nobody is logged in: to people as a page, to programs as a problem.
fn told(problem: Problem, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if !accept.is_some_and(|accept| accept.contains("text/html")) {
        let mut response = Refused(problem).into_response();
        response.headers_mut().extend(PRIVATE);
        return response;
    }
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    // What may do at another try is tried with the same address.
    let (way, word) = match problem.retry_after_s() {
        Some(_) => ("", "Try again"),
        None => ("login", "Log in"),
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Not logged in</title>\n\
         <h1>You are not logged in</h1>\n<p>{}.\n<p><a href=\"{way}\">{word}</a>\n</html>\n",
        escaped(problem.detail())
    );
    let mut response = (problem.status(), BARE, page).into_response();
    response.headers_mut().extend(PRIVATE);
    if let Some(seconds) = problem.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
