//! Publishing one event, and ending a topic.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::error::{ArgumentError, Error};
use crate::outbox::{Letter, Outbox, Repeat, Terms, Tries};

const KEY: &str = "bellwire-key";
const TYPE: &str = "bellwire-type";
const END: &str = "bellwire-end";
const TTL: &str = "bellwire-ttl";
const IF_VERSION: &str = "bellwire-if-version";
const IF_ABSENT: &str = "bellwire-if-absent";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What the server says of something that it has taken.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Published {
    /// Of an event of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Of a value of a state topic that clients may write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the topic has ended: the cursor of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Where the topic goes on: the cursor of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopened: Option<String>,
    /// Whether it was there already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// What is to be published, before it is.
#[derive(Debug)]
#[must_use = "nothing is published before `send` is called and awaited"]
pub struct Publish {
    outbox: Arc<Outbox>,
    method: Method,
    path: String,
    headers: Result<HeaderMap, ArgumentError>,
    body: Bytes,
    repeat: Repeat,
    terms: Terms,
}

impl Publish {
    /// Something about a topic, without a body.
    pub(crate) fn new(outbox: Arc<Outbox>, topic: &str) -> Self {
        Self {
            outbox,
            method: Method::POST,
            path: path(topic),
            headers: Ok(HeaderMap::new()),
            body: Bytes::new(),
            repeat: Repeat::Harmless,
            terms: Terms::default(),
        }
    }

    pub(crate) fn json(mut self, data: &impl Serialize) -> Self {
        match serde_json::to_vec(data) {
            Ok(body) => self.body = body.into(),
            Err(error) => self.headers = Err(ArgumentError::Json(error)),
        }
        self.content_type("application/json")
    }

    /// What is published as it is, in place of what was given before.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(crate) fn deletion(mut self, key: &str) -> Self {
        self.method = Method::DELETE;
        self.path.push_str("?key=");
        self.path.extend(utf8_percent_encode(key, NON_ALPHANUMERIC));
        self
    }

    pub(crate) fn closure(self, is_end: Closure) -> Self {
        let said = match is_end {
            Closure::End => "true",
            Closure::Reopen => "false",
        };
        self.header(END, said)
    }

    /// The event's key; a state topic needs one.
    pub fn key(self, key: &str) -> Self {
        self.header(KEY, key)
    }

    /// The event's type, such as `order.paid`.
    pub fn event_type(self, event_type: &str) -> Self {
        self.header(TYPE, event_type)
    }

    /// Events of a topic with the same key are published once; a new one is made by default.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header(IDEMPOTENCY_KEY, key)
    }

    /// The media type of what is published.
    pub fn content_type(self, content_type: &str) -> Self {
        self.header(CONTENT_TYPE.as_str(), content_type)
    }

    /// State topics: only if the key has this version.
    pub fn if_version(mut self, version: &str) -> Self {
        self.repeat = Repeat::Never;
        if self.method == Method::DELETE {
            self.path.push_str("&if_version=");
            self.path.extend(utf8_percent_encode(version, NON_ALPHANUMERIC));
            return self;
        }
        self.header(IF_VERSION, version)
    }

    /// State topics: only if there is no such key.
    pub fn if_absent(mut self) -> Self {
        self.repeat = Repeat::Never;
        self.header(IF_ABSENT, "true")
    }

    /// State topics: after which time the key goes by itself, such as `30s`.
    pub fn ttl(self, ttl: &str) -> Self {
        self.header(TTL, ttl)
    }

    /// Streams: the topic ends with this event.
    pub fn end(self) -> Self {
        self.closure(Closure::End)
    }

    /// How long it is tried; a minute by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.terms.timeout = timeout;
        self
    }

    /// Tries it once, and hands it back where that fails.
    pub fn once(mut self) -> Self {
        self.terms.tries = Tries::One;
        self
    }

    /// Returns once it is durable. What could not be sent is handed back as
    /// [`Error::Unsent`]; so it is where the future is dropped, without a word.
    pub async fn send(self) -> Result<Published, Error> {
        let mut headers = self.headers?;
        // To end a topic or to delete a key does the same however often it is done.
        let is_event =
            self.method == Method::POST && !(self.body.is_empty() && headers.contains_key(END));
        if is_event && !headers.contains_key(IDEMPOTENCY_KEY) {
            headers.insert(IDEMPOTENCY_KEY, new_key());
        }
        let key = headers.get(IDEMPOTENCY_KEY);
        let idempotency_key = key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
        let letter = Letter {
            method: self.method,
            path: self.path,
            headers,
            body: self.body,
            repeat: self.repeat,
            idempotency_key,
        };
        let published: Option<Published> = self.outbox.send(letter, self.terms).await?;
        Ok(published.unwrap_or_default())
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(headers) = &mut self.headers {
            // As bytes: keys may be any UTF-8.
            match HeaderValue::from_bytes(value.as_bytes()) {
                Ok(value) => {
                    headers.insert(HeaderName::from_static(name), value);
                }
                Err(_) => self.headers = Err(ArgumentError::Header { name }),
            }
        }
        self
    }
}

/// What becomes of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closure {
    End,
    Reopen,
}

/// Nobody else's.
fn new_key() -> HeaderValue {
    let number = u128::from(random()) << 64 | u128::from(random());
    HeaderValue::try_from(format!("{number:032x}")).expect("digits")
}

fn random() -> u64 {
    getrandom::u64().expect("the system gives random numbers")
}

/// A topic within a path: `/` stays, all else that is special is escaped.
fn path(topic: &str) -> String {
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    format!("/v1/topics/{}", utf8_percent_encode(topic, ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_escaped_segment_by_segment() {
        for (topic, expected) in
            [("a/b-c_d.e~f", "a/b-c_d.e~f"), ("höhe/a b?", "h%C3%B6he/a%20b%3F")]
        {
            assert_eq!(path(topic), format!("/v1/topics/{expected}"));
        }
    }

    #[test]
    fn keys_are_made_for_one_event_each() {
        assert_ne!(new_key(), new_key());
        assert_eq!(new_key().len(), 32);
    }
}
