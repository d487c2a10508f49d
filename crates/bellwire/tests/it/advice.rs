//! Advice on transports: `bellwire advise`, `/v1/advice`, and what the guide shows.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use bellwire_advice::{FIGURES, Source, Transport};
use bellwire_wire::ws::{self, Opcode};
use serde_json::{Value, json};

use crate::harness::frames::text;
use crate::harness::{
    Answer, Frames, Process, Request, Server, Stream, bellwire, get, post, request,
};

const GUIDE: &str = "docs/choosing.md";
/// The variable that makes the test write what it would compare.
const BLESS: &str = "BELLWIRE_BLESS";

fn root() -> std::path::PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests")).join("../..")
}

fn advise(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = bellwire(&["advise"]);
    command.args(arguments).current_dir(root());
    Process::spawn(command).finish()
}

/// The guide with each `bellwire advise …` followed by what that prints now.
fn rendered(guide: &str) -> String {
    let mut rendered = String::new();
    let mut rest = guide;
    while let Some(begin) = rest.find("```console\n$ bellwire advise ") {
        let (before, block) = rest.split_at(begin);
        let (_, block) = block.split_once('\n').expect("it has more lines");
        let (command, output) = block.split_once('\n').expect("a command, and what it prints");
        let end = output.find("```\n").expect("the block ends");
        let words: Vec<&str> =
            command.trim_start_matches("$ bellwire advise ").split(' ').collect();
        let (code, printed, errors) = advise(&words);
        let printed = if code == Some(0) { printed } else { errors };
        rendered.push_str(before);
        rendered.push_str(&["```console\n", command, "\n", printed.trim_end(), "\n"].concat());
        rest = &output[end..];
    }
    rendered.push_str(rest);
    rendered
}

#[test]
fn the_guide_shows_what_is_printed() {
    let path = root().join(GUIDE);
    let guide = std::fs::read_to_string(&path).expect(GUIDE);
    assert!(guide.contains("$ bellwire advise examples/flows.toml"), "the guide shows the example");
    let rendered = rendered(&guide);
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, rendered).expect(GUIDE);
    } else if rendered != guide {
        let line = rendered.lines().zip(guide.lines()).find(|(now, shown)| now != shown);
        panic!("{GUIDE} shows something else ({BLESS}=1 writes it anew): {line:?}");
    }
}

#[test]
fn lines_fit_into_a_terminal() {
    let (code, printed, errors) = advise(&["examples/flows.toml"]);
    assert_eq!(code, Some(0), "{errors}");
    for line in printed.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn json_has_the_same_for_programs() {
    let (code, printed, errors) = advise(&["--json", "examples/flows.toml"]);
    assert_eq!(code, Some(0), "{errors}");
    let advice: Value = serde_json::from_str(&printed).expect("JSON");
    let choice = |flow: &Value| format!("{}: {}", flow["flow"]["name"], flow["choice"]);
    let choices: Vec<String> =
        advice["flows"].as_array().expect("flows").iter().map(choice).collect();
    assert_eq!(choices[0], r#""alerts": "sse""#);
    assert_eq!(choices.len(), 5);
    assert_eq!(advice["steps"].as_array().map(Vec::len), Some(6));
}

#[test]
fn what_cannot_be_read_is_told_with_file_and_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flows.toml");
    let path = path.to_str().expect("UTF-8");
    std::fs::write(path, "[[flow]]\nname = \"a\"\ndwon = 5\n").expect("written");
    let (code, printed, errors) = advise(&[path]);
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    let expected = format!("{path}:3:1: flow 1: `dwon` is no key; did you mean `down`?");
    assert!(errors.contains(&expected), "{errors}");

    std::fs::write(path, [0xff]).expect("written");
    assert!(advise(&[path]).2.contains("it is not UTF-8"));
    std::fs::write(path, "#".repeat(70_000)).expect("written");
    assert!(advise(&[path]).2.contains("it has more than 65536 bytes"));
    let (code, _, errors) = advise(&["nowhere.toml"]);
    assert!(code == Some(1) && errors.contains("cannot read nowhere.toml"), "{errors}");
}

/// What the server says to this, head and all.
fn said(server: &Server, request: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(server.address()).expect("it listens");
    socket.write_all(request).expect("it reads");
    one_answer(&mut socket)
}

fn one_answer(socket: &mut TcpStream) -> Vec<u8> {
    let mut received = vec![0; 64 * 1024];
    let bytes = socket.read(&mut received).expect("it answers");
    received.truncate(bytes);
    received
}

#[test]
fn bytes_around_what_is_published_are_those_of_the_table() {
    let server = Server::start();
    let told = |transport| {
        let is_it = |source: Source| {
            source == Source::Test { test: "bytes_around_what_is_published_are_those_of_the_table" }
        };
        let figure = FIGURES.iter().find(|figure| is_it(figure.source)).expect("it is there");
        figure.of(transport).expect("it was measured")
    };
    // An epoch has a few digits more or less.
    let is_about = |counted: usize, transport| {
        let told = told(transport);
        assert!((counted as f64 - told).abs() <= 10.0, "{transport:?}: {counted}, not {told}");
    };
    let body = format!(r#"{{"pad":"{}"}}"#, "x".repeat(118));
    let head = format!(
        "POST /v1/topics/chat/general HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = said(&server, format!("{head}{body}").as_bytes());
    is_about(head.len() + answer.len(), Transport::Sse);

    let mut socket = TcpStream::connect(server.address()).expect("it listens");
    let upgrade = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: YmVsbHdpcmUgYmVuY2ggIQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).expect("it reads");
    let mut opened = Vec::new();
    while !opened.windows(7).any(|window| window == b"\"ready\"") {
        opened.extend(one_answer(&mut socket));
    }
    let message = format!(r#"{{"request":"publish","id":1,"topic":"chat/general","data":{body}}}"#);
    let frame = ws::masked_frame(Opcode::Text, message.as_bytes(), [1, 2, 3, 4]);
    socket.write_all(&frame).expect("it reads");
    let reply = one_answer(&mut socket);
    is_about(frame.len() - body.len() + reply.len(), Transport::Websocket);
}

fn asked(server: &Server, described: &Value) -> Answer {
    post(server.address(), "/v1/advice", described.to_string())
}

#[test]
fn a_described_flow_is_decided_by_the_server_too() {
    let server = Server::start();
    let advice =
        asked(&server, &json!({ "flow": [{ "name": "chat", "down": "5/s", "up": "3/s" }] }));
    // What may wait for a second goes in one POST.
    assert_eq!((advice.status, &advice.json()["flows"][0]["choice"]), (200, &json!("hybrid")));
    for (wrong, detail) in [
        (json!({}), "there is no flow"),
        (json!({ "flow": [{ "name": "a", "down": -1 }] }), "flow `a`: `down` is from 0"),
        (json!({ "flow": [{ "name": "a", "down": 1, "colour": "red" }] }), "`colour` is no key"),
        (json!([]), "the description is a table"),
    ] {
        let answer = asked(&server, &wrong);
        let problem = answer.json();
        assert_eq!((answer.status, &problem["code"]), (400, &json!("body_invalid")), "{problem}");
        assert!(problem["detail"].as_str().expect("a text").contains(detail), "{problem}");
    }
    assert_eq!(post(server.address(), "/v1/advice", "{").status, 400);
    assert_eq!(post(server.address(), "/v1/advice", "x".repeat(70_000)).status, 413);
}

/// What was counted over a carrier of a kind.
fn counted(server: &Server, carrier: &str, kind: &str) -> Value {
    let advice = get(server.address(), "/v1/advice").json();
    let traffic = advice["traffic"].as_array().expect("a list").clone();
    let is_it = |one: &Value| one["carrier"] == carrier && one["name"] == kind;
    traffic.into_iter().find(is_it).unwrap_or_else(|| panic!("{carrier} {kind}: {advice}"))
}

#[test]
fn traffic_is_counted_by_what_carries_it_and_what_is_followed() {
    let server = Server::start();
    let address = server.address();
    let mut stream = Stream::open(address, "topic=chat/a&topic=chat/b");
    stream.until_ready();
    let mut socket = Frames::open(address, "");
    socket.next();
    socket.send(text(r#"{"request":"subscribe","id":1,"topics":["chat/**"]}"#));
    socket.reply(1);
    for _ in 0..3 {
        assert_eq!(post(address, "/v1/topics/chat/a", r#"{"text":"hello"}"#).status, 201);
    }
    stream.events(3);
    socket.send(text(r#"{"request":"publish","id":2,"topic":"chat/b","data":1}"#));
    socket.reply(2);
    stream.events(1);
    let headers = [("Accept", "application/json")];
    let path = "/v1/events?topic=chat/*&after=earliest";
    let poll = Request { method: "GET", path, headers: &headers, body: b"" };
    assert_eq!(request(address, poll).json()["events"].as_array().map(Vec::len), Some(4));

    let sse = &counted(&server, "sse", "chat/…")["counts"];
    assert_eq!(
        (&sse["open"], &sse["opened"], &sse["events_down"]),
        (&json!(1), &json!(1), &json!(4))
    );
    // It is open for as long as the test has taken, and not since 1970.
    let seconds = sse["connection_seconds"].as_f64().expect("a number");
    assert!(seconds < 3_600.0, "{sse}");
    // What it followed nothing with is another kind; its subscription made it one of these.
    let websocket = &counted(&server, "websocket", "chat/…")["counts"];
    assert_eq!(
        (&websocket["open"], &websocket["messages_up"]),
        (&json!(1), &json!(1)),
        "{websocket}"
    );
    assert!(websocket["bytes_up"].as_u64() > Some(50), "{websocket}");
    let polled = &counted(&server, "long_poll", "chat/…")["counts"];
    assert_eq!(
        (&polled["open"], &polled["opened"], &polled["events_down"]),
        (&json!(0), &json!(1), &json!(4))
    );
    let posted = &counted(&server, "post", "chat/…")["counts"];
    assert_eq!((&posted["opened"], &posted["messages_up"]), (&json!(3), &json!(3)));
    drop((stream, socket));
}

#[test]
fn traffic_is_for_those_who_may_see_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bellwire.toml");
    let text = "[access]\nanonymous = \"guest\"\n[[access.role]]\nname = \"guest\"\n\
                subscribe = [\"**\"]\npublish = [\"**\"]\n";
    std::fs::write(&path, text).expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    let refused = get(server.address(), "/v1/advice");
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("forbidden")));
    // What somebody describes shows nothing of others.
    let described = json!({ "flow": [{ "name": "a", "down": 1 }] });
    assert_eq!(asked(&server, &described).status, 200);
}
