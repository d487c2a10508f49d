//! What a payload says: one group commit, in an encoding of our own.
//!
//! ```text
//! item │ item │ …        1: appends of one publisher, made whole or not at all: count, append, append, …
//!                        2: changes of records: count, change, change, …
//! append: flags │ topic, where it is another than before │ key │ type │ time │ body │ …
//! ```
//!
//! Times are told from the head's, and when a key goes by itself as how long after that: a system's uptime
//! means nothing to another. Whoever meets a kind or a flag that it does not know has to
//! stop, since what it left out would be missing for good.

use std::time::Duration;

use bellwire_journal::{Append, ClockReading, RecordChange};
use bellwire_model::limits::EVENTS_PER_COMMIT_MAX;
use bellwire_model::{
    Body, Condition, Epoch, Event, Fence, Keep, KeyVersion, Life, Offset, Timestamp, Topic, Version,
};
use bytes::Bytes;

use crate::Error;
use crate::fields::{Fields, put_bytes, put_number, put_signed};

const KIND_APPENDS: u8 = 1;
const KIND_RECORDS: u8 = 2;

/// What an append has, and what it is.
mod flag {
    pub(super) const KEY: u64 = 1;
    pub(super) const TYPE: u64 = 1 << 1;
    pub(super) const JSON: u64 = 1 << 2;
    pub(super) const TEXT: u64 = 2 << 2;
    pub(super) const BINARY: u64 = 3 << 2;
    pub(super) const BODY: u64 = 3 << 2;
    pub(super) const NEWEST: u64 = 1 << 4;
    pub(super) const ABSENT: u64 = 1 << 5;
    pub(super) const AT_TABLE: u64 = 2 << 5;
    pub(super) const AT_JOURNAL: u64 = 3 << 5;
    pub(super) const CONDITION: u64 = 3 << 5;
    pub(super) const IDEMPOTENCY: u64 = 1 << 7;
    pub(super) const FENCE: u64 = 1 << 8;
    pub(super) const MUST_BE_MADE: u64 = 1 << 9;
    pub(super) const RIDES: u64 = 1 << 10;
    pub(super) const EXPIRES: u64 = 1 << 11;
    pub(super) const SAME_TOPIC: u64 = 1 << 12;
    pub(super) const TIMED: u64 = 1 << 13;
    /// All of them.
    pub(super) const KNOWN: u64 = (1 << 14) - 1;
}

/// A part of a group commit.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// What one publisher appends.
    Appends(Vec<Append>),
    /// Changes that are made together.
    Records(Vec<RecordChange>),
}

/// A payload that is being made.
#[derive(Debug)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
    now: ClockReading,
}

impl Draft {
    /// One with nothing in it and room for so many bytes, whose head has the wall clock's time.
    pub(crate) fn at(now: ClockReading, room: usize) -> Self {
        Self { bytes: Vec::with_capacity(room), now }
    }

    /// Adds what one publisher appends.
    pub(crate) fn put_appends(&mut self, appends: &[Append]) {
        self.bytes.push(KIND_APPENDS);
        put_number(&mut self.bytes, appends.len() as u64);
        let mut topic = None;
        for append in appends {
            put_append(&mut self.bytes, append, (topic, self.now));
            topic = Some(&append.event.topic);
        }
    }

    /// Adds changes that are made together.
    pub(crate) fn put_records(&mut self, changes: &[RecordChange]) {
        self.bytes.push(KIND_RECORDS);
        put_number(&mut self.bytes, changes.len() as u64);
        for change in changes {
            put_bytes(&mut self.bytes, change.key.as_bytes());
            self.bytes.push(u8::from(change.value.is_some()));
            if let Some(value) = &change.value {
                put_bytes(&mut self.bytes, value);
            }
        }
    }

    /// It is complete.
    pub(crate) fn finish(self) -> Bytes {
        self.bytes.into()
    }
}

fn flags_of(append: &Append, topic_before: Option<&Topic>) -> u64 {
    let event = &append.event;
    let set = |flag: u64, is_set: bool| if is_set { flag } else { 0 };
    let body = match &event.body {
        None => 0,
        Some(Body::Json(_)) => flag::JSON,
        Some(Body::Text(_)) => flag::TEXT,
        Some(Body::Binary { .. }) => flag::BINARY,
    };
    let condition = match append.condition {
        Condition::Always => 0,
        Condition::Absent => flag::ABSENT,
        Condition::At(KeyVersion::Table { .. }) => flag::AT_TABLE,
        Condition::At(KeyVersion::Journal { .. }) => flag::AT_JOURNAL,
    };
    body | condition
        | set(flag::KEY, event.key.is_some())
        | set(flag::TYPE, event.event_type.is_some())
        | set(flag::NEWEST, append.keep == Keep::Newest)
        | set(flag::IDEMPOTENCY, append.idempotency_key.is_some())
        | set(flag::FENCE, append.fence.is_some())
        | set(flag::MUST_BE_MADE, append.must_be_made)
        | set(flag::RIDES, append.rides)
        | set(flag::EXPIRES, append.expires_at.is_some())
        | set(flag::TIMED, append.timed_at > Offset::ZERO)
        | set(flag::SAME_TOPIC, topic_before == Some(&event.topic))
}

fn put_append(
    bytes: &mut Vec<u8>,
    append: &Append,
    (topic_before, now): (Option<&Topic>, ClockReading),
) {
    let (event, flags) = (&append.event, flags_of(append, topic_before));
    put_number(bytes, flags);
    if flags & flag::SAME_TOPIC == 0 {
        put_bytes(bytes, event.topic.as_str().as_bytes());
    }
    for text in [&event.key, &event.event_type].into_iter().flatten() {
        put_bytes(bytes, text.as_bytes());
    }
    put_signed(bytes, event.time.as_ms().wrapping_sub(now.wall.as_ms()));
    if let Some(Body::Binary { content_type, .. }) = &event.body {
        put_bytes(bytes, content_type.as_bytes());
    }
    if let Some(body) = &event.body {
        put_bytes(bytes, body.bytes());
    }
    match append.condition {
        Condition::Always | Condition::Absent => {}
        Condition::At(KeyVersion::Table { life, version }) => {
            put_number(bytes, life.get().into());
            put_number(bytes, version.get());
        }
        Condition::At(KeyVersion::Journal { epoch, offset }) => {
            put_number(bytes, epoch.get().into());
            put_number(bytes, offset.get());
        }
    }
    if let Some(key) = &append.idempotency_key {
        put_bytes(bytes, key.as_bytes());
    }
    if let Some(fence) = &append.fence {
        put_bytes(bytes, fence.producer.as_bytes());
        put_number(bytes, fence.epoch);
        put_number(bytes, fence.sequence);
    }
    if append.timed_at > Offset::ZERO {
        put_number(bytes, append.timed_at.get());
    }
    if let Some(expires_at) = append.expires_at {
        put_number(bytes, expires_at.saturating_sub(now.uptime).as_millis() as u64);
    }
}

/// What a payload says whose head has this time: [`Append::expires_at`] is how long after that. An error says what this build does not know, or what is wrong with it.
pub(crate) fn decode(payload: &[u8], time: Timestamp) -> Result<Vec<Item>, Error> {
    let mut fields = Fields::of(payload);
    let (mut items, mut events) = (Vec::new(), 0);
    while !fields.is_empty() {
        let kind = fields.byte()?;
        let count = usize::try_from(fields.number()?).unwrap_or(usize::MAX);
        // Each of them has three bytes at least, so that no more is reserved than what came asks for.
        let room = count.min(fields.len() / 3);
        match kind {
            KIND_APPENDS => {
                events += count.min(EVENTS_PER_COMMIT_MAX + 1);
                if events > EVENTS_PER_COMMIT_MAX {
                    return Err(Error::Malformed("it has more events than a commit may have"));
                }
                let mut appends: Vec<Append> = Vec::with_capacity(room);
                for _ in 0..count {
                    let topic = appends.last().map(|before| &before.event.topic);
                    let append = append(&mut fields, (topic, time))?;
                    appends.push(append);
                }
                items.push(Item::Appends(appends));
            }
            KIND_RECORDS => {
                let mut changes = Vec::with_capacity(room);
                for _ in 0..count {
                    changes.push(change(&mut fields)?);
                }
                items.push(Item::Records(changes));
            }
            _ => return Err(Error::Malformed("content of a kind that is not known here")),
        }
    }
    Ok(items)
}

fn append(
    fields: &mut Fields<'_>,
    (topic_before, time): (Option<&Topic>, Timestamp),
) -> Result<Append, Error> {
    let flags = fields.number()?;
    if flags & !flag::KNOWN != 0 {
        return Err(Error::Malformed("an append with what is not known here"));
    }
    let has = |flag: u64| flags & flag == flag;
    let topic = if has(flag::SAME_TOPIC) {
        topic_before.cloned().ok_or(Error::Malformed("the first append is of no topic"))?
    } else {
        let topic = fields.text()?.parse();
        topic.map_err(|_| Error::Malformed("a topic's name that is not allowed here"))?
    };
    let mut text = |is_there: bool| -> Result<Option<Box<str>>, Error> {
        is_there.then(|| fields.text().map(Into::into)).transpose()
    };
    let (key, event_type) = (text(has(flag::KEY))?, text(has(flag::TYPE))?);
    let made_at = Timestamp::from_ms(fields.signed()?.wrapping_add(time.as_ms()));
    let body = body(fields, flags & flag::BODY)?;
    let condition = condition(fields, flags & flag::CONDITION)?;
    let mut text = |is_there: bool| -> Result<Option<Box<str>>, Error> {
        is_there.then(|| fields.text().map(Into::into)).transpose()
    };
    let idempotency_key = text(has(flag::IDEMPOTENCY))?;
    let fence = match text(has(flag::FENCE))? {
        None => None,
        Some(producer) => {
            let (epoch, sequence) = (fields.number()?, fields.number()?);
            Some(Box::new(Fence { producer, epoch, sequence }))
        }
    };
    let timed_at = if has(flag::TIMED) { fields.number()? } else { 0 };
    let left_ms = has(flag::EXPIRES).then(|| fields.number()).transpose()?;
    Ok(Append {
        event: Event { topic, key, event_type, time: made_at, body },
        idempotency_key,
        keep: if has(flag::NEWEST) { Keep::Newest } else { Keep::Every },
        condition,
        expires_at: left_ms.map(Duration::from_millis),
        timed_at: Offset::new(timed_at),
        fence,
        must_be_made: has(flag::MUST_BE_MADE),
        rides: has(flag::RIDES),
    })
}

/// Bodies are copied, so that a small one that stays does not keep all of its batch. They are what their
/// maker had, as the checksum says, so that a text is one.
fn body(fields: &mut Fields<'_>, kind: u64) -> Result<Option<Body>, Error> {
    let payload = |fields: &mut Fields<'_>| fields.bytes().map(Bytes::copy_from_slice);
    Ok(match kind {
        flag::JSON => Some(Body::Json(payload(fields)?)),
        flag::TEXT => Some(Body::Text(payload(fields)?)),
        flag::BINARY => {
            let content_type = fields.text()?.into();
            Some(Body::Binary { content_type, bytes: payload(fields)? })
        }
        _ => None,
    })
}

fn condition(fields: &mut Fields<'_>, kind: u64) -> Result<Condition, Error> {
    let small = |fields: &mut Fields<'_>| {
        u32::try_from(fields.number()?).map_err(|_| Error::Malformed("a number is too large"))
    };
    Ok(match kind {
        flag::ABSENT => Condition::Absent,
        flag::AT_TABLE => {
            let (life, version) = (Life::new(small(fields)?), Version::new(fields.number()?));
            Condition::At(KeyVersion::Table { life, version })
        }
        flag::AT_JOURNAL => {
            let (epoch, offset) = (Epoch::new(small(fields)?), Offset::new(fields.number()?));
            Condition::At(KeyVersion::Journal { epoch, offset })
        }
        _ => Condition::Always,
    })
}

fn change(fields: &mut Fields<'_>) -> Result<RecordChange, Error> {
    let key = fields.text()?.into();
    let value = match fields.byte()? {
        0 => None,
        1 => Some(Bytes::copy_from_slice(fields.bytes()?)),
        _ => return Err(Error::Malformed("a change of a record of another kind")),
    };
    Ok(RecordChange { key, value })
}

#[cfg(test)]
mod tests;
