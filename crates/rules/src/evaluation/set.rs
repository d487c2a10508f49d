//! `and`, `or`, `unless`: which elements are kept, by the labels of those on the other side.

use bellwire_model::{Labels, NameSet};

use super::{Evaluated, Evaluation, Item, Items};
use crate::plan::{SetOperation, SetOperator};

impl Evaluation<'_> {
    pub(super) fn set(&mut self, operation: &SetOperation, time: i64) -> Evaluated<Items> {
        let left = self.vector(&operation.left, time)?;
        let right = self.vector(&operation.right, time)?;
        let key = |item: &Item| item.labels.filtered(|name| operation.matching.has(name));
        let keys = |items: &[Item]| -> NameSet<Labels> { items.iter().map(key).collect() };
        Ok(match operation.operator {
            SetOperator::And => {
                let others = keys(&right);
                left.into_iter().filter(|item| others.contains(&key(item))).collect()
            }
            SetOperator::Unless => {
                let others = keys(&right);
                left.into_iter().filter(|item| !others.contains(&key(item))).collect()
            }
            SetOperator::Or => {
                let others = keys(&left);
                let added = right.into_iter().filter(|item| !others.contains(&key(item)));
                left.iter().cloned().chain(added).collect()
            }
        })
    }
}
