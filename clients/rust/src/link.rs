//! One connection, and the eye that is kept on it: silence that is too long ends it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::ConnectionError;
use crate::surroundings::Surroundings;
use crate::token::Shown;

/// How long a connection may take until its first byte.
const FIRST_BYTE: Duration = Duration::from_secs(15);
/// The interval of heartbeats until the server has said its own.
const HEARTBEAT: Duration = Duration::from_secs(25);
/// How many intervals may pass in silence.
const HEARTBEATS_MISSED: f64 = 2.5;
/// How long a connection has to be live for the next fault to be a first one.
const HEALTHY: Duration = Duration::from_secs(10);
/// Stands for ever.
const EVER: Duration = Duration::from_hours(24 * 365);

/// A connection's life so far.
#[derive(Debug)]
pub(crate) struct Link {
    /// The token that it goes on under.
    token: Arc<Mutex<Shown>>,
    signed_at: Instant,
    ready_at: Option<Instant>,
    patience: Duration,
    /// They end with it.
    renewals: JoinSet<()>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            token: Arc::default(),
            signed_at: Instant::now(),
            ready_at: None,
            patience: FIRST_BYTE,
            renewals: JoinSet::new(),
        }
    }

    pub(crate) fn token(&self) -> Shown {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_token(&mut self, token: Shown) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Something came, or was taken by the application: until then nothing was read, which is no
    /// silence of the server's.
    pub(crate) fn sign(&mut self) {
        self.signed_at = Instant::now();
        if self.ready_at.is_none() {
            self.patience = HEARTBEAT.mul_f64(HEARTBEATS_MISSED);
        }
    }

    /// The server has said how often it gives a sign; 0 is never.
    pub(crate) fn ready(&mut self, heartbeat: Option<Duration>) {
        self.ready_at = Some(Instant::now());
        let heartbeat = heartbeat.unwrap_or(HEARTBEAT).min(EVER);
        self.patience =
            if heartbeat.is_zero() { EVER } else { heartbeat.mul_f64(HEARTBEATS_MISSED) };
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready_at.is_some()
    }

    pub(crate) fn was_healthy(&self) -> bool {
        self.ready_at.is_some_and(|at| at.elapsed() >= HEALTHY)
    }

    /// When it has been silent for too long.
    pub(crate) fn due(&self) -> Instant {
        self.signed_at + self.patience
    }

    pub(crate) fn silent(&self) -> ConnectionError {
        ConnectionError::Silent { silence: self.patience }
    }

    /// Has the stream go on under a newer token.
    pub(crate) fn renew(&mut self, renews: String, expires_in: Duration, around: &Surroundings) {
        // Those that are done would stay there for as long as the connection does.
        while self.renewals.try_join_next().is_some() {}
        let (around, token, old) = (around.clone(), Arc::clone(&self.token), self.token());
        self.renewals.spawn(async move {
            let asked = (renews.as_str(), expires_in.min(EVER));
            let with = (&around.http, around.token.as_ref());
            if let Some(newer) = around.renewal.renew(asked, old, with).await {
                *token.lock().unwrap_or_else(PoisonError::into_inner) = newer;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Scripted;
    use crate::token::Source;

    #[tokio::test(start_paused = true)]
    async fn renewals_that_are_done_are_not_kept() {
        let around = Scripted::new([]).surroundings(Source::Fixed(None));
        let mut link = Link::new();
        for number in 0..100 {
            link.renew(format!("bwr_{number}"), Duration::from_mins(1), &around);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(link.renewals.len(), 1);
    }
}
