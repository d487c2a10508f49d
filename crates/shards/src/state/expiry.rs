//! Keys that go by themselves: how long they live, and their end.

use std::time::Duration;

use bellwire_hub::{ChangeError, StateTable};
use bellwire_journal::Journal;
use bellwire_model::limits::STATE_LOOKS_MAX;
use bellwire_model::{Event, KeyVersion, Topic};
use bellwire_process::{clock, crash};
use bellwire_wire::problem::Problem;
use tokio::time::sleep;

use super::States;
use crate::ends;
use crate::frames::Frames;
use crate::state_write::StateWrite;

/// How long to wait where the hubs have no room for the end of a key.
pub(crate) const ROOM_PAUSE: Duration = Duration::from_millis(10);

impl States {
    /// Has a key go after a time, from now on.
    pub(super) fn limit(
        &self,
        table: &mut StateTable<Frames>,
        (topic, key): (&Topic, &str),
        ttl: Duration,
    ) {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let at_ms = self.ticker.now_ms().saturating_add(ttl_ms);
        table.set_deadline(topic, key, at_ms);
        if table.next_deadline() == Some(at_ms) {
            self.sooner.notify_one();
        }
    }

    /// The same of a key that is as it has to be. Says which version it has.
    pub(crate) fn touch(
        &self,
        journal: &dyn Journal,
        touch: &StateWrite,
    ) -> Result<KeyVersion, Problem> {
        let name = touch.name();
        let mut table = self.table.lock().expect("not poisoned");
        ends::check_open(journal, name.0)?;
        let checked = table.check(name, touch.terms.condition);
        checked.map_err(|error| touch.refusal(error))?;
        let version = table.key_version(name.0, name.1);
        let version = version.ok_or_else(|| touch.refusal(ChangeError::Missing))?;
        if let Some(ttl) = touch.terms.ttl {
            let room = table.check_deadline(name, Self::room(name.0, self.bytes_max));
            room.map_err(|full| touch.refusal(full.into()))?;
            self.limit(&mut table, name, ttl);
        }
        Ok(version)
    }

    /// Deletes keys whose time is over, for as long as it is polled.
    pub async fn expire_keys(&self, journal: &dyn Journal) {
        loop {
            let wait = if self.has_room() {
                crash::run_essential(|| self.expire_some(journal, self.ticker.now_ms()))
            } else {
                Some(ROOM_PAUSE)
            };
            match wait {
                // Others get their turn at the table, and at the thread.
                Some(Duration::ZERO) => tokio::task::yield_now().await,
                Some(wait) => tokio::select! {
                    () = sleep(wait) => {}
                    () = self.sooner.notified() => {}
                },
                None => self.sooner.notified().await,
            }
        }
    }

    /// A topic is reopened: its keys go by themselves again.
    pub(crate) fn go_on(&self, topic: &Topic) {
        self.table.lock().expect("not poisoned").go_on(topic);
        self.sooner.notify_one();
        // What rests of it on the disk may be over.
        self.note_expiry(Duration::ZERO);
    }

    /// Deletes some of the keys whose time is over. Returns how long it is until the next one's is.
    fn expire_some(&self, journal: &dyn Journal, now_ms: u64) -> Option<Duration> {
        let mut changing = self.change();
        for _ in 0..STATE_LOOKS_MAX {
            let Some(value) = changing.table.due(now_ms) else { break };
            if journal.ended(value.topic.as_str()).is_some() {
                changing.table.rest(&value.topic, &value.key);
                continue;
            }
            let end = Event {
                topic: value.topic.clone(),
                key: Some((&*value.key).into()),
                event_type: Some(Event::EXPIRED.into()),
                time: clock::now(),
                body: None,
            };
            // It is there, or it would have no such time.
            let _ = changing.make(end);
        }
        let next = changing.table.next_deadline();
        changing.tell();
        next.map(|at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms)))
    }
}
