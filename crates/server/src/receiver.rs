//! What samples of all sources go through on their way to the rules, and events of sensors to their
//! topics: what their sender may send, how much of it, and the count of what became of them.

use std::sync::Arc;

use bellwire_access::Identity;
use bellwire_alerting::{SampleIntake, Source};
use bellwire_ingest::{Announced, Decoded, Verdict};
use bellwire_model::{Event, WriteTerms, network_of};
use bellwire_rules::RefusedSamples;
use bellwire_shards::{Publisher, Write, Writes};
use bellwire_sources::{
    Batch, EventsTaken, Intake, Kind, Outcome, Part, PartsTaken, Sender, Taken,
};
use bellwire_wire::problem::Problem;
use bellwire_wire::publish::{self, Publish};
use bytes::Bytes;

use crate::access::{Access, permit_publishing};
use crate::admission::Admission;
use crate::allowances::{Allowances, Named, Sent};
use crate::observe::Figures;

/// Takes samples for the rules, and events.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    intake: Arc<SampleIntake>,
    allowances: Arc<Allowances>,
    figures: Arc<Figures>,
    admission: Arc<Admission>,
    publisher: Arc<Publisher>,
}

impl Receiver {
    pub(crate) fn new(
        intake: &Arc<SampleIntake>,
        access: &Access,
        (figures, admission): (&Arc<Figures>, &Arc<Admission>),
        publisher: &Arc<Publisher>,
    ) -> Self {
        Self {
            publisher: Arc::clone(publisher),
            admission: Arc::clone(admission),
            intake: Arc::clone(intake),
            allowances: Arc::clone(&access.allowances),
            figures: Arc::clone(figures),
        }
    }

    /// Hands on what is left of a batch after [`Sender::permit`], once the sender's allowance has it.
    pub(crate) async fn take(
        &self,
        kind: Kind,
        sender: &Sender,
        mut decoded: Decoded,
    ) -> Result<Outcome, Problem> {
        allow(&mut decoded, (&self.allowances, &sender.identity))?;
        self.figures.alerting.samples_rejected.add(decoded.rejected as u64);
        let samples = std::mem::take(&mut decoded.samples);
        let refused = self.intake.take(source(sender), samples).await?;
        Ok(noted(&self.figures, kind, (decoded, refused), sender))
    }
}

impl Intake for Receiver {
    fn take(&self, batch: Batch) -> Taken {
        let receiver = self.clone();
        Box::pin(async move {
            let Batch { kind, mut decoded, sender } = batch;
            sender.permit(&mut decoded);
            let taken = receiver.take(kind, &sender, decoded).await;
            taken.inspect_err(|problem| {
                receiver.figures.sources.note_refused(kind, problem, &sender);
            })
        })
    }

    fn note_unread(&self, kind: Kind, reason: &'static str) {
        self.figures.sources.note_unread(kind, reason);
    }

    fn has_room(&self) -> bool {
        self.admission.publication().is_ok()
    }

    fn admit(&self, kind: Kind, part: Part) -> Result<Part, Problem> {
        let Part { mut decoded, sender, .. } = part;
        sender.permit(&mut decoded);
        let events = self.events(&mut decoded, &sender.identity);
        let allowed = events.and_then(|events| {
            allow(&mut decoded, (&self.allowances, &sender.identity)).map(|()| events)
        });
        match allowed {
            Ok(events) => Ok(Part { decoded, events, sender }),
            Err(problem) => {
                self.figures.sources.note_refused(kind, &problem, &sender);
                Err(problem)
            }
        }
    }

    fn publish(&self, events: Vec<Event>) -> EventsTaken {
        let publisher = Arc::clone(&self.publisher);
        Box::pin(async move {
            let writes = events.into_iter().map(Write::from).collect();
            let results = publisher.publish(Writes { writes, is_atomic: false }).await?;
            Ok(results.into_iter().map(|result| result.map(|_| ())).collect())
        })
    }

    fn take_together(&self, kind: Kind, parts: Vec<Part>) -> PartsTaken {
        let receiver = self.clone();
        Box::pin(async move { receiver.take_parts(kind, parts).await })
    }
}

impl Receiver {
    /// The events that somebody may publish, of which those are taken from what they may send in a second.
    fn events(
        &self,
        decoded: &mut Decoded,
        who: &Identity,
    ) -> Result<Vec<(usize, Event)>, Problem> {
        let announced = std::mem::take(&mut decoded.events);
        if announced.is_empty() {
            return Ok(Vec::new());
        }
        let naming = self.allowances.naming(who, Named::Topics)?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        for item in announced {
            bytes += item.payload.len();
            let event = permit_publishing(&who.rights, &item.topic)
                .and_then(|()| naming.as_ref().map_or(Ok(()), |naming| naming.take(&item.topic)))
                .and_then(|()| self.event(&item));
            match event {
                Ok(event) => events.push((item.line, event)),
                Err(problem) => {
                    let reason = (problem.code.as_str(), problem.detail());
                    decoded.reject_event((item.line, &item.topic), reason);
                }
            }
        }
        self.allowances.spend(who, Sent::Bytes(bytes))?;
        self.allowances.spend(who, Sent::Events(events.len()))?;
        Ok(events)
    }

    fn event(&self, item: &Announced) -> Result<Event, Problem> {
        let payload = Bytes::copy_from_slice(&item.payload);
        let body = publish::body(None, payload)
            .map_err(|error| Problem::of_decoder(error.code(), &error))?;
        let (topic, key) = (item.topic.clone(), item.key.clone());
        let terms = WriteTerms::default();
        self.publisher.event(Publish { topic, key, event_type: None, body, terms, fence: None })
    }

    /// Hands on several senders' samples as one batch.
    async fn take_parts(&self, kind: Kind, mut parts: Vec<Part>) -> Result<Vec<Outcome>, Problem> {
        let samples = parts.iter_mut().map(|part| std::mem::take(&mut part.decoded.samples));
        let samples: Vec<_> = samples.collect();
        let lengths: Vec<usize> = samples.iter().map(Vec::len).collect();
        let samples = samples.into_iter().flatten().collect();
        // They come from everywhere, and have one share of the queue together.
        let refused = self.intake.take(Source::of(None), samples).await?;
        let outcome = |(Part { decoded, sender, .. }, refused)| {
            self.figures.alerting.samples_rejected.add(decoded.rejected as u64);
            noted(&self.figures, kind, (decoded, refused), &sender)
        };
        Ok(parts.into_iter().zip(refused.apart(&lengths)).map(outcome).collect())
    }
}

/// What became of a batch, which is counted.
pub(crate) fn noted(
    figures: &Figures,
    kind: Kind,
    (decoded, refused): (Decoded, RefusedSamples),
    sender: &Sender,
) -> Outcome {
    let outcome = Outcome::new(decoded, refused);
    figures.sources.note(kind, &outcome, sender);
    outcome
}

/// Rejects the samples of series beyond those that somebody may send, and takes the others of what
/// they may send in a second. Where nothing can be taken no series counts as sent.
pub(crate) fn allow(
    decoded: &mut Decoded,
    (allowances, who): (&Allowances, &Identity),
) -> Result<(), Problem> {
    if decoded.samples.is_empty() {
        return Ok(());
    }
    if let Some(naming) = allowances.naming(who, Named::Series)? {
        decoded.sift(|sample| match naming.take(&sample.series) {
            Ok(()) => Verdict::Kept,
            Err(problem) => Verdict::Refused(problem.code.as_str(), problem.detail().to_owned()),
        });
    }
    allowances.spend(who, Sent::Samples(decoded.samples.len()))
}

/// Whose samples they are, as the queue is shared out.
pub(crate) fn source(sender: &Sender) -> Source {
    Source::of(sender.address.map(network_of))
}
