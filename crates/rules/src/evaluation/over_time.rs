//! Functions of a range: `avg_over_time` and its kin here, counters in [`counter`](super::counter),
//! trends in [`regression`](super::regression).

use super::aggregation::quantile::quantile;
use super::sum::{Mean, Sum};
use super::window::{Course, Range, Stretch};
use super::{Evaluated, Evaluation, Item, Items, NoteKind, Number, counter, regression, seconds};
use crate::plan::{OverTime, WindowCall};
use crate::storage::Point;

impl OverTime {
    /// What it gives is still a value of the metric.
    pub(super) fn keeps_name(self) -> bool {
        matches!(self, Self::Last | Self::First)
    }

    fn is_of_counter(self) -> bool {
        matches!(self, Self::Rate | Self::Increase)
    }
}

impl Evaluation<'_> {
    pub(super) fn over_time(&mut self, call: &WindowCall, time: i64) -> Evaluated<Items> {
        let mut parameters = [0.0; 2];
        self.parameters(&call.parameters, &mut parameters, time)?;
        regression::check_factors(call.function, parameters)?;
        let (range, stretches) = self.window(&call.window, time)?;
        if call.function == OverTime::Quantile && !stretches.is_empty() {
            self.note_quantile(parameters[0], call.noted_at);
        }
        let mut items = Vec::with_capacity(stretches.len());
        for stretch in stretches {
            self.check()?;
            if call.function.is_of_counter() {
                self.note_non_counter(&stretch, call.noted_at);
            }
            let samples = (&*stretch.points, stretch.course);
            let number = self.number_of(call.function, samples, (range, time), parameters);
            let Some(number) = number else { continue };
            let drops_name = stretch.drops_name;
            let mut item = Item { labels: stretch.labels, number, drops_name };
            if !call.function.keeps_name() {
                self.drop_name(&mut item);
            }
            items.push(item);
        }
        self.checked(items)
    }

    /// What a function gives for the samples of one series, at least one; some need two.
    pub(super) fn number_of(
        &mut self,
        function: OverTime,
        (points, course): (&[Point], Course),
        (range, time): (Range, i64),
        parameters: [f64; 2],
    ) -> Option<Number> {
        use counter::Extrapolated;
        let extrapolated = match function {
            OverTime::Rate => Some(Extrapolated::Rate),
            OverTime::Increase => Some(Extrapolated::Increase),
            OverTime::Delta => Some(Extrapolated::Delta),
            _ => None,
        };
        if let Some(function) = extrapolated {
            return self.extrapolated(function, (points, course), range, time);
        }
        if function == OverTime::PredictLinear {
            let moves = range.moves;
            return regression::predicted(points, time, parameters[0])
                .map(|number| Number { drift: if moves { number.drift } else { 0.0 }, ..number });
        }
        reduced(function, points, parameters).map(Number::still)
    }

    /// Tells that `rate` is asked of something whose name is not that of a counter.
    fn note_non_counter(&mut self, stretch: &Stretch<'_>, offset: usize) {
        let Some(name) = stretch.labels.metric_name() else { return };
        let endings = ["_total", "_sum", "_count", "_bucket"];
        if !endings.iter().any(|ending| name.ends_with(ending)) {
            let text = format!(
                "metric might not be a counter, name does not end in \
                 _total/_sum/_count/_bucket: {name:?}"
            );
            self.note(NoteKind::Info, offset, text);
        }
    }
}

/// What depends on nothing but the samples.
fn reduced(function: OverTime, points: &[Point], parameters: [f64; 2]) -> Option<f64> {
    let (first, last) = (points[0], points[points.len() - 1]);
    Some(match function {
        OverTime::Irate => return counter::per_second(points),
        OverTime::Idelta => return counter::step(points),
        OverTime::Deriv => return regression::slope(points),
        OverTime::DoubleExponentialSmoothing => {
            return regression::smoothed(points, parameters[0], parameters[1]);
        }
        OverTime::Changes => counter::changes(points),
        OverTime::Resets => counter::resets(points),
        OverTime::Avg => mean(points),
        OverTime::Min => extreme(points, |new, held| new < held).value,
        OverTime::Max => extreme(points, |new, held| new > held).value,
        OverTime::Sum => sum(points),
        OverTime::Count => points.len() as f64,
        OverTime::Last => last.value,
        OverTime::First => first.value,
        OverTime::Present => 1.0,
        OverTime::Stddev => variance(points).sqrt(),
        OverTime::Stdvar => variance(points),
        OverTime::Quantile => quantile(parameters[0], &mut values(points)),
        OverTime::Mad => median_deviation(points),
        OverTime::TimeOfMin => seconds(extreme(points, |new, held| new <= held).time),
        OverTime::TimeOfMax => seconds(extreme(points, |new, held| new >= held).time),
        OverTime::TimeOfLast => seconds(last.time),
        OverTime::TimeOfFirst => seconds(first.time),
        OverTime::Rate | OverTime::Increase | OverTime::Delta | OverTime::PredictLinear => {
            unreachable!("these depend on the time of the evaluation")
        }
    })
}

fn values(points: &[Point]) -> Vec<f64> {
    points.iter().map(|point| point.value).collect()
}

fn sum(points: &[Point]) -> f64 {
    let mut sum = Sum::default();
    for point in points {
        sum.add(point.value);
    }
    sum.total()
}

fn mean(points: &[Point]) -> f64 {
    let mut mean = Mean::of(points[0].value);
    for point in &points[1..] {
        mean.add(point.value);
    }
    mean.value()
}

/// NaN is taken only where there is nothing else.
fn extreme(points: &[Point], is_better: fn(f64, f64) -> bool) -> Point {
    let better = |held: Point, new: Point| {
        if is_better(new.value, held.value) || held.value.is_nan() { new } else { held }
    };
    points.iter().copied().reduce(better).expect("a stretch has a sample")
}

fn variance(points: &[Point]) -> f64 {
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    for (index, point) in points.iter().enumerate() {
        let delta = point.value - mean.total();
        mean.add(delta / (index + 1) as f64);
        squares.add(delta * (point.value - mean.total()));
    }
    squares.total() / points.len() as f64
}

/// The median of how far values are from their median.
fn median_deviation(points: &[Point]) -> f64 {
    let mut values = values(points);
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, &mut values);
    let mut deviations: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
    quantile(0.5, &mut deviations)
}
