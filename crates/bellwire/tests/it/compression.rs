//! Streams in gzip: what comes can be read as it comes, by whoever comes when.

use std::fmt::Write as _;
use std::net::SocketAddr;

use flate2::{Decompress, FlushDecompress};

use crate::harness::{Raw, Server, Stream, post};

/// A stream whose body is inflated chunk by chunk.
struct Inflating {
    raw: Raw,
    stream: Decompress,
    /// Bytes of the body, before and after.
    compressed: usize,
    text: String,
}

impl Inflating {
    fn open(address: SocketAddr, query: &str, headers: &str) -> Self {
        let mut raw = Raw::connect(address);
        raw.send(format!("GET /v1/events?{query} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
        let head = raw.until("\r\n\r\n").to_ascii_lowercase();
        assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
        assert!(head.contains("vary: accept, accept-encoding\r\n"), "{head}");
        // The header of the gzip stream is a chunk of its own; a raw inflater follows.
        let header = raw.try_chunk().expect("a chunk").expect("not the end");
        assert_eq!(header[..3], [0x1F, 0x8B, 0x08]);
        let stream = Decompress::new(false);
        Self { raw, stream, compressed: 0, text: String::new() }
    }

    /// Reads until the text has come. Every chunk must inflate to its end at once.
    fn until(&mut self, text: &str) {
        while !self.text.contains(text) {
            let chunk = self.raw.try_chunk().expect("a chunk").expect("not the end");
            self.compressed += chunk.len();
            let mut out = Vec::with_capacity(4 << 20);
            self.stream.decompress_vec(&chunk, &mut out, FlushDecompress::Sync).expect("deflate");
            self.text.push_str(std::str::from_utf8(&out).expect("UTF-8"));
        }
    }
}

#[test]
fn each_event_can_be_read_when_it_comes() {
    let server = Server::start();
    let address = server.address();
    for accept in ["", "Accept: application/x-ndjson\r\n"] {
        let headers = format!("Accept-Encoding: gzip, deflate, br\r\n{accept}");
        let mut stream = Inflating::open(address, "topic=lab/a", &headers);
        stream.until("\"control\":\"ready\"");
        for n in 0..3 {
            post(address, "/v1/topics/lab/a", format!("[{n},\"small\"]"));
            stream.until(&format!("[{n},\"small\"]"));
        }
        let large = "a large one ".repeat(1_000);
        let before = stream.compressed;
        post(address, "/v1/topics/lab/a", &large);
        stream.until(&large);
        assert!(stream.compressed - before < large.len() / 10, "a large event is compressed");
    }
}

#[test]
fn a_burst_is_compressed_and_whoever_joins_later_reads_on() {
    let server = Server::start();
    let address = server.address();
    let headers = "Accept-Encoding: gzip\r\n";
    let mut first = Inflating::open(address, "topic=lab/**", headers);
    first.until("\"control\":\"ready\"");
    let burst = |from: usize| {
        let mut lines = String::new();
        for n in from..from + 500 {
            let data = format!("{{\"sensor\":\"boiler-{n}\",\"celsius\":{n}.5}}");
            writeln!(lines, "{{\"topic\":\"lab/b\",\"data\":{data}}}").expect("it grows");
        }
        assert_eq!(post(address, "/v1/events", &lines).status, 200);
    };
    burst(0);
    first.until("boiler-499");
    let mut second = Inflating::open(address, "topic=lab/**", headers);
    second.until("\"control\":\"ready\"");
    let mut third = Inflating::open(address, "topic=lab/**&after=earliest", headers);
    burst(500);
    for stream in [&mut first, &mut second, &mut third] {
        stream.until("boiler-999");
        let ratio = stream.text.len() as f64 / stream.compressed as f64;
        assert!(ratio > 3.0, "{ratio}");
    }
    assert!(!second.text.contains("boiler-499"));

    let mut plain = Stream::open(address, "topic=lab/**&after=earliest");
    let events = plain.events(1_000);
    let mut ids: Vec<&str> =
        third.text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    // `ready` has the cursor of the event before it.
    ids.dedup();
    let expected: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert!(ids[..1_000] == expected, "nothing is missing, nothing comes twice");
}
