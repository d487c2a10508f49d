//! Which queries stand, and how many follow each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_model::QueryId;
use bellwire_model::limits::{
    LIVE_EXPRESSIONS_BYTES_MAX, LIVE_JOINS_MAX, LIVE_LINGER, LIVE_QUERIES_MAX,
    LIVE_QUERIES_OF_ONE_MAX, ROOM_OF_ONE_SHARE,
};
use bellwire_process::clock::Ticker;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::watch;

use super::past::QueryPast;
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
    /// What the expressions of all take.
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    query: LiveQueryText,
    bytes: usize,
    /// Who had it begin. It is of their share until it ends, also where others follow it.
    owner: Follower,
    /// The series that it looks at, as of the last second.
    series: usize,
    followers: usize,
    /// Since when nobody follows it.
    left: Option<Ticker>,
    standing: watch::Sender<Standing>,
    /// What has become of the name that it is followed by, and is yet to be seen to.
    change: Option<Change>,
    /// Whether what was before it began is remembered, as far as that is known.
    past: Arc<QueryPast>,
}

/// What has become of what is recorded under a name.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is another expression now.
    Replaced(Box<LiveQuery>),
    /// It ends, for this reason.
    Ended(Problem),
}

/// What tells a query from any other, whatever their ids.
#[derive(Debug)]
struct LiveQueryText {
    text: Arc<str>,
    canonical: Arc<str>,
    sight: bellwire_model::Sight,
    name: Option<Arc<str>>,
}

impl LiveQueryText {
    fn of(query: &LiveQuery) -> Self {
        let LiveQuery { text, canonical, sight, named, .. } = query;
        let name = named.as_ref().map(|(name, _)| Arc::clone(name));
        Self { text: text.clone(), canonical: canonical.clone(), sight: sight.clone(), name }
    }

    /// Whether somebody wants to follow this one. A name is followed whatever it stands for.
    fn is(&self, query: &LiveQuery) -> bool {
        let is_same = match (&self.name, &query.named) {
            (None, None) => self.canonical == query.canonical,
            (Some(name), Some((other, _))) => name == other,
            _ => false,
        };
        is_same && self.sight == query.sight
    }
}

/// Somebody has come to follow a query.
pub(crate) struct Entering {
    pub(crate) number: u64,
    /// Whether it has to begin.
    pub(crate) is_new: bool,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) past: Arc<QueryPast>,
}

impl Entries {
    /// Whether somebody may have one more query begin. Who has many leaves some of the room to others.
    fn check_room(&self, bytes: usize, owner: &str) -> Result<(), Problem> {
        if self.by_id.len() >= LIVE_QUERIES_MAX {
            let detail = format!("{LIVE_QUERIES_MAX} queries are followed, the most there may be");
            return Err(exhausted(detail));
        }
        let free = LIVE_EXPRESSIONS_BYTES_MAX.saturating_sub(self.bytes);
        if bytes > free {
            return Err(no_room_for_expressions());
        }
        let series: usize = self.by_id.values().map(|entry| entry.series).sum();
        let is_crowded = [
            (self.by_id.len(), LIVE_QUERIES_MAX),
            (self.bytes, LIVE_EXPRESSIONS_BYTES_MAX),
            (series, LIVE_JOINS_MAX),
        ]
        .into_iter()
        .any(|(used, max)| used > max.saturating_sub(used).saturating_mul(ROOM_OF_ONE_SHARE));
        if !is_crowded {
            return Ok(());
        }
        let own = || self.by_id.values().filter(|entry| *entry.owner == *owner);
        let count = own().count();
        let own_bytes: usize = own().map(|entry| entry.bytes).sum();
        let own_series: usize = own().map(|entry| entry.series).sum();
        let rooms = [
            ("queries", count, LIVE_QUERIES_MAX.saturating_sub(self.by_id.len())),
            ("bytes of expressions", own_bytes, free),
            ("series of queries", own_series, LIVE_JOINS_MAX.saturating_sub(series)),
        ];
        match rooms.into_iter().find(|(_, own, free)| *own > free.saturating_mul(ROOM_OF_ONE_SHARE))
        {
            None => Ok(()),
            Some((what, own, free)) => Err(exhausted(format!(
                "you have {own} {what}, more than {ROOM_OF_ONE_SHARE} times the {free} that there is room \
                 for: the rest is for others"
            ))),
        }
    }
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
            if !entry.query.is(query) {
                let detail = "another query has the same id: write it in another way";
                return Err(Problem::new(Code::QueryInvalid, detail));
            }
            entry.followers += 1;
            entry.left = None;
            let (number, standing) = (entry.number, entry.standing.subscribe());
            // Where its name stands for something else by now, what it is yet to be has no past here.
            let is_same = entry.query.canonical == query.canonical;
            let past = if is_same { Arc::clone(&entry.past) } else { Arc::new(QueryPast::over()) };
            *entries.of_followers.entry(follower.into()).or_default() += 1;
            return Ok(Entering { number, is_new: false, standing, past });
        }
        entries.check_room(query.bytes(), follower)?;
        entries.begun += 1;
        entries.bytes += query.bytes();
        let number = entries.begun;
        let (standing, receiver) = watch::channel(Standing::Begins);
        let bytes = query.bytes();
        let query_text = LiveQueryText::of(query);
        let owner = follower.into();
        let entry = Entry {
            number,
            query: query_text,
            bytes,
            owner,
            series: 0,
            followers: 1,
            left: None,
            standing,
            change: None,
            past: Arc::default(),
        };
        let past = Arc::clone(&entry.past);
        entries.by_id.insert(query.id, entry);
        *entries.of_followers.entry(follower.into()).or_default() += 1;
        Ok(Entering { number, is_new: true, standing: receiver, past })
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
        let mut entries = self.entries();
        if let Some(entry) = entries.by_id.remove(&id) {
            entries.bytes -= entry.bytes;
            entry.past.end();
            entry.standing.send_replace(Standing::Refused(problem.clone()));
        }
    }

    /// The same of all that there are.
    pub(crate) fn refuse_all(&self, problem: &Problem) {
        let mut entries = self.entries();
        for (_, entry) in std::mem::take(&mut entries.by_id) {
            entry.past.end();
            entry.standing.send_replace(Standing::Refused(problem.clone()));
        }
        entries.bytes = 0;
    }

    /// Takes out a query that does not stand yet, where those who wanted to follow it have gone.
    pub(crate) fn take_abandoned(&self, id: QueryId) -> bool {
        let mut entries = self.entries();
        let is_wanted = entries.by_id.get(&id).is_some_and(|entry| entry.followers > 0);
        if !is_wanted && let Some(entry) = entries.by_id.remove(&id) {
            entries.bytes -= entry.bytes;
        }
        !is_wanted
    }

    /// How many series queries look at.
    pub(crate) fn set_series(&self, series: impl Iterator<Item = (QueryId, usize)>) {
        let mut entries = self.entries();
        for (id, series) in series {
            if let Some(entry) = entries.by_id.get_mut(&id) {
                entry.series = series;
            }
        }
    }

    /// The expression of a query, as whoever asked first wrote it, and the name that it is recorded
    /// under.
    pub(crate) fn text(&self, id: QueryId) -> Option<(Arc<str>, Option<Arc<str>>)> {
        let entries = self.entries();
        let query = &entries.by_id.get(&id)?.query;
        Some((Arc::clone(&query.text), query.name.clone()))
    }

    /// Whether a query stands, and how many follow it.
    pub(crate) fn standing(&self, id: QueryId) -> (bool, usize) {
        let entries = self.entries();
        entries.by_id.get(&id).map_or((false, 0), |entry| {
            (matches!(*entry.standing.borrow(), Standing::Stands), entry.followers)
        })
    }

    /// What is recorded under a name is not what it was. Nothing where nobody follows it.
    pub(crate) fn change(&self, id: QueryId, change: Change) {
        if let Some(entry) = self.entries().by_id.get_mut(&id) {
            entry.change = Some(change);
        }
    }

    /// Takes what is to be seen to: of queries that stand, so that nothing is begun twice. One that has
    /// another expression stands no longer, until that does.
    pub(crate) fn take_changed(&self) -> Vec<(QueryId, Change)> {
        let mut entries = self.entries();
        let entries = &mut *entries;
        let mut changed = Vec::new();
        for (id, entry) in &mut entries.by_id {
            if !matches!(*entry.standing.borrow(), Standing::Stands) {
                continue;
            }
            match entry.change.take() {
                None => {}
                Some(Change::Replaced(query)) if entry.query.canonical == query.canonical => {
                    entry.query.text = query.text;
                }
                Some(Change::Replaced(query)) => {
                    let bytes = query.bytes();
                    let all = entries.bytes - entry.bytes + bytes;
                    if all > LIVE_EXPRESSIONS_BYTES_MAX {
                        changed.push((*id, Change::Ended(no_room_for_expressions())));
                        continue;
                    }
                    (entries.bytes, entry.bytes) = (all, bytes);
                    entry.query = LiveQueryText::of(&query);
                    std::mem::take(&mut entry.past).end();
                    entry.standing.send_replace(Standing::Begins);
                    changed.push((*id, Change::Replaced(query)));
                }
                Some(ended) => changed.push((*id, ended)),
            }
        }
        changed
    }

    /// Takes out the queries that nobody has followed for long.
    pub(crate) fn take_left(&self) -> Vec<QueryId> {
        let mut entries = self.entries();
        let is_left = |entry: &Entry| {
            let begins = matches!(*entry.standing.borrow(), Standing::Begins);
            !begins && entry.left.as_ref().is_some_and(|left| left.elapsed() >= LIVE_LINGER)
        };
        let left: Vec<(QueryId, Entry)> =
            entries.by_id.extract_if(|_, entry| is_left(entry)).collect();
        entries.bytes -= left.iter().map(|(_, entry)| entry.bytes).sum::<usize>();
        left.into_iter().map(|(id, _)| id).collect()
    }

    /// How many queries there are, and how many follow them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let entries = self.entries();
        (entries.by_id.len(), entries.by_id.values().map(|entry| entry.followers).sum())
    }
}

fn no_room_for_expressions() -> Problem {
    let detail = "the expressions of all queries that are followed take as many bytes as they may";
    exhausted(detail.into())
}

#[cfg(test)]
mod tests {
    use bellwire_model::Sight;

    use super::*;

    fn query(text: &str) -> LiveQuery {
        LiveQuery::read(text, &Sight::all()).expect(text)
    }

    #[test]
    fn who_has_much_leaves_room_to_others() {
        let register = Register::default();
        let (first, second) = (query("x"), query("y"));
        register.enter(&first, "ada").expect("there is nothing yet");
        register.set_series([(first.id, LIVE_JOINS_MAX / 10 * 8)].into_iter());
        register.enter(&second, "ada").expect("four times as much as is free");
        register.set_series([(second.id, LIVE_JOINS_MAX / 10)].into_iter());
        let refused = register.enter(&query("z"), "ada").err().expect("nine times as much");
        assert_eq!(refused.code, Code::QueriesExhausted);
        register.enter(&query("z"), "bob").expect("others have what is left");
        register.enter(&first, "ada").expect("what stands needs no room");
    }

    #[test]
    fn who_opens_and_goes_has_still_had_them_begin() {
        let register = Register::default();
        let mut begun = 0;
        let refused = loop {
            let query = query(&format!("x + {begun}"));
            match register.enter(&query, "ada") {
                Ok(entering) => register.leave((query.id, entering.number), "ada"),
                Err(refused) => break refused,
            }
            register.stand(query.id);
            begun += 1;
        };
        assert_eq!(refused.code, Code::QueriesExhausted);
        assert!(begun < LIVE_QUERIES_MAX / 10 * 9, "{begun}");
        register.enter(&query("y"), "bob").expect("the rest is for others");
    }

    #[test]
    fn a_name_that_stands_for_something_else_begins_anew_once_it_stands() {
        let register = Register::default();
        let named = |text: &str, number| {
            LiveQuery::read_named("hot", (text, number), &Sight::all()).expect(text)
        };
        let query = named("x", 1);
        let id = query.id;
        register.enter(&query, "ada").expect("there is nothing yet");
        register.change(id, Change::Replaced(Box::new(named("sum(x)", 2))));
        assert!(register.take_changed().is_empty(), "it does not stand yet");
        register.stand(id);
        assert_eq!(register.standing(id), (true, 1));
        assert!(matches!(&register.take_changed()[..], [(_, Change::Replaced(_))]));
        assert_eq!(register.standing(id), (false, 1));
        assert_eq!(register.text(id), Some(("sum(x)".into(), Some("hot".into()))));
        assert_eq!(register.entries().bytes, named("sum(x)", 2).bytes());
        register.stand(id);
        // In other words it is the same.
        register.change(id, Change::Replaced(Box::new(named("sum( x )", 3))));
        assert!(register.take_changed().is_empty());
        assert!(!register.enter(&named("sum(x)", 2), "bob").expect("it stands").is_new);
        let gone = Problem::new(Code::QueryNotFound, "gone");
        register.change(id, Change::Ended(gone));
        assert!(matches!(&register.take_changed()[..], [(_, Change::Ended(_))]));
    }

    #[test]
    fn what_was_found_of_an_expression_is_not_wanted_once_its_name_stands_for_another() {
        let register = Register::default();
        let named = |text: &str, number| {
            LiveQuery::read_named("hot", (text, number), &Sight::all()).expect(text)
        };
        let (old, new) = (named("sum(x)", 1), named("max(x)", 2));
        let id = old.id;
        let of_old = register.enter(&old, "ada").expect("there is nothing yet").past;
        register.stand(id);
        register.change(id, Change::Replaced(Box::new(new.clone())));
        let early = register.enter(&new, "bob").expect("the old one stands").past;
        assert!(!of_old.is_over(), "it stands still");
        assert!(early.is_over(), "the new one does not stand yet");
        assert_eq!(register.take_changed().len(), 1);
        assert!(of_old.is_over());
        let of_new = register.enter(&new, "bob").expect("it begins").past;
        assert!(!of_new.is_over());
        register.refuse(id, &exhausted("there is no room".into()));
        assert!(of_new.is_over());
    }

    #[test]
    fn one_that_nobody_waits_for_does_not_begin() {
        let register = Register::default();
        let query = query("x");
        let entering = register.enter(&query, "ada").expect("there is nothing yet");
        assert!(!register.take_abandoned(query.id));
        register.leave((query.id, entering.number), "ada");
        assert!(register.take_abandoned(query.id));
        let again = register.enter(&query, "ada").expect("there is nothing yet");
        assert!(again.is_new);
        assert_eq!(register.entries().bytes, query.bytes());
    }
}
