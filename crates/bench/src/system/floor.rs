//! The bare loop of [`crate::floor`], which speaks as much of Bellwire's protocol as it has to.

use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::bellwire::{Bellwire, this_program};
use super::{Launch, Start, System, Transport};
use crate::load::Opening;

#[derive(Debug)]
pub(super) struct Floor;

impl System for Floor {
    fn start(&self, launch: &Launch<'_>) -> Result<Start> {
        ensure!(launch.certificate.is_none(), "the floor does not speak TLS");
        let mut command = Command::new(this_program()?);
        command.args(["bench", "floor"]);
        Ok(Start { command, address: None })
    }

    fn opening(&self, topic: &str, transport: Transport) -> Result<Opening> {
        ensure!(transport == Transport::Sse, "the floor speaks Server-Sent Events only");
        Bellwire.opening(topic, transport)
    }

    fn resumption(&self, _: &str, _: Transport, _: &[u8]) -> Result<Opening> {
        bail!("the floor keeps no events to resume from")
    }

    fn publication(&self, topic: &str, body: &str) -> Vec<u8> {
        Bellwire.publication(topic, body)
    }
}
