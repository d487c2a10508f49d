//! Recording queries under names, and what becomes of those who follow them by their names.
//!
//! A change is in the journal before it counts. A query that stands is changed by the evaluator within
//! a second: its followers see the elements of the old expression go, and those of the new one come.

use std::sync::{Arc, MutexGuard, PoisonError};

use bellwire_journal::RecordChange;
use bellwire_model::{QueryId, Sight, excerpt};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::oneshot;

use super::LiveQueries;
use crate::live::{
    Change, LiveQuery, NamedQueries, NamedQuery, NamedRecord, NewNamedQuery, forgotten,
};

/// What is to become of a query that is there under the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// It stays, and nothing is recorded.
    New,
    /// The new one takes its place.
    InPlace,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// There was none of this name.
    New,
    /// In place of another one.
    InPlace,
    /// Nothing: it was there as it is to be.
    Same,
}

/// Who changes what is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Editor<'a> {
    /// As whoever has recorded it was called ([`NewNamedQuery::owner`]).
    pub owner: &'a str,
    /// Whether they run the server.
    pub is_admin: bool,
}

impl Editor<'_> {
    fn check(self, record: &NamedRecord) -> Result<(), Problem> {
        if self.is_admin || *record.owner == *self.owner {
            return Ok(());
        }
        let by = excerpt(record.made_by.to_string());
        let detail = format!(
            "`{}` was recorded by `{by}`: they change it, or whoever runs the server",
            record.name
        );
        Err(Problem::new(Code::Forbidden, detail))
    }
}

impl LiveQueries {
    pub(super) fn names(&self) -> MutexGuard<'_, NamedQueries> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is recorded under a name, for somebody who sees this.
    pub(super) fn read_named(&self, name: &str, sight: &Sight) -> Result<LiveQuery, Problem> {
        let kept = self.names().to_read(name, sight);
        let (record, number) = kept.ok_or_else(|| no_such(name))?;
        LiveQuery::read_named(&record.name, (&record.query, number), sight)
    }

    /// Reads again what is recorded under the name of a query.
    pub(super) fn read_again(&self, query: &LiveQuery) -> Result<LiveQuery, Problem> {
        let (name, sight) = query.name().expect("what has no name is never read again");
        self.read_named(name, sight)
    }

    /// All that is recorded for those who see this, by their names.
    pub fn named(&self, sight: &Sight) -> Vec<NamedQuery> {
        let records = self.names().of_sight(sight);
        records.into_iter().map(|(id, record)| self.told(id, record)).collect()
    }

    /// What is recorded under a name, for those who see this.
    pub fn find_named(&self, name: &str, sight: &Sight) -> Result<NamedQuery, Problem> {
        let record = self.names().get(name, sight).cloned();
        let record = record.ok_or_else(|| no_such(name))?;
        Ok(self.told(QueryId::named(name, sight), record))
    }

    fn told(&self, id: QueryId, record: Arc<NamedRecord>) -> NamedQuery {
        NamedQuery::new(record, id, self.register.standing(id))
    }

    /// Records a query under its name. It is in the journal when this returns.
    pub async fn record(
        &self,
        new: NewNamedQuery,
        recording: Recording,
        editor: Editor<'_>,
    ) -> Result<(NamedQuery, Recorded), Problem> {
        let id = new.id();
        let (new, mut record) = aside(move || {
            let record = new.read(clock::now())?;
            Ok((new, record))
        })
        .await?;
        let _turn = self.turn.lock().await;
        let old = self.names().get(&new.name, &new.sight).cloned();
        if let Some(old) = &old {
            if old.says(&record) {
                return Ok((self.told(id, Arc::clone(old)), Recorded::Same));
            }
            if recording == Recording::New {
                let detail = format!(
                    "`{}` is recorded already: `PUT /v1/queries/{{name}}` replaces it",
                    old.name
                );
                return Err(Problem::new(Code::QueryExists, detail));
            }
            editor.check(old)?;
            // It stays of whoever has recorded it, whoever changes it.
            (record.owner, record.made_by) = (old.owner.clone(), old.made_by.clone());
            record.made_at = old.made_at;
        }
        self.names().check(id, &record)?;
        let is_same_text = old.as_ref().is_some_and(|old| old.query == record.query);
        self.write(record.change(id)).await?;
        let record = Arc::new(record);
        let number = self.names().put(id, Arc::clone(&record));
        if !is_same_text {
            let sight = new.sight;
            let text = Arc::clone(&record);
            let read = move || LiveQuery::read_named(&text.name, (&text.query, number), &sight);
            let query = aside(read).await?;
            self.register.change(id, Change::Replaced(Box::new(query)));
        }
        let recorded = if old.is_some() { Recorded::InPlace } else { Recorded::New };
        Ok((self.told(id, record), recorded))
    }

    /// Forgets what is recorded under a name. It is gone from the journal when this returns; who
    /// follows it is told why it ends.
    pub async fn forget(
        &self,
        name: &str,
        sight: &Sight,
        editor: Editor<'_>,
    ) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let record = self.names().get(name, sight).cloned().ok_or_else(|| no_such(name))?;
        editor.check(&record)?;
        let id = QueryId::named(name, sight);
        self.write(forgotten(id)).await?;
        self.names().remove(id);
        self.register.change(id, Change::Ended(no_such(name)));
        Ok(())
    }

    async fn write(&self, change: RecordChange) -> Result<(), Problem> {
        let (reply, replied) = oneshot::channel();
        let reply = Box::new(move |result| drop(reply.send(result)));
        self.journal.write_records(vec![change], reply)?;
        Ok(replied.await.unwrap_or(Err(bellwire_journal::Error::Closed))?)
    }
}

/// Does work that takes a while on a thread that serves nobody.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(Code::Draining, error))?
}

fn no_such(name: &str) -> Problem {
    let detail = format!("no query is recorded under `{}` for you", excerpt(name.to_owned()));
    Problem::new(Code::QueryNotFound, detail)
}
