//! A notification on its way to a webhook: tried until it is taken, refused for good, or too late.

use std::sync::Arc;
use std::time::Duration;

use bellwire_alerts::config::Webhook;
use bellwire_alerts::notification::Notification;
use bellwire_model::Timestamp;
use bellwire_model::limits::{
    NOTIFICATION_REQUESTS_MAX, NOTIFICATION_RETRY_MAX, NOTIFICATION_RETRY_MIN,
    NOTIFICATIONS_WAITING_MAX,
};
use bellwire_process::clock;
use bellwire_process::jittered;
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::payload;
use super::reach::Reach;
use super::webhook::{Failure, Remedy, Trust, WebhookClient};
use crate::charge::Charge;
use crate::figures::Figures;

/// The body for more alerts than these is made on a thread that serves nobody else meanwhile: it takes
/// some microseconds for each.
const ALERTS_AT_ONCE_MAX: usize = 200;

/// The way to one webhook, for all groups.
#[derive(Debug)]
pub(super) struct Lane {
    client: WebhookClient,
    webhook: Webhook,
    /// Room for those that wait or are on their way.
    places: Semaphore,
    requests: Semaphore,
}

/// What became of a notification that a webhook has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    /// With the one that it took.
    pub(super) attempts: u32,
    pub(super) at: Timestamp,
}

/// Why a notification is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotDelivered {
    /// As many wait for the webhook as may, or this server has waited for itself all the time. It is told
    /// with its group's next look.
    Postponed,
    /// It is given up, and a dead letter has what would have been sent.
    GivenUp(Undelivered, Bytes),
}

/// What became of a notification that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undelivered {
    /// Why the last attempt failed, or why there was none.
    pub(super) reason: String,
    pub(super) attempts: u32,
    pub(super) last_status: Option<StatusCode>,
    /// An attempt may have arrived, though nobody has said so.
    pub(super) may_have_arrived: bool,
}

impl Lane {
    pub(super) fn new(webhook: &Webhook, system: &Trust, reach: &Reach) -> Self {
        Self {
            client: WebhookClient::new(webhook, system, reach),
            webhook: webhook.clone(),
            places: Semaphore::new(NOTIFICATIONS_WAITING_MAX),
            requests: Semaphore::new(NOTIFICATION_REQUESTS_MAX),
        }
    }

    /// How many alerts the webhook is told of at most.
    pub(super) fn alerts_max(&self) -> Option<usize> {
        self.webhook.alerts_max
    }

    /// Delivers a notification, or says why it could not be.
    pub(super) async fn deliver(
        &self,
        notification: &Arc<Notification>,
        external_url: &Arc<str>,
        (figures, charge): (&Figures, &Charge),
    ) -> Result<Delivered, NotDelivered> {
        let Ok(_place) = self.places.try_acquire() else { return Err(NotDelivered::Postponed) };
        let _waiting = figures.notifications_waiting.enter();
        match self.try_on(notification, external_url, (figures, charge)).await {
            Ok(delivered) => Ok(delivered),
            Err(None) => Err(NotDelivered::Postponed),
            Err(Some(undelivered)) => {
                let payload = self.payload(notification, external_url).await;
                Err(NotDelivered::GivenUp(undelivered, payload))
            }
        }
    }

    async fn payload(&self, notification: &Arc<Notification>, external_url: &Arc<str>) -> Bytes {
        let alerts_max = self.webhook.alerts_max;
        if notification.alerts.len() <= ALERTS_AT_ONCE_MAX {
            return payload::json(notification, alerts_max, external_url).into();
        }
        let (notification, external_url) = (Arc::clone(notification), Arc::clone(external_url));
        let make = move || payload::json(&notification, alerts_max, &external_url);
        tokio::task::spawn_blocking(make).await.expect("texts and numbers").into()
    }

    /// Tries until there is no time left. Nothing is undelivered where this server was not the one to tell it
    /// before that.
    async fn try_on(
        &self,
        notification: &Arc<Notification>,
        external_url: &Arc<str>,
        (figures, charge): (&Figures, &Charge),
    ) -> Result<Delivered, Option<Undelivered>> {
        let mut journey = Undelivered {
            reason: "other notifications of this webhook took all the time".to_owned(),
            attempts: 0,
            last_status: None,
            may_have_arrived: false,
        };
        let mut pause = NOTIFICATION_RETRY_MIN;
        loop {
            let mut left = notification.deadline.saturating_since(clock::steady());
            // Whoever waits to be the one who tells says nothing of the webhook.
            if timeout(left, charge.ours()).await.is_err() {
                return Err((journey.attempts > 0).then_some(journey));
            }
            left = notification.deadline.saturating_since(clock::steady());
            if left.is_zero() {
                return Err(Some(journey));
            }
            // Between attempts others have their turn.
            let attempt = async {
                let _request = self.requests.acquire().await.expect("it is never closed");
                charge.ours().await;
                journey.attempts += 1;
                figures.notification_requests.add(1);
                // It may have millions of bytes, which those that wait for their turn do not hold.
                self.attempt(self.payload(notification, external_url).await).await
            };
            let failure = match timeout(left, attempt).await {
                Ok(Ok(())) => {
                    return Ok(Delivered { attempts: journey.attempts, at: clock::now() });
                }
                Ok(Err(failure)) => failure,
                Err(_) if journey.attempts == 0 => {
                    return Err(Some(journey).filter(|_| charge.is_ours()));
                }
                Err(_) => too_slow(left),
            };
            figures.notification_requests_failed.add(1);
            journey.reason = failure.reason;
            journey.last_status = failure.status;
            journey.may_have_arrived |= failure.may_have_arrived;
            let Remedy::Retry(wait) = failure.remedy else { return Err(Some(journey)) };
            let wait = wait.unwrap_or_default().max(pause / 2 + jittered(pause));
            if wait >= notification.deadline.saturating_since(clock::steady()) {
                return Err(Some(journey));
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 3 / 2).min(NOTIFICATION_RETRY_MAX);
        }
    }

    /// One attempt, within the time that the webhook is given for it.
    async fn attempt(&self, payload: Bytes) -> Result<(), Failure> {
        let post = self.client.post(payload);
        match self.webhook.timeout {
            Some(patience) => {
                timeout(patience, post).await.unwrap_or_else(|_| Err(too_slow(patience)))
            }
            None => post.await,
        }
    }
}

fn too_slow(patience: Duration) -> Failure {
    Failure {
        reason: format!("the webhook has not answered within {} ms", patience.as_millis()),
        status: None,
        may_have_arrived: true,
        remedy: Remedy::Retry(None),
    }
}
