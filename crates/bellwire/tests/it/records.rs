//! What has happened is recorded over HTTP: whole, or told that it is not.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;

use serde_json::json;

use crate::harness::{Answer, Process, Raw, Server, bellwire, get, post};
use crate::keys::House;

const RULES: &str = "groups: [{name: g, rules: [{alert: Hot, expr: t > 90}]}]";

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = bellwire(arguments);
    command.current_dir(folder);
    Process::spawn(command).finish()
}

fn server(folder: &Path) -> Server {
    let rules = folder.join("rules.yml");
    std::fs::write(&rules, RULES).expect("written");
    Server::start_with(&["--rules", rules.to_str().expect("UTF-8")])
}

fn send(server: &Server, samples: &serde_json::Value) {
    let answer = post(server.address(), "/v1/samples", samples.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn replay(folder: &Path, record: &str) -> (Option<i32>, String, String) {
    run(folder, &["replay", record, "--rules", "rules.yml", "--json"])
}

#[test]
fn a_record_over_http_is_what_the_files_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut server = server(folder);
    for (site, value) in [("oslo", 95.0), ("rome", 1.0), ("oslo", 20.0)] {
        send(&server, &json!({ "name": "t", "labels": { "site": site }, "value": value }));
        server.kill();
        server.restart();
    }
    let (url, data) = (server.url(), server.data().to_str().expect("UTF-8").to_owned());
    let (code, output, errors) = run(folder, &["record", "http.record", "--server", &url]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.starts_with("http.record: until 2"), "{output}");
    let since = ["record", "since.record", "--server", &url, "--from", "1h", "--to", "0s"];
    assert_eq!(run(folder, &since).0, Some(0));
    assert_eq!(run(folder, &["record", "files.record", "--data", &data]).0, Some(0));
    let alerts = |name: &str| {
        let (code, output, errors) = replay(folder, name);
        assert_eq!(code, Some(0), "{errors}");
        let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
        (report["alerts"].clone(), report["samples"].clone(), report["series"].clone())
    };
    let told = alerts("files.record");
    assert_eq!((&told.0[0]["difference"], &told.1), (&json!("same"), &json!(3)));
    assert_eq!((alerts("http.record"), alerts("since.record")), (told.clone(), told));

    let answer = get(server.address(), "/v1/record?from=0");
    let head = [answer.header("content-type"), answer.header("cache-control")];
    assert_eq!((answer.status, head), (200, [Some("application/octet-stream"), Some("no-store")]));
    let mut raw = Raw::connect(server.address());
    raw.send("HEAD /v1/record HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let head = String::from_utf8(raw.rest()).expect("a head").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200") && !head.contains("content-length"), "{head}");
    std::fs::write(folder.join("plain.record"), &answer.body).expect("written");
    assert_eq!(alerts("plain.record"), alerts("files.record"));
}

#[test]
fn what_cannot_be_recorded_over_http_is_told_and_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let server = server(folder);
    send(&server, &json!({ "name": "t", "value": 1.0 }));
    let (address, url) = (server.address(), server.url());
    for (query, status, code) in [
        ("?from=soon", 400, "parameter_invalid"),
        ("?from=2&to=1", 400, "parameter_invalid"),
        ("?since=1", 400, "parameter_invalid"),
        ("?to=1", 404, "nothing_recorded"),
        ("?from=2100-01-01T00:00:00Z", 404, "nothing_recorded"),
    ] {
        let answer = get(address, &format!("/v1/record{query}"));
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{query}");
    }
    let memory = Server::start_with(&["--journal", "memory"]);
    let answer = get(memory.address(), "/v1/record");
    assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("nothing_recorded")));

    std::fs::write(folder.join("there.record"), "mine").expect("written");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let nobody = format!("http://{nobody}");
    for (name, more, expected) in [
        ("there.record", &["--server", &*url][..], "cannot make there.record"),
        ("early.record", &["--server", &url, "--to", "1970-01-02T00:00:00Z"], "begins at 2"),
        ("no.record", &["--server", &nobody], "cannot connect to 127.0.0.1"),
        ("both.record", &["--server", &url, "--data", "x"], "cannot be used with"),
    ] {
        let (code, _, errors) = run(folder, &[&["record", name], more].concat());
        assert_ne!(code, Some(0), "{name}");
        assert!(errors.contains(expected), "{name}: {errors}");
        assert_eq!(folder.join(name).exists(), name == "there.record");
    }
    assert_eq!(std::fs::read(folder.join("there.record")).expect("a file"), b"mine");
}

#[test]
fn a_record_is_for_administrators_and_stands_in_the_audit() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("rules.yml"), RULES).expect("written");
    let rules = format!("rules = [{:?}]\n", folder.join("rules.yml"));
    let house = House::start(&rules);
    for (name, key) in [("admin", &house.admin), ("guest", &house.guest)] {
        std::fs::write(folder.join(name), key).expect("written");
    }
    let answer = house.ask(&house.admin, "POST", "/v1/samples", r#"{"name":"t","value":99}"#);
    assert_eq!(answer.status, 200);
    assert_eq!(get(house.server.address(), "/v1/record").status, 401);
    let answer = house.ask(&house.guest, "GET", "/v1/record", "");
    assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("forbidden")));
    let url = house.server.url();
    let record = |name: &str, key: &str| {
        run(folder, &["record", name, "--server", &url, "--token-file", key])
    };
    let (code, _, errors) = record("guest.record", "guest");
    assert_eq!(code, Some(1));
    assert!(errors.contains("403") && !folder.join("guest.record").exists(), "{errors}");
    assert_eq!(record("admin.record", "admin").0, Some(0));
    let path = "/v1/topics/$sys/audit";
    let audit = house.ask(&house.admin, "GET", path, "").json();
    let events = audit["events"].as_array().expect("events").iter();
    let told: Vec<_> = events.filter(|event| event["type"] == "recorded").collect();
    assert_eq!((told.len(), &told[0]["data"]["by"]), (1, &json!("root")), "{audit}");
}

/// More than sockets hold.
const LONG: usize = 16 * 1024 * 1024;

#[test]
fn a_server_that_is_killed_leaves_no_record_that_looks_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut server = server(folder);
    let long = "x".repeat(4_000);
    let series = |number: usize| json!({ "name": "t", "labels": { "a": format!("{number}{long}") }, "value": 1 });
    for first in (0..LONG / long.len()).step_by(512) {
        send(&server, &(first..first + 512).map(series).collect());
    }
    let mut raw = Raw::connect(server.address());
    raw.send("GET /v1/record HTTP/1.1\r\nHost: x\r\n\r\n");
    while !raw.line().expect("a head").is_empty() {}
    let mut came = raw.try_chunk().expect("it begins").expect("a chunk");
    server.kill();
    let error = loop {
        match raw.try_chunk() {
            Ok(Some(chunk)) => came.extend(chunk),
            Ok(None) => panic!("{} bytes look whole", came.len()),
            Err(error) => break error,
        }
    };
    assert!(came.len() < LONG, "{error}");
    std::fs::write(folder.join("cut.record"), &came).expect("written");
    let (code, output, errors) = replay(folder, "cut.record");
    assert_eq!((code, &*output), (Some(1), ""));
    assert!(errors.contains("cut.record: it is cut at byte "), "{errors}");
}

/// A server that gives this answer to whoever asks next, and hangs up.
fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        read_head(&mut client);
        client.write_all(&answer).expect("the client reads");
        client.shutdown(Shutdown::Write).expect("it is open");
        let _ = client.read_to_end(&mut Vec::new());
    });
    url
}

fn read_head(client: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("a request");
        head.extend(byte);
    }
}

#[test]
fn a_download_that_is_cut_or_something_else_is_no_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let server = server(folder);
    for value in 0..100 {
        send(&server, &json!({ "name": "t", "value": value }));
    }
    let Answer { body: whole, .. } = get(server.address(), "/v1/record");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n";
    let chunked = |bytes: &[u8], end: &str| {
        let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", bytes.len());
        [head.as_bytes(), bytes, b"\r\n", end.as_bytes()].concat()
    };
    let half = &whole[..whole.len() / 2];
    let length = format!("{head}Content-Length: {}\r\n\r\n", whole.len());
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for (name, answer, expected) in [
        ("whole", chunked(&whole, "0\r\n\r\n"), ""),
        ("cut", chunked(half, ""), "the record was cut after "),
        ("short", [length.as_bytes(), half].concat(), "the record was cut after "),
        // What is in between may say that it is all.
        ("half", chunked(half, "0\r\n\r\n"), "it is cut at byte "),
        ("damaged", chunked(&damaged, "0\r\n\r\n"), "it is damaged at byte "),
        ("page", chunked(b"<h1>Welcome to this network</h1>", "0\r\n\r\n"), "it is no record"),
        ("empty", chunked(b"", ""), "it is no record"),
        (
            "oops",
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nOops".to_vec(),
            "Oops (502",
        ),
    ] {
        let file = format!("{name}.record");
        let (code, _, errors) = run(folder, &["record", &file, "--server", &answering(answer)]);
        assert_eq!(code, Some(i32::from(!expected.is_empty())), "{name}: {errors}");
        assert!(errors.contains(expected), "{name}: {errors}");
        assert_eq!(folder.join(&file).exists(), expected.is_empty(), "{name}");
    }
    assert_eq!(std::fs::read(folder.join("whole.record")).expect("a record"), whole);
}
