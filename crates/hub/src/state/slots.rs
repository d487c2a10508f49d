//! Slots: one for each key, by number. A slot has the newest change of its key: at rest as a
//! [`Record`], and as a value that is shared while it is on its way to somebody.
//!
//! ```text
//! change ─▶ shared ─▶ nobody else has it any more ─▶ record
//!             ▲                                        │
//!             └───────── a lane wants it ◀─────────────┘
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bellwire_model::limits::STATE_PACKED_BYTES_MAX;
use bellwire_model::{Life, NameHasher, Offset, Progress, Topic, Version};

use super::deadlines::{DEADLINE_BYTES, Deadlines};
use super::record::Record;
use crate::entry::{Payload, Value};

/// What a key is charged with beside itself and its payload: its slot, what is around both in its
/// record, the allocator's share, and its places in the index and in that of a journal, right after
/// these have grown.
const KEY_OVERHEAD_BYTES: usize = 176;

/// No slot.
pub(super) const NONE: u32 = u32::MAX;
/// Slots of a piece of memory: however many there are, none is moved for a new one.
const SLOTS_PER_PIECE: usize = 4_096;

/// The newest change of a key.
#[derive(Debug)]
pub(super) struct Slot<P> {
    held: Held<P>,
    pub(super) version: Version,
    /// The topic's number.
    pub(super) topic: u32,
    pub(super) neighbours: Neighbours,
    /// What the slot is charged with at rest.
    size_bytes: u32,
    /// What it is charged with beside that: for a value that is shared, as far as that was counted.
    grown_bytes: u32,
    is_durable: bool,
    is_deletion: bool,
}

// There are ten million of them.
const _: () = assert!(size_of::<Option<Slot<()>>>() <= 48);

#[derive(Debug)]
enum Held<P> {
    Packed(Record),
    Shared(Arc<Value<P>>),
}

/// The slots of the changes before and after this one in its topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbours {
    pub(super) older: u32,
    pub(super) newer: u32,
}

/// What the table has of a payload.
#[derive(Debug)]
pub enum Kept<'a, P> {
    /// What was packed of it.
    Packed(&'a [u8]),
    /// All of it.
    Shared(&'a P),
}

impl<P> Slot<P> {
    /// The slot of a change that others have, too, or will.
    pub(super) fn shared((value, topic): (&Arc<Value<P>>, u32), payload_bytes: usize) -> Self {
        Self::new(Held::Shared(Arc::clone(value)), (value, topic), payload_bytes)
    }

    fn new<Q>(held: Held<P>, (of, topic): (&Value<Q>, u32), payload_bytes: usize) -> Self {
        let size_bytes = charge_bytes(&of.key, payload_bytes);
        Self {
            held,
            version: of.version,
            topic,
            neighbours: Neighbours { older: NONE, newer: NONE },
            size_bytes: u32::try_from(size_bytes).unwrap_or(u32::MAX),
            grown_bytes: 0,
            is_durable: of.is_durable,
            is_deletion: of.is_deletion,
        }
    }

    /// All that the slot is charged with.
    fn charged_bytes(&self) -> usize {
        self.size_bytes as usize + self.grown_bytes as usize
    }

    pub(super) fn charge(&self) -> Charge {
        Charge { size_bytes: self.size_bytes as usize, charged_bytes: self.charged_bytes() }
    }

    pub(super) fn is_live(&self) -> bool {
        !self.is_deletion
    }

    pub(super) fn key(&self) -> &[u8] {
        match &self.held {
            Held::Packed(record) => record.key(),
            Held::Shared(value) => value.key.as_bytes(),
        }
    }

    pub(super) fn kept(&self) -> Kept<'_, P> {
        match &self.held {
            Held::Packed(record) => Kept::Packed(record.payload()),
            Held::Shared(value) => Kept::Shared(&value.payload),
        }
    }

    /// What cannot be resumed from before, where this is remembered no more.
    pub(super) fn horizon(&self) -> Progress {
        let durable = match &self.held {
            Held::Packed(record) => record.durable(),
            Held::Shared(value) => value.durable,
        };
        Progress {
            version: self.version,
            durable: if self.is_durable { durable } else { Offset::ZERO },
        }
    }
}

/// What a key takes of the table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Charge {
    /// At rest.
    pub(super) size_bytes: usize,
    /// With what it takes besides while it is shared.
    pub(super) charged_bytes: usize,
}

/// What a key with a payload of this size is charged with.
pub(super) fn charge_bytes(key: &str, payload_bytes: usize) -> usize {
    KEY_OVERHEAD_BYTES + key.len() + payload_bytes
}

/// All slots.
#[derive(Debug)]
pub(super) struct Slots<P> {
    life: Life,
    /// All but the last are full.
    pieces: Vec<Vec<Option<Slot<P>>>>,
    vacant: Vec<u32>,
    len: usize,
    live: usize,
    /// What keys are charged with that are gone, and that are there.
    bytes: [usize; 2],
    deadlines: Deadlines,
    /// The slots whose values are shared, each with its version, and some that are shared no more.
    shared: VecDeque<(Version, u32)>,
    /// Room to write a record.
    scratch: Vec<u8>,
}

impl<P: Payload> Slots<P> {
    pub(super) fn new(life: Life, hasher: NameHasher) -> Self {
        Self {
            life,
            pieces: Vec::new(),
            vacant: Vec::new(),
            len: 0,
            live: 0,
            bytes: [0; 2],
            deadlines: Deadlines::new(hasher),
            shared: VecDeque::new(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Keys that are there, or are gone and remembered.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Values that are shared, and perhaps a few that were.
    pub(super) fn shared_len(&self) -> usize {
        self.shared.len()
    }

    /// Whether the value of a slot is shared.
    pub(super) fn is_shared(&self, id: u32) -> bool {
        matches!(self.get(id).held, Held::Shared(_))
    }

    /// Keys that are gone and remembered.
    pub(super) fn gone(&self) -> usize {
        self.len - self.live
    }

    /// What keys are charged with that are there.
    pub(super) fn live_bytes(&self) -> usize {
        self.bytes[usize::from(true)]
    }

    /// What keys are charged with that are gone.
    pub(super) fn gone_bytes(&self) -> usize {
        self.bytes[usize::from(false)]
    }

    pub(super) fn find(&self, id: u32) -> Option<&Slot<P>> {
        let id = id as usize;
        self.pieces.get(id / SLOTS_PER_PIECE)?.get(id % SLOTS_PER_PIECE)?.as_ref()
    }

    pub(super) fn get(&self, id: u32) -> &Slot<P> {
        self.find(id).expect(TAKEN)
    }

    fn place(&mut self, id: u32) -> &mut Option<Slot<P>> {
        let id = id as usize;
        &mut self.pieces[id / SLOTS_PER_PIECE][id % SLOTS_PER_PIECE]
    }

    pub(super) fn get_mut(&mut self, id: u32) -> &mut Slot<P> {
        self.place(id).as_mut().expect(TAKEN)
    }

    /// A slot of a change that is packed from the start.
    pub(super) fn packed(
        &mut self,
        (change, topic): (&Value<()>, u32),
        (pack, payload_bytes): (impl FnOnce(&mut Vec<u8>), usize),
    ) -> Slot<P> {
        let record = Record::new((&change.key, change.durable), pack, &mut self.scratch);
        Slot::new(Held::Packed(record), (change, topic), payload_bytes)
    }

    /// Puts the newest change of a key into its slot, or into a new one; returns which.
    pub(super) fn set(&mut self, found: Option<u32>, slot: Slot<P>) -> u32 {
        let (version, is_shared) = (slot.version, matches!(slot.held, Held::Shared(_)));
        self.bytes[usize::from(slot.is_live())] += slot.charged_bytes();
        self.live += usize::from(slot.is_live());
        let id = if let Some(id) = found {
            self.deadlines.forget(id);
            let old = self.get_mut(id);
            let slot = Slot { neighbours: old.neighbours, ..slot };
            let old = std::mem::replace(old, slot);
            self.bytes[usize::from(old.is_live())] -= old.charged_bytes();
            self.live -= usize::from(old.is_live());
            id
        } else {
            self.insert(slot)
        };
        if is_shared {
            self.shared.push_back((version, id));
        }
        id
    }

    fn insert(&mut self, slot: Slot<P>) -> u32 {
        self.len += 1;
        if let Some(id) = self.vacant.pop() {
            *self.place(id) = Some(slot);
            return id;
        }
        if self.pieces.last().is_none_or(|piece| piece.len() == SLOTS_PER_PIECE) {
            self.pieces.push(Vec::new());
        }
        let id = self.places();
        self.pieces.last_mut().expect("it has room").push(Some(slot));
        id as u32
    }

    /// A newer change of the key follows.
    pub(super) fn supersede(&self, id: u32, successor: Version) {
        if let Held::Shared(value) = &self.get(id).held {
            value.supersede(successor);
        }
    }

    /// The key of a slot, if others have it, too.
    pub(super) fn shared_key(&self, id: u32) -> Option<Arc<str>> {
        match &self.get(id).held {
            Held::Shared(value) => Some(Arc::clone(&value.key)),
            Held::Packed(_) => None,
        }
    }

    /// The newest change of a key of this topic, for somebody who only looks at it: what comes of the
    /// key later makes it no older.
    pub(super) fn value(&self, id: u32, topic: &Topic) -> Arc<Value<P>> {
        let slot = self.get(id);
        match &slot.held {
            Held::Shared(value) => Arc::clone(value),
            Held::Packed(record) => Arc::new(unpack(slot, record, (topic, self.life))),
        }
    }

    /// The same for lanes: all of them have one.
    pub(super) fn share(&mut self, id: u32, topic: &Topic) -> Arc<Value<P>> {
        let value = self.value(id, topic);
        let slot = self.get_mut(id);
        if let Held::Packed(_) = slot.held {
            slot.held = Held::Shared(Arc::clone(&value));
            let grown = shared_bytes(&value, 0);
            self.grow(id, grown);
            self.shared.push_back((value.version, id));
        }
        value
    }

    fn grow(&mut self, id: u32, grown_bytes: usize) {
        let now = u32::try_from(grown_bytes).unwrap_or(u32::MAX);
        let slot = self.get_mut(id);
        let (before, is_live) = (std::mem::replace(&mut slot.grown_bytes, now), slot.is_live());
        let bytes = &mut self.bytes[usize::from(is_live)];
        *bytes = *bytes + now as usize - before as usize;
    }

    /// Looks at so many of the values that are shared, round and round: those that nobody else has any
    /// more are packed, up to so many bytes, and of the others it is counted what they take. Returns
    /// how many are left.
    pub(super) fn settle(&mut self, looks: usize, grown_bytes: impl Fn(&P) -> usize) -> usize {
        let mut packed_bytes = 0;
        for _ in 0..looks.min(self.shared.len()) {
            if packed_bytes > STATE_PACKED_BYTES_MAX {
                break;
            }
            let Some((version, id)) = self.shared.pop_front() else { break };
            let slot = self.find(id).filter(|slot| slot.version == version);
            let Some(Held::Shared(value)) = slot.map(|slot| &slot.held) else { continue };
            if Arc::strong_count(value) > 1 {
                let grown = shared_bytes(value, grown_bytes(&value.payload));
                self.grow(id, grown);
                self.shared.push_back((version, id));
            } else {
                let value = Arc::clone(value);
                let names = (&*value.key, value.durable);
                let pack = |into: &mut Vec<u8>| value.payload.pack(into);
                let record = Record::new(names, pack, &mut self.scratch);
                let slot = self.get_mut(id);
                slot.held = Held::Packed(record);
                packed_bytes += slot.size_bytes as usize;
                self.grow(id, 0);
            }
        }
        if self.shared.len() < self.shared.capacity() / 4 {
            self.shared.shrink_to(self.shared.len() * 2);
        }
        self.shared.len()
    }

    /// Says when the key of a slot goes by itself, which is there.
    pub(super) fn set_deadline(&mut self, id: u32, at_ms: u64) {
        if self.deadlines.set(id, at_ms) {
            self.get_mut(id).size_bytes += DEADLINE_BYTES as u32;
            self.bytes[usize::from(true)] += DEADLINE_BYTES;
        }
    }

    pub(super) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    pub(super) fn deadlines_mut(&mut self) -> &mut Deadlines {
        &mut self.deadlines
    }

    /// Frees the slot of a key that is gone.
    pub(super) fn forget(&mut self, id: u32) {
        let slot = self.place(id).take().expect(TAKEN);
        debug_assert!(!slot.is_live(), "a key that is there is not forgotten");
        self.vacant.push(id);
        self.len -= 1;
        self.bytes[usize::from(false)] -= slot.charged_bytes();
        if let Held::Shared(value) = slot.held {
            value.forget();
        }
    }

    /// Whether the newest change of a slot's key is this version.
    pub(super) fn is_newest(&self, id: u32, version: Version) -> bool {
        self.find(id).is_some_and(|slot| slot.version == version)
    }

    /// The number of places that slots may have.
    pub(super) fn places(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1) * SLOTS_PER_PIECE;
        full + self.pieces.last().map_or(0, Vec::len)
    }

    /// The slots in some places whose keys are there.
    pub(super) fn between(&self, start: usize, end: usize) -> impl Iterator<Item = u32> {
        let is_live = |id: &u32| self.find(*id).is_some_and(Slot::is_live);
        (start as u32..end as u32).filter(is_live)
    }
}

const TAKEN: &str = "the slot of a key that is known";

/// What a value takes that is shared, beside what its key is charged with at rest.
fn shared_bytes<P>(value: &Value<P>, grown_bytes: usize) -> usize {
    size_of::<Value<P>>() + value.key.len() + grown_bytes
}

fn unpack<P: Payload>(slot: &Slot<P>, record: &Record, (topic, life): (&Topic, Life)) -> Value<P> {
    let key = std::str::from_utf8(record.key()).expect("it was a text");
    let bare = Value {
        topic: topic.clone(),
        key: key.into(),
        version: slot.version,
        durable: record.durable(),
        is_durable: slot.is_durable,
        is_deletion: slot.is_deletion,
        payload: (),
        successor: AtomicU64::new(0),
    };
    let payload = P::unpack(record.payload(), &bare, life);
    bare.with(payload)
}
