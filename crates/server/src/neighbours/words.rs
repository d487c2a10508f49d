//! What nodes tell each other of those who show themselves: lines of JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bellwire_model::limits::{PRESENCE_LINE_BYTES_MAX, PRESENCE_SHOWN_BYTES_MAX};
use bellwire_model::{Labels, LabelsError, Timestamp, TopicError, with_causes};
use bellwire_shards::{Moved, Seen};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::lines::{self, TooLong};

/// What one line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Moved(Moved),
    /// All have come who are there.
    Ready,
}

/// Why what comes is not taken.
#[derive(Debug, Error)]
enum WordError {
    #[error(transparent)]
    TooLong(#[from] TooLong),
    #[error("a line is not what nodes say to each other")]
    Json(#[from] serde_json::Error),
    #[error("the topic")]
    Topic(#[from] TopicError),
    #[error("the labels")]
    Labels(#[from] LabelsError),
    #[error("what somebody shows has more than {PRESENCE_SHOWN_BYTES_MAX} bytes")]
    Shows,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    #[serde(borrow)]
    Here(Here<'a>),
    #[serde(borrow)]
    Gone(Gone<'a>),
    Ready,
}

#[derive(Serialize, Deserialize)]
struct Here<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    identity: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    shows: Option<&'a RawValue>,
    since: i64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

#[derive(Serialize, Deserialize)]
struct Gone<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    identity: Cow<'a, str>,
    is_for_good: bool,
}

/// Cuts what comes into words.
#[derive(Debug, Default)]
pub(super) struct Lines(lines::Lines<PRESENCE_LINE_BYTES_MAX>);

impl Lines {
    /// What is complete with this piece. A line that cannot be taken is passed over: all others there would go
    /// with it.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<Word> {
        let mut words = Vec::new();
        let Ok(()) = self.0.take(piece, |line| {
            match line.map_err(WordError::from).and_then(read) {
                Ok(word) => words.push(word),
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::debug!(
                        error,
                        "What another node tells of somebody there is not taken."
                    );
                }
            }
            Ok::<(), Infallible>(())
        });
        words
    }
}

fn read(line: &[u8]) -> Result<Word, WordError> {
    Ok(match serde_json::from_slice(line)? {
        Line::Ready => Word::Ready,
        Line::Gone(Gone { topic, identity, is_for_good }) => {
            let (topic, identity) = (topic.parse()?, (*identity).into());
            Word::Moved(Moved::Gone { topic, identity, is_for_good })
        }
        Line::Here(Here { topic, identity, subject, shows, since, labels }) => {
            let shows = shows.map(|shows| shows.get().as_bytes());
            if shows.is_some_and(|shows| shows.len() > PRESENCE_SHOWN_BYTES_MAX) {
                return Err(WordError::Shows);
            }
            let pairs = |labels: &BTreeMap<Cow<'_, str>, Cow<'_, str>>| {
                Labels::from_pairs(labels.iter().map(|(name, value)| (&**name, &**value)))
            };
            Word::Moved(Moved::Here(Arc::new(Seen {
                topic: topic.parse()?,
                labels: labels.as_ref().map(pairs).transpose()?,
                identity: (*identity).into(),
                subject: subject.map(|subject| (*subject).into()),
                shows: shows.map(Bytes::copy_from_slice),
                since: Timestamp::from_ms(since),
            })))
        }
    })
}

/// A line that says this.
pub(super) fn write(word: &Word) -> Bytes {
    let line = match word {
        Word::Ready => Line::Ready,
        Word::Moved(Moved::Gone { topic, identity, is_for_good }) => Line::Gone(Gone {
            topic: topic.as_str().into(),
            identity: (&**identity).into(),
            is_for_good: *is_for_good,
        }),
        Word::Moved(Moved::Here(seen)) => {
            let Seen { topic, labels, identity, subject, shows, since } = &**seen;
            let shows = shows.as_ref().map(|shows| {
                serde_json::from_slice(shows).expect("it was read as JSON when it came")
            });
            let pairs = |labels: &'_ Labels| -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
                let own = |text: &str| Cow::Owned(text.to_owned());
                labels.iter().map(|(name, value)| (own(name), own(value))).collect()
            };
            Line::Here(Here {
                topic: topic.as_str().into(),
                identity: (&**identity).into(),
                subject: subject.as_deref().map(Into::into),
                shows,
                since: since.as_ms(),
                labels: labels.as_ref().map(pairs),
            })
        }
    };
    let mut text = serde_json::to_vec(&line).expect("texts and numbers are JSON");
    // What somebody shows is as they wrote it. Inside strings JSON has no line breaks, so all of them are
    // white space.
    for byte in &mut text {
        *byte = if matches!(*byte, b'\n' | b'\r') { b' ' } else { *byte };
    }
    text.push(b'\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_as_it_was() {
        let seen = Seen {
            topic: "rooms/Ålesund".parse().expect("a topic"),
            labels: None,
            identity: "subject \nada\n".into(),
            subject: Some("ada \"x\"".into()),
            shows: Some(Bytes::from_static(b"{\"name\": \"Ada\\n\"}")),
            since: Timestamp::from_ms(7),
        };
        let labels =
            Labels::from_pairs([("alertname", "Fire"), ("site", "o\"slo")]).expect("labels");
        let other = Seen { labels: Some(labels), subject: None, shows: None, ..seen.clone() };
        let (topic, identity) = (seen.topic.clone(), Arc::clone(&seen.identity));
        let words = [
            Word::Moved(Moved::Here(Arc::new(seen))),
            Word::Moved(Moved::Here(Arc::new(other))),
            Word::Moved(Moved::Gone { topic, identity, is_for_good: true }),
            Word::Ready,
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|word| write(word).to_vec()).collect();
        assert_eq!(Lines::default().take(&bytes), words);
    }

    #[test]
    fn what_somebody_shows_is_one_line_whatever_white_space_it_has() {
        let seen = |shows: &'static str| {
            Word::Moved(Moved::Here(Arc::new(Seen {
                topic: "rooms/a".parse().expect("a topic"),
                labels: None,
                identity: "ada".into(),
                subject: None,
                shows: Some(Bytes::from_static(shows.as_bytes())),
                since: Timestamp::from_ms(7),
            })))
        };
        let told = write(&seen("{\"a\":\r\n1}"));
        assert_eq!(Lines::default().take(&told), [seen("{\"a\":  1}")]);
    }

    #[test]
    fn a_line_that_cannot_be_taken_is_passed_over() {
        let long = format!("\"{}\"\n", "x".repeat(PRESENCE_LINE_BYTES_MAX));
        for text in ["{}\n", "{\"here\":{}}\n", "\"x\"\n", "{\"a\":\n", &long] {
            let mut lines = Lines::default();
            assert_eq!(lines.take(text.as_bytes()), [], "{} bytes", text.len());
            assert_eq!(lines.take(&write(&Word::Ready)), [Word::Ready], "{} bytes", text.len());
        }
    }
}
