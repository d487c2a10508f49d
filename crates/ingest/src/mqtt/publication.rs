//! A message, and what becomes of it.

use bellwire_model::{Labels, Sample, Timestamp, Topic};

use crate::decoded::{Announced, Decoded, Refusal};

/// A message that has come.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// Where.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// By whom: what somebody announces is theirs alone.
    pub from: &'a str,
    /// When it came.
    pub age: Age,
    /// The time now.
    pub now: Timestamp,
}

/// What is known of a message's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It was published now.
    Live,
    /// A broker had kept it; for how long nobody knows.
    Retained,
}

/// The code of a message on a topic that no entry has.
pub const TOPIC_UNKNOWN: &str = "topic_unknown";
/// The code of a message that a broker had kept, and that does not say of when it is.
pub const RETAINED: &str = "retained_without_time";

/// Where the samples of a message go, and what of it is none.
#[derive(Debug)]
pub(super) struct Out<'a> {
    pub(super) decoded: &'a mut Decoded,
    pub(super) line: usize,
    pub(super) topic: &'a str,
}

impl Out<'_> {
    pub(super) fn take(&mut self, series: &Labels, (value, time): (f64, Timestamp)) {
        self.decoded.samples.push(Sample { series: series.clone(), value, time });
    }

    /// Takes a message that is an event.
    pub(super) fn announce(&mut self, (topic, key): (&Topic, Option<&str>), payload: &[u8]) {
        let (topic, key) = (topic.clone(), key.map(Into::into));
        self.decoded.events.push(Announced {
            line: self.line,
            topic,
            key,
            payload: payload.into(),
        });
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.decoded.reject_part(self.line, refusal, self.topic);
    }
}

/// A broker has kept it since nobody knows when.
pub(super) fn retained() -> Refusal {
    let detail = "the broker had kept this message, and it does not say of when it is";
    Refusal::new(RETAINED, detail)
}
