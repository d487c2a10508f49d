//! From the journal to the hubs: what is durable becomes visible.

use std::sync::{Arc, OnceLock};

use bellwire_journal::Observer;
use bellwire_model::{Closure, Entry, Epoch, Keep, Offset, Topic};
use bellwire_process::crash;

use crate::feed::{Batch, Feed};
use crate::frames;
use crate::state::States;
use crate::topics::{Kind, TopicRates, TopicRules};

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

    fn on_reach(&mut self, tail: Offset) {
        let onward = self.onward.get().expect("it stands before the first append");
        onward.feed.wait_for_room();
        onward.feed.push(&Batch::Reached(tail));
    }
}

impl Committer {
    fn pass_on(&self, entries: Vec<Entry>) {
        let mut piece = Vec::with_capacity(entries.len());
        let mut has_values = false;
        for entry in entries {
            // The values before what becomes of a topic go before it.
            if has_values && entry.event.closure().is_some() {
                self.pass_on_piece(std::mem::take(&mut piece));
                has_values = false;
            }
            has_values |= entry.keep == Keep::Newest;
            piece.push(entry);
        }
        self.pass_on_piece(piece);
    }

    fn pass_on_piece(&self, entries: Vec<Entry>) {
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
            let closures: Vec<(Closure, Topic)> = streams.iter().filter_map(closure).collect();
            let state = Some(feed.state());
            let entry = |entry| frames::entry(*epoch, entry, state);
            let batch = Batch::Entries(streams.into_iter().map(entry).collect());
            if closures.iter().any(|(_, topic)| self.topics.kind(topic) == Kind::State) {
                states.push_behind_values(&batch);
            } else {
                feed.push(&batch);
            }
            let reopened = closures.iter().filter(|(closure, _)| *closure == Closure::Reopened);
            reopened.for_each(|(_, topic)| states.go_on(topic));
        }
        // Behind the entries: a hub that has a value has what was committed before it, too.
        states.take_durable(values);
    }
}

/// What an entry says of its topic as a whole.
fn closure(Entry { event, .. }: &Entry) -> Option<(Closure, Topic)> {
    Some((event.closure()?, event.topic.clone()))
}
