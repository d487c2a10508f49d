//! What the writer tells the readers: topics, blocks, retention's figures, and the tail.
//!
//! Only the writer's thread changes it. A change that removes events is made under the same
//! lock as the commit that removes them, so that a reader who takes its snapshot of the file
//! under the lock finds both in agreement.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bellwire_model::limits::READ_STEP_LOOKS_MAX;
use bellwire_model::{FilterSet, Offset, Topic};
use rustc_hash::FxHashMap;

use super::block_number::BlockNumber;
use super::blocks::{Blocks, Mark, RemovedByTopic, Summary, Tally};
use super::present::Present;
use super::schema::damaged;
use super::sums::EventSums;
use crate::Bounds;
use crate::retention::Retention;
use crate::topics::{TopicId, Topics};
use crate::trims::Search;

/// Blocks that a reader plans for at once: about as many as fill a page.
const PLAN_BLOCKS_MAX: usize = 8;
/// Topics that a read knows before it begins anew, 64 bytes each; those of a plan come on top.
const KNOWN_MAX: usize = 65_536;

/// The index behind its lock.
pub(super) type SharedIndex = Arc<IndexLock>;

/// A lock that nobody panics under. It may be held while something is written to the disk.
#[derive(Debug)]
pub(super) struct IndexLock {
    index: RwLock<Index>,
    /// Those of the index. Locked for a moment only: shards ask for them.
    bounds: Mutex<Bounds>,
}

impl IndexLock {
    pub(super) fn new(index: Index) -> Self {
        Self { bounds: Mutex::new(index.bounds()), index: RwLock::new(index) }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().expect("nothing panics while it changes the index")
    }

    /// For who holds a snapshot, unless somebody writes: that may be who waits for snapshots to be let
    /// go, so that the write-ahead file can begin afresh.
    pub(super) fn try_read(&self) -> Option<RwLockReadGuard<'_, Index>> {
        self.index.try_read().ok()
    }

    /// To change it. What its bounds are then is told before the lock is let go of.
    pub(super) fn write(&self) -> Changing<'_> {
        let index = self.index.write().expect("nothing panics while it changes the index");
        Changing { index, bounds: &self.bounds }
    }

    /// Where the journal begins and ends. Waits for nobody.
    pub(super) fn bounds(&self) -> Bounds {
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest removed event of the topics that match, looked for in pieces.
    pub(super) fn trimmed(&self, filters: &FilterSet) -> Offset {
        let mut search = Search::new(filters);
        loop {
            if let Some(trimmed) = self.read().topics.search(&mut search) {
                return trimmed;
            }
        }
    }
}

/// The index, locked to be changed.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    index: RwLockWriteGuard<'a, Index>,
    bounds: &'a Mutex<Bounds>,
}

impl Deref for Changing<'_> {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.index
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Index {
        &mut self.index
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner) = self.index.bounds();
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) topics: Topics,
    pub(super) blocks: Blocks,
    pub(super) retention: Retention,
    /// The newest durable offset.
    pub(super) tail: Offset,
    /// Counts removals: what a reader knows of blocks holds until it changes.
    pub(super) sweeps: u64,
    /// Blocks that retention could not clean, since they are damaged: they stay as they are, keep
    /// nobody from cleaning the others, and take no room of what a rule keeps.
    pub(super) damaged: BTreeSet<BlockNumber>,
}

impl Index {
    fn bounds(&self) -> Bounds {
        Bounds { trimmed: self.topics.trimmed_any(), tail: self.tail }
    }

    /// Counts a durable event in. Returns the block before it when that is full now.
    pub(super) fn add(&mut self, mark: Mark) -> Option<(BlockNumber, Summary)> {
        let rule = self.topics.add(mark.topic, 1, mark.bytes, mark.offset);
        // What comes into a block that is passed by could not make room either.
        let is_passed_by = |number| self.damaged.contains(&number);
        if self.damaged.is_empty() || !is_passed_by(self.blocks.number_for(mark.offset)) {
            self.retention.add(rule, 1, mark.bytes);
        }
        self.tail = mark.offset;
        self.blocks.add(mark)
    }

    /// Everything is forgotten up to `base`, which is the tail.
    pub(super) fn forget_all(&mut self, base: Offset) {
        self.topics.forget_all(base);
        self.blocks.forget_all();
        self.retention.forget_all();
        self.damaged.clear();
        self.tail = base;
        self.sweeps += 1;
    }

    /// Counts removed events out.
    pub(super) fn swept(&mut self, sweep: Sweep) {
        for (topic, removed) in sweep.removed {
            self.topics.remove(topic, removed);
        }
        for (number, left) in sweep.left {
            self.blocks.replace(number, left);
        }
        self.retention = sweep.retention;
        self.sweeps += 1;
    }

    /// Retention passes a block by from now on, of which so much was counted in.
    pub(super) fn pass_by(&mut self, number: BlockNumber, counted: &[(TopicId, Tally)]) {
        self.damaged.insert(number);
        for (topic, Tally { events, bytes, .. }) in counted {
            let rule = self.topics.get(*topic).and_then(|state| state.rule);
            self.retention.remove(rule, *events, *bytes);
        }
    }

    /// The next blocks with events between `after` and `tail` that match.
    pub(super) fn plan(&self, after: Offset, tail: Offset, matcher: &mut Matcher<'_>) -> Plan {
        matcher.forget_many();
        let (mut blocks, mut looks) = (Vec::new(), 0);
        let last = BlockNumber::of(tail);
        for (number, block) in self.blocks.around(after) {
            if number > last {
                break;
            }
            if looks >= READ_STEP_LOOKS_MAX || blocks.len() == PLAN_BLOCKS_MAX {
                let end = Offset::new(number.first().get() - 1).max(after);
                return Plan { blocks, end };
            }
            looks += 1 + block.topics.len();
            // Every topic is looked at: the matcher must know all topics of the block's events.
            let matching = block.topics.iter().filter(|id| matcher.knows(**id, &self.topics));
            if matching.count() > 0 {
                let range = self.blocks.range(number);
                blocks.push(Planned { number, range, present: self.blocks.present(number) });
            }
        }
        Plan { blocks, end: tail }
    }
}

/// What a step of retention did.
#[derive(Debug)]
pub(super) struct Sweep {
    /// What was removed of each topic.
    pub(super) removed: RemovedByTopic,
    /// What is left of each block that was touched.
    pub(super) left: Vec<(BlockNumber, Summary)>,
    /// The rules' figures afterwards.
    pub(super) retention: Retention,
}

/// Where a reader looks next.
#[derive(Debug)]
pub(super) struct Plan {
    /// The blocks to scan, in order.
    pub(super) blocks: Vec<Planned>,
    /// Up to here no other block has matching events.
    pub(super) end: Offset,
}

/// A block to scan.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) number: BlockNumber,
    /// Its first offset, and the last one that it had.
    pub(super) range: (Offset, Offset),
    pub(super) present: Present,
}

/// Filters, and which topics they are known to match. Lives for one read.
#[derive(Debug)]
pub(super) struct Matcher<'a> {
    filters: &'a FilterSet,
    known: FxHashMap<TopicId, Option<(Topic, EventSums)>>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(filters: &'a FilterSet) -> Self {
        Self { filters, known: FxHashMap::default() }
    }

    /// Forgets what it knows, if that is much.
    fn forget_many(&mut self) {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
    }

    /// Learns a topic; whether it matches.
    fn knows(&mut self, id: TopicId, topics: &Topics) -> bool {
        let known = self.known.entry(id).or_insert_with(|| {
            let topic = topics.get(id).map(|state| &state.topic);
            let topic = topic.filter(|topic| self.filters.matches(topic));
            topic.map(|topic| (topic.clone(), EventSums::new(topic)))
        });
        known.is_some()
    }

    /// The topic, if it matches, and of its events the checksums. Fails for one that no block
    /// told of.
    pub(super) fn topic(&self, id: TopicId) -> rusqlite::Result<Option<&(Topic, EventSums)>> {
        let known = self.known.get(&id).map(Option::as_ref);
        known.ok_or_else(|| damaged("an event of a topic that its block does not have"))
    }
}
