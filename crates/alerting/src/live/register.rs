//! Which queries stand, and how many follow each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::QueryId;
use bellwire_model::limits::{LIVE_LINGER, LIVE_QUERIES_MAX, LIVE_QUERIES_OF_ONE_MAX};
use bellwire_process::clock::Ticker;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::watch;

use super::{Follower, LiveQuery, exhausted};

/// How far a query has come.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Its first answer is not complete.
    Begins,
    Stands,
    Refused(Problem),
}

/// All queries, and who follows them.
#[derive(Debug, Default)]
pub struct Register(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_id: HashMap<QueryId, Entry>,
    /// How many each follows, where it follows any; who follows one twice counts twice.
    of_followers: HashMap<Follower, usize>,
    begun: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    query: LiveQueryText,
    followers: usize,
    /// Since when nobody follows it.
    left: Option<Ticker>,
    standing: watch::Sender<Standing>,
}

/// What tells a query from any other, whatever their ids.
#[derive(Debug)]
struct LiveQueryText {
    text: Arc<str>,
    canonical: Arc<str>,
    sight: bellwire_model::Sight,
}

/// Somebody has come to follow a query.
pub(crate) struct Entering {
    pub(crate) number: u64,
    /// Whether it has to begin.
    pub(crate) is_new: bool,
    pub(crate) standing: watch::Receiver<Standing>,
}

impl Register {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more follows a query, which is new where nobody did.
    pub(crate) fn enter(&self, query: &LiveQuery, follower: &str) -> Result<Entering, Problem> {
        let mut entries = self.entries();
        let of_one = entries.of_followers.get(follower).copied().unwrap_or_default();
        if of_one >= LIVE_QUERIES_OF_ONE_MAX {
            let detail = format!(
                "you follow {of_one} queries, each connection counted, the most that one may: \
                 follow fewer"
            );
            return Err(exhausted(detail));
        }
        if let Some(entry) = entries.by_id.get_mut(&query.id) {
            if (&entry.query.canonical, &entry.query.sight) != (&query.canonical, &query.sight) {
                let detail = "another query has the same id: write it in another way";
                return Err(Problem::new(Code::QueryInvalid, detail));
            }
            entry.followers += 1;
            entry.left = None;
            let (number, standing) = (entry.number, entry.standing.subscribe());
            *entries.of_followers.entry(follower.into()).or_default() += 1;
            return Ok(Entering { number, is_new: false, standing });
        }
        if entries.by_id.len() >= LIVE_QUERIES_MAX {
            let detail = format!("{LIVE_QUERIES_MAX} queries are followed, the most there may be");
            return Err(exhausted(detail));
        }
        entries.begun += 1;
        let number = entries.begun;
        let (standing, receiver) = watch::channel(Standing::Begins);
        let LiveQuery { text, canonical, sight, .. } = query.clone();
        let query_text = LiveQueryText { text, canonical, sight };
        let entry = Entry { number, query: query_text, followers: 1, left: None, standing };
        entries.by_id.insert(query.id, entry);
        *entries.of_followers.entry(follower.into()).or_default() += 1;
        Ok(Entering { number, is_new: true, standing: receiver })
    }

    /// One follows it no more.
    pub(crate) fn leave(&self, (id, number): (QueryId, u64), follower: &str) {
        let mut entries = self.entries();
        if let Some(follows) = entries.of_followers.get_mut(follower) {
            *follows -= 1;
            if *follows == 0 {
                entries.of_followers.remove(follower);
            }
        }
        let Some(entry) = entries.by_id.get_mut(&id).filter(|entry| entry.number == number) else {
            return;
        };
        entry.followers -= 1;
        if entry.followers == 0 {
            entry.left = Some(Ticker::start());
        }
    }

    /// The first answer is complete.
    pub(crate) fn stand(&self, id: QueryId) {
        if let Some(entry) = self.entries().by_id.get(&id) {
            entry.standing.send_replace(Standing::Stands);
        }
    }

    /// It does not stand, or no longer: whoever comes next begins anew.
    pub(crate) fn refuse(&self, id: QueryId, problem: &Problem) {
        if let Some(entry) = self.entries().by_id.remove(&id) {
            entry.standing.send_replace(Standing::Refused(problem.clone()));
        }
    }

    /// The expression of a query, as whoever asked first wrote it.
    pub(crate) fn text(&self, id: QueryId) -> Option<Arc<str>> {
        self.entries().by_id.get(&id).map(|entry| Arc::clone(&entry.query.text))
    }

    /// Takes out the queries that nobody has followed for long.
    pub(crate) fn take_left(&self) -> Vec<QueryId> {
        let mut entries = self.entries();
        let is_left = |entry: &Entry| {
            let begins = matches!(*entry.standing.borrow(), Standing::Begins);
            !begins && entry.left.as_ref().is_some_and(|left| left.elapsed() >= LIVE_LINGER)
        };
        entries.by_id.extract_if(|_, entry| is_left(entry)).map(|(id, _)| id).collect()
    }

    /// How many queries there are, and how many follow them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let entries = self.entries();
        (entries.by_id.len(), entries.by_id.values().map(|entry| entry.followers).sum())
    }
}
