//! Bodies that take their time: at the end of one is asked anew whether its sender is still somebody.
//!
//! Who calls is found out by the head, and what is done is done behind the body. Between the two a
//! credential may be taken back, and whoever has taken it back relies on that.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bellwire_access::Identity;
use bellwire_authn::Authenticator;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// A request of somebody, whose body ends in an error where their credential was taken back meanwhile.
pub(super) fn watched(
    request: Request,
    authenticator: &Arc<Authenticator>,
    sender: &Arc<Identity>,
) -> Request {
    let (authenticator, sender) = (Arc::clone(authenticator), Arc::clone(sender));
    request.map(|body| Body::new(Watched { body, authenticator, sender }))
}

/// Whether a body broke off because its sender counts no more.
pub(super) fn is_of_the_revoked(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<Revoked>() {
            return true;
        }
        cause = error.source();
    }
    false
}

struct Watched {
    body: Body,
    authenticator: Arc<Authenticator>,
    sender: Arc<Identity>,
}

/// The sender's credential was taken back.
#[derive(Debug)]
struct Revoked;

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the credential was taken back before the body had come")
    }
}

impl Error for Revoked {}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            Some(frame) => Some(frame.map_err(Into::into)),
            None if self.authenticator.counts(&self.sender) => None,
            None => Some(Err(Revoked.into())),
        })
    }

    /// Never: the end is where is asked.
    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
