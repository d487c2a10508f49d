//! Sparkplug B: nodes and their devices announce their metrics (`NBIRTH`, `DBIRTH`), then send
//! what has changed by number (`NDATA`, `DDATA`), until they die (`NDEATH`, `DDEATH`).
//!
//! | Sparkplug | sample |
//! |---|---|
//! | metric `Motor/Speed` | metric name `Motor_Speed` |
//! | group, node, device | labels `group`, `edge_node`, `device` |
//! | numbers, `Boolean`, `DateTime` | the value |
//! | other types, `bdSeq`, `Node Control/…` | none |
//! | no value, a death | the series is stale |

use bellwire_model::limits::{
    MQTT_TOPIC_BYTES_MAX, SPARKPLUG_STATE_BYTES_MAX, SPARKPLUG_STATE_OF_ONE_BYTES_MAX,
};
use bellwire_model::{Labels, NameMap, Sample, Timestamp};
use prost::Message as _;

use super::publication::{Age, Out, Publication, retained};
use crate::decoded::{Refusal, quoted, series};

use crate::name::push_metric_name;

mod metrics;
mod payload;
mod rebirth;

use metrics::Metrics;
use payload::{Metric, Payload};
use rebirth::Rebirths;

pub use rebirth::Rebirth;

/// The labels that topics say.
pub(super) const LABELS: [&str; 3] = ["group", "edge_node", "device"];
/// The metric with the number of a node's life.
const LIFE: &str = "bdSeq";
/// The code of what was not announced.
const UNBORN: &str = "sparkplug_unborn";
/// Bytes that a node or device counts for beside its metrics, its name included.
const DEVICE_OVERHEAD_BYTES: usize = 256 + MQTT_TOPIC_BYTES_MAX;

/// Labels of the configuration.
type Own = [(Box<str>, Box<str>)];

/// What is known of all nodes, by who has announced them: nobody's announcement changes what the
/// numbers of another one mean, and nobody's death ends them.
#[derive(Debug, Default)]
pub struct Sparkplug {
    speakers: NameMap<Box<str>, Nodes>,
    bytes: usize,
    rebirths: Rebirths,
}

/// The nodes that one has announced.
#[derive(Debug, Default)]
struct Nodes {
    /// By group and name.
    by_place: NameMap<Box<str>, Node>,
    bytes: usize,
    /// How many there may be for now.
    bytes_max: usize,
    /// The one that is to announce itself again.
    asked: Option<Box<str>>,
}

/// A node that has announced itself.
#[derive(Debug, Default)]
struct Node {
    life: Option<u64>,
    /// The number of its last message, or of one of its devices.
    seq: Option<u8>,
    metrics: Metrics,
    devices: NameMap<Box<str>, Metrics>,
}

/// What a topic says.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    group: &'a str,
    node: &'a str,
    device: Option<&'a str>,
    own: &'a Own,
}

/// When the values of a message are of.
#[derive(Clone, Copy, Debug)]
struct Time {
    of_message: Option<Timestamp>,
    now: Timestamp,
    age: Age,
}

impl Sparkplug {
    /// Takes a message in.
    pub(super) fn read(
        &mut self,
        publication: Publication<'_>,
        own: &Own,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let from = publication.from;
        if !self.speakers.contains_key(from) {
            self.speakers.insert(from.into(), Nodes::default());
        }
        let Some(nodes) = self.speakers.get_mut(from) else { return Ok(()) };
        let of_others = self.bytes - nodes.bytes;
        let left = SPARKPLUG_STATE_BYTES_MAX.saturating_sub(of_others);
        nodes.bytes_max = left.min(SPARKPLUG_STATE_OF_ONE_BYTES_MAX);
        let read = nodes.read(publication, own, out);
        if let Some(key) = nodes.asked.take() {
            self.rebirths.ask(&key, publication.now);
        }
        self.bytes = of_others + nodes.bytes;
        if nodes.by_place.is_empty() {
            self.speakers.remove(from);
        }
        read
    }

    /// Messages that ask nodes to announce themselves again.
    pub(super) fn rebirths(&mut self) -> Vec<Rebirth> {
        self.rebirths.take()
    }
}

impl Nodes {
    /// Takes a message in.
    fn read(
        &mut self,
        publication: Publication<'_>,
        own: &Own,
        out: &mut Out<'_>,
    ) -> Result<(), Refusal> {
        let levels: Vec<&str> = publication.topic.splitn(6, '/').collect();
        let (kind, place) = match levels[..] {
            [_, group, kind, node] => (kind, Place { group, node, device: None, own }),
            [_, group, kind, node, device] => {
                (kind, Place { group, node, device: Some(device), own })
            }
            // A host says whether it is there: that is no metric.
            [_, "STATE", _] => return Ok(()),
            _ => return Err(wrong_topic(publication.topic)),
        };
        match (kind, place.device) {
            ("NBIRTH", None) => {
                let payload = decode(publication.payload)?;
                self.birth(place, &payload, (publication, out))
            }
            ("DBIRTH", Some(_)) => {
                let payload = decode(publication.payload)?;
                self.follow(place, &payload, publication);
                self.birth(place, &payload, (publication, out))
            }
            ("NDATA", None) | ("DDATA", Some(_)) => {
                let payload = decode(publication.payload)?;
                self.follow(place, &payload, publication);
                let time = Time::of(&payload, publication);
                if !self.metrics(place)?.data(&payload.metrics, time, out) {
                    self.ask(place, publication);
                }
                Ok(())
            }
            ("NDEATH", None) => {
                let life = decode(publication.payload)?.life();
                self.death(place, life, (publication.now, out));
                Ok(())
            }
            ("DDEATH", Some(device)) => {
                if let Ok(payload) = decode(publication.payload) {
                    self.follow(place, &payload, publication);
                }
                if let Some(node) = self.by_place.get_mut(&*place.key())
                    && let Some(metrics) = node.devices.remove(device)
                {
                    self.bytes -= metrics.bytes() + DEVICE_OVERHEAD_BYTES;
                    metrics.end(publication.now, out);
                }
                Ok(())
            }
            // Commands are for the nodes.
            ("NCMD", None) | ("DCMD", Some(_)) => Ok(()),
            _ => Err(wrong_topic(publication.topic)),
        }
    }

    /// Has a node announce itself again, if this is not an old message.
    fn ask(&mut self, place: Place<'_>, publication: Publication<'_>) {
        if publication.age == Age::Live {
            self.asked = Some(place.key());
        }
    }

    /// Takes note of the number of a message, and has a node that is not known, or of which messages are
    /// missing, announce itself again. What came late or twice cannot be told from it.
    fn follow(&mut self, place: Place<'_>, payload: &Payload, publication: Publication<'_>) {
        let device = place.device.filter(|_| !publication.topic.contains("/DBIRTH/"));
        let node = self.by_place.get_mut(&*place.key());
        let is_known = node.is_some_and(|node| {
            let seq = payload.seq.map(|seq| seq as u8);
            let before = seq.and_then(|seq| node.seq.replace(seq));
            let is_next = before
                .zip(seq)
                .is_none_or(|(before, seq)| seq == before || seq == before.wrapping_add(1));
            is_next && device.is_none_or(|device| node.devices.contains_key(device))
        });
        if !is_known {
            self.ask(place, publication);
        }
    }

    /// A node or a device announces itself. What it had announced before and does not any more is
    /// stale.
    fn birth(
        &mut self,
        place: Place<'_>,
        payload: &Payload,
        (publication, out): (Publication<'_>, &mut Out<'_>),
    ) -> Result<(), Refusal> {
        let time = Time::of(payload, publication);
        let key = place.key();
        let room = self.bytes_max.saturating_sub(self.bytes + DEVICE_OVERHEAD_BYTES);
        let Some(device) = place.device else {
            let mut metrics = Metrics::default();
            metrics.announce(place, &payload.metrics, room)?;
            let is_new = !self.by_place.contains_key(&*key);
            let node = self.by_place.entry(key).or_default();
            self.bytes += metrics.bytes();
            self.bytes += if is_new { DEVICE_OVERHEAD_BYTES } else { 0 };
            self.bytes -= node.metrics.bytes();
            metrics.end_those_gone(&node.metrics, publication.now, out);
            metrics.data(&payload.metrics, time, out);
            node.metrics = metrics;
            node.life = payload.life();
            node.seq = payload.seq.map(|seq| seq as u8);
            // Their numbers mean nothing until they announce themselves again, too.
            node.devices.values_mut().for_each(Metrics::forget_numbers);
            return Ok(());
        };
        let node = self.by_place.get_mut(&*key).ok_or_else(|| unborn(place))?;
        let mut metrics = Metrics::default();
        metrics.announce(place, &payload.metrics, room)?;
        self.bytes += metrics.bytes();
        match node.devices.get(device) {
            Some(before) => {
                self.bytes -= before.bytes();
                metrics.end_those_gone(before, publication.now, out);
            }
            None => self.bytes += DEVICE_OVERHEAD_BYTES,
        }
        metrics.data(&payload.metrics, time, out);
        node.devices.insert(device.into(), metrics);
        Ok(())
    }

    /// A node has died, and its devices with it. The death of an earlier life may come late.
    fn death(
        &mut self,
        place: Place<'_>,
        life: Option<u64>,
        (now, out): (Timestamp, &mut Out<'_>),
    ) {
        let key = place.key();
        let is_of_this_life =
            |node: &Node| node.life.is_none() || life.is_none_or(|_| node.life == life);
        if !self.by_place.get(&*key).is_some_and(is_of_this_life) {
            return;
        }
        let Some(node) = self.by_place.remove(&*key) else { return };
        self.bytes -= node.metrics.bytes() + DEVICE_OVERHEAD_BYTES;
        node.metrics.end(now, out);
        for metrics in node.devices.into_values() {
            self.bytes -= metrics.bytes() + DEVICE_OVERHEAD_BYTES;
            metrics.end(now, out);
        }
    }

    fn metrics(&mut self, place: Place<'_>) -> Result<&mut Metrics, Refusal> {
        let node = self.by_place.get_mut(&*place.key());
        let metrics = node.and_then(|node| match place.device {
            None => Some(&mut node.metrics),
            Some(device) => node.devices.get_mut(device),
        });
        metrics.ok_or_else(|| unborn(place))
    }
}

impl Place<'_> {
    fn key(self) -> Box<str> {
        format!("{}/{}", self.group, self.node).into()
    }

    /// The series of a metric.
    fn series(self, name: &str) -> Result<Labels, Refusal> {
        let mut metric = String::new();
        push_metric_name(&mut metric, name);
        let device = self.device.map(|device| ("device", device));
        let places = [("group", self.group), ("edge_node", self.node)].into_iter().chain(device);
        let own = self.own.iter().map(|(name, value)| (&**name, &**value));
        Ok(series(&metric, places.chain(own))?)
    }
}

impl Time {
    fn of(payload: &Payload, publication: Publication<'_>) -> Self {
        let Publication { now, age, .. } = publication;
        Self { of_message: payload.timestamp.map(time_of), now, age }
    }

    fn of_metric(self, metric: &Metric) -> Result<Timestamp, Refusal> {
        match metric.timestamp.map(time_of).or(self.of_message) {
            Some(time) => {
                Sample::check_time(time, self.now)?;
                Ok(time)
            }
            None if self.age == Age::Live => Ok(self.now),
            None => Err(retained()),
        }
    }
}

impl Payload {
    /// The number of the node's life that it is of.
    fn life(&self) -> Option<u64> {
        let metric = self.metrics.iter().find(|metric| metric.name.as_deref() == Some(LIFE))?;
        metric.whole()
    }
}

fn time_of(ms: u64) -> Timestamp {
    Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn decode(payload: &[u8]) -> Result<Payload, Refusal> {
    Payload::decode(payload).map_err(|error| Refusal::new("protobuf_invalid", error.to_string()))
}

fn wrong_topic(topic: &str) -> Refusal {
    let detail = format!("`{}` is no topic of Sparkplug B", quoted(topic));
    Refusal::new("sparkplug_topic", detail)
}

fn unborn(place: Place<'_>) -> Refusal {
    let name = place.device.unwrap_or(place.node);
    let detail = format!("`{}` has not announced its metrics yet", quoted(name));
    Refusal::new(UNBORN, detail)
}
