//! What the server says of a stream itself.

use serde::Deserialize;

use crate::error::ProtocolError;

/// A control event, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    json: String,
    cursor: Option<String>,
    kind: ControlKind,
}

/// Which control event it is, with its members.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "control", rename_all = "lowercase")]
#[non_exhaustive]
pub enum ControlKind {
    /// Snapshot and catch-up are done; live from here.
    Ready {
        /// How often the server gives a sign at least, in milliseconds.
        heartbeat_interval_ms: Option<u64>,
    },
    /// Some of the events after `from` and up to `to` will not come.
    Gap {
        /// A cursor.
        from: String,
        /// A cursor; it is no place to resume from.
        to: String,
        /// `expired` or `epoch`.
        #[serde(default)]
        reason: String,
        /// What is followed, all of which may have missed something.
        #[serde(default)]
        filters: Vec<String>,
    },
    /// What the client has of state topics that pass the filters is void.
    Reset {
        /// What is followed.
        #[serde(default)]
        filters: Vec<String>,
    },
    /// What the client may read leaves less than it has asked for.
    Narrowed {
        /// The filters that are left.
        #[serde(default)]
        topics: Vec<String>,
    },
    /// A topic has ended: nothing more comes of it.
    End {
        /// Which.
        topic: String,
    },
    /// A topic that had ended goes on.
    Reopened {
        /// Which.
        topic: String,
    },
    /// What the client has shown of who it is ends soon. It is renewed by itself where the client has
    /// a function that gives tokens.
    Renew {
        /// How long it still counts, in milliseconds.
        expires_in_ms: u64,
        /// What is to be renewed.
        renews: String,
    },
    /// The server takes no events in, as where the engine of its cluster is away. The stream stays
    /// open.
    Degraded {
        /// `engine_away`, `journal_failing`, …
        #[serde(default)]
        reason: String,
        /// The same for people.
        #[serde(default)]
        detail: String,
        /// What goes on: `history`, `state`.
        #[serde(default)]
        works: Vec<String>,
        /// What does not: `live`, `publish`.
        #[serde(default)]
        fails: Vec<String>,
    },
    /// It does again.
    Restored,
    /// A sign of life, with the cursor that has moved.
    Heartbeat,
    /// The server ends the stream.
    Bye {
        /// `drain`, `credential_expired`, …, or the code of a refusal.
        #[serde(default)]
        reason: String,
        /// Of a refusal: its status of HTTP.
        status: Option<u16>,
        /// Of a refusal: what it is about.
        detail: Option<String>,
        /// When to come back, in milliseconds.
        retry_ms: Option<u64>,
    },
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Control {
    pub(super) fn read(json: String, cursor: Option<String>) -> Result<Self, ProtocolError> {
        let kind =
            serde_json::from_str(&json).map_err(|error| ProtocolError::Malformed(error.into()))?;
        Ok(Self { json, cursor, kind })
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> &ControlKind {
        &self.kind
    }

    /// Where the subscriber is, where it says so.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The whole of it, as it came, on one line.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

#[cfg(test)]
mod tests {
    use super::super::Item;
    use super::*;

    fn read(json: &str) -> Control {
        match Item::read(json.to_owned()).expect("a control event") {
            Item::Control(control) => control,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn control_events_are_told_apart() {
        let ready = read(r#"{"control":"ready","cursor":"e1-2","heartbeat_interval_ms":9000}"#);
        let interval = Some(9_000);
        assert_eq!(ready.kind(), &ControlKind::Ready { heartbeat_interval_ms: interval });
        assert_eq!(ready.cursor(), Some("e1-2"));
        let gap = read(r#"{"control":"gap","from":"e1-1","to":"e1-4","reason":"expired"}"#);
        assert!(matches!(gap.kind(), ControlKind::Gap { to, .. } if to == "e1-4"), "{gap:?}");
        assert_eq!(gap.cursor(), None);
        let heartbeat = read(r#"{"control":"heartbeat","cursor":"e1-3"}"#);
        assert_eq!(heartbeat.kind(), &ControlKind::Heartbeat);
        let degraded =
            r#"{"control":"degraded","reason":"engine_away","works":["history"],"more":1}"#;
        let degraded = read(degraded);
        let is_told = matches!(
            degraded.kind(),
            ControlKind::Degraded { reason, works, .. } if reason == "engine_away" && works.len() == 1
        );
        assert!(is_told, "{degraded:?}");
        assert_eq!(read(r#"{"control":"restored"}"#).kind(), &ControlKind::Restored);
        let later = r#"{"control":"moon","phase":1,"cursor":"e1-5"}"#;
        assert_eq!((read(later).kind(), read(later).json()), (&ControlKind::Unknown, later));
    }

    #[test]
    fn what_is_no_event_says_what_it_is() {
        for (json, code) in [
            ("{\"topic\":\"a\"", "frame_malformed"),
            ("hello", "frame_malformed"),
            ("", "frame_malformed"),
            ("7", "not_bellwire"),
            ("{}", "not_bellwire"),
            ("{\"topic\":7}", "not_bellwire"),
            ("{\"control\":\"gap\"}", "frame_malformed"),
        ] {
            let error = crate::Error::from(Item::read(json.to_owned()).expect_err(json));
            assert_eq!(error.code(), code, "{json}");
        }
    }
}
