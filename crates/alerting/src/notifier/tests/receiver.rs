//! A receiver of notifications on a real socket.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// A request that a receiver has got.
pub(super) struct Got {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: serde_json::Value,
}

impl Got {
    /// The reason and the names of its alerts.
    pub(super) fn story(&self) -> String {
        let alerts = self.payload["alerts"].as_array().expect("a list").iter();
        let alerts = alerts.map(|alert| alert["labels"]["alertname"].as_str().expect("a name"));
        let reason = self.payload["notification_reason"].as_str().expect("a reason");
        format!("{reason}: {}", alerts.collect::<Vec<_>>().join(" "))
    }
}

/// What a receiver answers.
pub(super) type Answer = Response<Full<Bytes>>;

/// Answers with these, one after the other, then with 200.
type Script = Arc<Mutex<VecDeque<Answer>>>;

/// A server that answers as its script says.
pub(super) async fn receiver(
    answers: impl IntoIterator<Item = Answer>,
) -> (SocketAddr, mpsc::Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let script: Script = Arc::new(Mutex::new(answers.into_iter().collect()));
    let (got, requests) = mpsc::channel(100);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve(socket, script.clone(), got.clone()));
        }
    });
    (address, requests)
}

/// The same over TLS, with the certificate of `localhost` as PEM.
pub(super) async fn tls_receiver() -> (SocketAddr, mpsc::Receiver<Got>, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let (got, requests) = mpsc::channel(100);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.expect("a connection");
            let (acceptor, got) = (acceptor.clone(), got.clone());
            tokio::spawn(async move {
                // Who does not trust the certificate goes away.
                if let Ok(socket) = acceptor.accept(socket).await {
                    serve(socket, Script::default(), got).await;
                }
            });
        }
    });
    (address, requests, made.cert.pem())
}

async fn serve<S>(socket: S, script: Script, got: mpsc::Sender<Got>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, script.clone(), got.clone()));
    let connection = hyper::server::conn::http1::Builder::new();
    // A client may go away at any time.
    let _ = connection.serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(
    request: Request<Incoming>,
    script: Script,
    got: mpsc::Sender<Got>,
) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let payload = serde_json::from_slice(&body).expect("JSON");
    let request = Got { path: head.uri.path().to_owned(), headers: head.headers, payload };
    got.send(request).await.expect("room");
    let answer = script.lock().expect("whole").pop_front();
    Ok(answer.unwrap_or_default())
}

pub(super) fn status(code: u16) -> Answer {
    let status = StatusCode::from_u16(code).expect("a status");
    let body = Full::new(Bytes::from_static(b"as scripted"));
    Response::builder().status(status).body(body).expect("an answer")
}

pub(super) fn with_header(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    answer.headers_mut().insert(name, value.parse().expect("a header"));
    answer
}
