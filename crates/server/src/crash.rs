//! What a broken invariant does: it ends one connection where it can be contained, else the process.
//!
//! A process that ends loses nothing that was acknowledged, and starts again from its journal. One
//! that goes on without a shard or without its evaluator would lie about both.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

/// Starts a thread that the server cannot do without.
pub(crate) fn spawn_essential(
    name: String,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let thread_name = name.clone();
    std::thread::Builder::new().name(name).spawn(move || {
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            tracing::error!(thread = thread_name, "An invariant is broken; the process ends.");
            std::process::abort();
        }
    })
}

/// Runs what concerns one connection only. `None` says that an invariant was broken: end it.
pub(crate) fn contain<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}
