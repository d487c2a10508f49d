//! One request to a webhook, and what its answer means.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bellwire_alerts::config::{Authorization, HttpSettings, Redirects, Secret, Webhook};
use bellwire_model::limits::{
    NOTIFICATION_REQUESTS_MAX, WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_CONNECT_TIMEOUT,
    WEBHOOK_REDIRECTS_MAX,
};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Response;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;

use super::reach::{Reach, Resolver, out_of_reach};

const OUR_NAME: &str = concat!("Bellwire/", env!("CARGO_PKG_VERSION"));

/// Idle connections to a webhook are closed before most servers do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Speaks to one webhook.
#[derive(Debug)]
pub(super) struct WebhookClient {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    url: Secret,
    settings: HttpSettings,
    reach: Reach,
}

/// Why a request has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// In a sentence, without secrets.
    pub(super) reason: String,
    /// What the webhook answered, where it did.
    pub(super) status: Option<StatusCode>,
    /// The webhook may have got it all the same.
    pub(super) may_have_arrived: bool,
    pub(super) remedy: Remedy,
}

/// What may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// To try again, after this time where the webhook says one.
    Retry(Option<Duration>),
    /// Nothing: the same request would get the same answer.
    None,
}

impl Failure {
    fn retry(reason: String) -> Self {
        let remedy = Remedy::Retry(None);
        Self { reason, status: None, may_have_arrived: false, remedy }
    }

    fn lasting(reason: String) -> Self {
        Self { reason, status: None, may_have_arrived: false, remedy: Remedy::None }
    }
}

impl WebhookClient {
    /// Trusts whom the system trusts, unless the webhook has certificates of its own. Nothing is
    /// connected before something is sent.
    pub(super) fn new(webhook: &Webhook, system: &Trust, reach: &Reach) -> Self {
        let trust = webhook.http.ca_file.as_deref().map(Trust::of_file);
        let Trust(tls) = trust.as_ref().unwrap_or(system);
        let mut connector = HttpConnector::new_with_resolver(Resolver(reach.clone()));
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(WEBHOOK_CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(NOTIFICATION_REQUESTS_MAX)
            .build(connector);
        let (url, settings) = (webhook.url.clone(), webhook.http.clone());
        Self { client, url, settings, reach: reach.clone() }
    }

    /// Posts `body`, and follows where the webhook sends it on to.
    pub(super) async fn post(&self, body: Bytes) -> Result<(), Failure> {
        let url = read(&self.url).await?;
        let mut url = Url::parse(&url)
            .map_err(|error| Failure::lasting(format!("the webhook's URL is none: {error}")))?;
        let origin = url.origin();
        let own = credentials_of(&mut url)?;
        let mut named = own.clone();
        for _ in 0..=WEBHOOK_REDIRECTS_MAX {
            // Wherever it is sent on to, too. Names are looked at when they have addresses.
            self.reach.check_url(&url).map_err(|error| Failure::lasting(error.to_string()))?;
            let mut request = Request::post(url.as_str())
                .header(CONTENT_TYPE, "application/json")
                .header(USER_AGENT, OUR_NAME);
            // Who is sent on elsewhere does not show credentials there. Those in a URL come first,
            // as in Go.
            let authorization = match (named, &own) {
                (Some(named), _) => Some(named),
                (None, Some(own)) if url.origin() == origin => Some(own.clone()),
                (None, None) if url.origin() == origin => self.authorization().await?,
                _ => None,
            };
            if let Some(authorization) = authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let request = request
                .body(Full::new(body.clone()))
                .map_err(|error| Failure::lasting(format!("no request can be made: {error}")))?;
            let answer = self.client.request(request).await;
            let answer = answer.map_err(|error| match out_of_reach(&error) {
                Some(refusal) => Failure::lasting(refusal.to_string()),
                None => Failure {
                    may_have_arrived: !error.is_connect(),
                    ..Failure::retry(described(&error))
                },
            })?;
            match self.next_url(&url, &answer) {
                Some(next) => {
                    url = next;
                    named = credentials_of(&mut url)?;
                }
                None => return judge(answer).await,
            }
        }
        Err(Failure::lasting(format!("sent on more than {WEBHOOK_REDIRECTS_MAX} times")))
    }

    /// Where an answer sends the request on to: with its body, so `303` and its kin are refusals.
    fn next_url(&self, url: &Url, answer: &Response<Incoming>) -> Option<Url> {
        let keeps_body = matches!(
            answer.status(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        if !keeps_body || self.settings.redirects == Redirects::Refused {
            return None;
        }
        let next = url.join(answer.headers().get(LOCATION)?.to_str().ok()?).ok()?;
        matches!(next.scheme(), "http" | "https").then_some(next)
    }

    async fn authorization(&self) -> Result<Option<HeaderValue>, Failure> {
        let text = match &self.settings.authorization {
            None => return Ok(None),
            Some(Authorization::Basic { username, password }) => {
                let password = match password {
                    Some(password) => read(password).await?,
                    None => String::new(),
                };
                return basic(username.as_bytes(), password.as_bytes()).map(Some);
            }
            Some(Authorization::Scheme { scheme, credentials }) => {
                format!("{scheme} {}", read(credentials).await?)
            }
        };
        sensitive(text).map(Some)
    }
}

/// Takes name and password out of a URL: they are told in a header.
fn credentials_of(url: &mut Url) -> Result<Option<HeaderValue>, Failure> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let (username, password) = (decoded(url.username()), url.password().map(decoded));
    let removed = url.set_username("").and_then(|()| url.set_password(None));
    removed.expect("a URL with a name in it has a host");
    basic(&username, &password.unwrap_or_default()).map(Some)
}

fn basic(username: &[u8], password: &[u8]) -> Result<HeaderValue, Failure> {
    sensitive(format!("Basic {}", BASE64.encode([username, b":", password].concat())))
}

/// A header that no log shows.
fn sensitive(text: String) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        Failure::lasting("the credentials have characters that a header cannot have".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The secret itself, as it is now.
async fn read(secret: &Secret) -> Result<String, Failure> {
    let path = match secret {
        Secret::Text(text) => return Ok(text.to_string()),
        Secret::File(path) => path.clone(),
    };
    let name = path.display().to_string();
    let read = move || std::fs::read_to_string::<PathBuf>(path);
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(text)) => Ok(text.trim().to_owned()),
        Ok(Err(error)) => Err(Failure::retry(format!("cannot read {name}: {error}"))),
        Err(error) => Err(Failure::retry(format!("cannot read {name}: {error}"))),
    }
}

/// What an answer means.
async fn judge(answer: Response<Incoming>) -> Result<(), Failure> {
    let (head, body) = answer.into_parts();
    let is_retried = head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS;
    let wait = head.headers.get(RETRY_AFTER).and_then(seconds);
    // The answer is read to its end where it is short, so that the connection can be used again.
    let body = Limited::new(body, WEBHOOK_ANSWER_BYTES_MAX).collect().await;
    if head.status.is_success() {
        return Ok(());
    }
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned());
    let text = text.ok().filter(|text| !text.is_empty());
    let text = text.map_or_else(String::new, |text| format!(": {text}"));
    Err(Failure {
        reason: format!("the webhook answers {}{text}", head.status),
        status: Some(head.status),
        // Somebody in between has waited in vain for the webhook itself.
        may_have_arrived: head.status == StatusCode::GATEWAY_TIMEOUT,
        remedy: if is_retried { Remedy::Retry(wait) } else { Remedy::None },
    })
}

/// `Retry-After` in seconds; a date, which hardly anybody sends, counts as none.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// An error and what caused it. The URL, which may be a secret, is in none of them.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whom to trust over TLS.
#[derive(Debug)]
pub(crate) struct Trust(rustls::ClientConfig);

impl Trust {
    /// Whom the system trusts.
    pub(crate) fn of_system() -> Self {
        Self::in_certificates(rustls_native_certs::load_native_certs().certs)
    }

    /// How to speak to those.
    pub(crate) fn into_config(self) -> rustls::ClientConfig {
        self.0
    }

    /// Whom a PEM file names; nobody where it cannot be read.
    fn of_file(path: &Path) -> Self {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "The certificates of a webhook cannot be read; none is trusted.");
                Vec::new()
            });
        Self::in_certificates(certificates)
    }

    fn in_certificates(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the protocol's versions");
        Self(builder.with_root_certificates(roots).with_no_client_auth())
    }
}
