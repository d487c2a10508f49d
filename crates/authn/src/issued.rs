//! The newest issue of a credential that was seen. What is taken back while the clock is behind is all
//! that was issued until then all the same.

use std::sync::atomic::{AtomicI64, Ordering};

use bellwire_journal::{Error, RecordChange};
use bellwire_model::Timestamp;

use crate::records::Records;

/// Its record: the time in milliseconds, as text.
pub(crate) const RECORD: &str = "access/issued";

/// The newest issue, and what of that the journal has.
#[derive(Debug)]
pub(crate) struct Issued {
    newest: AtomicI64,
    kept: AtomicI64,
}

/// When something is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// What is compared with revocations and logouts. A clock that was ahead may have it be later than
    /// the clock says.
    pub(crate) at: Timestamp,
    /// What the clock says: how long it lasts is counted from then.
    pub(crate) now: Timestamp,
}

/// Nothing was issued.
const NEVER: i64 = i64::MIN;

impl Default for Issued {
    fn default() -> Self {
        Self { newest: NEVER.into(), kept: NEVER.into() }
    }
}

impl Issued {
    /// Takes in what the journal has. Blocks on the disk.
    pub(crate) fn restore(&self, records: &Records) -> Result<(), Error> {
        for record in records.read(RECORD)? {
            self.on_change(Some(&record.value));
        }
        Ok(())
    }

    /// Its record was changed, maybe by another node.
    pub(crate) fn on_change(&self, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        let text = std::str::from_utf8(value).ok();
        let Some(kept) = text.and_then(|text| text.parse().ok()) else {
            tracing::warn!(key = RECORD, "A record of access cannot be read.");
            return;
        };
        self.kept.fetch_max(kept, Ordering::Relaxed);
        self.saw(Some(Timestamp::from_ms(kept)));
    }

    /// Whether something was issued by a clock that was ahead of this time, and the journal does not
    /// have it.
    pub(crate) fn is_behind(&self, now: Timestamp) -> bool {
        let newest = self.newest.load(Ordering::Relaxed);
        newest > now.as_ms() && newest > self.kept.load(Ordering::Relaxed)
    }

    /// Has the journal know it: the clock may be behind when the next process takes something back.
    pub(crate) async fn keep(&self, records: &Records) -> Result<(), Error> {
        let newest = self.newest.load(Ordering::Relaxed);
        if newest <= self.kept.load(Ordering::Relaxed) {
            return Ok(());
        }
        let value = Some(newest.to_string().into_bytes().into());
        records.write(vec![RecordChange { key: RECORD.into(), value }], |_| ()).await?;
        self.kept.fetch_max(newest, Ordering::Relaxed);
        Ok(())
    }

    /// A credential was seen that was issued then.
    pub(crate) fn saw(&self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.newest.fetch_max(at.as_ms(), Ordering::Relaxed);
        }
    }

    /// Until when that was issued which is there now. It is asked under the lock of whoever takes
    /// something back, since whoever issues something says so before that lock is asked whether they
    /// may.
    pub(crate) fn until(&self, now: Timestamp) -> Timestamp {
        now.max(Timestamp::from_ms(self.newest.load(Ordering::Relaxed)))
    }

    /// Issues something at this time of what [counts](super::Authenticator::counts). `None`: it does
    /// not any more.
    ///
    /// Whoever takes that back does so before `counts` looks, and it is refused; or afterwards, and
    /// then finds this time: what is issued counts no more either. Clocks have no part in it.
    pub(crate) fn issue(&self, at: Timestamp, counts: impl FnOnce() -> bool) -> Option<Timestamp> {
        self.saw(Some(at));
        counts().then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bellwire_journal::{MemoryJournal, Observer};
    use bellwire_model::{Entry, Epoch};

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    #[tokio::test]
    async fn what_a_clock_issued_that_was_ahead_the_next_process_knows_of() {
        let now = Timestamp::from_ms(1_800_000_000_000);
        let ahead = now.saturating_add(Duration::from_hours(1));
        let records = Records::default();
        records.keep_in(Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody))));
        let issued = Issued::default();
        issued.keep(&records).await.expect("there is nothing to keep");
        assert_eq!(issued.until(now), now);
        issued.saw(Some(ahead));
        assert!(issued.is_behind(now) && !issued.is_behind(ahead));
        issued.keep(&records).await.expect("kept");
        assert!(!issued.is_behind(now), "the journal has it");
        let next = Issued::default();
        next.restore(&records).expect("records");
        assert_eq!((next.until(now), next.is_behind(now)), (ahead, false));
    }
}
