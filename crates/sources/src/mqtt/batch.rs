//! Messages that gather for the rules, and their acknowledgements once those have seen them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_ingest::Decoded;
use bellwire_ingest::mqtt::mapping::{Learned, Mapping};
use bellwire_ingest::mqtt::packet::{Publish, Reason};
use bellwire_ingest::mqtt::publication::{Age, Publication, TOPIC_UNKNOWN};
use bellwire_model::limits::{MQTT_GATHERED_BYTES_MAX, SAMPLES_PER_REQUEST_MAX};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};

use super::events::publish;
use super::retry::until_it_is_done;
use crate::intake::{Intake, Part, Sender};
use crate::kind::Kind;
use crate::outcome::Outcome;

/// What a message counts for beside its bytes.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// Messages of several clients.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    parts: Vec<Part>,
    of: Vec<Origin>,
    bytes: usize,
    samples: usize,
}

/// Whose messages a part has.
#[derive(Debug)]
pub(super) struct Origin {
    /// The place of the client, and its number.
    pub(super) client: (usize, u64),
    /// Of each message by what it is acknowledged; 0: by nothing.
    acknowledges: Vec<u16>,
    pub(super) bytes: u32,
}

/// What became of the messages of a client.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) origin: Origin,
    outcome: Result<Outcome, Problem>,
}

impl Gathered {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether as much waits as may.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MQTT_GATHERED_BYTES_MAX || self.samples >= SAMPLES_PER_REQUEST_MAX / 2
    }

    /// Whose messages there are.
    pub(super) fn clients(&self) -> impl Iterator<Item = (usize, u64)> {
        self.of.iter().map(|origin| origin.client)
    }

    /// A part for the messages of a client.
    pub(super) fn part(&mut self, client: (usize, u64), sender: Sender) -> u32 {
        self.parts.push(Part { decoded: Decoded::noting_each(), events: Vec::new(), sender });
        self.of.push(Origin { client, acknowledges: Vec::new(), bytes: 0 });
        (self.parts.len() - 1) as u32
    }

    /// Adds a message to a part; says for how many bytes it counts.
    pub(super) fn add(
        &mut self,
        part: u32,
        (publish, age): (&Publish<'_>, Age),
        (mapping, learned): (&Mapping, &mut Learned),
    ) -> u32 {
        let bytes = self.repeat(part, publish);
        let line = self.of[part as usize].acknowledges.len();
        let part = &mut self.parts[part as usize];
        let Part { decoded, sender, .. } = part;
        let before = decoded.samples.len();
        let Publish { topic, payload, .. } = *publish;
        let from = sender.identity.subject();
        let publication = Publication { topic, payload, from, age, now: clock::now() };
        mapping.read(learned, publication, (line, &mut *decoded));
        self.samples += decoded.samples.len() - before;
        bytes
    }

    /// Adds a message to a part that the rules have seen, or are about to: it is acknowledged in its
    /// turn. Says for how many bytes it counts.
    pub(super) fn repeat(&mut self, part: u32, publish: &Publish<'_>) -> u32 {
        let origin = &mut self.of[part as usize];
        origin.acknowledges.push(publish.packet_id);
        let bytes = publish.topic.len() + publish.payload.len() + MESSAGE_OVERHEAD_BYTES;
        self.bytes += bytes;
        origin.bytes += bytes as u32;
        bytes as u32
    }

    /// Has the rules see them, again and again until they can.
    pub(super) async fn settle(self, intake: Arc<dyn Intake>) -> Vec<Settled> {
        let mut parts = Vec::new();
        let admit = |part| intake.admit(Kind::Mqtt, part).map(|part| parts.push(part));
        let admitted: Vec<_> = self.parts.into_iter().map(admit).collect();
        let mut outcomes = take(&*intake, parts).await.map(Vec::into_iter);
        let outcome = |admitted: Result<(), Problem>| {
            admitted?;
            outcomes
                .as_mut()
                .map(|each| each.next().unwrap_or_default())
                .map_err(|problem| problem.clone())
        };
        let outcomes = admitted.into_iter().map(outcome);
        let settled = |(origin, outcome)| Settled { origin, outcome };
        self.of.into_iter().zip(outcomes).map(settled).collect()
    }
}

/// Publishes the events of parts that are admitted, then has the rules see the samples: each for itself
/// again and again, so that nothing is done twice.
async fn take(intake: &dyn Intake, mut parts: Vec<Part>) -> Result<Vec<Outcome>, Problem> {
    let of_part = |(place, part): (usize, &mut Part)| {
        let events = std::mem::take(&mut part.events).into_iter();
        events.map(move |(line, event)| ((place, line), event))
    };
    let events = parts.iter_mut().enumerate().flat_map(of_part).collect();
    for ((place, line), topic, problem) in publish(|some| intake.publish(some), events).await? {
        let reason = (problem.code.as_str(), problem.detail());
        parts[place].decoded.reject_event((line, &topic), reason);
    }
    until_it_is_done(|| intake.take_together(Kind::Mqtt, parts.clone())).await
}

impl Settled {
    /// How many messages it is of.
    pub(super) fn messages(&self) -> usize {
        self.origin.acknowledges.len()
    }

    /// Why the client has to come again: its messages were not taken, for no fault of theirs.
    pub(super) fn refusal(&self) -> Option<Reason> {
        let problem = self.outcome.as_ref().err()?;
        Some(match problem.code {
            Code::Draining => Reason::ShuttingDown,
            _ => Reason::QuotaExceeded,
        })
    }

    /// Why its messages were not taken, for no fault of theirs.
    pub(super) fn problem(&self) -> Option<&Problem> {
        self.outcome.as_ref().err()
    }

    /// By what messages are acknowledged and what is told of them, in their order.
    pub(super) fn acknowledgements(&self) -> Vec<(u16, Reason)> {
        let Ok(outcome) = &self.outcome else { return Vec::new() };
        let Decoded { rejections, each, .. } = &outcome.decoded;
        // The rules' own refusals are among the former alone.
        let told = rejections.iter().map(|rejection| (rejection.line, rejection.code));
        let each = each.iter().flatten().copied();
        let wrong: BTreeMap<usize, &'static str> = told.chain(each).collect();
        let reason = |line: usize| wrong.get(&line).map_or(Reason::Success, |code| of_code(code));
        let all = self.origin.acknowledges.iter().enumerate();
        all.filter(|(_, id)| **id > 0).map(|(place, id)| (*id, reason(place + 1))).collect()
    }
}

/// What MQTT has for what is wrong with a message.
fn of_code(code: &str) -> Reason {
    match code {
        TOPIC_UNKNOWN | "topic_too_long" | "topic_invalid" | "key_invalid" => Reason::TopicName,
        "sample_forbidden" | "forbidden" | "topic_reserved" => Reason::NotAuthorized,
        "series_limit"
        | "metric_series_limit"
        | "principal_exhausted"
        | "state_full"
        | "topics_exhausted" => Reason::QuotaExceeded,
        _ => Reason::PayloadFormat,
    }
}
