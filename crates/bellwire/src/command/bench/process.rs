//! What the kernel tells of a process: its CPU time and its memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Resident pages, each divided by the number of processes that share it.
    pub(super) pss_bytes: u64,
    /// Resident pages.
    pub(super) rss_bytes: u64,
}

/// CPU time of all threads so far, in user and in kernel mode.
pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&text).with_context(|| format!("{path} is not understood"))?;
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64))
}

/// Memory now.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let bytes = |name| Some(kibibytes(&text, name)? * 1024);
    let memory = || Some(Memory { pss_bytes: bytes("Pss:")?, rss_bytes: bytes("Rss:")? });
    memory().with_context(|| format!("{path} is not understood"))
}

/// `utime` and `stime`, the 14th and 15th field. The second field, the program's name in
/// parentheses, may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn kibibytes(rollup: &str, name: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_the_kernel_writes() {
        let stat = "71 (a) b) S 1 71 71 0 -1 4194560 1 2 3 4 50 7 0 0 20 0 5 0 1 2 3";
        assert_eq!(ticks(stat), Some(57));
        let rollup = "5581-7ffe [rollup]\nRss:  2048 kB\nPss:    1536 kB\nPss_Anon:  12 kB\n";
        assert_eq!(kibibytes(rollup, "Pss:"), Some(1536));
        assert_eq!(kibibytes(rollup, "Rss:"), Some(2048));
        assert_eq!(kibibytes(rollup, "Swap:"), None);
    }

    #[test]
    fn this_process_has_memory() {
        let memory = memory(std::process::id()).expect("read");
        assert!(memory.pss_bytes > 0 && memory.pss_bytes <= memory.rss_bytes, "{memory:?}");
        cpu_time(std::process::id()).expect("read");
    }
}
