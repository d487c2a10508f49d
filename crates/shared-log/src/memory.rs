//! The engine in memory: for tests, for simulations on virtual time, and as what others are held to.
//!
//! It has no thread, no clock and no I/O. Either everything is answered within the call
//! ([`MemoryLogs::immediate`]), or nothing happens but by [`MemoryLogs::step`], which lets one thing
//! happen ([`MemoryLogs::stepped`]): a request is done, an answer arrives, batches reach a following, a
//! handle gives up waiting, a following notices that it is lost. Which one says a generator with a
//! seed, so that the same calls with the same seed are the same run.
//!
//! Calls that wait for the engine (all but appends) are done at once in both: they overtake what is
//! under way, as they may on a connection of their own.
//!
//! It fails as every engine does ([`MemoryLogs::fail`]), and for one handle alone ([`MemoryLog`]).
//! What was sent before a connection broke may be done later, though it was answered with
//! [`Error::Away`]. A handle that is dropped with its followings is a process that was killed.

mod following;
mod steps;
mod store;
#[cfg(test)]
mod tests;
mod world;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use self::following::MemoryFollowing;
use self::steps::Stepped;
use self::world::{Link, Pace, Pending, World, away};
use crate::contract::{Engine, Fault};
use crate::{
    Assurance, Entry, Error, Fence, Following, Generation, Position, Register, SharedLog, Span,
    Stored, check_register_name,
};

/// A log in memory, of which any number of handles are opened.
#[derive(Clone)]
pub struct MemoryLogs(Arc<Mutex<World>>);

impl MemoryLogs {
    /// A log in which everything is answered at once, within the call: who appends must not hold a
    /// lock that its `stored` takes.
    pub fn immediate() -> Self {
        Self(Arc::new(Mutex::new(World::new(Pace::Immediate, 0))))
    }

    /// A log in which nothing happens by itself, and in which the seed says what happens next.
    pub fn stepped(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World::new(Pace::Stepped, seed))))
    }

    /// Another handle, as another node has it.
    pub fn handle(&self) -> Arc<MemoryLog> {
        let number = self.world().open();
        Arc::new(MemoryLog(Arc::new(Handle { world: Arc::clone(&self.0), number })))
    }

    /// Lets one thing happen. Returns whether there was something.
    pub fn step(&self) -> bool {
        let stepped = self.world().step();
        match stepped {
            Stepped::Idle => false,
            Stepped::Done(due) => {
                // Nothing is locked here: `stored` may append again.
                if let Some((stored, result)) = due {
                    stored(result);
                }
                true
            }
        }
    }

    /// Lets things happen until there is nothing more.
    pub fn run_until_idle(&self) {
        while self.step() {}
    }

    /// Makes it fail, or ends that.
    pub fn fail(&self, fault: Fault) {
        self.world().fail(fault);
        self.give_answers();
    }

    fn give_answers(&self) {
        let mut world = self.world();
        if world.pace == Pace::Immediate {
            let answers = std::mem::take(&mut world.answers);
            drop(world);
            for (_, (stored, result)) in answers {
                stored(result);
            }
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.0)
    }
}

impl fmt::Debug for MemoryLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLogs").finish_non_exhaustive()
    }
}

impl Engine for MemoryLogs {
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error> {
        if self.world().is_away() { Err(away()) } else { Ok(self.handle()) }
    }

    fn fault(&mut self, fault: Fault) -> bool {
        self.fail(fault);
        true
    }
}

/// What a log and its followings share; the process is gone with the last of them.
struct Handle {
    world: Arc<Mutex<World>>,
    number: u64,
}

impl Handle {
    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.world().close(self.number);
    }
}

/// A handle of a log in memory.
pub struct MemoryLog(Arc<Handle>);

impl MemoryLog {
    /// Nothing passes between this handle and the engine, until [`mend`](Self::mend).
    pub fn partition(&self) {
        let mut world = self.world();
        world.line(self.0.number).link = Link::Cut;
        world.disconnect(self.0.number);
    }

    /// It reaches the engine again, and has to follow again.
    pub fn mend(&self) {
        self.world().line(self.0.number).link = Link::Whole;
    }

    /// Its connection breaks and is there again at once: what was not answered is answered with
    /// [`Error::Away`], and may be done yet.
    pub fn disconnect(&self) {
        self.world().disconnect(self.0.number);
    }

    /// Its next appends and settings of registers, so many of them, are done, but answered with
    /// [`Error::Away`].
    pub fn lose_answers(&self, count: u32) {
        self.world().line(self.0.number).answers_to_lose = count;
    }

    /// Its next appends and settings of registers, so many of them, are answered with [`Error::Away`]
    /// and done at a later step, or where everything is immediate at the next [`Fault::Resume`].
    pub fn do_late(&self, count: u32) {
        self.world().line(self.0.number).to_do_late = count;
    }

    /// Its followings end.
    pub fn end_followings(&self) {
        self.world().end_followings(self.0.number);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world()
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLog").field("number", &self.0.number).finish_non_exhaustive()
    }
}

impl SharedLog for MemoryLog {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        let due = self.world().append(self.0.number, Pending { batch, fence, stored });
        if let Some((stored, result)) = due {
            stored(result);
        }
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, Error> {
        let number = self.world().follow(self.0.number, after)?;
        Ok(Box::new(MemoryFollowing { handle: Arc::clone(&self.0), number }))
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, Error> {
        Ok(self.world().ask(self.0.number)?.entry(at))
    }

    fn span(&self) -> Result<Span, Error> {
        Ok(self.world().ask(self.0.number)?.span())
    }

    fn trim(&self, until: Position) -> Result<(), Error> {
        self.world().ask(self.0.number)?.trim(until);
        Ok(())
    }

    fn register(&self, name: &str) -> Result<Register, Error> {
        check_register_name(name)?;
        Ok(self.world().ask(self.0.number)?.register(name))
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Error> {
        self.world().set_register(self.0.number, (name, expected, value))
    }

    fn registers(&self, prefix: &str) -> Result<Vec<String>, Error> {
        Ok(self.world().ask(self.0.number)?.registers(prefix))
    }

    fn assurance(&self) -> Result<Assurance, Error> {
        let losses = vec!["everything, with the process: use an engine apart from it".to_owned()];
        Ok(Assurance { engine: "memory".into(), losses, doubts: Vec::new() })
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
