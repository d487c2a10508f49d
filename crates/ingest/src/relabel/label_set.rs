//! Labels that change.

use bellwire_model::{Labels, LabelsError};

/// Labels by name, each with a value, in the order in which Prometheus looks at them: those that were
/// there before, sorted, then those that were set, in turn. Where two labels are mapped to one name
/// it decides which of them counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSet {
    before: Vec<(Box<str>, Box<str>)>,
    set: Vec<(Box<str>, Box<str>)>,
}

impl LabelSet {
    /// Labels of these pairs; of a name that stands twice the last one counts.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        pairs.reverse();
        pairs.sort_by_key(|(name, _)| *name);
        pairs.dedup_by_key(|(name, _)| *name);
        let valued = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let before = valued.map(|(name, value)| (name.into(), value.into())).collect();
        Self { before, set: Vec::new() }
    }

    /// The value of a label; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.iter().find_map(|(known, value)| (known == name).then_some(value)).unwrap_or_default()
    }

    /// Sets a label; an empty value takes it away.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return self.remove(name);
        }
        if let Some((_, known)) = self.set.iter_mut().find(|(known, _)| **known == *name) {
            *known = value.into();
            return;
        }
        self.before.retain(|(known, _)| **known != *name);
        self.set.push((name.into(), value.into()));
    }

    /// Takes a label away.
    pub fn remove(&mut self, name: &str) {
        self.retain(|known| known != name);
    }

    /// Keeps labels by their names.
    pub fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.before.retain(|(name, _)| is_kept(name));
        self.set.retain(|(name, _)| is_kept(name));
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.before.iter().chain(&self.set).map(|(name, value)| (&**name, &**value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.set.is_empty()
    }

    /// The labels of a series, if they keep the bounds.
    pub fn to_labels(&self) -> Result<Labels, LabelsError> {
        Labels::from_pairs(self.iter())
    }
}
