//! Notifications that could not be delivered, as events for whoever looks after them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_alerts::dispatch::Forgone;
use bellwire_alerts::notification::{Address, Notification};
use bellwire_journal::{Append, Error, Journal};
use bellwire_model::limits::{
    BYTES_PER_COMMIT_MAX, DEAD_LETTERS_WAITING_BYTES_MAX, EVENT_BYTES_MAX, TOPIC_BYTES_MAX,
};
use bellwire_model::{Body, Event, Fnv1a, Timestamp, Topic};
use serde_json::value::RawValue;
use tokio::sync::Notify;

use super::delivery::Undelivered;
use crate::figures::Figures;

const DEAD_LETTERS: &str = "alerts/dead-letters";

const EVENT_TYPE: &str = "notification.failed";

/// Room for all of a letter but its payload.
const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// Alerts that a letter without a payload names.
const FORGONE_NAMED_MAX: usize = 10_000;

/// Pause before letters that the journal did not take are offered again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Those that the journal has not kept yet, the oldest first.
#[derive(Debug)]
pub(super) struct DeadLetters {
    waiting: VecDeque<Append>,
    bytes: usize,
    /// So many of the oldest are on their way: one batch at a time, so that publishers find room in
    /// the journal's queue.
    on_their_way: usize,
    /// What has become of them, once that is known.
    answer: Arc<Mutex<Option<Result<(), Error>>>>,
    /// When they are offered again; time that has passed since some beginning.
    retry_at: Duration,
    /// Told when there is an answer.
    has_news: Arc<Notify>,
}

impl DeadLetters {
    pub(super) fn new(has_news: Arc<Notify>) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            on_their_way: 0,
            answer: Arc::default(),
            retry_at: Duration::ZERO,
            has_news,
        }
    }

    /// Whether the journal has kept all of them.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds one, unless there are too many: then the journal has not taken any for long. Says
    /// whether there was room.
    pub(super) fn push(&mut self, letter: Append, figures: &Figures) -> bool {
        let bytes = size_of_letter(&letter);
        if self.bytes + bytes > DEAD_LETTERS_WAITING_BYTES_MAX {
            figures.journal_failures.add(1);
            tracing::error!("A dead letter is lost: the journal takes none.");
            return false;
        }
        self.bytes += bytes;
        self.waiting.push_back(letter);
        true
    }

    /// Appends the oldest that make a batch, unless one is on its way or was refused just now.
    pub(super) fn append(
        &mut self,
        journal: &dyn Journal,
        figures: &Arc<Figures>,
        passed: Duration,
    ) {
        self.take_answer(figures, passed);
        if self.waiting.is_empty() || self.on_their_way > 0 || passed < self.retry_at {
            return;
        }
        let mut bytes = 0;
        let fits = |letter: &&Append| {
            bytes += size_of_letter(letter);
            bytes <= BYTES_PER_COMMIT_MAX
        };
        // One alone always fits.
        let count = self.waiting.iter().take_while(fits).count();
        let batch: Vec<Append> = self.waiting.iter().take(count).cloned().collect();
        let (answer, has_news) = (Arc::clone(&self.answer), Arc::clone(&self.has_news));
        let reply = move |result: Result<Vec<_>, Error>| {
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.map(drop));
            has_news.notify_one();
        };
        self.on_their_way = count;
        if let Err(error) = journal.append(batch, Box::new(reply)) {
            *self.answer() = Some(Err(error));
        }
    }

    fn answer(&self) -> MutexGuard<'_, Option<Result<(), Error>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the journal says of those that were on their way. Only what it has kept is let go of.
    fn take_answer(&mut self, figures: &Figures, passed: Duration) {
        let Some(result) = self.answer().take() else { return };
        let sent = std::mem::take(&mut self.on_their_way);
        match result {
            Ok(()) => self.let_go(sent),
            Err(error @ Error::TooManyTopics) => {
                figures.journal_failures.add(1);
                tracing::error!(%error, letters = sent, "Dead letters are lost: there is no topic for them.");
                self.let_go(sent);
            }
            Err(error) => {
                figures.journal_failures.add(1);
                tracing::error!(%error, letters = sent, "Dead letters are not kept yet; trying again.");
                self.retry_at = passed + RETRY_PAUSE;
            }
        }
    }

    fn let_go(&mut self, count: usize) {
        let gone = self.waiting.drain(..count);
        self.bytes -= gone.map(|letter| size_of_letter(&letter)).sum::<usize>();
    }
}

fn size_of_letter(letter: &Append) -> usize {
    letter.event.body.as_ref().map_or(0, |body| body.bytes().len())
}

#[derive(serde::Serialize)]
struct Letter<'a> {
    receiver: &'a str,
    webhook: usize,
    group_key: &'a str,
    reason: &'a str,
    attempts: u32,
    last_status: Option<u16>,
    due_at: i64,
    given_up_at: i64,
    payload_bytes: usize,
    payload: Option<&'a RawValue>,
    /// The alerts of a letter without a payload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fingerprints: Vec<String>,
}

/// The event on `alerts/dead-letters/<receiver>`.
pub(super) fn letter(
    notification: &Notification,
    undelivered: &Undelivered,
    now: Timestamp,
) -> Append {
    let payload = &undelivered.payload;
    // What is too large for an event is left out, and its size tells so.
    let fits = payload.len() <= EVENT_BYTES_MAX - ENVELOPE_BYTES_MAX;
    let raw = serde_json::from_slice::<&RawValue>(payload).ok().filter(|_| fits);
    let letter = Letter {
        receiver: &notification.address.receiver,
        webhook: notification.address.webhook,
        group_key: cut(&notification.address.group_key),
        reason: cut(&undelivered.reason),
        attempts: undelivered.attempts,
        last_status: undelivered.last_status.map(|status| status.as_u16()),
        due_at: notification.time.as_ms(),
        given_up_at: now.as_ms(),
        payload_bytes: payload.len(),
        payload: raw,
        fingerprints: Vec::new(),
    };
    append(&notification.address, &letter, now)
}

/// The same whenever the same is told: the process may end before it is known that it was.
fn id(forgone: &Forgone) -> String {
    let Forgone { address, alerts, time, .. } = forgone;
    let mut hash = Fnv1a::default();
    hash.write_text(&address.to_key(0));
    for alert in alerts {
        hash.write_text(&alert.to_string());
    }
    format!("forgone-{:016x}-{time}", hash.finish())
}

/// The event for what a webhook is owed and nobody tells it.
pub(super) fn of_forgone(forgone: &Forgone, now: Timestamp) -> Append {
    let Forgone { address, alerts, reason, time } = forgone;
    let named = alerts.iter().take(FORGONE_NAMED_MAX);
    let letter = Letter {
        receiver: &address.receiver,
        webhook: address.webhook,
        group_key: cut(&address.group_key),
        reason: &format!("{reason} (alerts: {})", alerts.len()),
        attempts: 0,
        last_status: None,
        due_at: time.as_ms(),
        given_up_at: now.as_ms(),
        payload_bytes: 0,
        payload: None,
        fingerprints: named.map(ToString::to_string).collect(),
    };
    Append { idempotency_key: Some(id(forgone).into()), ..append(address, &letter, now) }
}

fn append(address: &Address, letter: &Letter<'_>, now: Timestamp) -> Append {
    let body = serde_json::to_vec(letter).expect("texts and numbers");
    let event = Event {
        topic: topic(&address.receiver),
        key: None,
        event_type: Some(EVENT_TYPE.into()),
        time: now,
        body: Some(Body::Json(body.into())),
    };
    Append { event, idempotency_key: None }
}

/// A text that is at most a quarter of the room for the letter without its payload, since JSON may
/// double it.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ENVELOPE_BYTES_MAX / 8)]
}

/// The receiver's topic; what a topic cannot hold becomes `_`.
fn topic(receiver: &str) -> Topic {
    let room = TOPIC_BYTES_MAX - DEAD_LETTERS.len() - 1;
    let receiver = &receiver[..receiver.floor_char_boundary(room)];
    let fits = |c: char| !(c.is_control() || matches!(c, '/' | '*'));
    let segment: String = receiver.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    format!("{DEAD_LETTERS}/{segment}").parse().expect("the segments are valid and short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_receiver_has_a_topic() {
        let long = "ø".repeat(300);
        let table = [("ops", "ops"), ("a/b*c\n", "a_b_c_"), ("team x", "team x")];
        for (receiver, segment) in table {
            assert_eq!(topic(receiver).as_str(), format!("alerts/dead-letters/{segment}"));
        }
        assert!(topic(&long).as_str().len() <= TOPIC_BYTES_MAX);
    }
}
