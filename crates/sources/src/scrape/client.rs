//! Requests to targets and to those who know them: bounded in time and size.

mod body;
mod connections;
mod reach;
mod tls;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwire_model::limits::{SCRAPE_REDIRECTS_MAX, SCRAPE_SECRET_BYTES_MAX};
use bellwire_model::with_causes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use thiserror::Error;
use url::Url;

use crate::tls::TlsError;

use super::job::{Coding, Credentials, Http, Redirects};

pub(super) use self::body::{Body, Capacity};
use self::connections::Connections;
pub(super) use self::reach::Reach;

const OUR_NAME: &str = concat!("Bellwire/", env!("CARGO_PKG_VERSION"));

/// Asks for what is at a URL.
pub(super) trait Fetch: Send + Sync + fmt::Debug {
    /// Gets it, of at most so many bytes as they are sent. It takes as long as the server likes.
    fn get<'a>(&'a self, url: &'a Url, headers: HeaderMap, bytes_max: usize) -> Fetching<'a>;
}

/// An answer that is waited for.
pub(super) type Fetching<'a> =
    Pin<Box<dyn Future<Output = Result<Answer, FetchError>> + Send + 'a>>;

/// Speaks to the targets of one job.
#[derive(Debug)]
pub(super) struct Client {
    connections: Connections,
    http: Http,
    reach: Reach,
    room: Arc<Capacity>,
}

impl Fetch for Client {
    fn get<'a>(&'a self, url: &'a Url, headers: HeaderMap, bytes_max: usize) -> Fetching<'a> {
        Box::pin(self.follow(url, headers, bytes_max))
    }
}

/// Why there is no answer to go on with.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Connection(String),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("it redirects without saying where to")]
    Nowhere,
    #[error("it redirects more than {SCRAPE_REDIRECTS_MAX} times")]
    TooManyRedirects,
    #[error("it redirects to {0}, and what shows who we are is for nobody else")]
    Elsewhere(String),
    #[error("cannot read {0}")]
    Secret(String),
    #[error("body size limit exceeded: it has more than {0} bytes")]
    TooLarge(usize),
    #[error("too much of other targets is read at the moment")]
    NoRoom,
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("what it has compressed cannot be read: {0}")]
    Gzip(#[source] std::io::Error),
}

impl FetchError {
    /// The stable code of the reason.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Connection(_) => "target_unreachable",
            Self::Status(_) => "target_status",
            Self::Nowhere | Self::TooManyRedirects | Self::Elsewhere(_) => "target_redirects",
            Self::Secret(_) => "secret_unreadable",
            Self::Tls(_) => "job_unusable",
            Self::TooLarge(_) => "body_too_large",
            Self::NoRoom => "scrapes_busy",
            Self::Gzip(_) => "gzip_invalid",
        }
    }
}

/// An answer, as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Answer {
    /// One of a target that says no more than this.
    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Self {
        let mut body = Body::new(&Arc::default(), text.len());
        body.extend(text.as_bytes()).expect("room");
        Self { headers: HeaderMap::new(), body }
    }

    /// Whether its body is compressed.
    pub(super) fn is_gzip(&self) -> bool {
        self.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip")
    }
}

impl Client {
    /// Nothing is connected before something is asked.
    pub(super) fn new(http: &Http, reach: Reach, room: &Arc<Capacity>) -> Self {
        let connections = Connections::new(&http.tls, &reach);
        Self { connections, http: http.clone(), reach, room: Arc::clone(room) }
    }

    async fn follow(
        &self,
        url: &Url,
        headers: HeaderMap,
        bytes_max: usize,
    ) -> Result<Answer, FetchError> {
        let connections = self.connections.now().await?;
        let authorization = self.authorization().await?;
        let mut at = url.clone();
        for _ in 0..=SCRAPE_REDIRECTS_MAX {
            self.reach.check_url(&at).map_err(FetchError::Connection)?;
            let mut request = Request::get(at.as_str())
                .body(Empty::new())
                .map_err(|error| FetchError::Connection(with_causes(&error)))?;
            *request.headers_mut() = headers.clone();
            request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(OUR_NAME));
            let coding = if self.http.coding == Coding::Gzip { "gzip" } else { "identity" };
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(coding));
            if let Some(authorization) = &authorization {
                request.headers_mut().insert(AUTHORIZATION, authorization.clone());
            }
            let answer = connections.request(request).await;
            let answer = answer.map_err(|error| FetchError::Connection(with_causes(&error)))?;
            match self.next_url(&at, &answer)? {
                Some(next) => at = next,
                None => return self.read(answer, bytes_max).await,
            }
        }
        Err(FetchError::TooManyRedirects)
    }

    /// Where an answer sends on to, if that is followed. Whoever has a host redirect must not get what
    /// is for that host.
    fn next_url(&self, url: &Url, answer: &Response<Incoming>) -> Result<Option<Url>, FetchError> {
        let is_redirect = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        if !is_redirect || self.http.redirects == Redirects::Refused {
            return Ok(None);
        }
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| url.join(location).ok());
        let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
        let next = next.ok_or(FetchError::Nowhere)?;
        let shows_itself = self.http.credentials.is_some() || self.http.tls.identity.is_some();
        if shows_itself && next.origin() != url.origin() {
            return Err(FetchError::Elsewhere(next.origin().ascii_serialization()));
        }
        Ok(Some(next))
    }

    async fn read(
        &self,
        answer: Response<Incoming>,
        bytes_max: usize,
    ) -> Result<Answer, FetchError> {
        let (head, mut incoming) = answer.into_parts();
        if head.status != StatusCode::OK {
            return Err(FetchError::Status(head.status));
        }
        let mut body = Body::new(&self.room, bytes_max);
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| FetchError::Connection(with_causes(&error)))?;
            if let Ok(data) = frame.into_data() {
                body.extend(&data)?;
            }
        }
        Ok(Answer { headers: head.headers, body })
    }

    /// What shows who we are. Its file may have changed.
    async fn authorization(&self) -> Result<Option<HeaderValue>, FetchError> {
        let Some(credentials) = self.http.credentials.clone() else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || authorization(&credentials));
        let value = read.await.map_err(|error| FetchError::Secret(error.to_string()))?;
        value.map(Some).map_err(FetchError::Secret)
    }
}

fn authorization(credentials: &Credentials) -> Result<HeaderValue, String> {
    let secret = match credentials.file() {
        None => String::new(),
        Some(path) => {
            let name = path.display();
            let length = std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
            if length > SCRAPE_SECRET_BYTES_MAX as u64 {
                return Err(format!("{name}: it is too long for a secret"));
            }
            let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
            text.trim().to_owned()
        }
    };
    let text = match credentials {
        Credentials::Basic { username, .. } => {
            format!("Basic {}", STANDARD.encode(format!("{username}:{secret}")))
        }
        Credentials::Scheme { scheme, .. } => format!("{scheme} {secret}"),
    };
    let value = HeaderValue::try_from(text);
    let mut value = value.map_err(|_| "a secret with characters that no header has".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
