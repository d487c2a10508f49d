//! A nats-server of a test's own, which can be killed, stopped, and given other data.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bellwire_process::clock::pause;
use tempfile::TempDir;

use crate::standstill::await_standstill;

/// How long a server may take to start, in pauses.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSES_MAX: usize = 3000;

/// The program of this variable; where there is none, that is said.
pub(crate) fn program(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {variable} names no nats-server; `cargo xtask test` brings one"
        );
    }
    path
}

/// A server with a folder of its own.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    settings: String,
    folder: TempDir,
    child: Option<Child>,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one with these settings beside where it listens and keeps its data.
    pub(crate) fn start(program: &Path, settings: &str) -> Self {
        Self::try_start(program, settings).expect("nats-server starts")
    }

    /// Tries to, as somebody else may have a port that the settings name. Fails with what it says.
    pub(crate) fn try_start(program: &Path, settings: &str) -> Result<Self, String> {
        let mut server = Self {
            program: program.to_owned(),
            settings: settings.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            child: None,
            port: 0,
        };
        server.run()?;
        Ok(server)
    }

    /// One with `JetStream`, and nothing else.
    pub(crate) fn with_jetstream(program: &Path) -> Self {
        Self::start(program, &format!("{JETSTREAM}\n"))
    }

    pub(crate) fn address(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where its data is.
    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Starts it with the data that it has, on another port.
    pub(crate) fn start_again(&mut self) {
        self.run().expect("nats-server starts again");
    }

    fn run(&mut self) -> Result<(), String> {
        let folder = self.folder.path();
        let mut settings = self.settings.replace("STORE", &self.store().display().to_string());
        if !settings.contains("port:") {
            settings.push_str("port: -1\n");
        }
        let _ = writeln!(settings, "host: 127.0.0.1");
        let _ = writeln!(settings, "ports_file_dir: \"{}\"", folder.display());
        let file = folder.join("nats.conf");
        fs::write(&file, settings).unwrap();
        let log = fs::File::create(folder.join("log.txt")).unwrap();
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let ports = folder.join(format!(
            "{}_{}.ports",
            self.program.file_name().unwrap().to_string_lossy(),
            child.id()
        ));
        self.child = Some(child);
        for _ in 0..PAUSES_MAX {
            let told = fs::read_to_string(&ports).unwrap_or_default();
            if let Some(port) = port_of(&told) {
                self.port = port;
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                return Err(format!("nats-server ends with {status}: {}", self.said()));
            }
            pause(PAUSE);
        }
        Err(format!("nats-server does not start: {}", self.said()))
    }

    /// What it has logged.
    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log.txt")).unwrap_or_default()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends it a signal: `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id();
        let mut kill = Command::new("kill");
        let sent = kill.arg(format!("-{signal}")).arg(id.to_string()).status().unwrap();
        assert!(sent.success());
        if signal == "STOP" {
            await_standstill(id);
        }
    }

    /// Copies its data elsewhere.
    pub(crate) fn copy_to(&self, folder: &Path) {
        self.signal("STOP");
        copy(&self.store(), folder);
        self.signal("CONT");
    }

    /// Kills it, and starts it with other data, or with none.
    pub(crate) fn replace(&mut self, data: Option<&Path>) {
        self.kill();
        fs::remove_dir_all(self.store()).unwrap();
        if let Some(data) = data {
            copy(data, &self.store());
        }
        self.start_again();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What enables `JetStream`, in the server's own folder.
pub(crate) const JETSTREAM: &str = "jetstream { store_dir: \"STORE\" }";

/// The port that clients are to use, as the server's file of ports tells it.
fn port_of(told: &str) -> Option<u16> {
    let (_, clients) = told.split_once("\"nats\"")?;
    let (_, rest) = clients.split_once("127.0.0.1:")?;
    let digits = rest.find(|character: char| !character.is_ascii_digit())?;
    rest[..digits].parse().ok()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
