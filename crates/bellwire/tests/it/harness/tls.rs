//! Certificates made on the spot, and TLS clients that trust them.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::raw::Raw;

/// A TLS connection to the server.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// An authority of a test's own, and the files of the pair that it has made last.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// PEM of a certificate and of its key.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// The certificate as it is sent.
    pub(crate) der: Vec<u8>,
}

impl Authority {
    /// With a first pair in its files.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("entropy");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("signed");
        let authority = Self { issuer, folder: tempfile::tempdir().expect("a folder") };
        let pair = authority.pair();
        authority.write("certificate.pem", &pair.certificate);
        authority.write("key.pem", &pair.key);
        authority.write("authority.pem", &authority.issuer.pem());
        authority
    }

    pub(crate) fn pair(&self) -> Pair {
        let names = ["localhost", "127.0.0.1", "bellwire.test"].map(ToOwned::to_owned);
        let key = KeyPair::generate().expect("entropy");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path as a flag takes it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Replaces a file as a whole, as the tools that renew certificates do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let new = self.folder().join("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, self.folder().join(name)).expect("renamed");
    }

    /// The server's flags for the files of the pair.
    pub(crate) fn flags(&self) -> Vec<String> {
        let (certificate, key) = (self.path("certificate.pem"), self.path("key.pem"));
        vec!["--tls-certificate".into(), certificate, "--tls-key".into(), key]
    }

    /// What a client is set up with; it speaks these protocols.
    pub(crate) fn client_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let mut config = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols =
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Connects and shakes hands, for HTTP/1.
    #[track_caller]
    pub(crate) fn connect(&self, address: SocketAddr) -> Raw<TlsStream> {
        let config = self.client_config(rustls::ALL_VERSIONS, &["http/1.1"]);
        self::connect(address, config)
    }
}

#[track_caller]
pub(crate) fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Raw<TlsStream> {
    shake_hands(Raw::connect(address).into_socket(), config).expect("the handshake goes well")
}

/// Shakes hands on a connection.
pub(crate) fn shake_hands(
    socket: TcpStream,
    config: Arc<ClientConfig>,
) -> io::Result<Raw<TlsStream>> {
    let session = ClientConnection::new(config, server_name()).expect("a configuration");
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Raw::over(stream))
}

/// The name that the certificates are for.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}
