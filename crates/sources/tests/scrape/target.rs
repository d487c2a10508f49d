//! A target: a small HTTP server that answers as it is told, over kept connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    head: String,
    body: Vec<u8>,
    ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Whole,
    /// The body is longer than what comes of it.
    Half,
    /// Nothing is sent at all.
    Nothing,
    /// Without a head of its own.
    Raw,
}

impl Answer {
    pub(crate) fn text(body: &str) -> Self {
        Self::of_type("text/plain; version=0.0.4", body)
    }

    pub(crate) fn of_type(content_type: &str, body: &str) -> Self {
        Self::untyped(body).with("Content-Type", content_type)
    }

    pub(crate) fn untyped(body: &str) -> Self {
        let head = "HTTP/1.1 200 OK\r\n".to_owned();
        Self { head, body: body.as_bytes().to_vec(), ending: Ending::Whole }
    }

    pub(crate) fn gzip(body: &str) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body.as_bytes()).expect("memory");
        let body = encoder.finish().expect("memory");
        Self { body, ..Self::text("") }.with("Content-Encoding", "gzip")
    }

    pub(crate) fn status(status: &str) -> Self {
        Self { head: format!("HTTP/1.1 {status}\r\n"), ..Self::text("") }
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::status("302 Found").with("Location", location)
    }

    pub(crate) fn half() -> Self {
        Self { ending: Ending::Half, ..Self::text("a 1\n") }
    }

    pub(crate) fn hanging() -> Self {
        Self { ending: Ending::Nothing, ..Self::text("") }
    }

    pub(crate) fn raw(text: &str) -> Self {
        Self { head: text.into(), body: Vec::new(), ending: Ending::Raw }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.head = format!("{}{name}: {value}\r\n", self.head);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let length = match self.ending {
            Ending::Whole => self.body.len(),
            Ending::Half => self.body.len() + 1,
            Ending::Nothing => return Vec::new(),
            Ending::Raw => return self.head.clone().into_bytes(),
        };
        let head = format!("{}Content-Length: {length}\r\n\r\n", self.head);
        [head.as_bytes(), &self.body].concat()
    }
}

#[derive(Debug)]
struct State {
    answer: Answer,
    requests: Vec<String>,
    connections: usize,
}

/// Listens until the test's process ends.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    ca: Option<tempfile::NamedTempFile>,
}

impl Target {
    pub(crate) fn new(answer: Answer) -> Self {
        Self::start(answer, None)
    }

    /// One that speaks TLS with a certificate of its own for `127.0.0.1`.
    pub(crate) fn with_tls(answer: Answer) -> Self {
        let names = vec!["127.0.0.1".to_owned()];
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(names).expect("a certificate");
        let ca = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(ca.path(), cert.pem()).expect("written");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(cert.der().to_vec())], key)
            .expect("a certificate with its key");
        Self { ca: Some(ca), ..Self::start(answer, Some(Arc::new(config))) }
    }

    fn start(answer: Answer, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let state = State { answer, requests: Vec::new(), connections: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, state, tls) =
                    (socket.expect("a connection"), Arc::clone(&shared), tls.clone());
                state.lock().expect("whole").connections += 1;
                std::thread::spawn(move || match tls {
                    None => serve(socket, &state),
                    Some(config) => {
                        let connection = ServerConnection::new(config).expect("a connection");
                        serve_tls(StreamOwned::new(connection, socket), &state);
                    }
                });
            }
        });
        Self { address, state, ca: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn ca_file(&self) -> &Path {
        self.ca.as_ref().expect("it speaks TLS").path()
    }

    pub(crate) fn set(&self, answer: Answer) {
        self.state.lock().expect("whole").answer = answer;
    }

    /// The heads of all requests so far, names in lower case as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().expect("whole").requests.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().expect("whole").connections
    }

    /// Waits for a request with this text.
    pub(crate) fn until(&self, text: &str) {
        while !self.requests().iter().any(|head| head.contains(text)) {
            std::thread::yield_now();
        }
    }
}

fn serve(socket: TcpStream, state: &Mutex<State>) {
    let writer = socket.try_clone().expect("a socket");
    answer_all(BufReader::new(socket), writer, state);
}

fn serve_tls(stream: StreamOwned<ServerConnection, TcpStream>, state: &Mutex<State>) {
    let stream = Arc::new(Mutex::new(stream));
    answer_all(BufReader::new(Half(Arc::clone(&stream))), Half(stream), state);
}

/// Either direction of a TLS stream: they take turns.
struct Half(Arc<Mutex<StreamOwned<ServerConnection, TcpStream>>>);

impl Read for Half {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").read(bytes)
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().expect("whole").flush()
    }
}

/// Answers one request after the other, until whoever asks is gone.
fn answer_all(mut reader: impl BufRead, mut writer: impl Write, state: &Mutex<State>) {
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let bytes = {
            let mut state = state.lock().expect("whole");
            state.requests.push(head);
            state.answer.bytes()
        };
        if writer.write_all(&bytes).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}
