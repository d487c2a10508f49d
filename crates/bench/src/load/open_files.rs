//! The limit of file descriptors, which bounds how many connections a workload may have.

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for all else: polls, pipes, files. The server reserves about as many.
const RESERVED: u64 = 256;

/// Raises the soft limit to the hard one, and refuses more connections than that allows.
pub(crate) fn provide_for(connections: usize) -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    let available = maximum.map_or(u64::MAX, |limit| limit.saturating_sub(RESERVED));
    ensure!(
        connections as u64 <= available,
        "{connections} connections need more file descriptors than the {available} that are left \
         here; raise the hard limit with `ulimit -Hn`"
    );
    Ok(())
}
