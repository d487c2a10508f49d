//! The Mercure hub as a server of its own.
//!
//! Its history is on disk, as it comes; it has no WebSocket.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Launch, Start, System, Transport, free_address, is_installed};
use crate::load::{Opening, request};

const PROGRAM: &str = "mercure";
const PATH: &str = "/.well-known/mercure";

/// What publishers prove their right with: `{"mercure":{"publish":["*"]}}`, signed with the key.
const KEY: &str = "a key for measurements on the loopback interface";
const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\
    .eyJtZXJjdXJlIjp7InB1Ymxpc2giOlsiKiJdfX0.XJimqeiI0siw56Zrdip0vT3KDOLEEZf8BJW2Z9jSHNs";

#[derive(Debug)]
pub(super) struct Mercure;

impl System for Mercure {
    fn start(&self, launch: &Launch<'_>) -> Result<Start> {
        ensure!(is_installed(PROGRAM), "{PROGRAM} is not installed here");
        let address = free_address()?;
        let mut command = Command::new(PROGRAM);
        command.current_dir(launch.folder).stderr(Stdio::null());
        command.env("ADDR", address.to_string()).env("JWT_KEY", KEY).env("ALLOW_ANONYMOUS", "1");
        let history = launch.folder.join("updates.db");
        command.env("TRANSPORT_URL", format!("bolt://{}", history.display()));
        if let Some(certificate) = launch.certificate {
            command.env("CERT_FILE", &certificate.chain).env("KEY_FILE", &certificate.key);
        }
        Ok(Start { command, address: Some(address) })
    }

    fn opening(&self, topic: &str, transport: Transport) -> Result<Opening> {
        ensure!(transport == Transport::Sse, "Mercure has Server-Sent Events only");
        Ok(Opening::new(request::get(&format!("{PATH}?topic={topic}")), "\r\n:\n"))
    }

    fn resumption(&self, topic: &str, transport: Transport, answer: &[u8]) -> Result<Opening> {
        ensure!(transport == Transport::Sse, "Mercure has Server-Sent Events only");
        let id = std::str::from_utf8(answer).context("the event has no identifier")?;
        let path = format!("{PATH}?topic={topic}&lastEventID={id}");
        Ok(Opening::until_answered(request::get(&path)))
    }

    fn publication(&self, topic: &str, body: &str) -> Vec<u8> {
        let data = utf8_percent_encode(body, NON_ALPHANUMERIC);
        let form = format!("topic={topic}&data={data}");
        let headers = [("Authorization", &*format!("Bearer {TOKEN}"))];
        request::post_with(PATH, "application/x-www-form-urlencoded", &headers, form.as_bytes())
    }
}
