//! A receiver of notifications: a small HTTP server that answers as it is told and remembers what
//! it got.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::Value;

use super::PATIENCE;

/// Requests that wait for the test.
const REQUESTS_MAX: usize = 1_000;

/// Listens until the test's process ends.
#[derive(Debug)]
pub(crate) struct Webhook {
    address: SocketAddr,
    requests: Receiver<Value>,
}

impl Webhook {
    /// Answers with these heads, such as `503 Slow Down`, one after the other; then with `200 OK`.
    /// An empty one is none: whoever asks waits.
    pub(crate) fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (sender, requests) = sync_channel(REQUESTS_MAX);
        let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
        std::thread::spawn(move || serve(&listener, answers, &sender));
        Self { address, requests }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next payload that it gets.
    pub(crate) fn next(&self) -> Value {
        self.requests.recv_timeout(PATIENCE).expect("a notification")
    }

    /// The next payload's reason and alerts, such as `first notification: +DoorOpen`.
    pub(crate) fn next_story(&self) -> String {
        let payload = self.next();
        let alerts = payload["alerts"].as_array().expect("a list").iter().map(|alert| {
            let sign = if alert["status"] == "firing" { '+' } else { '-' };
            format!("{sign}{}", alert["labels"]["alertname"].as_str().expect("a name"))
        });
        let alerts: Vec<_> = alerts.collect();
        let reason = payload["notification_reason"].as_str().expect("a reason");
        format!("{reason}: {}", alerts.join(" "))
    }

    /// Whether it has got nothing that the test has not seen.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}

fn serve(listener: &TcpListener, answers: Vec<String>, sender: &SyncSender<Value>) {
    let mut answers = answers.into_iter();
    let mut unanswered = Vec::new();
    for socket in listener.incoming() {
        let socket = socket.expect("a connection");
        // One that was killed on its way has sent nothing that counts.
        let Some(payload) = read(&socket) else { continue };
        let head = answers.next().unwrap_or_else(|| "200 OK".to_owned());
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        if sender.send(payload).is_err() {
            return;
        }
        if head.is_empty() {
            unanswered.push(socket);
            continue;
        }
        // Whoever has asked may be gone.
        let _ = (&socket).write_all(answer.as_bytes());
    }
}

/// The body of a request.
fn read(socket: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
