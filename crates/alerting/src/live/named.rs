//! Queries that are recorded under names: expressions that dashboards follow without knowing them.
//!
//! Each is a durable record below `query/`. Who sees the same has the same names: to others there are
//! none of these, and they may use the names for queries of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_journal::{Record, RecordChange};
use bellwire_model::limits::{
    NAMED_QUERIES_BYTES_MAX, NAMED_QUERIES_MAX, QUERY_NAME_BYTES_MAX, QUERY_NOTE_BYTES_MAX,
};
use bellwire_model::{Holder, QueryId, Scope, Shares, Shortage, Sight, Timestamp, Topic};
use bellwire_rules::Cost;
use bellwire_wire::problem::{Code, Problem};
use serde::{Deserialize, Serialize};

use super::{CostReport, LiveQuery};

/// What the records of queries begin with.
pub(crate) const PREFIX: &str = "query/";

/// A query that is to be recorded.
#[derive(Clone, Debug)]
pub struct NewNamedQuery {
    /// The name, for those who see the same as whoever records it.
    pub name: Box<str>,
    /// The expression.
    pub text: Box<str>,
    /// What it is for.
    pub note: Box<str>,
    /// What whoever records it sees.
    pub sight: Sight,
    /// Who records it: they alone may change it, and those who run the server.
    pub owner: Box<str>,
    /// How they are called.
    pub by: Box<str>,
}

/// A query as its record has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NamedRecord {
    pub(crate) name: Box<str>,
    pub(crate) query: Box<str>,
    pub(crate) note: Box<str>,
    pub(crate) owner: Box<str>,
    pub(crate) made_by: Box<str>,
    pub(crate) made_at: i64,
    pub(crate) changed_at: i64,
    /// What is seen by those who have the name.
    sight: Box<str>,
    pub(crate) cost: CostReport,
}

/// A query that is recorded.
#[derive(Clone, Debug)]
pub struct NamedQuery {
    record: Arc<NamedRecord>,
    /// The topic of its answer.
    pub topic: Topic,
    /// Whether it stands now.
    pub stands: bool,
    /// How many follow it now.
    pub followers: usize,
}

impl NamedQuery {
    pub(crate) fn new(
        record: Arc<NamedRecord>,
        id: QueryId,
        (stands, followers): (bool, usize),
    ) -> Self {
        Self { record, topic: id.topic(), stands, followers }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// The expression, as it was written.
    pub fn text(&self) -> &str {
        &self.record.query
    }

    /// What it is for.
    pub fn note(&self) -> &str {
        &self.record.note
    }

    /// Who has recorded it.
    pub fn made_by(&self) -> &str {
        &self.record.made_by
    }

    /// When it was recorded first, and when last.
    pub fn times(&self) -> (Timestamp, Timestamp) {
        let NamedRecord { made_at, changed_at, .. } = *self.record;
        (Timestamp::from_ms(made_at), Timestamp::from_ms(changed_at))
    }

    /// What it costs to follow it, as far as the expression tells.
    pub fn cost(&self) -> &CostReport {
        &self.record.cost
    }
}

impl NewNamedQuery {
    /// The identity of its name.
    pub(crate) fn id(&self) -> QueryId {
        QueryId::named(&self.name, &self.sight)
    }

    fn check(&self) -> Result<(), Problem> {
        let invalid = |detail: String| Problem::new(Code::BodyInvalid, detail);
        if self.name.len() > QUERY_NAME_BYTES_MAX {
            return Err(invalid(format!("a name has at most {QUERY_NAME_BYTES_MAX} bytes")));
        }
        if self.name.contains('/') || self.name.parse::<Topic>().is_err() {
            let detail = "a name is a segment of a topic: not empty, without `/` and `*`";
            return Err(invalid(detail.to_owned()));
        }
        if self.note.len() > QUERY_NOTE_BYTES_MAX {
            return Err(invalid(format!("a note has at most {QUERY_NOTE_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// The record, if all of it is as it has to be. To read an expression that is full of patterns
    /// takes long.
    pub(crate) fn read(&self, now: Timestamp) -> Result<NamedRecord, Problem> {
        self.check()?;
        LiveQuery::read(&self.text, &self.sight)?;
        let cost = Cost::of_followed(&self.text)
            .map_err(|detail| Problem::new(Code::QueryTooCostly, detail))?;
        Ok(NamedRecord {
            name: self.name.clone(),
            query: self.text.clone(),
            note: self.note.clone(),
            owner: self.owner.clone(),
            made_by: self.by.clone(),
            made_at: now.as_ms(),
            changed_at: now.as_ms(),
            sight: sight_text(&self.sight),
            cost: CostReport::new(&cost),
        })
    }
}

impl NamedRecord {
    fn is_of(&self, name: &str, sight: &str) -> bool {
        *self.name == *name && *self.sight == *sight
    }

    /// Whether it says the same as another one.
    pub(crate) fn says(&self, other: &Self) -> bool {
        (&self.query, &self.note, &self.owner) == (&other.query, &other.note, &other.owner)
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// What has to be written down.
    pub(crate) fn change(&self, id: QueryId) -> RecordChange {
        RecordChange { key: record_key(id), value: Some(self.json().into()) }
    }

    fn holder(&self) -> Holder {
        Holder::named(&self.owner)
    }

    fn bytes(&self) -> usize {
        self.json().len()
    }
}

/// The record goes.
pub(crate) fn forgotten(id: QueryId) -> RecordChange {
    RecordChange { key: record_key(id), value: None }
}

fn record_key(id: QueryId) -> Box<str> {
    format!("{PREFIX}{id}").into()
}

/// A text that is the same for those who see the same.
fn sight_text(sight: &Sight) -> Box<str> {
    let scope = |scope: &Scope| {
        let sets = scope.sets();
        sets.map(|sets| sets.iter().map(ToString::to_string).collect::<Vec<String>>())
    };
    let scopes = [scope(&sight.alerts), scope(&sight.series)];
    serde_json::to_string(&scopes).expect("texts are JSON").into()
}

/// What is recorded, and of whose shares it is.
#[derive(Debug)]
pub(crate) struct NamedQueries {
    by_id: BTreeMap<QueryId, Kept>,
    counts: Shares,
    bytes: Shares,
    /// How many expressions have been recorded.
    recorded: u64,
}

#[derive(Debug)]
struct Kept {
    record: Arc<NamedRecord>,
    number: u64,
}

impl NamedQueries {
    /// What the journal has.
    pub(crate) fn of_records(records: Vec<Record>) -> Self {
        let (counts, bytes) =
            (Shares::new(NAMED_QUERIES_MAX), Shares::new(NAMED_QUERIES_BYTES_MAX));
        let mut queries = Self { by_id: BTreeMap::new(), counts, bytes, recorded: 0 };
        for Record { key, value } in records {
            let read = serde_json::from_slice::<NamedRecord>(&value);
            let id = key.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
            match id.zip(read.ok()) {
                Some((id, record)) => drop(queries.put(id, Arc::new(record))),
                None => {
                    tracing::warn!(%key, "A record of a query cannot be read; it has no name any more.");
                }
            }
        }
        queries
    }

    /// The record of this name, for those who see this.
    pub(crate) fn get(&self, name: &str, sight: &Sight) -> Option<&Arc<NamedRecord>> {
        let kept = self.by_id.get(&QueryId::named(name, sight))?;
        kept.record.is_of(name, &sight_text(sight)).then_some(&kept.record)
    }

    /// Who reads an expression takes its time, and asks again then whether it still counts.
    pub(crate) fn to_read(&self, name: &str, sight: &Sight) -> Option<(Arc<NamedRecord>, u64)> {
        self.get(name, sight)?;
        let kept = self.by_id.get(&QueryId::named(name, sight))?;
        Some((Arc::clone(&kept.record), kept.number))
    }

    /// Which of the expressions of all there is under this name.
    pub(crate) fn number(&self, id: QueryId) -> Option<u64> {
        self.by_id.get(&id).map(|kept| kept.number)
    }

    /// All of those who see this, by their names.
    pub(crate) fn of_sight(&self, sight: &Sight) -> Vec<(QueryId, Arc<NamedRecord>)> {
        let sight = sight_text(sight);
        let own = self.by_id.iter().filter(|(_, kept)| kept.record.sight == sight);
        let mut own: Vec<_> = own.map(|(id, kept)| (*id, Arc::clone(&kept.record))).collect();
        own.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        own
    }

    /// Whether there is room for a record, in place of what there is under its name.
    pub(crate) fn check(&self, id: QueryId, new: &NamedRecord) -> Result<(), Problem> {
        let old = self.by_id.get(&id).map(|kept| &kept.record);
        if old.is_some_and(|old| !old.is_of(&new.name, &new.sight)) {
            let detail = "another name has the same id: choose another one";
            return Err(Problem::new(Code::QueryExists, detail));
        }
        let more = new.bytes().saturating_sub(old.map_or(0, |old| old.bytes()));
        let holder = old.map_or_else(|| new.holder(), |old| old.holder());
        let rooms = [(&self.counts, usize::from(old.is_none())), (&self.bytes, more)];
        // What takes no more than what there is has room, also where that is more than there may be.
        for (room, more) in rooms.into_iter().filter(|(_, more)| *more > 0) {
            room.check(holder, more).map_err(|shortage| {
                let detail = match shortage {
                    Shortage::Full => "as many queries are recorded as may be: delete some",
                    Shortage::OfHolder => {
                        "what is left of the room for recorded queries is for others: delete some of yours"
                    }
                };
                Problem::new(Code::RecordsExhausted, detail)
            })?;
        }
        Ok(())
    }

    /// Puts what the journal has taken; says which of all expressions it is.
    pub(crate) fn put(&mut self, id: QueryId, record: Arc<NamedRecord>) -> u64 {
        self.remove(id);
        self.counts.take(record.holder(), 1);
        self.bytes.take(record.holder(), record.bytes());
        self.recorded += 1;
        self.by_id.insert(id, Kept { record, number: self.recorded });
        self.recorded
    }

    /// There is none of this name any more.
    pub(crate) fn remove(&mut self, id: QueryId) {
        if let Some(Kept { record, .. }) = self.by_id.remove(&id) {
            self.counts.give_back(record.holder(), 1);
            self.bytes.give_back(record.holder(), record.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, team: &str, owner: &str) -> NewNamedQuery {
        let series = match team {
            "" => Scope::all(),
            team => Scope::of(vec![format!("team={team}").parse().expect("matchers")]),
        };
        let sight = Sight { alerts: Scope::all(), series };
        let (owner, by) = (owner.into(), owner.into());
        NewNamedQuery { name: name.into(), text: "x > 1".into(), note: "".into(), sight, owner, by }
    }

    fn record(new: &NewNamedQuery) -> Arc<NamedRecord> {
        Arc::new(new.read(Timestamp::from_ms(5)).expect("valid"))
    }

    #[test]
    fn names_are_of_those_who_see_the_same() {
        let (mut queries, of_all) = (NamedQueries::of_records(Vec::new()), new("hot", "", "ada"));
        let of_team = new("hot", "blue", "bob");
        queries.put(of_all.id(), record(&of_all));
        assert!(queries.get("hot", &of_all.sight).is_some());
        assert!(queries.get("hot", &of_team.sight).is_none());
        assert!(queries.get("cold", &of_all.sight).is_none());
        queries.put(of_team.id(), record(&of_team));
        let listed = queries.of_sight(&of_team.sight);
        assert_eq!(listed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [of_team.id()]);
        queries.remove(of_team.id());
        assert!(queries.of_sight(&of_team.sight).is_empty());
    }

    #[test]
    fn records_come_back_as_they_were() {
        let new = new("hot", "blue", "ada");
        let written = record(&new);
        let RecordChange { key, value } = written.change(new.id());
        let records = vec![
            Record { key, value: value.expect("a record") },
            Record { key: "query/zz".into(), value: "{}".into() },
        ];
        let queries = NamedQueries::of_records(records);
        let read = queries.get("hot", &new.sight).expect("it is there");
        assert_eq!(read.json(), written.json());
        assert_eq!(queries.by_id.len(), 1);
    }

    #[test]
    fn who_records_many_leaves_room_to_others() {
        let mut queries = NamedQueries::of_records(Vec::new());
        let refused = (0..).find_map(|number| {
            let new = new(&number.to_string(), "", "ada");
            let record = record(&new);
            let refused = queries.check(new.id(), &record).err();
            queries.put(new.id(), record);
            refused
        });
        assert_eq!(refused.map(|problem| problem.code), Some(Code::RecordsExhausted));
        let same = new("0", "", "ada");
        queries.check(same.id(), &record(&same)).expect("in place of what there is");
        let other = new("other", "", "bob");
        queries.check(other.id(), &record(&other)).expect("the rest is for others");
    }

    #[test]
    fn what_is_no_name_or_expression_is_refused() {
        let long = "x".repeat(QUERY_NAME_BYTES_MAX + 1);
        for name in ["", "a/b", "*", "a*", &long] {
            let refused = new(name, "", "ada").read(Timestamp::MIN).expect_err(name);
            assert_eq!(refused.code, Code::BodyInvalid, "{name}");
        }
        for (text, code) in [("sum(", Code::QueryInvalid), ("rate(x[9d])", Code::QueryTooCostly)] {
            let new = NewNamedQuery { text: text.into(), ..new("hot", "", "ada") };
            assert_eq!(new.read(Timestamp::MIN).expect_err(text).code, code, "{text}");
        }
    }
}
