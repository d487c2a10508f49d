//! Blocks of offsets, and which topics each has events of.
//!
//! They stand in for an index by topic, which would cost six times the time of each append: a
//! reader skips the blocks that have none of its topics and scans the others.

use std::collections::BTreeMap;

use bellwire_model::{Offset, Timestamp};
use rustc_hash::FxHashMap;

use super::block_number::{BLOCK_OFFSETS, BlockNumber};
use super::present::{Bits, Present};
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
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    tallies: FxHashMap<TopicId, Tally>,
    present: Bits,
}

impl Summary {
    /// Counts an event in.
    pub(super) fn add(&mut self, mark: Mark) {
        let Mark { offset, topic, bytes, time } = mark;
        self.present.set(offset);
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
    pub(super) fn expect(&mut self, missing: Bits) {
        self.present.add(missing);
    }

    /// Which offsets have events.
    pub(super) fn present(&self) -> Bits {
        self.present
    }

    /// Whether every offset has an event that is there.
    pub(super) fn is_counted_whole(&self) -> bool {
        self.tallies.values().map(|tally| tally.events).sum::<u64>() == BLOCK_OFFSETS
    }

    /// Whether there are events of a topic.
    pub(super) fn has(&self, topic: TopicId) -> bool {
        self.tallies.contains_key(&topic)
    }

    /// Whether there are no events.
    pub(super) fn is_empty(&self) -> bool {
        self.tallies.is_empty()
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
    /// Its events, once it is full.
    present: Present,
}

impl Block {
    fn add(&mut self, topic: TopicId, oldest: Timestamp) {
        self.topics.push(topic);
        self.oldest = self.oldest.min(oldest);
    }
}

impl Default for Block {
    fn default() -> Self {
        Self { oldest: Timestamp::MAX, topics: Vec::new(), present: Present::Unknown }
    }
}

impl From<&Summary> for Block {
    fn from(summary: &Summary) -> Self {
        let mut block = Self::default();
        summary.tallies.iter().for_each(|(topic, tally)| block.add(*topic, tally.oldest));
        block.present = summary.present.into();
        block
    }
}

/// All blocks that have events. The newest is open: further events may come into it.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: BTreeMap<BlockNumber, Block>,
    open: Option<(BlockNumber, Summary)>,
}

impl Blocks {
    /// Takes a topic of a full block from the side table.
    pub(super) fn load(&mut self, number: BlockNumber, topic: TopicId, oldest: Timestamp) {
        self.blocks.entry(number).or_default().add(topic, oldest);
    }

    /// Takes what is known of a full block's offsets.
    pub(super) fn load_present(&mut self, number: BlockNumber, bits: Bits) {
        if let Some(block) = self.blocks.get_mut(&number) {
            block.present = bits.into();
        }
    }

    /// Which offsets of a block have events.
    pub(super) fn present(&self, number: BlockNumber) -> Present {
        match &self.open {
            Some((open, summary)) if *open == number => summary.present.into(),
            _ => self.blocks.get(&number).map(|block| block.present.clone()).unwrap_or_default(),
        }
    }

    /// What was counted of the block that further events may come into, if it is this one.
    pub(super) fn counted_open(&self, number: BlockNumber) -> Option<Vec<(TopicId, Tally)>> {
        let open = self.open.as_ref().filter(|(open, _)| *open == number);
        open.map(|(_, summary)| summary.sorted())
    }

    /// The block that further events may come into.
    pub(super) fn open(&self) -> Option<(BlockNumber, Bits)> {
        self.open.as_ref().map(|(number, summary)| (*number, summary.present))
    }

    /// The open block should have these events.
    pub(super) fn expect(&mut self, number: BlockNumber, bits: Bits) {
        if let Some((open, summary)) = &mut self.open
            && *open == number
        {
            summary.expect(bits);
        }
    }

    /// Counts the newest event in. Returns the block before it when that is full now.
    pub(super) fn add(&mut self, mark: Mark) -> Option<(BlockNumber, Summary)> {
        let number = BlockNumber::of(mark.offset);
        let is_next = self.open.as_ref().is_none_or(|(open, _)| *open != number);
        let full = if is_next { self.open.replace((number, Summary::default())) } else { None };
        let (_, summary) = self.open.as_mut().expect("a block was opened just now");
        let topics_before = summary.tallies.len();
        summary.add(mark);
        let block = self.blocks.entry(number).or_default();
        block.oldest = block.oldest.min(mark.time);
        if summary.tallies.len() > topics_before {
            block.topics.push(mark.topic);
        }
        if let Some((full, summary)) = &full
            && let Some(block) = self.blocks.get_mut(full)
        {
            block.present = summary.present.into();
            block.topics.shrink_to_fit();
        }
        full
    }

    /// Puts what retention left of a block in its place.
    pub(super) fn replace(&mut self, number: BlockNumber, left: Summary) {
        if left.is_empty() {
            self.blocks.remove(&number);
        } else {
            self.blocks.insert(number, Block::from(&left));
        }
        if let Some((open, summary)) = &mut self.open
            && *open == number
        {
            *summary = left;
        }
    }

    /// Whether more events may come into a block.
    pub(super) fn is_open(&self, number: BlockNumber) -> bool {
        self.open.as_ref().is_some_and(|(open, _)| *open == number)
    }

    /// The blocks from `number` on that have events.
    pub(super) fn from(&self, number: BlockNumber) -> impl Iterator<Item = (BlockNumber, &Block)> {
        self.blocks.range(number..).map(|(number, block)| (*number, block))
    }
}

/// What one sweep removed of each topic.
pub(super) type RemovedByTopic = FxHashMap<TopicId, Removed>;
