//! Child processes: started, read line by line, killed, started again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_process::clock;
use tempfile::TempDir;

use super::PATIENCE;
use super::http::get;
use super::port::Port;
use super::tls::Authority;

/// What a server is told unless a test says otherwise: on a slow machine a test may be long at
/// something else than reading, and nobody is to be cut off for that.
const PATIENT: [(&str, &str); 2] = [("--stall-timeout", "10m"), ("--heartbeat-interval", "5m")];

/// What tests take for granted that say nothing of it: how they call a server, and that their
/// webhooks are on this machine.
const USUAL: [(&str, &str); 2] = [("--hosts", "x"), ("--webhook-networks-allowed", "loopback")];

/// Between two looks at something that cannot be waited for.
const PAUSE: Duration = Duration::from_millis(10);
/// Between two looks at what is over soon.
const SHORT_PAUSE: Duration = Duration::from_micros(200);

/// Lines that are read ahead of a test; a process that prints more waits.
const LINES_READ_AHEAD_MAX: usize = 10_000;

/// A command of the binary, free of this machine's configuration.
pub(crate) fn bellwire(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwire"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BELLWIRE_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG");
    command
}

/// A running process of the binary. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Arc<Mutex<String>>,
    error_reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(bellwire(arguments))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::of(command)
    }

    /// Reads of its outputs what is piped.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary starts");
        let input = child.stdin.take();
        let (sender, lines) = sync_channel(LINES_READ_AHEAD_MAX);
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || pass_lines(output, &sender));
        }
        let errors = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&errors);
        let read = |output| std::thread::spawn(move || collect(output, &collected));
        let error_reader = child.stderr.take().map(read);
        Self { child, input, lines, errors, error_reader }
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("no line from the process: {error}\n{}", self.errors()),
        }
    }

    /// The next line of standard output; `None` where the process has ended without one.
    pub(crate) fn line_or_end(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("it neither speaks nor ends: {}", self.errors())
            }
        }
    }

    /// The next lines of standard output.
    pub(crate) fn lines(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line()).collect()
    }

    /// What it has printed on standard error so far.
    pub(crate) fn errors(&self) -> String {
        self.errors.lock().expect("not poisoned").clone()
    }

    /// Waits until standard error holds the text.
    pub(crate) fn wait_for_error(&mut self, text: &str) {
        self.wait_for(|process| process.errors().contains(text).then_some(()), text);
    }

    pub(crate) fn write(&mut self, text: &str) {
        let input = self.input.as_mut().expect("still open");
        input.write_all(text.as_bytes()).expect("the process reads");
    }

    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `TERM`. Who is sent `STOP` stands still by then.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(status.success(), "no process to send {name} to");
        if name == "STOP" {
            until("all its threads stand still", || stands_still(&id));
        }
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.wait_for(
            |process| process.child.try_wait().expect("it can be waited for"),
            "the end of the process",
        );
        if let Some(reader) = self.error_reader.take() {
            reader.join().expect("standard error is read");
        }
        status
    }

    /// Waits for the end; returns the exit code, standard output and standard error.
    pub(crate) fn finish(mut self) -> (Option<i32>, String, String) {
        self.close_input();
        let status = self.wait();
        let output: String = self.lines.iter().map(|line| line + "\n").collect();
        (status.code(), output, self.errors())
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself, which is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Neither the end of a process nor what it prints can be waited for with a limit, so this
    /// looks again and again.
    fn wait_for<T>(&mut self, mut look: impl FnMut(&mut Self) -> Option<T>, what: &str) -> T {
        let found = looks(PAUSE).find_map(|()| look(self));
        found.unwrap_or_else(|| panic!("waited in vain for {what}\n{}", self.errors()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether each thread of a process is stopped. A thread that runs elsewhere is for a moment yet.
fn stands_still(id: &str) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).expect("it is there");
    tasks.flatten().all(|task| {
        let status = std::fs::read_to_string(task.path().join("status"));
        status.is_ok_and(|status| status.contains("\nState:\tT"))
    })
}

/// Waits until it is so: looks again and again at what cannot be waited for.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    look(PAUSE, what, is_so);
}

/// As [`until`], for what must be met in the act: it looks so often that little happens meanwhile.
#[track_caller]
pub(crate) fn closely(what: &str, is_so: impl FnMut() -> bool) {
    look(SHORT_PAUSE, what, is_so);
}

#[track_caller]
fn look(pause: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    assert!(looks(pause).any(|()| is_so()), "waited in vain: {what}");
}

/// Looks with a pause between them, until [`PATIENCE`] is over: by the clock, since a look itself may
/// wait for long.
pub(crate) fn looks(pause: Duration) -> impl Iterator<Item = ()> {
    let began = clock::steady();
    std::iter::successors(Some(()), move |()| {
        std::thread::park_timeout(pause);
        (clock::steady().saturating_since(began) < PATIENCE).then_some(())
    })
}

fn pass_lines(output: impl Read, sender: &SyncSender<String>) {
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { return };
        if sender.send(line).is_err() {
            return;
        }
    }
}

fn collect(output: impl Read, into: &Mutex<String>) {
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { return };
        let mut text = into.lock().expect("not poisoned");
        text.push_str(&line);
        text.push('\n');
    }
}

/// A server that is killed when this is dropped.
#[derive(Debug)]
#[must_use = "it is killed when this is dropped"]
pub(crate) struct Killed<'a>(&'a mut Server);

impl Drop for Killed<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// `bellwire serve` over a data directory of its own. A restart keeps address and data.
#[derive(Debug)]
pub(crate) struct Server {
    data: TempDir,
    flags: Vec<String>,
    url: String,
    port: Port,
    process: Process,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with more flags, such as `--rules` and a path.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let flags: Vec<_> = flags.iter().map(ToString::to_string).collect();
        let port = Port::new();
        let (process, url) = Self::launch(data.path(), port.address(), &flags);
        let told = url.split_once("://").and_then(|(_, address)| address.parse().ok());
        assert_eq!(told, Some(port.address()), "{url}");
        Self { data, flags, url, port, process }
    }

    /// Starts it with TLS, and more flags.
    pub(crate) fn start_with_tls(authority: &Authority, flags: &[&str]) -> Self {
        let tls = authority.flags();
        let flags: Vec<_> = tls.iter().map(String::as_str).chain(flags.iter().copied()).collect();
        Self::start_with(&flags)
    }

    fn launch(data: &Path, listen: SocketAddr, flags: &[String]) -> (Process, String) {
        let data = data.to_str().expect("UTF-8");
        let listen = listen.to_string();
        let mut arguments = vec!["serve", "--listen", &listen, "--data", data];
        arguments.extend(flags.iter().map(String::as_str));
        let is_left_out = |(flag, _): &(&str, &str)| !arguments.contains(flag);
        let patient: Vec<_> = PATIENT.into_iter().chain(USUAL).filter(is_left_out).collect();
        arguments.extend(patient.into_iter().flat_map(|(flag, value)| [flag, value]));
        let mut process = Process::start(&arguments);
        let line = process.line();
        let url = line.strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("the server's first line: {line}")).to_owned();
        (process, url)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Kills it when that is dropped, also where a test fails: others wait for that.
    pub(crate) fn killed_in_the_end(&mut self) -> Killed<'_> {
        Killed(self)
    }

    /// Ends it gracefully.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.process.signal("TERM");
        self.process.wait()
    }

    /// Starts it again with the same address and data, after [`kill`](Self::kill) or
    /// [`end`](Self::end), or else after ending it gracefully.
    pub(crate) fn restart(&mut self) {
        let has_ended = self.process.child.try_wait().expect("it can be waited for").is_some();
        if !has_ended {
            self.end();
        }
        (self.process, self.url) = Self::launch(self.data.path(), self.address(), &self.flags);
    }

    /// The same with other flags.
    pub(crate) fn restart_with(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(ToString::to_string).collect();
        self.restart();
    }

    /// One of the figures at `/metrics`.
    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let metrics = get(self.address(), "/metrics");
        let line = metrics.text().lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name}: {}", metrics.text()));
        line.split(' ').nth(1).and_then(|value| value.parse().ok()).expect("a number")
    }

    /// A closed connection is noticed a moment later.
    #[track_caller]
    pub(crate) fn wait_for_streams(&self, count: u64) {
        self.wait_for_figure("bellwire_streams_open", count);
    }

    /// Waits until a figure has this value.
    #[track_caller]
    pub(crate) fn wait_for_figure(&self, name: &str, value: u64) {
        let reached = looks(PAUSE).any(|()| self.figure(name) == value);
        assert!(reached, "{name} is {}, not {value}", self.figure(name));
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
        let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok());
        kib.map(|kib: u64| kib * 1024).expect("KiB")
    }
}

/// A test that opens very many connections needs descriptors, too.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("the soft limit goes up to the hard one");
}
