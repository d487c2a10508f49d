//! Alerts that are notified together.

use std::sync::Arc;

use bellwire_model::{Fingerprint, Labels, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

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
    /// How often it has been looked at.
    looks: u64,
}

/// A group's way to one webhook.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlet {
    /// The newest look of which the webhook knows all that it should.
    pub(super) settled_look: u64,
    /// A look came while a notification was on its way.
    pub(super) has_missed_look: bool,
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
        self.members.insert(update.fingerprint(), member);
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
    pub(super) fn audible(&self) -> [FxHashSet<Fingerprint>; 2] {
        let audible = self.updates().filter(|update| !update.status.is_muted());
        let (mut firing, mut resolved) = (FxHashSet::default(), FxHashSet::default());
        for update in audible {
            let side = if update.is_resolved() { &mut resolved } else { &mut firing };
            side.insert(update.fingerprint());
        }
        [firing, resolved]
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

    /// Drops alerts that have resolved, where every webhook knows what it should of that.
    /// Says whether any alert is left.
    pub(super) fn drop_settled(&mut self) -> bool {
        let settled = self.outlets.iter().map(|outlet| outlet.settled_look).min();
        let settled = settled.unwrap_or(self.looks);
        self.members
            .retain(|_, member| !member.update.is_resolved() || member.first_look > settled);
        !self.members.is_empty()
    }
}
