//! Screens: a lane of those who may not see everything shows some changes of a key and not others.
//!
//! ```text
//! change ─▶ let_in ─┬─ its labels pass ─▶ the change
//!                   ├─ they do not, or it is a deletion: of a key that is shown ─▶ the key is gone
//!                   └─ of any other key ─▶ nothing: it is none of theirs
//! ```
//!
//! A deletion has no labels, and those of a key may change; so a screen remembers which keys its lane
//! shows, and by their newest change that was let in it tells which of the lane's values are stale:
//! what came to a key after that is nobody's business here. Lanes that show everything have none.

use std::sync::Arc;

use bellwire_model::{NameHasher, Scope, Version};
use hashbrown::HashMap;

use crate::entry::{Payload, Value};
use crate::key::{Key, Named};

/// What one lane shows of topics of which it does not show everything.
#[derive(Debug)]
pub(crate) struct Screen {
    newest: HashMap<Key, Newest, NameHasher>,
    /// The last of the lookups that led to the lane.
    pub(crate) last_lookup: u64,
    /// The last of them that named it for an entry.
    pub(crate) named_at: u64,
}

/// The newest change of a key that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Newest {
    version: Version,
    is_deletion: bool,
}

impl Newest {
    fn of<P>(value: &Value<P>) -> Self {
        Self { version: value.version, is_deletion: value.is_deletion }
    }
}

impl Screen {
    /// Bytes that a key takes.
    pub(crate) const KEY_BYTES: usize = size_of::<(Key, Newest)>() + 1;

    pub(crate) fn new(hasher: NameHasher) -> Self {
        Self { newest: HashMap::with_hasher(hasher), last_lookup: 0, named_at: 0 }
    }

    /// What the lane is to be given of a change; `None` is nothing.
    pub(crate) fn let_in<P: Payload>(
        &mut self,
        value: &Arc<Value<P>>,
        scope: &Scope,
    ) -> Option<Arc<Value<P>>> {
        if !value.is_deletion && value.payload.labels().is_some_and(|labels| scope.passes(labels)) {
            self.note(value);
            return Some(Arc::clone(value));
        }
        let newest = self.newest.get_mut(&Named::of(value)).filter(|newest| !newest.is_deletion)?;
        *newest = Newest { version: value.version, is_deletion: true };
        // Whoever had the key sees no more of what it is now than that it is gone.
        Some(if value.is_deletion { Arc::clone(value) } else { Arc::new(value.gone()) })
    }

    /// Takes note of what was let in, here or by the screen of a lane that this one is made of.
    pub(crate) fn note<P>(&mut self, value: &Value<P>) {
        let new = Newest::of(value);
        match self.newest.get_mut(&Named::of(value)) {
            Some(newest) if newest.version < new.version => *newest = new,
            Some(_) => {}
            None => {
                self.newest.insert(Key::of(value), new);
            }
        }
    }

    /// Whether something newer of this value's key was let in.
    pub(crate) fn is_stale<P>(&self, value: &Value<P>) -> bool {
        self.newest.get(&Named::of(value)).is_none_or(|newest| newest.version > value.version)
    }

    /// A deletion is in the lane no more: its key is as if it had never been.
    pub(crate) fn forget<P>(&mut self, deletion: &Value<P>) {
        let Self { newest, .. } = self;
        if newest.get(&Named::of(deletion)).is_some_and(|it| *it == Newest::of(deletion)) {
            newest.remove(&Named::of(deletion));
            if newest.len() < newest.capacity() / 4 {
                newest.shrink_to(newest.len() * 2);
            }
        }
    }

    /// The number of keys that it remembers.
    pub(crate) fn keys(&self) -> usize {
        self.newest.len()
    }
}
