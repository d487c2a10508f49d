//! Connections to targets, with TLS where their URLs ask for it.

use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;

use crate::tls::{TlsError, TlsFiles};

use super::reach::Resolver;

/// What connects to targets.
pub(super) fn connector(
    files: &TlsFiles,
    resolver: Resolver,
) -> Result<HttpsConnector<HttpConnector<Resolver>>, TlsError> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(files.config()?).https_or_http();
    if let Some(name) = files.server_name()? {
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    Ok(builder.enable_http1().wrap_connector(connector))
}
