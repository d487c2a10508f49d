//! Blocks of offsets, and which topics each has events of.
//!
//! They stand in for an index by topic, which would cost six times the time of each append: a
//! reader skips the blocks that have none of its topics and scans the others.

use std::collections::BTreeMap;

use bellwire_model::{Offset, Timestamp};
use rustc_hash::FxHashMap;

use super::block_number::{BLOCK_OFFSETS, BlockNumber};
use super::present::{Layout, Offsets, Present};
use crate::topics::{Removed, TopicId};

/// One event as the summaries see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) offset: Offset,
    pub(super) topic: TopicId,
    pub(super) bytes: u64,
    pub(super) time: Timestamp,
}

/// The events of one topic in one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) last: Offset,
    pub(super) oldest: Timestamp,
}

/// The events of one block, by topic.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    tallies: FxHashMap<TopicId, Tally>,
    present: Offsets,
}

impl Summary {
    /// No events.
    pub(super) fn empty(layout: Layout) -> Self {
        Self { tallies: FxHashMap::default(), present: Offsets::none(layout) }
    }

    /// Counts an event in.
    pub(super) fn add(&mut self, mark: Mark) {
        let Mark { offset, topic, bytes, time } = mark;
        self.present.push(offset);
        let tally = self.tallies.entry(topic).or_insert(Tally {
            events: 0,
            bytes: 0,
            last: offset,
            oldest: time,
        });
        tally.events += 1;
        tally.bytes += bytes;
        tally.last = tally.last.max(offset);
        tally.oldest = tally.oldest.min(time);
    }

    /// There should be events at these offsets, too, and whoever reads is to be told of them.
    pub(super) fn expect(&mut self, missing: &Offsets) {
        self.present.add(missing);
    }

    /// Which offsets have events.
    pub(super) fn present(&self) -> &Offsets {
        &self.present
    }

    /// Whether every offset has an event that is there.
    pub(super) fn is_counted_whole(&self) -> bool {
        self.present.layout() == Layout::Dense
            && self.tallies.values().map(|tally| tally.events).sum::<u64>() == BLOCK_OFFSETS
    }

    /// Whether there are events of a topic.
    pub(super) fn has(&self, topic: TopicId) -> bool {
        self.tallies.contains_key(&topic)
    }

    /// Whether there are no events.
    pub(super) fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    /// The last offset that belongs to it, by its number.
    fn last(&self, number: BlockNumber) -> Offset {
        match &self.present {
            Offsets::Dense(_) => number.last(),
            Offsets::Sparse(runs) => runs.last().unwrap_or(number.first()),
        }
    }

    /// Whether what comes at an offset belongs into the next block.
    fn ends_before(&self, number: BlockNumber, offset: Offset) -> bool {
        match &self.present {
            Offsets::Dense(_) => BlockNumber::of(offset) != number,
            // Its number has to be a new one.
            Offsets::Sparse(runs) => {
                runs.count() >= BLOCK_OFFSETS
                    && BlockNumber::of(offset) > BlockNumber::of(self.last(number))
            }
        }
    }

    /// The topics in order of their ids, which is the order of the table.
    pub(super) fn sorted(&self) -> Vec<(TopicId, Tally)> {
        let mut tallies: Vec<_> =
            self.tallies.iter().map(|(topic, tally)| (*topic, *tally)).collect();
        tallies.sort_unstable_by_key(|(topic, _)| *topic);
        tallies
    }
}

/// What memory keeps of a block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The time of its oldest event.
    pub(super) oldest: Timestamp,
    /// The topics that it has events of.
    pub(super) topics: Vec<TopicId>,
    /// The last offset that belongs to it, once it is full.
    last: Offset,
    /// Its events, once it is full.
    present: Present,
}

impl Block {
    fn add(&mut self, topic: TopicId, oldest: Timestamp) {
        self.topics.push(topic);
        self.oldest = self.oldest.min(oldest);
    }
}

impl Block {
    fn new(number: BlockNumber) -> Self {
        let (last, present) = (number.last(), Present::Unknown);
        Self { oldest: Timestamp::MAX, topics: Vec::new(), last, present }
    }

    fn of(number: BlockNumber, summary: &Summary) -> Self {
        let mut block = Self::new(number);
        summary.tallies.iter().for_each(|(topic, tally)| block.add(*topic, tally.oldest));
        block.fill(number, summary);
        block
    }

    /// Nothing comes into it any more.
    fn fill(&mut self, number: BlockNumber, summary: &Summary) {
        self.present = summary.present.clone().into();
        self.last = summary.last(number);
    }

    /// What its table has need not be here.
    fn save(&mut self) {
        if matches!(&self.present, Present::Some(offsets) if offsets.layout() == Layout::Sparse) {
            self.present = Present::Stored;
        }
    }
}

/// All blocks that have events. The newest is open: further events may come into it.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    layout: Layout,
    by_number: BTreeMap<BlockNumber, Block>,
    open: Option<(BlockNumber, Summary)>,
}

impl Blocks {
    /// No blocks, and how those will be that come.
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, ..Self::default() }
    }

    /// The same of those that are there, which go.
    pub(super) fn forget_all(&mut self) {
        *self = Self::new(self.layout);
    }

    /// Takes a topic of a full block from the side table.
    pub(super) fn load(&mut self, number: BlockNumber, topic: TopicId, oldest: Timestamp) {
        let block = self.by_number.entry(number).or_insert_with(|| Block::new(number));
        block.add(topic, oldest);
    }

    /// Takes what is known of a full block's offsets.
    pub(super) fn load_present(&mut self, number: BlockNumber, offsets: Offsets) {
        if let Some(block) = self.by_number.get_mut(&number) {
            if let Offsets::Sparse(runs) = &offsets {
                block.last = runs.last().unwrap_or(number.first());
            }
            block.present = offsets.into();
            block.save();
        }
    }

    /// What follows all blocks.
    pub(super) fn following(&self) -> Offset {
        let last = self.by_number.last_key_value().map(|(_, block)| block.last);
        last.map_or(Offset::ZERO, |last| Offset::new(last.get() + 1))
    }

    /// The first offset that belongs to a block, and the last one.
    pub(super) fn range(&self, number: BlockNumber) -> (Offset, Offset) {
        let last = match &self.open {
            Some((open, summary)) if *open == number => summary.last(number),
            _ => self.by_number.get(&number).map_or(number.last(), |block| block.last),
        };
        (number.first(), last)
    }

    /// How the offsets of a block lie.
    pub(super) fn layout(&self, number: BlockNumber) -> Layout {
        match &self.open {
            Some((open, summary)) if *open == number => summary.present.layout(),
            _ => match self.by_number.get(&number).map(|block| &block.present) {
                Some(Present::Stored) => Layout::Sparse,
                Some(Present::Some(offsets)) => offsets.layout(),
                Some(Present::Unknown | Present::All) | None => Layout::Dense,
            },
        }
    }

    /// Blocks are in their table.
    pub(super) fn saved(&mut self, blocks: &[(BlockNumber, Summary)]) {
        for (number, _) in blocks {
            if let Some(block) = self.by_number.get_mut(number) {
                block.save();
            }
        }
    }

    /// Which offsets of a block have events.
    pub(super) fn present(&self, number: BlockNumber) -> Present {
        match &self.open {
            Some((open, summary)) if *open == number => summary.present.clone().into(),
            _ => self.by_number.get(&number).map(|block| block.present.clone()).unwrap_or_default(),
        }
    }

    /// What was counted of the block that further events may come into, if it is this one.
    pub(super) fn counted_open(&self, number: BlockNumber) -> Option<Vec<(TopicId, Tally)>> {
        let open = self.open.as_ref().filter(|(open, _)| *open == number);
        open.map(|(_, summary)| summary.sorted())
    }

    /// The block that further events may come into.
    pub(super) fn open(&self) -> Option<(BlockNumber, &Offsets)> {
        self.open.as_ref().map(|(number, summary)| (*number, &summary.present))
    }

    /// The open block should have these events.
    pub(super) fn expect(&mut self, number: BlockNumber, offsets: &Offsets) {
        if let Some((open, summary)) = &mut self.open
            && *open == number
        {
            summary.expect(offsets);
        }
    }

    /// Counts the newest event in. Returns the block before it when that is full now.
    pub(super) fn add(&mut self, mark: Mark) -> Option<(BlockNumber, Summary)> {
        let is_over =
            |(open, summary): &(BlockNumber, Summary)| summary.ends_before(*open, mark.offset);
        let full = if self.open.as_ref().is_none_or(is_over) {
            let number = BlockNumber::of(mark.offset);
            self.open.replace((number, Summary::empty(self.layout)))
        } else {
            None
        };
        let (number, summary) = self.open.as_mut().expect("a block was opened just now");
        let number = *number;
        let topics_before = summary.tallies.len();
        summary.add(mark);
        let block = self.by_number.entry(number).or_insert_with(|| Block::new(number));
        block.oldest = block.oldest.min(mark.time);
        if summary.tallies.len() > topics_before {
            block.topics.push(mark.topic);
        }
        if let Some((full, summary)) = &full
            && let Some(block) = self.by_number.get_mut(full)
        {
            block.fill(*full, summary);
            block.topics.shrink_to_fit();
        }
        full
    }

    /// Puts what retention left of a block in its place.
    pub(super) fn replace(&mut self, number: BlockNumber, left: Summary) {
        if left.is_empty() {
            self.by_number.remove(&number);
        } else {
            let mut block = Block::of(number, &left);
            // One that is full was saved with what went.
            block.save();
            self.by_number.insert(number, block);
        }
        if let Some((open, summary)) = &mut self.open
            && *open == number
        {
            *summary = left;
        }
    }

    /// The block that the next event comes into, which is at an offset.
    pub(super) fn number_for(&self, offset: Offset) -> BlockNumber {
        let open = self.open.as_ref().filter(|(open, summary)| !summary.ends_before(*open, offset));
        open.map_or(BlockNumber::of(offset), |(number, _)| *number)
    }

    /// Whether more events may come into a block.
    pub(super) fn is_open(&self, number: BlockNumber) -> bool {
        self.open.as_ref().is_some_and(|(open, _)| *open == number)
    }

    /// The block that an offset belongs to or lies before, and what follows it.
    pub(super) fn around(&self, offset: Offset) -> impl Iterator<Item = (BlockNumber, &Block)> {
        let at = BlockNumber::of(offset);
        let before = self.by_number.range(..=at).next_back().map_or(at, |(number, _)| *number);
        let from = if self.range(before).1 >= offset { before } else { at };
        self.from(from)
    }

    /// The blocks from `number` on that have events.
    pub(super) fn from(&self, number: BlockNumber) -> impl Iterator<Item = (BlockNumber, &Block)> {
        self.by_number.range(number..).map(|(number, block)| (*number, block))
    }
}

/// What one sweep removed of each topic.
pub(super) type RemovedByTopic = FxHashMap<TopicId, Removed>;
