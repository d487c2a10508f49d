//! What a broken invariant does: it ends one connection where it can be contained, else the process.
//!
//! A process that ends loses nothing that was acknowledged, and starts again from its journal. One
//! that goes on without a shard or without its evaluator would lie about both.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_invariant_of_one_connection_is_contained() {
        assert_eq!(contain(|| 1), Some(1));
        assert_eq!(contain(|| -> u8 { unreachable!("offsets strictly increase") }), None);
    }
}
