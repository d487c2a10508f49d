//! Servers that are measured as one: nodes of a cluster, or one server that stands alone.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use super::engine::{Engine, EngineFlags};
use super::{ClusterPlace, Durability, Server};
use crate::load::{Connection, Peer, request};
use crate::process::Memory;

/// Longer than a lease lasts of a node that is gone, and the next one takes to begin anew.
const KEEPER_TIME_MAX: Duration = Duration::from_mins(1);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Nodes and what they share; all that was started ends with this value.
#[derive(Debug)]
pub(crate) struct Nodes {
    // In this order they end: the nodes, then what they share.
    servers: Vec<Server>,
    engine: Option<Engine>,
    durability: Durability,
}

/// CPU time that something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeCpu {
    /// All nodes together.
    pub(crate) nodes: Option<Duration>,
    /// The engine, where it was started here.
    pub(crate) engine: Option<Duration>,
}

impl Nodes {
    /// One server with the journal that it has by itself.
    pub(crate) fn alone(durability: Durability) -> Result<Self> {
        let servers = vec![Server::node(durability, None, None)?];
        Ok(Self { servers, engine: None, durability })
    }

    /// So many nodes of a new cluster.
    pub(crate) fn cluster(
        flags: &EngineFlags,
        count: usize,
        durability: Durability,
    ) -> Result<Self> {
        let engine = Engine::provide(flags)?;
        // Another one each time: the engine may have those of other runs.
        let name = format!("bench-{:016x}", fastrand::u64(..));
        let place = ClusterPlace { engine: &engine.url, name: &name };
        let start = |_| Server::node(durability, Some(place), None);
        let servers = (0..count).map(start).collect::<Result<_>>()?;
        Ok(Self { servers, engine: Some(engine), durability })
    }

    pub(crate) fn are_cluster(&self) -> bool {
        self.engine.is_some()
    }

    pub(crate) fn count(&self) -> usize {
        self.servers.len()
    }

    /// The one at which is published.
    pub(crate) fn first(&self) -> &Server {
        self.servers.first().expect("there is one")
    }

    /// Another one, where there are several.
    pub(crate) fn last(&self) -> &Server {
        self.servers.last().expect("there is one")
    }

    /// How clients reach each of them.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.servers.iter().map(|server| server.peer().clone()).collect()
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.peer().address).collect()
    }

    /// Which of them evaluates the rules, once one does; a server that stands alone does.
    pub(crate) fn keeper(&self) -> Result<usize> {
        if !self.are_cluster() {
            return Ok(0);
        }
        let began = Instant::now();
        loop {
            for (at, server) in self.servers.iter().enumerate() {
                // One that begins anew answers nothing meanwhile.
                if is_keeper(server.peer()).unwrap_or(false) {
                    return Ok(at);
                }
            }
            ensure!(
                began.elapsed() < KEEPER_TIME_MAX,
                "no node evaluates the rules after {} s",
                KEEPER_TIME_MAX.as_secs()
            );
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// One that is at a place.
    pub(crate) fn at(&self, place: usize) -> &Server {
        &self.servers[place]
    }

    /// Ends the one at a place at once, as a crash would. Returns what it has left.
    pub(crate) fn kill(&mut self, place: usize) -> Option<TempDir> {
        self.servers.remove(place).kill()
    }

    /// Starts the one again that stands alone, elsewhere and with what it has left.
    pub(crate) fn start_again(&mut self, left: Option<TempDir>) -> Result<()> {
        self.servers.push(Server::node(self.durability, None, left)?);
        Ok(())
    }

    /// Does something, and says how much CPU time it took.
    pub(crate) fn timed<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, NodeCpu)> {
        let before = self.cpu_time()?;
        let done = work()?;
        let after = self.cpu_time()?;
        let taken = |of: fn(&NodeCpu) -> Option<Duration>| {
            of(&after).zip(of(&before)).map(|(after, before)| after.saturating_sub(before))
        };
        Ok((done, NodeCpu { nodes: taken(|cpu| cpu.nodes), engine: taken(|cpu| cpu.engine) }))
    }

    fn cpu_time(&self) -> Result<NodeCpu> {
        let nodes = self.servers.iter().map(Server::cpu_time).sum::<Result<Option<Duration>>>()?;
        let engine = self.engine.as_ref().map(Engine::cpu_time).transpose()?.flatten();
        Ok(NodeCpu { nodes, engine })
    }

    /// Memory of all nodes now, without the engine.
    pub(crate) fn memory(&self) -> Result<Memory> {
        self.servers.iter().map(Server::memory).sum()
    }
}

/// What a node says of itself and of who evaluates the rules.
#[derive(Deserialize)]
struct Standing {
    node: String,
    desk: Option<String>,
}

fn is_keeper(peer: &Peer) -> Result<bool> {
    let answer = Connection::open(peer)?.ask(&request::poll("/v1/nodes"))?;
    let Standing { node, desk } =
        serde_json::from_slice(&answer).context("no answer about nodes")?;
    Ok(desk == Some(node))
}
