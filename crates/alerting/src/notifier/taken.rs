//! Notifications that webhooks have taken, as events: who was told of which alerts, when, and how often
//! that was tried.
//!
//! An event is in the journal's queue before the record that the webhook knows, and the queue keeps
//! that order: after a kill, what counts as told is in the history of its alerts, too. What the journal
//! does not take is offered again; of what waits for it the oldest go where there is too much.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_alerts::notification::{Notification, Update};
use bellwire_journal::{Append, Error, Journal};
use bellwire_model::limits::{BYTES_PER_COMMIT_MAX, NOTIFICATIONS_UNTOLD_BYTES_MAX};
use bellwire_model::{Body, Event, Topic};
use tokio::sync::Notify;

use super::dead_letter::{FORGONE_NAMED_MAX, cut};
use super::delivery::Delivered;
use crate::events::{NOTIFICATIONS, topic_of_receiver};
use crate::figures::Figures;

const EVENT_TYPE: &str = "notification.sent";

/// Pause before events that the journal did not take are offered again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Those that the journal has not been given, or has not taken, the oldest first.
#[derive(Debug)]
pub(super) struct TakenLog {
    waiting: VecDeque<Append>,
    bytes: usize,
    bytes_max: usize,
    /// What the journal did not take of what was on its way, and why.
    refused: Arc<Mutex<Refused>>,
    /// When they are offered again; time that has passed since some beginning.
    retry_at: Duration,
    /// Told when there is something among those.
    has_news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Refused {
    events: Vec<Append>,
    error: Option<Error>,
}

#[derive(serde::Serialize)]
struct Told<'a> {
    receiver: &'a str,
    webhook: usize,
    group_key: &'a str,
    notification_reason: &'static str,
    attempts: u32,
    due_at: i64,
    sent_at: i64,
    /// How many alerts it was about.
    alerts: usize,
    /// Those of them that it told to fire, and that it told to have resolved.
    firing: Vec<String>,
    resolved: Vec<String>,
}

impl TakenLog {
    pub(super) fn new(has_news: Arc<Notify>) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            bytes_max: NOTIFICATIONS_UNTOLD_BYTES_MAX,
            refused: Arc::default(),
            retry_at: Duration::ZERO,
            has_news,
        }
    }

    /// Adds a notification that was delivered to a webhook which takes so many alerts at most.
    pub(super) fn push(
        &mut self,
        (told, alerts_max): (&Notification, Option<usize>),
        delivered: Delivered,
        figures: &Figures,
    ) {
        let event = event((told, alerts_max), delivered);
        self.bytes += event.event.size_bytes();
        self.waiting.push_back(event);
        self.make_room(figures);
    }

    fn make_room(&mut self, figures: &Figures) {
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.bytes -= oldest.event.size_bytes();
            figures.notifications_untold.add(1);
        }
    }

    /// Has the journal append all of them, unless it has refused some just now.
    pub(super) fn append(&mut self, journal: &dyn Journal, figures: &Figures, passed: Duration) {
        self.take_refused(figures, passed);
        if passed < self.retry_at {
            return;
        }
        while let Some(batch) = self.next_batch() {
            let (kept, refused) = (batch.clone(), Arc::clone(&self.refused));
            let has_news = Arc::clone(&self.has_news);
            let reply = move |result: Result<Vec<_>, Error>| {
                if let Err(error) = result {
                    refuse(&refused, kept, error);
                    has_news.notify_one();
                }
            };
            if let Err(error) = journal.append(batch.clone(), Box::new(reply)) {
                refuse(&self.refused, batch, error);
                return self.take_refused(figures, passed);
            }
        }
    }

    fn next_batch(&mut self) -> Option<Vec<Append>> {
        let mut bytes = 0;
        let fits = |waiting: &&Append| {
            bytes += waiting.event.size_bytes();
            bytes <= BYTES_PER_COMMIT_MAX
        };
        // One alone always fits.
        let count = self.waiting.iter().take_while(fits).count();
        let batch: Vec<Append> = self.waiting.drain(..count).collect();
        self.bytes -= batch.iter().map(|taken| taken.event.size_bytes()).sum::<usize>();
        (!batch.is_empty()).then_some(batch)
    }

    /// What the journal did not take waits again, before all else.
    fn take_refused(&mut self, figures: &Figures, passed: Duration) {
        let Refused { events, error } = std::mem::take(&mut *lock(&self.refused));
        let Some(error) = error else { return };
        figures.journal_failures.add(1);
        let has_no_topic = matches!(error, Error::TooManyTopics);
        if !has_no_topic {
            tracing::error!(%error, events = events.len(), "What webhooks were told is not in the history of alerts yet; trying again.");
            self.retry_at = passed + RETRY_PAUSE;
        }
        for mut event in events.into_iter().rev() {
            if has_no_topic {
                event.event.topic = Topic::OF_NOTIFICATIONS_WITHOUT.parse().expect("it is a topic");
            }
            self.bytes += event.event.size_bytes();
            self.waiting.push_front(event);
        }
        self.make_room(figures);
    }
}

fn lock(refused: &Mutex<Refused>) -> MutexGuard<'_, Refused> {
    refused.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(refused: &Mutex<Refused>, events: Vec<Append>, error: Error) {
    let mut refused = lock(refused);
    refused.events.extend(events);
    refused.error = Some(error);
}

/// The event on `alerts/notifications/<receiver>`.
fn event(
    (told, alerts_max): (&Notification, Option<usize>),
    Delivered { attempts, at }: Delivered,
) -> Append {
    let count = told.alerts.len().min(alerts_max.unwrap_or(usize::MAX));
    // Those that it has left out it was not told of.
    let alerts = if count < told.alerts.len() {
        told.in_reading_order()
    } else {
        told.alerts.iter().collect()
    };
    let named = alerts.into_iter().take(count.min(FORGONE_NAMED_MAX));
    let (resolved, firing): (Vec<&Update>, Vec<&Update>) =
        named.partition(|update| update.is_resolved());
    let texts = |of: Vec<&Update>| of.iter().map(|it| it.fingerprint().to_string()).collect();
    let body = Told {
        receiver: &told.address.receiver,
        webhook: told.address.webhook,
        group_key: cut(&told.address.group_key),
        notification_reason: told.reason.as_str(),
        attempts,
        due_at: told.time.as_ms(),
        sent_at: at.as_ms(),
        alerts: count,
        firing: texts(firing),
        resolved: texts(resolved),
    };
    let body = serde_json::to_vec(&body).expect("texts and numbers");
    let event = Event {
        topic: topic_of_receiver(NOTIFICATIONS, &told.address.receiver),
        key: None,
        event_type: Some(EVENT_TYPE.into()),
        time: at,
        body: Some(Body::Json(body.into())),
    };
    Append::new(event, None)
}

#[cfg(test)]
mod tests;
