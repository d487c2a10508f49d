//! Bodies that are made a piece at a time, for as long as somebody takes them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// What a client is sent: bytes, or that this was all.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    End,
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// The body of the answer. Without the end it breaks off.
pub(super) struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    is_over: bool,
}

impl Pieces {
    /// What comes there.
    pub(super) fn new(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { pieces, is_over: false }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(context));
        self.is_over = !matches!(piece, Some(Piece::Bytes(_)));
        Poll::Ready(match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => None,
            None => Some(Err(io::Error::other("what is sent is cut off"))),
        })
    }
}
