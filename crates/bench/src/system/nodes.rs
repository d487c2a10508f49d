//! Servers that are measured as one: nodes of a cluster, or one server that stands alone.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::engine::{Engine, EngineFlags};
use super::{ClusterPlace, Durability, Server};
use crate::load::Peer;
use crate::process::Memory;

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

    /// Ends the last one at once, as a crash would. Returns what it has left.
    pub(crate) fn kill_last(&mut self) -> Result<Option<TempDir>> {
        Ok(self.servers.pop().context("there is none")?.kill())
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
