//! A stream goes on under a newer token: what the server asks for with `renew`.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use crate::backoff::Backoff;
use crate::error::Error;
use crate::http::{Http, Remedy, refusal, remedy};
use crate::token::{Shown, Token};

/// What was renewed last, and what came of it.
#[derive(Debug)]
struct Done {
    renews: String,
    old: Shown,
    newer: Option<Shown>,
}

/// Renews for all streams of a client.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    /// All streams of one credential name it alike, and it is done once.
    last: Mutex<Option<Done>>,
}

impl Renewal {
    /// Gets a newer token than the old one, and shows it for all streams of that. `None` where the
    /// streams end: they come back with a newer token, or say why not.
    pub(crate) async fn renew(
        &self,
        (renews, expires_in): (&str, Duration),
        old: Shown,
        (http, token): (&Http, &Token),
    ) -> Option<Shown> {
        let until = Instant::now() + expires_in;
        let mut last = self.last.lock().await;
        if let Some(done) = last.as_ref().filter(|done| done.renews == renews && done.old == old) {
            return done.newer.clone();
        }
        let trying = try_until(renews, until, &old, (http, token));
        let newer = timeout_at(until, trying).await.ok().flatten();
        *last = Some(Done { renews: renews.to_owned(), old, newer: newer.clone() });
        newer
    }
}

async fn try_until(
    renews: &str,
    until: Instant,
    old: &Shown,
    (http, token): (&Http, &Token),
) -> Option<Shown> {
    let mut backoff = Backoff::default();
    while token.can_refresh() {
        let error = match attempt(renews, old, (http, token)).await {
            Ok(newer) => return newer,
            Err(error) => error,
        };
        let wait = backoff.next(None);
        let passes = remedy(&error) == Remedy::Later && !is_undone(&error);
        if !passes || Instant::now() + wait >= until {
            break;
        }
        sleep(wait).await;
    }
    None
}

/// What a server does not do (501) it does not do later.
fn is_undone(error: &Error) -> bool {
    matches!(error, Error::Problem(problem) if problem.status == StatusCode::NOT_IMPLEMENTED)
}

async fn attempt(
    renews: &str,
    old: &Shown,
    (http, token): (&Http, &Token),
) -> Result<Option<Shown>, Error> {
    let newer = token.refresh(old).await?;
    if newer.is_none() {
        return Ok(None);
    }
    if newer == *old {
        return Err(Error::Token("there is no newer token yet".into()));
    }
    let body = Bytes::from(json!({ "renews": renews }).to_string());
    let request = Request::post("/v1/session/token").header(CONTENT_TYPE, "application/json");
    let request = request.body(body).expect("a request that is always the same");
    let answer = http.ask(request, newer.as_deref()).await.map_err(|failed| failed.error)?;
    if !answer.status().is_success() {
        return Err(refusal(answer).await.into());
    }
    Ok(Some(newer))
}
