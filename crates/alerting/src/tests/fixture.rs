//! What tests of several modules begin with.

use std::sync::mpsc::sync_channel;

use bellwire_journal::{Append, Error, Journal, Observer};
use bellwire_model::{
    Alert, AlertSource, AlertState, Entry, Event, Fingerprint, Labels, Timestamp,
};

/// Nobody looks at what is appended but the test.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, _: Vec<Entry>) {}
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
