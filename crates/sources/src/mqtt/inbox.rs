//! What the listener's thread is told by others.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bellwire_ingest::mqtt::mapping::Mapping;
use bellwire_ingest::mqtt::packet::Reason;
use mio::{Poll, Token, Waker};
use tokio::runtime::Handle;

use super::batch::Settled;
use super::gate::{Admitted, Arrival, Gate};
use crate::intake::Intake;

/// The token of the inbox; clients have those of their places.
pub(super) const INBOX: Token = Token(usize::MAX);

/// What a listener stands on.
#[derive(Clone, Debug)]
pub struct ListenerParts {
    /// What messages mean.
    pub mapping: Arc<Mapping>,
    /// Who may come in.
    pub gate: Arc<dyn Gate>,
    /// Where samples go.
    pub intake: Arc<dyn Intake>,
    /// Where what takes its time is waited for.
    pub runtime: Handle,
}

/// What the thread is told. Each letter is of a client, of the one batch that is under way, or the
/// last one, so that they are bounded.
pub(super) enum Letter {
    Arrived(Arrival),
    Identified((usize, u64), Result<Admitted, Reason>),
    Settled(Vec<Settled>),
    Drain,
}

/// Letters that are not read.
pub(super) struct Inbox {
    letters: Mutex<Vec<Letter>>,
    waker: Waker,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    pub(super) fn new(poll: &Poll) -> io::Result<Self> {
        Ok(Self { letters: Mutex::default(), waker: Waker::new(poll.registry(), INBOX)? })
    }

    pub(super) fn put(&self, letter: Letter) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "The listener of MQTT cannot be woken.");
        }
    }

    pub(super) fn take(&self) -> Vec<Letter> {
        std::mem::take(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
