//! Notifications that could not be delivered, as events for whoever looks after them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_alerts::dispatch::Forgone;
use bellwire_alerts::notification::{Address, Notification};
use bellwire_journal::{Append, Error, Journal};
use bellwire_model::limits::{
    BYTES_PER_COMMIT_MAX, DEAD_LETTERS_WAITING_BYTES_MAX, EVENT_BYTES_MAX,
};
use bellwire_model::{Body, Event, IdentityHash, Timestamp, Topic};
use bellwire_process::clock;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use super::delivery::Undelivered;
use crate::events::topic_of_receiver;
use crate::figures::Figures;

/// What could not be delivered, below it one topic for each receiver.
pub(crate) const DEAD_LETTERS: &str = "alerts/dead-letters";

const EVENT_TYPE: &str = "notification.failed";

/// Room for all of a letter but its payload.
const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// Alerts that a letter without a payload names.
pub(super) const FORGONE_NAMED_MAX: usize = 10_000;

/// Alerts that are remembered for the letter which stands for all that had no room.
const CROWD_NAMED_MAX: usize = 1_000;

/// Pause before letters that the journal did not take are offered again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Those that the journal has not kept yet, the oldest first.
#[derive(Debug)]
pub(super) struct DeadLetters {
    waiting: VecDeque<Append>,
    /// How many there have been, and how many of them the journal has kept.
    pushed: u64,
    kept: u64,
    bytes: usize,
    bytes_max: usize,
    /// What webhooks are not told and had no room: as many as configurations have webhooks.
    crowded: BTreeMap<(Arc<str>, usize), Crowd>,
    /// So many make a batch at most.
    count_max: usize,
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

/// How far dead letters have come on their way to the journal, in their order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LetterCourse {
    /// How many there have been; nothing while there are some that find no room.
    pub(super) pushed: Option<u64>,
    /// How many of them the journal has kept.
    pub(super) kept: u64,
}

/// What one webhook is not told, while letters find no room.
#[derive(Debug)]
struct Crowd {
    /// The first of it, with some of all alerts.
    first: Forgone,
    groups: usize,
    alerts: usize,
}

impl DeadLetters {
    pub(super) fn new(has_news: Arc<Notify>) -> Self {
        Self {
            waiting: VecDeque::new(),
            pushed: 0,
            kept: 0,
            bytes: 0,
            bytes_max: DEAD_LETTERS_WAITING_BYTES_MAX,
            crowded: BTreeMap::new(),
            count_max: usize::MAX,
            on_their_way: 0,
            answer: Arc::default(),
            retry_at: Duration::ZERO,
            has_news,
        }
    }

    /// How far it has come with them.
    pub(super) fn course(&self) -> LetterCourse {
        let pushed = self.crowded.is_empty().then_some(self.pushed);
        LetterCourse { pushed, kept: self.kept }
    }

    /// Adds one, unless there are too many: then the journal has not taken any for long. Says
    /// whether there was room.
    pub(super) fn push(&mut self, letter: Append) -> bool {
        let bytes = size_of_letter(&letter);
        if self.bytes + bytes > self.bytes_max {
            return false;
        }
        self.bytes += bytes;
        self.pushed += 1;
        self.waiting.push_back(letter);
        true
    }

    /// Adds one for what is told nobody. Where there is no room, one letter is to stand for all that
    /// a webhook is not told meanwhile.
    pub(super) fn push_forgone(&mut self, mut forgone: Forgone, now: Timestamp) {
        if self.crowded.is_empty() && self.push(of_forgone(&forgone, now)) {
            return;
        }
        let alerts = std::mem::take(&mut forgone.alerts);
        let webhook = (Arc::clone(&forgone.address.receiver), forgone.address.webhook);
        let crowd = self.crowded.entry(webhook).or_insert_with(|| Crowd {
            first: forgone,
            groups: 0,
            alerts: 0,
        });
        crowd.groups += 1;
        crowd.alerts += alerts.len();
        let room = CROWD_NAMED_MAX.saturating_sub(crowd.first.alerts.len());
        crowd.first.alerts.extend(alerts.into_iter().take(room));
    }

    /// Letters for what had no room, as far as there is some now.
    fn push_crowded(&mut self, now: Timestamp) {
        while let Some((webhook, crowd)) = self.crowded.pop_first() {
            if !self.push(of_crowd(&crowd, now)) {
                self.crowded.insert(webhook, crowd);
                return;
            }
        }
    }

    /// Appends the oldest that make a batch, unless one is on its way or was refused just now.
    pub(super) fn append(
        &mut self,
        journal: &dyn Journal,
        figures: &Arc<Figures>,
        passed: Duration,
    ) {
        self.take_answer(figures, passed);
        self.push_crowded(clock::now());
        if self.waiting.is_empty() || self.on_their_way > 0 || passed < self.retry_at {
            return;
        }
        let mut bytes = 0;
        let fits = |letter: &&Append| {
            bytes += size_of_letter(letter);
            bytes <= BYTES_PER_COMMIT_MAX
        };
        // One alone always fits.
        let count = self.waiting.iter().take(self.count_max).take_while(fits).count();
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
            Ok(()) => {
                self.count_max = usize::MAX;
                self.let_go(sent);
            }
            // Fewer at a time, and the one that brings the topic goes where there is room.
            Err(Error::TooManyTopics) if sent > 1 => self.count_max = sent / 2,
            Err(Error::TooManyTopics) => {
                let roomy = Topic::OF_LETTERS_WITHOUT;
                tracing::error!(
                    "There are as many topics as there may be: a dead letter is on {roomy}."
                );
                if let Some(letter) = self.waiting.front_mut() {
                    letter.event.topic = roomy.parse().expect("a topic");
                }
            }
            Err(error) => {
                figures.journal_failures.add(1);
                tracing::error!(%error, letters = sent, "Dead letters are not kept yet; trying again.");
                self.retry_at = passed + RETRY_PAUSE;
            }
        }
    }

    fn let_go(&mut self, count: usize) {
        self.kept += count as u64;
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
    (undelivered, payload): (&Undelivered, &[u8]),
    now: Timestamp,
) -> Append {
    // What is too large for an event is left out, and its size tells so.
    let fits = payload.len() <= EVENT_BYTES_MAX - ENVELOPE_BYTES_MAX;
    let raw = fits.then(|| serde_json::from_slice::<&RawValue>(payload).ok()).flatten();
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
        // Without what it says, whom it is about is told by these.
        fingerprints: if raw.is_some() {
            Vec::new()
        } else {
            let named = notification.alerts.iter().take(FORGONE_NAMED_MAX);
            named.map(|update| update.fingerprint().to_string()).collect()
        },
    };
    append(&notification.address, &letter, now)
}

/// The same whenever the same is told: the process may end before it is known that it was.
fn id(forgone: &Forgone) -> String {
    let Forgone { address, alerts, time, expires_at, .. } = forgone;
    let mut hash = IdentityHash::new("bellwire forgone 1");
    hash.write_text(&address.to_key(0));
    hash.write_text(&expires_at.to_string());
    for alert in alerts {
        hash.write_text(&alert.to_string());
    }
    format!("forgone-{:016x}-{time}", hash.finish())
}

/// The event for what a webhook is owed and nobody tells it.
fn of_forgone(forgone: &Forgone, now: Timestamp) -> Append {
    let reason = format!("{} (alerts: {})", forgone.reason, forgone.alerts.len());
    letter_of(forgone, &reason, now)
}

/// The event for all that a webhook was not told while there was no room for a letter.
fn of_crowd(crowd: &Crowd, now: Timestamp) -> Append {
    let Crowd { first, groups, alerts } = crowd;
    let reason = format!(
        "{} (alerts: {alerts}, with those of {} other groups whose dead letters had no room)",
        first.reason,
        groups - 1
    );
    // It is never told twice: what is not on the disk yet is made anew after a restart.
    Append { idempotency_key: None, ..letter_of(first, &reason, now) }
}

fn letter_of(forgone: &Forgone, reason: &str, now: Timestamp) -> Append {
    let Forgone { address, alerts, time, .. } = forgone;
    let named = alerts.iter().take(FORGONE_NAMED_MAX);
    let letter = Letter {
        receiver: &address.receiver,
        webhook: address.webhook,
        group_key: cut(&address.group_key),
        reason,
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
        topic: topic_of_receiver(DEAD_LETTERS, &address.receiver),
        key: None,
        event_type: Some(EVENT_TYPE.into()),
        time: now,
        body: Some(Body::Json(body.into())),
    };
    Append::new(event, None)
}

/// A text that is at most a quarter of the room for the letter without its payload, since JSON may
/// double it.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ENVELOPE_BYTES_MAX / 8)]
}

#[cfg(test)]
mod tests;
