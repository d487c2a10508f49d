//! A request in Protocol Buffers: `ExportMetricsServiceRequest` of opentelemetry-proto 1.x. The
//! numbers of its fields stand where they are read.
//!
//! Fields may come in any order, so a message is gone through twice: first for what its parts share,
//! then for its parts. The first time costs next to nothing, for parts are skipped whole.

use bellwire_model::limits::OTLP_POINT_BYTES_MAX;

use super::fault::Fault;
use super::labels::{Attribute, Scope};
use super::point::{Head, Histogram, Point, Summary, Temporality, too_large};
use super::series::Series;
use super::translation::Kind;
use super::wire::{Error, Fields, Wire, parts, repeated, text};
use crate::decoded::Refusal;

mod attribute;

use attribute::read_attribute;

/// Reads a request into what takes its points.
pub(super) fn read(body: &[u8], series: &mut Series<'_>) -> Result<(), Fault> {
    let mut reader = Reader {
        series,
        point: Point::default(),
        histogram: Histogram::default(),
        summary: Summary::default(),
    };
    parts(body, 1, |resource_metrics| reader.resource_metrics(resource_metrics))
}

/// What reads the messages. The room for a point is used again for the next one.
struct Reader<'r, 's, 'a> {
    series: &'r mut Series<'s>,
    point: Point<'a>,
    histogram: Histogram,
    summary: Summary,
}

impl<'a> Reader<'_, '_, 'a> {
    fn resource_metrics(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let resource = Fault::unless_malformed(resource_attributes(message))?;
        self.series.begin_resource(resource.as_deref().map_err(Refusal::clone));
        parts(message, 2, |scope_metrics| self.scope_metrics(scope_metrics))?;
        if let Ok(attributes) = resource {
            self.series.end_resource(&attributes);
        }
        Ok(())
    }

    fn scope_metrics(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let scope = Fault::unless_malformed(scope(message))?;
        self.series.begin_scope(scope.as_ref().map_err(Refusal::clone));
        parts(message, 2, |metric| self.metric(metric))
    }

    fn metric(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let (mut name, mut unit, mut data) = (&[][..], &[][..], None);
        for field in Fields::of(message) {
            let (number, wire) = field?;
            match (number, wire) {
                (1, Wire::Bytes(text)) => name = text,
                (3, Wire::Bytes(text)) => unit = text,
                (5 | 7 | 9..=11, Wire::Bytes(message)) => data = Some((number, message)),
                (1 | 3 | 5 | 7 | 9..=11, _) => return Err(Error::Mismatch.into()),
                _ => {}
            }
        }
        let Some((number, data)) = data else { return Ok(()) };
        let (temporality, is_monotonic) = aggregation(data)?;
        let kind = match number {
            5 => Kind::Gauge,
            7 if is_monotonic => Kind::Counter,
            7 => Kind::Sum,
            9 => Kind::Histogram,
            10 => Kind::ExponentialHistogram,
            _ => Kind::Summary,
        };
        let texts = text(name).and_then(|name| text(unit).map(|unit| (name, unit)));
        let head = Fault::unless_malformed(texts)?.map(|(name, unit)| Head {
            name,
            unit,
            kind,
            temporality,
        });
        if self.series.begin_metric(head) {
            return parts(data, 1, |point| self.point(point, kind));
        }
        let mut points = 0;
        parts(data, 1, |_| {
            points += 1;
            Ok(())
        })?;
        self.series.refuse_metric(points);
        Ok(())
    }

    fn point(&mut self, message: &'a [u8], kind: Kind) -> Result<(), Fault> {
        self.point.clear();
        let read = match kind {
            _ if message.len() > OTLP_POINT_BYTES_MAX => Err(too_large("point").into()),
            Kind::Gauge | Kind::Counter | Kind::Sum => self.number(message),
            Kind::Histogram | Kind::ExponentialHistogram => self.histogram(message),
            Kind::Summary => self.summary(message),
        };
        match Fault::unless_malformed(read)? {
            Ok(()) => {}
            Err(refusal) => self.series.refuse(refusal),
        }
        Ok(())
    }

    fn number(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let mut value = None;
        for field in Fields::of(message) {
            match field? {
                (2, Wire::Fixed64(time)) => self.point.start_ns = time,
                (3, Wire::Fixed64(time)) => self.point.time_ns = time,
                (4, Wire::Fixed64(bits)) => value = Some(f64::from_bits(bits)),
                (6, Wire::Fixed64(bits)) => value = Some(bits.cast_signed() as f64),
                (7, Wire::Bytes(pair)) => self.point.attributes.push(read_attribute(pair)?),
                (8, Wire::Varint(flags)) => self.point.flags = flags as u32,
                (2..=4 | 6..=8, _) => return Err(Error::Mismatch.into()),
                _ => {}
            }
        }
        self.series.number(&self.point, value);
        Ok(())
    }

    fn histogram(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let Self { point, histogram, .. } = self;
        histogram.clear();
        for field in Fields::of(message) {
            match field? {
                (2, Wire::Fixed64(time)) => point.start_ns = time,
                (3, Wire::Fixed64(time)) => point.time_ns = time,
                (4, Wire::Fixed64(count)) => histogram.count = count,
                (5, Wire::Fixed64(bits)) => histogram.sum = Some(f64::from_bits(bits)),
                (6, counts) => repeated(counts, |count| histogram.counts.push(count))?,
                (7, bounds) => {
                    repeated(bounds, |bits| histogram.bounds.push(f64::from_bits(bits)))?;
                }
                (9, Wire::Bytes(pair)) => point.attributes.push(read_attribute(pair)?),
                (10, Wire::Varint(flags)) => point.flags = flags as u32,
                (2..=5 | 9 | 10, _) => return Err(Error::Mismatch.into()),
                _ => {}
            }
        }
        self.series.histogram(point, histogram);
        Ok(())
    }

    fn summary(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let Self { point, summary, .. } = self;
        summary.clear();
        for field in Fields::of(message) {
            match field? {
                (2, Wire::Fixed64(time)) => point.start_ns = time,
                (3, Wire::Fixed64(time)) => point.time_ns = time,
                (4, Wire::Fixed64(count)) => summary.count = count,
                (5, Wire::Fixed64(bits)) => summary.sum = f64::from_bits(bits),
                (6, Wire::Bytes(message)) => summary.quantiles.push(quantile(message)?),
                (7, Wire::Bytes(pair)) => point.attributes.push(read_attribute(pair)?),
                (8, Wire::Varint(flags)) => point.flags = flags as u32,
                (2..=8, _) => return Err(Error::Mismatch.into()),
                _ => {}
            }
        }
        self.series.summary(point, summary);
        Ok(())
    }
}

/// The attributes of a `ResourceMetrics`' resource.
fn resource_attributes(message: &[u8]) -> Result<Vec<Attribute<'_>>, Fault> {
    let mut attributes = Vec::new();
    parts(message, 1, |resource| {
        if resource.len() > OTLP_POINT_BYTES_MAX {
            return Err(too_large("resource").into());
        }
        parts(resource, 1, |pair| read_attribute(pair).map(|read| attributes.push(read)))
    })?;
    Ok(attributes)
}

/// The scope of a `ScopeMetrics`.
fn scope(message: &[u8]) -> Result<Scope<'_>, Fault> {
    let mut scope = Scope::default();
    parts(message, 3, |url| text(url).map(|url| scope.schema_url = url))?;
    parts(message, 1, |message| {
        if message.len() > OTLP_POINT_BYTES_MAX {
            return Err(too_large("scope").into());
        }
        parts(message, 1, |name| text(name).map(|name| scope.name = name))?;
        parts(message, 2, |version| text(version).map(|version| scope.version = version))?;
        parts(message, 3, |pair| read_attribute(pair).map(|read| scope.attributes.push(read)))
    })?;
    Ok(scope)
}

/// How the points of a `Sum` or a `Histogram` count, and whether the sum never falls.
fn aggregation(data: &[u8]) -> Result<(Temporality, bool), Fault> {
    let (mut temporality, mut is_monotonic) = (Temporality::default(), false);
    for field in Fields::of(data) {
        match field? {
            (2, Wire::Varint(number)) => temporality = Temporality::of(number),
            (3, Wire::Varint(flag)) => is_monotonic = flag != 0,
            (2 | 3, _) => return Err(Error::Mismatch.into()),
            _ => {}
        }
    }
    Ok((temporality, is_monotonic))
}

/// A `ValueAtQuantile`.
fn quantile(message: &[u8]) -> Result<(f64, f64), Fault> {
    let (mut quantile, mut value) = (0.0, 0.0);
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Fixed64(bits)) => quantile = f64::from_bits(bits),
            (2, Wire::Fixed64(bits)) => value = f64::from_bits(bits),
            (1 | 2, _) => return Err(Error::Mismatch.into()),
            _ => {}
        }
    }
    Ok((quantile, value))
}
