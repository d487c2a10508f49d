//! Tells browsers of alerts though no page is open: Web Push (RFC 8030, RFC 8291, RFC 8292).
//!
//! ```text
//! desk ──take──▶ newest update of each alert ──▶ courier ── encrypted, one request each ─▶ push services
//!                                                 ▲   │ whose subscription still counts?
//! API ── subscribe, list, take back ─▶ records ───┘   └─▶ records of what was told
//! ```
//!
//! What happens within moments is one message, and a message says what fires in all: it may replace
//! those before it. Each subscription has its own pace, and its own retries: a service that is slow or
//! gone harms nobody else. Whoever has subscribed is asked for again whenever something is to be told.

mod courier;
mod encryption;
mod mailbox;
mod news;
mod payload;
mod register;
mod rounds;
mod service;
mod subscription;
mod urgency;
mod vapid;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_alerts::notification::Update;
use bellwire_journal::{Error, Journal, RecordChange};
use bellwire_model::limits::DESK_ANSWER_PATIENCE;
use bellwire_model::{Fingerprint, NameMap, Scope, Timestamp};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};
use tokio::time::timeout;

pub use self::courier::Courier;
use self::register::Register;
use self::subscription::Subscription;
pub use self::subscription::{ListedSubscription, NewSubscription, SubscriptionState};
pub use self::vapid::{VapidKey, VapidKeyError};
use crate::charge::Charge;
use crate::figures::Figures;
use crate::notifier::Reach;
use crate::unanswered::{maybe_done, not_done};

/// Whether somebody may still be told, and of what. Asked whenever there is something to tell.
pub trait Standing: Debug + Send + Sync {
    /// Which alerts those see in whose name this mandate is. `None`: it counts no more.
    fn sees(&self, mandate: &str) -> Option<Scope>;
}

/// What push messages need of the rest of the server.
#[derive(Debug)]
pub struct PushParts {
    pub journal: Arc<dyn Journal>,
    pub figures: Arc<Figures>,
    pub standing: Arc<dyn Standing>,
    /// `None`: nobody is told.
    pub key: Option<VapidKey>,
    /// Whom those may write to who run push services: a `mailto:` or `https:` URL.
    pub contact: Box<str>,
    /// How long a subscription counts after its browser has asked for it.
    pub lasts: Duration,
    /// How long nobody is told after the start.
    pub start_delay: Duration,
    /// What push services may have for addresses.
    pub reach: Reach,
    /// Whether it is this server that tells them.
    pub charge: Charge,
}

/// Subscriptions of browsers, and where news of alerts are left for them.
#[derive(Debug)]
pub struct Push {
    key: Option<VapidKey>,
    lasts: Duration,
    register: Mutex<Register>,
    news: Mutex<News>,
    has_news: Notify,
    journal: Arc<dyn Journal>,
    figures: Arc<Figures>,
    /// Held by who changes subscriptions until the journal has answered.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What the courier has not seen yet.
#[derive(Debug, Default)]
struct News {
    /// Of each alert the newest; nothing where it is no more.
    updates: BTreeMap<Fingerprint, Option<Update>>,
    has_begun: bool,
    /// There are others than before.
    has_changed: bool,
    /// Subscriptions of which the journal has not taken what they have been told.
    unkept: Vec<Box<str>>,
    /// Subscriptions that are to be told that they work.
    tests: BTreeSet<Box<str>>,
}

/// Whose subscriptions somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a>(pub &'a str);

/// What has become of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// It is one more.
    New,
    /// Its browser had one, which says this from now on.
    InPlace,
}

impl Push {
    /// With the subscriptions that the journal has, and what tells them. Blocks on the disk.
    pub fn open(parts: PushParts) -> Result<(Arc<Self>, Courier), Error> {
        let PushParts { journal, figures, standing, key, contact, .. } = parts;
        let PushParts { lasts, start_delay, reach, charge, .. } = parts;
        let register = Register::of_records(journal.records(register::PREFIX)?);
        let mut told = register::told_marks(&journal.records(register::TOLD)?);
        // One that a clock had set which was ahead would keep news from being told.
        let now = clock::now();
        for mark in told.values_mut() {
            *mark = (*mark).min(now);
        }
        forget_orphans(&*journal, (&register, &mut told));
        figures.push_subscriptions.set(register.all().len() as u64);
        let push = Arc::new(Self {
            key,
            lasts,
            register: Mutex::new(register),
            news: Mutex::default(),
            has_news: Notify::new(),
            journal,
            figures,
            turn: Arc::default(),
        });
        let starts_at = clock::steady().saturating_add(start_delay);
        let courier =
            Courier::new(Arc::clone(&push), standing, (reach, contact, charge), (told, starts_at));
        Ok((push, courier))
    }

    /// What pages subscribe with. `None`: nobody is told.
    pub fn public_key(&self) -> Option<&str> {
        self.key.as_ref().map(VapidKey::public_text)
    }

    /// How long a subscription counts after its browser has asked for it.
    pub fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Takes news of alerts; never waits for more than another caller.
    pub(crate) fn take(&self, updates: impl IntoIterator<Item = Update>) {
        let updates = updates.into_iter().map(|update| (update.fingerprint(), Some(update)));
        self.note(updates);
    }

    /// These are no more.
    pub(crate) fn forget(&self, alerts: impl IntoIterator<Item = Fingerprint>) {
        self.note(alerts.into_iter().map(|alert| (alert, None)));
    }

    fn note(&self, updates: impl Iterator<Item = (Fingerprint, Option<Update>)>) {
        if self.key.is_none() {
            return;
        }
        let mut news = self.news();
        let before = news.updates.len();
        news.updates.extend(updates);
        let has_news = news.updates.len() > before;
        drop(news);
        if has_news {
            self.has_news.notify_one();
        }
    }

    /// Every alert that there is has been told of.
    pub(crate) fn begin(&self) {
        self.news().has_begun = true;
        self.has_news.notify_one();
    }

    /// Keeps a subscription; it is synced then. The same browser has one.
    pub async fn subscribe(
        self: &Arc<Self>,
        new: NewSubscription,
        counts: impl FnOnce() -> bool,
    ) -> Result<(ListedSubscription, Subscribed), Problem> {
        self.check_on()?;
        let new = new.read(drawn_id()?, clock::now())?;
        let turn = self.turn().await?;
        if !counts() {
            return Err(Problem::new(Code::CredentialInvalid, "what was shown counts no more"));
        }
        let (new, replaced) = self.in_its_place(new)?;
        self.register().check(&new)?;
        let new = Arc::new(new);
        let mut changes = vec![register::kept(&new)];
        let subscribed = match replaced {
            None => Subscribed::New,
            Some(old) if old == new.id => Subscribed::InPlace,
            Some(old) => {
                changes.extend(register::forgotten(&old));
                Subscribed::New
            }
        };
        let (push, kept) = (Arc::clone(self), Arc::clone(&new));
        let taken = move |result: &Result<(), Error>| {
            if result.is_ok() {
                push.register().put(kept);
                push.on_changed();
            }
            drop(turn);
        };
        self.write(changes, taken).await?;
        Ok((new.listed(self.lasts), subscribed))
    }

    /// In the place of what there is of its browser, and whose place that is. Where the browser is
    /// somebody else's by now nothing goes on that was meant for them before. Whoever knows where a
    /// browser is reached and nothing else takes nobody's place.
    fn in_its_place(&self, new: Subscription) -> Result<(Subscription, Option<Box<str>>), Problem> {
        let old = self.register().of_endpoint(&new.record.endpoint).cloned();
        let Some(old) = old else { return Ok((new, None)) };
        let id = Some(old.id.clone());
        let is_over = old.state().is_over;
        if old.record.owner == new.record.owner && !is_over {
            return Ok((new.carry_on(&old), id));
        }
        if is_over || old.record.is_of_browser_of(&new.record) {
            return Ok((new, id));
        }
        let detail = "another subscription has this `endpoint` with other keys";
        Err(Problem::new(Code::PushUnavailable, detail))
    }

    /// Subscriptions of somebody.
    pub fn list(&self, Owner(owner): Owner<'_>) -> Vec<ListedSubscription> {
        let register = self.register();
        let own = register.all().filter(|it| *it.record.owner == *owner && !it.state().is_over);
        own.map(|it| it.listed(self.lasts)).collect()
    }

    /// Somebody's subscription goes; that is synced then.
    pub async fn unsubscribe(self: &Arc<Self>, id: &str, owner: Owner<'_>) -> Result<(), Problem> {
        let turn = self.turn().await?;
        self.own(id, owner)?;
        let (push, gone) = (Arc::clone(self), Box::from(id));
        let taken = move |result: &Result<(), Error>| {
            if result.is_ok() {
                let gone: Box<str> = gone;
                push.register().remove(&gone);
                push.on_changed();
            }
            drop(turn);
        };
        self.write(register::forgotten(id).into(), taken).await
    }

    /// Has somebody's browser told that it is reached.
    pub fn test(&self, id: &str, owner: Owner<'_>) -> Result<(), Problem> {
        self.check_on()?;
        self.own(id, owner)?;
        self.news().tests.insert(id.into());
        self.has_news.notify_one();
        Ok(())
    }

    fn own(&self, id: &str, Owner(owner): Owner<'_>) -> Result<Arc<Subscription>, Problem> {
        let found = self.register().get(id).filter(|it| *it.record.owner == *owner).cloned();
        found.ok_or_else(|| {
            let id = bellwire_model::excerpt(id.to_owned());
            Problem::new(Code::NotFound, format!("you have no push subscription `{id}`"))
        })
    }

    fn check_on(&self) -> Result<(), Problem> {
        if self.key.is_some() {
            return Ok(());
        }
        let detail = "push messages are off here: `--push true` turns them on";
        Err(Problem::new(Code::PushUnavailable, detail))
    }

    fn on_changed(&self) {
        self.figures.push_subscriptions.set(self.register().all().len() as u64);
        self.news().has_changed = true;
        self.has_news.notify_one();
    }

    /// The turn of who changes something, which those before have for as long as the journal says nothing.
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, Problem> {
        let turn = timeout(DESK_ANSWER_PATIENCE, Arc::clone(&self.turn).lock_owned()).await;
        turn.map_err(|_| not_done("the journal takes no push subscriptions now: send it again"))
    }

    /// Makes changes, all or none, and waits until they are synced, but not for ever. `taken` is called
    /// whether or not anybody still waits.
    async fn write(
        &self,
        changes: Vec<RecordChange>,
        taken: impl FnOnce(&Result<(), Error>) + Send + 'static,
    ) -> Result<(), Problem> {
        let (reply, replied) = oneshot::channel();
        let done = move |result| {
            taken(&result);
            let _ = reply.send(result);
        };
        self.journal.write_records(changes, Box::new(done))?;
        let replied = timeout(DESK_ANSWER_PATIENCE, replied).await.map_err(|_| maybe_done())?;
        Ok(replied.unwrap_or(Err(Error::Closed))?)
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go of marks whose subscriptions went while the mark was on its way.
fn forget_orphans(
    journal: &dyn Journal,
    (register, told): (&Register, &mut NameMap<Box<str>, Timestamp>),
) {
    let (kept, orphans): (NameMap<_, _>, NameMap<_, _>) =
        std::mem::take(told).into_iter().partition(|(id, _)| register.get(id).is_some());
    *told = kept;
    let changes: Vec<RecordChange> = orphans.keys().map(|id| register::untold(id)).collect();
    if changes.is_empty() {
        return;
    }
    let warn = |error: Error| tracing::warn!(%error, "What push subscriptions were told that are no more stays until the next start.");
    let done = move |result: Result<(), Error>| result.unwrap_or_else(warn);
    journal.write_records(changes, Box::new(done)).unwrap_or_else(warn);
}

/// A name that nobody guesses.
fn drawn_id() -> Result<Box<str>, Problem> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "The system gives no randomness.");
        Problem::new(Code::PushUnavailable, "the system gives no randomness")
    })?;
    Ok(BASE64_URL.encode(random).into())
}

#[cfg(test)]
mod tests;
