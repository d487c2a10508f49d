//! Clients that vanish without a word: no end, no reset, nothing. The network takes all that is
//! sent to them, so this runs in a network namespace, where it can be told to.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use crate::harness::{PATIENCE, Raw, Server, Stream, post};

/// Set for the run within the namespace.
const WITHIN: &str = "IN_A_NETWORK_NAMESPACE";

/// Runs a command of the system; whether it is there and went well.
fn runs(command: &str, arguments: &[&str]) -> bool {
    Command::new(command).args(arguments).output().is_ok_and(|output| output.status.success())
}

#[test]
fn clients_that_vanish_without_a_word_are_given_up() {
    if std::env::var_os(WITHIN).is_some() {
        return within();
    }
    if !runs("ip", &["-V"]) || !runs("unshare", &["--net", "true"]) {
        println!("SKIPPED: there is no `ip`, or no network namespace for this user");
        return;
    }
    let itself = std::env::current_exe().expect("a test has a path");
    let name = "vanished::clients_that_vanish_without_a_word_are_given_up";
    let run = Command::new("unshare")
        .arg("--net")
        .arg(itself)
        .args(["--exact", name, "--nocapture"])
        .env(WITHIN, "1")
        .output()
        .expect("it ran before");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn within() {
    assert!(runs("ip", &["link", "set", "lo", "up"]));
    let flags = ["--stall-timeout", "1s", "--heartbeat-interval", "200ms"];
    let server = Server::start_with(&flags);
    let mut steady = Stream::open(server.address(), "topic=lab/a");
    steady.until_ready();
    let mut vanishing: Vec<Raw> = Vec::new();
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let mut raw = Raw::over(connect_from("127.0.0.2:0", server.address()));
        raw.send(format!(
            "GET /v1/events?topic=lab/a HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n"
        ));
        raw.until("ready");
        vanishing.push(raw);
    }
    server.wait_for_streams(3);
    // From now on whatever is sent to them is lost, and so is what they would say.
    let route = ["route", "add", "blackhole", "127.0.0.2/32", "table", "local"];
    assert!(runs("ip", &route), "a route to nowhere");
    // Something is sent each moment, and the kernel takes it all: heartbeats, and these.
    assert_eq!(post(server.address(), "/v1/topics/lab/a", "1").status, 201);
    server.wait_for_streams(1);
    assert_eq!(post(server.address(), "/v1/topics/lab/a", "2").status, 201);
    let seen = steady.events(2);
    let seen = [seen[0].payload(), seen[1].payload()];
    assert_eq!(seen, [1, 2], "who is there stays served");
}

fn connect_from(own: &str, address: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let own: SocketAddr = own.parse().expect("an address");
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &own).expect("an address of the loopback network");
    connect(&socket, &address).expect("the server listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}
