//! From two PEM files to what a handshake needs.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;

use super::expiry::Expiry;
use super::{Files, TlsError};
use crate::config::Hosts;

/// What two files come to.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) config: ServerConfig,
    /// Whom the certificate is for.
    pub(super) names: Hosts,
    pub(super) expiry: Option<Expiry>,
}

/// Reads the pair and checks that it is one.
pub(super) fn load(files: &Files) -> Result<Pair, TlsError> {
    let (chain, key) = (chain(&files.certificate)?, key(&files.key)?);
    let expiry = chain.first().and_then(|certificate| Expiry::of_certificate(certificate));
    let names = chain.first().map(names).unwrap_or_default();
    let unusable = |error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() }
        }
        source => TlsError::Unusable {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        },
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A client that comes back saves the signature. Its ticket holds all that takes, so that
    // nothing is remembered here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
    config.send_tls13_tickets = 1;
    Ok(Pair { config, names, expiry })
}

/// The names of DNS in a certificate; none where no sense can be made of it.
fn names(certificate: &CertificateDer<'_>) -> Hosts {
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(certificate) => Hosts::of_names(certificate.valid_dns_names()),
        Err(_) => Hosts::default(),
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|source| TlsError::Malformed { path: path.to_owned(), source })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    let path = path.to_owned();
    if is_encrypted(&text) {
        return Err(TlsError::EncryptedKey { path });
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path },
        source => TlsError::Malformed { path, source },
    })
}

/// Both forms that there are: of PKCS #8, and the older one with a header.
fn is_encrypted(text: &[u8]) -> bool {
    [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|sign| text.windows(sign.len()).any(|window| window == *sign))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        }
    }

    /// PEM of a certificate and of its key.
    fn made() -> (String, String) {
        let made =
            rcgen::generate_simple_self_signed(["bellwire.example".to_owned()]).expect("made");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_chain_and_its_key_are_a_pair_wherever_they_stand() {
        let folder = Folder::new();
        let (certificate, key) = made();
        let (other, _) = made();
        let both = folder.write("both.pem", &format!("{key}{certificate}{other}"));
        let files = Files { certificate: both.clone(), key: both };
        let Pair { config, names, expiry } = load(&files).expect("a pair");
        assert!(names.have("bellwire.example") && !names.have("example"));
        assert!(expiry.is_some());
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(config.send_tls13_tickets, 1);
    }

    #[test]
    fn each_mistake_says_what_and_where() {
        let folder = Folder::new();
        let (certificate, key) = made();
        let (_, other_key) = made();
        let good = folder.write("good.pem", &certificate);
        let good_key = folder.write("good.key", &key);
        let other_key = folder.write("other.key", &other_key);
        let text = folder.write("text.pem", "hello");
        let broken = folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
        let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let empty = folder.write("empty.pem", empty);
        let pkcs8 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
        let pkcs8 = folder.write("pkcs8.key", pkcs8);
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
        let old = folder.write("old.key", old);
        let missing = folder.0.path().join("missing.pem");
        let cases = [
            (&missing, &good_key, "cannot read ", "missing.pem"),
            (&good, &missing, "cannot read ", "missing.pem"),
            (&text, &good_key, "has no certificate", "text.pem"),
            (&broken, &good_key, "is not valid PEM", "broken.pem"),
            (&empty, &good_key, "cannot be used", "empty.pem"),
            (&good, &good, "has no private key", "good.pem"),
            (&good, &pkcs8, "is encrypted", "pkcs8.key"),
            (&good, &old, "is encrypted", "old.key"),
            (&good, &other_key, "does not belong", "other.key"),
        ];
        for (certificate, key, what, place) in cases {
            let files = Files { certificate: certificate.clone(), key: key.clone() };
            let error = load(&files).expect_err(what).to_string();
            assert!(error.contains(what) && error.contains(place), "{error}");
        }
    }
}
