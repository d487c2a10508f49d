//! The engine's own thread, on which its client's tasks run: whoever calls waits on his own.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use bellwire_shared_log::Error;

/// A runtime of one thread. It ends with its last handle, and waits for nothing then: what was under
/// way is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Arc<Owned>);

#[derive(Debug)]
struct Owned(Option<tokio::runtime::Runtime>);

impl Runtime {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("engine")
            .enable_all()
            .build()
            .map_err(|error| Error::Away(format!("the engine's thread did not start: {error}")))?;
        Ok(Self(Arc::new(Owned(Some(runtime)))))
    }

    /// Has something done there, which nobody waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0.0 {
            runtime.spawn(work);
        }
    }

    /// Has something done there, and waits for it, in whatever thread the caller is. It is for the
    /// work itself to end in time.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = sync_channel(1);
        self.spawn(async move {
            // There is room for the one answer, so that this does not wait.
            let _ = answer.send(work.await);
        });
        let ended = |_| Err(Error::Away("the engine's thread has ended".to_owned()));
        answered.recv().unwrap_or_else(ended)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Whoever lets go of it may be a task of a runtime, where nothing may be waited for.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_end_well_is_told_as_away() {
        let runtime = Runtime::start().unwrap();
        assert_eq!(runtime.wait(async { Ok(7) }), Ok(7));
        let panics = async {
            assert!(std::hint::black_box(false), "this is what the test is about");
            Ok(7)
        };
        assert!(matches!(runtime.wait(panics), Err(Error::Away(_))));
        assert_eq!(runtime.wait(async { Ok(8) }), Ok(8));
    }

    #[test]
    fn it_may_be_waited_for_and_let_go_of_in_another_runtime() {
        let outer = tokio::runtime::Builder::new_current_thread().build().unwrap();
        outer.block_on(async {
            let runtime = Runtime::start().unwrap();
            assert_eq!(runtime.wait(async { Ok(7) }), Ok(7));
            drop(runtime);
        });
    }
}
