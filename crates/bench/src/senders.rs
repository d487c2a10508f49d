//! The fleet's samples as those who send them write them, and how the server reads them.
//!
//! | sender | a request |
//! |---|---|
//! | Telegraf | 1,000 lines of line protocol, one figure each |
//! | Prometheus, remote write 1.0 or 2.0 | 2,000 samples, compressed with snappy |
//! | OpenTelemetry collector | 8,192 points in Protocol Buffers, a resource for each target |
//! | a target that is scraped | what it exposes: 100, 500 or 1,000 series |
//! | sensors over MQTT | 100 messages of quality 1 with a number, as they gather while rules work |

mod line_protocol;
mod mqtt;
mod otlp;
mod protobuf;
mod remote_write;
mod scrape;

use anyhow::Result;
use bellwire_ingest::Decoded;
use bellwire_ingest::remote_write::Version;

pub(crate) use self::mqtt::Sensors;
use crate::fleet::{self, Batch, Fleet};

/// Who sends, and in which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// InfluxDB's line protocol, as Telegraf sends it.
    Lines,
    /// Prometheus' remote write 1.0.
    #[value(name = "remote-write")]
    RemoteWrite1,
    /// Prometheus' remote write 2.0.
    #[value(name = "remote-write-2")]
    RemoteWrite2,
    /// OTLP in Protocol Buffers, as a collector sends it.
    Otlp,
    /// Prometheus' text format, which is scraped.
    Scrape,
    /// MQTT 3.1.1, plain numbers with quality 1.
    Mqtt,
}

impl Protocol {
    /// What its figures begin with.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Lines => "",
            Self::RemoteWrite1 => "remote_write_",
            Self::RemoteWrite2 => "remote_write_2_",
            Self::Otlp => "otlp_",
            Self::Scrape => "scrape_",
            Self::Mqtt => "mqtt_",
        }
    }

    /// What the samples of all targets are sent in, in the order of the times.
    pub(crate) fn batches(self, round: Vec<Batch>) -> Vec<Batch> {
        match self {
            Self::Lines => fleet::gathered(round, 1_000),
            Self::RemoteWrite1 | Self::RemoteWrite2 => fleet::gathered(round, 2_000),
            Self::Otlp => fleet::gathered(round, 8_192),
            Self::Scrape => round,
            Self::Mqtt => fleet::gathered(round, 100),
        }
    }

    /// The sender of this fleet's samples.
    pub(crate) fn sender(self, fleet: &Fleet) -> Result<Box<dyn Sender>> {
        Ok(match self {
            Self::Lines => Box::new(line_protocol::Telegraf),
            Self::RemoteWrite1 => Box::new(remote_write::Prometheus(Version::V1)),
            Self::RemoteWrite2 => Box::new(remote_write::Prometheus(Version::V2)),
            Self::Otlp => Box::<otlp::Collector>::default(),
            Self::Scrape => Box::<scrape::Targets>::default(),
            Self::Mqtt => Box::new(Sensors::new(fleet)?),
        })
    }
}

/// Writes requests, and reads them as the server does: with all that it keeps from one to the next.
pub(crate) trait Sender {
    /// The bytes of a request.
    fn encode(&mut self, batch: &Batch) -> Result<Vec<u8>>;

    /// Its samples.
    fn decode(&mut self, body: &[u8], batch: &Batch) -> Result<Decoded>;

    /// Answers each item of a request by itself, where the protocol has that; says how many bytes.
    fn acknowledge(&mut self, decoded: &Decoded) -> usize {
        let _ = decoded;
        0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bellwire_model::{Labels, Timestamp};
    use clap::ValueEnum;

    use super::*;

    /// As many as send more than one request of each protocol has.
    const TARGETS: usize = 60;

    /// All protocols bring the same series with the same values: their figures are of one load.
    #[test]
    fn a_fleet_is_the_same_in_every_protocol() {
        for protocol in Protocol::value_variants() {
            let mut fleet = Fleet::new();
            let mut sender = protocol.sender(&fleet).expect("a sender");
            let mut round = fleet.round();
            round.truncate(TARGETS);
            let mut expected: HashMap<Labels, (f64, Timestamp)> = HashMap::new();
            for sample in round.iter().flat_map(|batch| &batch.samples) {
                expected.insert(sample.series.clone(), (sample.value, sample.time));
            }
            assert!(expected.len() > 10 * TARGETS);
            for batch in protocol.batches(round) {
                let body = sender.encode(&batch).expect("a request");
                let decoded = sender.decode(&body, &batch).expect("a request");
                assert_eq!(decoded.rejections, [], "{protocol:?}");
                for sample in decoded.samples {
                    let is_of_resource = sample.series.metric_name() == Some("target_info");
                    if is_of_resource && *protocol == Protocol::Otlp {
                        continue;
                    }
                    let (value, time) = expected.remove(&sample.series).expect("one of the fleet");
                    assert_eq!(sample.value.to_bits(), value.to_bits(), "{protocol:?}");
                    // Sensors over MQTT have no clock.
                    let is_of_arrival = *protocol == Protocol::Mqtt && sample.time == batch.time;
                    assert!(is_of_arrival || sample.time == time, "{protocol:?}");
                }
            }
            assert!(expected.is_empty(), "{protocol:?}: {} are missing", expected.len());
        }
    }

    #[test]
    fn each_message_of_mqtt_is_acknowledged() {
        let mut fleet = Fleet::new();
        let mut sender = Protocol::Mqtt.sender(&fleet).expect("a sender");
        let batch = Protocol::Mqtt.batches(fleet.round()).swap_remove(0);
        let body = sender.encode(&batch).expect("messages");
        let decoded = sender.decode(&body, &batch).expect("messages");
        assert_eq!(sender.acknowledge(&decoded), 4 * batch.samples.len());
    }
}
