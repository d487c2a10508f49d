//! Publishing standard input line by line, in batches of what is there.

use std::io::{BufRead, Read};

use anyhow::{Context, Result, bail, ensure};
use bellwire_client::{Client, Error};
use bellwire_model::limits::EVENT_BYTES_MAX;
use bellwire_model::{Topic, without_byte_order_mark};
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::output::ReaderGone;

/// Events in one request: enough that a request's own cost does not show.
const BATCH_EVENTS_MAX: usize = 1_000;
/// Bytes of bodies in one request, beyond which no other is added.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Lines that are read ahead while a batch is under way.
const LINES_READ_AHEAD_MAX: usize = BATCH_EVENTS_MAX;

/// What all events share: the JSON in front of each one's body.
#[derive(Debug)]
pub(super) struct Envelope(String);

impl Envelope {
    pub(super) fn new(topic: &Topic, key: Option<String>, event_type: Option<String>) -> Self {
        let mut start = format!("{{\"topic\":{}", quoted(topic.as_str()));
        for (name, value) in [("key", key), ("type", event_type)] {
            if let Some(value) = value {
                start.extend([",\"", name, "\":", &quoted(&value)]);
            }
        }
        start.push_str(",\"data\":");
        Self(start)
    }

    fn write(&self, body: &str, out: &mut String) {
        out.push_str(&self.0);
        out.push_str(body);
        out.push_str("}\n");
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The server's answer: one result for each event, in order.
#[derive(Deserialize)]
struct Answer {
    results: Vec<Outcome>,
}

/// What became of an event. One of a state topic has neither cursor nor error.
#[derive(Deserialize)]
struct Outcome {
    cursor: Option<String>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    detail: String,
}

/// A line with its number, from 1.
struct Line {
    number: usize,
    text: String,
}

/// Publishes until standard input ends; prints the newest cursor after each batch. What stands
/// before a line that cannot be published is published.
pub(super) async fn publish(client: &Client, envelope: &Envelope) -> Result<()> {
    let (sender, mut lines) = mpsc::channel(LINES_READ_AHEAD_MAX);
    // Reading blocks, and so has a thread of its own.
    std::thread::spawn(move || read_lines(&sender));
    let mut broken = Ok(());
    while let Some(line) = lines.recv().await {
        let mut numbers = Vec::new();
        let mut body = String::new();
        let mut next = Some(line);
        while let Some(line) = next {
            let Line { number, text } = match line {
                Ok(line) => line,
                Err(error) => {
                    // The last that was read.
                    broken = Err(error);
                    break;
                }
            };
            envelope.write(&text, &mut body);
            numbers.push(number);
            let is_full = numbers.len() == BATCH_EVENTS_MAX || body.len() >= BATCH_BYTES_MAX;
            next = if is_full { None } else { lines.try_recv().ok() };
        }
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { break };
        let answer = send(client, body).await.map_err(|error| {
            super::unsent(error, &format!("cannot publish lines {first} to {last}"))
        })?;
        match report(&numbers, &answer) {
            // Who no longer reads the cursors has not said that the rest is not to be published.
            Err(error) if error.is::<ReaderGone>() => {}
            reported => reported?,
        }
    }
    broken
}

async fn send(client: &Client, body: String) -> Result<Bytes, Error> {
    let request = Request::post("/v1/events").header(CONTENT_TYPE, "application/x-ndjson");
    let request = request.body(Bytes::from(body)).expect("a request that is always the same");
    client.request(request).await?.bytes().await
}

fn report(numbers: &[usize], answer: &[u8]) -> Result<()> {
    let answer: Answer =
        serde_json::from_slice(answer).context("the server's answer is not understood")?;
    let mut newest = None;
    for (number, outcome) in numbers.iter().zip(answer.results) {
        if let Some(refusal) = outcome.error {
            bail!("line {number} is refused: {}", refusal.detail);
        }
        newest = outcome.cursor.or(newest);
    }
    super::print_cursor(newest.as_deref())
}

fn read_lines(sender: &mpsc::Sender<Result<Line>>) {
    let mut stdin = std::io::stdin().lock();
    for number in 1.. {
        match read_line(&mut stdin) {
            Ok(None) => return,
            Ok(Some(text)) if text.is_empty() => {}
            Ok(Some(text)) => {
                if sender.blocking_send(Ok(Line { number, text })).is_err() {
                    return;
                }
            }
            Err(error) => {
                // The receiver is gone only if it has failed itself.
                let _ = sender.blocking_send(Err(error.context(format!("line {number}"))));
                return;
            }
        }
    }
}

/// The next line without the white space around it; `None` at the end.
fn read_line(input: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    let mut bounded = input.take(EVENT_BYTES_MAX as u64 + 1);
    let count = bounded.read_until(b'\n', &mut line).context("cannot read standard input")?;
    if count == 0 {
        return Ok(None);
    }
    ensure!(count <= EVENT_BYTES_MAX, "an event has at most {EVENT_BYTES_MAX} bytes");
    // Some editors begin a file with a mark, and `cat` puts such files one behind the other.
    let line = std::str::from_utf8(without_byte_order_mark(&line)).context("it is not UTF-8")?;
    let line = line.trim();
    if !line.is_empty() {
        serde_json::from_str::<&RawValue>(line).context("it is not JSON")?;
    }
    Ok(Some(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_goes_around_each_body() {
        let topic = "a/b".parse().expect("a topic");
        let mut out = String::new();
        Envelope::new(&topic, Some("k\"".into()), None).write("{\"x\":1}", &mut out);
        assert_eq!(out, "{\"topic\":\"a/b\",\"key\":\"k\\\"\",\"data\":{\"x\":1}}\n");
    }

    #[test]
    fn lines_are_json_or_say_why_not() {
        let mut input = "\u{FEFF} {\"a\":1} \r\n\n\u{FEFF}21.5\noops\n".as_bytes();
        let texts: Vec<_> = (0..3).map(|_| read_line(&mut input).expect("JSON")).collect();
        assert_eq!(texts, [Some("{\"a\":1}".into()), Some(String::new()), Some("21.5".into())]);
        assert_eq!(read_line(&mut input).expect_err("no JSON").to_string(), "it is not JSON");
        assert_eq!(read_line(&mut input).expect("the end"), None);
    }
}
