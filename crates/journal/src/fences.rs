//! Which producers write to which topics: what an engine remembers of them, so that what they write
//! counts exactly once.
//!
//! ```text
//! digest of (topic, producer) ─▶ its epoch, and the sequence that comes next
//! idle ─▶ by the place of what it wrote last: who has been idle for longest is forgotten first
//! ```
//!
//! What a producer has written and what is remembered of it are of one transaction.

use std::collections::BTreeMap;

use bellwire_model::limits::{
    PRODUCER_AGE, PRODUCER_AGE_MIN, PRODUCER_OVERHEAD_BYTES, PRODUCERS_BYTES_MAX,
};
use bellwire_model::{Fence, Holder, NameDigest, Offset, Shares, Timestamp, Topic};
use rustc_hash::FxHashMap;

use crate::steps::Now;

/// Why a fence kept an append from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// It was made before; this is the newest of its epoch that was.
    Known {
        /// The epoch.
        epoch: u64,
        /// Its sequence.
        sequence: u64,
    },
    /// Its producer has begun a newer epoch since.
    Zombie {
        /// That one.
        epoch: u64,
    },
    /// What comes before it is missing.
    Gap {
        /// What has to come first.
        expected: u64,
        /// What has come.
        received: u64,
    },
    /// An epoch begins, and not with 0.
    Beginning,
    /// There is no room for another producer.
    Full,
}

/// A producer of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    /// The number of its row.
    pub(crate) id: u64,
    pub(crate) epoch: u64,
    /// The sequence that comes next in this epoch.
    pub(crate) next: u64,
    /// What it wrote last.
    pub(crate) at: Offset,
    pub(crate) time: Timestamp,
}

/// What is remembered of one.
#[derive(Debug)]
struct Known {
    producer: Producer,
    holder: Holder,
    bytes: usize,
}

/// A producer whose row a transaction writes.
#[derive(Debug)]
pub(crate) struct StagedProducer {
    pub(crate) topic: Topic,
    pub(crate) name: Box<str>,
    pub(crate) producer: Producer,
}

/// What a transaction changes, until it is committed.
#[derive(Debug, Default)]
pub(crate) struct StagedFences {
    changed: FxHashMap<NameDigest, StagedProducer>,
    new: u64,
    new_bytes: usize,
}

impl StagedFences {
    /// The producers that it changes.
    pub(crate) fn producers(&self) -> impl Iterator<Item = &StagedProducer> {
        self.changed.values()
    }
}

/// What is forgotten in one step.
#[derive(Debug, Default)]
pub(crate) struct IdleProducers(Vec<((Offset, u64), NameDigest)>);

impl IdleProducers {
    /// The numbers of their rows.
    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = u64> {
        self.0.iter().map(|((_, id), _)| *id)
    }
}

/// What producers were before a transaction that changes them one after the other, while it is under
/// way.
#[derive(Debug, Default)]
pub(crate) struct FencesBefore(Vec<(NameDigest, Option<Known>)>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Fences {
    known: FxHashMap<NameDigest, Known>,
    idle: BTreeMap<(Offset, u64), NameDigest>,
    shares: Shares,
    bytes_max: usize,
    /// Above every id in use.
    next_id: u64,
}

impl Default for Fences {
    fn default() -> Self {
        Self::with_bytes_max(PRODUCERS_BYTES_MAX)
    }
}

fn digest(topic: &Topic, producer: &str) -> NameDigest {
    NameDigest::of((topic.as_str(), producer))
}

fn bytes_of(topic: &Topic, producer: &str) -> usize {
    PRODUCER_OVERHEAD_BYTES + topic.as_str().len() + producer.len()
}

impl Fences {
    /// Nobody is known, and there is room for so many bytes of them.
    pub(crate) fn with_bytes_max(bytes_max: usize) -> Self {
        Self {
            known: FxHashMap::default(),
            idle: BTreeMap::new(),
            shares: Shares::new(bytes_max),
            bytes_max,
            next_id: 0,
        }
    }

    /// Takes a producer in.
    pub(crate) fn insert(&mut self, (topic, name): (&Topic, &str), producer: Producer) {
        let digest = digest(topic, name);
        let (holder, bytes) = (Fence::holder(name), bytes_of(topic, name));
        self.put(digest, Known { producer, holder, bytes });
    }

    /// Returns what was known before.
    fn put(&mut self, digest: NameDigest, known: Known) -> Option<Known> {
        let before = self.forget(digest);
        self.next_id = self.next_id.max(known.producer.id + 1);
        self.shares.take(known.holder, known.bytes);
        self.idle.insert((known.producer.at, known.producer.id), digest);
        self.known.insert(digest, known);
        before
    }

    fn forget(&mut self, digest: NameDigest) -> Option<Known> {
        let known = self.known.remove(&digest)?;
        self.idle.remove(&(known.producer.at, known.producer.id));
        self.shares.give_back(known.holder, known.bytes);
        Some(known)
    }

    /// What a fence says of an append, behind what the transactions under way have changed already:
    /// the newer ones first.
    pub(crate) fn check(
        &self,
        staged: &[&StagedFences],
        topic: &Topic,
        fence: &Fence,
    ) -> Result<(), Fenced> {
        let digest = digest(topic, &fence.producer);
        let newest = staged.iter().find_map(|staged| staged.changed.get(&digest));
        let newest = newest.map(|staged| &staged.producer);
        let known = newest.or_else(|| self.known.get(&digest).map(|known| &known.producer));
        let Some(known) = known else {
            let bytes = bytes_of(topic, &fence.producer);
            let more = staged.iter().map(|staged| staged.new_bytes).sum::<usize>() + bytes;
            return if fence.sequence > 0 {
                Err(Fenced::Gap { expected: 0, received: fence.sequence })
            } else {
                // In doubt it is one too many: others of the same transaction may be of others.
                self.shares.check(Fence::holder(&fence.producer), more).map_err(|_| Fenced::Full)
            };
        };
        match fence.epoch {
            epoch if epoch < known.epoch => Err(Fenced::Zombie { epoch: known.epoch }),
            epoch if epoch > known.epoch && fence.sequence > 0 => Err(Fenced::Beginning),
            epoch if epoch > known.epoch => Ok(()),
            epoch if fence.sequence < known.next => {
                Err(Fenced::Known { epoch, sequence: known.next - 1 })
            }
            _ if fence.sequence > known.next => {
                Err(Fenced::Gap { expected: known.next, received: fence.sequence })
            }
            _ => Ok(()),
        }
    }

    /// Notes that an append was made, which was [checked](Self::check) in the same transactions.
    pub(crate) fn stage(
        &self,
        (staged, before): (&mut StagedFences, Option<&StagedFences>),
        (topic, fence): (&Topic, &Fence),
        (at, time): (Offset, Timestamp),
    ) {
        let digest = digest(topic, &fence.producer);
        let (epoch, next) = (fence.epoch, fence.sequence + 1);
        if let Some(known) = staged.changed.get_mut(&digest) {
            let id = known.producer.id;
            known.producer = Producer { id, epoch, next, at, time };
            return;
        }
        let id = before.and_then(|before| Some(before.changed.get(&digest)?.producer.id));
        let id = id.or_else(|| self.known.get(&digest).map(|known| known.producer.id));
        let id = id.unwrap_or_else(|| {
            staged.new += 1;
            staged.new_bytes += bytes_of(topic, &fence.producer);
            self.next_id + staged.new - 1
        });
        let producer = Producer { id, epoch, next, at, time };
        let (topic, name) = (topic.clone(), fence.producer.clone());
        staged.changed.insert(digest, StagedProducer { topic, name, producer });
    }

    /// Takes in what was committed.
    pub(crate) fn take(&mut self, staged: StagedFences) {
        for StagedProducer { topic, name, producer } in staged.changed.into_values() {
            self.insert((&topic, &name), producer);
        }
    }

    /// Takes in what a transaction has made that is still under way.
    pub(crate) fn take_ahead(&mut self, staged: StagedFences, before: &mut FencesBefore) {
        for (digest, StagedProducer { topic, name, producer }) in staged.changed {
            let (holder, bytes) = (Fence::holder(&name), bytes_of(&topic, &name));
            before.0.push((digest, self.put(digest, Known { producer, holder, bytes })));
        }
    }

    /// They are forgotten in a transaction that is still under way.
    pub(crate) fn forget_ahead(&mut self, idle: &IdleProducers, before: &mut FencesBefore) {
        before.0.extend(idle.0.iter().map(|(_, digest)| (*digest, self.forget(*digest))));
    }

    /// The transaction has failed.
    pub(crate) fn undo(&mut self, before: FencesBefore) {
        for (digest, known) in before.0.into_iter().rev() {
            self.forget(digest);
            if let Some(known) = known {
                self.put(digest, known);
            }
        }
    }

    /// Up to so many of those that are forgotten by now: who has written nothing for long, or for a
    /// while where there is little room. Whoever forgets them says so by [`forgotten`](Self::forgotten).
    pub(crate) fn idle(&self, now: &Now, count_max: usize) -> IdleProducers {
        let mut too_much = self.shares.used().saturating_sub(self.bytes_max / 4 * 3);
        let is_over = |(place, digest): &(&(Offset, u64), &NameDigest)| {
            let known = &self.known[*digest];
            let age = now.at(place.0).saturating_since(known.producer.time);
            let goes = age > PRODUCER_AGE || (too_much > 0 && age > PRODUCER_AGE_MIN);
            too_much = too_much.saturating_sub(known.bytes);
            goes
        };
        let idle = self.idle.iter().take_while(is_over).take(count_max);
        IdleProducers(idle.map(|(place, digest)| (*place, *digest)).collect())
    }

    /// They are forgotten.
    pub(crate) fn forgotten(&mut self, idle: &IdleProducers) {
        for (_, digest) in &idle.0 {
            self.forget(*digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::steps::Steps;

    fn fence(producer: &str) -> Fence {
        Fence { producer: producer.into(), epoch: 0, sequence: 0 }
    }

    /// Takes in what a producer writes first, unless there is no room.
    fn begin(fences: &mut Fences, producer: &str, time: Timestamp) -> Result<(), Fenced> {
        let topic: Topic = "a".parse().expect("a topic");
        let mut staged = StagedFences::default();
        fences.check(&[&staged], &topic, &fence(producer))?;
        let at = Offset::new(fences.next_id + 1);
        fences.stage((&mut staged, None), (&topic, &fence(producer)), (at, time));
        fences.take(staged);
        Ok(())
    }

    #[test]
    fn whoever_has_many_producers_leaves_room_to_others() {
        let mut fences = Fences::with_bytes_max(100 * (PRODUCER_OVERHEAD_BYTES + 8));
        let time = Timestamp::from_ms(0);
        let mut count = 0;
        while begin(&mut fences, &format!("ada\n{count}"), time).is_ok() {
            count += 1;
        }
        assert!((80..100).contains(&count), "{count}");
        assert_eq!(begin(&mut fences, "bob\n1", time), Ok(()));
        // Whoever is known goes on.
        let topic = "a".parse().expect("a topic");
        let next = Fence { sequence: 1, ..fence("ada\n0") };
        assert_eq!(fences.check(&[], &topic, &next), Ok(()));
    }

    #[test]
    fn the_longest_idle_go_where_others_need_the_room_and_no_sooner_than_is_promised() {
        let mut fences = Fences::with_bytes_max(100 * (PRODUCER_OVERHEAD_BYTES + 4));
        let (steps, zero) = (Steps::default(), Timestamp::from_ms(0));
        let hour = Duration::from_hours(1);
        for number in 0..85_u32 {
            begin(&mut fences, &format!("{number:03}"), zero.saturating_add(number * hour))
                .expect("room");
        }
        let now = |hours: u32| steps.now(zero.saturating_add(hours * hour));
        // Ten of them would have to go, and none is a day old; then some are.
        let too_many = |hours| fences.idle(&now(hours), usize::MAX).ids().len();
        assert_eq!((too_many(24), too_many(25), too_many(29), too_many(100)), (0, 1, 5, 10));
        assert_eq!(fences.idle(&now(100), 3).ids().collect::<Vec<_>>(), [0, 1, 2]);
        let idle = fences.idle(&now(100), usize::MAX);
        fences.forgotten(&idle);
        assert_eq!(fences.idle(&now(100), usize::MAX).ids().len(), 0);
        // All are, once nobody has heard of them for a week.
        assert_eq!(fences.idle(&now(84 + 7 * 24), usize::MAX).ids().len(), 74);
        let idle = fences.idle(&now(85 + 7 * 24), usize::MAX);
        fences.forgotten(&idle);
        assert!(fences.known.is_empty() && fences.idle.is_empty());
        assert_eq!(fences.shares.used(), 0);
    }
}
