//! This program's server.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{HEAD_END, Launch, Start, System};
use crate::load::{Opening, request};

#[derive(Debug)]
pub(super) struct Bellwire;

impl System for Bellwire {
    fn start(&self, launch: &Launch<'_>) -> Result<Start> {
        let mut command = Command::new(this_program()?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(launch.folder.join("data"));
        command.args(["--durability", launch.durability.as_str()]);
        if let Some(rules) = launch.rules {
            let path = launch.folder.join("rules.yml");
            std::fs::write(&path, rules).context("cannot write the rule file")?;
            command.arg("--rules").arg(path);
        }
        // What is set for other servers does not hold for this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BELLWIRE_") {
                command.env_remove(name);
            }
        }
        command.env("BELLWIRE_LOG", "warn");
        Ok(Start { command, address: None })
    }

    fn opening(&self, topic: &str) -> Opening {
        Opening::new(request::stream(topic), "event: ready\n")
    }

    fn resumption(&self, topic: &str, answer: &[u8]) -> Result<Opening> {
        let answer: Answer<'_> = serde_json::from_slice(answer).context("there is no cursor")?;
        Ok(Opening::new(request::resumed_stream(topic, answer.cursor), HEAD_END))
    }

    fn publication(&self, topic: &str, body: &str) -> Vec<u8> {
        let path = format!("/v1/topics/{topic}");
        request::post(&path, "application/json", body.as_bytes())
    }
}

/// What a publisher is told.
#[derive(Deserialize)]
struct Answer<'a> {
    cursor: &'a str,
}

/// The program whose command this is.
pub(super) fn this_program() -> Result<std::path::PathBuf> {
    std::env::current_exe().context("where is this program?")
}
