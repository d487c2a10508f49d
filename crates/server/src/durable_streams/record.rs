//! Streams as the journal's records have them.

use bellwire_journal::Record as Stored;
use bellwire_model::{Offset, Timestamp, Topic};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What the keys of all of them begin with; the topic follows.
pub(super) const PREFIX: &str = "stream/";

pub(super) fn key(topic: &Topic) -> Box<str> {
    [PREFIX, topic.as_str()].concat().into()
}

/// The topic that a record is of.
pub(super) fn topic(key: &str) -> Option<Topic> {
    key.strip_prefix(PREFIX)?.parse().ok()
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Of its messages, as it was created with.
    pub(crate) content_type: Box<str>,
    pub(crate) lifetime: Lifetime,
    /// What comes behind this is its own.
    pub(crate) begin: Offset,
}

impl Stream {
    /// That of a topic that nobody has created.
    pub(crate) fn of_json(begin: Offset) -> Self {
        let (content_type, lifetime) = ("application/json".into(), Lifetime::Unlimited);
        Self { content_type, lifetime, begin }
    }
}

/// When a stream goes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Never.
    Unlimited,
    /// Once nobody has read or written it for so long.
    Idle {
        /// How long.
        seconds: u64,
    },
    /// At a time, which has this text.
    Until {
        /// When.
        at: Timestamp,
        /// The same as it was said.
        text: Box<str>,
    },
}

/// What is known of the stream of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Live {
        stream: Stream,
        /// It was created with content, which is appended behind this record.
        awaits_content: bool,
    },
    /// It was deleted there.
    Deleted { at: Offset },
}

/// The same as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Text {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    awaits_content: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<u64>,
}

impl Record {
    pub(super) fn json(&self) -> Bytes {
        let text = match self {
            Self::Deleted { at } => Text { deleted_at: Some(at.get()), ..Text::default() },
            Self::Live { stream: Stream { content_type, lifetime, begin }, awaits_content } => {
                let (ttl_s, expires_at) = match lifetime {
                    Lifetime::Unlimited => (None, None),
                    Lifetime::Idle { seconds } => (Some(*seconds), None),
                    Lifetime::Until { text, .. } => (None, Some(text.clone())),
                };
                Text {
                    content_type: Some(content_type.clone()),
                    ttl_s,
                    expires_at,
                    begin: Some(begin.get()),
                    awaits_content: *awaits_content,
                    deleted_at: None,
                }
            }
        };
        serde_json::to_vec(&text).expect("strings and numbers are JSON").into()
    }

    pub(super) fn read(stored: &Stored) -> Option<(Topic, Self)> {
        let topic = stored.key.strip_prefix(PREFIX)?.parse().ok()?;
        let text: Text = serde_json::from_slice(&stored.value).ok()?;
        if let Some(at) = text.deleted_at {
            return Some((topic, Self::Deleted { at: Offset::new(at) }));
        }
        let lifetime = match (text.ttl_s, text.expires_at) {
            (Some(seconds), _) => Lifetime::Idle { seconds },
            (None, Some(text)) => Lifetime::Until { at: Timestamp::from_rfc3339(&text)?, text },
            (None, None) => Lifetime::Unlimited,
        };
        let begin = Offset::new(text.begin?);
        let stream = Stream { content_type: text.content_type?, lifetime, begin };
        Some((topic, Self::Live { stream, awaits_content: text.awaits_content }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_what_it_says() {
        let topic: Topic = "runs/42".parse().expect("a topic");
        let text = "2026-11-29T23:00:00+01:00";
        let at = Timestamp::from_rfc3339(text).expect("a time");
        let lifetimes = [
            Lifetime::Unlimited,
            Lifetime::Idle { seconds: 3_600 },
            Lifetime::Until { at, text: text.into() },
        ];
        let live = |(lifetime, awaits_content)| {
            let (content_type, begin) = ("text/plain; charset=utf-8".into(), Offset::new(7));
            Record::Live { stream: Stream { content_type, lifetime, begin }, awaits_content }
        };
        let mut records: Vec<Record> =
            lifetimes.into_iter().zip([true, false, true]).map(live).collect();
        records.push(Record::Deleted { at: Offset::new(u64::MAX) });
        for record in records {
            let stored = Stored { key: key(&topic), value: record.json() };
            assert_eq!(Record::read(&stored), Some((topic.clone(), record)));
        }
        let broken = Stored { key: key(&topic), value: Bytes::from_static(b"{\"begin\":1}") };
        assert_eq!(Record::read(&broken), None);
    }
}
