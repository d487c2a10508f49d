//! What cannot be done now, and is tried again.

use std::time::Duration;

use bellwire_wire::problem::{Code, Problem};

/// How long what could not be done waits at first.
const RETRY: Duration = Duration::from_millis(200);
/// How long at most.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Tries again until it is done, or it makes no sense.
pub(super) async fn until_it_is_done<T, F: Future<Output = Result<T, Problem>>>(
    mut work: impl FnMut() -> F,
) -> Result<T, Problem> {
    let mut wait = RETRY;
    loop {
        match work().await {
            Err(problem) if !is_final(&problem) => {
                tokio::time::sleep(bellwire_process::jittered(wait)).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
            done => return done,
        }
    }
}

/// Whether it makes no sense to wait for another try.
fn is_final(problem: &Problem) -> bool {
    problem.code == Code::Draining || !(problem.is_transient() || problem.code == Code::JournalFull)
}
