//! From the journal to the hubs: what is durable becomes visible.

use std::sync::{Arc, OnceLock};

use bellwire_journal::Observer;
use bellwire_model::{Entry, Epoch, Keep};
use bellwire_process::crash;

use crate::feed::{Batch, Feed};
use crate::frames;
use crate::state::States;
use crate::topics::{TopicRates, TopicRules};

/// Passes what the journal has made durable on: events of streams to the feed, changes of state
/// topics to the table. The journal is opened with it before the hubs exist (they start from the
/// journal's tail), so where to is filled in afterwards, and before the first append.
#[derive(Debug)]
pub struct Committer {
    pub onward: Arc<OnceLock<Onward>>,
    pub rates: Arc<TopicRates>,
    pub topics: TopicRules,
}

/// Where what is durable goes.
#[derive(Debug)]
pub struct Onward {
    pub epoch: Epoch,
    pub feed: Arc<Feed>,
    pub states: Arc<States>,
}

impl Observer for Committer {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        // A hub that missed an event would never tell: better no process than that.
        crash::run_essential(|| self.pass_on(entries));
    }
}

impl Committer {
    fn pass_on(&self, entries: Vec<Entry>) {
        let onward = self.onward.get().expect("it stands before the first append");
        let Onward { epoch, feed, states } = onward;
        let (streams, mut values): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.keep == Keep::Every);
        // What goes by itself may be of a topic that is not to be on the disk any more.
        values.retain(|entry| {
            entry.event.reason().is_none() || self.topics.is_on_disk(&entry.event.topic)
        });
        feed.wait_for_room();
        if !streams.is_empty() {
            self.rates.count(streams.iter().map(|entry| &entry.event.topic));
            let state = Some(feed.state());
            let entry = |entry| frames::entry(*epoch, entry, state);
            feed.push(&Batch::Entries(streams.into_iter().map(entry).collect()));
        }
        // Behind the entries: a hub that has a value has what was committed before it, too.
        states.take_durable(values);
    }
}
