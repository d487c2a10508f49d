//! Keys on the disk that go by themselves: the journal decides, and is asked when the first is to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwire_journal::{ClockReading, Error, Journal};
use bellwire_model::limits::JOURNAL_LOOK_INTERVAL;
use bellwire_process::clock;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::States;

/// When the first of these keys goes, as far as that is known.
#[derive(Debug)]
pub(super) struct DurableExpiry {
    /// In milliseconds of the system's uptime.
    next_ms: AtomicU64,
    /// It goes sooner than before.
    sooner: Notify,
}

impl Default for DurableExpiry {
    fn default() -> Self {
        Self { next_ms: AtomicU64::new(u64::MAX), sooner: Notify::new() }
    }
}

impl DurableExpiry {
    /// A key goes at this uptime. Returns whether none is known that goes before.
    fn note(&self, uptime: Duration) -> bool {
        let at_ms = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        self.next_ms.fetch_min(at_ms, Ordering::AcqRel) > at_ms
    }
}

impl States {
    /// The journal has a key now that goes at this uptime.
    pub(crate) fn note_expiry(&self, uptime: Duration) {
        if self.durable_expiry.note(uptime) {
            self.durable_expiry.sooner.notify_one();
        }
    }

    /// Has the journal delete keys whose time is over, for as long as it is polled.
    pub async fn expire_durable_keys(&self, journal: Arc<dyn Journal>) {
        let mut is_told = false;
        loop {
            // What is noted while the journal looks is sooner than anything.
            self.durable_expiry.next_ms.store(u64::MAX, Ordering::Release);
            let asked = Arc::clone(&journal);
            let now = ClockReading { wall: clock::now(), uptime: clock::uptime() };
            let expired = tokio::task::spawn_blocking(move || asked.expire(now)).await;
            let wait = match expired {
                Ok(Ok(next)) => {
                    is_told = false;
                    next.map(|next| {
                        self.durable_expiry.note(next);
                        next.saturating_sub(clock::uptime())
                    })
                }
                Ok(Err(Error::Closed)) => return,
                Ok(Err(error)) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(%error, "Keys whose time is over cannot be deleted yet.");
                    }
                    Some(JOURNAL_LOOK_INTERVAL)
                }
                Err(error) => {
                    tracing::error!(%error, "Deleting keys whose time is over failed.");
                    Some(JOURNAL_LOOK_INTERVAL)
                }
            };
            match wait {
                Some(wait) => tokio::select! {
                    () = sleep(wait) => {}
                    () = self.durable_expiry.sooner.notified() => {}
                },
                None => self.durable_expiry.sooner.notified().await,
            }
        }
    }
}
