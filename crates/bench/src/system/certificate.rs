//! A certificate for one run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};

/// The files of a certificate and its key, and who trusts them.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    /// For clients that do the whole handshake each time, as those do that come anew.
    pub(crate) trust: Arc<ClientConfig>,
}

impl Certificate {
    /// Makes one for `localhost`, in a folder.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let names = ["localhost".to_owned()];
        let made =
            rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(path)
        };
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).context("nobody can trust the certificate")?;
        let mut trust = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        trust.resumption = Resumption::disabled();
        Ok(Self {
            chain: write("certificate.pem", made.cert.pem())?,
            key: write("key.pem", made.signing_key.serialize_pem())?,
            trust: Arc::new(trust),
        })
    }
}
