//! Bytes to records. Every length is checked before anything is made of it.

use std::sync::Arc;

use bellwire_model::{
    Alert, AlertSource, AlertState, Fingerprint, Labels, RuleName, Timestamp, Transition,
};

use super::{Corrupt, Kind, PartName, SavedAlert, TRANSITIONS};
use crate::storage::Point;

/// Bytes of a point at least: its time takes one or more.
const POINT_BYTES_MIN: usize = 1 + size_of::<f64>();

/// A record.
#[derive(Debug)]
pub(crate) enum Record {
    Step(Timestamp),
    Series(u64, Labels),
    Gone(u64),
    Sample(u64, Point),
    Points(u64, Vec<Point>),
    Alert(Box<SavedAlert>),
    Ended(Fingerprint),
    Recorded(PartName, Vec<u64>),
    Told,
    Untold(Vec<Transition>),
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    /// The time that others are told as distances from.
    now: i64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, now: 0 }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The next record, or where it begins that is none.
    pub(crate) fn next(&mut self, whole: usize) -> Result<Record, Corrupt> {
        let at = whole - self.left();
        self.record().ok_or(Corrupt { at })
    }

    /// The next record; nothing where the bytes are none.
    fn record(&mut self) -> Option<Record> {
        Some(match Kind::of(self.byte()?)? {
            Kind::Step => {
                self.now = self.signed()?;
                Record::Step(Timestamp::from_ms(self.now))
            }
            Kind::Series => Record::Series(self.number()?, self.labels()?),
            Kind::Gone => Record::Gone(self.number()?),
            Kind::Sample => Record::Sample(self.number()?, self.point()?),
            Kind::Points => {
                let (number, count) = (self.number()?, self.number()?);
                Record::Points(number, self.points(count)?)
            }
            Kind::Alert => Record::Alert(Box::new(self.alert()?)),
            Kind::Ended => {
                Record::Ended(format!("{:016x}", u64::from_le_bytes(self.array()?)).parse().ok()?)
            }
            Kind::Told => Record::Told,
            Kind::Untold => {
                let count = self.number()?;
                Record::Untold((0..count).map(|_| self.transition()).collect::<Option<_>>()?)
            }
            Kind::Recorded => {
                let (part, count) = (self.part()?, self.number()?);
                Record::Recorded(part, (0..count).map(|_| self.number()).collect::<Option<_>>()?)
            }
        })
    }

    fn alert(&mut self) -> Option<SavedAlert> {
        let state = AlertState::named(self.text()?)?;
        let [file, group, alert] = [self.text()?, self.text()?, self.text()?].map(Arc::from);
        let [labels, annotations, element] = [self.labels()?, self.labels()?, self.labels()?];
        let value = self.value()?;
        let [active_at, sample_time] = [self.time()?, self.time()?];
        let [fired_at, resolved_at, kept_since] =
            [self.optional(Self::time)?, self.optional(Self::time)?, self.optional(Self::time)?];
        let part = self.optional(Self::part)?;
        let alert = Alert {
            fingerprint: Fingerprint::of(&labels),
            source: AlertSource::Rule(Arc::new(RuleName { file, group, alert })),
            state,
            labels,
            annotations,
            value,
            active_at,
            fired_at,
            resolved_at,
            sample_time,
        };
        Some(SavedAlert { alert: Arc::new(alert), element, kept_since, part })
    }

    fn transition(&mut self) -> Option<Transition> {
        let kind = *TRANSITIONS.get(usize::from(self.byte()?))?;
        let (time, SavedAlert { alert, .. }) = (self.time()?, self.alert()?);
        Some(Transition { kind, time, alert, expression: None, sample: None })
    }

    #[expect(clippy::option_option, reason = "bytes that are none, or something that is not there")]
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn time(&mut self) -> Option<Timestamp> {
        Some(Timestamp::from_ms(self.signed()?.wrapping_add(self.now)))
    }

    fn value(&mut self) -> Option<f64> {
        Some(f64::from_bits(u64::from_le_bytes(self.array()?)))
    }

    fn point(&mut self) -> Option<Point> {
        Some(Point { time: self.time()?.as_ms(), value: self.value()? })
    }

    /// So many points, in no more memory than they take: there are very many.
    fn points(&mut self, count: u64) -> Option<Vec<Point>> {
        let count = usize::try_from(count).ok()?;
        if count > self.bytes.len() / POINT_BYTES_MIN {
            return None;
        }
        let mut points = Vec::with_capacity(count);
        for _ in 0..count {
            points.push(self.point()?);
        }
        Some(points)
    }

    fn text(&mut self) -> Option<&'a str> {
        let bytes = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.bytes.split_at_checked(bytes)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }

    fn labels(&mut self) -> Option<Labels> {
        let count = self.number()?;
        let pairs = (0..count).map(|_| Some((self.text()?, self.text()?)));
        Labels::from_pairs(pairs.collect::<Option<Vec<_>>>()?).ok()
    }

    fn part(&mut self) -> Option<PartName> {
        Some(PartName { rule: u64::from_le_bytes(self.array()?), key: self.labels()? })
    }
}
