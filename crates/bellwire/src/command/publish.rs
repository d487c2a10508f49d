//! `bellwire publish`: one event, or one for each line of standard input.

mod lines;

use std::io::Read;

use anyhow::{Context, Result, ensure};
use bellwire_client::{Client, ConnectionError, Error, Publish, Published};
use bellwire_model::limits::EVENT_BYTES_MAX;
use bellwire_model::{Topic, without_byte_order_mark};
use bytes::Bytes;
use http::HeaderValue;
use serde_json::value::RawValue;

use crate::client::{ServerFlag, advised};
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

/// How a flag's value becomes part of what is published.
type Set = fn(Publish, &str) -> Publish;

/// Prints the cursor of what was published.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let client = arguments.server.clone().client()?;
    super::runtime()?.block_on(async {
        if arguments.ndjson {
            let envelope =
                lines::Envelope::new(&arguments.topic, arguments.key, arguments.event_type);
            return lines::publish(&client, &envelope).await;
        }
        one(&client, arguments).await
    })
}

async fn one(client: &Client, arguments: Arguments) -> Result<()> {
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
    let topic = arguments.topic.as_str();
    let mut publish = if arguments.reopen {
        client.reopen(topic)
    } else if arguments.end {
        client.end(topic)
    } else {
        client.publish_bytes(topic, Bytes::new())
    };
    publish = publish.body(body).once();
    let headers: [(&str, Set, Option<&String>); 4] = [
        ("--key", Publish::key, arguments.key.as_ref()),
        ("--type", Publish::event_type, arguments.event_type.as_ref()),
        ("--idempotency-key", Publish::idempotency_key, arguments.idempotency_key.as_ref()),
        ("--content-type", Publish::content_type, arguments.content_type.as_ref()),
    ];
    for (flag, set, value) in headers {
        if let Some(value) = value {
            let checked = HeaderValue::from_bytes(value.as_bytes());
            checked.with_context(|| format!("`{flag}` has no control characters"))?;
            publish = set(publish, value);
        }
    }
    let published = publish.send().await;
    let published =
        published.map_err(|error| unsent(error, &format!("cannot publish to `{topic}`")))?;
    let Published { cursor, end, reopened, .. } = published;
    print_cursor(end.or(reopened).or(cursor).as_deref())
}

/// Nothing is tried again: it is said what was not done, or what to do.
fn unsent(error: Error, what: &str) -> anyhow::Error {
    const HINT: &str = "nothing was published: `bellwire serve` starts a server, `--server` names \
                        another";
    let error = match error {
        Error::Unsent(unsent) => match unsent.last {
            Some(last) => *last,
            None => return Error::Unsent(unsent).into(),
        },
        other => other,
    };
    let is_nobody_there = matches!(error, Error::Connection(ConnectionError::Failed { .. }));
    advised(error).context(if is_nobody_there { HINT } else { what }.to_owned())
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
}
