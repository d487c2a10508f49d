//! What a stream's readers are given of its events: by its content type.

use bellwire_model::{Body, Cursor};

use crate::{sse, write};

use super::offset::token;

/// What the content type of a stream makes of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Messages of JSON, which keep their bounds: an array.
    Json,
    /// Text, one event behind the other.
    Text,
    /// Bytes likewise. In Server-Sent Events they are base64.
    Binary,
}

impl Payload {
    /// That of a content type, whatever parameters it has.
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_text = essence.get(..5).is_some_and(|main| main.eq_ignore_ascii_case("text/"));
        match essence {
            _ if essence.eq_ignore_ascii_case("application/json") => Self::Json,
            _ if is_text => Self::Text,
            _ => Self::Binary,
        }
    }

    /// The body of an answer that has these.
    pub fn body<'a>(self, bodies: impl IntoIterator<Item = &'a Body>) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Json => write_array(&mut out, bodies),
            Self::Text | Self::Binary => {
                bodies.into_iter().for_each(|body| out.extend_from_slice(body.bytes()));
            }
        }
        out
    }

    /// One `event: data` that has these; nothing where there are none.
    pub fn data_event<'a>(self, bodies: impl IntoIterator<Item = &'a Body>) -> Vec<u8> {
        let mut bodies = bodies.into_iter().peekable();
        if bodies.peek().is_none() {
            return Vec::new();
        }
        let mut out = b"event: data\n".to_vec();
        let payload = self.body(bodies);
        match self {
            Self::Json => sse::write_lines_tight(&mut out, &payload),
            Self::Text => {
                sse::write_lines_tight(&mut out, String::from_utf8_lossy(&payload).as_bytes());
            }
            Self::Binary => {
                out.extend_from_slice(b"data:");
                write::base64(&mut out, &payload);
                out.push(b'\n');
            }
        }
        out.push(b'\n');
        out
    }
}

fn write_array<'a>(out: &mut Vec<u8>, bodies: impl IntoIterator<Item = &'a Body>) {
    out.push(b'[');
    for (index, body) in bodies.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match body {
            Body::Json(json) => out.extend_from_slice(json),
            Body::Text(text) => write::lossy_string(out, text),
            Body::Binary { content_type, bytes } => {
                out.extend_from_slice(b"{\"encoding\":\"base64\",\"data\":\"");
                write::base64(out, bytes);
                out.extend_from_slice(b"\",\"content_type\":");
                write::string(out, content_type);
                out.push(b'}');
            }
        }
    }
    out.push(b']');
}

/// How far a reader of Server-Sent Events is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more, which follows.
    Behind,
    /// It has all there is.
    UpToDate,
    /// It has all there will ever be.
    Closed,
}

/// `event: control`: where a reader is. `cursor` is what it says when it comes back.
pub fn control_event(place: Cursor, cursor: u32, progress: Progress) -> Vec<u8> {
    let mut out = b"event: control\ndata:{\"streamNextOffset\":\"".to_vec();
    out.extend_from_slice(token(place).as_bytes());
    if progress == Progress::Closed {
        out.extend_from_slice(b"\",\"streamClosed\":true}\n\n");
        return out;
    }
    out.extend_from_slice(b"\",\"streamCursor\":\"");
    write::integer(&mut out, cursor);
    out.push(b'"');
    if progress == Progress::UpToDate {
        out.extend_from_slice(b",\"upToDate\":true");
    }
    out.extend_from_slice(b"}\n\n");
    out
}

#[cfg(test)]
mod tests {
    use bellwire_model::{Epoch, Offset};
    use bytes::Bytes;

    use super::*;

    fn bodies() -> [Body; 3] {
        let binary =
            Body::Binary { content_type: "a/b".into(), bytes: Bytes::from_static(b"\xFF") };
        let json = Body::Json(Bytes::from_static(b"{\"a\":\n1}"));
        [json, Body::Text(Bytes::from_static(b"x\r\n\ny ")), binary]
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn the_content_type_decides_what_a_stream_is() {
        for (content_type, payload) in [
            ("application/json", Payload::Json),
            ("Application/JSON; charset=utf-8", Payload::Json),
            ("application/ndjson", Payload::Binary),
            ("TEXT/plain;charset=utf-8", Payload::Text),
            ("text", Payload::Binary),
            ("", Payload::Binary),
        ] {
            assert_eq!(Payload::of(content_type), payload, "{content_type}");
        }
    }

    #[test]
    fn a_body_has_what_was_published() {
        let of_json = "[{\"a\":\n1},\"x\\r\\n\\ny \",\
                       {\"encoding\":\"base64\",\"data\":\"/w==\",\"content_type\":\"a/b\"}]";
        assert_eq!(text(Payload::Json.body(&bodies())), of_json);
        assert_eq!(text(Payload::Json.body(&[])), "[]");
        let bytes = b"{\"a\":\n1}x\r\n\ny \xFF";
        assert_eq!(Payload::Text.body(&bodies()), bytes);
        assert_eq!(Payload::Binary.body(&bodies()), bytes);
    }

    #[test]
    fn no_payload_breaks_out_of_its_event() {
        let [json, words, _] = &bodies();
        assert_eq!(
            text(Payload::Json.data_event([json])),
            "event: data\ndata:[{\"a\":\ndata:1}]\n\n"
        );
        assert_eq!(
            text(Payload::Text.data_event([words])),
            "event: data\ndata:x\ndata:\ndata:y \n\n"
        );
        assert_eq!(text(Payload::Binary.data_event([words])), "event: data\ndata:eA0KCnkg\n\n");
        let broken =
            Body::Binary { content_type: "text/x".into(), bytes: Bytes::from_static(b"\xFF") };
        assert_eq!(text(Payload::Text.data_event([&broken])), "event: data\ndata:\u{FFFD}\n\n");
        let indented = Body::Text(Bytes::from_static(b" x"));
        assert_eq!(text(Payload::Text.data_event([&indented])), "event: data\ndata:  x\n\n");
        assert_eq!(Payload::Text.data_event([]), b"");
    }

    #[test]
    fn a_control_event_says_where_its_reader_is() {
        let place = Cursor::new(Epoch::new(7), Offset::new(42));
        let offset = "\"streamNextOffset\":\"0000000007_00000000000000000042\"";
        for (progress, rest) in [
            (Progress::Behind, ",\"streamCursor\":\"9\""),
            (Progress::UpToDate, ",\"streamCursor\":\"9\",\"upToDate\":true"),
            (Progress::Closed, ",\"streamClosed\":true"),
        ] {
            let expected = format!("event: control\ndata:{{{offset}{rest}}}\n\n");
            assert_eq!(text(control_event(place, 9, progress)), expected);
        }
    }
}
