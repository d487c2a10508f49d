//! `label_replace` and `label_join`.

use bellwire_model::METRIC_NAME;

use super::{Evaluated, Evaluation, Items};
use crate::plan::{LabelJoin, LabelReplace};

impl Evaluation<'_> {
    pub(super) fn label_replace(&mut self, replace: &LabelReplace, time: i64) -> Evaluated<Items> {
        let mut items = self.vector(&replace.vector, time)?;
        for item in &mut items {
            let source = item.labels.get(&replace.source).unwrap_or_default();
            let Some(captures) = replace.regex.captures(source) else { continue };
            let mut text = String::new();
            captures.expand(&replace.replacement, &mut text);
            item.labels = item.labels.with(&replace.target, &text)?;
            // A name that was set on purpose stays.
            item.drops_name &= *replace.target != *METRIC_NAME;
        }
        self.checked(items)
    }

    pub(super) fn label_join(&mut self, join: &LabelJoin, time: i64) -> Evaluated<Items> {
        let mut items = self.vector(&join.vector, time)?;
        for item in &mut items {
            let values: Vec<&str> = join
                .sources
                .iter()
                .map(|source| item.labels.get(source).unwrap_or_default())
                .collect();
            item.labels = item.labels.with(&join.target, &values.join(&join.separator))?;
            item.drops_name &= *join.target != *METRIC_NAME;
        }
        self.checked(items)
    }
}
