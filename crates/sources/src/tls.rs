//! TLS towards others: whom to trust, and with which certificate to come.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwire_model::with_causes;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::Deserialize;
use thiserror::Error;

/// `tls_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of whom to trust, instead of whom the system trusts.
    pub ca: Option<PathBuf>,
    /// PEM files of our certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate has to be of, where that is not its host's.
    pub server_name: Option<String>,
    /// Whether the server's certificate is looked at.
    pub verification: Verification,
}

/// Whether a server's certificate is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// It is.
    #[default]
    Required,
    /// `insecure_skip_verify`: whoever answers is believed.
    Skipped,
}

/// `tls_config`, as the configuration has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
    insecure_skip_verify: Option<bool>,
}

/// Certificates or keys that cannot be used.
#[derive(Debug, Error)]
#[error("{}: {reason}", path.display())]
pub(crate) struct TlsError {
    path: PathBuf,
    reason: String,
}

impl TlsError {
    fn new(path: &Path, error: &dyn std::error::Error) -> Self {
        Self { path: path.to_owned(), reason: with_causes(error) }
    }
}

impl TlsTable {
    /// The files, or what is wrong with what is said of them.
    pub fn files(self) -> Result<TlsFiles, String> {
        let identity = match (self.cert_file, self.key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("`cert_file` and `key_file` go together".into()),
        };
        let verification = match self.insecure_skip_verify {
            Some(true) => Verification::Skipped,
            Some(false) | None => Verification::Required,
        };
        Ok(TlsFiles { ca: self.ca_file, identity, server_name: self.server_name, verification })
    }
}

impl TlsFiles {
    /// Reads the files.
    pub(crate) fn config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the protocol's versions");
        let builder = match self.verification {
            Verification::Required => builder.with_root_certificates(self.roots()?),
            Verification::Skipped => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Unlooked(provider)))
            }
        };
        let Some((certificate_path, key_path)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(certificate_path)?;
        let key = PrivateKeyDer::from_pem_file(key_path);
        let key = key.map_err(|error| TlsError::new(key_path, &error))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| TlsError::new(key_path, &error))
    }

    /// The name that the server's certificate has to be of, where that is not its host's.
    pub(crate) fn server_name(&self) -> Result<Option<ServerName<'static>>, TlsError> {
        let name = self.server_name.clone().map(ServerName::try_from).transpose();
        name.map_err(|error| TlsError::new("server_name".as_ref(), &error))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let certificates = match &self.ca {
            None => rustls_native_certs::load_native_certs().certs,
            Some(path) => certificates(path)?,
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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
