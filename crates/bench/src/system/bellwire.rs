//! This program's server.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Access, ClusterPlace, Launch, Listener, Start, System, Transport, access};
use crate::load::{Opening, request};

const SUBPROTOCOL: &str = "bellwire.v1.json";

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
        let mut configuration = launch.topics.to_owned();
        if launch.access == Access::Known {
            configuration.push_str(&access::configuration());
        }
        if let Some(Listener { address, topics }) = launch.mqtt {
            write!(configuration, "\n[mqtt]\nlisten = \"{address}\"\n{topics}")?;
        }
        if !configuration.is_empty() {
            let path = launch.folder.join("bellwire.toml");
            std::fs::write(&path, configuration).context("cannot write the configuration")?;
            command.arg("--config").arg(path);
        }
        if let Some(certificate) = launch.certificate {
            command.arg("--tls-certificate").arg(&certificate.chain);
            command.arg("--tls-key").arg(&certificate.key);
        }
        // What is set for other servers does not hold for this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BELLWIRE_") {
                command.env_remove(name);
            }
        }
        command.env("BELLWIRE_LOG", "warn");
        if let Some(ClusterPlace { engine, name }) = launch.cluster {
            // Its password stands in no list of processes.
            command.env("BELLWIRE_CLUSTER", engine).args(["--cluster-name", name]);
        }
        if launch.access == Access::Known {
            command.env(access::SECRET_VARIABLE, access::secret());
        }
        Ok(Start { command, address: None })
    }

    fn opening(&self, topic: &str, transport: Transport) -> Result<Opening> {
        let path = format!("/v1/events?topic={topic}");
        Ok(match transport {
            Transport::Sse => Opening::new(request::get(&path), "event: ready\n"),
            Transport::Websocket => Opening::web_socket(request::upgrade(&path, Some(SUBPROTOCOL)))
                .then("", "\"control\":\"ready\""),
            Transport::Poll => Opening::poll(path),
        })
    }

    fn resumption(&self, topic: &str, transport: Transport, answer: &[u8]) -> Result<Opening> {
        let answer: Answer<'_> = serde_json::from_slice(answer).context("there is no cursor")?;
        let path = format!("/v1/events?topic={topic}&after={}", answer.cursor);
        Ok(match transport {
            Transport::Sse => Opening::until_answered(request::get(&path)),
            Transport::Websocket => Opening::web_socket(request::upgrade(&path, Some(SUBPROTOCOL))),
            Transport::Poll => bail!("what a storm of long polls costs is not measured"),
        })
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
