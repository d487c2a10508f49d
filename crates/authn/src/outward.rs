//! Requests of ours to issuers: in bounded time and size, to where the configuration says and nowhere
//! else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwire_model::limits::{ISSUER_REDIRECTS_MAX, ISSUER_TIMEOUT};
use bellwire_model::with_causes;
use bytes::Bytes;
use http::header::{ACCEPT, AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use thiserror::Error;
use tokio::time::timeout;
use url::{Host, Url};

const OUR_NAME: &str = concat!("Bellwire/", env!("CARGO_PKG_VERSION"));

/// Idle connections are closed before most servers do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Speaks to one issuer.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    client: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What an issuer answered.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) body: Bytes,
    /// How long it may be kept, where it says so.
    pub(crate) max_age: Option<Duration>,
}

/// Why a request has failed. For logs and for whoever runs the server.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    #[error("no whole answer came within {} s", ISSUER_TIMEOUT.as_secs())]
    Timeout,
    #[error("{0}")]
    Connection(String),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error(
        "it redirects to {to}, and no redirect is followed to another host, port or scheme: configure \
         where it leads to"
    )]
    Elsewhere { to: String },
    #[error("it redirects without saying where to")]
    Nowhere,
    #[error("it redirects more than {ISSUER_REDIRECTS_MAX} times")]
    TooManyRedirects,
    #[error("its answer has more than {0} bytes")]
    TooLarge(usize),
}

impl Client {
    /// Trusts whom the system trusts, or else whom a PEM file names. Nothing is connected before
    /// something is asked.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, pem::Error> {
        let certificates = match ca_file {
            None => rustls_native_certs::load_native_certs().certs,
            Some(path) => CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?,
        };
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the protocol's versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client })
    }

    /// Gets a document of at most so many bytes.
    pub(crate) async fn get(&self, url: &Url, bytes_max: usize) -> Result<Document, RequestError> {
        let following = timeout(ISSUER_TIMEOUT, self.follow(url.clone(), bytes_max));
        following.await.unwrap_or(Err(RequestError::Timeout))
    }

    /// Posts a form, and gets an answer of at most so many bytes. No redirect is followed: what is posted
    /// is for nobody else.
    pub(crate) async fn post(
        &self,
        url: &Url,
        (form, authorization): (String, Option<HeaderValue>),
        bytes_max: usize,
    ) -> Result<Bytes, RequestError> {
        let mut request = Request::post(url.as_str())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(USER_AGENT, OUR_NAME);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::from(form))
            .map_err(|error| RequestError::Connection(with_causes(&error)))?;
        let posting = async {
            let answer = self.client.request(request).await;
            let answer = answer.map_err(|error| RequestError::Connection(with_causes(&error)))?;
            read(answer, bytes_max).await
        };
        let answer = timeout(ISSUER_TIMEOUT, posting).await;
        answer.unwrap_or(Err(RequestError::Timeout)).map(|document| document.body)
    }

    async fn follow(&self, mut url: Url, bytes_max: usize) -> Result<Document, RequestError> {
        for _ in 0..=ISSUER_REDIRECTS_MAX {
            let request = Request::get(url.as_str())
                .header(ACCEPT, "application/json")
                .header(USER_AGENT, OUR_NAME)
                .body(Full::default())
                .map_err(|error| RequestError::Connection(with_causes(&error)))?;
            let answer = self.client.request(request).await;
            let answer = answer.map_err(|error| RequestError::Connection(with_causes(&error)))?;
            match next_url(&url, &answer)? {
                Some(next) => url = next,
                None => return read(answer, bytes_max).await,
            }
        }
        Err(RequestError::TooManyRedirects)
    }
}

/// What this server shows a provider of itself.
#[derive(Clone)]
pub(crate) struct ClientSecret(Box<str>);

impl ClientSecret {
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }

    /// As RFC 6749, section 2.3.1, has it: both are encoded as forms are.
    pub(crate) fn basic(&self, client_id: &str) -> HeaderValue {
        let encoded =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(client_id), encoded(&self.0));
        let text = format!("Basic {}", STANDARD.encode(pair));
        let mut value = HeaderValue::try_from(text).expect("base64 is visible");
        value.set_sensitive(true);
        value
    }

    pub(crate) fn append_to(&self, form: &mut url::form_urlencoded::Serializer<'_, String>) {
        form.append_pair("client_secret", &self.0);
    }
}

/// Says nothing of it.
impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// Where an answer sends on to: that is followed within one origin only. Whoever may have a host
/// redirect, as an open redirect on it does, must not be able to choose our keys.
fn next_url(url: &Url, answer: &Response<Incoming>) -> Result<Option<Url>, RequestError> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let next = location.and_then(|location| url.join(location).ok());
    let next = next.ok_or(RequestError::Nowhere)?;
    if next.origin() != url.origin() {
        return Err(RequestError::Elsewhere { to: next.origin().ascii_serialization() });
    }
    Ok(Some(next))
}

async fn read(answer: Response<Incoming>, bytes_max: usize) -> Result<Document, RequestError> {
    let (head, body) = answer.into_parts();
    if head.status != StatusCode::OK {
        return Err(RequestError::Status(head.status));
    }
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return RequestError::TooLarge(bytes_max);
        }
        RequestError::Connection(with_causes(&*error))
    })?;
    Ok(Document { body: body.to_bytes(), max_age: max_age(&head.headers) })
}

/// How long an answer may be kept (RFC 9111, section 4.2), less what it has been kept for on its way.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let texts = |name: HeaderName| {
        headers.get_all(name).into_iter().filter_map(|value: &HeaderValue| value.to_str().ok())
    };
    let mut age = None;
    for directive in texts(CACHE_CONTROL).flat_map(|value| value.split(',')) {
        let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("no-store") || is("no-cache") {
            return Some(Duration::ZERO);
        }
        if is("max-age") && age.is_none() {
            age = value.trim_matches('"').parse().ok().map(Duration::from_secs);
        }
    }
    let spent = texts(AGE).next().and_then(|age| age.trim().parse().ok());
    Some(age?.saturating_sub(Duration::from_secs(spent.unwrap_or_default())))
}

/// Why an address is none that an issuer is asked at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no URL.
    #[error("this is no URL: {0}")]
    NotUrl(#[from] url::ParseError),
    /// It is of another scheme.
    #[error("an address of an issuer begins with `https://`")]
    Scheme,
    /// Whoever is on the way could put other keys there.
    #[error(
        "over `http://` whoever is on the way can put keys of their own there: it is taken for this \
         machine alone, unless `plain_http = true` says otherwise"
    )]
    Plain,
    /// It has a name or a password, or a fragment.
    #[error("an address of an issuer has neither a name, a password nor a fragment")]
    Superfluous,
}

/// Reads an address of an issuer.
pub fn issuer_address(text: &str, plain_http: Plain) -> Result<Url, AddressError> {
    let url = Url::parse(text)?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(AddressError::Superfluous);
    }
    let is_of_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match (url.scheme(), plain_http) {
        ("https", _) | ("http", Plain::Allowed) => Ok(url),
        ("http", Plain::Refused) if is_of_this_machine => Ok(url),
        ("http", Plain::Refused) => Err(AddressError::Plain),
        _ => Err(AddressError::Scheme),
    }
}

/// Whether an issuer may be asked over plain HTTP although it is not on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plain {
    /// Only what is on this machine is asked so.
    #[default]
    Refused,
    /// It may: what is on the way is trusted.
    Allowed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_as_long_as_it_says() {
        let kept = |headers: &[(HeaderName, &'static str)]| {
            let headers =
                headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            max_age(&headers.collect()).map(|age| age.as_secs())
        };
        for (control, expected) in [
            ("max-age=60", Some(60)),
            ("public, Max-Age=\"3600\" , must-revalidate", Some(3600)),
            ("max-age=10, max-age=20", Some(10)),
            ("max-age=600, no-store", Some(0)),
            ("no-cache", Some(0)),
            ("max-age=-1", None),
            ("max-age", None),
            ("s-maxage=9", None),
            ("", None),
        ] {
            assert_eq!(kept(&[(CACHE_CONTROL, control)]), expected, "{control}");
        }
        assert_eq!(kept(&[(CACHE_CONTROL, "max-age=60"), (AGE, "50")]), Some(10));
        assert_eq!(kept(&[(CACHE_CONTROL, "max-age=60"), (AGE, "70")]), Some(0));
        assert_eq!(kept(&[(AGE, "70")]), None);
    }

    #[test]
    fn an_issuer_is_asked_where_nobody_can_put_other_keys() {
        let read = |text: &str, plain| issuer_address(text, plain).is_ok();
        for text in [
            "https://id.example/keys?v=1",
            "https://10.0.0.1:8443/keys",
            "http://127.0.0.1:9000/keys",
            "http://[::1]/keys",
            "http://localhost:9000/keys",
        ] {
            assert!(read(text, Plain::Refused), "{text}");
        }
        for text in ["http://id.example/keys", "http://10.0.0.1/", "http://localhost.example/"] {
            assert!(!read(text, Plain::Refused), "{text}");
            assert!(read(text, Plain::Allowed), "{text}");
        }
        for text in [
            "",
            "keys",
            "file:///etc/keys",
            "ftp://id.example/keys",
            "https://ada@id.example/",
            "https://:secret@id.example/",
            "https://id.example/#keys",
        ] {
            assert!(!read(text, Plain::Allowed), "{text}");
        }
    }
}
