//! Whom a client trusts over TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::ArgumentError;

/// Whose certificates count.
#[derive(Clone, Debug, Default)]
pub(crate) enum Trust {
    /// Of whom the system trusts.
    #[default]
    System,
    /// Of whom a PEM file names, and of nobody else.
    File(PathBuf),
    /// Of whom the system trusts, if that is anybody: only a redirect leads to TLS.
    SystemOrNobody,
}

impl Trust {
    pub(crate) fn config(&self) -> Result<ClientConfig, ArgumentError> {
        let roots = match self {
            Self::System => of_system()?,
            Self::File(path) => of_file(path)?,
            Self::SystemOrNobody => of_system().unwrap_or_else(|_| RootCertStore::empty()),
        };
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows the protocol's versions");
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

fn of_file(path: &Path) -> Result<RootCertStore, ArgumentError> {
    let unreadable = |source| ArgumentError::TrustFile { path: path.to_owned(), source };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(error.into()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| unreadable(error.into()))?;
    }
    if roots.is_empty() {
        return Err(ArgumentError::TrustEmpty { path: path.to_owned() });
    }
    Ok(roots)
}

fn of_system() -> Result<RootCertStore, ArgumentError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems hold odd ones, too; those are trusted by nobody.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(ArgumentError::TrustNobody { reasons: reasons.join("; ") });
    }
    Ok(roots)
}
