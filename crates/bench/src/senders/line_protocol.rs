//! Line protocol, as Telegraf sends it: the tags of a line sorted, times in milliseconds.

use std::fmt::Write;

use anyhow::{Context, Result};
use bellwire_ingest::Decoded;
use bellwire_ingest::line_protocol::{self, Precision};
use bellwire_model::{METRIC_NAME, Sample};

use super::Sender;
use crate::fleet::Batch;

/// Sends one figure a line.
pub(super) struct Telegraf;

impl Sender for Telegraf {
    fn encode(&mut self, batch: &Batch) -> Result<Vec<u8>> {
        let mut body = String::new();
        for sample in &batch.samples {
            write_line(&mut body, sample)?;
        }
        Ok(body.into_bytes())
    }

    fn decode(&mut self, body: &[u8], batch: &Batch) -> Result<Decoded> {
        Ok(line_protocol::decode(body, Precision::Milliseconds, batch.time))
    }
}

/// A metric is a measurement and a field, with `_` between them.
fn write_line(body: &mut String, sample: &Sample) -> Result<()> {
    let name = sample.series.metric_name().and_then(|name| name.rsplit_once('_'));
    let (measurement, field) = name.context("a metric has two parts")?;
    body.push_str(measurement);
    for (name, value) in sample.series.iter().filter(|(name, _)| *name != METRIC_NAME) {
        write!(body, ",{name}={value}")?;
    }
    writeln!(body, " {field}={} {}", sample.value, sample.time)?;
    Ok(())
}
