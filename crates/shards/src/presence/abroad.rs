//! Those who show themselves at several nodes: what a node tells others of its own connections, and what
//! it is told of theirs.
//!
//! ```text
//! connections here ─▶ Own ── all, then who comes and goes ──▶ other nodes
//! other nodes ──▶ Abroad, one for each ─▶ the same roster, as one connection of each who is there
//! ```

use std::fmt;
use std::sync::Arc;

use bellwire_model::limits::PRESENCE_MOVES_MAX;
use bellwire_model::{Holder, Labels, NameMap, NameSet, Timestamp, Topic};
use bytes::Bytes;
use tokio::sync::broadcast;

use super::place::Place;
use super::roster::{Leaving, Moment, Who};
use super::{Presence, presence_of};

/// Somebody on a topic, by connections of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The topic that they follow.
    pub topic: Topic,
    /// Where it is of an alert, the alert's.
    pub labels: Option<Labels>,
    /// The same of the same somebody alone, at each node.
    pub identity: Arc<str>,
    /// What they are called.
    pub subject: Option<Arc<str>>,
    /// What they show, as JSON.
    pub shows: Option<Bytes>,
    /// Since when.
    pub since: Timestamp,
}

/// What a node tells of its own connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Somebody is there, or shows something else.
    Here(Arc<Seen>),
    /// Somebody has no connection any more.
    Gone {
        /// The topic.
        topic: Topic,
        /// Who.
        identity: Arc<str>,
        /// Whether they do not come back.
        is_for_good: bool,
    },
}

/// A topic, and somebody there.
type Key = (Topic, Arc<str>);

/// Those who are there by connections of this node.
#[derive(Debug)]
pub(super) struct Own {
    seen: NameMap<Key, (Arc<Seen>, usize)>,
    moves: broadcast::Sender<Moved>,
}

impl Default for Own {
    fn default() -> Self {
        Self { seen: NameMap::default(), moves: broadcast::Sender::new(PRESENCE_MOVES_MAX) }
    }
}

impl Own {
    /// One connection more of somebody.
    pub(super) fn enter(&mut self, place: &Place, who: &Who, now: Timestamp) {
        let (topic, labels) = (place.topic.clone(), place.labels.clone());
        let Who { identity, subject, shows, .. } = who.clone();
        let key = (topic.clone(), Arc::clone(&identity));
        let (mut since, mut connections) = (now, 1);
        if let Some((before, count)) = self.seen.get_mut(&key) {
            *count += 1;
            if before.shows == shows {
                return;
            }
            (since, connections) = (before.since, *count);
        }
        let seen = Arc::new(Seen { topic, labels, identity, subject, shows, since });
        self.seen.insert(key, (Arc::clone(&seen), connections));
        self.tell(Moved::Here(seen));
    }

    /// One connection fewer of somebody who has entered.
    pub(super) fn leave(&mut self, topic: &Topic, identity: &Arc<str>, leaving: Leaving) {
        let key = (topic.clone(), Arc::clone(identity));
        let Some((_, connections)) = self.seen.get_mut(&key) else { return };
        *connections -= 1;
        if *connections == 0 {
            self.seen.remove(&key);
            let is_for_good = leaving == Leaving::ForGood;
            let (topic, identity) = key;
            self.tell(Moved::Gone { topic, identity, is_for_good });
        }
    }

    fn tell(&self, moved: Moved) {
        // There may be no other node.
        let _ = self.moves.send(moved);
    }
}

impl Presence {
    /// All who are there by connections of this node, and who comes and goes from then on. `None` where there
    /// are no other nodes.
    pub fn own(&self) -> Option<(Vec<Arc<Seen>>, broadcast::Receiver<Moved>)> {
        let rooms = self.rooms();
        let own = rooms.own.as_ref()?;
        let all = own.seen.values().map(|(seen, _)| Arc::clone(seen)).collect();
        Some((all, own.moves.subscribe()))
    }

    /// Those of another node, nobody yet.
    pub fn abroad(self: &Arc<Self>) -> Abroad {
        let (presence, seen) = (Arc::clone(self), NameMap::default());
        Abroad { presence, seen, before: None }
    }
}

/// Those who are there by connections of one other node.
pub struct Abroad {
    presence: Arc<Presence>,
    seen: NameMap<Key, Arc<Seen>>,
    /// While all of them come: those of before who have not.
    before: Option<NameSet<Key>>,
}

impl fmt::Debug for Abroad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Abroad").field("seen", &self.seen.len()).finish_non_exhaustive()
    }
}

impl Abroad {
    /// All of them come from here on.
    pub fn begin(&mut self) {
        self.before = Some(self.seen.keys().cloned().collect());
    }

    /// All have come: others are gone.
    pub fn settle(&mut self) {
        for (topic, identity) in self.before.take().unwrap_or_default() {
            self.leave(topic, identity, Leaving::Perhaps);
        }
    }

    /// The node is not reached: they are elsewhere, or come back with it.
    pub fn lose(&mut self) {
        self.begin();
        self.settle();
    }

    /// Somebody has come or gone there. `false`: there is no room here for whoever has come.
    pub fn take(&mut self, moved: Moved) -> bool {
        match moved {
            Moved::Here(seen) => self.enter(seen),
            Moved::Gone { topic, identity, is_for_good } => {
                let leaving = if is_for_good { Leaving::ForGood } else { Leaving::Perhaps };
                self.leave(topic, identity, leaving);
                true
            }
        }
    }

    fn enter(&mut self, seen: Arc<Seen>) -> bool {
        if !self.presence.has(&seen.topic) || presence_of(&seen.topic).is_none() {
            return true;
        }
        let key = (seen.topic.clone(), Arc::clone(&seen.identity));
        if let Some(before) = &mut self.before {
            before.remove(&key);
        }
        let who = Who {
            identity: Arc::clone(&seen.identity),
            subject: seen.subject.clone(),
            holder: Holder::named(&seen.identity),
            shows: seen.shows.clone(),
        };
        let place = Place { topic: seen.topic.clone(), labels: seen.labels.clone() };
        let now = self.presence.now();
        let mut rooms = self.presence.rooms();
        let moment = Moment { time: seen.since, ..now };
        if rooms.roster.enter(&place, &who, moment).is_err() {
            return false;
        }
        if self.seen.insert(key, seen).is_some() {
            // It counts as one connection, whatever it shows.
            rooms.roster.leave(&place.topic, &who.identity, Leaving::ForGood, now.ms);
        }
        true
    }

    fn leave(&mut self, topic: Topic, identity: Arc<str>, leaving: Leaving) {
        let key = (topic, identity);
        if self.seen.remove(&key).is_some() {
            let now = self.presence.now();
            self.presence.rooms().roster.leave(&key.0, &key.1, leaving, now.ms);
        }
    }
}

impl Drop for Abroad {
    fn drop(&mut self) {
        self.lose();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::authority::FollowerName;
    use crate::presence::{AskedPresence, PresenceTerms, Present};

    const TOPIC: &str = "rooms/a";

    fn presence(node: &str) -> Arc<Presence> {
        let topics = vec!["rooms/**".parse().expect("a filter")];
        let terms = PresenceTerms { topics, grace: Duration::ZERO, named_max: 9 };
        Presence::among_others(terms, node).expect("topics have presence")
    }

    fn come(presence: &Arc<Presence>, id: Option<&str>, shows: &'static str) -> Present {
        let asked = AskedPresence {
            shown: Some(Bytes::from_static(shows.as_bytes())),
            named: Box::new([]),
            id: id.map(Into::into),
            source: None,
        };
        let holder = Holder::named("all");
        let name = FollowerName { identity: None, subject: None, holder };
        let mut present = presence.begin(asked, name);
        let topic: Topic = TOPIC.parse().expect("a topic");
        present.follow(vec![topic.into()]).expect("there is room");
        present
    }

    /// What those show who are there, as this node would tell.
    fn shown(presence: &Presence, told: &mut NameMap<Arc<str>, String>) -> Vec<String> {
        use super::super::roster::{Told, What};
        for Told { key, what, .. } in presence.rooms().roster.take_news(100) {
            match what {
                What::Shows { shows, .. } => {
                    let text = String::from_utf8(shows.expect("something").to_vec());
                    told.insert(key, text.expect("text"));
                }
                What::Gone => drop(told.remove(&key)),
                What::Count(_) => {}
            }
        }
        let mut all: Vec<String> = told.values().cloned().collect();
        all.sort();
        all
    }

    #[test]
    fn those_of_another_node_are_there_once_and_for_as_long_as_it_says() {
        let (here, there) = (presence("n1"), presence("n2"));
        let (own, mut moves) = there.own().expect("there are others");
        assert!(own.is_empty());
        let (mut abroad, mut told) = (here.abroad(), NameMap::default());
        let mut pass = |abroad: &mut Abroad| {
            while let Ok(moved) = moves.try_recv() {
                assert!(abroad.take(moved));
            }
        };
        let ada = [come(&there, Some("ada"), "1"), come(&there, Some("ada"), "2")];
        let ada_here = come(&here, Some("ada"), "2");
        let nobody = [come(&there, None, "3"), come(&here, None, "4")];
        pass(&mut abroad);
        assert_eq!(shown(&here, &mut told), ["2", "3", "4"], "ada is one");
        drop(ada_here);
        assert_eq!(shown(&here, &mut told), ["2", "3", "4"], "she is there still");
        let [one, other] = ada;
        drop(one);
        pass(&mut abroad);
        assert_eq!(shown(&here, &mut told), ["2", "3", "4"]);
        drop(other);
        pass(&mut abroad);
        assert_eq!(shown(&here, &mut told), ["3", "4"]);
        drop(abroad);
        assert_eq!(shown(&here, &mut told), ["4"], "the node is gone");
        drop(nobody);
        assert!(shown(&here, &mut told).is_empty());
        assert!(there.own().expect("there are others").0.is_empty());
    }

    #[test]
    fn who_has_gone_while_the_node_was_not_heard_is_gone_once_all_have_come() {
        let (here, there) = (presence("n1"), presence("n2"));
        let (mut abroad, mut told) = (here.abroad(), NameMap::default());
        let all_come = |abroad: &mut Abroad| {
            abroad.begin();
            let (own, _) = there.own().expect("there are others");
            for seen in own {
                assert!(abroad.take(Moved::Here(seen)));
            }
            abroad.settle();
        };
        let (ada, bob) = (come(&there, Some("ada"), "1"), come(&there, Some("bob"), "2"));
        all_come(&mut abroad);
        assert_eq!(shown(&here, &mut told), ["1", "2"]);
        drop(bob);
        all_come(&mut abroad);
        assert_eq!(shown(&here, &mut told), ["1"]);
        all_come(&mut abroad);
        assert!(here.rooms().roster.take_news(9).is_empty(), "nothing is told twice");
        // Nobody is on topics that have no presence here.
        let topic: Topic = "chat/a".parse().expect("a topic");
        let (own, _) = there.own().expect("there are others");
        let elsewhere = Seen { topic, ..(*own[0]).clone() };
        assert!(abroad.take(Moved::Here(Arc::new(elsewhere))));
        assert!(here.rooms().roster.take_news(9).is_empty());
        drop(ada);
    }
}
