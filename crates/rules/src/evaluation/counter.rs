//! `rate`, `increase`, `delta`, `irate`, `idelta`, `changes`, `resets`.

use super::window::{Course, Range};
use super::{Evaluation, Number};
use crate::storage::Point;

/// Samples seldom fall on the edges of a range. An edge is taken for reached if it is not further
/// from the nearest sample than this many times the usual distance between two.
const EDGE_DISTANCE: f64 = 1.1;

/// A function that extends what the samples say to the edges of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extrapolated {
    Rate,
    Increase,
    Delta,
}

impl Extrapolated {
    fn is_of_counter(self) -> bool {
        self != Self::Delta
    }
}

impl Evaluation<'_> {
    /// The change over the range, extended to its edges; needs two samples.
    ///
    /// While the range moves and no sample comes, the distances to its edges change, and so does
    /// the result: in a straight line, until a distance gets to where another rule holds for it.
    pub(super) fn extrapolated(
        &mut self,
        function: Extrapolated,
        (points, course): (&[Point], Course),
        range: Range,
        time: i64,
    ) -> Option<Number> {
        let [first, .., last] = points else { return None };
        let mut change = last.value - first.value;
        if function.is_of_counter() && course == Course::Unknown {
            change += lost_in_resets(points);
        }
        let sampled = (last.time - first.time) as f64 / 1e3;
        let average = sampled / (points.len() - 1) as f64;
        let threshold = average * EDGE_DISTANCE;

        let mut to_start = Edge { seconds: (first.time - range.start) as f64 / 1e3, speed: -1.0 };
        if to_start.seconds >= threshold {
            self.wake_before(range, time, to_start.seconds - threshold);
            to_start = Edge::fixed(average / 2.0);
        }
        if function.is_of_counter() && change > 0.0 && first.value >= 0.0 {
            // A counter was never below zero, so it does not reach back further than there.
            let to_zero = sampled * (first.value / change);
            if to_zero < to_start.seconds {
                if to_start.speed != 0.0 {
                    self.wake_before(range, time, to_start.seconds - to_zero);
                }
                to_start = Edge::fixed(to_zero);
            }
        }
        let mut to_end = Edge { seconds: (range.end - last.time) as f64 / 1e3, speed: 1.0 };
        if to_end.seconds >= threshold {
            to_end = Edge::fixed(average / 2.0);
        } else {
            self.wake_before(range, time, threshold - to_end.seconds);
        }

        let per = if function == Extrapolated::Rate { range.seconds() } else { 1.0 };
        let factor = (sampled + to_start.seconds + to_end.seconds) / sampled / per;
        let speed = if range.moves { to_start.speed + to_end.speed } else { 0.0 };
        let drift = if speed == 0.0 { 0.0 } else { change / sampled / per * speed / 1e3 };
        Some(Number { value: change * factor, drift })
    }

    /// Another rule holds after this many seconds.
    fn wake_before(&mut self, range: Range, time: i64, seconds: f64) {
        if range.moves && seconds.is_finite() {
            self.wake_in(time, seconds * 1e3);
        }
    }
}

/// How far the nearest sample is from an edge of the range, and how that changes each second.
#[derive(Clone, Copy)]
struct Edge {
    seconds: f64,
    speed: f64,
}

impl Edge {
    fn fixed(seconds: f64) -> Self {
        Self { seconds, speed: 0.0 }
    }
}

/// What a counter had counted before each time it began anew.
fn lost_in_resets(points: &[Point]) -> f64 {
    let mut lost = 0.0;
    for pair in points.windows(2) {
        if pair[1].value < pair[0].value {
            lost += pair[0].value;
        }
    }
    lost
}

/// `irate`: from the last two samples.
pub(super) fn per_second(points: &[Point]) -> Option<f64> {
    let [.., before, last] = points else { return None };
    // A counter that began anew has counted all that it says.
    let change = if last.value < before.value { last.value } else { last.value - before.value };
    let seconds = (last.time - before.time) as f64 / 1e3;
    Some(change / seconds)
}

/// `idelta`: between the last two samples.
pub(super) fn step(points: &[Point]) -> Option<f64> {
    let [.., before, last] = points else { return None };
    Some(last.value - before.value)
}

#[expect(clippy::float_cmp, reason = "PromQL compares exactly")]
pub(super) fn changes(points: &[Point]) -> f64 {
    let differs = |pair: &&[Point]| {
        let (a, b) = (pair[0].value, pair[1].value);
        a != b && !(a.is_nan() && b.is_nan())
    };
    points.windows(2).filter(differs).count() as f64
}

pub(super) fn resets(points: &[Point]) -> f64 {
    points.windows(2).filter(|pair| pair[1].value < pair[0].value).count() as f64
}
