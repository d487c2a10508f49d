//! What clauses are written with: handles whose every call is bounded, and answers that are waited for.

use std::panic::Location;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

use bytes::Bytes;

use super::reader::{PROBE, Reader};
use super::waiting::{BOUND, say, until, within};
use super::{Engine, Fault, Make};
use crate::{Entry, Error, Fence, Generation, Position, Register, SharedLog, Span};

/// An engine under test.
#[derive(Debug)]
pub(super) struct Rig(Box<dyn Engine>);

impl Rig {
    pub(super) fn new(make: Make<'_>) -> Self {
        Self(make())
    }

    /// Another handle. Nobody but the clause keeps it.
    #[track_caller]
    pub(super) fn open(&mut self) -> Handle {
        until("a handle is opened", || match self.0.open() {
            Ok(log) => Ok(Handle(log)),
            // A server that was started a moment ago may not listen yet.
            Err(Error::Away(why)) => Err(why),
            Err(other) => panic!("no handle: {other:?}"),
        })
    }

    /// Makes it fail. Where it cannot, that is said, and the clause ends there.
    #[track_caller]
    pub(super) fn fault(&mut self, fault: Fault) -> bool {
        let can = self.0.fault(fault);
        if !can {
            let clause = Location::caller();
            say(&format!("SKIPPED: {:?} has no {fault:?}, for the clause at {clause}", self.0));
        }
        can
    }

    /// Ends what [`fault`](Self::fault) began.
    #[track_caller]
    pub(super) fn cure(&mut self, fault: Fault) {
        assert!(self.0.fault(fault), "the engine that failed can also {fault:?}");
    }
}

/// What a handle calls.
pub(super) type Log = dyn SharedLog + 'static;

/// A handle of the log under test.
#[derive(Clone, Debug)]
pub(super) struct Handle(Arc<dyn SharedLog>);

impl Handle {
    /// A call that must come back, whatever it says.
    #[track_caller]
    pub(super) fn ask<T: Send + 'static>(
        &self,
        what: &str,
        call: impl FnOnce(&Log) -> T + Send + 'static,
    ) -> T {
        let log = Arc::clone(&self.0);
        within(what, move || call(&*log))
    }

    pub(super) fn append(&self, batch: impl Into<Bytes>, fence: Option<&Fence>) -> Answer {
        let (sender, answer) = sync_channel(1);
        let stored = Box::new(move |result| drop(sender.send(result)));
        self.0.append(batch.into(), fence.cloned(), stored);
        Answer(answer)
    }

    /// Appends all of them without waiting for any.
    #[track_caller]
    pub(super) fn pipeline(&self, texts: &[String], fence: Option<&Fence>) -> Vec<Answer> {
        let (log, texts, fence) = (self.clone(), texts.to_vec(), fence.cloned());
        within("appends are queued without waiting for anybody", move || {
            texts.into_iter().map(|text| log.append(text, fence.as_ref())).collect()
        })
    }

    /// Appends one batch that is stored.
    #[track_caller]
    pub(super) fn store(&self, batch: impl Into<Bytes>) -> Position {
        self.append(batch, None).stored()
    }

    /// Appends batches that are stored, without waiting between them.
    #[track_caller]
    pub(super) fn store_all(&self, texts: &[String]) -> Vec<Position> {
        let answers = self.pipeline(texts, None);
        let positions: Vec<Position> = answers.into_iter().map(Answer::stored).collect();
        assert!(positions.is_sorted_by(|a, b| a < b), "in their order: {positions:?}");
        positions
    }

    #[track_caller]
    pub(super) fn follow(&self, after: Position) -> Reader {
        self.try_follow(after).unwrap_or_else(|error| panic!("not followed: {error:?}"))
    }

    #[track_caller]
    pub(super) fn try_follow(&self, after: Position) -> Result<Reader, Error> {
        let following = self.ask("the log is followed", move |log| log.follow(after))?;
        Ok(Reader::new(following, after))
    }

    /// Follows again, after a fault.
    #[track_caller]
    pub(super) fn follow_again(&self, after: Position) -> Reader {
        until("the log is followed again", || match self.try_follow(after) {
            Err(Error::Away(why)) => Err(why),
            other => Ok(other.unwrap_or_else(|error| panic!("not followed: {error:?}"))),
        })
    }

    #[track_caller]
    pub(super) fn entry(&self, at: Position) -> Option<Entry> {
        expected(self.ask("an entry is read", move |log| log.entry(at)))
    }

    #[track_caller]
    pub(super) fn span(&self) -> Span {
        expected(self.ask("the span is read", SharedLog::span))
    }

    #[track_caller]
    pub(super) fn trim(&self, until: Position) {
        expected(self.ask("the log is trimmed", move |log| log.trim(until)));
    }

    #[track_caller]
    pub(super) fn register(&self, name: &'static str) -> Register {
        expected(self.ask("a register is read", move |log| log.register(name)))
    }

    #[track_caller]
    pub(super) fn registers(&self, prefix: &'static str) -> Vec<String> {
        expected(self.ask("registers are listed", move |log| log.registers(prefix)))
    }

    #[track_caller]
    pub(super) fn try_set(
        &self,
        name: &str,
        expected: Generation,
        value: impl Into<Bytes>,
    ) -> Result<Generation, Error> {
        let (name, value) = (name.to_owned(), value.into());
        self.ask("a register is set", move |log| log.set_register(&name, expected, value))
    }

    #[track_caller]
    pub(super) fn set(
        &self,
        name: &str,
        expected: Generation,
        value: impl Into<Bytes>,
    ) -> Generation {
        self.try_set(name, expected, value).unwrap_or_else(|error| panic!("not set: {error:?}"))
    }

    /// Sets a register to what nobody else sets it to, whatever it is, however often that takes.
    #[track_caller]
    pub(super) fn take(&self, name: &'static str, value: &'static str) -> Generation {
        until("a register is taken", || {
            let found = self.ask("a register is read", move |log| log.register(name));
            let found = found.map_err(|error| error.to_string())?;
            if found.value == value {
                return Ok(found.generation);
            }
            self.try_set(name, found.generation, value).map_err(|error| error.to_string())
        })
    }

    /// Waits until this handle reaches the engine again.
    #[track_caller]
    pub(super) fn reached(&self) -> Span {
        until("the handle reaches the engine again", || {
            let span = self.ask("the span is read", SharedLog::span);
            span.map_err(|error| format!("{error:?}"))
        })
    }

    /// Waits until this handle works again, as appends with [`PROBE`] show.
    #[track_caller]
    pub(super) fn works_again(&self) {
        self.reached();
        until("the handle stores again", || {
            self.append(PROBE, None).given().map_err(|error| format!("{error:?}"))
        });
    }

    /// Waits until somebody works again, and stores a batch that is the end of what is looked at.
    #[track_caller]
    pub(super) fn store_end(&self) -> Position {
        self.works_again();
        self.store("end")
    }

    /// All batches that are there, up to the one at this place, but for probes.
    #[track_caller]
    pub(super) fn texts_up_to(&self, end: Position) -> Vec<String> {
        let mut reader = self.follow_again(Position::START);
        reader.read_to(end);
        reader.texts()
    }
}

/// The answer to an append.
pub(super) struct Answer(Receiver<Result<Position, Error>>);

impl Answer {
    /// What was answered.
    #[track_caller]
    pub(super) fn given(self) -> Result<Position, Error> {
        match self.0.recv_timeout(BOUND) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => panic!("an append is not answered in {BOUND:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("`stored` is dropped and was not called"),
        }
    }

    /// Where it was stored.
    #[track_caller]
    pub(super) fn stored(self) -> Position {
        self.given().unwrap_or_else(|error| panic!("not stored: {error:?}"))
    }

    /// Where it was stored; none where the engine was away.
    #[track_caller]
    pub(super) fn stored_unless_away(self) -> Option<Position> {
        match self.given() {
            Ok(position) => Some(position),
            Err(Error::Away(_)) => None,
            Err(other) => panic!("neither stored nor away: {other:?}"),
        }
    }
}

#[track_caller]
fn expected<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("the engine does what it is asked: {error:?}"))
}

/// Texts that tell whose they are and which.
pub(super) fn numbered(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}-{number}")).collect()
}

/// A fence of this register.
pub(super) fn fence(register: &str, generation: Generation) -> Fence {
    Fence { register: register.to_owned(), generation }
}
