//! The parts of a rule that do not know of each other, each with its series.

use std::sync::Arc;

use bellwire_model::{Fingerprint, Labels, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use super::health::{FailingPart, Health};
use crate::evaluation::Selected;
use crate::evaluation::outline::Outline;
use crate::plan::SelectorId;
use crate::storage::{SeriesId, grow_by_little};

/// A part of a rule; the number is used again once the part is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PartitionId(u32);

/// Bytes of a part that a series has for itself.
pub(super) const PARTITION_BYTES: usize = size_of::<Option<Partition>>();

/// Outlines of a rule that may be kept although no part has them any more.
const OUTLINES_MIN: usize = 64;

/// A part of a rule.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) members: Members,
    /// The alerts that it raises.
    pub(super) raised: Vec<Fingerprint>,
    /// The series that it records.
    pub(super) recorded: Vec<SeriesId>,
    /// When it is evaluated although nothing comes.
    pub(super) wake: Option<Timestamp>,
    /// The elements that it came to last.
    pub(super) elements: u32,
    /// What it can give, as far as is known.
    pub(super) outlined: Outlined,
    /// Whether its last evaluation failed.
    is_failing: bool,
    /// The step that touched it last.
    touched: u64,
}

/// What is known of the outline of a part.
#[derive(Debug, Default)]
pub(super) enum Outlined {
    /// Its series have changed, and may go on doing so.
    #[default]
    Moving,
    /// It was evaluated once since.
    Settled,
    /// It has none.
    Refused,
    Known {
        outline: Arc<Outline>,
        /// Of a recording rule, the series that each element is recorded as, if it ever was.
        targets: Box<[Option<SeriesId>]>,
    },
}

/// The series of a part.
#[derive(Debug)]
pub(super) enum Members {
    /// One series, of the rule's only selector.
    One(SeriesId),
    Grouped(Box<Grouped>),
}

#[derive(Debug)]
pub(super) struct Grouped {
    key: Labels,
    /// The series of each selector.
    by_selector: Box<[Vec<SeriesId>]>,
}

impl Grouped {
    /// What its series have in common.
    pub(super) fn key(&self) -> &Labels {
        &self.key
    }
}

impl Members {
    /// The series of each selector.
    pub(super) fn selected(&self) -> Selected<'_> {
        match self {
            Self::One(id) => Selected::Only(std::slice::from_ref(id)),
            Self::Grouped(grouped) => Selected::Each(&grouped.by_selector),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Grouped(grouped) => grouped.by_selector.iter().all(Vec::is_empty),
        }
    }
}

/// All parts of a rule.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    slots: Vec<Option<Partition>>,
    free: Vec<PartitionId>,
    by_key: FxHashMap<Labels, PartitionId>,
    /// The outlines of all parts; most share one.
    outlines: FxHashSet<Arc<Outline>>,
    /// The elements of all parts together.
    pub(super) elements: usize,
    /// Whether there are more of them than the group allows.
    pub(super) is_over_limit: bool,
    health: Health,
}

impl Partitions {
    pub(super) fn get(&self, id: PartitionId) -> &Partition {
        self.slots[id.0 as usize].as_ref().expect("ids in use are of parts that exist")
    }

    pub(super) fn get_mut(&mut self, id: PartitionId) -> &mut Partition {
        self.slots[id.0 as usize].as_mut().expect("ids in use are of parts that exist")
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PartitionId> {
        let used = self.slots.iter().enumerate().filter(|(_, slot)| slot.is_some());
        used.map(|(index, _)| PartitionId(index as u32))
    }

    /// The parts that are evaluated although nothing comes, and when.
    pub(super) fn wakes(&self) -> impl Iterator<Item = (PartitionId, Timestamp)> {
        self.ids().filter_map(|id| Some((id, self.get(id).wake?)))
    }

    /// The only part of a rule in tick mode.
    pub(super) fn only(&self) -> PartitionId {
        self.ids().next().expect("a rule in tick mode has its part from the beginning on")
    }

    /// Whether there is such a part and it is evaluated then although nothing comes.
    pub(super) fn wakes_at(&self, id: PartitionId, due: Timestamp) -> bool {
        let slot = self.slots.get(id.0 as usize).and_then(Option::as_ref);
        slot.is_some_and(|part| part.wake == Some(due))
    }

    /// The time of a timer has come. Says whether it was still that of the part.
    pub(super) fn end_wake(&mut self, id: PartitionId, due: Timestamp) -> bool {
        let is_armed = self.wakes_at(id, due);
        if is_armed {
            self.get_mut(id).wake = None;
        }
        is_armed
    }

    /// A part for one series.
    pub(super) fn insert_single(&mut self, series: SeriesId) -> PartitionId {
        self.insert(Members::One(series))
    }

    /// The part with this key, new if there is none.
    pub(super) fn find_or_insert(&mut self, key: Labels, selectors: usize) -> PartitionId {
        if let Some(id) = self.by_key.get(&key) {
            return *id;
        }
        let by_selector = vec![Vec::new(); selectors].into();
        let id = self.insert(Members::Grouped(Box::new(Grouped { key: key.clone(), by_selector })));
        self.by_key.insert(key, id);
        id
    }

    fn insert(&mut self, members: Members) -> PartitionId {
        let id = self.free.pop().unwrap_or_else(|| {
            grow_by_little(&mut self.slots);
            self.slots.push(None);
            PartitionId(self.slots.len() as u32 - 1)
        });
        self.slots[id.0 as usize] = Some(Partition {
            members,
            raised: Vec::new(),
            recorded: Vec::new(),
            wake: None,
            elements: 0,
            outlined: Outlined::default(),
            is_failing: false,
            touched: 0,
        });
        id
    }

    /// Adds a series to a part.
    pub(super) fn join(&mut self, id: PartitionId, selector: SelectorId, series: SeriesId) {
        let part = self.get_mut(id);
        part.outlined = Outlined::Moving;
        if let Members::Grouped(grouped) = &mut part.members {
            grouped.by_selector[selector.0 as usize].push(series);
        }
    }

    /// Takes series from a part.
    pub(super) fn leave(&mut self, id: PartitionId, series: &FxHashSet<SeriesId>) {
        let part = self.get_mut(id);
        part.outlined = Outlined::Moving;
        if let Members::Grouped(grouped) = &mut part.members {
            for members in &mut grouped.by_selector {
                members.retain(|member| !series.contains(member));
            }
        }
    }

    /// Notes the outline of a part.
    pub(super) fn set_outline(
        &mut self,
        id: PartitionId,
        outline: Outline,
        targets: Box<[Option<SeriesId>]>,
    ) {
        let outline = if let Some(outline) = self.outlines.get(&outline) {
            Arc::clone(outline)
        } else {
            if self.outlines.len() >= OUTLINES_MIN.max(self.slots.len()) {
                self.outlines.retain(|outline| Arc::strong_count(outline) > 1);
            }
            let outline = Arc::new(outline);
            self.outlines.insert(Arc::clone(&outline));
            outline
        };
        self.get_mut(id).outlined = Outlined::Known { outline, targets };
    }

    /// Whether a part has no series and nothing to say.
    pub(super) fn is_idle(&self, id: PartitionId) -> bool {
        let part = self.get(id);
        part.members.is_empty() && part.raised.is_empty() && part.recorded.is_empty()
    }

    /// Removes a part; it was the one of a series that is gone, or it is idle.
    pub(super) fn remove(&mut self, id: PartitionId) -> Partition {
        let part = self.slots[id.0 as usize].take().expect("only parts that exist are removed");
        if let Members::Grouped(grouped) = &part.members {
            self.by_key.remove(&grouped.key);
        }
        self.elements -= part.elements as usize;
        if part.is_failing {
            self.health.mend();
        }
        self.free.push(id);
        part
    }

    /// Whether this is the first touch of the part in this step.
    pub(super) fn touch(&mut self, id: PartitionId, step: u64) -> bool {
        std::mem::replace(&mut self.get_mut(id).touched, step) != step
    }

    /// Notes how many elements a part has come to.
    pub(super) fn count(&mut self, id: PartitionId, elements: usize, now: Timestamp) {
        let part = self.get_mut(id);
        let before = std::mem::replace(&mut part.elements, elements as u32);
        let was_failing = std::mem::take(&mut part.is_failing);
        self.elements = self.elements - before as usize + elements;
        self.health.succeed(now);
        if was_failing {
            self.health.mend();
        }
    }

    /// Notes that an evaluation of a part has failed.
    pub(super) fn fail(&mut self, id: PartitionId, reason: &str, now: Timestamp) {
        let was_failing = std::mem::replace(&mut self.get_mut(id).is_failing, true);
        let part = if was_failing { FailingPart::Known } else { FailingPart::New };
        self.health.fail(now, reason, part);
    }

    /// How the evaluations of the rule go.
    pub(super) fn health(&self) -> Health {
        let mut health = self.health.clone();
        if self.is_over_limit {
            health.last_error.get_or_insert_with(|| "exceeded limit".into());
        }
        health
    }
}
