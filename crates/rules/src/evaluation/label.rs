//! `label_replace` and `label_join`.

use bellwire_model::{Labels, METRIC_NAME};

use super::{Evaluated, Evaluation, Items};
use crate::plan::{LabelJoin, LabelReplace};

/// Bytes of labels that are put together while an operator gives an element.
const LABEL_BYTES_PER_OPERATION: usize = 512;

/// Bytes of an expression, compiled, times bytes of a text that it looks through in that time.
const EXPRESSION_BYTES_PER_OPERATION: usize = 8 * 1024;

impl Evaluation<'_> {
    pub(super) fn label_replace(&mut self, replace: &LabelReplace, time: i64) -> Evaluated<Items> {
        let mut items = self.vector(&replace.vector, time)?;
        for item in &mut items {
            self.looked_for(replace, &item.labels)?;
            let Some(labels) = replace.replaced(&item.labels)? else { continue };
            self.operated(labels.size_bytes() / LABEL_BYTES_PER_OPERATION)?;
            item.labels = labels;
            // A name that was set on purpose stays.
            item.drops_name &= *replace.target != *METRIC_NAME;
        }
        self.checked(items)
    }

    /// An expression looks through a label, in a time that grows with both.
    fn looked_for(&mut self, replace: &LabelReplace, labels: &Labels) -> Evaluated<()> {
        let source = labels.get(&replace.source).unwrap_or_default().len();
        let steps = source.saturating_mul(replace.regex.bytes()) / EXPRESSION_BYTES_PER_OPERATION;
        self.operated(steps)
    }

    pub(super) fn label_join(&mut self, join: &LabelJoin, time: i64) -> Evaluated<Items> {
        let mut items = self.vector(&join.vector, time)?;
        for item in &mut items {
            item.labels = join.labels(&item.labels)?;
            self.operated(item.labels.size_bytes() / LABEL_BYTES_PER_OPERATION)?;
            item.drops_name &= *join.target != *METRIC_NAME;
        }
        self.checked(items)
    }
}

impl LabelReplace {
    /// The labels that an element gets, where there is something to replace.
    fn replaced(&self, labels: &Labels) -> Evaluated<Option<Labels>> {
        let source = labels.get(&self.source).unwrap_or_default();
        let Some(text) = self.regex.expand(source, &self.replacement) else { return Ok(None) };
        Ok(Some(labels.with(&self.target, &text)?))
    }

    /// The labels that an element has afterwards.
    pub(super) fn labels(&self, labels: &Labels) -> Evaluated<Labels> {
        Ok(self.replaced(labels)?.unwrap_or_else(|| labels.clone()))
    }
}

impl LabelJoin {
    /// The labels that an element gets.
    pub(super) fn labels(&self, labels: &Labels) -> Evaluated<Labels> {
        let sources = self.sources.iter();
        let values: Vec<&str> =
            sources.map(|source| labels.get(source).unwrap_or_default()).collect();
        Ok(labels.with(&self.target, &values.join(&self.separator))?)
    }
}
