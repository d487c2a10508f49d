//! Alerts that are notified together.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_model::{Alert, Fingerprint, Labels, Timestamp};

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
    members: BTreeMap<Fingerprint, Member>,
    /// What was [`audible`](Self::audible) at the last look; nothing where that has changed.
    audible: Option<[AlertSet; 2]>,
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

/// Alerts of which a webhook has not heard how they are.
#[derive(Debug)]
pub(super) struct Unheard {
    /// Those that fire.
    pub(super) firing: AlertSet,
    /// Those that it holds for firing, and that have resolved.
    pub(super) resolved: AlertSet,
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
            members: BTreeMap::default(),
            audible: None,
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
        let side = member.side();
        let before = self.members.insert(update.fingerprint(), member);
        if before.as_ref().and_then(Member::side) != side {
            self.audible = None;
        }
        if let Some(before) = before {
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
        self.audible = None;
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
    /// have resolved. Where nothing has changed it costs nothing to ask again.
    pub(super) fn audible(&mut self) -> [AlertSet; 2] {
        let members = &self.members;
        let sides = || {
            let (mut firing, mut resolved) = (Vec::new(), Vec::new());
            for (alert, member) in members {
                match member.side() {
                    Some(Side::Firing) => firing.push(*alert),
                    Some(Side::Resolved) => resolved.push(*alert),
                    None => {}
                }
            }
            [firing, resolved].map(|side| side.into_iter().collect())
        };
        self.audible.get_or_insert_with(sides).clone()
    }

    /// What a webhook that knows `known` has yet to hear.
    pub(super) fn unheard(&mut self, known: Option<&Record>, wants: Resolved) -> Unheard {
        let [firing, resolved] = self.audible();
        let may_fire = |alert| known.is_some_and(|known| known.may_fire(alert));
        let firing = firing.filtered(|alert| !may_fire(alert));
        let resolved = match wants {
            Resolved::Sent => resolved.filtered(may_fire),
            Resolved::LeftOut => AlertSet::default(),
        };
        Unheard { firing, resolved }
    }

    /// What a webhook is told of these.
    pub(super) fn told(&self, resolved: Resolved) -> Vec<Update> {
        let is_told = |update: &&Update| {
            !update.status.is_muted() && (resolved == Resolved::Sent || !update.is_resolved())
        };
        self.updates().filter(is_told).cloned().collect()
    }

    /// All of its alerts.
    pub(super) fn updates(&self) -> impl Iterator<Item = &Update> {
        self.members.values().map(|member| &member.update)
    }

    /// Drops alerts that have resolved, where every webhook knows what it should of that, or a dead
    /// letter stands for it; `known` is what the webhooks know. Says whether any alert is left.
    pub(super) fn drop_settled(&mut self, known: &[Option<Arc<Record>>]) -> bool {
        if self.resolved_bytes == 0 {
            return !self.members.is_empty();
        }
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
        if dropped > 0 {
            self.audible = None;
        }
        !self.members.is_empty()
    }
}

/// What a webhook hears of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Firing,
    Resolved,
}

impl Member {
    /// Nothing where it is kept quiet.
    fn side(&self) -> Option<Side> {
        let side = if self.update.is_resolved() { Side::Resolved } else { Side::Firing };
        (!self.update.status.is_muted()).then_some(side)
    }

    /// What it is counted with where it has resolved.
    fn resolved_bytes(&self) -> usize {
        let Alert { labels, annotations, .. } = &*self.update.alert;
        let bytes = size_of::<Self>() + size_of::<Alert>();
        let bytes = bytes + labels.size_bytes() + annotations.size_bytes();
        if self.update.is_resolved() { bytes } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::{AlertSource, AlertState, AlertStatus};
    use proptest::prelude::*;

    use super::*;

    fn update(number: usize, resolved_at: Option<i64>) -> Update {
        let name = number.to_string();
        let labels = Labels::from_pairs([("alertname", &*name)]).expect("labels");
        let fingerprint = Fingerprint::of(&labels);
        let alert = Alert {
            fingerprint,
            source: AlertSource::Posted { generator_url: None },
            state: AlertState::Firing,
            labels,
            annotations: Labels::empty(),
            value: 0.0,
            active_at: Timestamp::from_ms(0),
            fired_at: Some(Timestamp::from_ms(0)),
            resolved_at: resolved_at.map(Timestamp::from_ms),
            sample_time: Timestamp::from_ms(0),
        };
        Update { alert: Arc::new(alert), status: AlertStatus::default() }
    }

    proptest! {
        #[test]
        fn what_is_audible_is_what_its_alerts_say_however_they_come_and_go(
            steps in prop::collection::vec((0..5_usize, 0..9_i64, any::<bool>()), 0..40)
        ) {
            let route = crate::route::Routes::ROOT;
            let mut group = Group::new(route, (Labels::empty(), String::new()), 1);
            for (number, kind, is_muted) in steps {
                let mut update = update(number, (3..6).contains(&kind).then_some(kind));
                update.status.inhibited_by.extend(is_muted.then_some(update.fingerprint()));
                match kind {
                    0 => group.outlets[0].settled_look = group.look(),
                    1 => drop(group.drop_settled(&[None])),
                    2 => drop(group.give_up(update.fingerprint())),
                    _ => group.take(&update),
                }
                let heard = |is_resolved| {
                    let heard = group.updates().filter(|update| {
                        !update.status.is_muted() && update.is_resolved() == is_resolved
                    });
                    heard.map(Update::fingerprint).collect::<AlertSet>()
                };
                let expected = [heard(false), heard(true)];
                prop_assert_eq!(group.audible(), expected);
            }
        }
    }
}
