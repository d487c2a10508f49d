//! A record from a server, over HTTP.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use bellwire_rules::replay::Stretch;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use tokio::time::timeout;

use crate::client::{Problem, Server, read};

/// How long a server may be silent in the midst of a record.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Writes what the server answers. That it has come to its end says nothing of what it is.
pub(super) async fn download(
    server: &Server,
    stretch: Stretch,
    sink: &mut impl Write,
) -> Result<()> {
    let mut connection = server.connect().await?;
    let response = connection.send(Request::get(path(stretch)), Bytes::new()).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(Problem::read(status, &read(response.into_body()).await?).into());
    }
    let mut body = response.into_body();
    let mut bytes = 0;
    loop {
        let frame = timeout(SILENCE_MAX, body.frame()).await;
        let cut = || format!("the record was cut after {bytes} bytes");
        let Some(frame) = frame.with_context(cut)? else { break };
        if let Ok(piece) = frame.with_context(cut)?.into_data() {
            sink.write_all(&piece)?;
            bytes += piece.len();
        }
    }
    Ok(sink.flush()?)
}

/// `/v1/record?from=…&to=…`, of what is not left open.
fn path(stretch: Stretch) -> String {
    let all = Stretch::default();
    let bounds = [("from", stretch.from, all.from), ("to", stretch.to, all.to)];
    let said = bounds.into_iter().filter(|(_, time, open)| time != open);
    let said: Vec<_> = said.map(|(name, time, _)| format!("{name}={}", time.as_ms())).collect();
    if said.is_empty() { "/v1/record".into() } else { format!("/v1/record?{}", said.join("&")) }
}
