//! Standard output and standard error, without panics when nobody reads any more.

use std::io::{self, Write};

use anyhow::{Context, Result};
use thiserror::Error;

/// Whoever read our output is gone, as `head` is after its lines: no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("nobody reads the output any more")]
pub(crate) struct ReaderGone;

/// What went wrong is a part of the output: there is nothing to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("what went wrong was printed")]
pub(crate) struct AlreadyTold;

/// Prints to standard output at once: `text` and a line feed.
pub(crate) fn line(text: &str) -> Result<()> {
    lines(format!("{text}\n").as_bytes())
}

/// Prints whole lines to standard output at once.
pub(crate) fn lines(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        result => result.context("cannot write to standard output"),
    }
}

/// Tells a person something beside the output: on standard error.
pub(crate) fn notice(text: &str) {
    // Without a reader there is nobody to tell that either.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// So many of a thing: `1 rule`, `2 rules`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Text of others as a terminal can show it: characters that would steer it are left out.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_replaced() {
        assert_eq!(harmless("a\x1b[2Jb\tc\u{9b}1m"), "a\u{FFFD}[2Jb\tc\u{FFFD}1m");
    }
}
