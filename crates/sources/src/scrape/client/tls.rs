//! TLS towards targets: whom to trust, and with which certificate to come.

use std::path::PathBuf;
use std::sync::Arc;

use bellwire_model::with_causes;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;

use super::super::job::{TlsFiles, Verification};

/// Certificates or keys that cannot be used.
#[derive(Debug, Error)]
#[error("{}: {reason}", path.display())]
pub(in super::super) struct TlsError {
    path: PathBuf,
    reason: String,
}

impl TlsError {
    fn new(path: &std::path::Path, error: &dyn std::error::Error) -> Self {
        Self { path: path.to_owned(), reason: with_causes(error) }
    }
}

/// What connects to targets, with TLS where their URLs ask for it.
pub(super) fn connector(files: &TlsFiles) -> Result<HttpsConnector<HttpConnector>, TlsError> {
    let config = config(files)?;
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    if let Some(name) = &files.server_name {
        let name = ServerName::try_from(name.clone());
        let name = name.map_err(|error| TlsError::new("server_name".as_ref(), &error))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    Ok(builder.enable_http1().wrap_connector(connector))
}

fn config(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the protocol's versions");
    let builder = match files.verification {
        Verification::Required => builder.with_root_certificates(roots(files)?),
        Verification::Skipped => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unlooked(provider)))
        }
    };
    let Some((certificate_path, key_path)) = &files.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate_path)?;
    let key = PrivateKeyDer::from_pem_file(key_path);
    let key = key.map_err(|error| TlsError::new(key_path, &error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| TlsError::new(key_path, &error))
}

fn roots(files: &TlsFiles) -> Result<RootCertStore, TlsError> {
    let certificates = match &files.ca {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => certificates(path)?,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    Ok(roots)
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| TlsError::new(path, &error))
}

/// Believes whoever answers, as the configuration says.
#[derive(Debug)]
struct Unlooked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unlooked {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
