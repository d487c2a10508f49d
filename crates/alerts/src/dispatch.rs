//! Whom to notify of which alerts, and when.
//!
//! A pure state machine. Alerts are gathered in groups by the routes; a group is looked at when
//! its `group_wait` is over, and then each `group_interval`. At each look every webhook of its
//! receiver is told, if there is anything to tell: that is decided by what it was told last, which
//! is recorded once it has been delivered. What it is being told is recorded before that, as what
//! it may know. Records outlive a restart, groups are made again from the alerts.
//!
//! ```text
//! update ──▶ groups ──advance──▶ notifications ──▶ on_sent ──▶ records
//!               ▲                      │
//!               └───── on_given_up ────┘    looked at again at once, if a look was missed
//! ```
//!
//! Waits go by steady time, whatever becomes of the wall clock. What is kept for webhooks that take
//! nothing is bounded in bytes; where that is reached, and where something that a webhook is owed
//! has nobody to tell it any more, it is [`Forgone`]: a dead letter is to stand for it.

mod alert_set;
mod group;
mod record;
mod records;
mod settling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{ALERT_GROUPS_MAX, CLOCK_STEP_MIN, RESOLVED_UNTOLD_BYTES_MAX};
use bellwire_model::{Fingerprint, Labels, NameMap, Timestamp};
use rustc_hash::FxHashMap;

use self::alert_set::AlertSet;
use self::group::Group;
use self::record::{Record, Wishes};
pub use self::records::{Changes, Forgone, NotificationRecordChange, Turn};
use self::records::{Records, Untold};
pub use self::settling::Waited;
use crate::Now;
use crate::config::{Config, Resolved};
use crate::notification::{Address, Notification, Update};
use crate::route::RouteId;

/// A notification has this long at least, however short the group's interval is.
const DELIVERY_TIME_MIN: Duration = Duration::from_secs(10);

/// Names a group for as long as it lives.
type GroupId = u64;

/// Whom to notify of which alerts, and when.
#[derive(Debug)]
pub struct Dispatcher {
    config: Arc<Config>,
    groups: FxHashMap<GroupId, Group>,
    by_labels: NameMap<(RouteId, Labels), GroupId>,
    /// When each group is looked at.
    deadlines: BTreeSet<(Timestamp, GroupId)>,
    /// Webhooks of groups whose look was missed, and that are free again.
    overdue: Vec<(GroupId, usize)>,
    records: Records,
    on_the_way: NameMap<Address, Flight>,
    /// Bytes of the resolved alerts of all groups.
    resolved_bytes: usize,
    resolved_bytes_max: usize,
    /// What is to be stored of the beginning.
    begun: Changes,
    /// No group is looked at before.
    starts_at: Timestamp,
    groups_made: u64,
    groups_max: usize,
    groups_refused: u64,
    /// Alerts for which there was no room for a group: they get one when there is.
    homeless: BTreeMap<Fingerprint, Update>,
}

/// A notification that has not come back.
#[derive(Debug)]
struct Flight {
    group: GroupId,
    look: u64,
    /// What the webhook knows once it is delivered.
    record: Record,
    /// What was known before it was sent.
    before: Option<Arc<Record>>,
}

/// Whether a notification that is given up may have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It has not.
    Impossible,
    /// Nobody knows.
    Possible,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Due {
    /// What is to be sent.
    pub notifications: Vec<Notification>,
    /// What is to be stored, and what is told nobody.
    pub changes: Changes,
}

impl Dispatcher {
    /// With what `stored` says of earlier notifications; what cannot be read of it is passed over.
    pub fn new(
        config: Arc<Config>,
        now: Now,
        stored: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Self {
        let (records, begun) = Records::new(now, stored);
        Self {
            config,
            groups: FxHashMap::default(),
            by_labels: NameMap::default(),
            deadlines: BTreeSet::new(),
            overdue: Vec::new(),
            records,
            on_the_way: NameMap::default(),
            resolved_bytes: 0,
            resolved_bytes_max: RESOLVED_UNTOLD_BYTES_MAX,
            begun,
            starts_at: Timestamp::MIN,
            groups_made: 0,
            groups_max: ALERT_GROUPS_MAX,
            groups_refused: 0,
            homeless: BTreeMap::default(),
        }
    }

    /// How many stored records are passed over and forgotten, since they cannot be read: they are
    /// damaged, or have the form of an earlier build.
    pub fn unreadable_records(&self) -> usize {
        self.begun.records.len()
    }

    /// Looks at no group before `time`: those who post alerts may need some time to come back, too.
    #[must_use]
    pub fn starting_at(mut self, time: Timestamp) -> Self {
        self.starts_at = time;
        self
    }

    /// An alert is as it says now.
    pub fn update(&mut self, now: Now, update: &Update) {
        if update.alert.fired_at.is_none() {
            return;
        }
        let was_homeless = self.homeless.remove(&update.fingerprint()).is_some();
        let (config, mut is_homeless) = (Arc::clone(&self.config), false);
        for route in config.routes.matching(&update.alert.labels) {
            if let Some(group) = self.group_of(now, route, update) {
                let before = group.resolved_bytes();
                group.take(update);
                let after = group.resolved_bytes();
                self.resolved_bytes += after;
                self.resolved_bytes -= before;
            } else {
                is_homeless = true;
            }
        }
        if is_homeless && !update.is_resolved() {
            self.groups_refused += u64::from(!was_homeless);
            self.homeless.insert(update.fingerprint(), update.clone());
        }
    }

    /// Alerts that had no room get their groups, where there is some now.
    fn house(&mut self, now: Now) {
        let room = self.groups_max.saturating_sub(self.groups.len());
        if room == 0 || self.homeless.is_empty() {
            return;
        }
        let lucky: Vec<Update> = self.homeless.values().take(room).cloned().collect();
        for update in lucky {
            self.update(now, &update);
        }
    }

    /// Looks at the groups that are due.
    pub fn advance(&mut self, now: Now) -> Due {
        let mut due = Due { changes: std::mem::take(&mut self.begun), ..Due::default() };
        self.mind_clock(now, &mut due.changes);
        self.records.expire(now.steady, &mut due.changes);
        self.give_up_oldest(now.steady, &mut due.changes);
        self.house(now);
        for (group, webhook) in std::mem::take(&mut self.overdue) {
            if let Some(look) = self.groups.get(&group).map(Group::looks) {
                let webhooks = webhook..webhook + 1;
                self.look(now, (group, look), webhooks, &mut due);
            }
        }
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now.steady
        {
            self.deadlines.pop_first();
            let group = self.groups.get_mut(&id).expect("a deadline is of a group");
            let interval = self.config.routes.get(group.route).timing.interval;
            // A group that is due in the same millisecond again would never let others have theirs.
            group.deadline = now.steady.saturating_add(interval.max(Duration::from_millis(1)));
            self.deadlines.insert((group.deadline, id));
            let (look, webhooks) = (group.look(), 0..group.outlets.len());
            self.look(now, (id, look), webhooks, &mut due);
        }
        due
    }

    /// When to call [`advance`](Self::advance) next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if !self.overdue.is_empty() {
            return Some(Timestamp::MIN);
        }
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A notification was delivered. Says what is to be stored.
    pub fn on_sent(&mut self, address: &Address) -> Changes {
        let mut changes = Changes::default();
        let Some(flight) = self.on_the_way.remove(address) else { return changes };
        self.records.put(address.clone(), flight.record, &mut changes);
        if let Some(group) = self.groups.get_mut(&flight.group) {
            group.outlets[address.webhook].settled_look = flight.look;
        }
        self.on_landed(flight.group, address);
        changes
    }

    /// A notification could not be delivered, and a dead letter stands for it. What still matters of
    /// what it says is tried again at the group's next look. Says what is to be stored.
    pub fn on_given_up(&mut self, address: &Address, arrival: Arrival) -> Changes {
        let mut changes = Changes::default();
        let Some(flight) = self.on_the_way.remove(address) else { return changes };
        if arrival == Arrival::Impossible {
            let before = flight.before.map(Arc::unwrap_or_clone);
            self.records.restore(address, before, &mut changes);
        }
        if let Some(group) = self.groups.get_mut(&flight.group) {
            group.outlets[address.webhook].lettered_look = flight.look;
        }
        self.on_landed(flight.group, address);
        changes
    }

    /// A notification was not sent, or nobody knows: it stays owed, and is tried again at the
    /// group's next look.
    pub fn on_put_off(&mut self, address: &Address) {
        if let Some(flight) = self.on_the_way.remove(address) {
            self.on_landed(flight.group, address);
        }
    }

    /// Every record, for a storage that may have lost some.
    pub fn records(&self) -> Vec<NotificationRecordChange> {
        self.records.all()
    }

    /// The configuration that is in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// How many alerts have found no group, since there were as many as there may be.
    pub fn groups_refused(&self) -> u64 {
        self.groups_refused
    }

    /// The group of an alert at a route; a new one if there is none yet.
    fn group_of(&mut self, now: Now, route: RouteId, update: &Update) -> Option<&mut Group> {
        let settings = self.config.routes.get(route);
        let labels = settings.group_labels(&update.alert.labels);
        if let Some(id) = self.by_labels.get(&(route, labels.clone())) {
            return self.groups.get_mut(id);
        }
        if self.groups.len() >= self.groups_max {
            return None;
        }
        let key = settings.group_key(&labels);
        let webhooks = self.config.receiver(&settings.receiver).map_or(0, |r| r.webhooks.len());
        let mut group = Group::new(route, (labels.clone(), key), webhooks);
        // Who has waited elsewhere, say before a restart, does not wait again. Alerts tell that by the
        // wall clock, wherever that has been set to.
        let wait = settings.timing.wait;
        let waited = update.alert.fired_at.unwrap_or(now.wall).saturating_add(wait);
        let deadline = if waited < now.wall { now.steady } else { now.steady.saturating_add(wait) };
        group.deadline = deadline.max(self.starts_at);
        self.groups_made += 1;
        let id = self.groups_made;
        self.by_labels.insert((route, labels), id);
        self.deadlines.insert((group.deadline, id));
        for webhook in 0..webhooks {
            // It may have been told as another route, before others came or went.
            let own = address(&self.config, &group, webhook);
            for variant in settings.other_variants() {
                let other = Address { variant: *variant, ..own.clone() };
                self.records.rename(&other, &own, &mut self.begun);
            }
        }
        Some(self.groups.entry(id).or_insert(group))
    }

    /// Looks at a group for some of its webhooks.
    fn look(
        &mut self,
        now: Now,
        (id, look): (GroupId, u64),
        webhooks: std::ops::Range<usize>,
        due: &mut Due,
    ) {
        let config = Arc::clone(&self.config);
        let group = self.groups.get_mut(&id).expect("the caller has seen it");
        let route = config.routes.get(group.route);
        let is_silent = !route.muted_by(now.wall).is_empty();
        let audible = if is_silent { Default::default() } else { group.audible() };
        let has_audible = audible.iter().any(|side| !side.is_empty());
        let current = Record::new(now.steady, route.timing.repeat_interval, audible);
        let receiver = config.receiver(&route.receiver).expect("routes name known receivers");
        for index in webhooks {
            let address = address(&config, group, index);
            let outlet = &mut group.outlets[index];
            outlet.is_overdue = self.on_the_way.contains_key(&address);
            if outlet.is_overdue {
                continue;
            }
            let webhook = &receiver.webhooks[index];
            let wishes = Wishes {
                wants_resolved: webhook.resolved == Resolved::Sent,
                repeat_interval: route.timing.repeat_interval,
            };
            let before = self.records.get(&address).cloned();
            let known = before.as_deref();
            let reason = Record::reason(known, &current, wishes).filter(|_| has_audible);
            let Some(reason) = reason else {
                outlet.settled_look = look;
                continue;
            };
            let alerts = group.told(webhook.resolved);
            if alerts.is_empty() {
                // There is nothing that it wants to hear, but it counts as told.
                group.outlets[index].settled_look = look;
                self.records.put(address, current.clone(), &mut due.changes);
                continue;
            }
            // What is owed is a record before it is sent: the process may end before it has come back.
            let owed = Record::while_sent(known, &current);
            if known != Some(&owed) {
                self.records.put(address.clone(), owed, &mut due.changes);
            }
            let flight = Flight { group: id, look, record: current.clone(), before };
            self.on_the_way.insert(address.clone(), flight);
            let time_max = route.timing.interval.max(DELIVERY_TIME_MIN);
            due.notifications.push(Notification {
                address,
                group_labels: group.labels.clone(),
                alerts,
                reason,
                time: now.wall,
                deadline: now.steady.saturating_add(time_max),
            });
        }
        self.drop_if_done(id);
    }

    /// Where the wall clock has stepped, what is stored says so: it must be true after a restart.
    fn mind_clock(&mut self, now: Now, changes: &mut Changes) {
        let step_ms = now.ahead_ms().abs_diff(self.records.ahead_ms());
        if u128::from(step_ms) >= CLOCK_STEP_MIN.as_millis() {
            self.records.set_ahead_ms(now.ahead_ms());
            changes.records.extend(self.records.all());
        }
    }

    /// Where more resolved alerts wait to be told than may, the oldest are not told any more.
    fn give_up_oldest(&mut self, now: Timestamp, changes: &mut Changes) {
        if self.resolved_bytes <= self.resolved_bytes_max {
            return;
        }
        let mut resolved: Vec<_> = self
            .groups
            .iter()
            .flat_map(|(id, group)| {
                group.resolved().map(|(at, alert, bytes)| (at, *id, alert, bytes))
            })
            .collect();
        resolved.sort_unstable();
        // Some more at once, so that it is not done for each alert.
        let enough = self.resolved_bytes_max / 8 * 7;
        let mut untold: FxHashMap<(GroupId, usize), Vec<Fingerprint>> = FxHashMap::default();
        let mut touched = BTreeSet::new();
        for (_, id, alert, bytes) in resolved {
            if self.resolved_bytes <= enough {
                break;
            }
            self.resolved_bytes -= bytes;
            touched.insert(id);
            let group = self.groups.get_mut(&id).expect("it was there a few lines ago");
            for webhook in group.give_up(alert) {
                untold.entry((id, webhook)).or_default().push(alert);
            }
        }
        for ((id, webhook), alerts) in untold {
            let address = address(&self.config, &self.groups[&id], webhook);
            let alerts: AlertSet = alerts.into_iter().collect();
            let reason = "the alerts have resolved, and more wait to be told than may";
            self.records.forgo(&address, Untold { alerts, reason, now }, changes);
        }
        for id in touched {
            self.drop_if_done(id);
        }
    }

    /// A webhook is free again.
    fn on_landed(&mut self, id: GroupId, to: &Address) {
        let Some(group) = self.groups.get(&id) else {
            // Its alerts were given up meanwhile. Another group may have come in its place.
            let is_overdue = |(_, group): &(&GroupId, &Group)| {
                group.outlets.get(to.webhook).is_some_and(|outlet| outlet.is_overdue)
                    && address(&self.config, group, to.webhook) == *to
            };
            let waits = self.groups.iter().find(is_overdue);
            self.overdue.extend(waits.map(|(id, _)| (*id, to.webhook)));
            return;
        };
        if group.outlets[to.webhook].is_overdue {
            self.overdue.push((id, to.webhook));
        }
        self.drop_if_done(id);
    }

    /// Drops what nobody needs to be told any more, and the group if that was all.
    fn drop_if_done(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let webhooks = 0..group.outlets.len();
        let known: Vec<_> = webhooks
            .map(|webhook| self.records.get(&address(&self.config, group, webhook)).cloned())
            .collect();
        let before = group.resolved_bytes();
        let is_left = group.drop_settled(&known);
        self.resolved_bytes += group.resolved_bytes();
        self.resolved_bytes -= before;
        if !is_left {
            self.deadlines.remove(&(group.deadline, id));
            self.by_labels.remove(&(group.route, group.labels.clone()));
            self.groups.remove(&id);
        }
    }
}

/// Where notifications of a group to one of its webhooks go.
fn address(config: &Config, group: &Group, webhook: usize) -> Address {
    let route = config.routes.get(group.route);
    let (receiver, group_key) = (Arc::clone(&route.receiver), Arc::clone(&group.key));
    Address { receiver, webhook, group_key, variant: route.variant() }
}

#[cfg(test)]
mod tests;
