//! Starts that are disturbed, and reading rules again.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Process, Server, bellwire, get};

/// Rules of a pipe: the server waits for them, and so is known to be in the middle of its start.
struct Pipe {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Pipe {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rules.yml");
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
        assert!(made.success());
        Self { folder, path }
    }

    fn start(&self) -> Process {
        let data = self.folder.path().join("data");
        let [rules, data] = [&self.path, &data].map(|path| path.to_str().expect("UTF-8"));
        Process::start(&["serve", "--listen", "0", "--data", data, "--rules", rules])
    }

    /// Returns once somebody reads.
    fn open(&self) -> File {
        OpenOptions::new().write(true).open(&self.path).expect("opened")
    }
}

fn rules(count: usize) -> String {
    let rule = |n| format!("  - {{alert: A{n}, expr: x > {n}}}\n");
    format!("groups:\n- name: g\n  rules:\n{}", (0..count).map(rule).collect::<String>())
}

#[test]
fn a_signal_in_the_middle_of_a_start_ends_it() {
    for signal in ["TERM", "INT"] {
        let pipe = Pipe::new();
        let mut process = pipe.start();
        let unwritten = pipe.open();
        process.signal(signal);
        let status = process.wait();
        drop(unwritten);
        assert!(status.success(), "{signal}: {status}\n{}", process.errors());
        assert_eq!(process.line_or_end(), None, "it never listened");
        assert!(process.errors().contains("asked to end before it had started"));
    }
}

#[test]
fn a_hangup_in_the_middle_of_a_start_is_a_reload_after_it() {
    let pipe = Pipe::new();
    let mut process = pipe.start();
    let mut first = pipe.open();
    process.signal("HUP");
    first.write_all(rules(1).as_bytes()).expect("read");
    drop(first);
    let line = process.line();
    pipe.open().write_all(rules(3).as_bytes()).expect("read again");
    process.wait_for_error("Rules are loaded. files=1 groups=1 alerting=3");
    process.wait_for_error("Rules and notifications were read again.");
    let address = line.strip_prefix("listening on http://").expect("where it listens");
    assert_eq!(get(address.parse().expect("an address"), "/healthz").status, 200);
}

#[test]
fn a_server_whose_output_nobody_takes_serves_all_the_same() {
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").expect("opened"));
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("UTF-8");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", data];

    let mut command = bellwire(&arguments);
    command.stdout(full()).stderr(Stdio::piped());
    let mut process = Process::of(command);
    process.wait_for_error("Nobody was told: listening on http://");
    let errors = process.errors();
    let (_, address) = errors.split_once("listening on http://").expect("where it listens");
    let address = address.split_whitespace().next().expect("an address");
    ends_well_at(address.parse().expect("an address"), process);

    let mut command = bellwire(&arguments);
    command.stdout(Stdio::piped()).stderr(full());
    let mut process = Process::of(command);
    let line = process.line();
    let address = line.strip_prefix("listening on http://").expect("where it listens");
    ends_well_at(address.parse().expect("an address"), process);
}

/// What a reload and a drain say is said to nobody.
fn ends_well_at(address: SocketAddr, mut process: Process) {
    assert_eq!(crate::harness::post(address, "/-/reload", "").status, 200);
    assert_eq!(get(address, "/healthz").status, 200);
    process.signal("TERM");
    let status = process.wait();
    assert!(status.success(), "{status}\n{}", process.errors());
}

#[test]
fn what_cannot_be_a_data_directory_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("file"), "").expect("written");
    std::os::unix::fs::symlink("/nowhere/at/all", place("link")).expect("linked");
    for (data, expected) in [
        (Path::new("/dev/null").into(), "/dev/null is no directory; "),
        (place("file"), "/file is no directory; "),
        (place("file/below"), "/file is no directory; "),
        (place("link"), "/link is a link to nothing; "),
    ] {
        for command in ["serve", "demo"] {
            let data = data.to_str().expect("UTF-8");
            let process = Process::start(&[command, "--listen", "127.0.0.1:0", "--data", data]);
            let (code, output, errors) = process.finish();
            assert_eq!((code, output.as_str()), (Some(1), ""), "{errors}");
            let start = format!("error: cannot start: cannot open the journal at {data}: ");
            for text in [&start, expected, "`--data`"] {
                assert!(errors.contains(text), "{text}\n{errors}");
            }
        }
    }
}

#[test]
fn no_other_user_reads_what_a_server_keeps() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let config = folder.path().join("bellwire.toml");
    std::fs::write(&config, "[access]\nanonymous = \"admin\"\n").expect("written");
    let [data_text, config] = [&data, &config].map(|path| path.to_str().expect("UTF-8"));
    let arguments = ["serve", "--listen", "0", "--data", data_text, "--config", config];
    let mut process = Process::start(&arguments);
    process.line();
    let mut seen = 0;
    for entry in std::fs::read_dir(&data).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("its mode").permissions().mode();
        let others = if entry.path().is_dir() { 0o077 } else { 0o007 };
        assert_eq!(mode & others, 0, "{entry:?}: {mode:o}");
        seen += 1;
    }
    assert!(seen > 2, "there is a journal");
    let mode = std::fs::metadata(&data).expect("its mode").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[test]
fn the_demo_leaves_the_data_of_another_server_alone() {
    let mut server = Server::start();
    let data = server.data().to_str().expect("UTF-8").to_owned();
    let demo = Process::start(&["demo", "--listen", "127.0.0.1:0", "--data", &data]);
    let (code, output, errors) = demo.finish();
    assert_eq!((code, output.as_str()), (Some(1), ""));
    let expected = format!(
        "error: cannot start: the data directory {data} is used by another server, process {}",
        server.process().id()
    );
    assert!(errors.contains(&expected), "{errors}");
    assert!(!Path::new(&data).join("rules.yml").exists(), "nothing was written");
}

#[test]
fn rules_that_are_older_than_their_files_are_told_until_they_no_longer_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, rules(1)).expect("written");
    let path = path.to_str().expect("UTF-8");
    let mut server = Server::start_with(&["--rules", path]);
    let ready = |server: &Server| get(server.address(), "/readyz").text().to_owned();
    assert_eq!(ready(&server), "ready\n");

    std::fs::write(path, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: x >}\n")
        .expect("written");
    server.process().signal("HUP");
    server.process().wait_for_error("Rules and notifications stay as they were");
    let place = format!("{path}:4:");
    assert!(server.process().errors().contains(&place), "{}", server.process().errors());
    let text = ready(&server);
    assert!(text.starts_with("ready\nrules and notifications are older than their files: "));
    assert!(text.contains(&place), "{text}");
    assert_eq!(server.figure("bellwire_reload_failing"), 1);
    assert_eq!(server.figure("bellwire_rules_loaded"), 1);

    std::fs::write(path, rules(2)).expect("written");
    server.process().signal("HUP");
    server.wait_for_figure("bellwire_rules_loaded", 2);
    server.wait_for_figure("bellwire_reload_failing", 0);
    assert_eq!(ready(&server), "ready\n");
}

#[test]
fn a_choice_of_logs_that_is_none_hides_nothing() {
    for (value, expected) in
        [("", None), ("h2=loud", Some("BELLWIRE_LOG is passed over: `h2=loud`"))]
    {
        let data = tempfile::tempdir().expect("a folder");
        let data = data.path().to_str().expect("UTF-8");
        let mut command = bellwire(&["serve", "--listen", "0", "--data", data]);
        command.env("BELLWIRE_LOG", value);
        let mut process = Process::spawn(command);
        process.line();
        process.wait_for_error("The journal is open.");
        let told = process.errors().contains("BELLWIRE_LOG");
        assert_eq!(told, expected.is_some(), "{}", process.errors());
        assert!(process.errors().contains(expected.unwrap_or_default()));
    }
}

#[test]
fn others_than_this_machine_are_not_let_in_unasked_by_mistake() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("UTF-8");
    for command in ["serve", "demo"] {
        let open = ["--data", data, "--listen", "0.0.0.0:0"];
        let (code, output, errors) = Process::start(&[&[command][..], &open].concat()).finish();
        assert_eq!((code, output.as_str()), (Some(1), ""), "{errors}");
        for way in ["--listen 127.0.0.1:", "[access]", "--insecure"] {
            assert!(errors.contains(way), "{command}: {errors}");
        }
        // 127.0.0.2 is of this machine like any other of its net; nobody else reaches the test.
        let meant = ["--data", data, "--listen", "127.0.0.2:0", "--insecure"];
        let mut process = Process::start(&[&[command][..], &meant].concat());
        let line = process.line();
        assert!(line.starts_with("listening on http://127.0.0.2:"), "{line}");
    }
}
