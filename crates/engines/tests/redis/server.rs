//! A real server, that fails on command.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bellwire_engines::{Options, connect};
use bellwire_process::clock::pause;
use bellwire_shared_log::contract::{Engine, Fault};
use bellwire_shared_log::{Error, SharedLog};
use redis::{Client, Cmd, Connection, FromRedisValue};

use crate::proxy::Proxy;
use crate::standstill::await_standstill;

/// How often it is looked whether a server listens, with a pause between.
const LOOKS_MAX: usize = 1000;
const PAUSE: Duration = Duration::from_millis(20);

/// The keys of the cluster that is called so where nothing else is said.
pub(crate) const LOG: &str = "{bellwire:bellwire}:log";
pub(crate) const REGISTERS: &str = "{bellwire:bellwire}:registers";
pub(crate) const META: &str = "{bellwire:bellwire}:meta";

/// A program that is a server: Redis or Valkey.
pub(crate) fn programs() -> Vec<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    ["REDIS_SERVER_BIN", "VALKEY_SERVER_BIN"].into_iter().filter_map(set).collect()
}

/// A server, and the network before it.
pub(crate) struct Server {
    program: PathBuf,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
    proxy: Proxy,
}

impl Server {
    /// Starts one that keeps what it has acknowledged when it is killed. It waits for no disk, which
    /// may be busy for longer than handles wait.
    pub(crate) fn start(program: &Path) -> Self {
        Self::start_with(program, &["--appendonly", "yes", "--appendfsync", "no"])
    }

    /// Starts one that is set up so.
    pub(crate) fn start_with(program: &Path, arguments: &[&str]) -> Self {
        let port = free_port();
        let mut server = Self {
            program: program.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            folder: tempfile::tempdir().unwrap(),
            port,
            child: None,
            proxy: Proxy::to(port),
        };
        server.run();
        server
    }

    /// The address of the proxy before it.
    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.proxy.port)
    }

    /// Another handle.
    pub(crate) fn handle(&self) -> Result<Arc<dyn SharedLog>, Error> {
        connect(&self.address(), &Options::default())
    }

    /// The address leads to another server from now on.
    pub(crate) fn lead_to(&self, other: &Self) {
        self.proxy.lead_to(other.port);
    }

    /// A connection of somebody else, past the proxy.
    pub(crate) fn connection(&self) -> Connection {
        let client = Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_connection().unwrap()
    }

    /// What somebody else does there.
    pub(crate) fn does<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = self.connection();
        of(command).query(&mut connection).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--repl-diskless-sync-delay", "0"]).args(&self.arguments);
        command.arg("--dir").arg(self.folder.path()).stdout(Stdio::null());
        if let Some(libraries) = std::env::var_os("TEST_LIBRARIES") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        self.child = Some(command.spawn().unwrap());
        until("the server answers", || {
            let client = Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
            let Ok(mut connection) = client.get_connection() else { return false };
            match of(&["PING"]).query::<String>(&mut connection) {
                Ok(_) => true,
                // It is there, and asks who we are.
                Err(error) => error.code() == Some("NOAUTH"),
            }
        });
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal to the server that was started here.
    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id();
        assert!(Command::new("kill").args([name, &id.to_string()]).status().unwrap().success());
        if name == "-STOP" {
            await_standstill(id);
        }
    }

    fn copy_folder(from: &Path, to: &Path) {
        let _ = fs::remove_dir_all(to);
        fs::create_dir(to).unwrap();
        for file in fs::read_dir(from).unwrap().flatten() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program.file_name().unwrap_or_default().to_string_lossy())
    }
}

impl Engine for Server {
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error> {
        self.handle()
    }

    fn fault(&mut self, fault: Fault) -> bool {
        let append_only = self.folder.path().join("appendonlydir");
        let copy = self.folder.path().join("copy");
        match fault {
            Fault::Kill => self.kill(),
            Fault::Start => self.run(),
            Fault::Pause => self.signal("-STOP"),
            Fault::Resume => self.signal("-CONT"),
            Fault::Cut => self.proxy.cut(),
            Fault::Mend => self.proxy.mend(),
            Fault::Fill => self.does(&["CONFIG", "SET", "maxmemory", "1"]),
            Fault::Relieve => self.does(&["CONFIG", "SET", "maxmemory", "0"]),
            Fault::TrimByHand(until) => {
                let first = format!("{}-0", until.get() + 1);
                let _: usize = self.does(&["XTRIM", LOG, "MINID", &first]);
            }
            // All that was answered is in the file.
            Fault::Copy => Self::copy_folder(&append_only, &copy),
            Fault::Restore => {
                self.kill();
                Self::copy_folder(&copy, &append_only);
                self.run();
            }
            Fault::Lose => self.does(&["FLUSHALL"]),
        }
        true
    }
}

/// A command with its arguments.
pub(crate) fn of(command: &[&str]) -> Cmd {
    let mut of = redis::cmd(command[0]);
    of.arg(&command[1..]);
    of
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS_MAX {
        if is_so() {
            return;
        }
        pause(PAUSE);
    }
    panic!("in vain: {what}");
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
