//! Tells webhooks of alerts: runs the dispatcher on the clock, and delivers what it says.
//!
//! ```text
//! desk ──take──▶ newest update of each alert ──▶ dispatcher ──▶ one task per notification
//!                                                    ▲                    │
//!            records of what was told and is owed ◀──┴──── delivered? ────┤
//!                                                                         ▼
//!                                             alerts/notifications/<receiver>, or
//!                                             alerts/dead-letters/<receiver> if given up
//! ```
//!
//! Whoever has news of alerts leaves it and goes on: of each alert the newest counts, so what
//! waits is bounded by the number of alerts, and nobody waits for a webhook. What a notification
//! says is on the disk as owed before it is sent, and what is given up as a dead letter before it
//! is owed no longer.

mod configuration;
mod dead_letter;
mod delivery;
mod ledger;
mod payload;
mod reach;
mod taken;
mod webhook;

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellwire_alerts::Now;
use bellwire_alerts::config::{Config, Webhook};
use bellwire_alerts::dispatch::{Arrival, Changes, Dispatcher, Forgone, Waited};
use bellwire_alerts::notification::{Address, Notification, Update};
use bellwire_journal::Journal;
use bellwire_model::{Fingerprint, NameMap, NameSet};
use bellwire_process::clock;
use bellwire_process::crash;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};

pub use self::configuration::{AlertmanagerConfigError, load};
pub(crate) use self::dead_letter::DEAD_LETTERS;
use self::dead_letter::DeadLetters;
use self::delivery::{Delivered, Lane, NotDelivered, Undelivered};
use self::ledger::{Kept, Ledger};
pub use self::reach::Reach;
pub(crate) use self::reach::{OutOfReach, Resolver, out_of_reach};
use self::taken::TakenLog;
pub(crate) use self::webhook::Trust;
use crate::charge::Charge;
use crate::figures::Figures;

/// The wall clock may be set, and the journal may take what it did not take before: both are looked
/// at this often at least.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// Where news of alerts is left.
#[derive(Debug)]
pub struct Notifier {
    news: Mutex<News>,
    has_news: Arc<Notify>,
}

/// What the dispatcher has not seen yet.
#[derive(Debug)]
struct News {
    updates: BTreeMap<Fingerprint, Update>,
    config: Arc<Config>,
    is_config_new: bool,
    /// All alerts of the start have been told of, and the dispatcher does not know it yet.
    has_begun: bool,
}

/// What the notifier needs of the rest of the server.
#[derive(Debug)]
pub struct NotifierParts {
    pub config: Config,
    pub journal: Arc<dyn Journal>,
    pub figures: Arc<Figures>,
    /// Where people find this server.
    pub external_url: Arc<str>,
    /// How long nobody is notified after the start.
    pub start_delay: Duration,
    /// What webhooks may connect to.
    pub reach: Reach,
    /// Whether it is this server that tells them.
    pub charge: Charge,
}

impl Notifier {
    /// With what the journal says of earlier notifications, and what runs it.
    pub fn open(parts: NotifierParts) -> Result<(Arc<Self>, Run), bellwire_journal::Error> {
        let NotifierParts { config, journal, figures, external_url, .. } = parts;
        let NotifierParts { start_delay, reach, charge, .. } = parts;
        let config = Arc::new(config);
        let stored = journal.records(Address::KEY_PREFIX)?;
        let has_news = Arc::new(Notify::new());
        let keys = stored.iter().map(|record| &*record.key);
        let ledger = Ledger::new(keys, Arc::clone(&has_news));
        let stored = stored.iter().map(|record| (record.key.to_string(), record.value.to_vec()));
        let now = now();
        let starts_at = now.steady.saturating_add(start_delay);
        let dispatcher = Dispatcher::new(Arc::clone(&config), now, stored).starting_at(starts_at);
        let records = dispatcher.unreadable_records();
        if records > 0 {
            tracing::warn!(
                records,
                "Records of what webhooks were told are forgotten, since they cannot be read: they are damaged, or an earlier build's. What fires is told once more."
            );
        }
        let updates = BTreeMap::new();
        let news = News { updates, config, is_config_new: false, has_begun: false };
        let notifier = Arc::new(Self { news: Mutex::new(news), has_news });
        let run = Run {
            lanes: lanes(dispatcher.config(), &reach),
            reach,
            notifier: Arc::clone(&notifier),
            dispatcher,
            journal,
            figures,
            external_url,
            charge,
            deliveries: JoinSet::new(),
            on_the_way: NameMap::default(),
            ledger,
            began: clock::Ticker::start(),
            letters: DeadLetters::new(Arc::clone(&notifier.has_news)),
            taken: TakenLog::new(Arc::clone(&notifier.has_news)),
            failing: NameSet::default(),
        };
        Ok((notifier, run))
    }

    /// Takes news of alerts; never waits for more than another caller.
    pub fn take(&self, updates: impl IntoIterator<Item = Update>) {
        let mut news = self.news();
        let before = news.updates.len();
        news.updates.extend(updates.into_iter().map(|update| (update.fingerprint(), update)));
        let has_news = news.updates.len() > before;
        drop(news);
        if has_news {
            self.has_news.notify_one();
        }
    }

    /// Every alert that there is has been told of: what webhooks are owed of others nobody tells
    /// them any more.
    pub fn begin(&self) {
        self.news().has_begun = true;
        self.has_news.notify_one();
    }

    /// The configuration that is in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.news().config)
    }

    /// Puts another configuration in force. What is on its way is given up, and sent anew as the
    /// new configuration says.
    pub fn replace(&self, config: Config) {
        let mut news = self.news();
        news.config = Arc::new(config);
        news.is_config_new = true;
        drop(news);
        self.has_news.notify_one();
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().expect("nobody panics with the news in hand")
    }
}

/// The ways to each receiver's webhooks.
type Lanes = NameMap<Arc<str>, Vec<Arc<Lane>>>;

fn lanes(config: &Config, reach: &Reach) -> Lanes {
    // Read once for all webhooks, and not at all without any.
    let trust = LazyCell::new(Trust::of_system);
    let lane = |webhook: &Webhook| Arc::new(Lane::new(webhook, &trust, reach));
    let lanes = |webhooks: &[Webhook]| webhooks.iter().map(lane).collect();
    let receivers = config.receivers.iter();
    receivers.map(|receiver| (Arc::from(&*receiver.name), lanes(&receiver.webhooks))).collect()
}

/// A delivery that has ended, or failed within.
type Landed = Result<(Id, Result<Delivered, NotDelivered>), JoinError>;

/// Runs the dispatcher for as long as the server runs.
#[derive(Debug)]
pub struct Run {
    notifier: Arc<Notifier>,
    dispatcher: Dispatcher,
    lanes: Lanes,
    reach: Reach,
    journal: Arc<dyn Journal>,
    figures: Arc<Figures>,
    external_url: Arc<str>,
    charge: Charge,
    deliveries: JoinSet<Result<Delivered, NotDelivered>>,
    on_the_way: NameMap<Id, Arc<Notification>>,
    ledger: Ledger,
    began: clock::Ticker,
    letters: DeadLetters,
    taken: TakenLog,
    /// Webhooks that have taken nothing since something could not be delivered.
    failing: NameSet<(Arc<str>, usize)>,
}

impl Run {
    /// Ends with the runtime that it is spawned on. What is on its way then is sent again at the
    /// next start.
    pub async fn forever(mut self) {
        loop {
            let wait = crash::run_essential(|| self.step(now()));
            let notifier = Arc::clone(&self.notifier);
            // Each of these may be dropped while it waits: nothing is taken before it is ready.
            tokio::select! {
                () = notifier.has_news.notified() => {}
                Some(landed) = self.deliveries.join_next_with_id() => {
                    crash::run_essential(|| self.on_all_landed(landed));
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes the news, does what is due, and says how long there is nothing else to do.
    fn step(&mut self, now: Now) -> Duration {
        let (updates, new_config, has_begun) = {
            let mut news = self.notifier.news();
            let is_new = std::mem::take(&mut news.is_config_new);
            let new_config = is_new.then(|| Arc::clone(&news.config));
            let has_begun = std::mem::take(&mut news.has_begun);
            (std::mem::take(&mut news.updates), new_config, has_begun)
        };
        let must_settle = has_begun || new_config.is_some();
        let mut waited = Waited::default();
        if let Some(config) = new_config {
            // What has been delivered just now must not be sent again.
            self.take_landed();
            self.deliveries = JoinSet::new();
            self.on_the_way.clear();
            self.failing.clear();
            self.lanes = lanes(&config, &self.reach);
            waited = self.dispatcher.replace(now, config);
        }
        for update in updates.values() {
            self.dispatcher.update(now, update);
        }
        if must_settle {
            let changes = self.dispatcher.settle(now, &waited);
            self.note(changes);
        }
        let due = self.dispatcher.advance(now);
        self.note(due.changes);
        let kept = self.save();
        for notification in due.notifications {
            self.send(notification, kept.clone());
        }
        self.figures.alert_groups.set(self.dispatcher.group_count() as u64);
        self.figures.alert_groups_refused.set(self.dispatcher.groups_refused());
        let deadline = self.dispatcher.next_deadline();
        let wait = deadline.map_or(CLOCK_CHECK, |due| due.saturating_since(clock::steady()));
        wait.min(CLOCK_CHECK)
    }

    /// What is stored, and the dead letters for what is told nobody.
    fn note(&mut self, changes: Changes) {
        let Changes { records, forgone } = changes;
        self.ledger.note(records);
        for forgone in forgone {
            let Forgone { address, alerts, reason, .. } = &forgone;
            let Address { receiver, webhook, group_key: group, .. } = address;
            tracing::warn!(%receiver, webhook, %group, alerts = alerts.len(), reason, "A webhook is not told what it is owed.");
            self.figures.notifications.add(1);
            self.figures.notifications_failed.add(1);
            self.letters.push_forgone(forgone, clock::now());
        }
    }

    fn send(&mut self, notification: Notification, owed: Kept) {
        let Address { receiver, webhook, .. } = &notification.address;
        let lane = Arc::clone(&self.lanes[receiver][*webhook]);
        let notification = Arc::new(notification);
        let (url, figures) = (Arc::clone(&self.external_url), Arc::clone(&self.figures));
        let charge = self.charge.clone();
        let sent = Arc::clone(&notification);
        let task = self.deliveries.spawn(async move {
            owed.settled().await;
            // That took as long as the journal did, which says nothing of the webhook.
            if sent.deadline <= clock::steady() {
                return Err(NotDelivered::Postponed);
            }
            lane.deliver(&sent, &url, (&figures, &charge)).await
        });
        self.on_the_way.insert(task.id(), notification);
    }

    /// Many may come at once, and what follows for the journal goes there together.
    fn on_all_landed(&mut self, first: Landed) {
        self.on_landed(first);
        self.take_landed();
    }

    fn take_landed(&mut self) {
        while let Some(landed) = self.deliveries.try_join_next_with_id() {
            self.on_landed(landed);
        }
    }

    fn on_landed(&mut self, landed: Landed) {
        let (id, result) = match landed {
            Ok((id, result)) => (id, Some(result)),
            // The server ends, or another configuration is in force.
            Err(error) if error.is_cancelled() => return,
            Err(error) => (error.id(), None),
        };
        let Some(notification) = self.on_the_way.remove(&id) else { return };
        let address = &notification.address;
        match result {
            Some(Ok(delivered)) => {
                let alerts_max = self.lanes[&address.receiver][address.webhook].alerts_max();
                self.taken.push((&notification, alerts_max), delivered, &self.figures);
                let changes = self.dispatcher.on_sent(address);
                self.note(changes);
                self.ledger.on_delivered();
                if self.failing.remove(&(address.receiver.clone(), address.webhook)) {
                    tracing::info!(receiver = %address.receiver, webhook = address.webhook, "A webhook takes notifications again.");
                }
            }
            Some(Err(NotDelivered::GivenUp(undelivered, payload))) => {
                self.on_given_up(&notification, &undelivered, &payload);
            }
            Some(Err(NotDelivered::Postponed)) => {
                self.dispatcher.on_put_off(address);
                self.figures.notifications_postponed.add(1);
            }
            None => {
                self.dispatcher.on_put_off(address);
                tracing::error!(receiver = %address.receiver, "A delivery has failed within.");
            }
        }
    }

    /// Whoever looks after dead letters is told instead.
    fn on_given_up(
        &mut self,
        notification: &Notification,
        undelivered: &Undelivered,
        payload: &[u8],
    ) {
        let address = &notification.address;
        self.tell(address, undelivered);
        let letter = dead_letter::letter(notification, (undelivered, payload), clock::now());
        if !self.letters.push(letter) {
            // Nothing stands for it: it stays owed.
            return self.dispatcher.on_put_off(address);
        }
        self.figures.notifications.add(1);
        self.figures.notifications_failed.add(1);
        let may_have_arrived = undelivered.may_have_arrived;
        let arrival = if may_have_arrived { Arrival::Possible } else { Arrival::Impossible };
        let changes = self.dispatcher.on_given_up(address, arrival);
        self.note(changes);
    }

    /// Tells of the first failure since a webhook has last taken anything; the dead letters tell of
    /// all.
    fn tell(&mut self, address: &Address, undelivered: &Undelivered) {
        let Address { receiver, webhook, group_key: group, .. } = address;
        if self.failing.insert((receiver.clone(), *webhook)) {
            let Undelivered { reason, attempts, .. } = undelivered;
            tracing::warn!(%receiver, webhook, %group, attempts, %reason, "A webhook does not take notifications.");
        }
    }

    /// Queues dead letters, and what follows of them once the journal has them: so that nothing is in
    /// neither. What was delivered goes ahead of the records that say so.
    fn save(&mut self) -> Kept {
        let passed = self.began.elapsed();
        self.taken.append(&*self.journal, &self.figures, passed);
        self.letters.append(&*self.journal, &self.figures, passed);
        self.ledger.on_letters(self.letters.course());
        self.ledger.save(&*self.journal, &self.figures, passed)
    }
}

fn now() -> Now {
    Now { steady: clock::steady(), wall: clock::now() }
}

#[cfg(test)]
mod tests;
