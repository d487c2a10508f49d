//! Arithmetic and comparisons between two vectors: which element meets which, with `on`,
//! `ignoring`, `group_left` and `group_right`.

use bellwire_model::{Labels, METRIC_NAME, NameMap, NameSet};

use super::{Evaluated, Evaluation, EvaluationError, Item, Items, NameRemoval, without_name};
use crate::plan::{Cardinality, Comparison, LabelSet, Match, Side};

impl Evaluation<'_> {
    pub(super) fn match_vectors(&mut self, matching: &Match, time: i64) -> Evaluated<Items> {
        let left = self.vector(&matching.left, time)?;
        let right = self.vector(&matching.right, time)?;
        // One element of the one side meets any number of the many side.
        let (many, one, many_side) = match &matching.cardinality {
            Cardinality::Grouped { many: Side::Right, .. } => (right, left, Side::Right),
            _ => (left, right, Side::Left),
        };
        if many.is_empty() || one.is_empty() {
            return Ok(Vec::new());
        }
        let ones = unique(&one, &matching.matching, many_side)?;
        let mut results: Items = Vec::with_capacity(many.len());
        // With `group_left` and its kin many may match one, if their results differ.
        let mut matched: NameSet<(Labels, Option<Labels>)> = NameSet::default();
        for item in many {
            let group = item.labels.filtered(|name| matching.matching.has(name));
            let Some(other) = ones.get(&group) else { continue };
            let labels = self.result_labels(matching, &item.labels, &other.labels)?;
            // Also where the comparison does not hold: which match must not depend on values.
            if matching.cardinality == Cardinality::OneToOne {
                if !matched.insert((group, None)) {
                    return Err(EvaluationError::ManyToOne);
                }
            } else if !matched.insert((group, Some(labels.clone()))) {
                return Err(EvaluationError::SameMatches);
            }
            let (left, right) = match many_side {
                Side::Left => (item.number, other.number),
                Side::Right => (other.number, item.number),
            };
            let operation = (matching.operator, matching.comparison);
            let Some(number) = self.keep(operation, (left, right), left, time) else { continue };
            let drops_name = item.drops_name || matching.comparison == Comparison::GivesNumber;
            results.push(Item { labels, number, drops_name });
        }
        self.checked(results)
    }

    /// The labels of a match: those of the many side, or those that are matched.
    pub(super) fn result_labels(
        &self,
        matching: &Match,
        many: &Labels,
        one: &Labels,
    ) -> Evaluated<Labels> {
        let gives_number = matching.comparison == Comparison::GivesNumber;
        let at_once = self.conventions.names == NameRemoval::AtOnce;
        let drops_name = !matching.operator.is_comparison() || (gives_number && at_once);
        let labels = if drops_name { without_name(many) } else { many.clone() };
        match &matching.cardinality {
            Cardinality::OneToOne => Ok(match &matching.matching {
                LabelSet::Only(names) => {
                    labels.filtered(|name| names.iter().any(|kept| **kept == *name))
                }
                LabelSet::AllBut(names) => {
                    labels.filtered(|name| names.iter().all(|gone| **gone != *name))
                }
            }),
            Cardinality::Grouped { include, .. } => {
                let mut labels = labels;
                for name in include {
                    labels = labels.with(name, one.get(name).unwrap_or_default())?;
                }
                Ok(labels)
            }
        }
    }
}

/// The elements of the one side by what is matched, each unique.
fn unique<'i>(
    items: &'i [Item],
    matching: &LabelSet,
    many: Side,
) -> Evaluated<NameMap<Labels, &'i Item>> {
    let mut unique: NameMap<Labels, &Item> = NameMap::default();
    for item in items {
        let group = item.labels.filtered(|name| matching.has(name));
        if let Some(other) = unique.insert(group.clone(), item) {
            return Err(EvaluationError::ManyToMany {
                group: bare(&group).into(),
                side: if many == Side::Left { "right" } else { "left" },
                one: item.labels.clone(),
                other: other.labels.clone(),
            });
        }
    }
    Ok(unique)
}

/// Labels in braces, the metric name too.
fn bare(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .filter(|(name, _)| *name != METRIC_NAME)
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
