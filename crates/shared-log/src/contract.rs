//! The contract as an executable suite: every engine passes it, each clause a function.
//!
//! A suite runs on an [`Engine`], which the tests of each engine provide: it opens handles as nodes
//! would, and makes the engine fail on command.

use std::fmt;
use std::sync::Arc;

use crate::{Error, Position, SharedLog};

/// An engine under test, with an empty log of its own.
pub trait Engine: fmt::Debug {
    /// Another handle of the same log, as another node would have it. Handles notice that the engine
    /// is away within a few seconds.
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error>;

    /// Makes it fail, or ends that. Returns whether this engine can fail so; where it cannot the
    /// clause is not tested, and the suite says so.
    fn fault(&mut self, fault: Fault) -> bool;
}

/// How an engine fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server is killed (SIGKILL). What it acknowledged stays, as far as [`Assurance`] says.
    ///
    /// [`Assurance`]: crate::Assurance
    Kill,
    /// It is started again, after [`Fault::Kill`], with what it had.
    Start,
    /// It is stopped in the middle of what it does (SIGSTOP): sockets stay open, nothing is answered.
    Pause,
    /// It goes on.
    Resume,
    /// Nothing passes between all handles and the server, in neither direction, nor does anything say so.
    Cut,
    /// The network is mended: new connections come through.
    Mend,
    /// It has no room for more.
    Fill,
    /// It has room again.
    Relieve,
    /// Somebody else removes batches up to and with this one.
    TrimByHand(Position),
    /// A copy is made of all that it has, for [`Fault::Restore`].
    Copy,
    /// It is stopped, gets what it had at [`Fault::Copy`], and is started: acknowledged batches are gone.
    Restore,
    /// The log is lost and begins anew, empty, as one that somebody has deleted and made again.
    Lose,
}
