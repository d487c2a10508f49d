//! What a test would find that is yet to be written.

use std::time::Duration;

use bellwire_model::{Labels, Timestamp};

use super::file::{AlertCheck, Comparison, Suite, Test};
use super::judgement::{Alerts, Found, sort_alerts};
use super::run::ticked;
use super::stream::Stream;
use crate::rule::RuleSet;
use crate::series_text::Cell;
use crate::template::Externals;

/// What fires of a name at one time, by ticks and as samples arrive.
#[derive(Clone, Debug)]
pub(crate) struct Probed {
    pub(crate) after: Duration,
    pub(crate) name: Box<str>,
    pub(crate) by_ticks: Alerts,
    pub(crate) as_samples_arrive: Alerts,
}

/// Runs rules over series with a value each interval, and looks at alerts by their names at some
/// times, in their order. The first set of rules is one for tests, the other one a server's. Gives why
/// where a rule cannot be evaluated.
pub(crate) fn probe(
    (by_ticks, streamed): (&RuleSet, &RuleSet),
    series: Vec<(Labels, Vec<Cell>)>,
    interval: Duration,
    checks: &[(Duration, Box<str>)],
) -> Result<Vec<Probed>, Box<str>> {
    let check = |(after, name): &(Duration, Box<str>)| AlertCheck {
        after: *after,
        name: name.clone(),
        expected: Vec::new(),
    };
    let test = Test {
        name: "probe".into(),
        interval,
        start: Timestamp::from_ms(0),
        series,
        alerts: checks.iter().map(check).collect(),
        expressions: Vec::new(),
        externals: Externals::default(),
    };
    let suite = Suite {
        evaluation_interval: interval,
        group_order: Vec::new(),
        comparison: Comparison::Exact,
        tests: Vec::new(),
    };
    let (samples, mut run) = ticked(&test, &suite, by_ticks);
    if let Some(error) = run.errors.into_iter().next() {
        return Err(error);
    }
    run.found.sort_by_key(Found::after);
    let mut stream = Stream::new(&test, streamed, &samples);
    let mut probed = Vec::with_capacity(run.found.len());
    for found in run.found {
        let Found::Alerts(check, by_ticks) = found else { continue };
        let mut as_samples_arrive = stream.firing(check);
        sort_alerts(&mut as_samples_arrive);
        let AlertCheck { after, name, .. } = check;
        probed.push(Probed { after: *after, name: name.clone(), by_ticks, as_samples_arrive });
    }
    Ok(probed)
}
