//! What a sender is told: `ExportMetricsServiceResponse`, or a `google.rpc.Status` where the request
//! as a whole is refused, in the encoding in which it came.

use serde_json::json;

use super::Encoding;

/// What became of the points of a request that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// How many were not taken.
    pub rejected_points: u64,
    /// Why, or what the sender should know of those that were.
    pub message: String,
}

/// The body of the answer to a request that was taken.
pub fn export_response(encoding: Encoding, outcome: &PartialSuccess) -> Vec<u8> {
    let PartialSuccess { rejected_points, message } = outcome;
    let is_whole = *rejected_points == 0 && message.is_empty();
    match encoding {
        Encoding::Json if is_whole => b"{}".to_vec(),
        Encoding::Json => {
            let rejected = rejected_points.to_string();
            let success = json!({ "rejectedDataPoints": rejected, "errorMessage": message });
            json!({ "partialSuccess": success }).to_string().into_bytes()
        }
        Encoding::Protobuf if is_whole => Vec::new(),
        Encoding::Protobuf => {
            let mut success = Vec::new();
            write_number(&mut success, 1, *rejected_points);
            write_bytes(&mut success, 2, message.as_bytes());
            let mut response = Vec::new();
            write_bytes(&mut response, 1, &success);
            response
        }
    }
}

/// The body of a refusal: `code` is one of gRPC's.
pub fn status(encoding: Encoding, code: u8, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Json => json!({ "code": code, "message": message }).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut status = Vec::new();
            write_number(&mut status, 1, code.into());
            write_bytes(&mut status, 2, message.as_bytes());
            status
        }
    }
}

/// A field of a number; 0 is not written, as the protocol has it.
fn write_number(message: &mut Vec<u8>, field: u8, number: u64) {
    if number != 0 {
        message.push(field << 3);
        write_varint(message, number);
    }
}

/// A field of text or of a message; an empty text is not written.
fn write_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        message.push(field << 3 | 2);
        write_varint(message, bytes.len() as u64);
        message.extend_from_slice(bytes);
    }
}

fn write_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_whole_is_answered_with_an_empty_message() {
        let outcome = PartialSuccess::default();
        assert_eq!(export_response(Encoding::Protobuf, &outcome), b"");
        assert_eq!(export_response(Encoding::Json, &outcome), b"{}");
    }

    #[test]
    fn what_was_taken_in_part_says_how_many_were_not() {
        let outcome = PartialSuccess { rejected_points: 300, message: "why".to_owned() };
        let expected = b"\x0a\x08\x08\xac\x02\x12\x03why";
        assert_eq!(export_response(Encoding::Protobuf, &outcome), expected);
        let json = export_response(Encoding::Json, &outcome);
        let expected = r#"{"partialSuccess":{"errorMessage":"why","rejectedDataPoints":"300"}}"#;
        assert_eq!(String::from_utf8_lossy(&json), expected);
        let warned = PartialSuccess { rejected_points: 0, message: "hm".to_owned() };
        assert_eq!(export_response(Encoding::Protobuf, &warned), b"\x0a\x04\x12\x02hm");
    }

    #[test]
    fn a_refusal_has_a_code_and_a_reason() {
        assert_eq!(status(Encoding::Protobuf, 3, "no"), b"\x08\x03\x12\x02no");
        assert_eq!(status(Encoding::Json, 3, "no"), br#"{"code":3,"message":"no"}"#);
    }
}
