//! What tests of several modules begin with.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwire_journal::{Append, Error, Journal, Observer};
use bellwire_model::{
    Alert, AlertSource, AlertState, Entry, Event, Fingerprint, Labels, Scope, Timestamp, Topic,
};

use crate::charge::Charge;
use crate::notifier::Reach;
use crate::push::{PushParts, Standing};
use crate::states::{NotShown, StateTopics};

/// Whose mandate says what they see: `all`, matchers, or nothing that counts.
#[derive(Debug, Default)]
pub(crate) struct AsMandated(pub(crate) Mutex<Vec<String>>);

impl Standing for AsMandated {
    fn sees(&self, mandate: &str) -> Option<Scope> {
        let is_revoked = self.0.lock().expect("not poisoned").iter().any(|it| it == mandate);
        let scope = || match mandate {
            "all" => Scope::all(),
            matchers => Scope::of(vec![matchers.parse().expect("matchers")]),
        };
        (!is_revoked).then(scope)
    }
}

/// Nobody is told by push messages.
pub(crate) fn no_push(journal: &Arc<dyn Journal>) -> PushParts {
    PushParts {
        journal: Arc::clone(journal),
        figures: Arc::default(),
        standing: Arc::new(AsMandated::default()),
        key: None,
        contact: "mailto:ops@bell.example".into(),
        lasts: Duration::from_hours(24),
        start_delay: Duration::ZERO,
        reach: Reach::default(),
        charge: Charge::always(),
    }
}

/// Nobody looks at what is appended but the test.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}

/// A board that nobody looks at. It is known of it whose pasts were forgotten.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Vec<Topic>>);

impl StateTopics for Board {
    fn wait_for_room(&self) {}

    fn apply_now(&self, events: Vec<Event>) -> Vec<Result<(), NotShown>> {
        events.iter().map(|_| Ok(())).collect()
    }

    fn apply_measured(&self, events: Vec<(Event, Option<f64>)>) -> Vec<Result<(), NotShown>> {
        events.iter().map(|_| Ok(())).collect()
    }

    fn past(&self, _: &Topic, _: &str, _: usize) -> Vec<(Timestamp, f64)> {
        Vec::new()
    }

    fn forget_pasts(&self, topic: &Topic) {
        self.0.lock().expect("not poisoned").push(topic.clone());
    }

    fn time(&self, _: &Topic, _: &str) -> Option<Timestamp> {
        None
    }

    fn expire_samples(&self, _: Timestamp) {}
}

impl Board {
    /// The topics whose pasts were forgotten since it was asked last.
    pub(crate) fn take_forgotten(&self) -> Vec<Topic> {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

/// An alert that somebody has posted, and that fires since then.
pub(crate) fn posted(labels: &[(&str, &str)], since: Timestamp) -> Alert {
    let labels = Labels::from_pairs(labels.iter().copied()).expect("labels");
    Alert {
        fingerprint: Fingerprint::of(&labels),
        source: AlertSource::Posted { generator_url: None },
        state: AlertState::Firing,
        labels,
        annotations: Labels::empty(),
        value: 1.0,
        active_at: since,
        fired_at: Some(since),
        resolved_at: None,
        sample_time: since,
    }
}

/// Takes places for so many topics.
pub(crate) fn take_topics(journal: &dyn Journal, count: usize) {
    let events = (0..count).map(|number| {
        let topic = format!("alerts/events/none/{number}").parse().expect("a topic");
        let time = Timestamp::from_ms(0);
        Append::new(Event { topic, key: None, event_type: None, time, body: None }, None)
    });
    let (sender, answered) = sync_channel(1);
    let reply = Box::new(move |result: Result<Vec<_>, Error>| {
        let _ = sender.send(result.is_ok());
    });
    journal.append(events.collect(), reply).expect("queued");
    assert_eq!(answered.recv(), Ok(true));
}
