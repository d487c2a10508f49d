//! What one subscriber has been told, and what it ought to have been told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_hub::{Delivery, Entries, GapReason, Hub, LaneId, Next, StateTable, Value};
use bellwire_model::{Cursor, EffectiveFilter, FilterSet, Offset, StateMark, Topic};

use crate::thing::Thing;
use crate::world::{Known, LIFE, Note, Written, is_seen};

/// The values of state topics as one sees them.
pub(crate) type Board = BTreeMap<(Topic, Arc<str>), u64>;

/// Events that are to come.
struct Interest {
    /// What was asked for, and to what it was narrowed since.
    filters: Vec<FilterSet>,
    /// Where it began; events up to here are none of its business. `None`: it wants what there is,
    /// and has none of it yet.
    began_after: Option<Offset>,
}

/// What a gap said: nothing of these filters after the first and up to the last.
struct ToldGap {
    filters: FilterSet,
    from: Offset,
    to: Offset,
}

/// One place in the hub, and all that came there.
pub(crate) struct Place {
    pub(crate) follows: EffectiveFilter,
    pub(crate) delivery: Delivery,
    interests: Vec<Interest>,
    seen: BTreeSet<Offset>,
    /// Later events have higher offsets.
    newest: Offset,
    gaps: Vec<ToldGap>,
    is_ready: bool,
    /// The newest value of each key that came here.
    pub(crate) values: Board,
    /// Whether it is where it joined.
    pub(crate) has_stayed: bool,
}

/// A subscriber: its one order of events, and subscriptions that are yet to become part of it.
pub(crate) struct Subscriber {
    pub(crate) main: Place,
    pub(crate) added: Vec<Place>,
    /// Which of the labelled things it may see, by number.
    pub(crate) sight: usize,
    /// What it sees, from wherever it came last.
    board: Board,
    /// The newest change up to which it was told that it has them all, as by a value.
    pub(crate) told: Option<StateMark>,
}

/// What a look at the hub asks of the world.
pub(crate) enum Taken {
    Nothing,
    Something,
    History(Offset),
}

impl Subscriber {
    pub(crate) fn new(main: Place, sight: usize) -> Self {
        Self::resumed(main, sight, Board::new())
    }

    /// One that has something already.
    pub(crate) fn resumed(main: Place, sight: usize, board: Board) -> Self {
        Self { main, added: Vec::new(), sight, board, told: None }
    }

    /// Cursors that it may be given now, with what it has: of all of it, and as values bring them.
    /// Until what it has added is a part of it, its cursor is of the rest.
    pub(crate) fn note(&self, hub: &Hub<Thing>) -> Vec<Note> {
        if !self.added.is_empty() {
            return Vec::new();
        }
        let Place { follows, delivery, .. } = &self.main;
        let cursor = hub.full_cursor(delivery);
        let told = self.told.map(|mark| Cursor { state: Some(mark), ..cursor });
        let cursors = std::iter::once(cursor).chain(told);
        let of_state = cursors.filter(|cursor| cursor.state.is_some());
        let note = |cursor| Note {
            follows: follows.clone(),
            cursor,
            sight: self.sight,
            board: self.board.clone(),
        };
        of_state.map(note).collect()
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.main).chain(&self.added)
    }

    fn follows(&self, value: &Value<Thing>) -> bool {
        self.places().any(|place| value.payload.is_for(&place.follows, &value.topic))
    }

    /// Takes one thing, be it at its main place or where it catches up.
    pub(crate) fn take(&mut self, index: usize, hub: &mut Hub<Thing>, known: &mut Known) -> Taken {
        let mut of_added = None;
        let (place, told) = match index.checked_sub(1) {
            None => (&mut self.main, &mut self.told),
            Some(added) => (&mut self.added[added], &mut of_added),
        };
        let taken = place.take((&mut self.board, told), hub, known);
        place.note_beginning(&known.gone);
        taken
    }

    /// What came for what it no longer follows is forgotten, as clients do that unsubscribe; of what
    /// came for another subscription, too, that value stays.
    pub(crate) fn narrow(&mut self, follows: &EffectiveFilter) {
        self.main.narrow(follows);
        self.told = None;
        self.forget_what_is_lost();
    }

    /// One of its places.
    pub(crate) fn place_mut(&mut self, index: usize) -> &mut Place {
        if index == 0 { &mut self.main } else { &mut self.added[index - 1] }
    }

    pub(crate) fn forget_what_is_lost(&mut self) {
        self.told = None;
        let follows = self.main.follows.clone();
        self.board.retain(|(topic, _), _| follows.filters().matches(topic));
        for (key, value) in self.added.iter().flat_map(|place| &place.values) {
            self.board.entry(key.clone()).or_insert(*value);
        }
    }

    /// Holds what was told against the journal and the table, once it has all there is.
    pub(crate) fn judge(&self, journal: &[Written], table: &StateTable<Thing>) {
        self.places().for_each(|place| place.judge(journal));
        let followed = table.values().filter(|value| self.follows(value));
        let keyed = |value: &Arc<Value<Thing>>| (value.topic.clone(), value.key.clone());
        let expected: Board = followed.map(|value| (keyed(&value), value.payload.number)).collect();
        assert_eq!(self.board, expected, "the newest value of each key, and no other");
    }
}

impl Place {
    pub(crate) fn new(
        follows: EffectiveFilter,
        delivery: Delivery,
        began_after: Option<Offset>,
    ) -> Self {
        let filters = vec![follows.filters().clone()];
        Self {
            interests: vec![Interest { filters, began_after }],
            follows,
            newest: delivery.offset(),
            delivery,
            seen: BTreeSet::new(),
            gaps: Vec::new(),
            is_ready: false,
            values: Board::new(),
            has_stayed: true,
        }
    }

    /// One that has these values already.
    pub(crate) fn resumed(
        follows: EffectiveFilter,
        delivery: Delivery,
        (began_after, board): (Option<Offset>, &Board),
    ) -> Self {
        // Where rates hold back what others have shown, an older value may come before it.
        let values = if follows.is_paced() { Board::new() } else { board.clone() };
        let place = Self::new(follows, delivery, began_after);
        Self { values, has_stayed: false, ..place }
    }

    /// What came to `added` counts as if it had come here.
    pub(crate) fn unite(&mut self, added: Self) {
        self.has_stayed = false;
        self.follows = self.follows.union(&added.follows);
        self.newest = self.newest.max(added.newest);
        self.interests.extend(added.interests);
        self.seen.extend(added.seen);
        self.gaps.extend(added.gaps);
        self.values.extend(added.values);
    }

    pub(crate) fn narrow(&mut self, follows: &EffectiveFilter) {
        self.has_stayed = false;
        self.follows = follows.clone();
        let filters = follows.filters();
        self.values.retain(|(topic, _), _| filters.matches(topic));
        for interest in &mut self.interests {
            interest.filters.push(filters.clone());
        }
    }

    /// Who asks for what there is does not miss what is gone when it gets the first of it.
    fn note_beginning(&mut self, gone: &BTreeMap<LaneId, Offset>) {
        if self.delivery.offset() == Offset::ZERO {
            return;
        }
        let gone = gone.get(&self.delivery.lane()).copied().unwrap_or_default();
        for interest in &mut self.interests {
            interest.began_after.get_or_insert(gone);
        }
    }

    /// Takes one thing.
    fn take(
        &mut self,
        (board, told): (&mut Board, &mut Option<StateMark>),
        hub: &mut Hub<Thing>,
        known: &mut Known,
    ) -> Taken {
        let delivery = &mut self.delivery;
        let filters = self.follows.filters();
        match hub.next(delivery) {
            Next::Nothing => return Taken::Nothing,
            Next::Later => return Taken::Something,
            Next::History(after) => return Taken::History(after),
            Next::Ready(cursor) => {
                assert!(cursor.offset >= delivery.offset());
                assert!(!std::mem::replace(&mut self.is_ready, true), "ready comes once");
                delivery.took_ready();
            }
            Next::Gap(gap) => {
                assert_eq!(gap.reason, GapReason::Expired);
                assert_eq!(gap.from.offset, delivery.offset());
                let (from, to) = (gap.from.offset, gap.to.offset);
                self.gaps.push(ToldGap { filters: filters.clone(), from, to });
                delivery.took_gap(&gap);
            }
            Next::Values(mut values) => {
                let in_order_after = values.in_order_after();
                let Some((arrival, value)) = values.next() else {
                    delivery.took_values(values.end());
                    return Taken::Something;
                };
                if in_order_after.is_some_and(|after| arrival > after) {
                    *told = Some(StateMark::at(LIFE, value.version));
                }
                assert!(filters.matches(&value.topic), "{} is not followed", value.topic);
                let what = (value.version, value.is_deletion);
                let one = known.arrived.entry(arrival).or_insert(what);
                assert_eq!(*one, what, "an arrival names one thing");
                let key = (value.topic.clone(), value.key.clone());
                if value.is_deletion {
                    assert_eq!(value.payload.number, 0, "nothing of what it was");
                    let sight = self.follows.sight();
                    let had = known.teams[&key].iter().any(|it| is_seen(sight, &key.0, *it));
                    assert!(had, "the end of what was never seen");
                    self.values.remove(&key);
                    board.remove(&key);
                } else {
                    let thing = &value.payload;
                    assert!(thing.is_for(&self.follows, &value.topic), "{value:?} is another's");
                    let old = self.values.insert(key.clone(), thing.number);
                    assert!(old.is_none_or(|old| old <= thing.number), "never an older value");
                    board.insert(key, thing.number);
                }
                delivery.took_value(arrival);
            }
            Next::Entries(mut entries) => {
                if let Some(entry) = entries.next() {
                    assert!(filters.matches(&entry.topic), "{} is not followed", entry.topic);
                    let is_theirs = entry.payload.is_for(&self.follows, &entry.topic);
                    assert!(is_theirs, "{entry:?} is another's");
                    assert!(entry.offset > self.newest, "order kept, nothing twice");
                    self.newest = entry.offset;
                    self.seen.insert(entry.offset);
                    delivery.took_entry(entry.offset);
                } else if let Entries::Page(_, end) = entries {
                    delivery.took_page(end);
                } else {
                    // The lane was filled from the ring, which held nothing that matches.
                }
            }
        }
        Taken::Something
    }

    fn judge(&self, journal: &[Written]) {
        assert!(self.is_ready);
        for Written { offset, topic, thing, is_gone } in journal {
            let is_seen = self.seen.contains(offset) || !thing.is_for(&self.follows, topic);
            if is_seen || !self.expects(*offset, topic) {
                continue;
            }
            let covers = |gap: &ToldGap| {
                gap.filters.matches(topic) && gap.from < *offset && *offset <= gap.to
            };
            let is_told = self.gaps.iter().any(covers);
            assert!(*is_gone && is_told, "{offset} on {topic} is missing without a gap");
        }
    }

    fn expects(&self, offset: Offset, topic: &Topic) -> bool {
        self.interests.iter().any(|interest| {
            let is_asked_for = interest.filters.iter().all(|filters| filters.matches(topic));
            offset > interest.began_after.unwrap_or_default() && is_asked_for
        })
    }
}
