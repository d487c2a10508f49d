//! What it means for an alert that its element is no longer there: that depends on what its rule
//! says of `resolve_expr` and `on_data_lost`.

use bellwire_model::{Labels, METRIC_NAME, NameSet};

use crate::evaluation::{Evaluated, Evaluation, Item};
use crate::plan::{Hysteresis, Plan, Root};

/// Why an element is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its condition no longer holds.
    Over,
    /// Its condition does not hold, but that of its end does not either.
    Between,
    /// There are no samples for it any more.
    Lost,
}

/// Which elements end, and which there are samples for, at one instant.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    /// Those that `resolve_expr` gives; nothing where there is none.
    resolved: Option<NameSet<Labels>>,
    /// Those that there are samples for; nothing where that is not known.
    present: Option<NameSet<Labels>>,
}

impl Endings {
    /// What a rule says at an instant.
    pub(crate) fn of(plan: &Plan, evaluation: &mut Evaluation<'_>, time: i64) -> Evaluated<Self> {
        let Some(Hysteresis { resolve, presence }) = plan.hysteresis.as_deref() else {
            return Ok(Self::default());
        };
        let mut labels = |root: &Root| evaluation.items(root, time).map(bare);
        Ok(Self {
            resolved: resolve.as_ref().map(&mut labels).transpose()?,
            // What cannot be evaluated says nothing.
            present: presence.as_ref().and_then(|root| labels(root).ok()),
        })
    }

    /// The elements that there are samples for, as far as is known, without metric names.
    pub(crate) fn present(&self) -> Vec<&Labels> {
        let mut present: Vec<&Labels> = self.present.iter().flatten().collect();
        present.sort_unstable();
        present
    }

    /// Why an element is no longer there.
    pub(crate) fn of_element(&self, element: &Labels) -> Ending {
        let element = without_name(element);
        let has = |set: &Option<NameSet<Labels>>| set.as_ref().map(|set| set.contains(&element));
        match (has(&self.resolved), has(&self.present)) {
            (Some(true), _) | (None, None | Some(true)) => Ending::Over,
            (_, Some(false)) => Ending::Lost,
            (Some(false), _) => Ending::Between,
        }
    }
}

fn bare(items: Vec<Item>) -> NameSet<Labels> {
    items.into_iter().map(|item| without_name(&item.labels)).collect()
}

/// What is compared: the metric's name may be gone from one and not from the other.
fn without_name(labels: &Labels) -> Labels {
    labels.filtered(|name| name != METRIC_NAME)
}
