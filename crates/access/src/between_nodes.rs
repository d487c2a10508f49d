//! What nodes of a cluster show each other: who asks, for what exactly, and that what is answered is whole.
//!
//! ```text
//! Bellwire-Node: 2 1f0c6f2a9be4d713 1793000000123 <nonce> h=accept,x-forwarded-for b=<SHA-256> <HMAC-SHA256>
//!                                   when, in ms           which headers            the body; or nothing
//! Bellwire-Node-Body: <HMAC-SHA256>                       behind a body that streams, as a trailer
//! ```
//!
//! The tag is of all that a request is: who asks when whom, its method and target, the headers that are named
//! with their values, and its body. Where that is passed on as it comes, and nobody has it before the head is
//! sent, what is behind it vouches for it. A [nonce](Nonces) counts once. All nodes have the same secret, so
//! that each may be any of them.
//!
//! The number in front is the form of all this. One that is not known is refused, and the one before, which
//! left out headers and bodies, is not known any more: what counts beside the whole would count in its place.

mod nonces;
mod shown;

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_model::Timestamp;
use bellwire_model::limits::NODE_REQUEST_AGE_MAX;
use thiserror::Error;

pub use self::nonces::{Nonce, Nonces};
pub use self::shown::Shown;

/// The header of a request.
pub const NODE_HEADER: &str = "bellwire-node";

/// The trailer of a body that is signed behind its end.
pub const NODE_BODY_TRAILER: &str = "bellwire-node-body";

/// Bytes of the secret that nodes share.
pub const NODE_SECRET_BYTES: usize = 32;

/// The secret that nodes share, for use.
#[derive(Clone)]
pub struct NodeKey {
    request: Box<hmac::Key>,
    body: Box<hmac::Key>,
    answer: Box<hmac::Key>,
}

/// The SHA-256 of what comes in pieces.
#[derive(Clone)]
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

    /// That of all of this.
    pub fn of(bytes: &[u8]) -> String {
        BASE64_URL.encode(digest::digest(&digest::SHA256, bytes))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentDigest").finish_non_exhaustive()
    }
}

/// What a node asks another one for, beside what it [shows](Shown).
#[derive(Clone, Copy, Debug)]
pub struct NodeRequest<'a> {
    /// The id of the node that is asked.
    pub to: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path, and its query behind `?` where it has one.
    pub target: &'a str,
    /// The values of the headers that are shown to be signed, in that order: each behind `=`, with a line feed
    /// behind it, and those of the next header behind another line feed.
    pub headers: &'a [u8],
}

/// Why a request is not taken for one of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NodeRefusal {
    /// The header is none, or of another version.
    #[error(
        "this is no `Bellwire-Node` of version {}: nodes of a build that signs otherwise cannot be asked",
        shown::VERSION
    )]
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
    /// It has counted already.
    #[error("this has counted already, and counts once")]
    Replayed,
    /// It was signed when nobody knows any more what has counted.
    #[error(
        "this was signed before this node began, or before all that it can keep in mind: sign it anew"
    )]
    Forgotten,
}

impl NodeKey {
    /// Makes use of the secret: a key for requests, another one for what is behind them, and one for answers.
    pub fn new(secret: &[u8; NODE_SECRET_BYTES]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key = |name: &[u8]| {
            Box::new(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, name).as_ref()))
        };
        Self {
            request: key(b"bellwire node request 2"),
            body: key(b"bellwire node body 2"),
            answer: key(b"bellwire node answer 1"),
        }
    }

    /// What is shown with a request.
    pub fn sign(&self, shown: Shown<'_>, request: NodeRequest<'_>) -> String {
        let text = shown.text();
        let tag = self.tag(&text, request);
        format!("{text} {}", BASE64_URL.encode(tag))
    }

    fn tag(&self, text: &str, request: NodeRequest<'_>) -> hmac::Tag {
        let NodeRequest { to, method, target, headers } = request;
        let mut context = hmac::Context::with_key(&self.request);
        // None of these has a line feed in it: a header and a request's line cannot have one.
        for part in [text, to, method, target] {
            context.update(part.as_bytes());
            context.update(b"\n");
        }
        context.update(headers);
        context.sign()
    }

    /// Whether a node of this cluster shows this with this request, and does so now. Whether it does so for the
    /// first time is to be [asked](Nonces) behind that.
    pub fn verify(
        &self,
        (shown, tag): (Shown<'_>, &str),
        request: NodeRequest<'_>,
        now: Timestamp,
    ) -> Result<(), NodeRefusal> {
        let tag = BASE64_URL.decode(tag).map_err(|_| NodeRefusal::Malformed)?;
        let expected = self.tag(&shown.text(), request);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), &tag)
            .map_err(|_| NodeRefusal::Wrong)?;
        let apart_ms = now.as_ms().abs_diff(shown.at.as_ms());
        if u128::from(apart_ms) > NODE_REQUEST_AGE_MAX.as_millis() {
            return Err(NodeRefusal::Old { apart_s: apart_ms.div_ceil(1000) });
        }
        Ok(())
    }

    /// Vouches for a body of this digest, behind its end: it is of the request with which that was shown.
    pub fn seal_body(&self, shown: &str, digest: ContentDigest) -> String {
        BASE64_URL.encode(self.body_tag(shown, digest))
    }

    /// Whether a node has vouched for it so.
    pub fn is_body_sealed(&self, shown: &str, digest: ContentDigest, tag: &str) -> bool {
        let tag = BASE64_URL.decode(tag).unwrap_or_default();
        let expected = self.body_tag(shown, digest);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), &tag).is_ok()
    }

    fn body_tag(&self, shown: &str, digest: ContentDigest) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.body);
        context.update(shown.as_bytes());
        context.update(b"\n");
        context.update(digest.0.finish().as_ref());
        context.sign()
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

/// Says nothing of the secret.
impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: NodeRequest<'_> = NodeRequest {
        to: "b",
        method: "GET",
        target: "/v1/nodes/snapshot?x=1",
        headers: b"=192.0.2.7\n",
    };

    fn key(byte: u8) -> NodeKey {
        NodeKey::new(&[byte; NODE_SECRET_BYTES])
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn shown(ms: i64) -> Shown<'static> {
        let nonce = Nonce::new(7, 1);
        Shown { from: "a", at: at(ms), nonce, headers: "x-forwarded-for", body: Some("d") }
    }

    fn verify(text: &str, request: NodeRequest<'_>, now: i64) -> Result<(), NodeRefusal> {
        key(1).verify(Shown::read(text)?, request, at(now))
    }

    #[test]
    fn a_request_counts_for_what_it_was_signed_for_and_for_a_while() {
        let text = key(1).sign(shown(1_000_000), REQUEST);
        assert_eq!(verify(&text, REQUEST, 1_000_000), Ok(()));
        for other in [
            NodeRequest { to: "c", ..REQUEST },
            NodeRequest { method: "POST", ..REQUEST },
            NodeRequest { target: "/v1/nodes/snapshot", ..REQUEST },
            NodeRequest { target: "/v1/nodes/snapshot?x=2", ..REQUEST },
            NodeRequest { headers: b"=192.0.2.8\n", ..REQUEST },
            NodeRequest { headers: b"", ..REQUEST },
        ] {
            assert_eq!(verify(&text, other, 1_000_000), Err(NodeRefusal::Wrong), "{other:?}");
        }
        let foreign = key(2).sign(shown(1_000_000), REQUEST);
        assert_eq!(verify(&foreign, REQUEST, 1_000_000), Err(NodeRefusal::Wrong));
        let most = NODE_REQUEST_AGE_MAX.as_millis() as i64;
        let apart_s = 1 + NODE_REQUEST_AGE_MAX.as_secs();
        for (apart, expected) in [
            (most, Ok(())),
            (-most, Ok(())),
            (most + 1, Err(NodeRefusal::Old { apart_s })),
            (-most - 1, Err(NodeRefusal::Old { apart_s })),
        ] {
            assert_eq!(verify(&text, REQUEST, 1_000_000 + apart), expected, "{apart}");
        }
    }

    #[test]
    fn what_was_changed_or_is_none_is_refused() {
        let text = key(1).sign(shown(1_000), REQUEST);
        let (rest, tag) = text.rsplit_once(' ').unwrap();
        for text in [
            "",
            "a",
            // As nodes signed before.
            &format!("a 1 {tag}"),
            &format!("{rest} {tag} "),
            &format!("{rest} !{tag}"),
            &text.replacen('2', "3", 1),
            &text.replace("1000", "now"),
            &text.replace("b=", ""),
            &text.replace("h=", ""),
        ] {
            assert_eq!(verify(text, REQUEST, 1_000), Err(NodeRefusal::Malformed), "{text}");
        }
        for text in [
            text.replacen(" a ", " b ", 1),
            text.replace("1000", "1001"),
            text.replace("b=d", "b=e"),
            text.replace("b=d", "b="),
            text.replace("x-forwarded-for", "x-forwarded-fos"),
            text.replacen('7', "8", 1),
            format!("{rest} "),
            format!("{rest} {}", &tag[..tag.len() - 3]),
            format!("{rest} {}", key(1).vouch(rest.as_bytes())),
        ] {
            assert_eq!(verify(&text, REQUEST, 1_000), Err(NodeRefusal::Wrong), "{text}");
        }
    }

    #[test]
    fn a_body_that_streams_is_vouched_for_with_its_head() {
        let digest = |body: &[u8]| {
            let mut digest = ContentDigest::default();
            digest.update(body);
            digest
        };
        let tag = key(1).seal_body("shown", digest(b"abc"));
        assert!(key(1).is_body_sealed("shown", digest(b"abc"), &tag));
        for (byte, shown, body, tag) in [
            (1, "shown", &b"abd"[..], &*tag),
            (1, "other", b"abc", &tag),
            (2, "shown", b"abc", &tag),
            (1, "shown", b"abc", ""),
        ] {
            assert!(!key(byte).is_body_sealed(shown, digest(body), tag), "{byte} {shown} {body:?}");
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
        assert_eq!(of(&[b"a", b"", b"bc"]), ContentDigest::of(b"abc"));
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
