//! An issuer of tokens: a small server that publishes keys, or does what it should not, and the keys
//! to sign tokens with.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::tls::Authority;

/// A key that tokens are signed with.
pub(crate) struct SignerKey {
    name: String,
    pair: KeyPair,
}

impl SignerKey {
    pub(crate) fn new(name: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("entropy");
        Self { name: name.to_owned(), pair }
    }

    /// As a set of keys has it.
    pub(crate) fn jwk(&self) -> Value {
        let x = BASE64_URL.encode(self.pair.der_bytes());
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.name, "use": "sig" })
    }

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.name });
        let encoded = [&header, claims].map(|part| BASE64_URL.encode(part.to_string()));
        let text = encoded.join(".");
        let signature = self.pair.sign(text.as_bytes()).expect("signed");
        format!("{text}.{}", BASE64_URL.encode(signature))
    }
}

/// What is answered to a path.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// This status with these headers and this body.
    Whole(&'static str, String, String),
    /// Nothing, ever.
    Silence,
}

impl Reply {
    pub(crate) fn ok(body: &Value) -> Self {
        Self::Whole("200 OK", String::new(), body.to_string())
    }

    pub(crate) fn keys(keys: &[&SignerKey]) -> Self {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        Self::ok(&json!({ "keys": keys }))
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::Whole("302 Found", format!("Location: {to}\r\n"), String::new())
    }
}

#[derive(Debug, Default)]
struct Shared {
    replies: BTreeMap<String, Reply>,
    /// Paths with bodies.
    requests: Vec<(String, String)>,
}

/// Listens until the test's process ends.
#[derive(Debug)]
pub(crate) struct Issuer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Mutex<Shared>>,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").expect("a socket"), None)
    }

    /// Speaks TLS with the authority's pair.
    pub(crate) fn start_with_tls(authority: &Authority) -> Self {
        let pair = authority.pair();
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("a certificate")], key);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        Self::at(listener, Some(Arc::new(config.expect("a pair"))))
    }

    pub(crate) fn at(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, tls) = (socket.expect("a connection"), tls.clone());
                let shared = Arc::clone(&served);
                std::thread::spawn(move || match tls {
                    None => serve(socket, &shared),
                    Some(tls) => {
                        let session = ServerConnection::new(tls).expect("a configuration");
                        serve(StreamOwned::new(session, socket), &shared);
                    }
                });
            }
        });
        Self { address, scheme, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    /// What it answers to a path from now on.
    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.shared.lock().expect("not poisoned").replies.insert(path.to_owned(), reply);
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let shared = self.shared.lock().expect("not poisoned");
        shared.requests.iter().filter(|(asked, _)| asked == path).count()
    }

    /// What was posted to a path last.
    pub(crate) fn posted(&self, path: &str) -> Option<String> {
        let shared = self.shared.lock().expect("not poisoned");
        let last = shared.requests.iter().rev().find(|(asked, _)| asked == path);
        last.map(|(_, body)| body.clone())
    }
}

/// One connection, with as many requests as come over it. Whoever has asked may be gone.
fn serve(socket: impl Read + Write, shared: &Mutex<Shared>) {
    let mut stream = BufReader::new(socket);
    while let Some((path, body)) = read(&mut stream) {
        let reply = {
            let mut shared = shared.lock().expect("not poisoned");
            shared.requests.push((path.clone(), body));
            shared.replies.get(&path).cloned()
        };
        let (status, headers, body) = match reply {
            Some(Reply::Whole(status, headers, body)) => (status, headers, body),
            Some(Reply::Silence) => continue,
            None => ("404 Not Found", String::new(), String::new()),
        };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        let socket = stream.get_mut();
        if socket.write_all(answer.as_bytes()).and_then(|()| socket.flush()).is_err() {
            return;
        }
    }
}

/// The path of the next request, and its body.
fn read(stream: &mut impl BufRead) -> Option<(String, String)> {
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        let first = line.split(' ').nth(1).map(ToOwned::to_owned);
        path = path.or(first);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path?, String::from_utf8(body).ok()?))
}
