//! A child process that does not outlive this one, with the folder that it writes to.

use std::fs;
use std::future::poll_fn;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Mutex, Once, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// How long a server may take to end once told to.
const END_MAX: Duration = Duration::from_secs(15);
const END_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Exit status of a program that a signal ended, as shells report it.
const EXIT_INTERRUPTED: i32 = 130;

/// What a signal that ends this process ends and removes first, in the order of the starts.
static RUNNING: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

/// A process that was started here; it ends with this value.
#[derive(Debug)]
pub(super) struct Started {
    child: Child,
    folder: Option<TempDir>,
}

impl Started {
    pub(super) fn spawn(mut command: Command, folder: TempDir) -> Result<Self> {
        end_on_signals()?;
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        running.push((child.id(), folder.path().to_owned()));
        Ok(Self { child, folder: Some(folder) })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process, for its output and its end.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Started {
    /// Ends the process and leaves its folder, for the next one.
    pub(super) fn leave(mut self) -> Option<TempDir> {
        self.end();
        self.folder.take()
    }

    /// Ends the process at once, as a crash would, and leaves its folder.
    pub(super) fn kill(mut self) -> Option<TempDir> {
        // Who has ended by itself is as gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.leave()
    }

    fn end(&mut self) {
        // 1. Ask; the number of one that has ended may be another's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            tell(self.child.id(), Signal::TERM);
        }
        let deadline = Instant::now() + END_MAX;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(END_LOOK_INTERVAL);
        }
        // 2. Insist.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let pid = self.child.id();
        RUNNING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(running, _)| *running != pid);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have been left already.
        if self.folder.is_some() {
            self.end();
        }
        // Leave nothing behind.
        drop(self.folder.take());
    }
}

fn tell(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // Who is gone already has done what is asked.
        let _ = kill_process(pid, signal);
    }
}

/// From now on a signal that ends this process ends its server too.
fn end_on_signals() -> Result<()> {
    static LISTENING: Once = Once::new();
    if LISTENING.is_completed() {
        return Ok(());
    }
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
    // A terminal that closes ends this process, and a server would take it for a reload; below
    // `nohup` both go on.
    if !ignores(&status, SignalKind::hangup()) {
        kinds.push(SignalKind::hangup());
    }
    let mut signals = {
        let _guard = runtime.enter();
        kinds.into_iter().map(signal).collect::<Result<Vec<_>, _>>()?
    };
    let wait = move || {
        runtime.block_on(poll_fn(|context| {
            let has_come = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if has_come { Poll::Ready(()) } else { Poll::Pending }
        }));
        leave()
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    LISTENING.call_once(|| {});
    Ok(())
}

/// Whether a process with this status takes no notice of a signal.
fn ignores(status: &str, kind: SignalKind) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

fn leave() -> ! {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    for (pid, folder) in running.iter().rev() {
        tell(*pid, Signal::TERM);
        // Nothing more can be done about what fails here.
        let _ = fs::remove_dir_all(folder);
    }
    std::process::exit(EXIT_INTERRUPTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that does nothing, with a folder.
    fn idle() -> Started {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sleep");
        command.arg("600");
        Started::spawn(command, folder).expect("it starts")
    }

    fn is_running(pid: u32) -> bool {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().any(|(running, _)| *running == pid)
    }

    #[test]
    fn one_of_several_is_killed_and_leaves_its_folder() {
        let (one, other) = (idle(), idle());
        let (killed, ended) = (one.pid(), other.pid());
        assert!(is_running(killed) && is_running(ended));
        let left = one.kill().expect("a folder");
        assert!(left.path().is_dir());
        assert!(!is_running(killed) && is_running(ended));
        let folder = other.folder.as_ref().expect("a folder").path().to_owned();
        drop(other);
        assert!(!is_running(ended) && !folder.exists());
        assert!(!fs::exists(format!("/proc/{killed}")).expect("asked"));
    }

    #[test]
    fn what_nohup_has_ignored_stays_ignored() {
        for (mask, is_ignored) in [("0000000000000001", true), ("0000000000001000", false)] {
            let status = format!("Name:\ta\nSigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\t01\n");
            assert_eq!(ignores(&status, SignalKind::hangup()), is_ignored, "{mask}");
        }
    }
}
