//! Waiting: for calls that might never come back, and until something is so. There are no clocks on
//! this floor, so that a thread that waits in vain tells when it has taken too long.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// How long anything is waited for, before the clause fails.
pub(super) const BOUND: Duration = Duration::from_mins(1);

/// How long it is waited before something is looked at again.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs what might never come back.
#[track_caller]
pub(super) fn within<T: Send + 'static>(
    what: &str,
    call: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, done) = sync_channel(1);
    thread::spawn(move || drop(sender.send(call())));
    match done.recv_timeout(BOUND) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("waited {BOUND:?} in vain: {what}"),
        Err(RecvTimeoutError::Disconnected) => panic!("it panicked: {what}"),
    }
}

/// Tries until it is so. What is tried says why it is not so yet.
#[track_caller]
pub(super) fn until<T>(
    what: impl fmt::Display,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> T {
    let mut why = match attempt() {
        Ok(value) => return value,
        Err(why) => why,
    };
    let alarm = Alarm::set();
    while !alarm.has_rung() {
        pause();
        why = match attempt() {
            Ok(value) => return value,
            Err(why) => why,
        };
    }
    panic!("waited {BOUND:?} in vain: {what}, but {why}")
}

fn pause() {
    let (_nobody, nothing) = sync_channel::<()>(0);
    let _ = nothing.recv_timeout(PAUSE);
}

/// Rings when what is waited for has taken too long.
struct Alarm {
    has_rung: Arc<AtomicBool>,
    /// Its end stops the thread.
    _running: SyncSender<()>,
}

impl Alarm {
    fn set() -> Self {
        let (running, stopped) = sync_channel(0);
        let has_rung = Arc::new(AtomicBool::new(false));
        let rings = Arc::clone(&has_rung);
        thread::spawn(move || {
            if stopped.recv_timeout(BOUND) == Err(RecvTimeoutError::Timeout) {
                rings.store(true, Ordering::Relaxed);
            }
        });
        Self { has_rung, _running: running }
    }

    fn has_rung(&self) -> bool {
        self.has_rung.load(Ordering::Relaxed)
    }
}

/// Says something to whoever runs the tests, also where the harness hides what passes.
pub(super) fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
