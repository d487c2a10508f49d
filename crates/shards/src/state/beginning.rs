//! Keys of a state topic that begin alike, and their end, some at a time: others get their turn at the
//! table in between.

use std::sync::Arc;

use bellwire_hub::{KeysWalk, StateTable, Value};
use bellwire_journal::Journal;
use bellwire_model::limits::STATE_LOOKS_MAX;
use bellwire_model::{Event, Offset, Topic};
use bellwire_process::clock;
use bellwire_wire::problem::Problem;

use super::States;
use crate::ends;
use crate::frames::Frames;

/// The keys of a state topic that begin alike, as they are when it is made: what is written afterwards
/// is none of them.
#[derive(Debug)]
pub(crate) struct KeysBeginning {
    pub(crate) topic: Topic,
    prefix: Box<str>,
    walk: KeysWalk,
}

impl KeysBeginning {
    /// The next few of them.
    fn advance(&mut self, table: &StateTable<Frames>) -> Vec<Arc<Value<Frames>>> {
        let named = (&self.topic, &*self.prefix);
        table.keys_beginning(named, &mut self.walk, STATE_LOOKS_MAX)
    }
}

impl States {
    /// The keys that are there now.
    pub(crate) fn keys_beginning(&self, topic: Topic, prefix: &str) -> KeysBeginning {
        let until = self.table.lock().expect("not poisoned").version();
        KeysBeginning { topic, prefix: prefix.into(), walk: KeysWalk::until(until) }
    }

    /// Some more of them, each with the place of its value in the journal. `None`: those were all.
    pub(crate) fn find_some(&self, keys: &mut KeysBeginning) -> Option<Vec<(Box<str>, Offset)>> {
        if keys.walk.is_over() {
            return None;
        }
        let table = self.table.lock().expect("not poisoned");
        let values = keys.advance(&table);
        Some(values.iter().map(|value| ((&*value.key).into(), value.durable)).collect())
    }

    /// Deletes some more of them, and says how many these were. `None`: those were all.
    pub(crate) fn delete_some(
        &self,
        journal: &dyn Journal,
        keys: &mut KeysBeginning,
    ) -> Result<Option<usize>, Problem> {
        if keys.walk.is_over() {
            return Ok(None);
        }
        let mut changing = self.change();
        ends::check_open(journal, &keys.topic)?;
        let values = keys.advance(&changing.table);
        let time = clock::now();
        for value in &values {
            let (topic, key) = (keys.topic.clone(), Some((&*value.key).into()));
            let end = Event { topic, key, event_type: None, time, body: None };
            // It was found under the same lock.
            let _ = changing.make(end);
        }
        changing.tell();
        Ok(Some(values.len()))
    }
}
