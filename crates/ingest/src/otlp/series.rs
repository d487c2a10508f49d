//! Points to samples.
//!
//! | point | samples |
//! |---|---|
//! | of a gauge or a sum | one |
//! | of a histogram | `_bucket` with `le` for each bound and `+Inf`, counted from the lowest up; `_count`; `_sum` where there is one |
//! | of a summary | one with `quantile` for each; `_sum`, `_count` |
//! | of an exponential histogram | none: it is refused, by the metric's name |
//! | without a recorded value | of each of its series a stale marker |
//!
//! A point is taken whole or refused whole. Beside them stands `target_info` for each resource, at
//! the time of its latest point, and once where several resources are the same.

use bellwire_model::{METRIC_NAME, NameMap, Sample, Timestamp};

use super::labels::{Attribute, Scope};
use super::output::{Output, Pen};
use super::point::{Head, Histogram, Point, Summary, Temporality};
use super::settings::Settings;
use super::translation::Kind;
use crate::decoded::{Decoded, Refusal, quoted};

/// The metric whose points come, by the names of its series.
#[derive(Debug, Default)]
struct Metric {
    plain: String,
    bucket: String,
    sum: String,
    count: String,
    is_delta: bool,
}

/// Takes what is read, in its order, and makes samples of it.
#[derive(Debug)]
pub(super) struct Series<'s> {
    settings: &'s Settings,
    /// The metric at hand, or why none of its points can be taken.
    metric: Result<Metric, Refusal>,
    /// Why no point of the resource, or of the scope, can be taken.
    barred: [Option<Refusal>; 2],
    /// Which metric each name was made of.
    origins: NameMap<String, String>,
    output: Output<'s>,
}

impl<'s> Series<'s> {
    pub(super) fn new(settings: &'s Settings, now: Timestamp) -> Self {
        Self {
            settings,
            metric: Ok(Metric::default()),
            barred: [None, None],
            origins: NameMap::default(),
            output: Output::new(settings, now),
        }
    }

    pub(super) fn end(self) -> Decoded {
        self.output.end()
    }

    /// Goes on with the points of this resource.
    pub(super) fn begin_resource(&mut self, attributes: Result<&[Attribute<'_>], Refusal>) {
        let begun = attributes.and_then(|attributes| self.output.begin_resource(attributes));
        self.barred = [begun.err(), None];
    }

    /// Ends a resource: its own series comes last.
    pub(super) fn end_resource(&mut self, attributes: &[Attribute<'_>]) {
        self.output.end_resource(attributes);
    }

    /// Goes on with the points of this scope.
    pub(super) fn begin_scope(&mut self, scope: Result<&Scope<'_>, Refusal>) {
        self.barred[1] = scope.and_then(|scope| self.output.begin_scope(scope)).err();
    }

    /// Goes on with the points of this metric. Says whether they are to be looked into.
    pub(super) fn begin_metric(&mut self, head: Result<Head<'_>, Refusal>) -> bool {
        let barred = self.barred.iter().flatten().next();
        self.metric = match barred {
            Some(refusal) => Err(refusal.clone()),
            None => head.and_then(|head| self.metric_of(&head)),
        };
        self.metric.is_ok()
    }

    fn metric_of(&mut self, head: &Head<'_>) -> Result<Metric, Refusal> {
        let Head { name, unit, kind, temporality } = head;
        if *kind == Kind::ExponentialHistogram {
            let detail = format!(
                "`{}` is an exponential histogram, and these are not taken: have the sender count \
                 in explicit buckets",
                quoted(name)
            );
            return Err(Refusal::new("exponential_histogram", detail));
        }
        let has_temporality = matches!(kind, Kind::Counter | Kind::Sum | Kind::Histogram);
        if has_temporality && *temporality == Temporality::Unspecified {
            let detail = format!("`{}` does not say whether it is cumulative", quoted(name));
            return Err(Refusal::new("temporality_missing", detail));
        }
        let plain = self.settings.translation_strategy.metric_name(name, unit, *kind);
        let plain = plain.ok_or_else(|| {
            let detail = format!("no series can be named after the metric `{}`", quoted(name));
            Refusal::new("name_invalid", detail)
        })?;
        let with = |suffix| format!("{plain}_{suffix}");
        let [bucket, sum, count] = ["bucket", "sum", "count"].map(with);
        // The longest of those that it has.
        Sample::check_name(match kind {
            Kind::Histogram => &bucket,
            Kind::Summary => &count,
            _ => &plain,
        })?;
        self.warn_of_twin(&plain, head);
        let is_delta = has_temporality && *temporality == Temporality::Delta;
        Ok(Metric { plain, bucket, sum, count, is_delta })
    }

    /// Says so where another metric has become the same name.
    fn warn_of_twin(&mut self, translated: &str, head: &Head<'_>) {
        let origin = [&*head.name, &*head.unit].join(" in ");
        match self.origins.get(translated) {
            None => _ = self.origins.insert(translated.to_owned(), origin),
            Some(other) if *other == origin => {}
            Some(other) => self.output.warn(|| {
                let [one, other, both] = [&**other, &*origin, translated].map(quoted);
                format!("the metrics `{one}` and `{other}` both become `{both}`")
            }),
        }
    }

    /// Refuses the next point, which could not be read.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        let metric = self.metric.as_ref().map_or("", |metric| &metric.plain);
        self.output.refuse(1, refusal, metric);
    }

    /// Refuses the next points, so many, for what is wrong with their metric.
    pub(super) fn refuse_metric(&mut self, points: usize) {
        if let Err(refusal) = &self.metric {
            self.output.refuse(points, refusal.clone(), "");
        }
    }

    /// Takes a point of a gauge or a sum.
    pub(super) fn number(&mut self, point: &Point<'_>, value: Option<f64>) {
        self.point(point, |pen, metric| {
            if value.is_none() && !point.is_stale() {
                return Err(Refusal::new("value_missing", "the point has no value"));
            }
            pen.push(&[(METRIC_NAME, &metric.plain)], value.unwrap_or_default())
        });
    }

    /// Takes a point of a histogram.
    pub(super) fn histogram(&mut self, point: &Point<'_>, histogram: &Histogram) {
        self.point(point, |pen, metric| {
            if !histogram.has_whole_buckets() {
                let detail = "a histogram has bounds that rise, and one count more than bounds";
                return Err(Refusal::new("histogram_invalid", detail));
            }
            let Histogram { count, sum, bounds, counts } = histogram;
            let mut below = 0_u64;
            for (bound, count) in bounds.iter().zip(counts) {
                below = below.saturating_add(*count);
                // How many there are in all is said by the count.
                if *bound < f64::INFINITY {
                    let bound = bound.to_string();
                    let own = [(METRIC_NAME, &*metric.bucket), ("le", &bound)];
                    pen.push(&own, below as f64)?;
                }
            }
            pen.push(&[(METRIC_NAME, &metric.bucket), ("le", "+Inf")], *count as f64)?;
            if let Some(sum) = sum {
                pen.push(&[(METRIC_NAME, &metric.sum)], *sum)?;
            }
            pen.push(&[(METRIC_NAME, &metric.count)], *count as f64)
        });
    }

    /// Takes a point of a summary.
    pub(super) fn summary(&mut self, point: &Point<'_>, summary: &Summary) {
        self.point(point, |pen, metric| {
            for (quantile, value) in &summary.quantiles {
                let quantile = quantile.to_string();
                pen.push(&[(METRIC_NAME, &metric.plain), ("quantile", &quantile)], *value)?;
            }
            pen.push(&[(METRIC_NAME, &metric.sum)], summary.sum)?;
            pen.push(&[(METRIC_NAME, &metric.count)], summary.count as f64)
        });
    }

    fn point(
        &mut self,
        point: &Point<'_>,
        write: impl FnOnce(&mut Pen<'_, 's>, &Metric) -> Result<(), Refusal>,
    ) {
        // Points of a metric that is not taken are not looked into.
        let Ok(metric) = &self.metric else { return };
        self.output.point((point, &metric.plain), |pen| {
            write(pen, metric)?;
            if metric.is_delta && !point.is_stale() { pen.are_changes() } else { Ok(()) }
        });
    }
}
