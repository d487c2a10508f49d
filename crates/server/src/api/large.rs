//! Reads whose work grows with the data, or with expressions that somebody writes: few at a time, and on no thread that serves others.

use std::sync::Arc;

use bellwire_model::limits::{LARGE_READ_PATIENCE, LARGE_READS_MAX};
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::Semaphore;

/// The places of such reads.
#[derive(Clone, Debug)]
pub(crate) struct LargeReads(Arc<Semaphore>);

impl Default for LargeReads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_READS_MAX)))
    }
}

impl LargeReads {
    /// Waits for a place, and reads. The runtime's other tasks are given to another thread
    /// meanwhile; what waits for a place is a task, and costs no thread.
    pub(crate) async fn run<T>(&self, read: impl FnOnce() -> T) -> Result<T, Problem> {
        let place = tokio::time::timeout(LARGE_READ_PATIENCE, self.0.acquire()).await;
        let _place = place.map_err(|_| is_busy())?.expect("the semaphore is never closed");
        Ok(tokio::task::block_in_place(read))
    }
}

fn is_busy() -> Problem {
    let detail = "many large answers are asked for at once: ask for less, or less often";
    Problem::new(Code::ReadersBusy, detail).retry_after(2)
}
