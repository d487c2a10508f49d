//! The keys that one issuer publishes, kept current by one task.
//!
//! ```text
//! request ── keys ──▶ Arc<KeySet>, swapped as a whole
//!         ── newer_than (a key is unknown, or a signature wrong) ──▶ asks, and waits for a moment
//!                                        │
//! task: due? ── get (discovery, then keys) ── fetched or failed ──▶ whoever waits looks again
//! ```
//!
//! Nobody but the task makes requests, so that however many tokens name keys that there are not, the
//! issuer is asked once in ten seconds, and nothing is kept of any of those names.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_access::discovery::{self, Discovered, DiscoveryError};
use bellwire_access::jwks::{self, JwksError, Published as Document, Refetching, Standing};
use bellwire_access::jwt::KeySet;
use bellwire_model::limits::{
    DISCOVERY_AGE_MAX, DISCOVERY_BYTES_MAX, JWKS_BYTES_MAX, JWKS_WAIT_MAX, JWKS_WAITING_MAX,
};
use bellwire_model::{Timestamp, with_causes};
use bellwire_process::clock;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::config::{KeysPlace, Publishing};
use crate::figures::Figures;
use crate::outward::{AddressError, Client, Plain, RequestError, issuer_address};

/// How often is looked whether keys are to be fetched: by the wall clock, which a suspended machine
/// does not stop.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct Published {
    issuer: Box<str>,
    place: KeysPlace,
    plain_http: Plain,
    client: Client,
    state: Mutex<State>,
    /// Wakes the task.
    wake: Notify,
    /// How many fetches have ended.
    ended: watch::Sender<u64>,
    /// Places for those who wait.
    waiting: Semaphore,
}

/// Held for a moment: nothing is fetched or read meanwhile.
#[derive(Debug, Default)]
struct State {
    refetching: Refetching,
    discovered: Option<(Arc<Discovered>, Timestamp)>,
    /// Why the last fetch failed, if it did.
    failure: Option<Box<str>>,
}

/// Keys as they are at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    /// `None`: none count.
    pub(crate) keys: Option<Arc<KeySet>>,
    /// How many fetches had ended.
    pub(crate) seen: u64,
}

/// Why keys could not be fetched.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("{}", shown(.url))]
    Request { url: Url, source: RequestError },
    #[error("{}", shown(.url))]
    Discovery { url: Url, source: DiscoveryError },
    #[error("the issuer says that its keys are at an address that is none of an issuer")]
    Address(#[source] AddressError),
    #[error("the issuer is asked over `https://` and says that its keys are at {}", shown(.url))]
    Downgrade { url: Url },
    #[error("{}", shown(.url))]
    Keys { url: Url, source: JwksError },
}

/// An address without its query, which may have a secret.
fn shown(url: &Url) -> &str {
    &url[..url::Position::AfterPath]
}

impl Published {
    pub(crate) fn new(issuer: &str, config: &Publishing, client: Client) -> Self {
        Self {
            issuer: issuer.into(),
            place: config.place.clone(),
            plain_http: config.plain_http,
            client,
            state: Mutex::default(),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
            waiting: Semaphore::new(JWKS_WAITING_MAX),
        }
    }

    /// The keys that count now.
    pub(crate) fn current(&self, now: Timestamp) -> Current {
        let mut state = self.state();
        Current { keys: state.refetching.keys(now), seen: *self.ended.borrow() }
    }

    /// Says that keys lack one, and waits for a moment where they are fetched now; whether there may be
    /// others than those that were seen.
    pub(crate) async fn newer_than(&self, seen: u64) -> bool {
        let mut ended = self.ended.subscribe();
        let place = self.waiting.try_acquire();
        {
            let mut state = self.state();
            if *ended.borrow() != seen {
                return true;
            }
            // What is under way may well bring it.
            if !state.refetching.is_fetching() {
                state.refetching.ask();
                if !state.refetching.is_due(clock::now()) {
                    return false;
                }
                self.wake.notify_one();
            }
        }
        if place.is_err() {
            return false;
        }
        // Whoever no longer waits leaves nothing behind.
        let waiting = timeout(JWKS_WAIT_MAX, ended.wait_for(|ended| *ended != seen));
        waiting.await.is_ok_and(|ended| ended.is_ok())
    }

    /// Fetches them whenever that is due, for ever.
    pub(crate) async fn keep_current(&self, figures: &Figures) {
        loop {
            if self.begins(clock::now()) {
                figures.issuer_keys_fetches.add(1);
                if !self.fetch().await {
                    figures.issuer_keys_failures.add(1);
                }
            }
            // Either may be dropped half-way: neither takes anything along.
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    fn begins(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        let is_due = state.refetching.is_due(now);
        if is_due {
            state.refetching.begin(now);
        }
        is_due
    }

    /// Fetches them once; whether that went well.
    pub(crate) async fn fetch(&self) -> bool {
        let outcome = self.ask().await;
        let before = self.take(outcome, clock::now());
        self.ended.send_modify(|ended| *ended += 1);
        let (issuer, failure) = (&self.issuer, self.failure());
        match (before, &failure) {
            (Some(_), None) => {
                tracing::info!(%issuer, "The keys of an issuer can be fetched again.");
            }
            (None, Some(reason)) => {
                tracing::warn!(%issuer, %reason, "The keys of an issuer cannot be fetched; it is tried again.");
            }
            (_, reason) => {
                tracing::debug!(%issuer, ?reason, "The keys of an issuer were asked for.");
            }
        }
        failure.is_none()
    }

    /// Takes what a fetch has brought, and says why the one before failed.
    fn take(
        &self,
        outcome: Result<(Document, Option<Duration>), FetchError>,
        now: Timestamp,
    ) -> Option<Box<str>> {
        if let Ok((document, _)) = &outcome {
            let issuer = &self.issuer;
            for skipped in &document.skipped {
                tracing::debug!(%issuer, "A published {skipped}.");
            }
            if document.keys.is_empty() {
                tracing::warn!(%issuer, "An issuer publishes no key that can be used: its tokens do not count.");
            }
        }
        let mut state = self.state();
        match outcome {
            Ok((document, max_age)) => {
                state.refetching.fetched(now, document.keys, max_age);
                state.failure.take()
            }
            Err(error) => {
                state.refetching.failed();
                // What led there may be out of date, too.
                if let Some((_, at)) = &mut state.discovered {
                    *at = Timestamp::from_ms(0);
                }
                state.failure.replace(with_causes(&error).into())
            }
        }
    }

    async fn ask(&self) -> Result<(Document, Option<Duration>), FetchError> {
        let url = match &self.place {
            KeysPlace::At(url) => url.clone(),
            KeysPlace::Discovered(base) => self.discover(base).await?,
        };
        match self.client.get(&url, JWKS_BYTES_MAX).await {
            Err(source) => Err(FetchError::Request { url, source }),
            Ok(document) => match jwks::read(&document.body) {
                Err(source) => Err(FetchError::Keys { url, source }),
                Ok(keys) => Ok((keys, document.max_age)),
            },
        }
    }

    /// Where the issuer says that its keys are.
    async fn discover(&self, base: &Url) -> Result<Url, FetchError> {
        let discovered = match self.kept(clock::now()) {
            Some(discovered) => discovered,
            None => self.discover_anew(base).await?,
        };
        let url = issuer_address(&discovered.keys_url, self.plain_http);
        let url = url.map_err(FetchError::Address)?;
        if base.scheme() == "https" && url.scheme() != "https" {
            return Err(FetchError::Downgrade { url });
        }
        Ok(url)
    }

    async fn discover_anew(&self, base: &Url) -> Result<Arc<Discovered>, FetchError> {
        let url = discovery_url(base);
        let document = match self.client.get(&url, DISCOVERY_BYTES_MAX).await {
            Err(source) => return Err(FetchError::Request { url, source }),
            Ok(document) => document,
        };
        let discovered = discovery::read(&document.body, &self.issuer);
        let discovered =
            Arc::new(discovered.map_err(|source| FetchError::Discovery { url, source })?);
        self.state().discovered = Some((Arc::clone(&discovered), clock::now()));
        Ok(discovered)
    }

    /// What the issuer has said of itself, while it is new enough.
    fn kept(&self, now: Timestamp) -> Option<Arc<Discovered>> {
        let state = self.state();
        let (discovered, at) = state.discovered.as_ref()?;
        let is_new = *at <= now && now < at.saturating_add(DISCOVERY_AGE_MAX);
        is_new.then(|| Arc::clone(discovered))
    }

    /// What the issuer has said of itself last. The first time is waited for.
    pub(crate) async fn discovered(&self) -> Option<Arc<Discovered>> {
        let last = || self.state().discovered.as_ref().map(|(last, _)| Arc::clone(last));
        if let Some(last) = last() {
            return Some(last);
        }
        self.newer_than(self.current(clock::now()).seen).await;
        last()
    }

    /// An address of the issuer's own that it has given out.
    pub(crate) fn address(&self, text: &str) -> Result<Url, AddressError> {
        let url = issuer_address(text, self.plain_http)?;
        let is_downgraded = match &self.place {
            KeysPlace::At(base) | KeysPlace::Discovered(base) => {
                base.scheme() == "https" && url.scheme() != "https"
            }
        };
        if is_downgraded { Err(AddressError::Scheme) } else { Ok(url) }
    }

    /// Speaks to the issuer.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// How they stand.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        self.state().refetching.standing(now)
    }

    /// What is wrong with them, for whoever runs the server.
    pub(crate) fn complaint(&self, now: Timestamp) -> Option<String> {
        let mut state = self.state();
        let standing = state.refetching.standing(now);
        let why = match (&state.failure, standing) {
            (Some(failure), _) => format!(": {failure}"),
            // They will be fetched in a moment.
            (None, Standing::Stale { .. }) => return None,
            (None, _) => String::new(),
        };
        let old = |age: Duration| format!("are {} and {} s old", standing.word(), age.as_secs());
        let how = match standing {
            Standing::Missing => "are missing".to_owned(),
            Standing::Stale { age } | Standing::Refused { age } => old(age),
            Standing::Fresh { .. } => {
                let has_none = state.refetching.keys(now).is_some_and(|keys| keys.is_empty());
                return has_none.then(|| {
                    format!("the issuer {} publishes no key that can be used", self.issuer)
                });
            }
        };
        Some(format!("the keys of the issuer {} {how}{why}", self.issuer))
    }

    /// Why the last fetch failed, if it did.
    pub(crate) fn failure(&self) -> Option<Box<str>> {
        self.state().failure.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// OIDC Discovery 1.0, section 4: below the issuer's name, of which a slash at the end is cut
/// off.
fn discovery_url(base: &Url) -> Url {
    let mut url = base.clone();
    let path = format!("{}{}", base.path().trim_end_matches('/'), discovery::PATH);
    url.set_path(&path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_asked_below_its_name() {
        for (name, expected) in [
            ("https://id.example", "https://id.example/.well-known/openid-configuration"),
            ("https://id.example/", "https://id.example/.well-known/openid-configuration"),
            (
                "https://id.example/realms/a",
                "https://id.example/realms/a/.well-known/openid-configuration",
            ),
        ] {
            let url = discovery_url(&Url::parse(name).expect("a URL"));
            assert_eq!(url.as_str(), expected);
        }
    }
}
