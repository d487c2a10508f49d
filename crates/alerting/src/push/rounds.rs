//! What is to be told to whom: a round over all subscriptions, whenever there is something new.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_alerts::notification::Update;
use bellwire_journal::{Error, RecordChange};
use bellwire_model::limits::{PUSH_GATHER, PUSH_LOOK_INTERVAL, PUSH_OVERDUE, PUSH_STEPS_MAX};
use bellwire_model::{Alert, Fingerprint, NameMap, Scope, Timestamp};

use super::mailbox::{Mailbox, Outgoing};
use super::news::{Change, Firing, Turn, Untold};
use super::payload::{self, InAll, Payload};
use super::subscription::Subscription;
use super::{Push, Standing, register};

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) steady: Timestamp,
    pub(super) wall: Timestamp,
}

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// With what whom it is for sees of alerts.
    pub(super) messages: Vec<(Arc<Subscription>, Payload, Scope)>,
    /// To those whose subscriptions are no more.
    pub(super) farewells: Vec<(Arc<Subscription>, Payload)>,
}

/// What is known of alerts, and of what each subscription has been told.
#[derive(Debug)]
pub(super) struct Rounds {
    push: Arc<Push>,
    standing: Arc<dyn Standing>,
    firing: Firing,
    has_begun: bool,
    gathered: Vec<Change>,
    /// When the first of what is gathered came, in steady time.
    gathered_at: Option<Timestamp>,
    mailboxes: BTreeMap<Box<str>, Mailbox>,
    /// Of subscriptions that have no mailbox yet: up to when they were told of everything.
    told: NameMap<Box<str>, Timestamp>,
    /// Subscriptions that are over, and whose records the journal has yet to let go of.
    ended: BTreeSet<Box<str>>,
    /// Since when every look, in steady time, has found of a subscription that its time is over.
    overdue: NameMap<Box<str>, Timestamp>,
    must_go: bool,
    look_at: Timestamp,
    /// When what was told is to be kept, in steady time.
    keep_at: Option<Timestamp>,
    /// Nobody is told before.
    starts_at: Timestamp,
}

/// Those who are told of the same alerts.
struct Audience {
    asked: Arc<Subscription>,
    sight: Scope,
    changes: Vec<Change>,
    /// What fires in all of what they are told of; worked out where somebody has to hear of it.
    in_all: Option<InAll>,
}

impl Rounds {
    pub(super) fn new(
        push: Arc<Push>,
        standing: Arc<dyn Standing>,
        (told, starts_at): (NameMap<Box<str>, Timestamp>, Timestamp),
    ) -> Self {
        Self {
            push,
            standing,
            firing: Firing::default(),
            has_begun: false,
            gathered: Vec::new(),
            gathered_at: None,
            mailboxes: BTreeMap::new(),
            told,
            ended: BTreeSet::new(),
            overdue: NameMap::default(),
            must_go: true,
            look_at: Timestamp::MIN,
            keep_at: None,
            starts_at,
        }
    }

    /// Takes what is new of alerts and of subscriptions.
    pub(super) fn take_news(&mut self, now: Moment) {
        let (updates, has_begun) = {
            let mut news = self.push.news();
            self.must_go |= std::mem::take(&mut news.has_changed) || !news.tests.is_empty();
            for id in std::mem::take(&mut news.unkept) {
                if let Some(mailbox) = self.mailboxes.get_mut(&id) {
                    mailbox.is_mark_kept = false;
                }
            }
            (std::mem::take(&mut news.updates), std::mem::take(&mut news.has_begun))
        };
        for (alert, update) in updates {
            self.take_update(alert, update.as_ref());
        }
        self.has_begun |= has_begun;
        if !self.gathered.is_empty() {
            self.gathered_at.get_or_insert(now.steady);
        }
    }

    fn take_update(&mut self, alert: Fingerprint, update: Option<&Update>) {
        let change = match update {
            None => return self.firing.forget(alert),
            Some(update) if self.has_begun => self.firing.take(update),
            Some(update) => self.firing.begin(update),
        };
        self.gathered.extend(change);
    }

    /// Whether there is something to do.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.next_at() <= now.steady
    }

    /// When there is, in steady time. Before all alerts of the start are known there is nothing.
    pub(super) fn next_at(&self) -> Timestamp {
        if !self.has_begun {
            return Timestamp::MAX;
        }
        if self.must_go {
            return Timestamp::MIN;
        }
        let gathered = self.gathered_at.map(|at| at.saturating_add(PUSH_GATHER));
        let mailboxes = self.mailboxes.values().filter_map(Mailbox::due_at).min();
        let mailboxes = mailboxes.map(|at| at.max(self.starts_at));
        [gathered, mailboxes, self.keep_at]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.look_at)
            .min(self.look_at)
    }

    /// Looks at all subscriptions: whose count no more, what they are to be told, and which may be told
    /// now.
    pub(super) fn go(&mut self, now: Moment) -> Round {
        self.must_go = false;
        self.look_at = now.steady.saturating_add(PUSH_LOOK_INTERVAL);
        let (changes, tests) =
            (std::mem::take(&mut self.gathered), std::mem::take(&mut self.push.news().tests));
        (self.gathered_at, self.keep_at) = (None, None);
        let subscriptions: Vec<Arc<Subscription>> = self.push.register().all().cloned().collect();
        self.forget_removed(&subscriptions);
        let mut round = Round::default();
        let (mut audiences, mut steps) = (Vec::new(), BTreeMap::new());
        for subscription in &subscriptions {
            if self.ended.contains(&subscription.id) {
                continue;
            }
            let Some(sight) = self.sight(subscription, now, &mut round) else { continue };
            let sight_of_message = sight.clone();
            let left = steps.entry(&*subscription.record.owner).or_insert(PUSH_STEPS_MAX);
            let audience = audience(&mut audiences, (subscription, sight), (&changes, left));
            let mailbox = self.mailboxes.entry(subscription.id.clone()).or_insert_with(|| {
                let made_at = Timestamp::from_ms(subscription.record.made_at);
                Mailbox::new(self.told.remove(&subscription.id).unwrap_or(made_at))
            });
            post(mailbox, &audience.changes);
            if tests.contains(&subscription.id) {
                mailbox.add_test();
            }
            if now.steady >= self.starts_at {
                let to = (subscription, mailbox);
                let message = outgoing(to, (audience, &self.firing), (left, now));
                round
                    .messages
                    .extend(message.map(|it| (Arc::clone(subscription), it, sight_of_message)));
            }
        }
        self.keep();
        round
    }

    /// What whoever has subscribed sees. `None`: they are told nothing any more.
    fn sight(
        &mut self,
        subscription: &Arc<Subscription>,
        now: Moment,
        round: &mut Round,
    ) -> Option<Scope> {
        let id = &*subscription.id;
        if self.is_over(subscription, now) {
            tracing::info!(subscription = id, "A push subscription ends: no page has renewed it.");
            let language = (&*subscription.record.language, now.wall);
            round.farewells.push((Arc::clone(subscription), payload::about("ended", language)));
            self.end(id);
            return None;
        }
        let sight = self.standing.sees(&subscription.record.mandate);
        let sight = sight.filter(|sight| *sight != Scope::none());
        if sight.is_none() {
            tracing::info!(
                subscription = id,
                "A push subscription ends: whose it is sees no alerts any more."
            );
            self.end(id);
        }
        sight
    }

    /// Whether no page has renewed it for too long. A clock that has jumped is put right again before
    /// anybody's time is over.
    fn is_over(&mut self, subscription: &Subscription, now: Moment) -> bool {
        if now.wall < subscription.ends_at(self.push.lasts) {
            self.overdue.remove(&subscription.id);
            return false;
        }
        let since = self.overdue.entry(subscription.id.clone()).or_insert(now.steady);
        now.steady.saturating_since(*since) >= PUSH_OVERDUE
    }

    /// What is there of subscriptions that are no more.
    fn forget_removed(&mut self, subscriptions: &[Arc<Subscription>]) {
        let there: BTreeSet<&str> = subscriptions.iter().map(|it| &*it.id).collect();
        self.mailboxes.retain(|id, _| there.contains(&**id));
        self.overdue.retain(|id, _| there.contains(&**id));
        self.ended.retain(|id| there.contains(&**id));
    }

    /// What a subscription is yet to be told.
    pub(super) fn mailbox(&mut self, id: &str) -> Option<&mut Mailbox> {
        self.mailboxes.get_mut(id)
    }

    /// Something was told: that is kept soon, so that a start does not tell it again.
    pub(super) fn keep_soon(&mut self, now: Moment) {
        self.keep_at.get_or_insert(now.steady.saturating_add(PUSH_GATHER));
    }

    /// What was to be sent to somebody is made anew, as they may see something else by now.
    pub(super) fn on_stale(&mut self, id: &str) {
        if let Some(mailbox) = self.mailboxes.get_mut(id) {
            mailbox.on_stale();
        }
        self.must_go = true;
    }

    /// A subscription is over: nothing is told to it from now on.
    fn end(&mut self, id: &str) {
        self.mailboxes.remove(id);
        if let Some(over) = self.push.register().get(id) {
            over.state().is_over = true;
        }
        if self.ended.insert(id.into()) {
            self.push.figures.push_subscriptions_ended.add(1);
        }
    }

    /// The same, between two rounds: its record goes soon.
    pub(super) fn end_soon(&mut self, id: &str) {
        self.end(id);
        self.must_go = true;
    }

    /// Has the journal keep what was told, and let go of what is over. Nobody waits for it, and what it
    /// does not take is offered again.
    fn keep(&mut self) {
        let mut changes: Vec<RecordChange> =
            self.ended.iter().flat_map(|id| register::forgotten(id)).collect();
        let mut told = Vec::new();
        for (id, mailbox) in &mut self.mailboxes {
            if !std::mem::replace(&mut mailbox.is_mark_kept, true) {
                changes.push(register::told(id, mailbox.told_until));
                told.push(id.clone());
            }
        }
        if changes.is_empty() {
            return;
        }
        let (push, ended) = (Arc::clone(&self.push), self.ended.clone());
        let refused = told.clone();
        let done = move |result: Result<(), Error>| match result {
            Ok(()) if ended.is_empty() => {}
            Ok(()) => {
                for id in &ended {
                    push.register().remove(id);
                }
                push.on_changed();
            }
            Err(error) => {
                tracing::warn!(%error, "What push subscriptions were told is not kept yet; trying again.");
                push.news().unkept.extend(refused);
            }
        };
        if let Err(error) = self.push.journal.write_records(changes, Box::new(done)) {
            tracing::warn!(%error, "What push subscriptions were told is not kept yet; trying again.");
            self.push.news().unkept.extend(told);
        }
    }
}

/// Whether a subscription asks to be told of an alert. What takes its owner too long counts as asked
/// for: nobody is to miss an alert for it.
fn wants(subscription: &Subscription, alert: &Alert, steps_left: &mut usize) -> bool {
    if *steps_left == 0 {
        return true;
    }
    let (wants, steps) = subscription.wants(alert);
    *steps_left = steps_left.saturating_sub(steps);
    wants
}

/// Those that a subscription belongs to. They are few, however many subscriptions there are.
fn audience<'a>(
    audiences: &'a mut Vec<Audience>,
    (subscription, sight): (&Arc<Subscription>, Scope),
    (changes, steps_left): (&[Change], &mut usize),
) -> &'a mut Audience {
    let is_it = |it: &Audience| it.sight == sight && it.asked.wants_same_as(subscription);
    let place = audiences.iter().position(is_it).unwrap_or_else(|| {
        let is_theirs = |change: &&Change| {
            let alert = &change.alert;
            sight.passes(&alert.labels) && wants(subscription, alert, steps_left)
        };
        let changes = changes.iter().filter(is_theirs).cloned().collect();
        let asked = Arc::clone(subscription);
        audiences.push(Audience { asked, sight, changes, in_all: None });
        audiences.len() - 1
    });
    &mut audiences[place]
}

/// Has somebody hear of what has changed, unless they have heard of it before the start.
fn post(mailbox: &mut Mailbox, changes: &[Change]) {
    for change in changes {
        if change.found.is_none_or(|at| at > mailbox.told_until) {
            mailbox.add(change);
        }
    }
}

/// The message that is due, with what its reader may still see.
fn outgoing(
    (subscription, mailbox): (&Arc<Subscription>, &mut Mailbox),
    (audience, firing): (&mut Audience, &Firing),
    (steps_left, now): (&mut usize, Moment),
) -> Option<Payload> {
    let language = (&*subscription.record.language, now.wall);
    let mut untold: Untold = match mailbox.take(now.steady, now.wall)? {
        Outgoing::Test => return Some(payload::about("test", language)),
        Outgoing::News(untold) => untold,
    };
    untold.retain(|turn, alert| {
        let is_asked = turn == Turn::Fires || subscription.record.resolved;
        is_asked && audience.sight.passes(&alert.labels)
    });
    if !subscription.record.resolved {
        untold.forget_resolved_others();
    }
    if untold.is_empty() {
        mailbox.on_nothing();
        return None;
    }
    let Audience { sight, in_all, .. } = audience;
    let in_all = in_all.get_or_insert_with(|| {
        let is_theirs = |alert: &&Arc<Alert>| {
            sight.passes(&alert.labels) && wants(subscription, alert, steps_left)
        };
        InAll::of(firing.alerts().filter(is_theirs))
    });
    Some(payload::of_news(&untold, in_all, language))
}
