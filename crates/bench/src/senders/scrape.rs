//! Prometheus' text format, as targets expose it and the server scrapes it: what is known of a
//! target stands in the configuration, and its own labels in the text.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use anyhow::Result;
use bellwire_ingest::Decoded;
use bellwire_ingest::exposition::Format;
use bellwire_ingest::scrape::{Conflict, Memory, SeriesLimits, Times, Treatment};
use bellwire_model::{METRIC_NAME, Sample};

use super::Sender;
use crate::fleet::Batch;

/// Labels of the target, as service discovery tells them.
const OF_TARGET: [&str; 5] = ["endpoint", "instance", "job", "namespace", "service"];

/// All targets, each with what is known of it from scrape to scrape.
#[derive(Default)]
pub(super) struct Targets {
    known: HashMap<usize, (Treatment, Memory)>,
}

impl Sender for Targets {
    fn encode(&mut self, batch: &Batch) -> Result<Vec<u8>> {
        let mut by_name: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
        for sample in &batch.samples {
            let name = sample.series.metric_name().unwrap_or_default();
            by_name.entry(name).or_default().push(sample);
        }
        let mut body = String::new();
        for (name, samples) in by_name {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            writeln!(body, "# HELP {name} What a target has to say.\n# TYPE {name} {kind}")?;
            for sample in samples {
                write_sample(&mut body, name, sample)?;
            }
        }
        Ok(body.into_bytes())
    }

    fn decode(&mut self, body: &[u8], batch: &Batch) -> Result<Decoded> {
        let (treatment, memory) = self.known.entry(batch.target).or_insert_with(|| {
            let labels = batch.samples[0].series.filtered(|name| OF_TARGET.contains(&name));
            let treatment = Treatment {
                target: labels,
                conflict: Conflict::TargetWins,
                times: Times::Honored,
                relabel: [].into(),
                limits: SeriesLimits::default(),
            };
            (treatment, Memory::default())
        });
        let scraped = memory.take((body, Format::Text), treatment, batch.time);
        Ok(scraped.map_err(|failed| failed.why)?.decoded)
    }
}

fn write_sample(body: &mut String, name: &str, sample: &Sample) -> Result<()> {
    body.push_str(name);
    let mut separator = '{';
    for (name, value) in sample.series.iter() {
        if name != METRIC_NAME && !OF_TARGET.contains(&name) {
            write!(body, "{separator}{name}={value:?}")?;
            separator = ',';
        }
    }
    let end = if separator == ',' { "}" } else { "" };
    writeln!(body, "{end} {}", sample.value)?;
    Ok(())
}
