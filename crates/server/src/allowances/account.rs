//! What one subject has used up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_access::{Bucket, Limits, Names};

use super::Sent;
use crate::lately::Fades;

/// What one subject has used up. Whoever is at work for it holds this; nobody keeps it once it says
/// nothing.
#[derive(Debug)]
pub(super) struct Account {
    /// Filters that its connections follow together: shards count them without a lock.
    filters: AtomicUsize,
    used: Mutex<Used>,
    /// Names that are counted of all subjects.
    names: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
pub(super) struct Used {
    /// Streams, WebSockets and long polls that it has now; those of one ticket are one.
    pub(super) connections: u64,
    pub(super) connects: Bucket,
    events: Bucket,
    samples: Bucket,
    bytes: Bucket,
    topics: Names,
    series: Names,
}

/// What may be named, so many different ones of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Topics,
    Series,
}

impl Named {
    pub(super) fn limit(self, limits: &Limits) -> Option<u64> {
        match self {
            Self::Topics => limits.topics,
            Self::Series => limits.series,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Series => "series",
        }
    }
}

/// What a role allows, and what is left of it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// As the configuration calls it.
    pub(crate) limit: &'static str,
    pub(crate) most: u64,
    pub(crate) remaining: u64,
}

impl Account {
    pub(super) fn new(names: &Arc<AtomicUsize>) -> Self {
        let (filters, used) = (AtomicUsize::new(0), Mutex::default());
        Self { filters, used, names: Arc::clone(names) }
    }

    pub(super) fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Filters that its connections follow together.
    pub(super) fn filters(&self) -> usize {
        self.filters.load(Ordering::Relaxed)
    }

    /// More filters are followed, unless that would be more than may be.
    pub(super) fn try_follow(&self, more: usize, most: u64) -> bool {
        let grown = |all: usize| all.checked_add(more).filter(|all| *all as u64 <= most);
        self.filters.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok()
    }

    /// More, or fewer, are followed, whatever may be.
    pub(super) fn follow_now(&self, before: usize, now: usize) {
        if now > before {
            self.filters.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.filters.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// What is left of each limit.
    pub(super) fn left(&self, limits: &Limits, now: u64) -> Vec<Left> {
        let filters = self.filters() as u64;
        let mut used = self.used();
        let counted = |limit, most: Option<u64>, used| {
            most.map(|most| Left { limit, most, remaining: most.saturating_sub(used) })
        };
        let paid = |limit, most: Option<u64>, bucket: Bucket| {
            most.map(|most| Left { limit, most, remaining: bucket.left(now, most) })
        };
        let named = [Named::Topics, Named::Series].map(|named| used.count(named, now, &self.names));
        let Limits { connections, connects_per_second, subscriptions, topics, series, .. } =
            *limits;
        let Limits { events_per_second, samples_per_second, bytes_per_second, .. } = *limits;
        let left = [
            counted("connections", connections, used.connections),
            paid("connects_per_second", connects_per_second, used.connects),
            counted("subscriptions", subscriptions, filters),
            paid("events_per_second", events_per_second, used.events),
            paid("samples_per_second", samples_per_second, used.samples),
            paid("bytes_per_second", bytes_per_second, used.bytes),
            counted("topics", topics, named[0]),
            counted("series", series, named[1]),
        ];
        left.into_iter().flatten().collect()
    }

    /// Names that are counted of all subjects.
    pub(super) fn names(&self) -> &AtomicUsize {
        &self.names
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let used = self.used.get_mut().unwrap_or_else(PoisonError::into_inner);
        let counted = used.topics.counted() + used.series.counted();
        self.names.fetch_sub(counted, Ordering::Relaxed);
    }
}

/// How often somebody renews: with a table of its own, so that nobody who has something open keeps
/// others from renewing.
#[derive(Debug, Default)]
pub(super) struct Renewals(pub(super) Bucket);

impl Fades for Renewals {
    fn is_nothing(&mut self, now: u64) -> bool {
        self.0.is_full(now)
    }
}

impl Fades for Arc<Account> {
    fn is_nothing(&mut self, now: u64) -> bool {
        // Whoever is at work for the subject holds it, too.
        let Some(account) = Self::get_mut(self) else { return false };
        account.used.get_mut().unwrap_or_else(PoisonError::into_inner).is_nothing(now)
    }
}

impl Used {
    pub(super) fn bucket(&mut self, sent: Sent) -> &mut Bucket {
        match sent {
            Sent::Events(_) => &mut self.events,
            Sent::Samples(_) => &mut self.samples,
            Sent::Bytes(_) => &mut self.bytes,
        }
    }

    pub(super) fn names(&mut self, named: Named) -> &mut Names {
        match named {
            Named::Topics => &mut self.topics,
            Named::Series => &mut self.series,
        }
    }

    /// How many names count, of which some may just have been forgotten.
    fn count(&mut self, kind: Named, now: u64, all: &AtomicUsize) -> u64 {
        let names = self.names(kind);
        let before = names.counted();
        let counted = names.len(now);
        all.fetch_sub(before - counted, Ordering::Relaxed);
        counted as u64
    }

    fn is_nothing(&self, now: u64) -> bool {
        let buckets = [&self.connects, &self.events, &self.samples, &self.bytes];
        let names = [&self.topics, &self.series];
        self.connections == 0
            && buckets.iter().all(|bucket| bucket.is_full(now))
            && names.iter().all(|names| names.is_empty(now))
    }
}
