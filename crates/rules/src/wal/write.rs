//! Records to bytes.

use bellwire_model::{Alert, Fingerprint, Labels, Timestamp, Transition};

use super::{Kind, PartName, SavedAlert, TRANSITIONS};
use crate::storage::Point;

/// Collects records.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// The time that others are told as distances from.
    now: i64,
    /// How long it was when the time had been written.
    with_time: usize,
}

impl Writer {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The records so far; the writer goes on without them.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Drops what was written behind a length.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    pub(crate) fn step(&mut self, now: Timestamp) {
        self.now = now.as_ms();
        self.kind(Kind::Step);
        self.signed(now.as_ms());
        self.with_time = self.bytes.len();
    }

    /// Whether nothing was written behind the last time.
    pub(crate) fn is_time_alone(&self) -> bool {
        self.bytes.len() == self.with_time
    }

    pub(crate) fn series(&mut self, number: u64, labels: &Labels) {
        self.kind(Kind::Series);
        self.number(number);
        self.labels(labels);
    }

    pub(crate) fn gone(&mut self, number: u64) {
        self.kind(Kind::Gone);
        self.number(number);
    }

    pub(crate) fn sample(&mut self, number: u64, point: Point) {
        self.kind(Kind::Sample);
        self.number(number);
        self.point(point);
    }

    pub(crate) fn points(&mut self, number: u64, points: impl ExactSizeIterator<Item = Point>) {
        self.kind(Kind::Points);
        self.number(number);
        self.number(points.len() as u64);
        for point in points {
            self.point(point);
        }
    }

    pub(crate) fn alert(&mut self, saved: &SavedAlert) {
        let SavedAlert { alert, element, kept_since, part } = saved;
        self.kind(Kind::Alert);
        self.content(alert, element, *kept_since);
        self.bytes.push(u8::from(part.is_some()));
        if let Some(part) = part {
            self.part(part);
        }
    }

    /// What there is of an alert, but who raises it.
    fn content(&mut self, alert: &Alert, element: &Labels, kept_since: Option<Timestamp>) {
        self.text(alert.state.as_str());
        let rule = alert.rule().expect("the engine has alerts of rules alone");
        for text in [&rule.file, &rule.group, &rule.alert] {
            self.text(text);
        }
        for labels in [&alert.labels, &alert.annotations, element] {
            self.labels(labels);
        }
        self.value(alert.value);
        for time in [alert.active_at, alert.sample_time] {
            self.time(time);
        }
        for time in [alert.fired_at, alert.resolved_at, kept_since] {
            self.bytes.push(u8::from(time.is_some()));
            if let Some(time) = time {
                self.time(time);
            }
        }
    }

    pub(crate) fn ended(&mut self, fingerprint: Fingerprint) {
        self.kind(Kind::Ended);
        self.bytes.extend_from_slice(&fingerprint.get().to_le_bytes());
    }

    pub(crate) fn recorded(&mut self, part: &PartName, series: impl ExactSizeIterator<Item = u64>) {
        self.kind(Kind::Recorded);
        self.part(part);
        self.number(series.len() as u64);
        for number in series {
            self.number(number);
        }
    }

    pub(crate) fn told(&mut self) {
        self.kind(Kind::Told);
    }

    /// Transitions that are announced, each with the alert as it was then.
    pub(crate) fn untold<'a>(
        &mut self,
        transitions: impl ExactSizeIterator<Item = &'a Transition>,
    ) {
        self.kind(Kind::Untold);
        self.number(transitions.len() as u64);
        for Transition { kind, time, alert, .. } in transitions {
            let place = TRANSITIONS.iter().position(|announced| announced == kind);
            self.bytes.push(place.expect("others are not announced") as u8);
            self.time(*time);
            self.content(alert, &Labels::empty(), None);
            // Who raises it is the alert's own matter.
            self.bytes.push(0);
        }
    }

    fn kind(&mut self, kind: Kind) {
        self.bytes.push(kind as u8);
    }

    /// Seven bits a byte, the lowest first; the highest bit says that there is more.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Small distances from zero, to either side, take few bytes.
    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    fn time(&mut self, time: Timestamp) {
        self.signed(time.as_ms().wrapping_sub(self.now));
    }

    fn value(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    fn point(&mut self, point: Point) {
        self.time(Timestamp::from_ms(point.time));
        self.value(point.value);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn labels(&mut self, labels: &Labels) {
        self.number(labels.len() as u64);
        for (name, value) in labels.iter() {
            self.text(name);
            self.text(value);
        }
    }

    fn part(&mut self, part: &PartName) {
        self.bytes.extend_from_slice(&part.rule.to_le_bytes());
        self.labels(&part.key);
    }
}
