//! Alerts that are notified together.

use std::sync::Arc;

use bellwire_model::{Alert, Fingerprint, Labels, Timestamp};
use rustc_hash::FxHashMap;

use super::alert_set::AlertSet;
use super::record::Record;
use crate::config::Resolved;
use crate::notification::Update;
use crate::route::RouteId;

/// Alerts of one route with the same group labels.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) route: RouteId,
    pub(super) labels: Labels,
    pub(super) key: Arc<str>,
    /// When it is looked at next.
    pub(super) deadline: Timestamp,
    /// One for each webhook of the receiver, in their order.
    pub(super) outlets: Vec<Outlet>,
    members: FxHashMap<Fingerprint, Member>,
    /// Of those that have resolved.
    resolved_bytes: usize,
    /// How often it has been looked at.
    looks: u64,
}

/// A group's way to one webhook.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlet {
    /// The newest look of which the webhook knows all that it should.
    pub(super) settled_look: u64,
    /// The newest look for which a dead letter stands: what had ended by then, and of which the
    /// webhook does not know that it fired, it need not be told.
    pub(super) lettered_look: u64,
    /// A look came while a notification was on its way.
    pub(super) is_overdue: bool,
}

#[derive(Debug)]
struct Member {
    update: Update,
    /// The first look that sees the alert firing, or resolved, as it is now.
    first_look: u64,
}

impl Group {
    /// Without alerts.
    pub(super) fn new(route: RouteId, (labels, key): (Labels, String), webhooks: usize) -> Self {
        Self {
            route,
            labels,
            key: key.into(),
            deadline: Timestamp::MAX,
            outlets: vec![Outlet::default(); webhooks],
            members: FxHashMap::default(),
            resolved_bytes: 0,
            looks: 0,
        }
    }

    pub(super) fn take(&mut self, update: &Update) {
        let first_look = match self.members.get(&update.fingerprint()) {
            Some(Member { update: known, first_look })
                if known.alert.resolved_at == update.alert.resolved_at
                    && known.alert.fired_at == update.alert.fired_at =>
            {
                *first_look
            }
            _ => self.looks + 1,
        };
        let member = Member { update: update.clone(), first_look };
        self.resolved_bytes += member.resolved_bytes();
        if let Some(before) = self.members.insert(update.fingerprint(), member) {
            self.resolved_bytes -= before.resolved_bytes();
        }
    }

    /// Bytes of its alerts that have resolved.
    pub(super) fn resolved_bytes(&self) -> usize {
        self.resolved_bytes
    }

    /// Its alerts that have resolved, with when that was and their bytes.
    pub(super) fn resolved(&self) -> impl Iterator<Item = (Timestamp, Fingerprint, usize)> {
        self.members.iter().filter_map(|(fingerprint, member)| {
            let resolved_at = member.update.alert.resolved_at?;
            Some((resolved_at, *fingerprint, member.resolved_bytes()))
        })
    }

    pub(super) fn has(&self, alert: Fingerprint) -> bool {
        self.members.contains_key(&alert)
    }

    /// Drops an alert that has resolved. Says which webhooks should have been told.
    pub(super) fn give_up(&mut self, alert: Fingerprint) -> Vec<usize> {
        let Some(member) = self.members.remove(&alert) else { return Vec::new() };
        self.resolved_bytes -= member.resolved_bytes();
        let waits = |(_, outlet): &(usize, &Outlet)| member.first_look > outlet.settled_look;
        self.outlets.iter().enumerate().filter(waits).map(|(index, _)| index).collect()
    }

    /// Begins another look at what its alerts are, and gives its number.
    pub(super) fn look(&mut self) -> u64 {
        self.looks += 1;
        self.looks
    }

    /// The number of the newest look.
    pub(super) fn looks(&self) -> u64 {
        self.looks
    }

    /// The fingerprints of its alerts that nothing keeps quiet: those that fire, and those that
    /// have resolved.
    pub(super) fn audible(&self) -> [AlertSet; 2] {
        let audible = self.updates().filter(|update| !update.status.is_muted());
        let (mut firing, mut resolved) = (Vec::new(), Vec::new());
        for update in audible {
            let side = if update.is_resolved() { &mut resolved } else { &mut firing };
            side.push(update.fingerprint());
        }
        [firing, resolved].map(|side| side.into_iter().collect())
    }

    /// What a webhook is told of these, in the order in which people read alerts.
    pub(super) fn told(&self, resolved: Resolved) -> Vec<Update> {
        let is_told = |update: &&Update| {
            !update.status.is_muted() && (resolved == Resolved::Sent || !update.is_resolved())
        };
        let mut told: Vec<Update> = self.updates().filter(is_told).cloned().collect();
        told.sort_by(Update::reading_order);
        told
    }

    /// All of its alerts.
    pub(super) fn updates(&self) -> impl Iterator<Item = &Update> {
        self.members.values().map(|member| &member.update)
    }

    /// Drops alerts that have resolved, where every webhook knows what it should of that, or a dead
    /// letter stands for it; `known` is what the webhooks know. Says whether any alert is left.
    pub(super) fn drop_settled(&mut self, known: &[Option<Arc<Record>>]) -> bool {
        let (looks, outlets) = (self.looks, &self.outlets);
        let is_owed = |alert: Fingerprint, member: &Member| {
            let is_waited_for = |(outlet, known): (&Outlet, &Option<Arc<Record>>)| {
                let may_fire = || known.as_ref().is_some_and(|known| known.may_fire(alert));
                member.first_look > outlet.settled_look
                    && (member.first_look > outlet.lettered_look || may_fire())
            };
            let has_been_seen = member.first_look <= looks;
            !has_been_seen || outlets.iter().zip(known).any(is_waited_for)
        };
        let mut dropped = 0;
        self.members.retain(|alert, member| {
            let stays = !member.update.is_resolved() || is_owed(*alert, member);
            dropped += if stays { 0 } else { member.resolved_bytes() };
            stays
        });
        self.resolved_bytes -= dropped;
        !self.members.is_empty()
    }
}

impl Member {
    /// What it is counted with where it has resolved.
    fn resolved_bytes(&self) -> usize {
        let Alert { labels, annotations, .. } = &*self.update.alert;
        let bytes = size_of::<Self>() + size_of::<Alert>();
        let bytes = bytes + labels.size_bytes() + annotations.size_bytes();
        if self.update.is_resolved() { bytes } else { 0 }
    }
}
