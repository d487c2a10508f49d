//! Events of a stream that are appended together, by somebody who reads the journal's own answer.

use bellwire_journal::{Append, Appended, Error, Journal};

use super::{Publisher, answer};

impl Publisher {
    /// Appends a batch as it is, whole or not at all. What refuses it is the journal's own error; what
    /// its writer has appended before is said of each.
    pub async fn append_whole(&self, batch: Vec<Append>) -> Result<Vec<Appended>, Error> {
        self.append_whole_to(&*self.journal, batch).await
    }

    /// The same where the journal is written by another way.
    pub async fn append_whole_to(
        &self,
        journal: &dyn Journal,
        batch: Vec<Append>,
    ) -> Result<Vec<Appended>, Error> {
        let needed = batch.into_iter().map(|append| Append { must_be_made: true, ..append });
        let (done, answered) = answer();
        journal.append(needed.collect(), Box::new(done)).inspect_err(|error| self.note(error))?;
        let appended = answered.await.inspect_err(|error| self.note(error))?;
        let new = appended.iter().filter(|appended| !appended.duplicate).count();
        self.figures.events_published.add(new as u64);
        Ok(appended)
    }

    fn note(&self, error: &Error) {
        if !matches!(error, Error::Condition(_)) {
            self.figures.journal_failures.add(1);
        }
    }
}
