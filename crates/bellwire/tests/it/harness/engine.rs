//! What nodes of a cluster share: a real server of NATS or Redis that can be killed, started again at
//! the same address, and robbed of its data.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::PATIENCE;
use super::port::Port;
use super::process::until;

/// Which engine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nats,
    Redis,
}

impl Kind {
    /// What names its program.
    fn variable(self) -> &'static str {
        match self {
            Self::Nats => "NATS_SERVER_BIN",
            Self::Redis => "REDIS_SERVER_BIN",
        }
    }

    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }
}

/// A server of an engine, with a folder of its own. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) kind: Kind,
    program: PathBuf,
    password: Option<&'static str>,
    /// Of Redis: when it syncs.
    appendfsync: &'static str,
    folder: TempDir,
    port: Port,
    child: Option<Child>,
}

impl Engine {
    /// Starts one that anybody may use. `None`, and a loud word, where its program is not there.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, None, "always")
    }

    /// Starts a Redis that loses what it has acknowledged where the power is lost, and says so.
    pub(crate) fn start_careless() -> Option<Self> {
        Self::start_with(Kind::Redis, None, "no")
    }

    /// Starts one that asks for this password.
    pub(crate) fn start_guarded(kind: Kind, password: &'static str) -> Option<Self> {
        Self::start_with(kind, Some(password), "always")
    }

    fn start_with(
        kind: Kind,
        password: Option<&'static str>,
        appendfsync: &'static str,
    ) -> Option<Self> {
        let variable = kind.variable();
        let Some(program) = std::env::var_os(variable).map(PathBuf::from) else {
            println!("SKIPPED: {variable} names no server; `cargo xtask test` brings one");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let port = Port::new();
        let mut engine = Self { kind, program, password, appendfsync, folder, port, child: None };
        engine.run();
        Some(engine)
    }

    /// Where nodes find it.
    pub(crate) fn url(&self) -> String {
        self.password.map_or_else(|| self.url_with(""), |password| self.url_with(password))
    }

    /// The same with this password, or with none where it is empty.
    pub(crate) fn url_with(&self, password: &str) -> String {
        let (scheme, address) = (self.kind.scheme(), self.port.address());
        if password.is_empty() {
            return format!("{scheme}://{address}");
        }
        let user = if self.kind == Kind::Nats { "bellwire" } else { "" };
        format!("{scheme}://{user}:{password}@{address}")
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }

    /// Has it do nothing, and answer nobody.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Has it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(status.success(), "no engine to send {name} to");
    }

    /// Starts it at the same address with what it has kept.
    pub(crate) fn start_again(&mut self) {
        self.run();
    }

    /// Ends it, and starts it with nothing.
    pub(crate) fn lose_everything(&mut self) {
        self.kill();
        fs::remove_dir_all(self.store()).expect("a folder");
        self.run();
    }

    /// Keeps what it has now as a copy, in the place of the one before. It is started again for that.
    pub(crate) fn copy(&mut self) {
        self.kill();
        let copy = self.folder.path().join("copy");
        if copy.exists() {
            fs::remove_dir_all(&copy).expect("a folder");
        }
        copy_folder(&self.store(), &copy);
        self.run();
    }

    /// Ends it, and starts it with what it had when it was copied.
    pub(crate) fn restore(&mut self) {
        self.kill();
        fs::remove_dir_all(self.store()).expect("a folder");
        copy_folder(&self.folder.path().join("copy"), &self.store());
        self.run();
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn run(&mut self) {
        let store = self.store();
        fs::create_dir_all(&store).expect("a folder");
        let mut command = match self.kind {
            Kind::Nats => self.nats(&store),
            Kind::Redis => self.redis(&store),
        };
        if let Some(libraries) = std::env::var_os("TEST_LIBRARIES") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("the engine starts"));
        until("the engine answers", || self.answers());
    }

    fn nats(&self, store: &Path) -> Command {
        let settings = self.folder.path().join("nats.conf");
        let address = self.port.address();
        let mut text =
            format!("listen: \"{address}\"\njetstream {{ store_dir: \"{}\" }}\n", store.display());
        if let Some(password) = self.password {
            let who = format!("user: bellwire, password: \"{password}\"");
            text.extend(["authorization { ", &who, " }\n"]);
        }
        fs::write(&settings, text).expect("written");
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(settings);
        command
    }

    /// It keeps what it has acknowledged when it is killed.
    fn redis(&self, store: &Path) -> Command {
        let address = self.port.address();
        let mut command = Command::new(&self.program);
        command.args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", self.appendfsync]);
        command.arg("--dir").arg(store);
        if let Some(password) = self.password {
            command.args(["--requirepass", password]);
        }
        command
    }

    /// Whether it speaks, and has loaded what it has kept.
    fn answers(&self) -> bool {
        let Ok(mut socket) = TcpStream::connect(self.port.address()) else { return false };
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        if self.kind == Kind::Redis && socket.write_all(b"PING\r\n").is_err() {
            return false;
        }
        let mut line = String::new();
        let is_read = BufReader::new(socket).read_line(&mut line).is_ok();
        is_read && ["INFO", "+PONG", "-NOAUTH"].iter().any(|begin| line.starts_with(begin))
    }
}

fn copy_folder(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
    assert!(status.success(), "{} cannot be copied", from.display());
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}
