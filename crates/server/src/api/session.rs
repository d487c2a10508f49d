//! Sessions of browsers: a credential is shown once, and a cookie from then on.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_access::Identity;
use bellwire_authn::{Cookies, Logout, Query, Shown, cleared_cookie};
use bellwire_model::limits::LOGIN_BODY_BYTES_MAX;
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::body::Held;
use super::permission::{self, Caller, peer};
use super::{App, body, whoami};
use crate::audit::{Deed, Kind};
use crate::page::{self, Page};
use crate::problem::Refused;

/// A login: a token or an API key, or a name with its password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginText {
    token: Option<Box<str>>,
    name: Option<Box<str>>,
    password: Option<Box<str>>,
}

/// `GET /v1/session`: how one may log in, for whoever is yet to.
pub(super) async fn ways(State(app): State<Arc<App>>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "login": app.access.authenticator.logins() }))
}

/// `POST /v1/session`: makes a session of a credential. What else the browser has of this server does
/// not count: nobody goes on with a session that somebody else has planted.
pub(super) async fn log_in(
    State(app): State<Arc<App>>,
    parts: Parts,
    body: Body,
) -> Result<Response, Refused> {
    let page = Page::of(&parts.uri, &parts.headers, &parts.extensions);
    if !page.is_own() {
        return Err(page.refusal().into());
    }
    let address = peer(&parts.extensions);
    let held = body::read(&app.admission, &parts.headers, body, LOGIN_BODY_BYTES_MAX).await?;
    let shown = shown_at_login(&app, &parts, &held);
    let shown = shown.inspect_err(|problem| {
        app.access.on_unreadable(problem, ("/v1/session", address));
    })?;
    drop(held);
    let login = app.access.authenticator.log_in(&shown, address).await.inspect_err(|problem| {
        app.access.audit.refused(problem, (shown.kind(), None), ("/v1/session", address));
    })?;
    let cookies = page.cookies_for(page::Deed::Reads);
    end_displaced(&app, (&parts.headers, cookies), (&login.identity, address)).await;
    let cookie = HeaderValue::from_str(&login.cookie).expect("its own words are valid");
    let whoami = Json(whoami::shown(&app, &login.identity));
    let answer = (StatusCode::CREATED, NOT_STORED, [(header::SET_COOKIE, cookie)], whoami);
    Ok(Deed::new(Kind::Login)
        .with("shown", shown.kind())
        .by(Arc::new(login.identity))
        .told_by(answer.into_response()))
}

/// Ends the session that a browser had until somebody else has logged in with it: it would count for
/// whoever has kept its cookie. The login stands where that cannot be kept.
pub(super) async fn end_displaced(
    app: &App,
    (headers, cookies): (&HeaderMap, Cookies),
    (newer, from): (&Identity, Option<IpAddr>),
) {
    let Some(shown) = session_shown(headers, cookies) else { return };
    let mut ending = None;
    let on_ended = |subject: &str| ending = Some(app.end_revoked(Some(subject)));
    let ended = app.access.authenticator.displace(&shown, newer, on_ended).await;
    if let Some(ending) = ending {
        ending.is_through().await;
    }
    let Some(Logout { identity, kept }) = ended else { return };
    if let Err(problem) = kept {
        let detail = problem.detail();
        tracing::warn!(detail, "It is not kept that a session has ended by another login.");
    }
    app.access.audit.record(&Deed::new(Kind::Logout), Some(&identity), from);
}

/// The session of a cookie, whatever else is shown.
fn session_shown(headers: &HeaderMap, cookies: Cookies) -> Option<Shown> {
    let mut alone = HeaderMap::new();
    alone.extend(headers.get_all(header::COOKIE).iter().map(|it| (header::COOKIE, it.clone())));
    Shown::of(&alone, Query::Nothing, cookies).ok()
}

/// What is shown in the head of a login, or in its body.
fn shown_at_login(app: &App, parts: &Parts, held: &Held) -> Result<Shown, Problem> {
    let is_empty = held.bytes.is_empty();
    match permission::shown(app, parts, (Query::Nothing, Cookies::AreNone))? {
        Shown::Nothing if is_empty => Ok(Shown::Nothing),
        // A proxy names whoever comes through it, whom else they mean to be.
        Shown::Nothing | Shown::Proxied(..) if !is_empty => {
            body::json(held).map_err(invalid).and_then(in_body)
        }
        shown if is_empty => Ok(shown),
        _ => Err(invalid("the head shows a credential: leave the body empty")),
    }
}

/// `DELETE /v1/session`: ends the session and what was opened by it, and has the browser forget it. Who
/// has none has ended it. Where it could not be ended for good the browser keeps it, to ask once more.
pub(super) async fn log_out(
    State(app): State<Arc<App>>,
    parts: Parts,
) -> Result<Response, Refused> {
    let page = Page::of(&parts.uri, &parts.headers, &parts.extensions);
    // Of a browser this comes with the page's origin: who says nothing of a page is a program.
    let cookies = page.cookies_for(page::Deed::Reads);
    let cleared = HeaderValue::from_str(&cleared_cookie()).expect("its own words are valid");
    let cleared = [(header::SET_COOKIE, cleared)];
    let shown = match Shown::of(&parts.headers, Query::Nothing, cookies) {
        Ok(shown) => shown,
        Err(problem) => return Ok((cleared, Refused(problem)).into_response()),
    };
    let answer = (StatusCode::NO_CONTENT, cleared).into_response();
    let mut ending = None;
    // Whatever was made of the session is of the same subject.
    let on_ended = |subject: &str| ending = Some(app.end_revoked(Some(subject)));
    let ended = app.access.authenticator.log_out(&shown, on_ended).await;
    if let Some(ending) = ending {
        ending.is_through().await;
    }
    let Some(Logout { identity, kept }) = ended else { return Ok(answer) };
    kept?;
    Ok(Deed::new(Kind::Logout).by(Arc::new(identity)).told_by(answer))
}

/// Whose streams go on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenewalText {
    renews: Box<str>,
}

/// `POST /v1/session/token`: the streams that `renews` names go on under the credential of this
/// request. Answers as `GET /v1/whoami` does.
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    Caller(identity): Caller,
    parts: Parts,
    body: Body,
) -> Result<Response, Refused> {
    let headers = &parts.headers;
    let held = body::read(&app.admission, headers, body, LOGIN_BODY_BYTES_MAX).await?;
    let RenewalText { renews } = body::json(&held).map_err(|error| {
        invalid(format!("a renewal is {{\"renews\":…}}, as the control event has it: {error}"))
    })?;
    app.access.allowances.renew(&identity)?;
    let renewed = app.access.renew(&app.spread, (&renews, &identity)).await;
    renewed.inspect_err(|problem| {
        let (showed, from) = ((identity.means.as_str(), Some(&*identity)), peer(&parts.extensions));
        app.access.audit.refused(problem, showed, ("/v1/session/token", from));
    })?;
    let answer = (NOT_STORED, Json(whoami::shown(&app, &identity))).into_response();
    Ok(Deed::new(Kind::Renewed).told_by(answer))
}

const NOT_STORED: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

fn in_body(login: LoginText) -> Result<Shown, Problem> {
    match login {
        LoginText { token: Some(token), name: None, password: None } => Shown::bearer(&token),
        LoginText { token: None, name: Some(name), password: Some(password) } => {
            Shown::password(&name, &password)
        }
        _ => Err(invalid(r#"a login is {"token":"…"}, or {"name":"…","password":"…"}"#)),
    }
}

fn invalid(reason: impl std::fmt::Display) -> Problem {
    Problem::new(Code::BodyInvalid, reason)
}
