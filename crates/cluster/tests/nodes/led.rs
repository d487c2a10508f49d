//! What a node takes for its log, which may become another one, as where an engine is exchanged.

use std::sync::{Arc, Mutex};

use bellwire_shared_log::{
    Assurance, Entry, Error, Fence, Following, Generation, MemoryLog, Position, Register,
    SharedLog, Span, Stored,
};
use bytes::Bytes;

/// See the module.
#[derive(Debug)]
pub(crate) struct Led(Mutex<Arc<MemoryLog>>);

impl Led {
    pub(crate) fn to(log: Arc<MemoryLog>) -> Self {
        Self(Mutex::new(log))
    }

    /// From now on it is this one.
    pub(crate) fn lead(&self, log: Arc<MemoryLog>) {
        let before = std::mem::replace(&mut *self.0.lock().expect("held for a moment"), log);
        before.end_followings();
    }

    fn log(&self) -> Arc<MemoryLog> {
        Arc::clone(&self.0.lock().expect("held for a moment"))
    }
}

impl SharedLog for Led {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        self.log().append(batch, fence, stored);
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, Error> {
        self.log().follow(after)
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, Error> {
        self.log().entry(at)
    }

    fn span(&self) -> Result<Span, Error> {
        self.log().span()
    }

    fn trim(&self, until: Position) -> Result<(), Error> {
        self.log().trim(until)
    }

    fn register(&self, name: &str) -> Result<Register, Error> {
        self.log().register(name)
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Error> {
        self.log().set_register(name, expected, value)
    }

    fn registers(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.log().registers(prefix)
    }

    fn assurance(&self) -> Result<Assurance, Error> {
        self.log().assurance()
    }
}
