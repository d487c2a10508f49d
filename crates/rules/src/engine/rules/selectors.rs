//! Which selectors may select a series: by its metric, those of standing queries by a label as well.
//!
//! There are few rules of one metric. Queries of one differ mostly by a label (`cpu{host="a"}`), and may
//! be thousands: whoever sends a series that none of them selects must not pay for each.

use std::collections::hash_map::Entry;

use bellwire_model::limits::LIVE_VALUES_INDEXED_MAX;
use bellwire_model::{Labels, NameMap};

use crate::engine::ids::RuleId;
use crate::plan::SelectorId;
use crate::selector::Selector;

type Id = (RuleId, SelectorId);

/// Those of all rules and queries.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    by_metric: NameMap<Box<str>, OfMetric>,
    /// Those that may select any metric.
    of_any_metric: OfMetric,
}

/// Those that may select series of one metric.
#[derive(Debug, Default)]
struct OfMetric {
    /// Those that each of its series is compared with.
    all: Vec<Id>,
    /// Those of queries that select one value of a label, by both.
    by_label: NameMap<Box<str>, NameMap<Box<str>, Vec<Id>>>,
    /// Of the first ones, those of queries that do not select each series.
    scanned: usize,
}

/// How a selector is found.
enum Found<'s> {
    /// By a label that has one of these values.
    ByLabel(&'s str, Vec<&'s str>),
    /// By its metric alone.
    ByMetric,
}

impl Selectors {
    /// Adds one of a rule.
    pub(super) fn add(&mut self, id: Id, selector: &Selector) {
        self.list_mut(selector).all.push(id);
    }

    /// Adds one of a query. `is_scanned`: whether it may be compared with series in vain.
    pub(super) fn add_of_query(&mut self, id: Id, (selector, is_scanned): (&Selector, bool)) {
        let list = self.list_mut(selector);
        match found(selector) {
            Found::ByMetric => {
                list.all.push(id);
                list.scanned += usize::from(is_scanned);
            }
            Found::ByLabel(label, values) => {
                if !list.by_label.contains_key(label) {
                    list.by_label.insert(label.into(), NameMap::default());
                }
                let of_label = list.by_label.get_mut(label).expect("it was put there a line ago");
                for value in values {
                    of_label.entry(value.into()).or_default().push(id);
                }
            }
        }
    }

    /// Takes one of a query away.
    pub(super) fn remove_of_query(&mut self, id: Id, (selector, is_scanned): (&Selector, bool)) {
        let list = self.list_mut(selector);
        match found(selector) {
            Found::ByMetric => {
                let before = list.all.len();
                list.all.retain(|other| *other != id);
                list.scanned -= usize::from(is_scanned && list.all.len() < before);
            }
            Found::ByLabel(label, values) => {
                let Some(of_label) = list.by_label.get_mut(label) else { return };
                for value in values {
                    let Entry::Occupied(mut ids) = of_label.entry(value.into()) else { continue };
                    ids.get_mut().retain(|other| *other != id);
                    if ids.get().is_empty() {
                        ids.remove();
                    }
                }
                if of_label.is_empty() {
                    list.by_label.remove(label);
                }
            }
        }
        if let Some(metric) = selector.metric_name()
            && self.by_metric.get(metric).is_some_and(OfMetric::is_empty)
        {
            self.by_metric.remove(metric);
        }
    }

    /// How many selectors of queries are compared with each series with which this one would be.
    pub(super) fn scanned(&self, selector: &Selector) -> usize {
        let list = match selector.metric_name() {
            Some(metric) => self.by_metric.get(metric),
            None => Some(&self.of_any_metric),
        };
        list.map_or(0, |list| list.scanned)
    }

    /// Whether it would be compared with each series of its metric.
    pub(super) fn is_compared(selector: &Selector) -> bool {
        matches!(found(selector), Found::ByMetric)
    }

    /// Those that may select a series, each once.
    pub(super) fn of(&self, series: &Labels) -> impl Iterator<Item = Id> {
        let of_metric = series.metric_name().and_then(|metric| self.by_metric.get(metric));
        let lists = of_metric.into_iter().chain([&self.of_any_metric]);
        lists.flat_map(move |list| {
            let by_label = (!list.by_label.is_empty()).then(|| {
                let labels = series.iter();
                labels.filter_map(|(name, value)| list.by_label.get(name)?.get(value)).flatten()
            });
            list.all.iter().chain(by_label.into_iter().flatten()).copied()
        })
    }

    fn list_mut(&mut self, selector: &Selector) -> &mut OfMetric {
        match selector.metric_name() {
            Some(metric) => self.by_metric.entry(metric.into()).or_default(),
            None => &mut self.of_any_metric,
        }
    }
}

impl OfMetric {
    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.by_label.is_empty()
    }
}

fn found(selector: &Selector) -> Found<'_> {
    match selector.values(LIVE_VALUES_INDEXED_MAX) {
        Some((label, values)) => Found::ByLabel(label, values),
        None => Found::ByMetric,
    }
}
