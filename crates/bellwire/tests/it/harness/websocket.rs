//! A WebSocket client that others wrote, for what is in order. What comes is one kind of value,
//! be it spoken in JSON or in `MessagePack`.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message};

use super::raw::Raw;

/// A subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Json,
    Msgpack,
}

impl Spoken {
    pub(crate) const BOTH: [Self; 2] = [Self::Json, Self::Msgpack];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "bellwire.v1.json",
            Self::Msgpack => "bellwire.v1.msgpack",
        }
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket {
    inner: tungstenite::WebSocket<TcpStream>,
    spoken: Spoken,
    /// What came while something else was waited for.
    aside: VecDeque<Value>,
    /// Pings that have come; they are answered.
    pub(crate) pings: usize,
}

impl WebSocket {
    /// Opens `/v1/events?{query}` and speaks JSON.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, query: &str) -> Self {
        Self::open_as(address, query, Spoken::Json)
    }

    #[track_caller]
    pub(crate) fn open_as(address: SocketAddr, query: &str, spoken: Spoken) -> Self {
        Self::try_open(address, query, spoken).expect("the server takes the handshake")
    }

    pub(crate) fn try_open(
        address: SocketAddr,
        query: &str,
        spoken: Spoken,
    ) -> std::io::Result<Self> {
        Self::offer(address, query, (spoken, spoken.name()))
    }

    /// Opens it with a token or a key, as a page shows it.
    #[track_caller]
    pub(crate) fn open_bearing(address: SocketAddr, query: &str, token: &str) -> Self {
        let offered = format!("{}, bellwire.bearer.{token}", Spoken::Json.name());
        let opened = Self::offer(address, query, (Spoken::Json, &offered));
        opened.expect("the server takes the handshake")
    }

    fn offer(
        address: SocketAddr,
        query: &str,
        (spoken, offered): (Spoken, &str),
    ) -> std::io::Result<Self> {
        let socket = Raw::try_connect(address)?.into_socket();
        let url = format!("ws://{address}/v1/events?{query}");
        let mut request = url.into_client_request().expect("a request");
        let names = offered.parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", names);
        let (inner, answer) =
            tungstenite::client(request, socket).map_err(std::io::Error::other)?;
        assert_eq!(answer.headers()["sec-websocket-protocol"], spoken.name());
        Ok(Self { inner, spoken, aside: VecDeque::new(), pings: 0 })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.inner.get_ref()
    }

    /// Sends a request.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Value) {
        self.try_ask(request).expect("the server reads");
    }

    pub(crate) fn try_ask(&mut self, request: &Value) -> Result<(), Box<Error>> {
        self.inner.send(self.message(request)).map_err(Box::new)
    }

    /// Sends bytes as the subprotocol has them.
    #[track_caller]
    pub(crate) fn send_raw(&mut self, payload: &[u8]) {
        let message = match self.spoken {
            Spoken::Json => Message::text(std::str::from_utf8(payload).expect("UTF-8")),
            Spoken::Msgpack => Message::binary(payload.to_vec()),
        };
        self.inner.send(message).expect("the server reads");
    }

    fn message(&self, request: &Value) -> Message {
        match self.spoken {
            Spoken::Json => Message::text(request.to_string()),
            Spoken::Msgpack => {
                let mut bytes = Vec::new();
                rmpv::encode::write_value(&mut bytes, &to_msgpack(request)).expect("memory");
                Message::binary(bytes)
            }
        }
    }

    /// Sends a request and waits for its reply; what comes before it is kept for later.
    #[track_caller]
    pub(crate) fn call(&mut self, request: &Value) -> Value {
        self.ask(request);
        self.reply(&request["id"])
    }

    /// The reply to the request with this id; what comes before it is kept for later.
    #[track_caller]
    pub(crate) fn reply(&mut self, id: &Value) -> Value {
        let is_reply = |item: &Value| item.get("reply") == Some(id);
        if let Some(index) = self.aside.iter().position(is_reply) {
            return self.aside.remove(index).expect("found");
        }
        loop {
            let item = self.receive().expect("the connection goes on");
            if is_reply(&item) {
                return item;
            }
            self.aside.push_back(item);
        }
    }

    /// The next event, control event or reply; an error says how the connection ended.
    #[track_caller]
    pub(crate) fn try_next(&mut self) -> Result<Value, End> {
        self.aside.pop_front().map_or_else(|| self.receive(), Ok)
    }

    /// The next event, control event or reply.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        self.try_next().expect("the connection goes on")
    }

    /// Reads up to the `ready` with this id, which comes last; `null` is the connection's own.
    #[track_caller]
    pub(crate) fn until_ready(&mut self, id: &Value) -> Vec<Value> {
        let mut items = Vec::new();
        loop {
            let item = self.next();
            let is_ready = item["control"] == "ready" && item["id"] == *id;
            items.push(item);
            if is_ready {
                return items;
            }
        }
    }

    /// The next events, all else left out.
    #[track_caller]
    pub(crate) fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            let item = self.next();
            if item.get("topic").is_some() {
                events.push(item);
            }
        }
        events
    }

    /// Follows more; returns what came up to its `ready`, which comes last.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, id: u64, topics: &[&str], after: &str) -> Vec<Value> {
        let request = json!({ "request": "subscribe", "id": id, "topics": topics, "after": after });
        assert_eq!(self.call(&request), json!({ "reply": id }));
        self.until_ready(&json!(id))
    }

    #[track_caller]
    pub(crate) fn unsubscribe(&mut self, topics: &[&str]) {
        let request = json!({ "request": "unsubscribe", "id": "unsubscribe", "topics": topics });
        assert_eq!(self.call(&request), json!({ "reply": "unsubscribe" }));
    }

    /// Publishes and waits until it is durable; returns its cursor.
    #[track_caller]
    pub(crate) fn publish(&mut self, topic: &str, data: Value) -> String {
        let request = json!({ "request": "publish", "id": "p", "topic": topic, "data": data });
        let reply = self.call(&request);
        reply["cursor"].as_str().unwrap_or_else(|| panic!("no cursor: {reply}")).to_owned()
    }

    /// Begins to end the connection.
    #[track_caller]
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.inner.close(Some(frame)).expect("the server reads");
    }

    /// Waits for the end of the connection, be it the server's wish or one's own.
    #[track_caller]
    pub(crate) fn end(&mut self) -> End {
        loop {
            if let Err(end) = self.try_next() {
                return end;
            }
        }
    }

    #[track_caller]
    fn receive(&mut self) -> Result<Value, End> {
        let mut close = None;
        loop {
            match self.inner.read() {
                Ok(Message::Text(text)) => {
                    assert_eq!(self.spoken, Spoken::Json);
                    return Ok(serde_json::from_str(&text).expect("JSON"));
                }
                Ok(Message::Binary(bytes)) => {
                    assert_eq!(self.spoken, Spoken::Msgpack);
                    let mut rest = &bytes[..];
                    let value = rmpv::decode::read_value(&mut rest).expect("MessagePack");
                    assert!(rest.is_empty(), "one value a frame");
                    return Ok(of_msgpack(&value));
                }
                Ok(Message::Ping(_)) => self.pings += 1,
                Ok(Message::Close(frame)) => close = frame,
                Ok(other) => panic!("a server has no reason to send {other:?}"),
                Err(Error::ConnectionClosed) => {
                    let close = close.expect("with a code");
                    return Err(End::Closed(close.code.into(), close.reason.to_string()));
                }
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("the server does not say what is waited for")
                }
                Err(error) => return Err(End::Broken(error.to_string())),
            }
        }
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order: code and reason.
    Closed(u16, String),
    /// Otherwise.
    Broken(String),
}

/// As JSON has it; what is binary becomes an array of numbers.
fn of_msgpack(value: &rmpv::Value) -> Value {
    match value {
        rmpv::Value::Nil => Value::Null,
        rmpv::Value::Boolean(is) => json!(is),
        rmpv::Value::Integer(number) => match number.as_u64() {
            Some(number) => json!(number),
            None => json!(number.as_i64()),
        },
        rmpv::Value::F32(number) => json!(number),
        rmpv::Value::F64(number) => json!(number),
        rmpv::Value::String(text) => json!(text.as_str().expect("UTF-8")),
        rmpv::Value::Binary(bytes) => json!(bytes),
        rmpv::Value::Array(items) => items.iter().map(of_msgpack).collect(),
        rmpv::Value::Map(members) => {
            let member = |(name, value): &(rmpv::Value, rmpv::Value)| {
                (name.as_str().expect("names are texts").to_owned(), of_msgpack(value))
            };
            Value::Object(members.iter().map(member).collect())
        }
        rmpv::Value::Ext(..) => panic!("the server sends no extension types"),
    }
}

fn to_msgpack(value: &Value) -> rmpv::Value {
    match value {
        Value::Null => rmpv::Value::Nil,
        Value::Bool(is) => (*is).into(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            _ => number.as_f64().expect("a number").into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => rmpv::Value::Array(items.iter().map(to_msgpack).collect()),
        Value::Object(members) => rmpv::Value::Map(
            members.iter().map(|(name, value)| (name.as_str().into(), to_msgpack(value))).collect(),
        ),
    }
}
