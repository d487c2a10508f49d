//! What was taken and refused, by source and reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_process::{Family, Figure};
use bellwire_wire::problem::Problem;

use crate::intake::Sender;
use crate::kind::Kind;
use crate::mqtt::BrokerFigures;
use crate::outcome::Outcome;
use crate::rejects::{Reject, Rejects};

/// The figures of all sources. Reasons are the codes of rejections and problems, which are literals
/// of the program: nobody else adds to them.
#[derive(Debug)]
pub struct Figures {
    taken: Vec<Figure>,
    passed_over: Vec<Figure>,
    refused: Counts,
    requests_refused: Counts,
    rejects: Rejects,
    /// Connections of MQTT's listener.
    pub mqtt_clients: Figure,
    /// Brokers of MQTT that the server is a client of.
    pub mqtt_brokers: Arc<BrokerFigures>,
}

/// Counts by source and reason. What is refused is rare, or answered slowly enough for a lock.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<(Kind, &'static str), u64>>);

/// A figure for each kind.
fn of_each() -> Vec<Figure> {
    Kind::ALL.iter().map(|_| Figure::default()).collect()
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            taken: of_each(),
            passed_over: of_each(),
            refused: Counts::default(),
            requests_refused: Counts::default(),
            rejects: Rejects::default(),
            mqtt_clients: Figure::default(),
            mqtt_brokers: Arc::default(),
        }
    }
}

impl Figures {
    /// A batch has come to this.
    pub fn note(&self, kind: Kind, outcome: &Outcome, sender: &Sender) {
        self.taken[kind as usize].add((outcome.accepted - outcome.late) as u64);
        self.passed_over[kind as usize].add(outcome.decoded.passed_over as u64);
        for (code, count) in &outcome.decoded.by_code {
            self.refused.add((kind, code), *count);
        }
        if let Some(first) = outcome.first_late.first() {
            self.refused.add((kind, first.code), outcome.late);
        }
        let mut told: Option<&'static str> = None;
        let mut rejections = outcome.decoded.rejections.iter().chain(outcome.first_late.first());
        // Those of one batch mostly have one reason.
        while let Some(rejection) = rejections.find(|rejection| told != Some(rejection.code)) {
            told = Some(rejection.code);
            self.rejects.note(Reject::of_item(kind, rejection, sender));
        }
    }

    /// A request was refused as a whole.
    pub fn note_refused(&self, kind: Kind, problem: &Problem, sender: &Sender) {
        self.note_unread(kind, problem.code.as_str());
        self.rejects.note(Reject::of_request(kind, problem, sender));
    }

    /// A request was refused for what its head says.
    pub fn note_unread(&self, kind: Kind, reason: &'static str) {
        self.requests_refused.add((kind, reason), 1);
    }

    /// A sample of what was refused.
    pub fn rejects(&self) -> &Rejects {
        &self.rejects
    }

    /// All of them as they are now.
    pub fn families(&self) -> Vec<Family> {
        let of_kind = |figures: &[Figure]| {
            let value = |kind: &Kind| (vec![kind.as_str()], figures[*kind as usize].get());
            Kind::ALL.iter().map(value).collect()
        };
        vec![
            Family {
                name: "bellwire_source_connections",
                kind: "gauge",
                help: "Connections that sensors have open to publish on, by protocol.",
                labels: &["source"],
                values: vec![(vec![Kind::Mqtt.as_str()], self.mqtt_clients.get())],
            },
            Family {
                name: "bellwire_source_samples_taken_total",
                kind: "counter",
                help: "Samples that rules have taken, by the protocol that brought them.",
                labels: &["source"],
                values: of_kind(&self.taken),
            },
            Family {
                name: "bellwire_source_samples_passed_over_total",
                kind: "counter",
                help: "Samples that were left out on purpose, since another one of a pair of senders is listened to.",
                labels: &["source"],
                values: of_kind(&self.passed_over),
            },
            Family {
                name: "bellwire_source_samples_refused_total",
                kind: "counter",
                help: "Samples that were not taken, by protocol and the code of the reason; the newest of each are on `$sys/rejects`.",
                labels: &["source", "reason"],
                values: self.refused.values(),
            },
            Family {
                name: "bellwire_source_requests_refused_total",
                kind: "counter",
                help: "Requests with samples of which nothing was looked at, by protocol and the code of the reason.",
                labels: &["source", "reason"],
                values: self.requests_refused.values(),
            },
            self.mqtt_brokers.failures(),
        ]
    }
}

impl Counts {
    fn add(&self, of: (Kind, &'static str), count: usize) {
        *self.all().entry(of).or_default() += count as u64;
    }

    fn values(&self) -> Vec<(Vec<&'static str>, u64)> {
        let value = |((kind, reason), count): (&(Kind, &'static str), &u64)| {
            (vec![kind.as_str(), *reason], *count)
        };
        self.all().iter().map(value).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<(Kind, &'static str), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
