//! Nodes of a cluster: the real binary twice, on each engine that is there.

mod access;
mod away;
mod behind;
mod desk;
mod ending;
mod joining;
mod lost;
mod mirror;
mod outages;
mod passing;
mod presence;
mod refusals;
mod signed;
mod snapshots;
mod standby;
mod state;
mod streams;

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::engine::Kind;
use crate::harness::{Answer, Engine, Raw, Request, Server, get, request, until};

const KINDS: [Kind; 2] = [Kind::Nats, Kind::Redis];

/// Both have it: what nodes of a cluster say of topics is the same.
const CONFIG: &str = "[[topic]]\nmatch = \"tickers/**\"\nkind = \"state\"\n";

/// Two nodes, and what they share.
struct Pair {
    engine: Engine,
    nodes: [Server; 2],
    folder: TempDir,
}

impl Pair {
    /// `None`, and a loud word, where the engine is not there.
    fn start(kind: Kind) -> Option<Self> {
        Some(Self::on(Engine::start(kind)?))
    }

    fn on(engine: Engine) -> Self {
        Self::configured(engine, CONFIG, &[])
    }

    /// Nodes of this configuration, with these files beside it.
    fn configured(engine: Engine, config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("bellwire.toml", config)].iter().chain(files) {
            let text = text.replace("{folder}", folder.path().to_str().expect("UTF-8"));
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let nodes = [node(&engine, &folder), node(&engine, &folder)];
        Self { engine, nodes, folder }
    }

    fn addresses(&self) -> [SocketAddr; 2] {
        [self.nodes[0].address(), self.nodes[1].address()]
    }

    /// One more, with an empty folder.
    fn join(&self) -> Server {
        node(&self.engine, &self.folder)
    }

    /// Waits until both nodes have what the cluster has.
    #[track_caller]
    fn settle(&self) {
        let [one, other] = self.addresses();
        until("both nodes have the same events", || tail(one) == tail(other));
    }
}

fn node(engine: &Engine, folder: &TempDir) -> Server {
    let config = folder.path().join("bellwire.toml");
    let url = engine.url();
    Server::start_with(&["--cluster", &url, "--config", config.to_str().expect("UTF-8")])
}

/// Tests each engine that is there.
fn on_each(test: impl Fn(Pair)) {
    KINDS.into_iter().filter_map(Pair::start).for_each(test);
}

/// The cursor of the newest event that a node has.
fn tail(address: SocketAddr) -> String {
    let page = get(address, "/v1/topics/nothing/here?limit=1").json();
    page["cursor"].as_str().expect("a cursor").to_owned()
}

/// All events of a topic, as a node tells them.
fn history(address: SocketAddr, topic: &str) -> Vec<Value> {
    let answer = get(address, &format!("/v1/topics/{topic}?after=earliest&limit=1000"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["events"].as_array().expect("events").clone()
}

/// The data of events.
fn data(events: &[Value]) -> Vec<Value> {
    events.iter().map(|event| event["data"].clone()).collect()
}

/// Publishes what counts once.
fn post_once(address: SocketAddr, topic: &str, (key, body): (&str, &str)) -> Answer {
    let path = format!("/v1/topics/{topic}");
    let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
    request(
        address,
        Request { method: "POST", path: &path, headers: &headers, body: body.as_bytes() },
    )
}

/// What a node says that may be about to begin anew.
fn try_get(address: SocketAddr, path: &str) -> Option<Answer> {
    let mut raw = Raw::try_connect(address).ok()?;
    raw.try_send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).ok()?;
    raw.try_answer().ok()
}
