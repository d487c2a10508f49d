//! What a broken invariant does: it ends one connection where it can be contained, else the process.
//!
//! A process that ends loses nothing that was acknowledged, and starts again from its journal. One
//! that goes on without a shard or without its evaluator would lie about both.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::thread::JoinHandle;

/// Starts a thread that the server cannot do without.
pub fn spawn_essential(
    name: String,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(move || run_essential(body))
}

/// Runs what the server cannot do without, on a thread of somebody else's.
pub fn run_essential<T>(body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        tracing::error!(thread = name, "An invariant is broken; the process ends.");
        std::process::abort()
    })
}

/// Runs what concerns one connection only. `None` says that an invariant was broken: end it.
pub fn contain<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// The same of a task that is waited for: what concerns one of many that it looks after.
pub async fn contain_task<T>(task: impl Future<Output = T>) -> Option<T> {
    let mut task = pin!(task);
    poll_fn(|context| match contain(|| task.as_mut().poll(context)) {
        Some(polled) => polled.map(Some),
        // It is not polled again.
        None => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_broken_invariant_of_one_task_is_contained() {
        let polled = |task: &mut dyn FnMut() -> Option<u8>| {
            let task = pin!(contain_task(async { task() }));
            task.poll(&mut Context::from_waker(Waker::noop()))
        };
        assert_eq!(polled(&mut || Some(1)), Poll::Ready(Some(Some(1))));
        assert_eq!(polled(&mut || unreachable!("offsets strictly increase")), Poll::Ready(None));
    }

    #[test]
    fn a_broken_invariant_of_one_connection_is_contained() {
        assert_eq!(contain(|| 1), Some(1));
        assert_eq!(contain(|| -> u8 { unreachable!("offsets strictly increase") }), None);
    }
}
