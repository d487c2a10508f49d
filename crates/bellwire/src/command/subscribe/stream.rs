//! What a stream's items mean to a follower. No I/O.

use std::time::Duration;

use bellwire_model::limits::HEARTBEAT_INTERVAL;
use bellwire_wire::sse::{Item, Received};
use serde::Deserialize;

/// Something that a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// An event: its JSON.
    Event(String),
    /// Snapshot and catch-up are done.
    Ready { heartbeat_interval: Duration },
    /// Some events will not come; for people.
    Gap(String),
    /// A topic has ended.
    End(String),
    /// A topic that had ended goes on.
    Reopened(String),
    /// The server is about to end the stream.
    Bye { reason: String, retry: Option<Duration> },
    /// How long to wait before a reconnect.
    Retry(Duration),
    /// A sign of life, or news of a kind that is not known here.
    Nothing,
}

/// The members of control events that matter here.
#[derive(Deserialize)]
struct Control {
    #[serde(rename = "control")]
    name: String,
    heartbeat_interval_ms: Option<u64>,
    from: Option<String>,
    to: Option<String>,
    topic: Option<String>,
    reason: Option<String>,
    detail: Option<String>,
    retry_ms: Option<u64>,
}

impl Said {
    pub(super) fn read(item: Item) -> Self {
        match item {
            Item::Event(received) => Self::of_event(received),
            Item::Retry(delay) => Self::Retry(delay),
            Item::Comment(_) => Self::Nothing,
        }
    }

    fn of_event(received: Received) -> Self {
        // Publishers cannot use these types, so what has one is the server's own.
        let is_control = matches!(
            received.event_type.as_deref(),
            Some("ready" | "gap" | "narrowed" | "end" | "reopened" | "bye" | "renew" | "heartbeat")
        );
        if !is_control {
            return Self::Event(received.data);
        }
        let Ok(control) = serde_json::from_str::<Control>(&received.data) else {
            return Self::Nothing;
        };
        let reason = control.reason.unwrap_or_default();
        match control.name.as_str() {
            "ready" => Self::Ready {
                heartbeat_interval: control
                    .heartbeat_interval_ms
                    .map_or(HEARTBEAT_INTERVAL, Duration::from_millis),
            },
            "gap" => {
                let (from, to) = (control.from.unwrap_or_default(), control.to.unwrap_or_default());
                Self::Gap(format!("events after {from} up to {to} are gone ({reason})"))
            }
            "end" => Self::End(control.topic.unwrap_or_default()),
            "reopened" => Self::Reopened(control.topic.unwrap_or_default()),
            "bye" => {
                let reason = match control.detail {
                    Some(detail) => format!("{reason}: {detail}"),
                    None => reason,
                };
                Self::Bye { reason, retry: control.retry_ms.map(Duration::from_millis) }
            }
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_wire::sse::Parser;

    use super::*;

    #[test]
    fn a_stream_is_understood() {
        let stream = "retry: 2500\n\n\
            data: {\"topic\":\"a\",\"data\":1}\n\n\
            event: order.paid\ndata: {\"topic\":\"b\"}\n\n\
            event: ready\nid: e1-4\ndata: {\"control\":\"ready\",\"cursor\":\"e1-4\",\"heartbeat_interval_ms\":9000}\n\n\
            event: gap\ndata: {\"control\":\"gap\",\"from\":\"e1-1\",\"to\":\"e1-4\",\"reason\":\"expired\"}\n\n\
            :\n\n\
            event: end\nid: e1-5\ndata: {\"control\":\"end\",\"topic\":\"a\",\"cursor\":\"e1-5\"}\n\n\
            event: reopened\ndata: {\"control\":\"reopened\",\"topic\":\"a\",\"cursor\":\"e1-6\"}\n\n\
            event: bye\ndata: {\"control\":\"bye\",\"reason\":\"drain\",\"retry_ms\":1200}\n\n";
        let mut items = Vec::new();
        Parser::default().push(stream.as_bytes(), &mut items).expect("small");
        let said: Vec<_> = items.into_iter().map(Said::read).collect();
        let expected = [
            Said::Retry(Duration::from_millis(2500)),
            Said::Event("{\"topic\":\"a\",\"data\":1}".into()),
            Said::Event("{\"topic\":\"b\"}".into()),
            Said::Ready { heartbeat_interval: Duration::from_secs(9) },
            Said::Gap("events after e1-1 up to e1-4 are gone (expired)".into()),
            Said::Nothing,
            Said::End("a".into()),
            Said::Reopened("a".into()),
            Said::Bye { reason: "drain".into(), retry: Some(Duration::from_millis(1200)) },
        ];
        assert_eq!(said, expected);
    }
}
