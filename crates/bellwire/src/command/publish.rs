//! `bellwire publish`: one event, or one for each line of standard input.

mod lines;

use std::io::Read;

use anyhow::{Context, Result, ensure};
use bellwire_model::limits::EVENT_BYTES_MAX;
use bellwire_model::{Topic, without_byte_order_mark};
use bytes::Bytes;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::{Connection, Server, ServerFlag};
use crate::output;

/// What `publish` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Topic, such as `chat/general`.
    topic: Topic,
    /// The event's body; `-`, or nothing, reads it from standard input.
    #[arg(allow_hyphen_values = true)]
    data: Option<String>,
    #[command(flatten)]
    server: ServerFlag,
    /// Key of a state topic's value; on a stream your own.
    #[arg(long)]
    key: Option<String>,
    /// Type of the event, such as `order.paid`.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Media type of the body; without it the server tells JSON, text and binary apart.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Publish once even if this is sent again with the same key.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// End the topic: with the event, or by itself where there is none.
    #[arg(long, conflicts_with = "ndjson")]
    end: bool,
    /// Let a topic that has ended go on.
    #[arg(long, conflicts_with_all = ["data", "key", "event_type", "content_type", "end", "ndjson"])]
    reopen: bool,
    /// Publish each line of standard input as an event; lines are JSON.
    #[arg(long, conflicts_with_all = ["data", "content_type", "idempotency_key"])]
    ndjson: bool,
}

/// What the server says of an event that it took.
#[derive(Deserialize)]
struct Published {
    /// State topics have none.
    cursor: Option<String>,
    /// Where the topic has ended.
    end: Option<String>,
    /// Where it goes on.
    reopened: Option<String>,
}

/// Prints the cursor of what was published.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let server = arguments.server.clone().server()?;
    super::runtime()?.block_on(async {
        if arguments.ndjson {
            let envelope =
                lines::Envelope::new(&arguments.topic, arguments.key, arguments.event_type);
            return lines::publish(&server, &envelope).await;
        }
        one(&server, arguments).await
    })
}

async fn one(server: &Server, arguments: Arguments) -> Result<()> {
    let body = match arguments.data.as_deref() {
        None if arguments.end || arguments.reopen => Bytes::new(),
        None | Some("-") => read_body()?,
        Some(text) => Bytes::copy_from_slice(text.as_bytes()),
    };
    let is_event = !(arguments.reopen || (arguments.end && arguments.data.is_none()));
    if is_event {
        check_json(arguments.content_type.as_deref(), &body)?;
    }
    if arguments.end && is_event {
        ensure!(!body.is_empty(), "an event that a topic ends with has a body");
    }
    let end = match (arguments.end, arguments.reopen) {
        (false, false) => None,
        (is_end, _) => Some(is_end.to_string()),
    };
    let mut request = Request::post(format!("/v1/topics/{}", path(&arguments.topic)));
    let headers = [
        ("--key", "Bellwire-Key", arguments.key),
        ("--type", "Bellwire-Type", arguments.event_type),
        ("--end", "Bellwire-End", end),
        ("--idempotency-key", "Idempotency-Key", arguments.idempotency_key),
        ("--content-type", CONTENT_TYPE.as_str(), arguments.content_type),
    ];
    for (flag, name, value) in headers {
        if let Some(value) = value {
            // As bytes: keys may be any UTF-8.
            let value = HeaderValue::from_bytes(value.as_bytes());
            let value = value.with_context(|| format!("`{flag}` has no control characters"))?;
            request = request.header(name, value);
        }
    }
    let answer = connect(server).await?.ask(request, body).await;
    let answer = answer.with_context(|| format!("cannot publish to `{}`", arguments.topic))?;
    let published: Published =
        serde_json::from_slice(&answer).context("the server's answer is not understood")?;
    let Published { cursor, end, reopened } = published;
    print_cursor(end.or(reopened).or(cursor).as_deref())
}

/// Nothing is tried again: it is said what to do.
async fn connect(server: &Server) -> Result<Connection> {
    const HINT: &str = "nothing was published: `bellwire serve` starts a server, `--server` names \
                        another";
    server.connect().await.context(HINT)
}

/// Refuses JSON that is broken. Where nothing says what the body is, what begins as an object or an
/// array does is meant as JSON: as a text, which it would become, nobody expects it.
fn check_json(content_type: Option<&str>, body: &[u8]) -> Result<()> {
    let body = without_byte_order_mark(body);
    let is_meant = match content_type {
        Some(content_type) => {
            let essence = content_type.split(';').next().unwrap_or_default().trim();
            let essence = essence.to_ascii_lowercase();
            essence == "application/json" || essence.ends_with("+json")
        }
        None => matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')),
    };
    let Err(error) = serde_json::from_slice::<&RawValue>(body) else { return Ok(()) };
    ensure!(
        !is_meant,
        "the body is not JSON: {error}{}",
        if content_type.is_none() {
            "; `--content-type text/plain` publishes it as the text that it is"
        } else {
            ""
        }
    );
    Ok(())
}

fn read_body() -> Result<Bytes> {
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        output::notice("Type the event, then Ctrl-D:");
    }
    // One byte more than allowed tells a body that is too large from one that just fits.
    let mut body = Vec::new();
    let mut stdin = std::io::stdin().lock().take(EVENT_BYTES_MAX as u64 + 1);
    stdin.read_to_end(&mut body).context("cannot read standard input")?;
    ensure!(body.len() <= EVENT_BYTES_MAX, "an event has at most {EVENT_BYTES_MAX} bytes");
    Ok(body.into())
}

fn print_cursor(cursor: Option<&str>) -> Result<()> {
    cursor.map_or(Ok(()), output::line)
}

/// A topic within a path: `/` stays, all else that is special is escaped.
fn path(topic: &Topic) -> String {
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(topic.as_str(), ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_is_refused_where_json_is_meant() {
        let refused = [
            (None, "{\"text\": hello}"),
            (None, " [1, 2"),
            (None, "\u{FEFF}{oops"),
            (Some("application/json; charset=utf-8"), "hello"),
            (Some("application/geo+JSON"), ""),
        ];
        for (content_type, body) in refused {
            let error = check_json(content_type, body.as_bytes()).expect_err(body).to_string();
            assert!(error.starts_with("the body is not JSON: "), "{body}: {error}");
            assert_eq!(error.contains("text/plain"), content_type.is_none(), "{error}");
        }
        let taken = [
            (None, "{\"text\": \"hello\"}"),
            (None, "hello"),
            (None, "\u{FEFF}{\"text\": \"hello\"}"),
            (None, "21.5"),
            (None, "\u{1}\u{2}"),
            (Some("text/plain"), "{oops"),
            (Some("application/json"), " 1 "),
        ];
        for (content_type, body) in taken {
            check_json(content_type, body.as_bytes()).expect(body);
        }
    }

    #[test]
    fn a_topic_is_escaped_segment_by_segment() {
        for (topic, expected) in
            [("a/b-c_d.e~f", "a/b-c_d.e~f"), ("höhe/a b?", "h%C3%B6he/a%20b%3F")]
        {
            assert_eq!(path(&topic.parse().expect("a topic")), expected);
        }
    }
}
