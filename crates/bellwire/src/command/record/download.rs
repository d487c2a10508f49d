//! A record from a server, over HTTP.

use std::io::Write;

use anyhow::{Context, Result};
use bellwire_client::Client;
use bellwire_rules::replay::Stretch;
use bytes::Bytes;
use http::Request;

use crate::client::advised;

/// Writes what the server answers. That it has come to its end says nothing of what it is.
pub(super) async fn download(
    client: &Client,
    stretch: Stretch,
    sink: &mut impl Write,
) -> Result<()> {
    let request = Request::get(path(stretch)).body(Bytes::new())?;
    let mut response = client.request(request).await.map_err(advised)?;
    let mut bytes = 0;
    let cut = |bytes| format!("the record was cut after {bytes} bytes");
    while let Some(piece) = response.chunk().await.with_context(|| cut(bytes))? {
        sink.write_all(&piece)?;
        bytes += piece.len();
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
