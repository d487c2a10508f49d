//! Keys on the disk that go by themselves: the journal decides, and is asked when the first is to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwire_journal::{ClockReading, Error, Journal};
use bellwire_model::limits::{JOURNAL_LOOK_INTERVAL, RETENTION_INTERVAL};
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
                        pause(next, clock::uptime())
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

/// How long to wait for a key that goes at this uptime. More may have passed in the journal's life than
/// was known: what a system was down counts an hour later, and no timer runs while it sleeps. So the
/// journal is asked as often as it looks at the clocks.
fn pause(next: Duration, now: Duration) -> Duration {
    next.saturating_sub(now).min(RETENTION_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_goes_late_is_asked_after_as_often_as_the_clocks_are_looked_at() {
        let now = Duration::from_hours(5);
        assert_eq!(pause(Duration::from_hours(4), now), Duration::ZERO);
        assert_eq!(pause(now + Duration::from_millis(7), now), Duration::from_millis(7));
        // The system was down for 30 hours, and an hour from now that is believed.
        assert_eq!(pause(Duration::from_hours(40), now), RETENTION_INTERVAL);
    }
}
