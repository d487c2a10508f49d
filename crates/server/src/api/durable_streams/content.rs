//! What is appended to a stream, as events of its topic.

use bellwire_journal::Append;
use bellwire_model::limits::EVENT_BYTES_MAX;
use bellwire_model::{Body, Closure, Event, Topic};
use bellwire_process::clock;
use bellwire_wire::durable_streams::{Payload, messages};
use bellwire_wire::problem::Problem;
use bytes::Bytes;

/// The events that a body is: of a stream of JSON its messages, of others its bytes, in as many pieces as
/// it takes.
pub(super) fn bodies(content_type: &str, bytes: Bytes) -> Result<Vec<Body>, Problem> {
    match Payload::of(content_type) {
        Payload::Json => messages(&bytes).map_err(|error| Problem::of_decoder(error.code(), error)),
        payload => Ok(pieces(bytes).map(|piece| of_piece(payload, content_type, piece)).collect()),
    }
}

fn of_piece(payload: Payload, content_type: &str, bytes: Bytes) -> Body {
    let binary = |bytes| Body::Binary { content_type: content_type.into(), bytes };
    match payload {
        Payload::Text => Body::text(bytes.clone()).unwrap_or_else(|_| binary(bytes)),
        Payload::Binary | Payload::Json => binary(bytes),
    }
}

/// Pieces that an event has room for. None of them ends within a character of UTF-8.
fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        if bytes.len() <= EVENT_BYTES_MAX {
            return Some(std::mem::take(&mut bytes)).filter(|last| !last.is_empty());
        }
        let is_start = |at: &usize| bytes[*at] & 0b1100_0000 != 0b1000_0000;
        let character = EVENT_BYTES_MAX - 3..=EVENT_BYTES_MAX;
        let at = character.rev().find(is_start).unwrap_or(EVENT_BYTES_MAX);
        Some(bytes.split_to(at))
    })
}

/// The events as they are appended, all or none, the last one with a key. The stream may be closed
/// behind them.
pub(super) fn appends(
    topic: &Topic,
    bodies: Vec<Body>,
    (key, is_last): (Option<Box<str>>, bool),
) -> Vec<Append> {
    let (time, count) = (clock::now(), bodies.len());
    let event = |(index, body): (usize, Body)| {
        let key = key.clone().filter(|_| index + 1 == count);
        let event = Event { topic: topic.clone(), key, event_type: None, time, body: Some(body) };
        Append { rides: index > 0, ..Append::new(event, None) }
    };
    let end = is_last.then(|| Append::new(Closure::End.event(topic.clone(), time), None));
    bodies.into_iter().enumerate().map(event).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_is_cut_between_characters() {
        let text = ["x".repeat(EVENT_BYTES_MAX - 1), "é".repeat(10)].concat();
        let bodies = bodies("text/plain", Bytes::from(text.clone())).expect("text");
        assert!(bodies.iter().all(|body| matches!(body, Body::Text(_))), "each is UTF-8");
        let lengths: Vec<usize> = bodies.iter().map(|body| body.bytes().len()).collect();
        assert_eq!(lengths, [EVENT_BYTES_MAX - 1, 20]);
        let joined: Vec<u8> = bodies.iter().flat_map(|body| body.bytes().to_vec()).collect();
        assert_eq!(joined, text.as_bytes());
    }

    #[test]
    fn bytes_of_any_kind_are_cut_somewhere() {
        let bytes = Bytes::from(vec![0x80; 2 * EVENT_BYTES_MAX + 1]);
        let lengths: Vec<usize> = pieces(bytes).map(|piece| piece.len()).collect();
        assert_eq!(lengths, [EVENT_BYTES_MAX, EVENT_BYTES_MAX, 1]);
        assert_eq!(pieces(Bytes::new()).count(), 0);
    }

    #[test]
    fn the_last_event_has_the_key_and_all_ride_on_the_first() {
        let topic = "a".parse().expect("a topic");
        let bodies = bodies("application/json", Bytes::from_static(b"[1,2,3]")).expect("JSON");
        let appends = appends(&topic, bodies, (Some("7".into()), true));
        let rides: Vec<bool> = appends.iter().map(|append| append.rides).collect();
        assert_eq!(rides, [false, true, true, false]);
        let keys: Vec<bool> = appends.iter().map(|append| append.event.key.is_some()).collect();
        assert_eq!(keys, [false, false, true, false]);
        assert_eq!(appends[3].event.closure(), Some(Closure::End));
    }
}
