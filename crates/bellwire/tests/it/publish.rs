//! `bellwire publish`.

use crate::harness::{Authority, Port, Process, Server, bellwire, get};

fn publish(server: &Server, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let url = server.url();
    let mut process = Process::start(&[&["publish", "--server", &url], arguments].concat());
    process.write(input);
    process.finish()
}

fn history(server: &Server, topic: &str) -> Vec<serde_json::Value> {
    let answer = get(server.address(), &format!("/v1/topics/{topic}?after=earliest"));
    answer.json()["events"].as_array().expect("events").clone()
}

#[test]
fn prints_the_cursor_of_what_it_published() {
    let server = Server::start();
    let arguments = ["lab/a", "{\"n\":1}", "--type", "count", "--key", "höhe"];
    let (code, cursor, errors) = publish(&server, &arguments, "");
    assert_eq!(code, Some(0), "{errors}");
    let (_, later, _) = publish(&server, &["lab/a", "-"], "plain text\n");
    assert_ne!(cursor, later);

    let events = history(&server, "lab/a");
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["cursor"], cursor.trim());
    assert_eq!(events[0]["data"]["n"], 1);
    assert_eq!(events[0]["type"], "count");
    assert_eq!(events[0]["key"], "höhe");
    assert_eq!(events[1]["data"], "plain text\n");
}

#[test]
fn publishes_once_with_an_idempotency_key() {
    let server = Server::start();
    let arguments = ["lab/once", "1", "--idempotency-key", "k"];
    let (_, first, _) = publish(&server, &arguments, "");
    let (code, second, _) = publish(&server, &arguments, "");
    assert_eq!((code, first), (Some(0), second));
    assert_eq!(history(&server, "lab/once").len(), 1);
}

#[test]
fn publishes_each_line() {
    let server = Server::start();
    let lines: Vec<_> = (0..2500).map(|n| format!("{{\"n\":{n}}}\n\n")).collect();
    let lines = lines.concat();
    let (code, output, errors) = publish(&server, &["lab/lines", "--ndjson"], &lines);
    assert_eq!(code, Some(0), "{errors}");
    let (_, after, _) = publish(&server, &["lab/lines", "\"last\""], "");
    assert_ne!(output.lines().last(), Some(after.trim()));

    let mut stream =
        crate::harness::Stream::open(server.address(), "topic=lab/lines&after=earliest");
    let events = stream.events(2501);
    let numbers: Vec<_> = events.iter().filter_map(|event| event.payload()["n"].as_u64()).collect();
    assert_eq!(numbers, (0..2500).collect::<Vec<_>>());
    assert_eq!(output.lines().last(), Some(events[2499].id.as_str()));
}

#[test]
fn a_line_that_is_no_json_is_named() {
    let server = Server::start();
    let (code, _, errors) = publish(&server, &["lab/lines", "--ndjson"], "1\n2\noops\n");
    assert_eq!(code, Some(1));
    assert!(errors.contains("error: line 3: it is not JSON"), "{errors}");
}

#[test]
fn json_that_is_broken_is_not_published_as_text() {
    let server = Server::start();
    let (code, _, errors) = publish(&server, &["lab/a", "{\"text\": hello}"], "");
    assert_eq!(code, Some(1));
    assert!(errors.contains("error: the body is not JSON: expected value at line 1"), "{errors}");
    let arguments = ["lab/a", "{not json", "--content-type", "text/plain"];
    assert_eq!(publish(&server, &arguments, "").0, Some(0));
    let events = history(&server, "lab/a");
    assert_eq!(events.iter().map(|event| &event["data"]).collect::<Vec<_>>(), ["{not json"]);
}

#[test]
fn both_clients_speak_tls() {
    let authority = Authority::new();
    let server = Server::start_with_tls(&authority, &[]);
    let url = server.url();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let trusted = authority.path("authority.pem");
    let (code, cursor, errors) = publish(&server, &["lab/a", "1", "--ca", &trusted], "");
    assert_eq!(code, Some(0), "{errors}");
    let arguments = ["subscribe", "lab/a", "--after", "earliest", "--json", "--server", &url];
    let mut subscriber = Process::start(&[&arguments[..], &["--ca", &trusted]].concat());
    let event: serde_json::Value = serde_json::from_str(&subscriber.line()).expect("JSON");
    assert_eq!(event["cursor"], cursor.trim());

    // Without it the system's authorities count, or those that stand in their place.
    let mut command = bellwire(&["publish", "lab/a", "2", "--server", &url]);
    command.env("SSL_CERT_FILE", &trusted);
    let (code, _, errors) = Process::spawn(command).finish();
    assert_eq!(code, Some(0), "{errors}");
    let other = Authority::new().path("authority.pem");
    let mut command = bellwire(&["publish", "lab/a", "3", "--server", &url]);
    command.env("SSL_CERT_FILE", &trusted);
    command.args(["--ca", &other]);
    let (code, _, errors) = Process::spawn(command).finish();
    assert_eq!(code, Some(1));
    assert!(errors.contains("cannot read certificates from"), "{errors}");
}

#[test]
fn a_certificate_of_nobody_trusted_is_told_with_what_to_do() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::start_with_tls(&authority, &[]);
    let ca = other.path("authority.pem");
    let (code, _, errors) = publish(&server, &["lab/a", "1", "--ca", &ca], "");
    assert_eq!(code, Some(1));
    assert!(errors.contains("its certificate is not trusted here; `--ca FILE`"), "{errors}");
    let arguments = ["publish", "lab/a", "1", "--server", "http://127.0.0.1:1", "--ca", &ca];
    let (code, _, errors) = Process::start(&arguments).finish();
    assert_eq!(code, Some(1));
    assert!(errors.contains("`--ca` is for servers that speak TLS"), "{errors}");
}

#[test]
fn a_refusal_says_why() {
    let server = Server::start();
    let (code, output, errors) = publish(&server, &["alerts/active", "1"], "");
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert!(errors.contains("cannot publish to `alerts/active`: "), "{errors}");
    assert!(errors.contains("403 Forbidden, topic_reserved"), "{errors}");
    let (code, _, errors) = publish(&server, &["alerts/x", "--ndjson"], "1\n");
    assert_eq!(code, Some(1));
    assert!(errors.contains("line 1 is refused: "), "{errors}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let nobody = Port::new();
    let address = nobody.address();
    let mut command = bellwire(&["publish", "a", "1"]);
    command.env("BELLWIRE_SERVER", format!("http://{address}"));
    let (code, _, errors) = Process::spawn(command).finish();
    assert_eq!(code, Some(1));
    let expected = format!(": cannot connect to {address}: ");
    for text in ["error: nothing was published: `bellwire serve` starts", &expected] {
        assert!(errors.contains(text), "{errors}");
    }
}

#[test]
fn what_stands_before_a_broken_line_is_published() {
    let server = Server::start();
    let arguments = ["lab/broken", "--ndjson"];
    let (code, cursor, errors) = publish(&server, &arguments, "1\n2\noops\n4\n");
    assert_eq!(code, Some(1));
    assert!(errors.contains("line 3: it is not JSON"), "{errors}");
    let events = history(&server, "lab/broken");
    let data: Vec<_> = events.iter().map(|event| event["data"].clone()).collect();
    assert_eq!(data, [1, 2]);
    assert_eq!(cursor.lines().last(), events[1]["cursor"].as_str());
}

#[test]
fn lines_are_published_though_nobody_reads_the_cursors() {
    let server = Server::start();
    let mut shell = std::process::Command::new("bash");
    let line = "set -o pipefail; seq 1 5000 | \"$0\" publish lab/a --ndjson --server \"$1\" | true";
    shell.args(["-c", line, env!("CARGO_BIN_EXE_bellwire"), &server.url()]);
    let (code, _, errors) = Process::spawn(shell).finish();
    assert_eq!(code, Some(0), "{errors}");
    let (_, after, _) = publish(&server, &["lab/a", "\"last\""], "");
    let mut stream = crate::harness::Stream::open(server.address(), "topic=lab/a&after=earliest");
    assert_eq!(stream.events(5001)[5000].id, after.trim());
}

#[test]
fn what_no_header_can_have_is_told_with_its_flag() {
    let server = Server::start();
    for flag in ["--key", "--type", "--idempotency-key", "--content-type"] {
        let (code, _, errors) = publish(&server, &["lab/a", "1", flag, "x\ny"], "");
        assert_eq!(code, Some(1));
        assert!(errors.contains(&format!("`{flag}` has no control characters")), "{errors}");
    }
}
