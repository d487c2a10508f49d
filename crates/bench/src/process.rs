//! What the kernel tells of a process: its CPU time and its memory.

use std::fs;
use std::iter::Sum;
use std::ops::Add;
use std::time::Duration;

use anyhow::{Context, Result};

/// Memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident pages, each divided by the number of processes that share it.
    pub(crate) pss_bytes: u64,
    /// Resident pages.
    pub(crate) rss_bytes: u64,
}

impl Add for Memory {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            pss_bytes: self.pss_bytes + other.pss_bytes,
            rss_bytes: self.rss_bytes + other.rss_bytes,
        }
    }
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// A process, and those that it or they have started.
pub(crate) fn family(pid: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // Who has ended meanwhile is no member.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        parents.extend(field(&stat, PARENT).map(|parent| (pid, parent as u32)));
    }
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    Ok(family)
}

/// CPU time of all threads so far, in user and in kernel mode.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&text).with_context(|| format!("{path} is not understood"))?;
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64))
}

/// CPU time so far of the threads of this name, to the nanosecond; nothing where there is none.
pub(crate) fn cpu_time_of_threads(pid: u32, name: &str) -> Result<Option<Duration>> {
    let tasks = format!("/proc/{pid}/task");
    let mut time = None;
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
        let task = task?.path();
        // Who has ended meanwhile takes no more.
        let Ok(called) = fs::read_to_string(task.join("comm")) else { continue };
        if called.trim_end() != name {
            continue;
        }
        let Ok(told) = fs::read_to_string(task.join("schedstat")) else { continue };
        let run = told.split_ascii_whitespace().next().and_then(|run| run.parse().ok());
        let run = run.with_context(|| format!("{}/schedstat is not understood", task.display()))?;
        *time.get_or_insert(Duration::ZERO) += Duration::from_nanos(run);
    }
    Ok(time)
}

/// Memory now.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let bytes = |name| Some(kibibytes(&text, name)? * 1024);
    let memory = || Some(Memory { pss_bytes: bytes("Pss:")?, rss_bytes: bytes("Rss:")? });
    memory().with_context(|| format!("{path} is not understood"))
}

/// What the kernel holds for sockets and its own structures, of all processes, where it tells:
/// its slabs, and the pages of TCP's buffers.
pub(crate) fn kernel_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let sockstat = fs::read_to_string("/proc/net/sockstat").ok()?;
    let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let pages: u64 = tcp.split_once(" mem ")?.1.trim().parse().ok()?;
    Some(kibibytes(&meminfo, "Slab:")? * 1024 + pages * rustix::param::page_size() as u64)
}

/// Fields of `/proc/<pid>/stat`, counted from behind the program's name.
const PARENT: usize = 1;
const USER_TICKS: usize = 11;
const KERNEL_TICKS: usize = 12;

fn ticks(stat: &str) -> Option<u64> {
    Some(field(stat, USER_TICKS)? + field(stat, KERNEL_TICKS)?)
}

/// A field by its number. The program's name, in parentheses, may contain anything.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number)?.parse().ok()
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
        assert_eq!(field(stat, PARENT), Some(1));
        let rollup = "5581-7ffe [rollup]\nRss:  2048 kB\nPss:    1536 kB\nPss_Anon:  12 kB\n";
        assert_eq!(kibibytes(rollup, "Pss:"), Some(1536));
        assert_eq!(kibibytes(rollup, "Rss:"), Some(2048));
        assert_eq!(kibibytes(rollup, "Swap:"), None);
    }

    #[test]
    fn children_belong_to_their_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("starts");
        let family = family(std::process::id()).expect("read");
        assert!(family.contains(&child.id()), "{family:?}");
        assert_eq!(family[0], std::process::id());
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    #[test]
    fn threads_are_found_by_their_names() {
        let work = || {
            let id = std::process::id();
            cpu_time_of_threads(id, "named for this").expect("read")
        };
        let named = std::thread::Builder::new().name("named for this".to_owned());
        let time = named.spawn(work).expect("starts").join().expect("ends");
        assert!(time.is_some());
        assert_eq!(work(), None);
    }

    #[test]
    fn this_process_has_memory() {
        let memory = memory(std::process::id()).expect("read");
        assert!(memory.pss_bytes > 0 && memory.pss_bytes <= memory.rss_bytes, "{memory:?}");
        cpu_time(std::process::id()).expect("read");
        assert!(kernel_memory().is_none_or(|bytes| bytes > 0));
    }
}
