//! A child process that does not outlive this one, with the folder that it writes to.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// How long a server may take to end once told to.
const END_MAX: Duration = Duration::from_secs(15);
const END_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Exit status of a program that a signal ended, as shells report it.
const EXIT_INTERRUPTED: i32 = 130;

/// What a signal that ends this process ends and removes first: one server runs at a time.
static RUNNING: Mutex<Option<(u32, PathBuf)>> = Mutex::new(None);

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
        ensure!(running.is_none(), "one server runs already");
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        *running = Some((child.id(), folder.path().to_owned()));
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

impl Drop for Started {
    fn drop(&mut self) {
        // 1. Ask; a child that has ended by itself takes no signal.
        tell(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + END_MAX;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(END_LOOK_INTERVAL);
        }
        // 2. Insist.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // 3. Leave nothing behind.
        drop(self.folder.take());
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let (mut terminate, mut interrupt) = {
        let _guard = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        leave()
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    LISTENING.call_once(|| {});
    Ok(())
}

fn leave() -> ! {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((pid, folder)) = &*running {
        tell(*pid, Signal::TERM);
        // Nothing more can be done about what fails here.
        let _ = std::fs::remove_dir_all(folder);
    }
    std::process::exit(EXIT_INTERRUPTED)
}
