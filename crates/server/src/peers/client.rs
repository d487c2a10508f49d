//! HTTP to other nodes.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::NODE_CONNECT_PATIENCE;
use bellwire_model::with_causes;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use thiserror::Error;
use tokio::time::timeout;

/// Idle connections are closed before most servers do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections to one node.
const IDLE_MAX: usize = 4;

/// Why another node has not answered.
#[derive(Debug, Error)]
pub(crate) enum PeerError {
    #[error("what it tells as its address is none")]
    Address,
    #[error("it did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("{0}")]
    Connection(String),
    #[error("it answers {0}")]
    Status(StatusCode),
}

/// Connects to nodes.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// Speaks to nodes over HTTP/1.1, and trusts whom the system trusts.
#[derive(Debug)]
pub(super) struct Client {
    tls: ClientConfig,
    client: legacy::Client<Connector, Full<Bytes>>,
}

impl Client {
    /// Nothing is connected before something is asked.
    pub(super) fn new() -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the protocol's versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector(tls.clone(), NODE_CONNECT_PATIENCE));
        Self { tls, client }
    }

    /// Connects to nodes in the same way, each time within `patience`.
    pub(super) fn connector(&self, patience: Duration) -> Connector {
        connector(self.tls.clone(), patience)
    }

    /// Sends a request. No redirect is followed: what is asked of a node is for nobody else.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Response<Incoming>, PeerError> {
        let answer = timeout(patience, self.client.request(request)).await;
        let answer = answer.map_err(|_| PeerError::Timeout(patience))?;
        let answer = answer.map_err(|error| PeerError::Connection(with_causes(&error)))?;
        let status = answer.status();
        if status.is_success() { Ok(answer) } else { Err(PeerError::Status(status)) }
    }
}

fn connector(tls: ClientConfig, patience: Duration) -> Connector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(patience));
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}
