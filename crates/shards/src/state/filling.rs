//! The table as a process begins: with what a journal has of state topics.

use std::sync::MutexGuard;

use bellwire_hub::{Fate, StateTable};
use bellwire_journal::{Error, Journal, StateHorizon, StateLoader};
use bellwire_model::{Entry, Epoch, Offset, Progress, Topic};

use super::{SharedTable, payload_bytes};
use crate::frames::Frames;
use crate::packed::{self, Standing};
use crate::topics::TopicRules;

/// Fills a new table, which no hub knows of yet, with what a journal that is opened hands on, of state
/// topics that are kept there now.
#[derive(Debug)]
pub struct TableFill<'a> {
    table: MutexGuard<'a, StateTable<Frames>>,
    topics: &'a TopicRules,
    epoch: Epoch,
    tail: Offset,
    /// The topic that came last, and whether it is kept: mostly many of one come together.
    latest: Option<(Topic, bool)>,
}

impl<'a> TableFill<'a> {
    /// Nothing has come yet.
    pub fn new(table: &'a SharedTable, topics: &'a TopicRules) -> Self {
        let mut table = table.lock().expect("not poisoned");
        table.begin_load();
        Self { table, topics, epoch: Epoch::new(0), tail: Offset::ZERO, latest: None }
    }

    /// All has come of this journal. Returns the table's newest change.
    pub fn end(mut self, journal: &dyn Journal) -> Result<Progress, Error> {
        self.table.end_load();
        let horizons = journal.state_horizons()?;
        for StateHorizon { topic, offset } in horizons.topics {
            self.table.forget_durable(Some(&topic), offset);
        }
        self.table.forget_durable(None, horizons.forgotten);
        Ok(self.table.progress())
    }

    fn is_kept(&mut self, topic: &Topic) -> bool {
        match &self.latest {
            Some((latest, is_kept)) if latest == topic => *is_kept,
            _ => {
                let is_kept = self.topics.is_on_disk(topic);
                self.latest = Some((topic.clone(), is_kept));
                is_kept
            }
        }
    }
}

impl StateLoader for TableFill<'_> {
    fn begin(&mut self, epoch: Epoch, tail: Offset) {
        (self.epoch, self.tail) = (epoch, tail);
    }

    /// Nobody follows anything yet: a value is packed as it comes. All hubs begin behind the tail.
    fn take(&mut self, entry: Entry) {
        let Entry { offset: own, event, .. } = entry;
        if !self.is_kept(&event.topic) {
            return;
        }
        let (epoch, offset) = (self.epoch, self.tail);
        let standing = Standing { epoch, offset, is_stamped: true, is_on_disk: true };
        let pack = |into: &mut Vec<u8>| packed::write(standing, &event, into);
        let fate = if event.body.is_none() { Fate::Gone } else { Fate::There };
        let name = (&event.topic, event.key.as_deref().unwrap_or_default());
        self.table.load_packed(name, (pack, payload_bytes(&event)), (own, fate));
    }
}
