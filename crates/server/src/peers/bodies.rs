//! Bodies of requests between nodes: vouched for where they are sent, and looked at where they come.
//!
//! ```text
//! client ─▶ node: Sealed ── as it comes, then Bellwire-Node-Body: a trailer ──▶ keeper: Checked ─▶ handler
//! ```
//!
//! A body that is passed on is not kept: it is signed behind its end. Whoever takes it does nothing before that:
//! one that is another ends in an error, as one that breaks off does.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::{Body, HttpBody};
use bellwire_access::between_nodes::{ContentDigest, NODE_BODY_TRAILER, NodeKey};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::{Frame, SizeHint};
use thiserror::Error;

/// A body is not what a node has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the body is another one than the node has signed")]
pub(crate) struct NotAsSigned;

impl NotAsSigned {
    /// Whether a body has ended so.
    pub(crate) fn is_cause_of(error: &axum::Error) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// A body on its way to a node, behind a head that shows this.
pub(super) struct Sealed {
    pub(super) body: Body,
    pub(super) key: NodeKey,
    pub(super) shown: Box<str>,
    /// Nothing once it is over.
    pub(super) digest: Option<ContentDigest>,
}

impl HttpBody for Sealed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            let Some(digest) = &mut this.digest else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let digest = this.digest.take().unwrap_or_default();
                    let tag = this.key.seal_body(&this.shown, digest);
                    let tag = HeaderValue::try_from(tag).expect("base64 is of ASCII");
                    let name = HeaderName::from_static(NODE_BODY_TRAILER);
                    let trailers = HeaderMap::from_iter([(name, tag)]);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            };
            // Trailers are of one hop.
            if let Some(piece) = frame.data_ref() {
                digest.update(piece);
                return Poll::Ready(Some(Ok(frame)));
            }
        }
    }
}

/// What is to be so of a body that comes.
pub(super) enum Proof {
    /// It has this digest.
    Digest(Box<str>),
    /// What is behind it vouches for it, and for this head.
    Behind { key: NodeKey, shown: Arc<str> },
}

/// A body as it comes. It ends in an error where it is not what was signed.
pub(super) struct Checked {
    pub(super) body: Body,
    pub(super) proof: Proof,
    /// Nothing once it is over.
    pub(super) digest: Option<ContentDigest>,
    pub(super) trailer: Option<HeaderValue>,
}

impl Checked {
    /// Whether a body that has ended is what was signed.
    fn is_as_signed(&self, digest: ContentDigest) -> bool {
        match &self.proof {
            Proof::Digest(signed) => *digest.finish() == **signed,
            Proof::Behind { key, shown } => {
                let tag = self.trailer.as_ref().and_then(|tag| tag.to_str().ok());
                tag.is_some_and(|tag| key.is_body_sealed(shown, digest, tag))
            }
        }
    }
}

impl HttpBody for Checked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let Some(digest) = &mut this.digest else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    let digest = this.digest.take().unwrap_or_default();
                    let is_as_signed = this.is_as_signed(digest);
                    return Poll::Ready((!is_as_signed).then(|| Err(NotAsSigned.into())));
                }
            };
            match frame.into_data() {
                Ok(piece) => {
                    digest.update(&piece);
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Err(trailers) => {
                    let mut trailers = trailers.into_trailers().unwrap_or_default();
                    this.trailer = trailers.remove(NODE_BODY_TRAILER);
                }
            }
        }
    }

    /// Not before it was looked at.
    fn is_end_stream(&self) -> bool {
        self.digest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Frames that come.
#[cfg(test)]
pub(super) struct Frames(pub(super) std::collections::VecDeque<Frame<Bytes>>);

#[cfg(test)]
impl HttpBody for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use bellwire_access::between_nodes::NODE_SECRET_BYTES;
    use http_body_util::BodyExt as _;

    use super::*;

    fn key(byte: u8) -> NodeKey {
        NodeKey::new(&[byte; NODE_SECRET_BYTES])
    }

    async fn frames(body: impl Into<Body>) -> Vec<Frame<Bytes>> {
        let (mut body, mut frames) = (body.into(), Vec::new());
        while let Some(frame) = body.frame().await {
            frames.push(frame.expect("a frame"));
        }
        frames
    }

    /// What comes where these frames come.
    async fn comes(frames: Vec<Frame<Bytes>>, proof: Proof) -> Result<Bytes, axum::Error> {
        let body = Body::new(Frames(frames.into()));
        let digest = Some(ContentDigest::default());
        let checked = Body::new(Checked { body, proof, digest, trailer: None });
        checked.collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn a_body_that_was_changed_on_the_way_ends_in_an_error() {
        let sealed = || Sealed {
            body: Body::from("{\"value\":1}"),
            key: key(1),
            shown: "shown".into(),
            digest: Some(ContentDigest::default()),
        };
        let sent = || async { frames(Body::new(sealed())).await };
        let behind = |byte, shown: &str| Proof::Behind { key: key(byte), shown: shown.into() };
        assert_eq!(sent().await.len(), 2);
        assert_eq!(comes(sent().await, behind(1, "shown")).await.expect("all"), "{\"value\":1}");
        let changed = |at: usize, frame: Frame<Bytes>| async move {
            let mut frames = sent().await;
            frames[at] = frame;
            frames
        };
        let other = || Frame::data(Bytes::from_static(b"{\"value\":2}"));
        for (frames, proof) in [
            (changed(0, other()).await, behind(1, "shown")),
            (changed(1, other()).await, behind(1, "shown")),
            (changed(1, Frame::trailers(HeaderMap::new())).await, behind(1, "shown")),
            (vec![], behind(1, "shown")),
            (sent().await, behind(1, "other")),
            (sent().await, behind(2, "shown")),
            (vec![other()], Proof::Digest(ContentDigest::of(b"{\"value\":1}").into())),
        ] {
            let error = comes(frames, proof).await.expect_err("it is another one");
            assert!(NotAsSigned::is_cause_of(&error), "{error:?}");
        }
        let proof = Proof::Digest(ContentDigest::of(b"{\"value\":2}").into());
        assert_eq!(comes(vec![other()], proof).await.expect("all"), "{\"value\":2}");
    }
}
