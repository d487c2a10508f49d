//! Measures each second, and posts what was measured.

use std::time::Duration;

use anyhow::Result;
use bellwire_client::Client;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use tokio::time::{MissedTickBehavior, interval};

use super::field::Field;
use super::host::Host;

/// Between two measurements.
const TICK: Duration = Duration::from_secs(1);
/// The demo's own seed: it shows the same each time.
const SEED: u64 = 0x00BE_1133;

/// Feeds the server for as long as it is polled. What cannot be posted is lost, as a sensor's
/// reading is; the next one comes a second later.
pub(super) async fn run(client: Client) -> Result<()> {
    let mut host = Host::new();
    let mut field = Field::new(SEED);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut lines = String::new();
        host.measure(&mut lines);
        field.measure(&mut lines);
        if let Err(error) = post(&client, lines).await {
            tracing::warn!(error = format!("{error:#}"), "Some samples of the demo are lost.");
        }
    }
}

async fn post(client: &Client, lines: String) -> Result<()> {
    let request = Request::post("/v1/samples").header(CONTENT_TYPE, "application/x-ndjson");
    client.request(request.body(Bytes::from(lines))?).await?.bytes().await?;
    Ok(())
}
