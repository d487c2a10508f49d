//! Trends: `deriv`, `predict_linear`, `double_exponential_smoothing`.

use super::sum::Sum;
use super::{Evaluated, EvaluationError, Number};
use crate::number::go_text;
use crate::plan::OverTime;
use crate::storage::Point;

/// A straight line.
#[derive(Clone, Copy)]
struct Line {
    per_second: f64,
    /// Its value at the time that it was drawn for.
    value: f64,
}

/// `deriv`: by how much the line through the samples rises each second.
pub(super) fn slope(points: &[Point]) -> Option<f64> {
    // Any time near the samples will do; the first one's keeps the numbers small.
    line(points, points[0].time).map(|line| line.per_second)
}

/// `predict_linear`: where the line through the samples is some time from now.
pub(super) fn predicted(points: &[Point], now: i64, seconds: f64) -> Option<Number> {
    let line = line(points, now)?;
    let value = line.per_second * seconds + line.value;
    Some(Number { value, drift: line.per_second / 1e3 })
}

/// The line with the least squares through the samples; needs two.
#[expect(clippy::float_cmp, reason = "a line through equal values is known exactly")]
fn line(points: &[Point], time: i64) -> Option<Line> {
    if points.len() < 2 {
        return None;
    }
    let first = points[0].value;
    if points.iter().all(|point| point.value == first) {
        let known = Line { per_second: 0.0, value: first };
        let unknown = Line { per_second: f64::NAN, value: f64::NAN };
        return Some(if first.is_infinite() { unknown } else { known });
    }
    let [mut x, mut y, mut xy, mut xx] = [Sum::default(); 4];
    for point in points {
        let at = (point.time - time) as f64 / 1e3;
        x.add(at);
        y.add(point.value);
        xy.add(at * point.value);
        xx.add(at * at);
    }
    let count = points.len() as f64;
    let [x, y, xy, xx] = [x, y, xy, xx].map(Sum::total);
    let per_second = (xy - x * y / count) / (xx - x * x / count);
    Some(Line { per_second, value: y / count - per_second * x / count })
}

/// `double_exponential_smoothing`: the last value of the smoothed samples; needs two.
pub(super) fn smoothed(points: &[Point], smoothing: f64, trending: f64) -> Option<f64> {
    let [first, second, rest @ ..] = points else { return None };
    let (mut before, mut now) = (0.0, first.value);
    let mut trend = second.value - first.value;
    for (index, point) in [second].into_iter().chain(rest).enumerate() {
        if index > 0 {
            trend = trending * (now - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * point.value + (1.0 - smoothing) * (now + trend);
        (before, now) = (now, next);
    }
    Some(now)
}

/// Refuses factors of `double_exponential_smoothing` that are none.
pub(super) fn check_factors(function: OverTime, factors: [f64; 2]) -> Evaluated<()> {
    if function != OverTime::DoubleExponentialSmoothing {
        return Ok(());
    }
    for (name, factor) in ["smoothing", "trend"].into_iter().zip(factors) {
        if !(factor > 0.0 && factor < 1.0) {
            let found = go_text(factor);
            let text =
                format!("invalid {name} factor. Expected: 0 < {name} factor < 1, got: {found}");
            return Err(EvaluationError::Parameter(text.into()));
        }
    }
    Ok(())
}
