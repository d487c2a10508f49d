//! Data directories that cannot be used, and disks that run full.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Process, Server, Stream, StreamItem, get, post};

/// Starts a server that must not start; returns what it says.
fn refusal(data: &Path) -> String {
    let data = data.to_str().expect("UTF-8");
    let process = Process::start(&["serve", "--listen", "127.0.0.1:0", "--data", data]);
    let (code, output, errors) = process.finish();
    assert_eq!((code, output.as_str()), (Some(1), ""), "{errors}");
    // What it has loaded is told before.
    assert!(errors.lines().any(|line| line.starts_with("error: cannot start: ")), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

#[test]
fn a_second_server_on_the_same_data_is_told_which_is_the_first() {
    let mut server = Server::start();
    let cursor = post(server.address(), "/v1/topics/lab/a", "1").cursor();
    let errors = refusal(server.data());
    assert!(errors.contains(server.data().to_str().expect("UTF-8")), "{errors}");
    let id = server.process().id();
    assert!(errors.contains(&format!("process {id}")), "{errors}");
    // The first one is not disturbed, and its end frees the data.
    assert_ne!(post(server.address(), "/v1/topics/lab/a", "2").cursor(), cursor);
    server.kill();
    server.restart();
    let history = get(server.address(), "/v1/topics/lab/a").json();
    assert_eq!(history["events"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_data_directory_that_cannot_be_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "x").expect("written");
    for data in [file.clone(), file.join("below")] {
        let errors = refusal(&data);
        assert!(errors.contains(file.to_str().expect("UTF-8")), "{errors}");
    }
    let errors = refusal(Path::new("/proc/nowhere"));
    assert!(errors.contains("/proc/nowhere"), "{errors}");
}

#[test]
fn a_journal_that_is_none_is_left_alone() {
    for garbage in [&b"not a database, only some text that somebody put here"[..], &[0; 5000]] {
        let mut server = Server::start();
        post(server.address(), "/v1/topics/lab/a", "1").cursor();
        server.end();
        let is_main = |path: &Path| {
            path.is_file() && path.extension().is_none_or(|extension| extension != "lock")
        };
        let files = std::fs::read_dir(server.data()).expect("a folder");
        let files: Vec<_> =
            files.map(|file| file.expect("an entry").path()).filter(|path| is_main(path)).collect();
        for file in &files {
            std::fs::write(file, garbage).expect("written");
        }
        let errors = refusal(server.data());
        assert!(errors.contains(server.data().to_str().expect("UTF-8")), "{errors}");
        for file in &files {
            assert_eq!(std::fs::read(file).expect("it is still there"), garbage);
        }
    }
}

/// A file system of a few MiB. `None` where this process may not mount one.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{}", self.0.path().display());
    }
}

/// Starts a server whose data is on this disk.
pub(crate) fn start_on(disk: &SmallDisk, more: &[&str]) -> (Process, SocketAddr) {
    let data = disk.path().join("data");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().expect("UTF-8")];
    let mut process = Process::start(&[&arguments, more].concat());
    let line = process.line();
    let address = line.strip_prefix("listening on http://").and_then(|text| text.parse().ok());
    let address: SocketAddr = address.unwrap_or_else(|| panic!("{line}"));
    (process, address)
}

/// Publishes until the disk is full; returns the cursors of what was acknowledged.
fn fill(address: SocketAddr) -> Vec<String> {
    let body = format!("\"{}\"", "x".repeat(100_000));
    let mut acknowledged = Vec::new();
    for _ in 0..1_000 {
        let answer = post(address, "/v1/topics/lab/a", &body);
        if answer.status != 201 {
            assert_eq!(answer.status, 507, "{}", answer.text());
            assert_eq!(answer.json()["code"], "journal_full");
            assert!(answer.header("retry-after").is_some());
            return acknowledged;
        }
        acknowledged.push(answer.cursor());
    }
    panic!("the disk never runs full");
}

fn cursors(stream: &mut Stream) -> Vec<String> {
    stream.until_ready().into_iter().map(|item| item.id).collect()
}

#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: a_full_disk_loses_nothing_and_is_recovered_from may not mount a disk");
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 3 * 1024 * 1024]).expect("room for the ballast");
    let (mut process, address) = start_on(&disk, &[]);
    let mut live = Stream::open(address, "topic=lab/a");
    live.until_ready();

    let mut acknowledged = fill(address);
    assert!(acknowledged.len() > 10, "{} events fit", acknowledged.len());
    // Full again and again: it serves on, and what is read is what was acknowledged.
    for _ in 0..20 {
        acknowledged.extend(fill(address));
    }
    assert_eq!(get(address, "/healthz").status, 200);
    let seen: Vec<String> =
        live.events(acknowledged.len()).into_iter().map(|item| item.id).collect();
    assert_eq!(seen, acknowledged);

    std::fs::remove_file(&ballast).expect("the ballast goes");
    let recovered = (0..3_000).find_map(|_| {
        let answer = post(address, "/v1/topics/lab/a", "1");
        if answer.status != 201 {
            std::thread::park_timeout(std::time::Duration::from_millis(20));
            return None;
        }
        Some(answer.cursor())
    });
    acknowledged.push(recovered.expect("the server takes events again"));
    let mut stream = Stream::open(address, "topic=lab/a&after=earliest");
    assert_eq!(cursors(&mut stream), acknowledged);

    acknowledged.extend(fill(address));
    process.kill();
    let (_process, address) = start_on(&disk, &[]);
    let mut stream = Stream::open(address, "topic=lab/a&after=earliest");
    assert_eq!(cursors(&mut stream), acknowledged);
    let topics: Value = get(address, "/v1/topics").json();
    assert_eq!(topics["topics"][0]["events"], acknowledged.len());
}

#[test]
fn a_data_directory_that_is_removed_under_the_server_is_noticed_and_said() {
    for durability in ["sync", "interval"] {
        let server = Server::start_with(&["--durability", durability]);
        post(server.address(), "/v1/topics/lab/a", "1").cursor();
        assert_eq!(get(server.address(), "/readyz").status, 200);
        std::fs::remove_dir_all(server.data()).expect("removed");
        for _ in 0..3 {
            let answer = post(server.address(), "/v1/topics/lab/a", "2");
            assert_eq!(answer.status, 503, "{durability}: {}", answer.text());
            assert!(answer.text().contains("was removed"), "{}", answer.text());
            let ready = get(server.address(), "/readyz");
            assert_eq!(ready.status, 503, "{durability}: {}", ready.text());
            assert!(ready.text().contains("was removed"), "{}", ready.text());
        }
    }
}

/// Runs `bellwire repair` to its end; returns the exit code and what it says.
fn repair(data: &Path) -> (Option<i32>, String) {
    let process = Process::start(&["repair", "--data", data.to_str().expect("UTF-8")]);
    let (code, output, errors) = process.finish();
    (code, output + &errors)
}

/// Changes a byte wherever the file has `text`: pages that were split have it twice.
fn damage(file: &Path, text: &str) {
    let mut bytes = std::fs::read(file).expect("it can be read");
    let is_here = |at: &usize| bytes[*at..].starts_with(text.as_bytes());
    let found: Vec<usize> = (0..bytes.len()).filter(is_here).collect();
    assert!(!found.is_empty(), "the event is in the file");
    for at in found {
        bytes[at] ^= 1;
    }
    std::fs::write(file, bytes).expect("written");
}

#[test]
fn what_repair_keeps_is_served_behind_a_gap() {
    let mut server = Server::start();
    let publish = |server: &Server, number: usize| {
        post(server.address(), "/v1/topics/lab/a", format!("\"event {number}.\"")).cursor()
    };
    let cursors: Vec<String> = (1..=300).map(|number| publish(&server, number)).collect();
    assert!(server.end().success());
    server.restart();
    (301..=320).for_each(|number| drop(publish(&server, number)));
    let (code, told) = repair(server.data());
    assert_eq!(code, Some(1), "a server has the directory: {told}");
    assert!(told.contains("used by another server"), "{told}");
    server.kill();

    // The write-ahead file has the newest twenty, and one event is damaged in the main file.
    let file = server.data().join("journal.sqlite");
    std::fs::remove_file(server.data().join("journal.sqlite-wal")).expect("removed");
    damage(&file, "event 17.");
    let errors = refusal(server.data());
    assert!(errors.contains(file.to_str().expect("UTF-8")), "{errors}");
    assert!(errors.contains("has lost its write-ahead file"), "{errors}");
    assert!(errors.contains("bellwire repair"), "{errors}");

    let (code, told) = repair(server.data());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("kept: 299 events of 1 topic,"), "{told}");
    assert!(told.contains("lost: 21 events"), "{told}");
    assert!(told.contains("offset 17 could not be read"), "{told}");
    assert!(told.contains("offsets 301 to 320 could not be read"), "{told}");
    assert!(server.data().join("damaged-1/journal.sqlite").exists());

    server.restart();
    let mut stream = Stream::resume(server.address(), "topic=lab/a", &cursors[9]);
    let items = stream.until_ready();
    assert_eq!(items[0].event_type, "gap", "{items:?}");
    let data = |item: &StreamItem| {
        let event: Value = serde_json::from_str(&item.data).expect("JSON");
        event["data"].as_str().expect("a text").to_owned()
    };
    let whole: Vec<String> = items[1..].iter().map(data).collect();
    let expected = (1..=300).filter(|number| *number != 17);
    assert_eq!(whole, expected.map(|number| format!("event {number}.")).collect::<Vec<_>>());
    let next = publish(&server, 321);
    assert!(!cursors.contains(&next), "{next}");
}

#[test]
fn a_journal_without_its_database_can_be_begun_anew() {
    let mut server = Server::start();
    let cursor = post(server.address(), "/v1/topics/lab/a", "1").cursor();
    server.end();
    std::fs::remove_file(server.data().join("journal.sqlite")).expect("removed");
    let errors = refusal(server.data());
    assert!(errors.contains("is missing, but events were acknowledged in it"), "{errors}");
    let (code, told) = repair(server.data());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("kept: 0 events"), "{told}");
    assert!(told.contains("lost: 1 event,"), "{told}");
    server.restart();
    let mut stream = Stream::resume(server.address(), "topic=lab/a", &cursor);
    let items = stream.until_ready();
    assert_eq!(items.first().map(|item| &*item.event_type), Some("gap"), "{items:?}");
}
