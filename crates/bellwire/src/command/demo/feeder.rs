//! Measures each second, and posts what was measured.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use tokio::time::{MissedTickBehavior, interval};

use super::field::Field;
use super::host::Host;
use crate::client::{Connection, Server};

/// Between two measurements.
const TICK: Duration = Duration::from_secs(1);
/// The demo's own seed: it shows the same each time.
const SEED: u64 = 0x00BE_1133;

/// Feeds the server for as long as it is polled. What cannot be posted is lost, as a sensor's
/// reading is; the next one comes a second later.
pub(super) async fn run(server: Server) -> Result<()> {
    let mut host = Host::new();
    let mut field = Field::new(SEED);
    let mut connection = None;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut lines = String::new();
        host.measure(&mut lines);
        field.measure(&mut lines);
        connection = match post(&server, connection.take(), lines).await {
            Ok(connection) => Some(connection),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "Some samples of the demo are lost.");
                None
            }
        };
    }
}

async fn post(
    server: &Server,
    connection: Option<Connection>,
    lines: String,
) -> Result<Connection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => server.connect().await?,
    };
    let request = Request::post("/v1/samples").header(CONTENT_TYPE, "application/x-ndjson");
    connection.ask(request, Bytes::from(lines)).await?;
    Ok(connection)
}
