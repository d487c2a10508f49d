//! Presence: who follows a topic, as a state topic of its own, of those who show themselves.
//!
//! ```text
//! shard: a connection comes, subscribes, goes ─▶ Present ─▶ Roster
//!                                                             │ again and again
//! presence/<topic> ◀─ state table ◀─ events ◀─ Presence::tell ┘
//! ```
//!
//! A shard notes in the roster who comes and goes, under a lock that is held for that alone. What
//! there is to tell is gathered for a moment: who comes and goes within it is nothing to tell.

mod abroad;
mod place;
mod roll;
mod roster;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellwire_model::limits::{PRESENCE_BYTES_MAX, PRESENCE_NEWS_MAX};
use bellwire_model::{Body, EffectiveFilter, Event, Filter, Holder, Shortage, Topic};
use bellwire_process::clock::{self, Ticker};
use bellwire_wire::presence as words;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;

use self::abroad::Own;
pub use self::abroad::{Abroad, Moved, Seen};
pub(crate) use self::place::Place;
use self::roster::{Leaving, Moment, Roster, Terms, Told, What, Who};
use crate::authority::FollowerName;
use crate::state::{SharedTable, States};

/// What is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceTerms {
    /// Topics whose followers may show themselves.
    pub topics: Vec<Filter>,
    /// How long somebody is there whose connection has ended.
    pub grace: Duration,
    /// Those of a topic beyond which there is their count alone.
    pub named_max: usize,
}

/// What a client asks to show of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedPresence {
    /// JSON.
    pub shown: Option<Bytes>,
    /// What it names to follow.
    pub named: Box<[Filter]>,
    /// By what somebody who has no name is known when they come back.
    pub id: Option<Box<str>>,
    /// Whence it is asked, where the connection does not tell.
    pub source: Option<IpAddr>,
}

/// Who shows themselves where.
pub struct Presence {
    topics: Vec<Filter>,
    ticker: Ticker,
    rooms: Mutex<Rooms>,
    /// Numbers connections of those of whom nobody knows who they are.
    next_connection: AtomicU64,
    /// What tells them from those of other nodes.
    node: Box<str>,
}

/// Who is where.
#[derive(Debug)]
struct Rooms {
    roster: Roster,
    /// Those of this node, for others.
    own: Option<Own>,
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl Presence {
    /// `None` where no topic has any.
    pub fn new(terms: PresenceTerms) -> Option<Arc<Self>> {
        Self::build(terms, (None, ""))
    }

    /// The same at a node of this name.
    pub fn among_others(terms: PresenceTerms, node: &str) -> Option<Arc<Self>> {
        Self::build(terms, (Some(Own::default()), node))
    }

    fn build(terms: PresenceTerms, (own, node): (Option<Own>, &str)) -> Option<Arc<Self>> {
        let PresenceTerms { topics, grace, named_max } = terms;
        let grace_ms = grace.as_millis() as u64;
        (!topics.is_empty()).then(|| {
            Arc::new(Self {
                topics,
                ticker: Ticker::start(),
                rooms: Mutex::new(Rooms { roster: Roster::new(Terms { grace_ms, named_max }), own }),
                next_connection: AtomicU64::new(0),
                node: node.into(),
            })
        })
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().expect("not poisoned")
    }

    /// Where somebody is seen who has named these, and follows that of it: on the topics that are
    /// named without a wildcard, and have presence; at an alert where they see it, and it is on the
    /// board or they are `there` already.
    pub(crate) fn seen_on<'a>(
        &self,
        named: impl Iterator<Item = &'a Filter>,
        followed: &EffectiveFilter,
        (there, table): (&[Place], &SharedTable),
    ) -> Vec<Place> {
        let exact = named.filter(|filter| filter.is_exact());
        let topics = exact.filter_map(|filter| filter.as_str().parse::<Topic>().ok());
        let topics = topics.filter(|topic| self.has(topic) && followed.filters().matches(topic));
        let place = |topic: Topic| {
            let known = there.iter().find(|place| place.topic == topic).cloned();
            known.or_else(|| Place::find(topic, table))
        };
        topics.filter_map(place).filter(|place| place.is_seen_by(followed)).collect()
    }

    /// The names of most of the server's own topics tell what there is to those who see only some of
    /// it, and some may be read by few.
    fn has(&self, topic: &Topic) -> bool {
        let is_of_alerts = topic.as_str() == Topic::OF_BOARD || topic.alert().is_some();
        let is_open = !topic.is_reserved() || is_of_alerts;
        is_open
            && self.topics.iter().any(|filter| filter.matches(topic))
            && presence_of(topic).is_some()
    }

    /// Somebody comes; they are nowhere yet.
    pub(crate) fn begin(self: &Arc<Self>, asked: AskedPresence, name: FollowerName) -> Present {
        let FollowerName { identity, subject, holder } = name;
        let is_known = identity.is_some() || asked.id.is_some();
        let identity: Arc<str> = match (identity, &asked.id) {
            (Some(identity), _) => format!("subject {identity}").into(),
            (None, Some(id)) => format!("id {id}").into(),
            (None, None) => {
                let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
                format!("connection {number} {}", self.node).into()
            }
        };
        let subject = subject.map(Arc::from);
        let who = Who { identity, subject, holder, shows: asked.shown.clone() };
        let presence = Arc::clone(self);
        Present { presence, asked, who, is_known, is_settled: false, places: Vec::new() }
    }

    /// Tells what there is to tell, where the hubs have room for it: some of it at a time.
    pub fn tell(&self, states: &States) {
        if !states.has_room() {
            return;
        }
        let mut rooms = self.rooms();
        rooms.roster.advance(self.ticker.now_ms(), PRESENCE_NEWS_MAX);
        let news = rooms.roster.take_news(PRESENCE_NEWS_MAX);
        drop(rooms);
        if news.is_empty() {
            return;
        }
        let events = news.iter().map(event).collect();
        let results = states.apply_now(events);
        let refused = news.iter().zip(&results).filter(|(_, result)| result.is_err());
        let mut rooms = None;
        for (Told { topic, key, .. }, _) in refused {
            let rooms = rooms.get_or_insert_with(|| self.rooms());
            rooms.roster.note_refused(topic, key);
        }
    }

    fn now(&self) -> Moment {
        Moment { ms: self.ticker.now_ms(), time: clock::now() }
    }
}

impl Rooms {
    /// One connection of this node more.
    fn enter(&mut self, place: &Place, who: &Who, now: Moment) -> Result<(), Shortage> {
        self.roster.enter(place, who, now)?;
        if let Some(own) = &mut self.own {
            own.enter(place, who, now.time);
        }
        Ok(())
    }

    /// One connection of this node fewer.
    fn leave(&mut self, topic: &Topic, identity: &Arc<str>, (leaving, now_ms): (Leaving, u64)) {
        self.roster.leave(topic, identity, leaving, now_ms);
        if let Some(own) = &mut self.own {
            own.leave(topic, identity, leaving);
        }
    }
}

/// The topic on which those are told who are on this one.
fn presence_of(topic: &Topic) -> Option<Topic> {
    format!("{}/{topic}", Topic::PRESENCE).parse().ok()
}

fn event(told: &Told) -> Event {
    let Told { topic, labels, key, what } = told;
    let labels = labels.as_ref();
    let topic = presence_of(topic).expect("whoever is there was asked");
    let body = match what {
        What::Shows { subject, since, shows } => {
            Some(words::follower((subject.as_deref(), *since), shows.as_deref(), labels))
        }
        What::Count(count) => Some(words::count((count.followers, count.is_named), labels)),
        What::Gone => None,
    };
    let (key, time) = (Some((&**key).into()), clock::now());
    Event { topic, key, event_type: None, time, body: body.map(Body::Json) }
}

/// A connection that shows itself, until this is dropped.
#[derive(Debug)]
pub(crate) struct Present {
    presence: Arc<Presence>,
    asked: AskedPresence,
    who: Who,
    /// Whether it can be told that it is the same who comes back.
    is_known: bool,
    /// Whether it was let in.
    is_settled: bool,
    places: Vec<Place>,
}

impl Present {
    /// Whether it can be told that it is the same who comes back.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// What it has asked to show.
    pub(crate) fn asked(&self) -> &AskedPresence {
        &self.asked
    }

    /// It was let in: when its connection ends it may come back.
    pub(crate) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// It goes for good, whatever becomes of its connection.
    pub(crate) fn retract(mut self) {
        self.is_settled = false;
    }

    /// It is seen there from now on. Places that it leaves it leaves at once.
    pub(crate) fn follow(&mut self, places: Vec<Place>) -> Result<(), Problem> {
        let now = self.presence.now();
        let mut rooms = self.presence.rooms();
        let identity = &self.who.identity;
        self.places.retain(|place| {
            let stays = places.contains(place);
            if !stays {
                rooms.leave(&place.topic, identity, (Leaving::ForGood, now.ms));
            }
            stays
        });
        for place in places {
            if !self.places.contains(&place) {
                rooms.enter(&place, &self.who, now).map_err(no_room)?;
                self.places.push(place);
            }
        }
        Ok(())
    }

    /// Where it is seen.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let is_back = self.is_known && self.is_settled;
        let leaving = if is_back { Leaving::Perhaps } else { Leaving::ForGood };
        let now_ms = self.presence.ticker.now_ms();
        let mut rooms = self.presence.rooms();
        for Place { topic, .. } in &self.places {
            rooms.leave(topic, &self.who.identity, (leaving, now_ms));
        }
    }
}

fn no_room(shortage: Shortage) -> Problem {
    let detail = match shortage {
        Shortage::Full => format!(
            "those who show themselves take {PRESENCE_BYTES_MAX} bytes, the most that they may: follow \
             without `present`, or come again later"
        ),
        Shortage::OfHolder => {
            "you show yourself on so many topics, or as so many, that the rest of \
                               the room is for others: follow without `present`"
                .to_owned()
        }
    };
    Problem::new(Code::ConnectionsExhausted, detail).retry_after(30)
}

/// What those are answered who want to show themselves where nobody does.
pub(crate) fn nowhere() -> Problem {
    let detail = "`present` is for topics that are named without a wildcard and that have presence: \
                  the setting `presence` of the server names them; `alerts/at/<fingerprint>` has it \
                  while the alert is on your board";
    Problem::new(Code::ParameterInvalid, detail)
}

/// What a long poll is answered that nobody would know again.
pub(crate) fn unknown_poll() -> Problem {
    let detail = "a long poll shows itself by turns: it needs `present_id`, a text that nobody guesses \
                  and that stays the same from poll to poll";
    Problem::new(Code::ParameterInvalid, detail)
}

/// Whoever has no name, and comes from nowhere: for those who know nobody.
pub fn nobody() -> FollowerName {
    FollowerName { identity: None, subject: None, holder: Holder::named("") }
}
