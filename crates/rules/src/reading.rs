//! What a query looks at, read in pieces while samples go on coming, and as of one instant.

use std::sync::Arc;

use bellwire_model::{AlertState, Labels, NameMap, Timestamp};

use crate::alert_series;
use crate::evaluation::{Allowance, Element, EvaluationError, Question, Span};
use crate::selector::Selector;
use crate::sight;
use crate::storage::{Point, SeriesCopy, Size, Snapshot, Storage, Wanted};

/// What a query looks at.
#[derive(Debug)]
pub struct Reading {
    question: Arc<Question>,
    allowance: Allowance,
    /// The instants that it is of, once it has begun.
    span: Option<Span>,
    /// What is held of the allowance.
    held: Size,
    copies: Vec<SeriesCopy>,
    alerts: Vec<AlertCopy>,
    failed: Option<EvaluationError>,
}

/// What the series of an alert are made of.
#[derive(Debug)]
pub(crate) struct AlertCopy {
    pub(crate) labels: Labels,
    pub(crate) state: AlertState,
    pub(crate) active_at: Timestamp,
    /// The time of their samples.
    pub(crate) time: Timestamp,
}

impl Reading {
    /// Whoever asks takes the time for what makes the expressions of selectors fast, so that the
    /// engine finds what they select within few steps.
    pub(crate) fn new(question: Arc<Question>, allowance: Allowance) -> Self {
        question.make_tables();
        let (copies, alerts, held) = (Vec::new(), Vec::new(), Size::default());
        Self { question, allowance, span: None, held, copies, alerts, failed: None }
    }

    /// What it selects, were it to begin now.
    pub(crate) fn wanted(&self, now: Timestamp) -> Vec<Wanted> {
        let span = self.question.span.unwrap_or(Span::at(now));
        let wanted = self.question.reaches(span).map(|(selector, (after, until))| Wanted {
            selector: selector.clone(),
            after,
            until,
        });
        wanted.collect()
    }

    /// Begins: what there is from now on does not count. Where it does not say which instant it is
    /// asked of, it is this one: at an earlier one, series would be missing that have kept only
    /// what is newer.
    pub(crate) fn begin(
        &mut self,
        storage: &Storage,
        (now, wanted): (Timestamp, Vec<Wanted>),
    ) -> Snapshot {
        self.span = Some(self.question.span.unwrap_or(Span::at(now)));
        let sight = self.question.sight.clone();
        Snapshot::begin(storage, (wanted, sight), self.allowance.samples_max())
    }

    /// Whether it may select one of these metrics.
    pub(crate) fn may_select(&self, metrics: [&str; 2]) -> bool {
        let named = |selector: &Selector| {
            selector.metric_name().is_none_or(|metric| metrics.contains(&metric))
        };
        self.question.selectors().any(named)
    }

    /// Takes what gives the series of alerts. It shares the labels with the engine, and what becomes of
    /// it is held once it is known what of it is selected and may be seen.
    pub(crate) fn take_alerts(&mut self, alerts: Vec<AlertCopy>) {
        self.alerts = alerts;
    }

    /// Holds what has been copied so far; says whether it may go on.
    pub(crate) fn hold(&mut self, size: Size) -> bool {
        let samples = size.samples - self.held.samples;
        let bytes = size.bytes - self.held.bytes;
        self.held = size;
        let result = self.allowance.check();
        let result = result.and_then(|()| self.allowance.hold(samples));
        let result = result.and_then(|()| self.allowance.hold_bytes(bytes));
        self.note(result);
        self.failed.is_none()
    }

    /// Takes what a complete snapshot has copied.
    pub(crate) fn take(&mut self, snapshot: Snapshot) {
        self.hold(snapshot.size());
        self.copies = snapshot.into_copies();
    }

    fn note(&mut self, result: Result<(), EvaluationError>) {
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
    }

    fn is_wanted(&self, labels: &Labels) -> bool {
        self.question.selectors().any(|selector| selector.selects(labels))
            && sight::shows(&self.question.sight, labels)
    }

    /// Adds what else is known of series, oldest first; where there are samples of one, too, those count.
    /// Returns those of which there were none.
    pub fn add(
        &mut self,
        more: impl Iterator<Item = (Labels, Vec<(Timestamp, f64)>)>,
    ) -> Vec<(Labels, Vec<(Timestamp, f64)>)> {
        let mut lacked = Vec::new();
        let copies = self.copies.iter().enumerate();
        let places: NameMap<Labels, usize> =
            copies.map(|(place, copy)| (copy.labels.clone(), place)).collect();
        for (labels, points) in more {
            if !self.is_wanted(&labels) {
                continue;
            }
            let bytes = size_of::<SeriesCopy>() + labels.size_bytes();
            let held = self.allowance.check();
            let held = held.and_then(|()| self.allowance.hold(points.len()));
            let held = held.and_then(|()| self.allowance.hold_bytes(bytes));
            self.note(held);
            if self.failed.is_some() {
                break;
            }
            let point =
                |(time, value): &(Timestamp, f64)| Point { time: time.as_ms(), value: *value };
            let more = points.iter().map(point);
            match places.get(&labels) {
                None => {
                    let points_of = more.collect();
                    self.copies.push(SeriesCopy { labels: labels.clone(), points: points_of });
                    lacked.push((labels, points));
                }
                Some(place) => {
                    // Stable: of two of one time the sample stands first.
                    let known = &mut self.copies[*place].points;
                    known.extend(more);
                    known.sort_by_key(|point| point.time);
                    known.dedup_by_key(|point| point.time);
                }
            }
        }
        lacked
    }

    /// The samples, the instants that they are for, and what may be taken beside them. This takes
    /// its time, so it is for whoever asks, not for the engine.
    pub fn finish(self) -> Result<(Storage, Span, Allowance), EvaluationError> {
        let Self { question, mut allowance, span, mut copies, alerts, failed, .. } = self;
        if let Some(error) = failed {
            return Err(error);
        }
        let span = span.ok_or(EvaluationError::GivenUp)?;
        if !question.sight.is_all() {
            // There was no time to look at some of them.
            copies.retain(|copy| sight::shows(&question.sight, &copy.labels));
        }
        let is_selected = |labels: &Labels| {
            question.selectors().any(|selector| selector.selects(labels))
                && sight::shows(&question.sight, labels)
        };
        for AlertCopy { labels, state, active_at, time } in alerts {
            let given = alert_series::series(&labels, state, active_at).into_iter().flatten();
            for Element { labels, value } in given.filter(|given| is_selected(&given.labels)) {
                let bytes = size_of::<SeriesCopy>() + size_of::<Point>() + labels.size_bytes();
                allowance.hold_bytes(bytes)?;
                let points = vec![Point { time: time.as_ms(), value }];
                copies.push(SeriesCopy { labels, points });
            }
        }
        Ok((Storage::of_copies(copies.into_iter()), span, allowance))
    }
}
