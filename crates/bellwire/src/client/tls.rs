//! TLS, as a client speaks it: whom it trusts, and whom it expects.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Shakes hands with one server.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the certificates of the file, or those that the system trusts.
    pub(super) fn new(host: &str, authorities: Option<&Path>) -> Result<Self> {
        let roots = match authorities {
            Some(path) => of_file(path)?,
            None => of_system()?,
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .context("the versions of TLS")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(host.to_owned())
            .with_context(|| format!("`{host}` is no name that a certificate can be for"))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(super) async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let shaken = self.connector.connect(self.name.clone(), stream).await;
        shaken.map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
            match cause.and_then(Refused::of) {
                Some(refused) => refused.into(),
                None => anyhow::Error::new(error).context("the TLS handshake failed"),
            }
        })
    }
}

/// Why no handshake with this server will do as long as neither side is set up otherwise.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{what}")]
pub(crate) struct Refused {
    what: &'static str,
    source: rustls::Error,
}

impl Refused {
    /// `None` where the next handshake may go well.
    fn of(error: &rustls::Error) -> Option<Self> {
        let what = match error {
            rustls::Error::InvalidCertificate(fault) => of_certificate(fault),
            rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS",
            rustls::Error::PeerIncompatible(_) => "the server and this client speak no common TLS",
            _ => return None,
        };
        Some(Self { what, source: error.clone() })
    }
}

/// What is wrong with a certificate, and what to do.
fn of_certificate(fault: &CertificateError) -> &'static str {
    match fault {
        // The others are signed by another authority with a name that is trusted.
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate is not trusted here; `--ca FILE` names whom to trust"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: renew it, or look at this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: look at the clocks of both machines"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name: write one of its own in the server's URL"
        }
        other if is_of_authority(other) => {
            "its certificate is one of an authority, which signs others and is no server's own: \
             give the server one with `CA:FALSE` (`openssl req -x509 … -addext \
             basicConstraints=critical,CA:FALSE`), or one that the authority has signed"
        }
        _ => "its certificate cannot be used",
    }
}

/// The reason is not among those of rustls; it comes as what webpki says.
fn is_of_authority(fault: &CertificateError) -> bool {
    matches!(fault, CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity"))
}

fn of_file(path: &Path) -> Result<RootCertStore> {
    let shown = path.display();
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read certificates from {shown}"))?;
    ensure!(!certificates.is_empty(), "{shown} holds no certificate in PEM");
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).with_context(|| format!("a certificate of {shown}"))?;
    }
    Ok(roots)
}

fn of_system() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems hold odd ones, too; those are trusted by nobody.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        let reasons = reasons.join("; ");
        bail!("this system trusts no certificate; name some with `--ca FILE` {reasons}");
    }
    Ok(roots)
}
