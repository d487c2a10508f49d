//! Centrifugo, with the transports of it that need no library: unidirectional ones.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Launch, Start, System, Transport, free_address, is_installed};
use crate::load::{Opening, request};

const PROGRAM: &str = "centrifugo";
const SSE_PATH: &str = "/connection/uni_sse";
const WEBSOCKET_PATH: &str = "/connection/uni_websocket";

/// In the answer that makes a subscriber live.
const LIVE: &str = "\"connect\":";

/// Events that it keeps, and gives back at once: more than any workload needs.
const EVENTS_KEPT: u32 = 5000;

#[derive(Debug)]
pub(super) struct Centrifugo;

impl System for Centrifugo {
    fn start(&self, launch: &Launch<'_>) -> Result<Start> {
        ensure!(is_installed(PROGRAM), "{PROGRAM} is not installed here");
        let address = free_address()?;
        let path = launch.folder.join("config.json");
        let configuration = configuration(address, launch).to_string();
        std::fs::write(&path, configuration).context("cannot write Centrifugo's configuration")?;
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(path).stderr(Stdio::null());
        Ok(Start { command, address: Some(address) })
    }

    fn opening(&self, topic: &str, transport: Transport) -> Result<Opening> {
        opening(&json!({ topic: {} }), transport)
    }

    fn resumption(&self, topic: &str, transport: Transport, answer: &[u8]) -> Result<Opening> {
        let Answer { result: Place { offset, epoch } } =
            serde_json::from_slice(answer).context("the event has no place in the history")?;
        let subscription = json!({ "recover": true, "offset": offset, "epoch": epoch });
        opening(&json!({ topic: subscription }), transport)
    }

    fn publication(&self, topic: &str, body: &str) -> Vec<u8> {
        let command = format!(r#"{{"channel":"{topic}","data":{body}}}"#);
        request::post("/api/publish", "application/json", command.as_bytes())
    }
}

/// What a publisher is told.
#[derive(Deserialize)]
struct Answer {
    result: Place,
}

#[derive(Deserialize)]
struct Place {
    offset: u64,
    epoch: String,
}

fn opening(subscriptions: &Value, transport: Transport) -> Result<Opening> {
    let connect = json!({ "subs": subscriptions }).to_string();
    Ok(match transport {
        Transport::Sse => {
            let connect = utf8_percent_encode(&connect, NON_ALPHANUMERIC);
            let path = format!("{SSE_PATH}?cf_connect={connect}");
            Opening::new(request::get(&path), LIVE)
        }
        Transport::Websocket => {
            Opening::web_socket(request::upgrade(WEBSOCKET_PATH, None)).then(&connect, LIVE)
        }
        Transport::Poll => bail!("Centrifugo has no long polls"),
    })
}

fn configuration(address: SocketAddr, launch: &Launch<'_>) -> Value {
    let mut configuration = json!({
        "http_server": {
            "address": address.ip().to_string(),
            "port": address.port().to_string(),
        },
        "log": { "level": "error" },
        "uni_sse": { "enabled": true },
        "uni_websocket": { "enabled": true },
        "http_api": { "insecure": true },
        "client": {
            "allow_anonymous_connect_without_token": true,
            "recovery_max_publication_limit": EVENTS_KEPT,
        },
        "channel": { "without_namespace": {
            "allow_subscribe_for_client": true,
            "allow_subscribe_for_anonymous": true,
            "history_size": EVENTS_KEPT,
            "history_ttl": "1h",
            "force_recovery": true,
        } },
    });
    if let Some(certificate) = launch.certificate {
        configuration["http_server"]["tls"] = json!({
            "enabled": true,
            "cert_pem_file": certificate.chain.display().to_string(),
            "key_pem_file": certificate.key.display().to_string(),
        });
    }
    configuration
}
