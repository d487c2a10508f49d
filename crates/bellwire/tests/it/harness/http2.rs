//! A client of HTTP/2 that does nothing between two calls: what it is sent meanwhile waits.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;

use bellwire_wire::sse::Parser;
use bellwire_wire::ws::{self, Compression, Decoder, Inflater, Input, Opcode, Received, Role};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::ext::Protocol;
use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::PATIENCE;
use super::http::{Answer, Request};
use super::sse::{StreamItem, of_item};
use super::tls::{Authority, server_name};

/// Bytes of a stream, and of a connection, that a client takes before it has read them.
const STREAM_WINDOW_BYTES: u32 = 65_535;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// A connection.
#[derive(Debug)]
pub(crate) struct Http2 {
    runtime: Runtime,
    authority: String,
    scheme: &'static str,
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    /// Without TLS: the client knows that the server speaks HTTP/2.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self::open("http", address, async move {
            TcpStream::connect(address).await.expect("the server listens")
        })
    }

    /// Over TLS, where the handshake says so.
    pub(crate) fn secure(address: SocketAddr, authority: &Authority) -> Self {
        let config = authority.client_config(rustls::ALL_VERSIONS, &["h2", "http/1.1"]);
        Self::open("https", address, async move {
            let stream = TcpStream::connect(address).await.expect("the server listens");
            let connected = TlsConnector::from(config).connect(server_name(), stream).await;
            let stream = connected.expect("the handshake goes well");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            stream
        })
    }

    fn open<S>(scheme: &'static str, address: SocketAddr, connect: impl Future<Output = S>) -> Self
    where
        TokioIo<S>: Read + Write + Unpin + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().expect("a runtime");
        let (sender, connection) = runtime.block_on(within_patience(async {
            let stream = TokioIo::new(connect.await);
            let mut builder = Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(STREAM_WINDOW_BYTES);
            builder.initial_connection_window_size(CONNECTION_WINDOW_BYTES);
            builder.handshake(stream).await.expect("the server speaks HTTP/2")
        }));
        let driver = runtime.spawn(connection);
        Self { runtime, authority: address.to_string(), scheme, sender, driver }
    }

    /// Asks the server by another name.
    pub(crate) fn by_name(self, authority: &str) -> Self {
        Self { authority: authority.to_owned(), ..self }
    }

    /// Host and port of the server.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends a request and reads the whole answer.
    #[track_caller]
    pub(crate) fn request(&mut self, request: Request<'_>) -> Answer {
        let response = self.send(request);
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("a text").to_owned()));
        let headers = headers.collect();
        let body = self.runtime.block_on(within_patience(response.into_body().collect()));
        Answer { status, headers, body: body.expect("the whole body").to_bytes().to_vec() }
    }

    /// The same, but of a stream its head alone.
    #[track_caller]
    pub(crate) fn begin(&mut self, request: Request<'_>) -> Answer {
        let response = self.send(request);
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        if status != 200 {
            let rest = self.runtime.block_on(within_patience(response.into_body().collect()));
            body = rest.expect("the whole body").to_bytes().to_vec();
        }
        Answer { status, headers: Vec::new(), body }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.request(Request { method: "GET", path, headers: &[], body: b"" })
    }

    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request(Request { method: "POST", path, headers: &[], body: body.as_ref() })
    }

    /// Opens `/v1/events?{query}`.
    #[track_caller]
    pub(crate) fn stream(&mut self, query: &str, headers: &[(&str, &str)]) -> Http2Stream {
        let path = format!("/v1/events?{query}");
        let response = self.send(Request { method: "GET", path: &path, headers, body: b"" });
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = response.into_body();
        Http2Stream { body, parser: Parser::default(), items: VecDeque::new() }
    }

    /// Asks for a WebSocket as RFC 8441 has it; returns the answer.
    #[track_caller]
    pub(crate) fn connect(
        &mut self,
        query: &str,
        protocol: &'static str,
        headers: &[(&str, &str)],
    ) -> hyper::Response<Incoming> {
        let path = format!("/v1/events{query}");
        let mut request =
            self.prepare(Request { method: "CONNECT", path: &path, headers, body: b"" });
        request.extensions_mut().insert(Protocol::from_static(protocol));
        self.pass(request)
    }

    /// Opens a WebSocket.
    #[track_caller]
    pub(crate) fn websocket(&mut self, query: &str, headers: &[(&str, &str)]) -> Http2WebSocket {
        let version = [("sec-websocket-version", "13")];
        let headers: Vec<_> = version.into_iter().chain(headers.iter().copied()).collect();
        let answer = self.connect(query, "websocket", &headers);
        assert_eq!(answer.status(), 200);
        let upgraded = self.runtime.block_on(within_patience(hyper::upgrade::on(answer)));
        let stream = TokioIo::new(upgraded.expect("both ways are open"));
        let decoder = Decoder::new(Role::Client, Compression::Off);
        Http2WebSocket { stream, decoder, said: VecDeque::new() }
    }

    /// Says something as a WebSocket's client.
    #[track_caller]
    pub(crate) fn say(&self, websocket: &mut Http2WebSocket, opcode: Opcode, payload: &[u8]) {
        let frame = ws::masked_frame(opcode, payload, [1, 2, 3, 4]);
        let write = async {
            websocket.stream.write_all(&frame).await?;
            websocket.stream.flush().await
        };
        self.runtime.block_on(within_patience(write)).expect("the server reads");
    }

    /// What a WebSocket is told next; `None` at its end.
    #[track_caller]
    pub(crate) fn hear(&self, websocket: &mut Http2WebSocket) -> Option<Received<'static>> {
        let mut buffer = vec![0; 65_536];
        while websocket.said.is_empty() {
            let read = websocket.stream.read(&mut buffer);
            let read = self.runtime.block_on(within_patience(read)).expect("it goes on");
            if read == 0 {
                return None;
            }
            let mut input = Input::new(&mut buffer[..read]);
            while let Some(said) =
                websocket.decoder.next(&mut input, &mut Inflater::default()).expect("valid frames")
            {
                websocket.said.push_back(match said {
                    Received::Text(text) => Received::Text(text.into_owned().into()),
                    Received::Binary(bytes) => Received::Binary(bytes.into_owned().into()),
                    Received::Ping(bytes) => Received::Ping(bytes.into_owned().into()),
                    Received::Pong(bytes) => Received::Pong(bytes.into_owned().into()),
                    Received::Close(close) => Received::Close(close),
                });
            }
        }
        websocket.said.pop_front()
    }

    /// The JSON of the next text that a WebSocket is told.
    #[track_caller]
    pub(crate) fn hear_json(&self, websocket: &mut Http2WebSocket) -> serde_json::Value {
        loop {
            match self.hear(websocket).expect("it goes on") {
                Received::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Received::Ping(_) => {}
                other => panic!("no text: {other:?}"),
            }
        }
    }

    #[track_caller]
    fn send(&mut self, request: Request<'_>) -> hyper::Response<Incoming> {
        let request = self.prepare(request);
        self.pass(request)
    }

    fn prepare(&self, request: Request<'_>) -> hyper::Request<Full<Bytes>> {
        let Request { method, path, headers, body } = request;
        let uri = format!("{}://{}{path}", self.scheme, self.authority);
        let mut builder = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Full::new(Bytes::copy_from_slice(body))).expect("valid")
    }

    #[track_caller]
    fn pass(&mut self, request: hyper::Request<Full<Bytes>>) -> hyper::Response<Incoming> {
        let sender = &mut self.sender;
        let answer = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        self.runtime.block_on(within_patience(answer)).expect("an answer")
    }

    /// The next event of a stream, control events included; `None` at its end.
    #[track_caller]
    pub(crate) fn next(&self, stream: &mut Http2Stream) -> Option<StreamItem> {
        while stream.items.is_empty() {
            let frame = self.runtime.block_on(within_patience(stream.body.frame()))?;
            let bytes = frame.expect("the stream goes on").into_data().expect("no trailers");
            let mut items = Vec::new();
            stream.parser.push(&bytes, &mut items).expect("events of a sane size");
            stream.items.extend(items.into_iter().filter_map(of_item));
        }
        stream.items.pop_front()
    }

    /// The next event of a stream that is of this type.
    #[track_caller]
    pub(crate) fn next_of(&self, stream: &mut Http2Stream, event_type: &str) -> StreamItem {
        loop {
            let item = self.next(stream).expect("the stream goes on");
            if item.event_type == event_type {
                return item;
            }
        }
    }

    /// Lets the connection work until it has nothing more to do, and waits for its end.
    #[track_caller]
    pub(crate) fn ended(self) -> hyper::Result<()> {
        let Self { runtime, sender, driver, .. } = self;
        let ended = runtime.block_on(within_patience(driver)).expect("no panic");
        drop(sender);
        ended
    }

    /// Lets the connection work for as long as something else takes.
    pub(crate) fn meanwhile<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let done = self.runtime.block_on(async { tokio::task::spawn_blocking(work).await });
        done.expect("no panic")
    }
}

/// An open stream of a connection. Dropping it resets it.
#[derive(Debug)]
pub(crate) struct Http2Stream {
    body: Incoming,
    parser: Parser,
    items: VecDeque<StreamItem>,
}

/// An open WebSocket of a connection. Dropping it resets it.
#[derive(Debug)]
pub(crate) struct Http2WebSocket {
    stream: TokioIo<Upgraded>,
    decoder: Decoder,
    said: VecDeque<Received<'static>>,
}

async fn within_patience<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("the server answers in time")
}
