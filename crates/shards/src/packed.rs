//! An event of a state topic as the table keeps it while nobody reads it: what there is beside topic,
//! key and version.
//!
//! ```text
//! flags │ epoch │ offset │ time │ [length │ type] [length │ content type] body
//! ```

use bellwire_hub::Value;
use bellwire_model::{Body, Epoch, Event, Offset, Timestamp};
use bytes::Bytes;

/// In the lowest bits of the flags, what the body is.
const BODY: u8 = 0b11;
const NO_BODY: u8 = 0;
const JSON: u8 = 1;
const TEXT: u8 = 2;
const BINARY: u8 = 3;
/// It has a stamp.
const STAMPED: u8 = 1 << 2;
/// It is on the disk.
const ON_DISK: u8 = 1 << 3;
const HAS_KEY: u8 = 1 << 4;
const HAS_TYPE: u8 = 1 << 5;

const EPOCH_AT: usize = 1;
const OFFSET_AT: usize = EPOCH_AT + size_of::<u32>();
const TIME_AT: usize = OFFSET_AT + size_of::<u64>();
const HEAD_BYTES: usize = TIME_AT + size_of::<i64>();

/// Where an event stands among all others, beside what the table knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) epoch: Epoch,
    pub(crate) offset: Offset,
    pub(crate) is_stamped: bool,
    pub(crate) is_on_disk: bool,
}

/// Writes an event.
pub(crate) fn write(standing: Standing, event: &Event, into: &mut Vec<u8>) {
    let Standing { epoch, offset, is_stamped, is_on_disk } = standing;
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let (body, content_type) = match &event.body {
        None => (NO_BODY, None),
        Some(Body::Json(_)) => (JSON, None),
        Some(Body::Text(_)) => (TEXT, None),
        Some(Body::Binary { content_type, .. }) => (BINARY, Some(content_type)),
    };
    let flags = body
        | flag(is_stamped, STAMPED)
        | flag(is_on_disk, ON_DISK)
        | flag(event.key.is_some(), HAS_KEY)
        | flag(event.event_type.is_some(), HAS_TYPE);
    into.push(flags);
    into.extend_from_slice(&epoch.get().to_le_bytes());
    into.extend_from_slice(&offset.get().to_le_bytes());
    into.extend_from_slice(&event.time.as_ms().to_le_bytes());
    for text in [event.event_type.as_ref(), content_type].into_iter().flatten() {
        into.extend_from_slice(&(text.len() as u32).to_le_bytes());
        into.extend_from_slice(text.as_bytes());
    }
    into.extend_from_slice(event.body.as_ref().map_or(&[], |body| body.bytes()));
}

/// Reads the event of a change.
pub(crate) fn read(packed: &[u8], of: &Value<()>) -> (Standing, Event) {
    let flags = packed[0];
    let epoch = Epoch::new(u32::from_le_bytes(number(packed, EPOCH_AT)));
    let offset = Offset::new(u64::from_le_bytes(number(packed, OFFSET_AT)));
    let (is_stamped, is_on_disk) = (flags & STAMPED != 0, flags & ON_DISK != 0);
    let mut rest = &packed[HEAD_BYTES..];
    let event_type = (flags & HAS_TYPE != 0).then(|| text(&mut rest));
    let body = match flags & BODY {
        NO_BODY => None,
        JSON => Some(Body::Json(Bytes::copy_from_slice(rest))),
        TEXT => Some(Body::Text(Bytes::copy_from_slice(rest))),
        _ => {
            let content_type = text(&mut rest);
            Some(Body::Binary { content_type, bytes: Bytes::copy_from_slice(rest) })
        }
    };
    let key = (flags & HAS_KEY != 0).then(|| (&*of.key).into());
    let event = Event { topic: of.topic.clone(), key, event_type, time: time(packed), body };
    (Standing { epoch, offset, is_stamped, is_on_disk }, event)
}

/// When it was measured or published.
pub(crate) fn time(packed: &[u8]) -> Timestamp {
    Timestamp::from_ms(i64::from_le_bytes(number(packed, TIME_AT)))
}

fn number<const N: usize>(packed: &[u8], at: usize) -> [u8; N] {
    packed[at..at + N].try_into().expect("as many bytes as a number has")
}

fn text(rest: &mut &[u8]) -> Box<str> {
    let length = u32::from_le_bytes(number(rest, 0)) as usize;
    let (text, behind) = rest[size_of::<u32>()..].split_at(length);
    *rest = behind;
    std::str::from_utf8(text).expect("it was a text").into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwire_hub::{Kept, Payload, StateLimits, StateTable};
    use bellwire_model::{Life, NameHasher, Topic};

    use super::*;
    use crate::form::{Coding, Encoding, Form, Framing, HttpForm};
    use crate::frames::{Frames, Mark, Stamp};

    const LIFE: Life = Life::new(9);
    const KEY: &str = "kessel ☂";

    fn bodies() -> [Option<Body>; 4] {
        let bytes = Bytes::from_static(b"{\"a\":1}");
        [
            None,
            Some(Body::Json(bytes.clone())),
            Some(Body::Text(bytes.clone())),
            Some(Body::Binary { content_type: "image/png".into(), bytes }),
        ]
    }

    /// A change of a table without payloads; without a body it is a deletion.
    fn change(topic: &Topic, on_disk: Option<Offset>, body: Option<&Body>) -> Arc<Value<()>> {
        let mut table = StateTable::new(LIFE, NameHasher::new([1, 2]));
        let room = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
        let name = (topic, KEY);
        match (on_disk, body) {
            (Some(offset), Some(_)) => table.put_durable(name, ((), 0), offset),
            (Some(offset), None) => table.delete_durable(name, ((), 0), offset),
            (None, Some(_)) => table.put(name, ((), 0), room).expect("room"),
            (None, None) => {
                table.put(name, ((), 0), room).expect("room");
                table.delete(name, ((), 0)).expect("it is there")
            }
        }
    }

    /// The bytes of it for those who resume and those who do not.
    fn bytes(frames: &Frames) -> Vec<Vec<u8>> {
        let forms = [Encoding::Sse, Encoding::SseRaw, Encoding::Ndjson].map(|encoding| {
            Form::Http(HttpForm { encoding, coding: Coding::Identity, framing: Framing::Plain })
        });
        let marked = forms.iter().flat_map(|form| [Mark::Plain, Mark::Marked].map(|it| (form, it)));
        marked.map(|(form, mark)| frames.bytes(*form, mark).to_vec()).collect()
    }

    #[test]
    fn what_was_packed_is_sent_as_it_would_have_been() {
        let topic: Topic = "lab/höhe".parse().expect("a topic");
        let bodies = bodies();
        let kinds = bodies.iter().flat_map(|body| [(body, None), (body, Some("hot"))]);
        for (body, event_type) in kinds {
            for (is_stamped, on_disk) in [(false, None), (true, None), (true, Some(77))] {
                let event = Event {
                    topic: topic.clone(),
                    key: Some(KEY.into()),
                    event_type: event_type.map(Into::into),
                    time: Timestamp::from_ms(1_700_000_000_123),
                    body: body.clone(),
                };
                let change = change(&topic, on_disk.map(Offset::new), body.as_ref());
                let (version, durable) = (change.version, change.durable);
                let stamp = Stamp { life: LIFE, offset: Offset::new(1_042), version, durable };
                let frames = Frames::new(Epoch::new(7), None, event.clone());
                let frames = frames.stamped(is_stamped.then_some(stamp));
                let frames = if on_disk.is_some() { frames.on_disk() } else { frames };
                let mut packed = Vec::new();
                frames.pack(&mut packed);
                let read = Frames::unpack(&packed, &change, LIFE);
                assert_eq!(read.event(), &event);
                assert_eq!(bytes(&read), bytes(&frames), "{event:?}");
                assert_eq!(Frames::time_of(&Kept::Packed(&packed)), event.time);
                assert_eq!(Frames::time_of(&Kept::Shared(&frames)), event.time);
            }
        }
    }
}
