//! What clients ask over a WebSocket: one object a message, as JSON or `MessagePack`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bellwire_model::limits::{
    FILTERS_PER_CONNECTION_MAX, IDEMPOTENCY_KEY_BYTES_MAX, PAST_WINDOW_MAX, REQUEST_ID_BYTES_MAX,
};
use bellwire_model::{
    AskedQuery, Condition, Cursor, Filter, FilterError, Fingerprint, MaxRate, MaxRateError, Topic,
    WriteTerms, duration, without_byte_order_mark,
};
use bytes::Bytes;
use serde::de::DeserializeSeed;

use crate::msgpack;
use crate::object::Object;
use crate::publish::item::{self, quoted, text};
use crate::publish::{Post, check_key};
use crate::write;

pub use crate::publish::item::Refusal;

/// A client's own name for a request; the reply has it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequestId {
    /// An integer.
    Number(u64),
    /// A text of at most [`REQUEST_ID_BYTES_MAX`] bytes.
    Text(Box<str>),
}

/// A message of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The request's id, where it has one and it could be read.
    pub id: Option<RequestId>,
    /// What is asked, or what is wrong with it.
    pub request: Result<Request, Refusal>,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// To follow topics, beside those that it follows already.
    Subscribe {
        /// As many as a connection may have at most; at least one where there are no queries.
        topics: Vec<Filter>,
        /// Queries whose answers are followed, too.
        queries: Vec<AskedQuery>,
        /// Where to begin.
        after: Option<After>,
        /// How often it wants a key of them at most.
        max_rate: Option<MaxRate>,
        /// How far back the past of series is wanted.
        history: Option<Duration>,
    },
    /// To follow topics no more.
    Unsubscribe {
        /// At least one, as many as a connection may have at most.
        topics: Vec<Filter>,
    },
    /// To publish an event, or to say what becomes of a topic.
    Publish {
        /// What is asked of which topic.
        post: Post,
        /// By which the event is known if it is published again.
        idempotency_key: Option<Box<str>>,
    },
    /// To delete a key of a state topic.
    Delete {
        /// The topic.
        topic: Topic,
        /// The key.
        key: Box<str>,
        /// What has to be so of it.
        condition: Condition,
    },
    /// To delete all keys of a state topic that begin alike.
    DeleteAll {
        /// The topic.
        topic: Topic,
        /// What the keys begin with; may be empty.
        prefix: Box<str>,
    },
    /// To have a key of a state topic go later than it would.
    Touch {
        /// The topic.
        topic: Topic,
        /// The key.
        key: Box<str>,
        /// After which time it goes from now on, and what has to be so of it.
        terms: WriteTerms,
    },
    /// To say who attends to an alert.
    Acknowledge {
        /// Which alert.
        fingerprint: Fingerprint,
        /// Who.
        by: Box<str>,
        /// What they say about it; may be empty.
        note: Box<str>,
    },
    /// To say that nobody does any more.
    Unacknowledge {
        /// Which alert.
        fingerprint: Fingerprint,
    },
    /// To go on under another credential.
    Renew {
        /// What shows who it is.
        token: Token,
    },
    /// To take samples in.
    Samples {
        /// One sample or an array of them, as JSON that was not looked into.
        json: Bytes,
    },
}

/// A credential, which nothing shows by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub Box<str>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// With the oldest event that is kept.
    Earliest,
    /// With the next.
    Latest,
    /// With what follows the cursor.
    Cursor(Cursor),
}

/// The requests, and the members that each has beside `request` and `id`.
const REQUESTS: [(&str, &[&str]); 9] = [
    ("subscribe", &["topics", "queries", "query_names", "after", "max_rate", "history"]),
    ("unsubscribe", &["topics"]),
    (
        "publish",
        &[
            "topic",
            "key",
            "type",
            "data",
            "encoding",
            "content_type",
            "end",
            "idempotency_key",
            "if_version",
            "if_absent",
            "ttl",
            "producer_id",
            "producer_epoch",
            "producer_seq",
        ],
    ),
    ("delete", &["topic", "key", "prefix", "if_version"]),
    ("touch", &["topic", "key", "ttl", "if_version"]),
    ("acknowledge", &["fingerprint", "by", "note"]),
    ("unacknowledge", &["fingerprint"]),
    ("renew", &["token"]),
    ("samples", &["samples"]),
];

/// All members there are.
const MEMBERS: [&str; 28] = [
    "request",
    "id",
    "topics",
    "queries",
    "query_names",
    "after",
    "max_rate",
    "history",
    "topic",
    "key",
    "prefix",
    "type",
    "data",
    "encoding",
    "content_type",
    "end",
    "idempotency_key",
    "if_version",
    "if_absent",
    "ttl",
    "producer_id",
    "producer_epoch",
    "producer_seq",
    "fingerprint",
    "by",
    "note",
    "token",
    "samples",
];

/// What is wrong with an event that is known by two names.
pub const ONE_OF_BOTH: &str =
    "an event has an idempotency key, or its producer's sequence, and not both";

/// What is wrong with a deletion that says more than what keys begin with.
pub const PREFIX_ALONE: &str = "`prefix` deletes all keys that begin so, whatever they are: it comes without `key` and `if_version`";

/// How far back the past of series is wanted, or what is wrong with that.
pub fn read_history(text: &str) -> Result<Duration, String> {
    let history = duration::parse(text);
    let history = history.filter(|it| !it.is_zero() && *it <= PAST_WINDOW_MAX);
    history.ok_or_else(|| {
        let most = PAST_WINDOW_MAX.as_secs() / 3_600;
        format!("`history` is a duration such as `15m`, {most}h at most, not `{}`", quoted(text))
    })
}

/// Reads a request that is JSON.
pub fn read_json(request: &str) -> Received {
    let mut members = Members::default();
    let is_read = members.read(request);
    let (id, id_refusal) = match members.id() {
        Ok(id) => (id, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let refusal = is_read.err().or(id_refusal);
    Received { id, request: refusal.map_or_else(|| members.request(), Err) }
}

/// Reads a request that is `MessagePack`: the same map. Its `data` may be binary, which then
/// needs no `encoding`.
pub fn read_msgpack(request: &[u8]) -> Received {
    let mut json = Vec::with_capacity(2 * request.len());
    let result = msgpack::write_as_json(&mut json, request);
    // Of a request that breaks off, what came before may have the id.
    let mut received = read_json(&String::from_utf8_lossy(&json));
    if let Err(error) = result {
        let code = if error.fault == msgpack::Fault::Nesting {
            "nesting_too_deep"
        } else {
            "msgpack_invalid"
        };
        received.request = Err(Refusal::new(code, error.to_string()));
    }
    received
}

/// The members of a request: JSON text as it stands there.
#[derive(Default)]
struct Members<'a> {
    /// As in [`MEMBERS`].
    values: [Option<&'a str>; MEMBERS.len()],
    refusal: Option<Refusal>,
}

impl<'a> Members<'a> {
    /// What was read before an error counts: the id may be among it.
    fn read(&mut self, request: &'a str) -> Result<(), Refusal> {
        let request = &request[request.len() - without_byte_order_mark(request.as_bytes()).len()..];
        let mut json = serde_json::Deserializer::from_str(request);
        let object = Object(|name: &str, raw| self.set(name, raw));
        match object.deserialize(&mut json).and_then(|is_object| json.end().map(|()| is_object)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(invalid("a request is an object: {\"request\":\"subscribe\",…}")),
            Err(error) => Err(Refusal::new("json_invalid", format!("this is not JSON: {error}"))),
        }
    }

    fn set(&mut self, name: &str, raw: &'a str) {
        let index = MEMBERS.iter().position(|known| *known == name);
        if let Some(index) = index.filter(|index| self.values[*index].is_none()) {
            self.values[index] = Some(raw);
        } else if self.refusal.is_none() {
            // The first counts; to put more of them into words would take its time.
            self.refusal = Some(match index {
                Some(_) => item::duplicate_field(name),
                None => item::unknown_field(name, "a request", &MEMBERS),
            });
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let index = MEMBERS.iter().position(|known| *known == name).expect("a member of MEMBERS");
        self.values[index]
    }

    fn id(&self) -> Result<Option<RequestId>, Refusal> {
        let Some(raw) = self.get("id").filter(|raw| *raw != "null") else { return Ok(None) };
        if let Ok(number) = raw.parse() {
            return Ok(Some(RequestId::Number(number)));
        }
        match text("id", Some(raw)) {
            Ok(Some(text)) if text.len() <= REQUEST_ID_BYTES_MAX => {
                Ok(Some(RequestId::Text(text.into())))
            }
            _ => Err(Refusal::new(
                "type_invalid",
                format!(
                    "`id` is an integer from 0 to {}, or a string of at most \
                     {REQUEST_ID_BYTES_MAX} bytes",
                    u64::MAX
                ),
            )),
        }
    }

    fn request(mut self) -> Result<Request, Refusal> {
        let Some(name) = text("request", self.get("request"))? else {
            return Err(invalid("a request names what it asks: `request`"));
        };
        let Some((name, members)) = REQUESTS.iter().find(|(known, _)| *known == name) else {
            let known = REQUESTS.map(|(known, _)| known).join(", ");
            return Err(invalid(&format!("`request` is one of {known}")));
        };
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        let given = MEMBERS.iter().zip(&self.values).filter(|(_, value)| value.is_some());
        let foreign =
            |member: &str| !["request", "id"].contains(&member) && !members.contains(&member);
        if let Some((member, _)) = given.into_iter().find(|(member, _)| foreign(member)) {
            return Err(item::unknown_field(member, name, members));
        }
        match *name {
            "subscribe" => self.subscribe(),
            "unsubscribe" => Ok(Request::Unsubscribe { topics: self.topics()? }),
            "publish" => self.publish(),
            "delete" => self.delete(),
            "touch" => self.touch(),
            "acknowledge" => self.acknowledge(),
            "unacknowledge" => Ok(Request::Unacknowledge { fingerprint: self.fingerprint()? }),
            "renew" => self.renew(),
            _ => self.samples(),
        }
    }

    fn subscribe(&self) -> Result<Request, Refusal> {
        let queries = self.queries()?;
        let has_topics = queries.is_empty() || self.get("topics").is_some();
        let topics = if has_topics { self.topics()? } else { Vec::new() };
        let (after, max_rate, history) = (self.after()?, self.max_rate()?, self.history()?);
        Ok(Request::Subscribe { topics, queries, after, max_rate, history })
    }

    fn history(&self) -> Result<Option<Duration>, Refusal> {
        let Some(given) = text("history", self.get("history"))? else { return Ok(None) };
        let refusal = |detail| Refusal::new("parameter_invalid", detail);
        read_history(&given).map(Some).map_err(refusal)
    }

    fn queries(&self) -> Result<Vec<AskedQuery>, Refusal> {
        let texts = |member: &str| -> Result<Vec<Box<str>>, Refusal> {
            let Some(raw) = self.get(member) else { return Ok(Vec::new()) };
            serde_json::from_str(raw).map_err(|_| {
                Refusal::new("type_invalid", format!("`{member}` is an array of strings"))
            })
        };
        let expressions = texts("queries")?.into_iter().map(AskedQuery::Expression);
        let names = texts("query_names")?.into_iter().map(AskedQuery::Named);
        let queries: Vec<AskedQuery> = expressions.chain(names).collect();
        match queries.len() {
            filters if filters > FILTERS_PER_CONNECTION_MAX => {
                let error = FilterError::TooMany { filters };
                Err(Refusal::new("topic_invalid", error.to_string()))
            }
            _ => Ok(queries),
        }
    }

    fn topics(&self) -> Result<Vec<Filter>, Refusal> {
        let topic_invalid = |detail: String| Refusal::new("topic_invalid", detail);
        let Some(raw) = self.get("topics") else {
            return Err(Refusal::new("topic_missing", "name topics: `\"topics\":[\"alerts/**\"]`"));
        };
        let topics: Vec<Cow<'_, str>> = serde_json::from_str(raw)
            .map_err(|_| Refusal::new("type_invalid", "`topics` is an array of strings"))?;
        match topics.len() {
            1..=FILTERS_PER_CONNECTION_MAX => {}
            0 => return Err(topic_invalid("`topics` names none".to_owned())),
            filters => return Err(topic_invalid(FilterError::TooMany { filters }.to_string())),
        }
        let filter = |topic: &Cow<'_, str>| {
            let invalid = |error| topic_invalid(format!("topic `{}`: {error}", quoted(topic)));
            topic.parse().map_err(invalid)
        };
        topics.iter().map(filter).collect()
    }

    fn after(&self) -> Result<Option<After>, Refusal> {
        let Some(after) = text("after", self.get("after"))? else { return Ok(None) };
        Ok(Some(match &*after {
            "earliest" => After::Earliest,
            "latest" => After::Latest,
            cursor => After::Cursor(
                cursor
                    .parse()
                    .map_err(|error| Refusal::new("cursor_invalid", format!("`after`: {error}")))?,
            ),
        }))
    }

    fn max_rate(&self) -> Result<Option<MaxRate>, Refusal> {
        let Some(raw) = self.get("max_rate").filter(|raw| *raw != "null") else { return Ok(None) };
        let rate =
            serde_json::from_str(raw).map_err(|_| MaxRateError).and_then(MaxRate::per_second);
        let refusal = |error| {
            let detail = format!("`max_rate` is `{}`: {error}", quoted(raw));
            Refusal::new("parameter_invalid", detail)
        };
        rate.map(Some).map_err(refusal)
    }

    /// No refusal quotes the token.
    fn renew(&self) -> Result<Request, Refusal> {
        let token = text("token", self.get("token"))?
            .ok_or_else(|| Refusal::new("parameter_invalid", "show who you are: `token`"))?;
        Ok(Request::Renew { token: Token(token.into()) })
    }

    fn publish(&self) -> Result<Request, Refusal> {
        let idempotency_key = text("idempotency_key", self.get("idempotency_key"))?;
        if let Some(key) = &idempotency_key
            && !(1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len())
        {
            return Err(Refusal::new(
                "idempotency_key_invalid",
                format!("an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes"),
            ));
        }
        let members = item::Members {
            topic: self.get("topic"),
            key: self.get("key"),
            event_type: self.get("type"),
            data: self.get("data"),
            encoding: self.get("encoding"),
            content_type: self.get("content_type"),
            terms: self.terms(),
            fence: item::FenceMembers {
                producer: self.get("producer_id"),
                epoch: self.get("producer_epoch"),
                sequence: self.get("producer_seq"),
            },
            end: self.get("end"),
        };
        let post = members.post(copy)?;
        if idempotency_key.is_some() && post.fence().is_some() {
            return Err(Refusal::new("producer_invalid", ONE_OF_BOTH));
        }
        Ok(Request::Publish { post, idempotency_key: idempotency_key.map(Box::from) })
    }

    fn terms(&self) -> item::TermMembers<'a> {
        item::TermMembers {
            if_version: self.get("if_version"),
            if_absent: self.get("if_absent"),
            ttl: self.get("ttl"),
        }
    }

    /// The key of a state topic that is asked for.
    fn key(&self) -> Result<(Topic, Box<str>), Refusal> {
        let topic = item::topic(self.get("topic"))?;
        let Some(key) = text("key", self.get("key"))? else {
            return Err(Refusal::new("key_missing", "say which `key` it is"));
        };
        check_key(&key)?;
        Ok((topic, key.into()))
    }

    fn touch(&self) -> Result<Request, Refusal> {
        let ((topic, key), terms) = (self.key()?, self.terms().terms()?);
        if terms.ttl.is_none() {
            return Err(Refusal::new(
                "parameter_invalid",
                "say how long it stays: `\"ttl\":\"30s\"`",
            ));
        }
        Ok(Request::Touch { topic, key, terms })
    }

    fn delete(&self) -> Result<Request, Refusal> {
        if let Some(prefix) = text("prefix", self.get("prefix"))? {
            if text("key", self.get("key"))?.is_some()
                || text("if_version", self.get("if_version"))?.is_some()
            {
                return Err(Refusal::new("parameter_invalid", PREFIX_ALONE));
            }
            let topic = item::topic(self.get("topic"))?;
            return Ok(Request::DeleteAll { topic, prefix: prefix.into() });
        }
        let ((topic, key), terms) = (self.key()?, self.terms().terms()?);
        Ok(Request::Delete { topic, key, condition: terms.condition })
    }

    fn acknowledge(&self) -> Result<Request, Refusal> {
        let fingerprint = self.fingerprint()?;
        let Some(by) = text("by", self.get("by"))? else {
            return Err(invalid("say who acknowledges: `by`"));
        };
        let note = text("note", self.get("note"))?.unwrap_or_default();
        Ok(Request::Acknowledge { fingerprint, by: by.into(), note: note.into() })
    }

    fn fingerprint(&self) -> Result<Fingerprint, Refusal> {
        let Some(fingerprint) = text("fingerprint", self.get("fingerprint"))? else {
            return Err(invalid("say which alert, by its `fingerprint`"));
        };
        fingerprint.parse().map_err(|_| {
            let fingerprint = quoted(&fingerprint);
            let detail = format!("`{fingerprint}` is no fingerprint: 16 hexadecimal digits");
            Refusal::new("alert_not_found", detail)
        })
    }

    fn samples(&self) -> Result<Request, Refusal> {
        match self.get("samples") {
            Some(json) if json.starts_with(['{', '[']) => Ok(Request::Samples { json: copy(json) }),
            Some(_) => {
                Err(Refusal::new("type_invalid", "`samples` is an array of samples, or one"))
            }
            None => Err(Refusal::new("body_empty", "a request of samples has `samples`")),
        }
    }
}

fn invalid(detail: &str) -> Refusal {
    Refusal::new("request_invalid", detail)
}

fn copy(part: &str) -> Bytes {
    Bytes::copy_from_slice(part.as_bytes())
}

impl RequestId {
    /// As it stands in JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => write::integer(out, *number),
            Self::Text(text) => write::string(out, text),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}
