//! Running other programs: each is printed before it starts, and one that fails is an error.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The cargo that started this command, so that nested builds use the same toolchain.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    if std::env::var_os("CI").is_some() {
        // Nobody builds again there: what a later build would be spared is work and disk for naught.
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// Runs the command with its output shown.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    println!("   $ {shown}");
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Who runs tests and has not said a word for so long hangs: the longest of them take two minutes.
const SILENCE_MAX: Duration = Duration::from_mins(10);
/// Lines that are read ahead of what is shown.
const LINES_READ_AHEAD_MAX: usize = 1_000;

/// Runs the command with its output shown, and gives each line of it to `on_line`. It is ended where it
/// hangs.
pub(crate) fn run_reading(command: &mut Command, on_line: impl FnMut(&str)) -> Result<()> {
    run_while_it_speaks(command, SILENCE_MAX, on_line)
}

fn run_while_it_speaks(
    command: &mut Command,
    silence_max: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<()> {
    let shown = shown(command);
    println!("   $ {shown}");
    let context = || format!("cannot start `{shown}`");
    // With all that it starts it can be ended. At a terminal a Ctrl-C is to reach it, as usual.
    if std::env::var_os("CI").is_some() {
        command.process_group(0);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(context)?;
    let output = child.stdout.take().context("its output is a pipe")?;
    let (sender, lines) = mpsc::sync_channel(LINES_READ_AHEAD_MAX);
    // Not waited for: what a killed runner has started may hold its output open.
    thread::spawn(move || {
        let (mut reader, mut line) = (BufReader::new(output), Vec::new());
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    let mut slow = BTreeSet::new();
    loop {
        match lines.recv_timeout(silence_max) {
            Ok(line) => {
                let text = String::from_utf8_lossy(&line);
                print!("{text}");
                note_slow(&mut slow, text.trim_end());
                on_line(text.trim_end());
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let _no_group_at_a_terminal =
                    succeeds("kill", &["-KILL", "--", &format!("-{}", child.id())]);
                child.kill()?;
                child.wait()?;
                bail!("`{shown}` was ended: silent for {silence_max:?}, in the midst of {slow:?}");
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Keeps which Rust tests go on for long.
fn note_slow(slow: &mut BTreeSet<String>, line: &str) {
    let Some(rest) = line.strip_prefix("test ") else { return };
    if let Some((name, _)) = rest.split_once(" has been running for over ") {
        slow.insert(name.to_owned());
    } else if let Some((name, _)) = rest.split_once(" ... ") {
        slow.remove(name);
    }
}

/// Runs the command and returns what it printed; its errors are shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed no UTF-8"))
}

/// Whether the command can be started and succeeds; it prints nothing.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The first of the programs that is on the `PATH`.
pub(crate) fn find_on_path(programs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = programs.iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
    candidates.into_iter().find(|file| file.is_file())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    let mut shown = name.into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`sh -c exit 3` failed") && text.contains('3'), "{text}");
        assert!(run(&mut Command::new("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn lines_are_read_as_they_come_and_failures_told() {
        let mut lines = Vec::new();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "printf 'a\\n\\nb'; exit 3"]);
        let error = run_reading(&mut command, |line| lines.push(line.to_owned())).unwrap_err();
        assert_eq!(lines, ["a", "", "b"]);
        assert!(error.to_string().ends_with("failed: exit status: 3"), "{error}");
    }

    #[test]
    fn who_hangs_is_ended_and_what_it_was_at_is_named() {
        let mut command = Command::new("/bin/sh");
        let script = "for name in a b; do \
                          echo \"test $name has been running for over 60 seconds\"; \
                      done; echo 'test a ... ok'; exec sleep 600";
        command.args(["-c", script]);
        let error = run_while_it_speaks(&mut command, Duration::from_millis(500), |_| {});
        let error = error.unwrap_err().to_string();
        assert!(error.contains("silent for 500ms") && error.ends_with(r#"{"b"}"#), "{error}");
    }

    #[test]
    fn the_path_is_searched_in_the_order_asked_for() {
        assert!(find_on_path(&["no-such-program-anywhere", "sh"]).unwrap().ends_with("sh"));
        assert!(find_on_path(&["no-such-program-anywhere"]).is_none());
    }
}
