//! What nodes of a cluster share: a server of NATS or Redis, set up as the guide advises who wants to
//! lose nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::child::Started;
use super::server::wait_for;
use super::{free_address, is_installed};
use crate::process;

/// Which engine nodes share.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct EngineFlags {
    /// Start this engine, with the settings that the guide to clusters advises: the program that
    /// `NATS_SERVER_BIN` or `REDIS_SERVER_BIN` names, else the one in the path.
    #[arg(long, value_enum)]
    engine: Option<EngineName>,
    /// Use an engine that runs already, as it is configured: `nats://…` or `redis://…`. Each part of the
    /// run is a cluster `bench-…` of its own, whose log stays there.
    #[arg(long, value_name = "URL")]
    engine_url: Option<String>,
}

/// An engine that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum EngineName {
    Nats,
    Redis,
}

impl EngineName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }

    /// What names its program, and the program where nothing does.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Nats => ("NATS_SERVER_BIN", "nats-server"),
            Self::Redis => ("REDIS_SERVER_BIN", "redis-server"),
        }
    }

    /// How it is set up, for people.
    fn settings(self) -> &'static str {
        match self {
            Self::Nats => "one server, sync_interval always",
            Self::Redis => {
                "one server, appendonly yes, appendfsync always, no-appendfsync-on-rewrite no"
            }
        }
    }

    /// What is started, with an empty folder for what it keeps.
    fn command(self, program: &Path, address: SocketAddr, folder: &Path) -> Result<Command> {
        let store = folder.join("store");
        std::fs::create_dir(&store).context("cannot make a folder for the engine")?;
        let mut command = Command::new(program);
        match self {
            Self::Nats => {
                let settings = folder.join("nats.conf");
                let store = store.display();
                let text = format!(
                    "listen: \"{address}\"\n\
                     jetstream {{ store_dir: \"{store}\", sync_interval: always }}\n"
                );
                std::fs::write(&settings, text).context("cannot write the engine's settings")?;
                command.arg("-c").arg(settings);
            }
            Self::Redis => {
                let (host, port) = (address.ip().to_string(), address.port().to_string());
                command.args(["--bind", &host, "--port", &port, "--save", ""]);
                command.args(["--appendonly", "yes", "--appendfsync", "always"]);
                command.args(["--no-appendfsync-on-rewrite", "no"]).arg("--dir").arg(store);
            }
        }
        Ok(command)
    }
}

impl EngineFlags {
    /// What to note in a result: which engine it is, of which version, and how it is set up.
    pub(crate) fn description(&self) -> Result<[(&'static str, String); 3]> {
        let (engine, version, settings) = match (self.engine, &self.engine_url) {
            (Some(name), _) => {
                (name.as_str().to_owned(), version(&found(name)?)?, name.settings().to_owned())
            }
            (None, url) => {
                let (scheme, _) = url.as_deref().and_then(|url| url.split_once("://")).context(
                    "the address of an engine begins with nats://, tls://, redis:// or rediss://",
                )?;
                let engine = match scheme {
                    "tls" => "nats",
                    "rediss" => "redis",
                    other => other,
                };
                (engine.to_owned(), "unknown".to_owned(), "as configured".to_owned())
            }
        };
        Ok([("engine", engine), ("engine_version", version), ("engine_settings", settings)])
    }
}

/// An engine that is there. One that was started ends with this value.
#[derive(Debug)]
pub(super) struct Engine {
    /// Its address, which may have a password.
    pub(super) url: String,
    started: Option<Started>,
}

impl Engine {
    /// The engine that the flags name, or a new one.
    pub(super) fn provide(flags: &EngineFlags) -> Result<Self> {
        if let Some(url) = &flags.engine_url {
            return Ok(Self { url: url.clone(), started: None });
        }
        let name = flags.engine.context("no engine is named")?;
        let folder = tempfile::Builder::new()
            .prefix("bellwire-bench-engine-")
            .tempdir()
            .context("cannot make a folder for the engine")?;
        let address = free_address()?;
        let mut command = name.command(&found(name)?, address, folder.path())?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut started = Started::spawn(command, folder)?;
        wait_for(address, &mut started).with_context(|| format!("the engine {}", name.as_str()))?;
        Ok(Self { url: format!("{}://{address}", name.as_str()), started: Some(started) })
    }

    /// Its CPU time so far, where it was started here.
    pub(super) fn cpu_time(&self) -> Result<Option<Duration>> {
        self.started.as_ref().map(|started| process::cpu_time(started.pid())).transpose()
    }
}

/// The program of an engine.
fn found(name: EngineName) -> Result<PathBuf> {
    let (variable, program) = name.program();
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    ensure!(is_installed(program), "{program} is not in the path, and {variable} names none");
    Ok(program.into())
}

/// What a program says of its version.
fn version(program: &Path) -> Result<String> {
    let asked = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let said = asked.with_context(|| format!("cannot start {}", program.display()))?;
    Ok(version_in(&String::from_utf8_lossy(&said.stdout)).unwrap_or("unknown").to_owned())
}

/// The first word that is a version, such as `v2.11.8` or `v=7.0.15`.
fn version_in(said: &str) -> Option<&str> {
    said.split_ascii_whitespace().find_map(|word| {
        let number = word.strip_prefix("v=").or_else(|| word.strip_prefix('v'))?;
        number.starts_with(|first: char| first.is_ascii_digit()).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            ("nats-server: v2.11.8\n", Some("2.11.8")),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64\n", Some("7.0.15")),
            ("a version of something", None),
        ] {
            assert_eq!(version_in(said), version, "{said}");
        }
    }

    #[test]
    fn an_engine_that_runs_already_is_as_it_is_configured() {
        let describe = |url: &str| {
            let flags = EngineFlags { engine: None, engine_url: Some(url.to_owned()) };
            flags.description().map(|it| it.map(|(_, value)| value))
        };
        for (url, engine) in [("tls://a:1", "nats"), ("redis://:secret@b:2", "redis")] {
            let described = describe(url).expect("an address");
            assert_eq!(described, [engine, "unknown", "as configured"], "{url}");
        }
        assert!(describe("a:1").is_err());
    }
}
