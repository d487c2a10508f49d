//! A socket as hyper sees it: it gives back first what was already read from it, it knows whether
//! hyper has written all that it had, and it gives up on a peer that takes nothing. Of HTTP/1 it
//! lets one request through at a time, each with a head that is whole and in order.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bellwire_model::limits::LINGER_TIMEOUT;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Sleep, sleep};

use super::farewell::half_closed;
use super::framing::{Body, Chunks, Framing};
use super::progress::Progress;
use super::stream::Stream;

/// What has come ahead, then the socket.
#[derive(Debug)]
pub(super) struct Replay {
    held: Vec<u8>,
    /// Of which hyper has been given so many.
    given: usize,
    /// Of which so many more belong to a head.
    head_left: usize,
    stage: Stage,
    stream: Stream,
    progress: Arc<Progress>,
    stall_timeout: Duration,
    /// Runs while the peer takes no byte.
    stall: Option<Pin<Box<Sleep>>>,
    /// Runs once the peer has ended its half while it is owed an answer.
    end: Option<Pin<Box<Sleep>>>,
}

/// What hyper is given next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// A head, once the request before it has been answered.
    Head,
    /// What is left of a body.
    Body(Body),
}

/// Bytes of a head that are read at a time.
const READ_BYTES: usize = 4096;

impl Replay {
    /// Lets the requests of HTTP/1 through one at a time.
    pub(super) fn of_requests(held: Vec<u8>, stream: Stream, stall_timeout: Duration) -> Self {
        Self { stage: Stage::Head, ..Self::open(held, stream, stall_timeout) }
    }

    /// Lets everything through.
    pub(super) fn open(held: Vec<u8>, stream: Stream, stall_timeout: Duration) -> Self {
        Self {
            held,
            given: 0,
            head_left: 0,
            stage: Stage::Body(Body::Endless),
            stream,
            progress: Arc::default(),
            stall_timeout,
            stall: None,
            end: None,
        }
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The socket alone, and what has come of which hyper was not given anything.
    pub(super) fn into_parts(mut self) -> (Stream, Vec<u8>) {
        (self.stream, self.held.split_off(self.given))
    }

    /// Watches over bytes on their way: what takes too long fails.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stall = None;
            return progress;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(self.stall_timeout)));
        stall.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Gives some of what is held.
    fn give(&mut self, buffer: &mut ReadBuf<'_>, bytes_max: usize) -> usize {
        let rest = &self.held[self.given..];
        let count = rest.len().min(buffer.remaining()).min(bytes_max);
        buffer.put_slice(&rest[..count]);
        self.given += count;
        if self.given == self.held.len() {
            (self.held, self.given) = (Vec::new(), 0);
        }
        count
    }

    /// Whether there is a head to give, and nothing else is under way. `false`: the peer has gone.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let is_hypers_turn = self.progress.poll_turn(context).is_pending();
            if self.given < self.held.len() {
                if is_hypers_turn {
                    return Poll::Pending;
                }
                // Some clients end a body with a line that does not belong to it (RFC 9112, 2.2).
                let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
                self.given += self.held[self.given..].iter().take_while(is_line_end).count();
                self.held.drain(..std::mem::take(&mut self.given));
            }
            if !self.held.is_empty() {
                match Framing::read(&self.held) {
                    Ok(Some(framing)) => {
                        self.progress.on_head();
                        self.head_left = framing.head_bytes;
                        self.stage = Stage::Body(framing.body);
                        return Poll::Ready(Ok(true));
                    }
                    Ok(None) => self.progress.on_head_begun(),
                    Err(problem) => {
                        // Whoever drives the connection answers.
                        self.progress.refuse(problem);
                        return Poll::Pending;
                    }
                }
            }
            // While a request is under way this shows whether its client is still there.
            let mut scratch = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return self.poll_end(context).map(|()| Ok(false));
            }
            self.held.extend_from_slice(read.filled());
        }
    }

    /// Ready once hyper may see that the peer has ended its half: it drops what is under way then,
    /// and a client may say with it that this was its last request. One that has gone looks just
    /// the same: what changes nothing is given up a moment later.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_hypers_turn = self.progress.poll_turn(context).is_pending();
        if is_hypers_turn || !self.progress.is_flushed() {
            // A flush wakes.
            let end = self.end.get_or_insert_with(|| Box::pin(sleep(LINGER_TIMEOUT)));
            if is_hypers_turn && !self.progress.has_begun_answer() && self.progress.is_safe() {
                ready!(end.as_mut().poll(context));
                // Whoever drives the connection answers.
                self.progress.refuse(half_closed());
            }
            return Poll::Pending;
        }
        self.end = None;
        Poll::Ready(())
    }

    /// Gives some of what comes, be it held or yet to be read.
    fn poll_some(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        bytes_max: u64,
    ) -> Poll<io::Result<()>> {
        if self.given < self.held.len() {
            self.give(buffer, usize::try_from(bytes_max).unwrap_or(usize::MAX));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut (&mut self.stream).take(bytes_max)).poll_read(context, buffer)
    }

    /// Gives hyper what it may have of its request, or the next one.
    fn poll_request(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.head_left > 0 {
                self.head_left -= self.give(buffer, self.head_left);
                return Poll::Ready(Ok(()));
            }
            match self.stage {
                Stage::Head => {
                    if !ready!(self.poll_head(context))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Stage::Body(Body::Bytes(0) | Body::Chunked(Chunks::End)) => {
                    self.stage = Stage::Head;
                }
                Stage::Body(body) => return self.poll_body(context, buffer, body),
            }
        }
    }

    fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        body: Body,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let bytes_max = if let Body::Bytes(left) = body { left } else { u64::MAX };
        ready!(self.poll_some(context, buffer, bytes_max))?;
        let given = &buffer.filled()[before..];
        let body = match body {
            Body::Bytes(left) => Body::Bytes(left - given.len() as u64),
            Body::Chunked(mut chunks) => {
                if let Some(end) = chunks.see(given) {
                    // The rest belongs to the next request.
                    self.held.splice(..self.given, given[end..].iter().copied());
                    self.given = 0;
                    buffer.set_filled(before + end);
                }
                Body::Chunked(chunks)
            }
            Body::Endless => body,
        };
        self.stage = Stage::Body(body);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_request(context, buffer)
    }
}

impl AsyncWrite for Replay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.progress.on_write();
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.progress.on_write();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.progress.on_flush();
        // TLS holds bytes back while the socket is full.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() && self.end.is_some() {
            context.waker().wake_by_ref();
        }
        self.watched(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watched(context, shut)
    }
}
