//! `bellwire subscribe`.

use std::io::{Read, Write};
use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::harness::{Authority, Process, Server, post};

fn publish_numbers(server: &Server, numbers: std::ops::Range<u64>) {
    for number in numbers {
        post(server.address(), "/v1/topics/lab/a", number.to_string()).cursor();
    }
}

fn numbers(lines: Vec<String>) -> Vec<u64> {
    lines.iter().map(|line| line.parse().expect("a number")).collect()
}

#[test]
fn loses_nothing_and_repeats_nothing_across_restarts() {
    let mut server = Server::start();
    let url = server.url();
    let mut subscriber = Process::start(&["subscribe", "lab/**", "--server", &url, "--data-only"]);
    subscriber.wait_for_error("ready");
    publish_numbers(&server, 0..50);
    // Some of these are acknowledged but not delivered when the server goes down.
    server.kill();
    server.restart();
    publish_numbers(&server, 50..100);
    server.restart();
    publish_numbers(&server, 100..150);
    assert_eq!(numbers(subscriber.lines(150)), (0..150).collect::<Vec<_>>());
    assert!(subscriber.errors().contains("reconnecting in"), "{}", subscriber.errors());
}

#[test]
fn begins_where_it_is_told_to() {
    let server = Server::start();
    let url = server.url();
    publish_numbers(&server, 0..3);
    let second = {
        let arguments = ["subscribe", "lab/a", "--server", &url, "--after", "earliest", "--json"];
        let mut subscriber = Process::start(&arguments);
        let events: Vec<serde_json::Value> = subscriber
            .lines(3)
            .iter()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect();
        assert_eq!(events[0]["topic"], "lab/a");
        assert_eq!(events[2]["data"], 2);
        events[1]["cursor"].as_str().expect("a cursor").to_owned()
    };
    let arguments = ["subscribe", "lab/a", "--server", &url, "--after", &second, "--data-only"];
    assert_eq!(Process::start(&arguments).line(), "2");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let server = Server::start();
    publish_numbers(&server, 0..3);
    let binary = env!("CARGO_BIN_EXE_bellwire");
    let url = server.url();
    let mut shell = std::process::Command::new("bash");
    let line = "set -o pipefail; \"$0\" subscribe lab/a --after earliest --server \"$1\" | head -1";
    shell.args(["-c", line, binary, &url]);
    let mut shell = Process::spawn(shell);
    assert!(shell.line().contains("\"data\":0"));
    // It learns that nobody reads when it writes the next time.
    publish_numbers(&server, 3..6);
    let (code, _, errors) = shell.finish();
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn what_would_be_refused_again_is_a_failure() {
    let server = Server::start();
    let url = format!("{}/nowhere", server.url());
    let (code, _, errors) = Process::start(&["subscribe", "a", "--server", &url]).finish();
    assert_eq!(code, Some(1));
    assert!(errors.contains("refuses: ") && errors.contains("404 Not Found"), "{errors}");
}

/// Answers one connection after the other with these bytes, then ends it.
fn scripted(answers: Vec<&'static str>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serve = move || {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a head");
                head.push(byte[0]);
            }
            heads.push(String::from_utf8(head).expect("UTF-8").to_ascii_lowercase());
            stream.write_all(answer.as_bytes()).expect("the client reads");
        }
        heads
    };
    (url, std::thread::spawn(serve))
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

#[test]
fn comes_back_with_its_cursor_until_the_server_ends_it_for_good() {
    let event = "id: e1-7\ndata: {\"topic\":\"a\",\"time\":0,\"cursor\":\"e1-7\",\"data\":1}\n\n";
    let bye = "event: bye\ndata: {\"control\":\"bye\",\"reason\":\"drain\",\"retry_ms\":5}\n\n";
    let first: &str = format!("{HEAD}{event}{bye}").leak();
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n";
    let gone = "HTTP/1.1 204 No Content\r\n\r\n";
    let (url, server) = scripted(vec![first, busy, gone]);
    let (code, output, errors) =
        Process::start(&["subscribe", "a", "--server", &url, "--data-only"]).finish();
    assert_eq!((code, output.as_str()), (Some(0), "1\n"), "{errors}");
    assert!(errors.contains("the server said bye (drain)"), "{errors}");
    assert!(errors.contains("503 Service Unavailable"), "{errors}");
    assert!(errors.contains("ended the stream for good"), "{errors}");
    let heads = server.join().expect("the script was followed");
    assert!(!heads[0].contains("last-event-id"), "{}", heads[0]);
    for head in &heads[1..] {
        assert!(head.contains("last-event-id: e1-7\r\n"), "{head}");
    }
}

#[test]
fn gaps_are_told_on_standard_error() {
    let gap = "id: e1-9\nevent: gap\ndata: {\"control\":\"gap\",\"from\":\"e1-1\",\"to\":\"e1-9\",\"reason\":\"expired\"}\n\n";
    let answer: &str = format!("{HEAD}{gap}").leak();
    let (url, _server) = scripted(vec![answer, "HTTP/1.1 204 No Content\r\n\r\n"]);
    let (code, output, errors) = Process::start(&["subscribe", "a", "--server", &url]).finish();
    assert_eq!((code, output.as_str()), (Some(0), ""));
    assert!(errors.contains("gap: events after e1-1 up to e1-9 are gone (expired)"), "{errors}");
}

#[test]
fn what_is_told_has_its_place_among_the_events() {
    let event = |number| format!("data: {{\"topic\":\"a\",\"time\":0,\"data\":{number}}}\n\n");
    let gap = "data: {\"control\":\"gap\",\"from\":\"e1-1\",\"to\":\"e1-9\"}\n\n";
    let answer: &str = format!("{HEAD}{}{gap}{}", event(1), event(2)).leak();
    let (url, _server) = scripted(vec![answer, "HTTP/1.1 204 No Content\r\n\r\n"]);
    let mut shell = std::process::Command::new("bash");
    let line = "exec \"$0\" subscribe a --data-only --server \"$1\" 2>&1";
    shell.args(["-c", line, env!("CARGO_BIN_EXE_bellwire"), &url]);
    let (code, output, _) = Process::spawn(shell).finish();
    assert_eq!(code, Some(0), "{output}");
    let told: Vec<_> = output.lines().take(3).map(|line| &line[..1]).collect();
    assert_eq!(told, ["1", "g", "2"], "{output}");
}

#[test]
fn a_server_of_another_kind_is_told_apart() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n";
    let (url, _server) = scripted(vec![page]);
    let (code, _, errors) = Process::start(&["subscribe", "a", "--server", &url]).finish();
    assert_eq!(code, Some(1));
    assert!(errors.contains("`text/html`, not with a stream of events"), "{errors}");
}

/// A pair whose certificate says that it may sign others, as `openssl req -x509` makes them.
fn authority_for_itself(authority: &Authority) {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("entropy");
    let certificate = params.self_signed(&key).expect("signed");
    authority.write("certificate.pem", &certificate.pem());
    authority.write("key.pem", &key.serialize_pem());
}

#[test]
fn a_server_that_cannot_be_spoken_with_ends_it_and_says_what_to_do() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let secure = Server::start_with_tls(&authority, &[]);
    let plain = Server::start();
    let own = Authority::new();
    authority_for_itself(&own);
    let selfish = Server::start_with_tls(&own, &[]);
    // Nothing that speaks HTTP.
    let (odd, _script) = scripted(vec!["SSH-2.0-OpenSSH_9.9\r\n"]);
    let cases = [
        (secure.url(), Some(stranger.path("authority.pem")), "`--ca FILE` names whom to trust"),
        (selfish.url(), Some(own.path("certificate.pem")), "CA:FALSE"),
        (plain.url().replace("http:", "https:"), None, "does not speak TLS"),
        (odd, None, "no answer from"),
    ];
    for (url, trusted, expected) in cases {
        let mut arguments = vec!["subscribe", "a", "--server", &url];
        arguments.extend(trusted.iter().flat_map(|file| ["--ca", file]));
        let (code, _, errors) = Process::start(&arguments).finish();
        assert_eq!(code, Some(1), "{url}: {errors}");
        assert!(errors.contains(expected), "{url}: {errors}");
        assert!(!errors.contains("reconnecting"), "{url}: {errors}");
    }
}

#[test]
fn a_certificate_that_goes_bad_is_waited_out_by_who_was_connected() {
    let authority = Authority::new();
    let mut server = Server::start_with_tls(&authority, &[]);
    let (url, trusted) = (server.url(), authority.path("authority.pem"));
    let arguments = ["subscribe", "a", "--server", &url, "--ca", &trusted, "--data-only"];
    let mut subscriber = Process::start(&arguments);
    subscriber.wait_for_error("ready");
    let stranger = Authority::new().pair();
    authority.write("certificate.pem", &stranger.certificate);
    authority.write("key.pem", &stranger.key);
    server.kill();
    server.restart();
    subscriber.wait_for_error("`--ca FILE` names whom to trust");
    let pair = authority.pair();
    authority.write("certificate.pem", &pair.certificate);
    authority.write("key.pem", &pair.key);
    server.kill();
    server.restart();
    authority.connect(server.address()).try_post("/v1/topics/a", "", "7").expect("an answer");
    assert_eq!(subscriber.line(), "7");
}

#[test]
fn over_tls_nothing_is_lost_or_repeated_when_the_server_is_killed() {
    let authority = Authority::new();
    let mut server = Server::start_with_tls(&authority, &[]);
    let (url, trusted) = (server.url(), authority.path("authority.pem"));
    let as_curl = ["--server", &url, "--cacert", &trusted];
    let arguments = [&["subscribe", "lab/**", "--data-only"], &as_curl[..]].concat();
    let mut subscriber = Process::start(&arguments);
    subscriber.wait_for_error("ready");
    let publish = |range: std::ops::Range<u64>| {
        let lines: Vec<_> = range.map(|number| format!("{number}\n")).collect();
        let arguments = [&["publish", "lab/a", "--ndjson"], &as_curl[..]].concat();
        let mut publisher = Process::start(&arguments);
        publisher.write(&lines.concat());
        let (code, _, errors) = publisher.finish();
        assert_eq!(code, Some(0), "{errors}");
    };
    publish(0..500);
    // Some of these are acknowledged but not delivered when the server goes down.
    server.kill();
    server.restart();
    publish(500..1_000);
    assert_eq!(numbers(subscriber.lines(1_000)), (0..1_000).collect::<Vec<_>>());
    assert!(subscriber.errors().contains("reconnecting in"), "{}", subscriber.errors());
}
