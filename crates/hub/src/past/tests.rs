//! The past of a series against a plain list of points.

use proptest::prelude::*;

use bellwire_model::limits::PAST_POINTS_MAX;

use super::*;

/// Bits, since NaN equals nothing.
fn bits(point: &Point) -> (i64, u64) {
    (point.time_ms, point.value.to_bits())
}

fn all_bits<'a>(points: impl IntoIterator<Item = &'a Point>) -> Vec<(i64, u64)> {
    points.into_iter().map(bits).collect()
}

fn of(past: &Past) -> Vec<Point> {
    past.copy().points().collect()
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-50i32..50).prop_map(|tenths| f64::from(tenths) / 10.0),
        2 => (0u32..4).prop_map(f64::from),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => prop::sample::select(vec![
            f64::NAN, -f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX,
        ]),
    ]
}

/// A step to the next point, in milliseconds.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => Just(10_000i64),
        3 => 9_990i64..10_010,
        2 => -5_000i64..60_000,
        1 => Just(0i64),
        1 => any::<i64>(),
    ]
}

fn points(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Point>> {
    let first = prop_oneof![Just(1_767_225_600_000i64), any::<i64>()];
    (first, prop::collection::vec((step(), value()), count)).prop_map(|(first, steps)| {
        let mut time_ms = first;
        let point = |(step, value): (i64, f64)| {
            time_ms = time_ms.wrapping_add(step);
            Point { time_ms, value }
        };
        steps.into_iter().map(point).collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(points in points(0..300)) {
        let (mut bits, mut encoder) = (BitWriter::default(), Encoder::default());
        for point in &points {
            encoder.write(*point, &mut bits);
        }
        let read: Vec<Point> = Decoder::new(bits.bytes(), points.len()).collect();
        prop_assert_eq!(all_bits(&read), all_bits(&points));
    }

    /// Whatever comes: what is left is a part of what came, in its order; the newest is there, and
    /// nothing is lost of what is neither old nor too much.
    #[test]
    fn a_past_is_a_part_of_what_came(
        points in points(1..400),
        window_ms in prop_oneof![Just(900_000u32), 1u32..2_000_000],
        points_max in 1u16..200,
        has_room in prop::collection::vec(prop::bool::weighted(0.95), 400),
    ) {
        let limits = PastLimits { window_ms, points_max };
        let (mut past, mut scratch) = (Past::default(), Vec::new());
        for (index, point) in points.iter().enumerate() {
            past.push(*point, limits, (&mut scratch, has_room[index]));
            let left = of(&past);
            prop_assert_eq!(left.len(), past.len());
            prop_assert!(past.len() <= usize::from(points_max));
            prop_assert!(past.size_bytes() <= PAST_BYTES_OF_SERIES_MAX);
            prop_assert_eq!(left.last().map(bits), Some(bits(point)));
            let mut came = points[..=index].iter();
            for point in &left {
                prop_assert!(came.any(|other| bits(other) == bits(point)), "out of order, or invented");
            }
        }
    }

    /// A regular series: the newest third of the window is whole, the next is half, the oldest a
    /// quarter, and nothing is older.
    #[test]
    fn resolution_halves_with_age(
        interval_ms in 1_000i64..15_000,
        count in 40usize..2_000,
    ) {
        let limits = PastLimits { window_ms: 900_000, points_max: PAST_POINTS_MAX };
        let (mut past, mut scratch) = (Past::default(), Vec::new());
        for index in 0..count as i64 {
            let point = Point { time_ms: index * interval_ms, value: index as f64 };
            past.push(point, limits, (&mut scratch, true));
        }
        let newest = (count as i64 - 1) * interval_ms;
        let slack = interval_ms * (i64::from(POINTS_BETWEEN_LOOKS) + 4);
        let left = of(&past);
        let oldest = left[0].time_ms;
        prop_assert!(newest - oldest <= 900_000 + slack);
        // As far back as there was something.
        prop_assert!(newest - oldest >= newest.min(900_000) - 4 * interval_ms);
        for pair in left.windows(2) {
            let (step, age) = (pair[1].time_ms - pair[0].time_ms, newest - pair[1].time_ms);
            let most = match age + step {
                age if age < 300_000 => 1,
                age if age < 600_000 => 2,
                _ => 4,
            };
            prop_assert!(step <= most * interval_ms, "{step} ms at {age} ms");
            if past.len() > PAST_POINTS_KEPT_WHOLE + usize::from(POINTS_BETWEEN_LOOKS) {
                let least = match age {
                    age if age > 600_000 + slack => 4,
                    age if age > 300_000 + slack => 2,
                    _ => 1,
                };
                prop_assert!(step >= least * interval_ms, "{step} ms at {age} ms");
            }
        }
    }
}

/// What 100,000 series with 90 points each in a quarter of an hour may take: 600 bytes each.
#[test]
fn ninety_points_in_a_quarter_of_an_hour_fit_into_600_bytes() {
    let limits = PastLimits { window_ms: 900_000, points_max: PAST_POINTS_MAX };
    let (mut past, mut scratch) = (Past::default(), Vec::new());
    let mut random = 1u64;
    for index in 0..1_000i64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Hundredths between 0 and 100, nothing like the one before; times that are a little off.
        let value = ((random >> 40) % 10_000) as f64 / 100.0;
        let time_ms = index * 10_000 + (random >> 33) as i64 % 20;
        past.push(Point { time_ms, value }, limits, (&mut scratch, true));
        assert!(past.size_bytes() <= 600, "{} bytes for {} points", past.size_bytes(), past.len());
    }
    assert!(past.len() >= 50, "{}", past.len());
}
