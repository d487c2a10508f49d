//! HTTP/1.1 by hand: one request on a connection of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The cursor of an event that was published.
    #[track_caller]
    pub(crate) fn cursor(&self) -> String {
        assert!(self.status < 300, "{}: {}", self.status, self.text());
        self.json()["cursor"].as_str().expect("a cursor").to_owned()
    }
}

/// A request to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, Request { method: "GET", path, headers: &[], body: b"" })
}

pub(crate) fn delete(address: SocketAddr, path: &str) -> Answer {
    request(address, Request { method: "DELETE", path, headers: &[], body: b"" })
}

pub(crate) fn post(address: SocketAddr, path: &str, body: impl AsRef<[u8]>) -> Answer {
    request(address, Request { method: "POST", path, headers: &[], body: body.as_ref() })
}

/// Sends a request and reads the whole answer.
pub(crate) fn request(address: SocketAddr, request: Request<'_>) -> Answer {
    let mut reader = send(address, request);
    let (status, headers) = read_head(&mut reader);
    let mut answer = Answer { status, headers, body: Vec::new() };
    if answer.header("transfer-encoding") == Some("chunked") {
        while let Some(chunk) = read_chunk(&mut reader) {
            answer.body.extend(chunk);
        }
    } else if let Some(length) = answer.header("content-length") {
        answer.body = vec![0; length.parse().expect("a length")];
        reader.read_exact(&mut answer.body).expect("the whole body");
    } else if !matches!(status, 204 | 304) {
        reader.read_to_end(&mut answer.body).expect("the whole body");
    }
    answer
}

/// Sends a request on a connection of its own, to read the answer from.
pub(super) fn send(address: SocketAddr, request: Request<'_>) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("an option of TCP");
    let Request { method, path, headers, body } = request;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("a text grows");
    }
    if !body.is_empty() || method == "POST" {
        write!(head, "Content-Length: {}\r\n", body.len()).expect("a text grows");
    }
    head.push_str("\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).expect("the server reads");
    BufReader::new(stream)
}

pub(super) fn read_head(reader: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let status_line = read_line(reader);
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status line: {status_line:?}"));
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader);
        if line.is_empty() {
            return (status, headers);
        }
        let (name, value) = line.split_once(':').expect("a header");
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// `None`: the body ends in order.
pub(super) fn read_chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let size = read_line(reader);
    let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("no chunk: {size:?}"));
    let mut chunk = vec![0; size];
    reader.read_exact(&mut chunk).expect("the whole chunk");
    assert_eq!(read_line(reader), "", "a chunk's end");
    (size > 0).then_some(chunk)
}

fn read_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("the server answers in time");
    assert!(line.ends_with("\r\n"), "the connection ended within {line:?}");
    line.truncate(line.len() - 2);
    line
}
