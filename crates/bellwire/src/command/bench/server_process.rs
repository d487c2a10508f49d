//! The server that is measured: a child process of this binary, or one that runs already.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use url::Url;

use super::super::serve::Signals;
use super::process;

/// How long a server may take to listen, and to end once told to.
const START_MAX: Duration = Duration::from_mins(1);
const END_MAX: Duration = Duration::from_secs(15);
const END_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Exit status of a program that a signal ended, as shells report it.
const EXIT_INTERRUPTED: i32 = 130;

/// A server that runs already.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServerFlags {
    /// Measure a server that runs already, instead of one that is started for it; on this
    /// machine's loopback interface only.
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    /// Process of that server, to measure its CPU time and memory.
    #[arg(long, value_name = "PID", requires = "server")]
    pid: Option<u32>,
}

impl ServerFlags {
    /// Whether the server runs already, as somebody else has configured it.
    pub(super) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// The durability to note in a result.
    pub(super) fn durability_text(&self, asked: Durability) -> &'static str {
        if self.is_given() { "as configured" } else { asked.as_str() }
    }
}

/// When the server acknowledges an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Durability {
    Sync,
    Interval,
}

impl Durability {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Interval => "interval",
        }
    }
}

/// How to start a server.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) durability: Durability,
    /// The text of a rule file.
    pub(super) rules: Option<&'a str>,
}

/// A server to measure. One that was started ends with this value.
#[derive(Debug)]
pub(super) struct ServerProcess {
    address: SocketAddr,
    pid: Option<u32>,
    /// Dropped last: the folder that the child writes to.
    _started: Option<Started>,
}

impl ServerProcess {
    /// The server that the flags name, or a new one.
    pub(super) fn provide(flags: &ServerFlags, launch: &Launch<'_>) -> Result<Self> {
        let Some(url) = &flags.server else { return Self::start(launch) };
        let address = resolve(url)?;
        ensure!(address.ip().is_loopback(), "{url} is not on this machine's loopback interface");
        Ok(Self { address, pid: flags.pid, _started: None })
    }

    fn start(launch: &Launch<'_>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("bellwire-bench-")
            .tempdir()
            .context("cannot make a data directory")?;
        let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(folder.path().join("data"));
        command.args(["--durability", launch.durability.as_str()]);
        if let Some(rules) = launch.rules {
            let path = folder.path().join("rules.yml");
            std::fs::write(&path, rules).context("cannot write the rule file")?;
            command.arg("--rules").arg(path);
        }
        // What is set for other servers does not hold for this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BELLWIRE_") {
                command.env_remove(name);
            }
        }
        command.env("BELLWIRE_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a server")?;
        let (pid, stdout) = (child.id(), child.stdout.take());
        let started = Started { child: Arc::new(Mutex::new(child)), folder };
        started.end_on_signals()?;
        let address = listening_address(stdout.expect("the output is piped"))?;
        Ok(Self { address, pid: Some(pid), _started: Some(started) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's process, where it is known.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// CPU time of the server so far, where its process is known.
    pub(super) fn cpu_time(&self) -> Result<Option<Duration>> {
        self.pid.map(process::cpu_time).transpose()
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
    let Some(address) = line.trim().strip_prefix("listening on http://") else {
        bail!("the server did not start");
    };
    address.parse().with_context(|| format!("the server listens on `{address}`"))
}

/// A child process and its folder.
#[derive(Debug)]
struct Started {
    child: Arc<Mutex<Child>>,
    folder: TempDir,
}

impl Started {
    /// A signal that ends this process ends the child too, and removes its folder.
    fn end_on_signals(&self) -> Result<()> {
        let (child, folder) = (Arc::clone(&self.child), self.folder.path().to_owned());
        let runtime = super::super::runtime()?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let waited = runtime.block_on(async {
                Signals::listen()?.next().await;
                anyhow::Ok(())
            });
            if waited.is_ok() {
                leave(&child, folder);
            }
        })?;
        Ok(())
    }
}

fn leave(child: &Mutex<Child>, folder: PathBuf) -> ! {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // Nothing more can be done about what fails here.
    let _ = child.kill();
    let _ = child.wait();
    let _ = std::fs::remove_dir_all(folder);
    std::process::exit(EXIT_INTERRUPTED)
}

impl Drop for Started {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // 1. Ask; a child that has ended by itself takes no signal.
        if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + END_MAX;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(END_LOOK_INTERVAL);
        }
        // 2. Insist.
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_elsewhere_are_left_alone() {
        let provide = |url: &str| {
            let flags = ServerFlags { server: Some(url.parse().expect("a URL")), pid: None };
            let launch = Launch { durability: Durability::Sync, rules: None };
            ServerProcess::provide(&flags, &launch).map(|server| server.address().to_string())
        };
        assert_eq!(provide("http://127.0.0.1:81").expect("loopback"), "127.0.0.1:81");
        assert_eq!(provide("http://[::1]:81/").expect("loopback"), "[::1]:81");
        for url in ["http://192.0.2.1:81", "https://127.0.0.1", "unix:/a"] {
            assert!(provide(url).is_err(), "{url}");
        }
    }
}
