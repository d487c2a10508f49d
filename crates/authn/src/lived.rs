//! For how long servers have been at work: steady time, which goes on where a restart has left it, and which
//! nodes count together.
//!
//! What has ended early is remembered for as long as it would have lasted. No clock says when that is over,
//! since it may be set; and nobody has to be at work for so long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_journal::{Error, RecordChange};
use bellwire_model::limits::LIVED_STEP;
use bellwire_process::clock::Ticker;

use crate::records::Records;

/// Its record: the time in milliseconds, as text.
pub(crate) const RECORD: &str = "access/lived";

/// See the module. It is never ahead: what one that ended has not written down has not passed.
#[derive(Debug)]
pub(crate) struct Lived(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// What it was when the ticker began.
    begin: Duration,
    since: Ticker,
    /// What of that the journal has.
    kept: Duration,
}

impl Default for Lived {
    fn default() -> Self {
        let (begin, kept) = (Duration::ZERO, Duration::ZERO);
        Self(Mutex::new(Known { begin, since: Ticker::start(), kept }))
    }
}

impl Known {
    fn now(&self) -> Duration {
        self.begin.saturating_add(self.since.elapsed())
    }
}

impl Lived {
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
        let Some(told) = text.and_then(|text| text.parse().ok()).map(Duration::from_millis) else {
            tracing::warn!(key = RECORD, "A record of access cannot be read.");
            return;
        };
        let mut known = self.known();
        known.kept = known.kept.max(told);
        if told > known.now() {
            (known.begin, known.since) = (told, Ticker::start());
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.known().now()
    }

    /// Whether the journal is to have it. Of several nodes the first to say so says it for all.
    pub(crate) fn is_due(&self) -> bool {
        let known = self.known();
        known.now().saturating_sub(known.kept) >= LIVED_STEP
    }

    /// Has the journal know it.
    pub(crate) async fn keep(&self, records: &Records) -> Result<(), Error> {
        let now = self.now();
        let value = Some(in_ms(now).to_string().into_bytes().into());
        records.write(vec![RecordChange { key: RECORD.into(), value }], |_| ()).await?;
        let mut known = self.known();
        known.kept = known.kept.max(now);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As records have it.
pub(crate) fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwire_journal::{MemoryJournal, Observer};
    use bellwire_model::{Entry, Epoch};

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    #[tokio::test]
    async fn a_restart_does_not_begin_it_anew_and_of_nodes_the_longest_counts() {
        let records = Records::default();
        records.keep_in(Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody))));
        let day = Duration::from_hours(24);
        let said = |time: Duration| in_ms(time).to_string().into_bytes();
        let first = Lived::default();
        first.on_change(Some(&said(day)));
        first.on_change(Some(&said(day / 2)));
        first.on_change(Some(b"soon"));
        assert!(first.now() >= day && !first.is_due(), "{:?}", first.now());
        first.keep(&records).await.expect("kept");
        let next = Lived::default();
        next.restore(&records).expect("records");
        assert!(next.now() >= day && next.now() < 2 * day, "{:?}", next.now());
        // One that has been at work for so long, of which the journal has nothing.
        let begin = LIVED_STEP;
        let (since, kept) = (Ticker::start(), Duration::ZERO);
        assert!(Lived(Mutex::new(Known { begin, since, kept })).is_due());
    }
}
