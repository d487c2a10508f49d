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
//!               └────── on_failed ─────┘    looked at again at once, if a look was missed
//! ```

mod group;
mod record;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::ALERT_GROUPS_MAX;
use bellwire_model::{Labels, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

use self::group::Group;
pub use self::record::RecordChange;
use self::record::{Record, Records, Wishes};
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
    by_labels: FxHashMap<(RouteId, Labels), GroupId>,
    /// When each group is looked at.
    deadlines: BTreeSet<(Timestamp, GroupId)>,
    /// Webhooks of groups whose look was missed, and that are free again.
    overdue: Vec<(GroupId, usize)>,
    records: Records,
    on_the_way: FxHashMap<Address, Flight>,
    /// No group is looked at before.
    starts_at: Timestamp,
    groups_made: u64,
    groups_refused: u64,
}

/// A notification that has not come back.
#[derive(Debug)]
struct Flight {
    group: GroupId,
    look: u64,
    /// What the webhook knows once it is delivered.
    record: Record,
    /// What was known before it was sent.
    before: Option<Record>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Due {
    /// What is to be sent.
    pub notifications: Vec<Notification>,
    /// What is to be stored.
    pub records: Vec<RecordChange>,
}

impl Dispatcher {
    /// With what `stored` says of earlier notifications; what cannot be read of it is passed over.
    pub fn new(config: Arc<Config>, stored: impl IntoIterator<Item = (Address, Vec<u8>)>) -> Self {
        let mut records = Records::default();
        for (address, bytes) in stored {
            if let Some(record) = Record::from_bytes(&bytes) {
                records.put(address, record);
            }
        }
        Self {
            config,
            groups: FxHashMap::default(),
            by_labels: FxHashMap::default(),
            deadlines: BTreeSet::new(),
            overdue: Vec::new(),
            records,
            on_the_way: FxHashMap::default(),
            starts_at: Timestamp::MIN,
            groups_made: 0,
            groups_refused: 0,
        }
    }

    /// Looks at no group before `time`: those who post alerts may need some time to come back, too.
    #[must_use]
    pub fn starting_at(mut self, time: Timestamp) -> Self {
        self.starts_at = time;
        self
    }

    /// An alert is as it says now.
    pub fn update(&mut self, now: Timestamp, update: &Update) {
        if update.alert.fired_at.is_none() {
            return;
        }
        let config = Arc::clone(&self.config);
        for route in config.routes.matching(&update.alert.labels) {
            if let Some(group) = self.group_of(now, route, update) {
                group.take(update);
            }
        }
    }

    /// Looks at the groups that are due.
    pub fn advance(&mut self, now: Timestamp) -> Due {
        let mut due = Due { records: self.records.expire(now), ..Due::default() };
        for (group, webhook) in std::mem::take(&mut self.overdue) {
            if let Some(look) = self.groups.get(&group).map(Group::looks) {
                let webhooks = webhook..webhook + 1;
                self.look(now, (group, look), webhooks, &mut due);
            }
        }
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let group = self.groups.get_mut(&id).expect("a deadline is of a group");
            let interval = self.config.routes.get(group.route).timing.interval;
            // A group that is due in the same millisecond again would never let others have theirs.
            group.deadline = now.saturating_add(interval.max(Duration::from_millis(1)));
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
    pub fn on_sent(&mut self, address: &Address) -> Vec<RecordChange> {
        let Some(flight) = self.on_the_way.remove(address) else { return Vec::new() };
        let changes = self.records.put(address.clone(), flight.record);
        if let Some(group) = self.groups.get_mut(&flight.group) {
            group.outlets[address.webhook].settled_look = flight.look;
        }
        self.on_landed(flight.group, address.webhook);
        changes
    }

    /// A notification could not be delivered, and somebody else is told so. What it says is tried
    /// again at the group's next look. Says what is to be stored.
    pub fn on_failed(&mut self, address: &Address) -> Vec<RecordChange> {
        let Some(flight) = self.on_the_way.remove(address) else { return Vec::new() };
        let changes = self.records.restore(address, flight.before);
        self.on_landed(flight.group, address.webhook);
        changes
    }

    /// A notification was not sent, or nobody knows: it stays owed, and is tried again at the
    /// group's next look.
    pub fn on_put_off(&mut self, address: &Address) {
        if let Some(flight) = self.on_the_way.remove(address) {
            self.on_landed(flight.group, address.webhook);
        }
    }

    /// Begins anew with another configuration and the same alerts. Nothing counts as being on its
    /// way any more.
    pub fn replace(&mut self, now: Timestamp, config: Arc<Config>) {
        self.config = config;
        self.by_labels.clear();
        self.deadlines.clear();
        self.overdue.clear();
        self.on_the_way.clear();
        let groups = std::mem::take(&mut self.groups);
        let mut seen = FxHashSet::default();
        for update in groups.values().flat_map(Group::updates) {
            if seen.insert(update.fingerprint()) {
                self.update(now, update);
            }
        }
    }

    /// Every record, for a storage that may have lost some.
    pub fn records(&self) -> Vec<RecordChange> {
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

    /// How often an alert has found no group, since there were as many as there may be.
    pub fn groups_refused(&self) -> u64 {
        self.groups_refused
    }

    /// The group of an alert at a route; a new one if there is none yet.
    fn group_of(&mut self, now: Timestamp, route: RouteId, update: &Update) -> Option<&mut Group> {
        let settings = self.config.routes.get(route);
        let labels = settings.group_labels(&update.alert.labels);
        if let Some(id) = self.by_labels.get(&(route, labels.clone())) {
            return self.groups.get_mut(id);
        }
        if self.groups.len() >= ALERT_GROUPS_MAX {
            self.groups_refused += 1;
            return None;
        }
        let key = settings.group_key(&labels);
        let webhooks = self.config.receiver(&settings.receiver).map_or(0, |r| r.webhooks.len());
        let mut group = Group::new(route, (labels.clone(), key), webhooks);
        // Who has waited elsewhere, say before a restart, does not wait again.
        let wait = settings.timing.wait;
        let waited = update.alert.fired_at.unwrap_or(now).saturating_add(wait);
        let deadline = if waited < now { now } else { now.saturating_add(wait) };
        group.deadline = deadline.max(self.starts_at);
        self.groups_made += 1;
        let id = self.groups_made;
        self.by_labels.insert((route, labels), id);
        self.deadlines.insert((group.deadline, id));
        Some(self.groups.entry(id).or_insert(group))
    }

    /// Looks at a group for some of its webhooks.
    fn look(
        &mut self,
        now: Timestamp,
        (id, look): (GroupId, u64),
        webhooks: std::ops::Range<usize>,
        due: &mut Due,
    ) {
        let config = Arc::clone(&self.config);
        let group = self.groups.get_mut(&id).expect("the caller has seen it");
        let route = config.routes.get(group.route);
        let is_silent = !route.muted_by(now).is_empty();
        let audible = if is_silent { Default::default() } else { group.audible() };
        let has_audible = audible.iter().any(|side| !side.is_empty());
        let current = Record::new(now, route.timing.repeat_interval, audible);
        let receiver = config.receiver(&route.receiver).expect("routes name known receivers");
        for index in webhooks {
            let address = Address {
                receiver: route.receiver.clone(),
                webhook: index,
                group_key: group.key.clone(),
            };
            let outlet = &mut group.outlets[index];
            outlet.has_missed_look = self.on_the_way.contains_key(&address);
            if outlet.has_missed_look {
                continue;
            }
            let webhook = &receiver.webhooks[index];
            let wishes = Wishes {
                wants_resolved: webhook.resolved == Resolved::Sent,
                repeat_interval: route.timing.repeat_interval,
            };
            let known = self.records.get(&address);
            let reason = Record::reason(known, &current, wishes).filter(|_| has_audible);
            let Some(reason) = reason else {
                outlet.settled_look = look;
                continue;
            };
            let alerts = group.told(webhook.resolved);
            if alerts.is_empty() {
                // There is nothing that it wants to hear, but it counts as told.
                group.outlets[index].settled_look = look;
                due.records.extend(self.records.put(address, current.clone()));
                continue;
            }
            // What is owed is a record before it is sent: the process may end before it has come back.
            let before = self.records.get(&address).cloned();
            let owed = Record::while_sent(before.as_ref(), &current);
            if before.as_ref() != Some(&owed) {
                due.records.extend(self.records.put(address.clone(), owed));
            }
            let flight = Flight { group: id, look, record: current.clone(), before };
            self.on_the_way.insert(address.clone(), flight);
            let time_max = route.timing.interval.max(DELIVERY_TIME_MIN);
            due.notifications.push(Notification {
                address,
                group_labels: group.labels.clone(),
                alerts,
                reason,
                time: now,
                deadline: now.saturating_add(time_max),
            });
        }
        self.drop_if_done(id);
    }

    /// A webhook is free again.
    fn on_landed(&mut self, id: GroupId, webhook: usize) {
        let Some(group) = self.groups.get(&id) else { return };
        if group.outlets[webhook].has_missed_look {
            self.overdue.push((id, webhook));
        }
        self.drop_if_done(id);
    }

    /// Drops what nobody needs to be told any more, and the group if that was all.
    fn drop_if_done(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if !group.drop_settled() {
            self.deadlines.remove(&(group.deadline, id));
            self.by_labels.remove(&(group.route, group.labels.clone()));
            self.groups.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
