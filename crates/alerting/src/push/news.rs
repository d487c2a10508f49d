//! What is new of alerts: which began to fire, and which have resolved. A pure state machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_alerts::dispatch::Arrival;
use bellwire_alerts::notification::Update;
use bellwire_model::limits::PUSH_ALERTS_UNTOLD_MAX;
use bellwire_model::{Alert, AlertState, Fingerprint, Timestamp};

use super::urgency::Urgency;

/// How an alert has changed for those who are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// It fires, and nothing mutes it.
    Fires,
    /// It fires no more.
    Resolved,
}

/// One that has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) alert: Arc<Alert>,
    pub(super) turn: Turn,
    /// When, where the start finds it so: what was told before has been told.
    pub(super) found: Option<Timestamp>,
}

impl Change {
    fn of(alert: &Arc<Alert>, turn: Turn) -> Self {
        Self { alert: Arc::clone(alert), turn, found: None }
    }
}

/// The alerts that fire now, and that nothing mutes.
#[derive(Debug, Default)]
pub(super) struct Firing(BTreeMap<Fingerprint, Arc<Alert>>);

impl Firing {
    /// Takes what is new of an alert; says what that is for those who are told.
    pub(super) fn take(&mut self, update: &Update) -> Option<Change> {
        let Update { alert, status } = update;
        let is_up = matches!(alert.state, AlertState::Firing | AlertState::DataLost);
        if is_up && !status.is_muted() {
            let before = self.0.insert(alert.fingerprint, Arc::clone(alert));
            // One that a silence had muted fires for them from now on.
            let is_new = before.is_none_or(|before| before.fired_at != alert.fired_at);
            return is_new.then(|| Change::of(alert, Turn::Fires));
        }
        let was_up = self.0.remove(&alert.fingerprint).is_some();
        let resolved = was_up && alert.state == AlertState::Resolved;
        resolved.then(|| Change::of(alert, Turn::Resolved))
    }

    /// The same of an alert as the start finds it: it has changed when it says so.
    pub(super) fn begin(&mut self, update: &Update) -> Option<Change> {
        let alert = &update.alert;
        if let Some(change) = self.take(update) {
            return Some(Change {
                found: Some(alert.fired_at.unwrap_or(alert.active_at)),
                ..change
            });
        }
        // Of what is muted nobody hears, before a start or behind it.
        let is_over = alert.state == AlertState::Resolved && !update.status.is_muted();
        let at = alert.resolved_at.filter(|_| is_over)?;
        alert.fired_at.map(|_| Change { found: Some(at), ..Change::of(alert, Turn::Resolved) })
    }

    /// It is no more, and nobody says what has become of it.
    pub(super) fn forget(&mut self, alert: Fingerprint) {
        self.0.remove(&alert);
    }

    pub(super) fn alerts(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.0.values()
    }
}

/// What somebody is yet to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Untold {
    alerts: BTreeMap<Fingerprint, UntoldAlert>,
    /// Those besides of which there is no room to say more.
    others: Others,
    /// None of the alerts counts for less than that.
    least: Weight,
}

/// How many have changed besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) firing: usize,
    pub(super) resolved: usize,
    /// The most pressing of those that fire.
    pub(super) urgency: Option<Urgency>,
}

impl Others {
    fn count(&mut self, turn: Turn, alert: &Alert) {
        match turn {
            Turn::Fires => {
                self.firing += 1;
                self.urgency = self.urgency.max(Some(Urgency::of(alert.severity())));
            }
            Turn::Resolved => self.resolved += 1,
        }
    }
}

/// Which of two is kept where there is room for one: what fires before what has resolved, then what is
/// more pressing.
type Weight = (bool, Option<Urgency>);

fn weight(turn: Turn, alert: &Alert) -> Weight {
    (turn == Turn::Fires, Some(Urgency::of(alert.severity())))
}

#[derive(Clone, Debug, PartialEq)]
struct UntoldAlert {
    alert: Arc<Alert>,
    turn: Turn,
    /// Whether they know of it as one that fires.
    is_known: bool,
}

impl Untold {
    pub(super) fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.others == Others::default()
    }

    /// Adds what has changed. What has come and gone meanwhile is nothing new.
    pub(super) fn add(&mut self, change: &Change) {
        let Change { alert, turn, .. } = change;
        let fingerprint = alert.fingerprint;
        let known = self.alerts.get(&fingerprint).map(|untold| untold.is_known);
        let is_known = match known {
            Some(false) if *turn == Turn::Resolved => {
                self.alerts.remove(&fingerprint);
                return;
            }
            Some(is_known) => is_known,
            None if self.alerts.len() >= PUSH_ALERTS_UNTOLD_MAX && !self.make_room(change) => {
                self.others.count(*turn, alert);
                return;
            }
            None => *turn == Turn::Resolved,
        };
        let (alert, turn) = (Arc::clone(alert), *turn);
        self.least = self.least.min(weight(turn, &alert));
        self.alerts.insert(fingerprint, UntoldAlert { alert, turn, is_known });
    }

    /// Counts one that is less than this alert among the others, if there is one. Once none is, that is
    /// known without a look at all of them.
    fn make_room(&mut self, change: &Change) -> bool {
        let new = weight(change.turn, &change.alert);
        if new <= self.least {
            return false;
        }
        let weighed = |(id, it): (&Fingerprint, &UntoldAlert)| (weight(it.turn, &it.alert), *id);
        let Some((least, id)) = self.alerts.iter().map(weighed).min() else { return false };
        self.least = least;
        if new <= least {
            return false;
        }
        if let Some(UntoldAlert { alert, turn, .. }) = self.alerts.remove(&id) {
            self.others.count(turn, &alert);
        }
        true
    }

    /// Puts back what could not be told, behind which more has happened. Where it may have arrived all
    /// the same, they know of it.
    pub(super) fn put_back(&mut self, mut earlier: Self, arrival: Arrival) {
        if arrival == Arrival::Possible {
            for untold in earlier.alerts.values_mut() {
                untold.is_known |= untold.turn == Turn::Fires;
            }
        }
        let later = std::mem::replace(self, earlier);
        self.others.firing += later.others.firing;
        self.others.resolved += later.others.resolved;
        self.others.urgency = self.others.urgency.max(later.others.urgency);
        for UntoldAlert { alert, turn, .. } in later.alerts.into_values() {
            self.add(&Change { alert, turn, found: None });
        }
    }

    /// Those besides of which there is no room to say more.
    pub(super) fn others(&self) -> Others {
        self.others
    }

    /// Leaves out those besides that have resolved.
    pub(super) fn forget_resolved_others(&mut self) {
        self.others.resolved = 0;
    }

    /// Leaves out what they are not to be told, or no more.
    pub(super) fn retain(&mut self, is_told: impl Fn(Turn, &Alert) -> bool) {
        self.alerts.retain(|_, untold| is_told(untold.turn, &untold.alert));
    }

    /// Those that fire and those that have resolved.
    pub(super) fn changes(&self) -> impl Iterator<Item = (Turn, &Arc<Alert>)> {
        self.alerts.values().map(|untold| (untold.turn, &untold.alert))
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::{AlertStatus, SilenceId};

    use super::*;
    use crate::tests::fixture::posted;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    /// Silenced by so many.
    fn update(state: AlertState, silences: u128) -> Update {
        let mut alert = posted(&[("alertname", "A")], at(10));
        alert.state = state;
        if state == AlertState::Resolved {
            alert.resolved_at = Some(at(20));
        }
        let silenced_by = (0..silences).map(SilenceId::from_random).collect();
        let status = AlertStatus { silenced_by, ..AlertStatus::default() };
        Update { alert: Arc::new(alert), status }
    }

    #[test]
    fn each_turn_of_an_alert_is_new_once() {
        use AlertState::{DataLost, Firing as Fires, Pending, Resolved};
        let mut firing = Firing::default();
        let mut turn =
            |state, silences| firing.take(&update(state, silences)).map(|change| change.turn);
        assert_eq!(turn(Pending, 0), None);
        assert_eq!(turn(Fires, 0), Some(Turn::Fires));
        assert_eq!(turn(Fires, 0), None);
        assert_eq!(turn(DataLost, 0), None);
        assert_eq!(turn(Resolved, 0), Some(Turn::Resolved));
        assert_eq!(turn(Resolved, 0), None);
        // A silence is nobody's news, and its end is.
        assert_eq!(turn(Fires, 1), None);
        assert_eq!(turn(Fires, 0), Some(Turn::Fires));
        assert_eq!(turn(Fires, 1), None);
        assert_eq!(turn(Resolved, 0), None);
    }

    #[test]
    fn at_the_start_an_alert_has_changed_when_it_says() {
        let begin = |state, silences| {
            let change = Firing::default().begin(&update(state, silences));
            change.map(|change| (change.turn, change.found.expect("a time").as_ms()))
        };
        assert_eq!(begin(AlertState::Firing, 0), Some((Turn::Fires, 10)));
        assert_eq!(begin(AlertState::Resolved, 0), Some((Turn::Resolved, 20)));
        assert_eq!(begin(AlertState::Firing, 1), None);
        assert_eq!(begin(AlertState::Pending, 0), None);
    }

    fn change(number: usize, turn: Turn) -> Change {
        let alert = posted(&[("alertname", "A"), ("n", &number.to_string())], at(10));
        Change { alert: Arc::new(alert), turn, found: None }
    }

    fn turns(untold: &Untold) -> Vec<Turn> {
        untold.changes().map(|(turn, _)| turn).collect()
    }

    #[test]
    fn what_has_come_and_gone_unheard_is_nothing_new() {
        let mut untold = Untold::default();
        untold.add(&change(1, Turn::Fires));
        untold.add(&change(1, Turn::Resolved));
        assert!(untold.is_empty());
        untold.add(&change(1, Turn::Resolved));
        untold.add(&change(1, Turn::Fires));
        assert_eq!(turns(&untold), [Turn::Fires]);
        untold.add(&change(1, Turn::Resolved));
        assert_eq!(turns(&untold), [Turn::Resolved], "they knew that it fired");
    }

    #[test]
    fn what_could_not_be_told_is_told_with_what_came_behind_it() {
        let (mut earlier, mut later) = (Untold::default(), Untold::default());
        earlier.add(&change(1, Turn::Fires));
        earlier.add(&change(2, Turn::Fires));
        later.add(&change(1, Turn::Resolved));
        later.add(&change(3, Turn::Fires));
        later.put_back(earlier.clone(), Arrival::Impossible);
        assert_eq!(turns(&later), [Turn::Fires, Turn::Fires]);
        // Had it arrived, they would have to hear that it is over.
        let mut later = Untold::default();
        later.add(&change(1, Turn::Resolved));
        later.put_back(earlier, Arrival::Possible);
        let turns = turns(&later);
        assert_eq!(turns.iter().filter(|turn| **turn == Turn::Resolved).count(), 1);
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let mut untold = Untold::default();
        for number in 0..PUSH_ALERTS_UNTOLD_MAX + 10 {
            untold.add(&change(number, Turn::Fires));
        }
        let others = Others { firing: 10, resolved: 0, urgency: Some(Urgency::Normal) };
        assert_eq!((untold.changes().count(), untold.others()), (PUSH_ALERTS_UNTOLD_MAX, others));
    }

    #[test]
    fn what_is_pressing_has_the_place_of_what_is_not() {
        let severe = |severity: &str, turn: Turn| {
            let labels = [("alertname", "Severe"), ("severity", severity)];
            Change { alert: Arc::new(posted(&labels, at(10))), turn, found: None }
        };
        let mut untold = Untold::default();
        untold.add(&severe("info", Turn::Fires));
        for number in 1..PUSH_ALERTS_UNTOLD_MAX {
            untold.add(&change(number, Turn::Resolved));
        }
        let is_there = |untold: &Untold, severity: &str| {
            untold.changes().any(|(_, alert)| alert.severity() == severity)
        };
        untold.add(&severe("critical", Turn::Fires));
        assert!(is_there(&untold, "critical") && is_there(&untold, "info"));
        assert_eq!(untold.others(), Others { resolved: 1, ..Others::default() });
        for number in 0..PUSH_ALERTS_UNTOLD_MAX {
            untold.add(&change(10_000 + number, Turn::Fires));
        }
        assert!(is_there(&untold, "critical") && !is_there(&untold, "info"));
        let others = untold.others();
        let counted = (others.firing, others.resolved, others.urgency);
        assert_eq!(counted, (2, PUSH_ALERTS_UNTOLD_MAX - 1, Some(Urgency::Normal)));
        untold.add(&severe("page", Turn::Resolved));
        assert_eq!(untold.others().resolved, PUSH_ALERTS_UNTOLD_MAX);
    }

    #[test]
    fn at_the_start_nobody_hears_of_what_was_muted() {
        let resolved = update(AlertState::Resolved, 1);
        assert_eq!(Firing::default().begin(&resolved), None);
    }
}
