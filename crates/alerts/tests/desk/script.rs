//! A desk with its clock and its records, as the server would have them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwire_alerts::desk::{Outcome, Plan, Restored, RuleChange};
use bellwire_alerts::inhibition::InhibitionRule;
use bellwire_alerts::silence::{Ending, NewSilence, SilenceError};
use bellwire_alerts::{Desk, Post, PostError};
use bellwire_model::{
    Alert, AlertSource, AlertState, AlertStatus, Fingerprint, Labels, RuleName, SilenceId,
    Timestamp, TransitionKind,
};

pub(crate) const RESOLVE_TIMEOUT: Duration = Duration::from_mins(5);

pub(crate) struct Script {
    pub(crate) desk: Desk,
    pub(crate) records: BTreeMap<String, Vec<u8>>,
    /// Ids of the events that were appended.
    pub(crate) announced: Vec<String>,
    /// What was shown and removed: `Hot: firing`.
    pub(crate) shown: Vec<String>,
    /// Each alert as it was shown last.
    pub(crate) board: BTreeMap<Fingerprint, AlertStatus>,
    inhibition: Vec<InhibitionRule>,
    now: Timestamp,
    ids: u128,
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000)
}

/// `Hot,site=oslo`: a name, and further labels.
pub(crate) fn labels(text: &str) -> Labels {
    let mut parts = text.split(',');
    let name = ("alertname", parts.next().expect("a name"));
    let pairs = parts.map(|pair| pair.split_once('=').expect("a pair"));
    Labels::from_pairs([name].into_iter().chain(pairs)).expect("labels")
}

pub(crate) fn fingerprint(text: &str) -> Fingerprint {
    Fingerprint::of(&labels(text))
}

/// A silence of these matchers, from and to these seconds.
pub(crate) fn silence(matchers: &str, from: i64, to: i64) -> NewSilence {
    NewSilence {
        id: None,
        matchers: matchers.parse().expect("matchers"),
        starts_at: at(from),
        ends_at: at(to),
        created_by: "ada".into(),
        comment: "maintenance".into(),
        annotations: Labels::empty(),
        ending: Ending::Time,
    }
}

/// An alert as somebody posts it.
pub(crate) fn post(text: &str, from: Option<i64>, to: Option<i64>) -> Post {
    Post {
        labels: labels(text),
        annotations: Labels::empty(),
        starts_at: from.map(at),
        ends_at: to.map(at),
        generator_url: None,
    }
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::with_inhibition(Vec::new())
    }

    pub(crate) fn with_inhibition(inhibition: Vec<InhibitionRule>) -> Self {
        Self {
            desk: Desk::new(&inhibition),
            records: BTreeMap::new(),
            announced: Vec::new(),
            shown: Vec::new(),
            board: BTreeMap::new(),
            inhibition,
            now: at(0),
            ids: 0,
        }
    }

    /// The time becomes `seconds`; what is due happens at its time.
    pub(crate) fn pass(&mut self, seconds: i64) {
        while let Some(due) = self.desk.next_deadline().filter(|due| *due <= at(seconds)) {
            self.now = self.now.max(due);
            let plan = self.desk.plan_due(self.now);
            assert!(!plan.is_empty(), "a deadline has something to do");
            self.take(plan);
        }
        self.now = at(seconds);
    }

    /// The wall clock is set by so many seconds, and nobody has noticed.
    pub(crate) fn is_set(&mut self, seconds: i64) {
        self.now = at(self.now.as_ms() / 1000 + seconds);
    }

    /// The wall clock is set by so many seconds.
    pub(crate) fn steps(&mut self, seconds: i64) {
        self.is_set(seconds);
        self.notices(seconds);
    }

    /// It is noticed that the wall clock was set.
    pub(crate) fn notices(&mut self, seconds: i64) {
        let plan = self.desk.plan_step(self.now, seconds * 1000);
        self.take(plan);
        self.pass(self.now.as_ms() / 1000);
    }

    pub(crate) fn take(&mut self, plan: Plan) {
        self.announced.extend(plan.announcements.iter().map(|event| event.id.clone()));
        self.keep(&plan.records);
        let outcome = self.desk.take(self.now, plan);
        self.note(outcome);
    }

    /// A plan is made durable, something else happens, and only then the plan is taken.
    pub(crate) fn interrupted(&mut self, plan: Plan, meanwhile: impl FnOnce(&mut Self)) {
        self.keep(&plan.records);
        meanwhile(self);
        let outcome = self.desk.take(self.now, plan);
        self.note(outcome);
    }

    fn keep(&mut self, changes: &[bellwire_alerts::record::DeskRecordChange]) {
        for change in changes {
            match &change.value {
                Some(value) => self.records.insert(change.key.clone(), value.clone()),
                None => self.records.remove(&change.key),
            };
        }
    }

    fn note(&mut self, outcome: Outcome) {
        self.keep(&outcome.records);
        for shown in outcome.shown {
            let word = shown.status.shown(shown.alert.state);
            self.shown.push(format!("{}: {word}", shown.alert.name()));
            self.board.insert(shown.alert.fingerprint, shown.status);
        }
        for gone in outcome.removed {
            self.shown.push(format!("{gone} removed"));
            self.board.remove(&gone);
        }
    }

    /// A rule's alert changes; its condition began to hold at `since` seconds.
    pub(crate) fn rule(&mut self, kind: TransitionKind, text: &str, since: i64) {
        let labels = labels(text);
        let name = RuleName { file: "a.yml".into(), group: "g".into(), alert: "Hot".into() };
        let state = match kind {
            TransitionKind::Pending => AlertState::Pending,
            TransitionKind::Firing => AlertState::Firing,
            _ => AlertState::Resolved,
        };
        let alert = Alert {
            fingerprint: Fingerprint::of(&labels),
            source: AlertSource::Rule(Arc::new(name)),
            state,
            labels,
            annotations: Labels::empty(),
            value: 1.0,
            active_at: at(since),
            fired_at: (state != AlertState::Pending).then(|| at(since)),
            resolved_at: (state == AlertState::Resolved).then_some(self.now),
            sample_time: self.now,
        };
        let change = RuleChange::Transition(kind, Arc::new(alert));
        let outcome = self.desk.on_rules(self.now, [change]);
        self.note(outcome);
    }

    pub(crate) fn fires(&mut self, text: &str) {
        let since = self.now.as_ms() / 1000;
        self.rule(TransitionKind::Firing, text, since);
    }

    pub(crate) fn resolves(&mut self, text: &str) {
        let case = self.desk.case(fingerprint(text)).expect("the alert is there");
        let since = case.alert().active_at.as_ms() / 1000;
        self.rule(TransitionKind::Resolved, text, since);
    }

    pub(crate) fn removed(&mut self, text: &str) {
        let outcome = self.desk.on_rules(self.now, [RuleChange::Removed(fingerprint(text))]);
        self.note(outcome);
    }

    /// Somebody posts an alert; returns how many were refused.
    pub(crate) fn posts(&mut self, text: &str, from: Option<i64>, to: Option<i64>) -> usize {
        self.posts_all(vec![post(text, from, to)]).len()
    }

    /// Somebody posts alerts together; returns why some were refused.
    pub(crate) fn posts_all(&mut self, posts: Vec<Post>) -> Vec<PostError> {
        self.posts_of(None, posts)
    }

    /// The same of somebody whose name is known.
    pub(crate) fn posts_of(&mut self, poster: Option<&str>, posts: Vec<Post>) -> Vec<PostError> {
        let posting = (poster.map(Arc::from), posts);
        let (plan, errors) = self.desk.plan_posts(self.now, posting, RESOLVE_TIMEOUT);
        self.take(plan);
        errors
    }

    pub(crate) fn silences(&mut self, new: NewSilence) -> Result<SilenceId, SilenceError> {
        self.ids += 1;
        let id = SilenceId::from_random(self.ids);
        let (id, plan) = self.desk.plan_silence(self.now, new, id)?;
        self.take(plan);
        Ok(id)
    }

    pub(crate) fn expires(&mut self, id: SilenceId) {
        let plan = self.desk.plan_expiry(self.now, id).expect("the silence is there");
        self.take(plan);
    }

    /// The word that is shown of an alert.
    pub(crate) fn word(&self, text: &str) -> &'static str {
        let case = self.desk.case(fingerprint(text));
        case.map_or("none", |case| case.status().shown(case.alert().state))
    }

    /// What was shown since the last call.
    pub(crate) fn take_shown(&mut self) -> Vec<String> {
        std::mem::take(&mut self.shown)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The process dies, and comes back at `seconds`.
    pub(crate) fn wake_at(&mut self, seconds: i64) {
        self.now = at(seconds);
        self.restart();
    }

    /// The process dies and comes back with its records; the rules' alerts are as they were.
    pub(crate) fn restart(&mut self) {
        let rules: Vec<RuleChange> = self.desk.cases().filter_map(as_restored).collect();
        let mut desk = Desk::new(&self.inhibition);
        let records = self.records.iter().map(|(key, value)| (&**key, &**value));
        assert_eq!(desk.restore(self.now, records), Restored::default());
        self.desk = desk;
        let outcome = self.desk.on_rules(self.now, rules);
        self.keep(&outcome.records);
        let outcome = self.desk.settle(self.now);
        self.keep(&outcome.records);
    }
}

fn as_restored(case: &bellwire_alerts::desk::Case) -> Option<RuleChange> {
    let alert = case.alert();
    let kind = match alert.state {
        AlertState::Pending => TransitionKind::Pending,
        AlertState::Resolved => TransitionKind::Resolved,
        AlertState::Firing => TransitionKind::Firing,
        AlertState::DataLost => TransitionKind::DataLost,
    };
    alert.rule().map(|_| RuleChange::Transition(kind, Arc::clone(alert)))
}
