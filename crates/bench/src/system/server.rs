//! The server that is measured: one that was started here, or one that runs already.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use url::Url;

use super::child::Started;
use super::{
    Access, Certificate, ClusterPlace, Durability, Launch, Listener, ServerFlags, System,
    SystemFlags, SystemName, Transport, access,
};
use crate::load::{Opening, Peer, Publisher, Subscribers, request};
use crate::process::{self, Memory};

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_mins(5);
const START_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A server to measure. One that was started ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    system: &'static dyn System,
    transport: Transport,
    peer: Peer,
    /// Its processes, where they are known, without those that they start.
    pids: Vec<u32>,
    /// What publishers and subscribers show.
    token: Option<String>,
    started: Option<Started>,
}

/// How a server is to be started.
struct Order<'a> {
    tls: bool,
    durability: Durability,
    rules: Option<&'a str>,
    access: Access,
    topics: &'a str,
    mqtt: Option<Listener<'a>>,
    cluster: Option<ClusterPlace<'a>>,
    /// Where the last run has left what it keeps.
    folder: Option<TempDir>,
}

impl Order<'_> {
    /// Everybody may come, and nothing is asked for beside the durability.
    const fn plain(durability: Durability) -> Self {
        Self {
            tls: false,
            durability,
            rules: None,
            access: Access::Everybody,
            topics: "",
            mqtt: None,
            cluster: None,
            folder: None,
        }
    }
}

impl Server {
    /// The server that the flags name, or a new one.
    pub(crate) fn provide(flags: &SystemFlags) -> Result<Self> {
        Self::provide_with_topics(flags, "")
    }

    /// The same, whose configuration says this of topics where it is a new one.
    pub(crate) fn provide_with_topics(flags: &SystemFlags, topics: &str) -> Result<Self> {
        let SystemFlags { system, transport, tls, durability, ref server } = *flags;
        let order = Order { tls, topics, ..Order::plain(durability) };
        let server = Self::of(system, server, order)?;
        Ok(Self { transport, ..server })
    }

    /// A Bellwire, with rules where they are given.
    pub(crate) fn bellwire(
        flags: &ServerFlags,
        durability: Durability,
        rules: Option<&str>,
    ) -> Result<Self> {
        let order = Order { rules, ..Order::plain(durability) };
        Self::of(SystemName::Bellwire, flags, order)
    }

    /// A Bellwire that lets nobody in but those whom it knows. One that runs already knows who has
    /// this token; where there is none, it asks nobody.
    pub(crate) fn bellwire_with_access(
        flags: &ServerFlags,
        durability: Durability,
        token: Option<&str>,
    ) -> Result<Self> {
        let order = Order { access: Access::Known, ..Order::plain(durability) };
        let server = Self::of(SystemName::Bellwire, flags, order)?;
        let own = || (!flags.is_given()).then(access::key);
        Ok(Self { token: token.map(ToOwned::to_owned).or_else(own), ..server })
    }

    /// A Bellwire with these rules, to which sensors come with MQTT.
    pub(crate) fn bellwire_with_mqtt(
        durability: Durability,
        rules: &str,
        mqtt: Listener<'_>,
    ) -> Result<Self> {
        let order = Order { rules: Some(rules), mqtt: Some(mqtt), ..Order::plain(durability) };
        Self::start(SystemName::Bellwire.system(), order)
    }

    /// A Bellwire with a configuration, such as of its topics, which goes on where the last run has
    /// [left](Self::leave) its folder.
    pub(crate) fn bellwire_with_topics(topics: &str, folder: Option<TempDir>) -> Result<Self> {
        let order = Order { topics, folder, ..Order::plain(Durability::Interval) };
        Self::start(SystemName::Bellwire.system(), order)
    }

    /// A Bellwire that is a node of a cluster, or stands alone where there is none; it goes on where the
    /// last run has left its folder.
    pub(crate) fn node(
        durability: Durability,
        cluster: Option<ClusterPlace<'_>>,
        folder: Option<TempDir>,
    ) -> Result<Self> {
        let order = Order { cluster, folder, ..Order::plain(durability) };
        Self::start(SystemName::Bellwire.system(), order)
    }

    /// Ends a server that was started at once, as a crash would, and leaves its folder for the next one.
    pub(crate) fn kill(self) -> Option<TempDir> {
        self.started.and_then(Started::kill)
    }

    /// Ends a server that was started, and leaves its folder for the next one.
    pub(crate) fn leave(self) -> Option<TempDir> {
        self.started.and_then(Started::leave)
    }

    fn of(name: SystemName, flags: &ServerFlags, order: Order<'_>) -> Result<Self> {
        let (system, transport) = (name.system(), Transport::Sse);
        let Some(url) = &flags.server else { return Self::start(system, order) };
        let address = resolve(url)?;
        let is_here = address.ip().is_loopback();
        ensure!(is_here, "{url} is not on this machine's loopback interface");
        let (peer, pids) = (Peer { address, trust: None }, flags.pid.clone());
        Ok(Self { system, transport, peer, pids, token: None, started: None })
    }

    fn start(system: &'static dyn System, order: Order<'_>) -> Result<Self> {
        let Order { durability, rules, access, mqtt, cluster, topics, .. } = order;
        let folder = match order.folder {
            Some(folder) => folder,
            None => tempfile::Builder::new()
                .prefix("bellwire-bench-")
                .tempdir()
                .context("cannot make a data directory")?,
        };
        let certificate = order.tls.then(|| Certificate::make(folder.path())).transpose()?;
        let start = system.start(&Launch {
            durability,
            rules,
            access,
            topics,
            mqtt,
            cluster,
            certificate: certificate.as_ref(),
            folder: folder.path(),
        })?;
        let mut command = start.command;
        let says_where = start.address.is_none();
        command.stdin(Stdio::null());
        command.stdout(if says_where { Stdio::piped() } else { Stdio::null() });
        let mut started = Started::spawn(command, folder)?;
        let address = match (start.address, started.child().stdout.take()) {
            (Some(address), _) => wait_for(address, &mut started)?,
            (None, stdout) => listening_address(stdout.expect("the output is piped"))?,
        };
        let peer = Peer { address, trust: certificate.map(|certificate| certificate.trust) };
        let (transport, pids) = (Transport::Sse, vec![started.pid()]);
        Ok(Self { system, transport, peer, pids, token: None, started: Some(started) })
    }

    /// How clients reach it.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Nobody yet, of those who will follow a topic.
    pub(crate) fn subscribers(&self, topic: &str) -> Result<Subscribers> {
        let opening = self.system.opening(topic, self.transport)?;
        Subscribers::new(&self.peer, self.shown(opening))
    }

    /// Nobody yet, of those who will follow a topic from behind an event, given the answer to the
    /// event's publisher.
    pub(crate) fn returning(&self, topic: &str, answer: &[u8]) -> Result<Subscribers> {
        let opening = self.system.resumption(topic, self.transport, answer)?;
        Subscribers::new(&self.peer, self.shown(opening))
    }

    /// An opening of somebody who may be here.
    fn shown(&self, opening: Opening) -> Opening {
        match &self.token {
            Some(token) => opening.authorized(token),
            None => opening,
        }
    }

    /// What publishers and subscribers show.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A publisher of a topic.
    pub(crate) fn publisher(&self, topic: &str, body_bytes: usize) -> Result<Publisher> {
        self.publisher_with(topic, body_bytes, |publication| publication)
    }

    /// The same, whose requests are changed before they are sent.
    pub(crate) fn publisher_with(
        &self,
        topic: &str,
        body_bytes: usize,
        changed: impl Fn(Vec<u8>) -> Vec<u8>,
    ) -> Result<Publisher> {
        let publication = |body: &str| {
            let publication = changed(self.system.publication(topic, body));
            match &self.token {
                Some(token) => request::authorized(publication, token),
                None => publication,
            }
        };
        Publisher::new(&self.peer, body_bytes, publication)
    }

    /// Does something, and says how much CPU time it took the server, where its processes are
    /// known.
    pub(crate) fn timed<T>(
        &self,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Option<Duration>)> {
        let before = self.cpu_time()?;
        let done = work()?;
        let after = self.cpu_time()?;
        Ok((done, after.zip(before).map(|(after, before)| after.saturating_sub(before))))
    }

    /// CPU time of the server so far.
    pub(crate) fn cpu_time(&self) -> Result<Option<Duration>> {
        if self.pids.is_empty() {
            return Ok(None);
        }
        self.processes()?.into_iter().map(process::cpu_time).sum::<Result<_>>().map(Some)
    }

    /// CPU time so far of the server's threads of this name, where they are known.
    pub(crate) fn cpu_time_of_threads(&self, name: &str) -> Result<Option<Duration>> {
        let times = self.processes()?.into_iter();
        let times = times.map(|pid| process::cpu_time_of_threads(pid, name));
        let times = times.collect::<Result<Vec<_>>>()?;
        Ok(times.into_iter().flatten().reduce(|one, other| one + other))
    }

    /// Memory of the server now.
    pub(crate) fn memory(&self) -> Result<Memory> {
        ensure!(!self.pids.is_empty(), "say which process the server is, with --pid");
        self.processes()?.into_iter().map(process::memory).sum()
    }

    /// All its processes; some start their workers late.
    fn processes(&self) -> Result<Vec<u32>> {
        let mut all = Vec::new();
        for pid in &self.pids {
            all.extend(process::family(*pid)?);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

fn resolve(url: &Url) -> Result<SocketAddr> {
    ensure!(url.scheme() == "http", "{url} does not begin with http://");
    let host = url.host_str().with_context(|| format!("{url} has no host"))?;
    let port = url.port_or_known_default().expect("http has a port");
    let mut addresses = (host.trim_matches(['[', ']']), port)
        .to_socket_addrs()
        .with_context(|| format!("cannot resolve {url}"))?;
    addresses.next().with_context(|| format!("{url} has no address"))
}

/// Waits for the line that says where the server listens.
fn listening_address(stdout: ChildStdout) -> Result<SocketAddr> {
    let (sender, line) = sync_channel(1);
    thread::spawn(move || {
        let mut line = String::new();
        // Without a line the receiver sees the sender gone.
        if BufReader::new(stdout).read_line(&mut line).is_ok() {
            let _ = sender.send(line);
        }
    });
    let line = line.recv_timeout(START_MAX).context("the server did not start in time")?;
    let url = line.trim().strip_prefix("listening on ");
    let address = url.and_then(|url| Some(url.split_once("://")?.1));
    let address = address.context("the server did not start")?;
    address.parse().with_context(|| format!("the server listens on `{address}`"))
}

/// Waits until a server that says nothing takes connections.
pub(super) fn wait_for(address: SocketAddr, started: &mut Started) -> Result<SocketAddr> {
    let deadline = Instant::now() + START_MAX;
    while TcpStream::connect_timeout(&address, START_MAX).is_err() {
        if let Some(status) = started.child().try_wait()? {
            bail!("the server did not start: {status}");
        }
        ensure!(Instant::now() < deadline, "the server did not start in time");
        thread::sleep(START_LOOK_INTERVAL);
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_elsewhere_are_left_alone() {
        let provide = |url: &str| {
            let flags = ServerFlags { server: Some(url.parse().expect("a URL")), pid: Vec::new() };
            Server::bellwire(&flags, Durability::Sync, None)
                .map(|server| server.peer().address.to_string())
        };
        assert_eq!(provide("http://127.0.0.1:81").expect("loopback"), "127.0.0.1:81");
        assert_eq!(provide("http://[::1]:81/").expect("loopback"), "[::1]:81");
        for url in ["http://192.0.2.1:81", "https://127.0.0.1", "unix:/a"] {
            assert!(provide(url).is_err(), "{url}");
        }
    }
}
