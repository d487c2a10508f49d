//! One request and its answer, over connections that are kept for the next.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::error::{BoxError, ConnectionError, Error, ProtocolError};
use crate::tls::TlsError;

/// Idle connections are closed before servers do.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// How long one address of a server is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that wait for the next request.
const IDLE_MAX: usize = 4;

/// An answer whose body is still to come.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Error>>;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// Whether the server may have got the request all the same.
    pub(crate) may_be_taken: bool,
}

impl Failed {
    /// Nothing was sent.
    pub(crate) fn before(error: impl Into<Error>) -> Self {
        Self { error: error.into(), may_be_taken: false }
    }

    /// Nobody knows how far it came.
    pub(crate) fn midway(error: impl Into<Error>) -> Self {
        Self { error: error.into(), may_be_taken: true }
    }
}

/// What an [`Exchange`] gives: boxed, for there are two of them.
pub(crate) type Exchanging<'a> = Pin<Box<dyn Future<Output = Result<Answer, Failed>> + Send + 'a>>;

/// The seam to the network.
pub(crate) trait Exchange: Debug + Send + Sync {
    /// Sends a request to a server, which has this name for people.
    fn exchange<'a>(&'a self, request: Request<Bytes>, server: &'a str) -> Exchanging<'a>;
}

/// HTTP/1.1 by hyper.
#[derive(Clone, Debug)]
pub(crate) struct Hyper {
    client: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Hyper {
    pub(crate) fn new(tls: ClientConfig) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self { client }
    }
}

impl Exchange for Hyper {
    fn exchange<'a>(&'a self, request: Request<Bytes>, server: &'a str) -> Exchanging<'a> {
        Box::pin(async move {
            let answer = self.client.request(request.map(Full::new)).await;
            let answer = answer.map_err(|error| failed(error, server))?;
            Ok(answer.map(|body| {
                body.map_err(|error| ConnectionError::Lost(error.into()).into()).boxed_unsync()
            }))
        })
    }
}

fn failed(error: hyper_util::client::legacy::Error, server: &str) -> Failed {
    let server = server.to_owned();
    let is_connect = error.is_connect();
    if let Some(refused) = cause(&error).and_then(TlsError::of) {
        return Failed::before(refused);
    }
    let is_parse = cause(&error).is_some_and(hyper::Error::is_parse);
    let source: BoxError = error.into();
    if is_parse {
        return Failed::midway(ProtocolError::NotHttp { server, source });
    }
    if is_connect {
        return Failed::before(ConnectionError::Failed { server, source });
    }
    Failed::midway(ConnectionError::Unanswered { server, source })
}

/// The first error of a type among the reasons of another.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error around another passes over that one.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
