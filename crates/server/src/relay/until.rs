//! Bodies of another node, for as long as that is the one to ask.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// What of a body comes until something happens: then it breaks off.
pub(crate) struct Until {
    body: Body,
    is_over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Until {
    pub(crate) fn new(body: Body, is_over: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { body, is_over: Box::pin(is_over) }
    }
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // What has come is handed on first.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.is_over.as_mut().poll(context));
        Poll::Ready(Some(Err("the node that answers is taken over from".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use http_body_util::BodyExt as _;

    use super::*;

    /// It hangs behind its first bytes.
    struct Hanging(Option<Bytes>);

    impl HttpBody for Hanging {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let bytes = self.0.take();
            bytes.map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
        }
    }

    #[tokio::test]
    async fn a_body_that_hangs_breaks_off_when_its_node_is_taken_over_from() {
        let mut body = Until::new(Body::new(Hanging(Some(Bytes::from_static(b"a")))), ready(()));
        let frame = body.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().expect("data"), "a");
        assert!(body.frame().await.expect("a frame").is_err());
        let whole = Until::new(Body::from("all"), pending());
        assert_eq!(whole.size_hint().exact(), Some(3));
        assert_eq!(whole.collect().await.expect("all").to_bytes(), "all");
    }
}
