//! What queries were before anybody followed them, so that a chart of one that is typed by hand opens
//! full.
//!
//! ```text
//! pasts of the series (state table) ─┐
//!                                    ├─▶ evaluated at some instants ─▶ before the query's own past
//! samples that rules remember ───────┘       by a thread that serves nobody
//! ```
//!
//! Of series that nobody has looked at the query itself is given the samples that it looks back at, so
//! that it has an answer before the next ones come.
//!
//! It is a query as any other: it waits for its turn, and takes what one may. Where it takes longer, or
//! there is too much to look at, the past begins with the query.

use std::sync::Arc;
use std::time::Duration;

use bellwire_alerting::{LiveQueries, LiveQuery};
use bellwire_model::limits::{
    LIVE_PAST_PATIENCE, LIVE_PAST_SERIES_MAX, LIVE_PAST_STEPS, LIVE_SEED_SAMPLES, LOOKBACK,
};
use bellwire_model::{FilterSet, Labels, Sample, Timestamp};
use bellwire_process::clock;
use bellwire_rules::{Answer, Conventions, Excerpt, Plan, Question, Reading, Span, Value};
use bellwire_shards::{PastPoint, States};
use bellwire_wire::json;

use crate::queries::Queries;
use crate::turns::Asker;

/// Finds out what queries were before they began.
#[derive(Debug)]
pub(crate) struct QueryPasts {
    /// What that may take, as any other query.
    pub(crate) queries: Arc<Queries>,
    pub(crate) states: Arc<States>,
}

/// The shortest step between two instants: a chart has no use for a finer one.
const STEP_MIN: Duration = Duration::from_secs(1);

impl QueryPasts {
    /// Remembers what a query was that stands, as far as its series are remembered. Where that comes to
    /// nothing, for whatever reason, the query's past begins with it.
    pub(super) async fn fill(
        &self,
        live: &LiveQueries,
        (query, is_wanted): (LiveQuery, impl Fn() -> bool + Send + 'static),
        asker: Asker,
    ) {
        let topic = query.id().topic();
        let window = self.states.past_window(&topic);
        // What is on a tick looks at other instants than its own.
        if window.is_zero() || query.asked().0.is_on_tick() {
            return;
        }
        let work = self.find(live, (&query, is_wanted), (window, asker));
        match tokio::time::timeout(LIVE_PAST_PATIENCE, work).await {
            Ok(Some(())) => {}
            Ok(None) | Err(_) => {
                tracing::debug!(%topic, "A query's past begins with the query.");
            }
        }
    }

    async fn find(
        &self,
        live: &LiveQueries,
        (query, is_wanted): (&LiveQuery, impl Fn() -> bool + Send + 'static),
        (window, asker): (Duration, Asker),
    ) -> Option<()> {
        let place = self.queries.place(asker).await;
        let (allowance, _waiter) = self.queries.allowance();
        let (plan, sight) = query.asked();
        let end = clock::slewed().now;
        let span = Span { start: end.saturating_sub(window), end };
        let step = (window / LIVE_PAST_STEPS).max(STEP_MIN);
        let question = Arc::new(Question {
            plan: plan.clone(),
            conventions: Conventions::default(),
            span: Some(span),
            step: Some(step),
            sight: sight.clone(),
        });
        let reading = live.excerpt(Excerpt::new(Arc::clone(&question), allowance)).await.ok()?;
        let states = Arc::clone(&self.states);
        let find = move || {
            let _place = place;
            answer(&states, &question, reading)
        };
        let (answer, lacked) = tokio::task::spawn_blocking(find).await.ok().flatten()?;
        let reach = plan.reach().max(LOOKBACK);
        for samples in pieces(lacked, end.saturating_sub(reach)) {
            live.seed(samples).await.ok()?;
        }
        let (states, topic) = (Arc::clone(&self.states), query.id().topic());
        let remember = move || states.remember_before(&topic, &points(answer), is_wanted);
        tokio::task::spawn_blocking(remember).await.ok()
    }
}

/// The points of series.
type Pasts = Vec<(Labels, Vec<(Timestamp, f64)>)>;

/// What the question comes to, of what rules remember and of the pasts of series; and those of which
/// rules remember nothing.
fn answer(states: &States, question: &Question, mut reading: Reading) -> Option<(Answer, Pasts)> {
    let pasts = states.series_pasts(&topics(&question.plan)?, LIVE_PAST_SERIES_MAX)?;
    let lacked = reading.add(pasts.into_iter().map(|(labels, past)| {
        let points = past.points().map(|it| (Timestamp::from_ms(it.time_ms), it.value));
        (labels, points.collect())
    }));
    let (storage, span, mut allowance) = reading.finish().ok()?;
    let answer = question.answer((&storage, span), &mut allowance).ok()?;
    Some((answer, lacked))
}

/// What the query itself is to look at of these series, from then on: some series at a time, each whole.
fn pieces(lacked: Pasts, since: Timestamp) -> Vec<Vec<Sample>> {
    let mut pieces: Vec<Vec<Sample>> = Vec::new();
    for (series, points) in lacked {
        let first = points.partition_point(|(time, _)| *time < since);
        let samples = points[first..].iter().map(|(time, value)| Sample {
            series: series.clone(),
            value: *value,
            time: *time,
        });
        match pieces.last_mut().filter(|piece| piece.len() < LIVE_SEED_SAMPLES) {
            Some(piece) => piece.extend(samples),
            None => pieces.push(samples.collect()),
        }
    }
    pieces
}

/// Where the series are that an expression selects.
fn topics(plan: &Plan) -> Option<FilterSet> {
    let filters = match plan.metrics() {
        None => vec!["samples/**".parse().expect("a filter")],
        Some(metrics) => {
            metrics.iter().filter_map(|metric| format!("samples/{metric}").parse().ok()).collect()
        }
    };
    FilterSet::new(filters).ok()
}

/// The points of each element, by its key.
fn points(answer: Answer) -> Vec<(String, Vec<PastPoint>)> {
    let Value::Matrix(series) = answer.value else { return Vec::new() };
    let point = |(time, value): (Timestamp, f64)| PastPoint { time_ms: time.as_ms(), value };
    let elements = series.into_iter();
    elements
        .map(|it| (json::element_key(&it.labels), it.values.into_iter().map(point).collect()))
        .collect()
}
