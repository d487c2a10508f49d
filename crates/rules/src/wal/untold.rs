//! Transitions that are written down and not known to be announced.
//!
//! Each is a record of its own, since an alert says of itself only what it came to last. A log of
//! before there were such records says which alerts have changed since all was told: what became of
//! them is made out from their times, as far as these tell.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::TRANSITIONS_UNTOLD_MAX;
use bellwire_model::{
    Alert, AlertState, Fingerprint, NameSet, RuleName, Timestamp, Transition, TransitionKind,
};

use super::SavedAlert;

/// How old what was not announced may be where nothing says when something was: the journal knows
/// ids for longer.
const UNTOLD_AGE: Duration = Duration::from_hours(1);

/// What was not announced, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Untold {
    transitions: VecDeque<Transition>,
    /// Their ids: one may be read twice.
    ids: NameSet<String>,
    /// What is known without them; nothing once there are any.
    older: Option<Older>,
    has_records: bool,
}

/// What a log without records of transitions says.
#[derive(Clone, Debug, Default)]
struct Older {
    /// When all had been announced the last time.
    told_at: Option<Timestamp>,
    /// Alerts that have changed since.
    changed: BTreeSet<Fingerprint>,
}

impl Untold {
    /// These have yet to be announced. Beyond the bound the oldest are forgotten.
    pub(super) fn extend(&mut self, transitions: Vec<Transition>) {
        self.has_records = true;
        self.older = None;
        for transition in transitions {
            if !self.ids.insert(transition.id()) {
                continue;
            }
            self.transitions.push_back(transition);
            if self.transitions.len() > TRANSITIONS_UNTOLD_MAX
                && let Some(oldest) = self.transitions.pop_front()
            {
                self.ids.remove(&oldest.id());
            }
        }
    }

    /// An alert has another state than before, or something else of it is written down.
    pub(super) fn note(&mut self, alert: Fingerprint) {
        if !self.has_records {
            self.older.get_or_insert_default().changed.insert(alert);
        }
    }

    /// All has been announced.
    pub(super) fn clear(&mut self, now: Timestamp) {
        self.transitions.clear();
        self.ids.clear();
        if !self.has_records {
            self.older = Some(Older { told_at: Some(now), changed: BTreeSet::new() });
        }
    }

    /// In the order in which they happened.
    pub(super) fn transitions<'a>(
        &self,
        now: Timestamp,
        find: impl Fn(Fingerprint) -> Option<&'a SavedAlert>,
    ) -> Vec<Transition> {
        match &self.older {
            Some(older) => older.transitions(now, find),
            None => self.transitions.iter().cloned().collect(),
        }
    }

    /// Takes what concerns some alerts: those that are known, or whose rule is one of theirs.
    pub(super) fn take(
        &mut self,
        is_known: impl Fn(Fingerprint) -> bool,
        is_rule: impl Fn(&RuleName) -> bool,
    ) -> Self {
        let is_own = |transition: &Transition| {
            let alert = &transition.alert;
            is_known(alert.fingerprint) || alert.rule().is_some_and(|name| is_rule(name))
        };
        let mut taken = Self { has_records: self.has_records, ..Self::default() };
        for transition in std::mem::take(&mut self.transitions) {
            let owner = if is_own(&transition) { &mut taken } else { &mut *self };
            owner.transitions.push_back(transition);
        }
        for untold in [&mut *self, &mut taken] {
            untold.ids = untold.transitions.iter().map(Transition::id).collect();
        }
        if let Some(older) = &mut self.older {
            let all = std::mem::take(&mut older.changed);
            let (changed, others) = all.into_iter().partition(|changed| is_known(*changed));
            older.changed = others;
            taken.older = Some(Older { changed, ..*older });
        }
        taken
    }
}

impl Older {
    /// One of each kind of each alert. Their ids make it harmless to announce some of them again.
    fn transitions<'a>(
        &self,
        now: Timestamp,
        find: impl Fn(Fingerprint) -> Option<&'a SavedAlert>,
    ) -> Vec<Transition> {
        let since = self.told_at.unwrap_or(now.saturating_sub(UNTOLD_AGE));
        let mut transitions = Vec::new();
        for saved in self.changed.iter().filter_map(|changed| find(*changed)) {
            let SavedAlert { alert, kept_since, .. } = saved;
            let lost_at = kept_since.filter(|_| alert.state == AlertState::DataLost);
            let mut tell = |kind, time: Option<Timestamp>, state| {
                let Some(time) = time.filter(|time| *time >= since) else { return };
                let resolved_at = alert.resolved_at.filter(|_| state == AlertState::Resolved);
                let alert = Arc::new(Alert { state, resolved_at, ..(**alert).clone() });
                transitions.push(Transition { kind, time, alert, expression: None, sample: None });
            };
            tell(TransitionKind::Firing, alert.fired_at, AlertState::Firing);
            tell(TransitionKind::DataLost, lost_at, AlertState::DataLost);
            tell(TransitionKind::Resolved, alert.resolved_at, AlertState::Resolved);
        }
        transitions.sort_by_key(|transition| (transition.time, transition.alert.fingerprint));
        transitions
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::{AlertSource, Labels};

    use super::*;
    use crate::wal::{State, Writer};

    fn saved(at: Timestamp) -> SavedAlert {
        let labels = Labels::from_pairs([("alertname", "Hot")]).expect("labels");
        let name = RuleName { file: "f".into(), group: "g".into(), alert: "Hot".into() };
        let alert = Alert {
            fingerprint: Fingerprint::of(&labels),
            source: AlertSource::Rule(Arc::new(name)),
            state: AlertState::Firing,
            labels,
            annotations: Labels::empty(),
            value: 1.0,
            active_at: at,
            fired_at: Some(at),
            resolved_at: None,
            sample_time: at,
        };
        SavedAlert {
            alert: Arc::new(alert),
            element: Labels::empty(),
            kept_since: None,
            part: None,
        }
    }

    fn read(state: &mut State, write: impl FnOnce(&mut Writer)) -> Vec<TransitionKind> {
        let mut writer = Writer::default();
        write(&mut writer);
        state.read(&writer.take()).expect("whole records");
        state.untold().iter().map(|untold| untold.kind).collect()
    }

    #[test]
    fn a_log_without_records_of_transitions_is_read_by_the_times_of_its_alerts() {
        let (mut state, at) = (State::default(), Timestamp::from_ms(5_000));
        let fires = |writer: &mut Writer| {
            writer.step(at);
            writer.alert(&saved(at));
        };
        assert_eq!(read(&mut state, fires), [TransitionKind::Firing]);
        assert_eq!(read(&mut state, Writer::told), []);
        let resolves = |writer: &mut Writer| {
            let mut saved = saved(at);
            let alert = Arc::make_mut(&mut saved.alert);
            alert.state = AlertState::Resolved;
            alert.resolved_at = Some(Timestamp::from_ms(6_000));
            writer.step(Timestamp::from_ms(6_000));
            writer.alert(&saved);
        };
        // It may have been told within this very instant that it fires.
        let expected = [TransitionKind::Firing, TransitionKind::Resolved];
        assert_eq!(read(&mut state, resolves), expected);
        // A checkpoint of today says all of it, also that there is nothing.
        assert_eq!(read(&mut state, |writer| writer.untold([].iter())), []);
        assert_eq!(read(&mut state, fires), []);
    }

    #[test]
    fn what_is_read_twice_is_told_once_and_what_is_beyond_the_bound_is_not() {
        let alert = saved(Timestamp::from_ms(1)).alert;
        let turned = |ms: i64| {
            let (kind, time) = (TransitionKind::Firing, Timestamp::from_ms(ms));
            Transition { kind, time, alert: Arc::clone(&alert), expression: None, sample: None }
        };
        let mut untold = Untold::default();
        untold.extend(vec![turned(1), turned(2)]);
        untold.extend(vec![turned(2), turned(3)]);
        let times = |untold: &Untold| -> Vec<i64> {
            let transitions = untold.transitions(Timestamp::MIN, |_| None);
            transitions.iter().map(|turned| turned.time.as_ms()).collect()
        };
        assert_eq!(times(&untold), [1, 2, 3]);
        for ms in 0..TRANSITIONS_UNTOLD_MAX as i64 {
            untold.extend(vec![turned(10 + ms)]);
        }
        assert_eq!((times(&untold).len(), times(&untold)[0]), (TRANSITIONS_UNTOLD_MAX, 10));
    }
}
