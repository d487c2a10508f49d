//! Frames to be sent, each in one allocation.

use bytes::{Buf, Bytes};

use super::head::{FIN, HEAD_BYTES_MAX, LENGTH_16, LENGTH_64, MASKED, Opcode, RSV1};
use super::{CONTROL_BYTES_MAX, CloseCode};
use crate::write;

/// A server's head has no mask.
const SERVER_HEAD_BYTES_MAX: usize = HEAD_BYTES_MAX - 4;
/// A close frame's payload begins with its code.
const CLOSE_CODE_BYTES: usize = 2;

/// A whole frame of the server.
pub fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    build(opcode, payload.len(), |out| out.extend_from_slice(payload))
}

/// A whole frame of the server around what `write` appends, in one allocation where
/// `payload_bytes`, the expected length, is enough.
pub fn build(opcode: Opcode, payload_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = reserve_head(payload_bytes);
    write(&mut out);
    with_head(out, FIN | opcode.number())
}

/// A buffer for a frame, with room for its head at the start.
pub(super) fn reserve_head(payload_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(SERVER_HEAD_BYTES_MAX + payload_bytes);
    out.resize(SERVER_HEAD_BYTES_MAX, 0);
    out
}

/// Puts the head before the payload: how long it is, is only known now.
pub(super) fn with_head(mut out: Vec<u8>, first: u8) -> Bytes {
    let (head, head_bytes) = head(first, out.len() - SERVER_HEAD_BYTES_MAX);
    let start = SERVER_HEAD_BYTES_MAX - head_bytes;
    out[start..SERVER_HEAD_BYTES_MAX].copy_from_slice(&head[..head_bytes]);
    let mut bytes = write::kept(out);
    bytes.advance(start);
    bytes
}

/// The first byte of a whole frame with a compressed payload.
pub(super) const fn compressed(opcode: Opcode) -> u8 {
    FIN | RSV1 | opcode.number()
}

/// A whole frame of a client. Each frame needs a fresh, unpredictable mask key.
pub fn masked_frame(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let (mut head, head_bytes) = head(FIN | opcode.number(), payload.len());
    head[1] |= MASKED;
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX + payload.len());
    out.extend_from_slice(&head[..head_bytes]);
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask);
    out
}

/// A ping. Its payload is cut at [`CONTROL_BYTES_MAX`].
pub fn ping(payload: &[u8]) -> Bytes {
    frame(Opcode::Ping, &payload[..payload.len().min(CONTROL_BYTES_MAX)])
}

/// The pong to a ping with this payload, which is cut at [`CONTROL_BYTES_MAX`].
pub fn pong(payload: &[u8]) -> Bytes {
    frame(Opcode::Pong, &payload[..payload.len().min(CONTROL_BYTES_MAX)])
}

/// A close frame. The reason is cut to what fits.
pub fn close(code: CloseCode, reason: &str) -> Bytes {
    frame(Opcode::Close, &close_payload(code, reason))
}

/// The payload of a close frame: for a client, which masks it. The reason is cut to what fits.
pub fn close_payload(code: CloseCode, reason: &str) -> Vec<u8> {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - CLOSE_CODE_BYTES)];
    [&code.get().to_be_bytes(), reason.as_bytes()].concat()
}

fn head(first: u8, payload_bytes: usize) -> ([u8; SERVER_HEAD_BYTES_MAX], usize) {
    let mut head = [0; SERVER_HEAD_BYTES_MAX];
    head[0] = first;
    let head_bytes = match payload_bytes {
        0..=125 => {
            head[1] = payload_bytes as u8;
            2
        }
        126..=0xFFFF => {
            head[1] = LENGTH_16;
            head[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = LENGTH_64;
            head[2..10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
            10
        }
    };
    (head, head_bytes)
}

/// Masks, or unmasks: it is the same.
pub(super) fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // Eight bytes at a time, which the compiler makes more of.
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}
