//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`.

use std::cmp::Ordering;

use super::{Evaluated, Evaluation, Item, Items, NoteKind};
use crate::plan::{Sort, SortOrder};

impl Evaluation<'_> {
    pub(super) fn sort(&mut self, sort: &Sort, time: i64) -> Evaluated<Items> {
        let mut items = self.vector(&sort.vector, time)?;
        if self.span.start != self.span.end {
            let text = "sort is ineffective for range queries since results are always ordered by \
                        labels";
            self.note(NoteKind::Warning, sort.noted_at, text.to_owned());
        }
        match &sort.labels {
            None => items.sort_by(|a, b| by_value(a, b, sort.order)),
            Some(labels) => items.sort_by(|a, b| {
                let ascending = by_labels(a, b, labels);
                if sort.order == SortOrder::Ascending { ascending } else { ascending.reverse() }
            }),
        }
        Ok(items)
    }
}

/// By value, NaN last whatever the order.
fn by_value(a: &Item, b: &Item, order: SortOrder) -> Ordering {
    let (a, b) = (a.value(), b.value());
    let ascending = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    let ordered = if order == SortOrder::Ascending { ascending } else { ascending.reverse() };
    a.is_nan().cmp(&b.is_nan()).then(ordered)
}

/// By the given labels one after the other, then by all.
fn by_labels(a: &Item, b: &Item, labels: &[Box<str>]) -> Ordering {
    let value = |item: &Item, label: &str| item.labels.get(label).unwrap_or_default().to_owned();
    let by = |label: &str| natural(&value(a, label), &value(b, label));
    let first = labels.iter().map(|label| by(label)).find(|ordering| ordering.is_ne());
    first.unwrap_or_else(|| a.labels.iter().cmp(b.labels.iter()))
}

/// As people order names: numbers within them count as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let ((piece_a, rest_a), (piece_b, rest_b)) = (piece(a), piece(b));
        let number = |text: &str| text.parse::<u64>().ok();
        let ordering = match (number(piece_a), number(piece_b)) {
            (Some(one), Some(other)) => one.cmp(&other).then_with(|| piece_a.cmp(piece_b)),
            _ => piece_a.cmp(piece_b),
        };
        if ordering.is_ne() {
            return ordering;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

/// The digits, or what is no digit, at the start.
fn piece(text: &str) -> (&str, &str) {
    let is_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(text.len());
    text.split_at(end)
}
