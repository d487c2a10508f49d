//! What flows: the description that advice is asked for.

use serde::Serialize;

/// What there is between clients and a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Description {
    /// What is on the way, and who looks after it.
    pub infrastructure: Infrastructure,
    /// What flows, in the order of the description.
    pub flows: Vec<Flow>,
}

/// What all flows have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Infrastructure {
    /// Whether browsers reach the server by HTTP/2. They do only by TLS.
    pub http2: bool,
    /// What proxies on the way do with an answer that does not end.
    pub proxies: Proxies,
    /// Whether WebSockets come through.
    pub websockets: WebSockets,
    /// What the team runs and debugs today.
    pub team: Team,
}

/// What proxies do with an answer that does not end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proxies {
    /// Nobody knows.
    #[default]
    Unknown,
    /// There are none.
    None,
    /// They pass each piece on as it comes.
    Stream,
    /// They hold an answer back until it has ended.
    Buffer,
}

/// Whether WebSockets come through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebSockets {
    /// Nobody knows.
    #[default]
    Unknown,
    /// They do.
    Pass,
    /// They do not.
    Blocked,
}

/// What the team runs and debugs today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Team {
    /// Requests and answers: `curl`, logs of access, proxies, caches.
    #[default]
    Http,
    /// WebSockets, with what watches them.
    Websocket,
}

/// One flow: the same kind of events, between the server and clients of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flow {
    /// How it is called; no other flow of the description is called so.
    pub name: String,
    /// Events a second from the server to each client.
    pub down_per_second: f64,
    /// Events a second from each client to the server.
    pub up_per_second: f64,
    /// Bytes of the payload of an event to the client.
    pub bytes: f64,
    /// Bytes of the payload of an event from the client.
    pub up_bytes: f64,
    /// How late an event may be, in milliseconds.
    pub latency_ms: f64,
    /// What the clients are.
    pub client: Client,
    /// How many of them are connected at once.
    pub connections: f64,
    /// Whether payloads are binary.
    pub binary: bool,
    /// What proxies on the way of this flow do, where that is not what others' do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Proxies>,
    /// The same of WebSockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websockets: Option<WebSockets>,
}

/// What a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    /// A page in a browser.
    #[default]
    Browser,
    /// An application on a phone or a desktop.
    App,
    /// A program on a server.
    Program,
    /// A sensor, or another small device.
    Device,
}

/// Which way events flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the server to clients.
    Down,
    /// From clients to the server.
    Up,
    /// Both.
    Both,
}

impl Flow {
    /// Which way it flows.
    pub fn direction(&self) -> Direction {
        match (self.down_per_second > 0.0, self.up_per_second > 0.0) {
            (true, true) => Direction::Both,
            (false, true) => Direction::Up,
            _ => Direction::Down,
        }
    }

    /// What share of the events goes to clients, from 0 to 1.
    pub fn down_share(&self) -> f64 {
        self.down_per_second / (self.down_per_second + self.up_per_second)
    }

    /// Requests a second that a client has to make where it sends by `POST`: events that wait for one
    /// another no longer than they may be late go together.
    pub fn posts_per_second(&self) -> f64 {
        self.up_per_second.min(1_000.0 / self.latency_ms)
    }
}
