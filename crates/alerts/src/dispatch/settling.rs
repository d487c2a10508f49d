//! What webhooks are owed and nobody will tell them any more: at a start, and where another
//! configuration comes into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::alert_set::AlertSet;
use super::group::{Group, Unheard};
use super::records::Untold;
use super::{Changes, Dispatcher, address};
use crate::Now;
use crate::config::Config;
use crate::notification::Address;
use bellwire_model::{NameMap, NameSet};

/// What waited for its group's next look when another configuration came into force.
#[derive(Debug, Default)]
pub struct Waited(NameMap<Address, Unheard>);

impl Dispatcher {
    /// Begins anew with another configuration and the same alerts. Nothing counts as being on its
    /// way any more. What waited is to be [settled](Self::settle).
    pub fn replace(&mut self, now: Now, config: Arc<Config>) -> Waited {
        let waited = self.waited(now);
        self.config = config;
        self.by_labels.clear();
        self.deadlines.clear();
        self.overdue.clear();
        self.on_the_way.clear();
        self.resolved_bytes = 0;
        let groups = std::mem::take(&mut self.groups);
        let homeless = std::mem::take(&mut self.homeless);
        let mut seen = NameSet::default();
        for update in groups.values().flat_map(Group::updates).chain(homeless.values()) {
            if seen.insert(update.fingerprint()) {
                self.update(now, update);
            }
        }
        waited
    }

    /// What waits for the next look of its group. Where a route is muted nothing does.
    fn waited(&mut self, now: Now) -> Waited {
        let config = Arc::clone(&self.config);
        let mut waited = NameMap::default();
        for group in self.groups.values_mut() {
            let route = config.routes.get(group.route);
            let receiver = config.receiver(&route.receiver).expect("routes name known receivers");
            if !route.muted_by(now.wall).is_empty() {
                continue;
            }
            for (index, webhook) in receiver.webhooks.iter().enumerate() {
                let address = address(&config, group, index);
                let known = self.records.get(&address);
                let unheard = group.unheard(known.map(|known| &**known), webhook.resolved);
                if !(unheard.firing.is_empty() && unheard.resolved.is_empty()) {
                    waited.insert(address, unheard);
                }
            }
        }
        Waited(waited)
    }

    /// All alerts that there are have been told of by [`update`](Self::update), at the start or
    /// since another configuration is in force: what webhooks are owed of others they are not told,
    /// nor what waited for those that are gone.
    pub fn settle(&mut self, now: Now, waited: &Waited) -> Changes {
        let groups: NameMap<Address, &Group> =
            self.groups.values().map(|group| (address(&self.config, group, 0), group)).collect();
        let owed = self.records.iter().map(|(address, record)| (address, record.owed()));
        let mut owed: BTreeMap<&Address, AlertSet> = owed.collect();
        for address in waited.0.keys() {
            owed.entry(address).or_default();
        }
        let mut orphans = Vec::new();
        for (address, owed) in owed {
            let Address { receiver, webhook, .. } = address;
            let group = groups.get(&Address { webhook: 0, ..address.clone() });
            let webhooks = self.config.receiver(receiver).map(|receiver| receiver.webhooks.len());
            let (is_gone, reason) = match (webhooks, group) {
                (None, _) => (true, "the configuration has no such receiver any more"),
                (Some(webhooks), _) if *webhook >= webhooks => {
                    (true, "the receiver has fewer webhooks than before")
                }
                (_, None) => {
                    (false, "none of the group's alerts is there any more, or they go elsewhere")
                }
                (_, Some(_)) => (false, "the alerts are not there any more, or go elsewhere"),
            };
            let group = group.filter(|_| !is_gone);
            let is_lost = |alert| !group.is_some_and(|group| group.has(alert));
            let mut alerts = owed.filtered(is_lost);
            if let Some(unheard) = waited.0.get(address) {
                alerts = alerts.union(&unheard.resolved.filtered(is_lost));
                if is_gone {
                    alerts = alerts.union(&unheard.firing);
                }
            }
            if !alerts.is_empty() {
                orphans.push((address.clone(), Untold { alerts, reason, now: now.steady }));
            }
        }
        // What has been found under another name comes before what is taken from it.
        let mut changes = std::mem::take(&mut self.begun);
        for (address, untold) in orphans {
            self.records.forgo(&address, untold, &mut changes);
        }
        changes
    }
}
