//! Whoever was sent `SIGSTOP` goes on for a moment, in threads that run elsewhere.

use std::fs;
use std::thread::park_timeout;
use std::time::Duration;

const LOOK_INTERVAL: Duration = Duration::from_millis(1);
const LOOKS_MAX: u32 = 30_000;

/// Waits until each thread of the process is stopped.
pub(crate) fn await_standstill(id: u32) {
    let is_stopped = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status"));
        status.is_ok_and(|status| status.contains("\nState:\tT"))
    };
    let stands_still = || {
        let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("it is there");
        tasks.flatten().all(is_stopped)
    };
    for _ in 0..LOOKS_MAX {
        if stands_still() {
            return;
        }
        park_timeout(LOOK_INTERVAL);
    }
    panic!("process {id} goes on");
}
