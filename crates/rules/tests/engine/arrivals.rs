//! What may arrive: samples of now, late and early ones, what a sensor kept while it was not heard,
//! and what comes a second time; after a short while or a long one.

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use proptest::prelude::*;

/// Samples that arrive together.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) arrives_ms: i64,
    pub(crate) samples: Vec<Sample>,
}

/// What a batch has.
#[derive(Clone, Debug)]
enum Arrival {
    /// Series, values, and how far from now they were measured.
    Samples(Vec<(usize, f64, i64)>),
    /// One series, its values a while apart, of which the newest is so old; each with its place in
    /// the batch.
    Backlog { series: usize, values: Vec<(f64, u8)>, apart_ms: i64, age_ms: i64 },
    /// What had come a few batches before, once more.
    Again(usize),
}

/// Batches of the metrics `a` and `b`, each with the label `s`, that arrive before an end.
pub(crate) fn batches(
    values: impl Strategy<Value = f64> + Clone + 'static,
    end_ms: i64,
) -> impl Strategy<Value = Vec<Batch>> {
    let shift = prop_oneof![6 => Just(0_i64), 2 => -15..0_i64, 1 => -70..-15_i64, 1 => 0..15_i64];
    let sample = (0..4_usize, values.clone(), shift);
    let places = prop_oneof![
        Just(vec![0; 20]),
        Just((0..20).rev().collect()),
        prop::collection::vec(any::<u8>(), 20),
    ];
    let values = prop::collection::vec(values, 2..20);
    let values = (values, places).prop_map(|(values, places): (Vec<f64>, Vec<u8>)| {
        values.into_iter().zip(places).collect::<Vec<(f64, u8)>>()
    });
    let backlog = (0..4_usize, values, 1..9_i64, 0..50_i64);
    let arrival = prop_oneof![
        8 => prop::collection::vec(sample, 1..4).prop_map(Arrival::Samples),
        1 => backlog.prop_map(|(series, values, apart_ms, age_ms)| {
            Arrival::Backlog { series, values, apart_ms, age_ms }
        }),
        1 => (0..6_usize).prop_map(Arrival::Again),
    ];
    let gap = prop_oneof![9 => 1..9_i64, 1 => 9..45_i64];
    prop::collection::vec((gap, arrival), 1..25).prop_map(move |arrivals| {
        let mut told: Vec<Batch> = Vec::new();
        let mut now = 0;
        for (gap, arrival) in arrivals {
            now += gap;
            let samples = match arrival {
                Arrival::Samples(samples) => {
                    let of = |(series, value, shift)| sample_of(series, value, now + shift);
                    samples.into_iter().map(of).collect()
                }
                Arrival::Backlog { series, values, apart_ms, age_ms } => {
                    let newest = now - age_ms;
                    let oldest = newest - values.len() as i64 * apart_ms;
                    let mut values: Vec<_> = values.into_iter().zip(1..).collect();
                    values.sort_by_key(|((_, place), _)| *place);
                    let of = |((value, _), nth)| sample_of(series, value, oldest + nth * apart_ms);
                    values.into_iter().map(of).collect()
                }
                Arrival::Again(before) => {
                    let again = told.len().checked_sub(before + 1).map(|at| &told[at]);
                    again.map(|batch| batch.samples.clone()).unwrap_or_default()
                }
            };
            told.push(Batch { arrives_ms: now, samples });
        }
        told.retain(|batch| batch.arrives_ms < end_ms);
        told
    })
}

fn sample_of(series: usize, value: f64, ms: i64) -> Sample {
    let pairs = [(METRIC_NAME, ["a", "b"][series % 2]), ("s", ["x", "y"][series / 2])];
    let series = Labels::from_pairs(pairs).expect("labels");
    Sample { series, value, time: Timestamp::from_ms(ms) }
}
