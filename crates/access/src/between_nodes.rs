//! What nodes of a cluster show each other: who asks, and that what is answered is whole.
//!
//! ```text
//! Bellwire-Node: 1f0c6f2a9be4d713 1793000000 <base64url of 32 bytes of HMAC-SHA256>
//! ```
//!
//! The tag is of who asks, when, whom, and for what; not of a body. All nodes have the same secret, so
//! that each may be any of them.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_model::Timestamp;
use bellwire_model::limits::NODE_REQUEST_AGE_MAX;
use thiserror::Error;

/// The header of a request.
pub const NODE_HEADER: &str = "bellwire-node";

/// Bytes of the secret that nodes share.
pub const NODE_SECRET_BYTES: usize = 32;

/// The secret that nodes share, for use.
#[derive(Clone)]
pub struct NodeKey {
    request: Box<hmac::Key>,
    answer: Box<hmac::Key>,
}

/// The SHA-256 of what comes in pieces.
pub struct ContentDigest(digest::Context);

impl Default for ContentDigest {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl ContentDigest {
    /// A piece comes.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// That of all that came, as text.
    pub fn finish(self) -> String {
        BASE64_URL.encode(self.0.finish())
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentDigest").finish_non_exhaustive()
    }
}

/// What a node asks another one for.
#[derive(Clone, Copy, Debug)]
pub struct NodeRequest<'a> {
    /// The id of the node that is asked.
    pub to: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path, and its query behind `?` where it has one.
    pub target: &'a str,
}

/// Why a request is not taken for one of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NodeRefusal {
    /// The header is none.
    #[error("this is no `Bellwire-Node`")]
    Malformed,
    /// The tag is not of this request, or not of this cluster's secret.
    #[error("this was not signed by a node of this cluster for this request")]
    Wrong,
    /// It was signed some time ago, or will be.
    #[error(
        "this was signed {apart_s} s from now: it counts for {} s, and the clocks of nodes are not to be \
         further apart", NODE_REQUEST_AGE_MAX.as_secs()
    )]
    Old {
        /// How many seconds.
        apart_s: u64,
    },
}

impl NodeKey {
    /// Makes use of the secret: a key for requests, and another one for answers.
    pub fn new(secret: &[u8; NODE_SECRET_BYTES]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key = |name: &[u8]| {
            Box::new(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, name).as_ref()))
        };
        Self { request: key(b"bellwire node request 1"), answer: key(b"bellwire node answer 1") }
    }

    /// What the node `from` shows with a request.
    pub fn sign(&self, from: &str, request: NodeRequest<'_>, now: Timestamp) -> String {
        let at = now.as_ms().div_euclid(1000);
        let tag = hmac::sign(&self.request, signed(from, at, request).as_bytes());
        format!("{from} {at} {}", BASE64_URL.encode(tag))
    }

    /// Which node asks.
    pub fn verify(
        &self,
        shown: &str,
        request: NodeRequest<'_>,
        now: Timestamp,
    ) -> Result<Box<str>, NodeRefusal> {
        let mut parts = shown.split(' ');
        let (Some(from), Some(at), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NodeRefusal::Malformed);
        };
        let at: i64 = at.parse().map_err(|_| NodeRefusal::Malformed)?;
        let tag = BASE64_URL.decode(tag).map_err(|_| NodeRefusal::Malformed)?;
        // Compares in constant time.
        hmac::verify(&self.request, signed(from, at, request).as_bytes(), &tag)
            .map_err(|_| NodeRefusal::Wrong)?;
        let apart_s = now.as_ms().div_euclid(1000).abs_diff(at);
        if apart_s > NODE_REQUEST_AGE_MAX.as_secs() {
            return Err(NodeRefusal::Old { apart_s });
        }
        Ok(from.into())
    }

    /// Vouches for what is answered.
    pub fn vouch(&self, answer: &[u8]) -> String {
        BASE64_URL.encode(hmac::sign(&self.answer, answer))
    }

    /// Whether a node has vouched for that.
    pub fn is_vouched(&self, answer: &[u8], tag: &str) -> bool {
        let tag = BASE64_URL.decode(tag).unwrap_or_default();
        hmac::verify(&self.answer, answer, &tag).is_ok()
    }
}

/// None of these has a line feed in it: a header and a request's line cannot have one.
fn signed(from: &str, at: i64, request: NodeRequest<'_>) -> String {
    let NodeRequest { to, method, target } = request;
    format!("{from}\n{at}\n{to}\n{method}\n{target}")
}

/// Says nothing of the secret.
impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: NodeRequest<'_> =
        NodeRequest { to: "b", method: "GET", target: "/v1/nodes/snapshot?x=1" };

    fn key(byte: u8) -> NodeKey {
        NodeKey::new(&[byte; NODE_SECRET_BYTES])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_ms(second * 1000)
    }

    #[test]
    fn a_request_counts_for_what_it_was_signed_for_and_for_a_while() {
        let shown = key(1).sign("a", REQUEST, at(1_000));
        let verify = |request, now| key(1).verify(&shown, request, now);
        assert_eq!(verify(REQUEST, at(1_000)), Ok("a".into()));
        for other in [
            NodeRequest { to: "c", ..REQUEST },
            NodeRequest { method: "POST", ..REQUEST },
            NodeRequest { target: "/v1/nodes/snapshot", ..REQUEST },
            NodeRequest { target: "/v1/nodes/snapshot?x=2", ..REQUEST },
        ] {
            assert_eq!(verify(other, at(1_000)), Err(NodeRefusal::Wrong), "{other:?}");
        }
        assert_eq!(key(2).verify(&shown, REQUEST, at(1_000)), Err(NodeRefusal::Wrong));
        let most = NODE_REQUEST_AGE_MAX.as_secs() as i64;
        for (now, is_taken) in
            [(1_000 + most, true), (1_000 - most, true), (1_001 + most, false), (999 - most, false)]
        {
            let old = NodeRefusal::Old { apart_s: 1 + most as u64 };
            let expected = if is_taken { Ok("a".into()) } else { Err(old) };
            assert_eq!(verify(REQUEST, at(now)), expected, "{now}");
        }
    }

    #[test]
    fn what_was_changed_or_is_none_is_refused() {
        let shown = key(1).sign("a", REQUEST, at(1_000));
        let verify = |shown: &str| key(1).verify(shown, REQUEST, at(1_000));
        let (rest, tag) = shown.rsplit_once(' ').unwrap();
        for text in [
            "",
            "a",
            "a 1000",
            &format!("{rest} {tag} "),
            &format!("a now {tag}"),
            &format!("{rest} !{tag}"),
        ] {
            assert_eq!(verify(text), Err(NodeRefusal::Malformed), "{text}");
        }
        for text in [
            format!("b 1000 {tag}"),
            format!("a 1001 {tag}"),
            format!("{rest} "),
            format!("{rest} {}", &tag[..tag.len() - 3]),
            format!("{rest} {}", key(1).vouch(signed("a", 1_000, REQUEST).as_bytes())),
        ] {
            assert_eq!(verify(&text), Err(NodeRefusal::Wrong), "{text}");
        }
    }

    #[test]
    fn a_digest_is_of_the_whole_however_it_comes() {
        let of = |pieces: &[&[u8]]| {
            let mut digest = ContentDigest::default();
            for piece in pieces {
                digest.update(piece);
            }
            digest.finish()
        };
        assert_eq!(of(&[b"a", b"", b"bc"]), of(&[b"abc"]));
        assert_eq!(of(&[b"abc"]), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_ne!(of(&[b"ab"]), of(&[b"abc"]));
    }

    #[test]
    fn an_answer_is_vouched_for_by_the_same_secret_alone() {
        let tag = key(1).vouch(b"all of it");
        assert!(key(1).is_vouched(b"all of it", &tag));
        assert!(!key(1).is_vouched(b"a part of it", &tag));
        assert!(!key(2).is_vouched(b"all of it", &tag) && !key(1).is_vouched(b"all of it", ""));
    }
}
