//! MQTT 3.1.1: of each series a sensor that publishes its value as a number, with quality 1. Its
//! topic says all labels, one level for each; the entry of the configuration says what no topic can.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use bellwire_ingest::Decoded;
use bellwire_ingest::mqtt::mapping::{Learned, Mapping, Payload, TopicRule};
use bellwire_ingest::mqtt::packet::{Frame, Incoming, Outgoing, Reason, Sender as Side, Version};
use bellwire_ingest::mqtt::publication::{Age, Publication};
use bellwire_ingest::mqtt::topic::Template;
use bellwire_model::limits::MQTT_PACKET_BYTES_MAX;
use bellwire_model::{Labels, METRIC_NAME};

use super::Sender;
use super::protobuf::varint;
use crate::fleet::{Batch, Fleet};

/// `PUBLISH` with quality 1.
const PUBLISH: u8 = 0x32;

/// The name of a label, and its value where the entry says it.
type Said = (String, Option<String>);

/// All sensors.
pub(crate) struct Sensors {
    /// The entries as the configuration file has them.
    configuration: String,
    mapping: Mapping,
    learned: Learned,
    /// The first level of the topics of each entry.
    roots: BTreeMap<Vec<Said>, String>,
    /// Answers that are not written yet.
    answers: Vec<u8>,
}

impl Sensors {
    /// The sensors of a fleet: an entry of the configuration for all that have the same labels.
    pub(crate) fn new(fleet: &Fleet) -> Result<Self> {
        let (mut roots, mut rules) = (BTreeMap::new(), Vec::new());
        let mut configuration = String::new();
        for series in fleet.series() {
            let said = said(series);
            if roots.contains_key(&said) {
                continue;
            }
            let root = format!("fleet-{}", roots.len());
            let mut template = format!("{root}/{{name}}");
            for (name, value) in levels(series) {
                // A value with levels of its own takes those that are left.
                let rest = if value.contains('/') { "..." } else { "" };
                write!(template, "/{{{name}{rest}}}")?;
            }
            let labels: Vec<(Box<str>, Box<str>)> = said
                .iter()
                .filter_map(|(name, value)| Some(((**name).into(), value.as_deref()?.into())))
                .collect();
            let of_entry = labels.iter().map(|(name, value)| format!("{name} = {value:?}"));
            let of_entry: Vec<_> = of_entry.collect();
            writeln!(
                configuration,
                "[[mqtt.topics]]\ntopic = {template:?}\nlabels = {{ {} }}",
                of_entry.join(", ")
            )?;
            let topic = Template::parse(&template)?;
            let payload = Payload::Number { words: Vec::new() };
            rules.push(TopicRule { topic, name: None, labels, payload });
            roots.insert(said, root);
        }
        let mapping = Mapping::new(rules)?;
        let (learned, answers) = (Learned::default(), Vec::new());
        Ok(Self { configuration, mapping, learned, roots, answers })
    }

    /// The entries of the configuration for their topics.
    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }
}

impl Sender for Sensors {
    fn encode(&mut self, batch: &Batch) -> Result<Vec<u8>> {
        let mut stream = Vec::new();
        for (sample, number) in batch.samples.iter().zip(1_u16..) {
            let root = self.roots.get(&said(&sample.series)).context("a series of the fleet")?;
            let mut topic = format!("{root}/{}", sample.series.metric_name().unwrap_or_default());
            for (_, value) in levels(&sample.series) {
                topic.push('/');
                topic.push_str(value);
            }
            let payload = sample.value.to_string();
            stream.push(PUBLISH);
            varint(&mut stream, (4 + topic.len() + payload.len()) as u64);
            stream.extend((topic.len() as u16).to_be_bytes());
            stream.extend(topic.as_bytes());
            stream.extend(number.to_be_bytes());
            stream.extend(payload.as_bytes());
        }
        Ok(stream)
    }

    fn decode(&mut self, mut stream: &[u8], batch: &Batch) -> Result<Decoded> {
        let (mut decoded, mut line) = (Decoded::default(), 0);
        while let Some(frame) = Frame::first(stream, MQTT_PACKET_BYTES_MAX)? {
            let packet = Incoming::read(frame, Version::V311, Side::Client)?;
            let Incoming::Publish(publish) = packet else { anyhow::bail!("{packet:?}") };
            let (topic, payload) = (publish.topic, publish.payload);
            line += 1;
            let (age, now) = (Age::Live, batch.time);
            let publication = Publication { topic, payload, from: "fleet", age, now };
            self.mapping.read(&mut self.learned, publication, (line, &mut decoded));
            stream = &stream[frame.length..];
        }
        ensure!(stream.is_empty(), "a packet is not whole");
        Ok(decoded)
    }

    fn acknowledge(&mut self, decoded: &Decoded) -> usize {
        self.answers.clear();
        for line in &decoded.lines {
            let (packet_id, reason) = (*line as u16, Reason::Success);
            Outgoing::Acknowledge { packet_id, reason }.write(Version::V311, &mut self.answers);
        }
        self.answers.len()
    }
}

/// What of a series' labels tells its entry.
fn said(series: &Labels) -> Vec<Said> {
    let of_entry = |value: &str| is_of_entry(value).then(|| value.to_owned());
    series.iter().map(|(name, value)| (name.to_owned(), of_entry(value))).collect()
}

/// The labels in the order of a topic's levels: a value that has several levels comes last.
fn levels(series: &Labels) -> Vec<(&str, &str)> {
    let of_topic = |(name, value): &(&str, &str)| *name != METRIC_NAME && !is_of_entry(value);
    let mut labels: Vec<_> = series.iter().filter(of_topic).collect();
    labels.sort_by_key(|(_, value)| value.contains('/'));
    labels
}

/// Whether a value can stand in no topic.
fn is_of_entry(value: &str) -> bool {
    value.contains(['+', '#'])
}
