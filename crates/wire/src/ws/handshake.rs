//! The headers that turn an HTTP request into a WebSocket.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use thiserror::Error;

/// The only version of the protocol, in `Sec-WebSocket-Version`.
pub const VERSION: &str = "13";

/// What RFC 6455 appends to a key before it is hashed.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a key once it is decoded.
const KEY_BYTES: usize = 16;

/// What is spoken over a WebSocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// JSON, in text. What a client gets that names none.
    #[default]
    Json,
    /// `MessagePack`, in binary.
    Msgpack,
}

impl Subprotocol {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Json, Self::Msgpack];

    /// Its name in `Sec-WebSocket-Protocol`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "bellwire.v1.json",
            Self::Msgpack => "bellwire.v1.msgpack",
        }
    }
}

/// Why a request does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The key is no base64 of 16 bytes.
    #[error("`Sec-WebSocket-Key` is {KEY_BYTES} random bytes in base64")]
    Key,
    /// Another version than [`VERSION`].
    #[error("`Sec-WebSocket-Version` is {VERSION}; there is no other")]
    Version,
    /// None of the subprotocols that the client offers is known.
    #[error(
        "`Sec-WebSocket-Protocol` names none that is known: offer `{}`, `{}` or nothing",
        Subprotocol::Json.as_str(),
        Subprotocol::Msgpack.as_str()
    )]
    Subprotocol,
}

impl HandshakeError {
    /// The stable code of the problem.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Key => "parameter_invalid",
            Self::Version => "version_unsupported",
            Self::Subprotocol => "subprotocol_unsupported",
        }
    }
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`: it proves that the server speaks WebSocket.
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize())
}

/// Refuses a key that is no base64 of 16 bytes.
pub fn check_key(key: &str) -> Result<(), HandshakeError> {
    // One byte of room more than a key has, so that a longer one is seen as such.
    let mut bytes = [0; KEY_BYTES + 2];
    match STANDARD.decode_slice(key, &mut bytes) {
        Ok(KEY_BYTES) => Ok(()),
        _ => Err(HandshakeError::Key),
    }
}

/// Refuses a version other than [`VERSION`]. The answer then says which there is.
pub fn check_version(version: &str) -> Result<(), HandshakeError> {
    if version == VERSION { Ok(()) } else { Err(HandshakeError::Version) }
}

/// The first subprotocol that is known, of the values of `Sec-WebSocket-Protocol`. `None`: the
/// client offers none, so the answer names none, and JSON is spoken.
pub fn choose_subprotocol<'a>(
    values: impl IntoIterator<Item = &'a str>,
) -> Result<Option<Subprotocol>, HandshakeError> {
    let mut offers =
        values.into_iter().flat_map(|value| value.split(',')).map(str::trim).peekable();
    if offers.peek().is_none() {
        return Ok(None);
    }
    offers
        .find_map(|offer| Subprotocol::ALL.into_iter().find(|known| known.as_str() == offer))
        .map(Some)
        .ok_or(HandshakeError::Subprotocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_standard_does() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(check_key(key), Ok(()));
        assert_eq!(accept_key(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let cases = [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZWU=",
            "dGhlIHNhbXBsZSBub25jZWVlZWU=",
            "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25j%%==",
            " dGhlIHNhbXBsZSBub25jZQ==",
        ];
        for key in cases {
            assert_eq!(check_key(key), Err(HandshakeError::Key), "{key:?}");
        }
    }

    #[test]
    fn there_is_one_version() {
        assert_eq!(check_version("13"), Ok(()));
        for version in ["", "8", "013", "13, 8"] {
            assert_eq!(check_version(version), Err(HandshakeError::Version), "{version:?}");
        }
    }

    #[test]
    fn the_first_known_subprotocol_is_chosen() {
        let (json, msgpack) = (Ok(Some(Subprotocol::Json)), Ok(Some(Subprotocol::Msgpack)));
        let unknown = Err(HandshakeError::Subprotocol);
        let cases: [(&[&str], _); 8] = [
            (&[], Ok(None)),
            (&["bellwire.v1.json"], json),
            (&["bellwire.v1.msgpack, bellwire.v1.json"], msgpack),
            (&["mqtt,bellwire.v1.json"], json),
            (&["mqtt", "bellwire.v1.msgpack"], msgpack),
            (&["mqtt"], unknown),
            (&["Bellwire.v1.json"], unknown),
            (&[""], unknown),
        ];
        for (values, expected) in cases {
            assert_eq!(choose_subprotocol(values.iter().copied()), expected, "{values:?}");
        }
    }
}
