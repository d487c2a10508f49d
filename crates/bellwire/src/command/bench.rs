//! `bellwire bench`: measures a server, or this machine with one.

use anyhow::Result;

pub(super) use bellwire_bench::Arguments;

use crate::output;

pub(super) fn run(arguments: Arguments) -> Result<()> {
    bellwire_bench::run(arguments, output::line)
}
