//! The roster: who shows themselves where. A pure state machine: it is told the time, and what it
//! has to say is fetched.
//!
//! ```text
//! enter ─▶ connections 1, 2, … ─▶ leave ─▶ none: grace ─▶ gone
//!                ▲                            │ enter
//!                └────────────────────────────┘ nothing to tell
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bellwire_model::limits::{PRESENCE_BYTES_MAX, PRESENCE_OVERHEAD_BYTES};
use bellwire_model::{Holder, Labels, NameMap, Shares, Shortage, Timestamp, Topic};
use bytes::Bytes;

use super::place::Place;
use super::roll::{COUNT, Count, Follower, News, Roll};

/// How long and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How long somebody is there who has no connection any more.
    pub(super) grace_ms: u64,
    /// Those of a topic beyond which there is their count alone.
    pub(super) named_max: usize,
}

/// Somebody, as the roster tells one from another.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The same of the same somebody alone.
    pub(super) identity: Arc<str>,
    /// What they are called, if anything.
    pub(super) subject: Option<Arc<str>>,
    /// Whose share of the room for all they take.
    pub(super) holder: Holder,
    pub(super) shows: Option<Bytes>,
}

/// How somebody leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// On purpose, or nobody could tell that it is the same who comes back.
    ForGood,
    /// With a connection that has ended.
    Perhaps,
}

/// The time: what passes, and what the clock on the wall says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) ms: u64,
    pub(super) time: Timestamp,
}

/// What there is to tell on the topic of those on `topic`.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) topic: Topic,
    /// Those of the alert that the topic is of.
    pub(super) labels: Option<Labels>,
    pub(super) key: Arc<str>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Shows { subject: Option<Arc<str>>, since: Timestamp, shows: Option<Bytes> },
    Count(Count),
    Gone,
}

#[derive(Debug)]
pub(super) struct Roster {
    terms: Terms,
    rooms: NameMap<Topic, Roll>,
    /// Those who may come back: until when, where, and their key.
    graces: BTreeSet<(u64, Topic, Arc<str>)>,
    /// Rooms that may have something to tell, each once.
    changed: VecDeque<Topic>,
    bytes: Shares,
}

impl Roster {
    pub(super) fn new(terms: Terms) -> Self {
        let (rooms, graces, changed) = (NameMap::default(), BTreeSet::new(), VecDeque::new());
        Self { terms, rooms, graces, changed, bytes: Shares::new(PRESENCE_BYTES_MAX) }
    }

    /// One connection more of somebody on a topic. What is shown last is what counts.
    pub(super) fn enter(&mut self, place: &Place, who: &Who, now: Moment) -> Result<(), Shortage> {
        let Place { topic, labels } = place;
        let room = self.rooms.get(topic);
        // Those of a room stay what they are for as long as somebody is there.
        let labels = room.map_or(labels, |room| &room.labels).clone();
        let size_bytes = charge_bytes((&who.identity, who.shows.as_ref()), labels.as_ref());
        let key = room.and_then(|room| room.key_of(&who.identity)).cloned();
        let Some(key) = key else {
            self.bytes.check(who.holder, size_bytes)?;
            self.bytes.take(who.holder, size_bytes);
            let identity = (Arc::clone(&who.identity), who.subject.clone());
            let mut follower = Follower::new(identity, (who.holder, who.shows.clone(), now.time));
            follower.connections = 1;
            let room = self.rooms.entry(topic.clone()).or_insert_with(|| Roll::new(labels));
            room.add(follower, self.terms.named_max);
            self.queue(topic);
            return Ok(());
        };
        let room = self.rooms.get_mut(topic).expect("it was just there");
        let follower = room.get_mut(&key).expect("whoever has a key is there");
        if now.time < follower.since {
            // At another node they came before.
            follower.since = now.time;
            room.touch(&key);
            self.queue(topic);
        }
        let room = self.rooms.get_mut(topic).expect("it was just there");
        let follower = room.get_mut(&key).expect("whoever has a key is there");
        if follower.shows != who.shows {
            let shown = (&*follower.identity, follower.shows.as_ref());
            let before = charge_bytes(shown, labels.as_ref());
            self.bytes.check(follower.holder, size_bytes.saturating_sub(before))?;
            self.bytes.give_back(follower.holder, before);
            self.bytes.take(follower.holder, size_bytes);
            follower.connections += 1;
            let until = follower.grace_until_ms.take();
            room.show(&key, who.shows.clone());
            self.end_grace(until, topic, &key);
            self.queue(topic);
            return Ok(());
        }
        follower.connections += 1;
        let until = follower.grace_until_ms.take();
        self.end_grace(until, topic, &key);
        Ok(())
    }

    fn end_grace(&mut self, until_ms: Option<u64>, topic: &Topic, key: &Arc<str>) {
        if let Some(until_ms) = until_ms {
            self.graces.remove(&(until_ms, topic.clone(), Arc::clone(key)));
        }
    }

    /// One connection fewer of somebody who has entered.
    pub(super) fn leave(&mut self, topic: &Topic, identity: &str, leaving: Leaving, now_ms: u64) {
        let Some(room) = self.rooms.get_mut(topic) else { return };
        let Some(key) = room.key_of(identity).cloned() else { return };
        let follower = room.get_mut(&key).expect("whoever has a key is there");
        follower.connections -= 1;
        if follower.connections > 0 {
            return;
        }
        if leaving == Leaving::Perhaps && self.terms.grace_ms > 0 {
            let until_ms = now_ms + self.terms.grace_ms;
            follower.grace_until_ms = Some(until_ms);
            self.graces.insert((until_ms, topic.clone(), key));
            return;
        }
        self.remove(topic, &key);
    }

    fn remove(&mut self, topic: &Topic, key: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(topic) else { return };
        if let Some(gone) = room.remove(key, self.terms.named_max) {
            let shown = (&*gone.identity, gone.shows.as_ref());
            self.bytes.give_back(gone.holder, charge_bytes(shown, room.labels.as_ref()));
        }
        self.queue(topic);
    }

    fn queue(&mut self, topic: &Topic) {
        let Some(room) = self.rooms.get_mut(topic) else { return };
        if !std::mem::replace(&mut room.is_queued, true) {
            self.changed.push_back(topic.clone());
        }
    }

    /// Lets go of up to `max` of those who have not come back in time.
    pub(super) fn advance(&mut self, now_ms: u64, max: usize) {
        for _ in 0..max {
            let Some((until_ms, ..)) = self.graces.first() else { break };
            if *until_ms > now_ms {
                break;
            }
            let (_, topic, key) = self.graces.pop_first().expect("it was just there");
            self.remove(&topic, &key);
        }
    }

    /// Up to `max` things to tell, and as many looks for them at most.
    pub(super) fn take_news(&mut self, max: usize) -> Vec<Told> {
        let (mut told, mut looks) = (Vec::new(), 0);
        while looks < max
            && let Some(topic) = self.changed.pop_front()
        {
            let Some(room) = self.rooms.get_mut(&topic) else { continue };
            room.is_queued = false;
            let labels = room.labels.clone();
            let mut is_through = false;
            while looks < max && !is_through {
                match room.next_news(&mut looks) {
                    Some(news) => told.push(Told::new((topic.clone(), labels.clone()), news)),
                    None => is_through = true,
                }
            }
            if !is_through {
                room.is_queued = true;
                self.changed.push_back(topic);
            } else if room.is_over() {
                self.rooms.remove(&topic);
            }
        }
        told
    }

    /// Something that was taken to be told was not.
    pub(super) fn note_refused(&mut self, topic: &Topic, key: &str) {
        let Some(room) = self.rooms.get_mut(topic) else { return };
        room.note_refused(key);
        self.queue(topic);
    }
}

impl Told {
    fn new((topic, labels): (Topic, Option<Labels>), news: News<'_>) -> Self {
        let (key, what) = match news {
            News::Shows(key, follower) => {
                let Follower { subject, since, shows, .. } = follower;
                let (subject, since, shows) = (subject.clone(), *since, shows.clone());
                (key, What::Shows { subject, since, shows })
            }
            News::Gone(key) => (key, What::Gone),
            News::Count(count) => (COUNT.into(), What::Count(count)),
            News::Empty => (COUNT.into(), What::Gone),
        };
        Self { topic, labels, key, what }
    }
}

/// What somebody is charged with on one topic.
fn charge_bytes((identity, shows): (&str, Option<&Bytes>), labels: Option<&Labels>) -> usize {
    let told = shows.map_or(0, Bytes::len) + labels.map_or(0, Labels::size_bytes);
    PRESENCE_OVERHEAD_BYTES + 2 * identity.len() + told
}

#[cfg(test)]
mod tests;
