//! A roll: those who show themselves on one topic, and what was told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_model::{Holder, Labels, NameMap, Timestamp};
use bytes::Bytes;

/// The key of the number of all, which is nobody's.
pub(super) const COUNT: &str = "~count";

/// The serial of nothing that there is to tell.
const OTHER: u64 = 0;

/// Of those beyond which there is the count alone, the part below which they are named again: so a
/// room at the bound is not told anew with each who comes and goes.
const NAMED_AGAIN: (usize, usize) = (3, 4);

/// Somebody on a topic, however many connections that is.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) identity: Arc<str>,
    pub(super) subject: Option<Arc<str>>,
    pub(super) holder: Holder,
    pub(super) shows: Option<Bytes>,
    pub(super) since: Timestamp,
    pub(super) connections: usize,
    /// Until when it may come back, where it has no connection, in the roster's milliseconds.
    pub(super) grace_until_ms: Option<u64>,
    /// Names what there is to tell of it, among all in the room.
    serial: u64,
}

#[derive(Debug)]
pub(super) struct Roll {
    /// Those of the alert that it is of.
    pub(super) labels: Option<Labels>,
    /// By key.
    followers: BTreeMap<Arc<str>, Follower>,
    keys: NameMap<Arc<str>, Arc<str>>,
    next_number: u64,
    next_serial: u64,
    is_named: bool,
    /// What was told last, by key.
    told: BTreeMap<Arc<str>, u64>,
    told_count: Option<Count>,
    /// Keys of which there may be something to tell.
    changed: BTreeSet<Arc<str>>,
    /// Whether it stands in the queue of rooms that have something to tell.
    pub(super) is_queued: bool,
}

/// How many there are, and whether each of them is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) followers: usize,
    pub(super) is_named: bool,
}

/// Something to tell.
#[derive(Debug)]
pub(super) enum News<'a> {
    Shows(Arc<str>, &'a Follower),
    Gone(Arc<str>),
    Count(Count),
    /// Nobody is there any more.
    Empty,
}

impl Roll {
    pub(super) fn new(labels: Option<Labels>) -> Self {
        Self {
            labels,
            followers: BTreeMap::new(),
            keys: NameMap::default(),
            next_number: 1,
            next_serial: 1,
            is_named: true,
            told: BTreeMap::new(),
            told_count: None,
            changed: BTreeSet::new(),
            is_queued: false,
        }
    }

    pub(super) fn key_of(&self, identity: &str) -> Option<&Arc<str>> {
        self.keys.get(identity)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Follower> {
        self.followers.get_mut(key)
    }

    /// Whether nothing of it has to be remembered.
    pub(super) fn is_over(&self) -> bool {
        self.followers.is_empty() && self.told.is_empty() && self.told_count.is_none()
    }

    /// Somebody comes who is not there. Its name is its key, unless that is another's or looks like
    /// a number; then it has a number, as whoever has no name.
    pub(super) fn add(&mut self, mut follower: Follower, named_max: usize) {
        let name = follower.subject.clone().filter(|name| self.is_free(name));
        let key = name.unwrap_or_else(|| {
            self.next_number += 1;
            format!("~{}", self.next_number - 1).into()
        });
        follower.serial = self.take_serial();
        self.keys.insert(Arc::clone(&follower.identity), Arc::clone(&key));
        self.followers.insert(Arc::clone(&key), follower);
        if self.is_named && self.followers.len() > named_max {
            self.is_named = false;
            self.changed.extend(self.told.keys().cloned());
        }
        self.note(key);
    }

    fn is_free(&self, name: &str) -> bool {
        let is_key = name.len() <= bellwire_model::limits::KEY_BYTES_MAX && !name.is_empty();
        is_key && !name.starts_with('~') && !self.followers.contains_key(name)
    }

    /// There is something else to tell of it.
    pub(super) fn touch(&mut self, key: &Arc<str>) {
        let serial = self.take_serial();
        if let Some(follower) = self.followers.get_mut(key) {
            follower.serial = serial;
            self.note(Arc::clone(key));
        }
    }

    /// It shows something else from now on.
    pub(super) fn show(&mut self, key: &Arc<str>, shows: Option<Bytes>) {
        let serial = self.take_serial();
        if let Some(follower) = self.followers.get_mut(key) {
            (follower.shows, follower.serial) = (shows, serial);
            self.note(Arc::clone(key));
        }
    }

    pub(super) fn remove(&mut self, key: &Arc<str>, named_max: usize) -> Option<Follower> {
        let gone = self.followers.remove(key)?;
        self.keys.remove(&gone.identity);
        let (part, of) = NAMED_AGAIN;
        if !self.is_named && self.followers.len() * of <= named_max * part {
            self.is_named = true;
            self.changed.extend(self.followers.keys().cloned());
        }
        self.note(Arc::clone(key));
        Some(gone)
    }

    fn take_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    fn note(&mut self, key: Arc<str>) {
        // Where only the count is told, there is nothing to tell of most.
        if self.is_named || self.told.contains_key(&key) {
            self.changed.insert(key);
        }
    }

    /// What there is to tell next, which is taken for told; `None` is nothing. Deletions and values
    /// come first, the count behind them. `looks` counts the keys that were looked at.
    pub(super) fn next_news(&mut self, looks: &mut usize) -> Option<News<'_>> {
        while let Some(key) = self.changed.pop_first() {
            *looks += 1;
            let now = self.followers.get(&key).filter(|_| self.is_named).map(|it| it.serial);
            match (self.told.get(&key).copied(), now) {
                (before, Some(serial)) if before != Some(serial) => {
                    self.told.insert(Arc::clone(&key), serial);
                    let follower = &self.followers[&key];
                    return Some(News::Shows(key, follower));
                }
                (Some(_), None) => {
                    self.told.remove(&key);
                    return Some(News::Gone(key));
                }
                _ => {}
            }
        }
        *looks += 1;
        let followers = self.followers.len();
        let count = Count { followers, is_named: self.is_named };
        let count = (followers > 0).then_some(count);
        if std::mem::replace(&mut self.told_count, count) == count {
            return None;
        }
        Some(count.map_or(News::Empty, News::Count))
    }

    /// What was to be told under this key was not taken: it is to be told again. What was told before
    /// may stand there still.
    pub(super) fn note_refused(&mut self, key: &str) {
        if key == COUNT {
            self.told_count = Some(Count { followers: 0, is_named: self.is_named });
        } else if let Some((key, _)) = self.told.remove_entry(key) {
            self.told.insert(Arc::clone(&key), OTHER);
            self.changed.insert(key);
        }
    }
}

impl Follower {
    pub(super) fn new(
        (identity, subject): (Arc<str>, Option<Arc<str>>),
        (holder, shows, since): (Holder, Option<Bytes>, Timestamp),
    ) -> Self {
        let (connections, grace_until_ms, serial) = (0, None, 0);
        Self { identity, subject, holder, shows, since, connections, grace_until_ms, serial }
    }
}
