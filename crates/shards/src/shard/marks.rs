//! What a connection is told of where it is among the changes of state topics.
//!
//! Only who has asked to resume them is told, and only what is true: by an event where the hub says
//! that the connection has all that its stamp names, else by a control event a little later.

use bellwire_hub::{Arrival, Delivery, Hub};
use bellwire_model::{Cursor, Offset, Version};

use crate::frames::{Frames, Mark};
use crate::stream_request::StreamRequest;

/// Whether the cursors of a connection are of state topics, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Marks {
    /// It has not asked for that, or follows less than it has asked for: with a cursor that it got
    /// meanwhile it might come back to more.
    #[default]
    Off,
    /// Its client knows where it is.
    Told,
    /// Its client has a cursor that says less than it could.
    Owed,
}

impl Marks {
    pub(super) fn of(request: &StreamRequest) -> Self {
        if request.has_marks() { Self::Told } else { Self::Off }
    }

    pub(super) fn is_on(self) -> bool {
        self != Self::Off
    }

    /// Something went out with this mark.
    pub(super) fn note(&mut self, mark: Mark) {
        if self.is_on() && mark == Mark::Plain {
            *self = Self::Owed;
        }
    }

    /// A value went out with this mark: where it has one, that is all there is to tell.
    pub(super) fn note_value(&mut self, mark: Mark) {
        if self.is_on() {
            *self = if mark == Mark::Marked { Self::Told } else { Self::Owed };
        }
    }

    /// Whether it is worth telling the client of a cursor, though nothing of streams has passed it.
    pub(super) fn is_owed(self, cursor: Cursor) -> bool {
        self == Self::Owed && cursor.state.is_some()
    }

    /// The client was told of a cursor.
    pub(super) fn note_told(&mut self, cursor: Cursor) {
        if self.is_on() {
            *self = if cursor.state.is_some() { Self::Told } else { Self::Owed };
        }
    }

    /// Where the connection is, as far as its client is to know.
    pub(super) fn cursor(self, hub: &Hub<Frames>, delivery: &Delivery) -> Cursor {
        if self.is_on() { hub.full_cursor(delivery) } else { hub.cursor(delivery) }
    }

    /// What events may say that the connection is given now.
    pub(super) fn claim(self, hub: &Hub<Frames>, delivery: &Delivery) -> Claim {
        if !self.is_on() {
            return Claim::default();
        }
        // Of a snapshot there is more to say than an event has room for.
        let mark = hub.state_mark(delivery).filter(|mark| mark.since == mark.version);
        Claim { version: mark.map(|mark| mark.version), offset: hub.offset(delivery) }
    }
}

/// What a connection has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claim {
    /// All changes of state topics up to here, where that can be said.
    version: Option<Version>,
    /// Everything of streams up to here.
    pub(super) offset: Offset,
}

/// How an entry goes out to somebody who has that.
pub(super) fn of_entry(entry: &Frames, claim: Claim) -> Mark {
    let Some(version) = claim.version else { return Mark::Plain };
    match entry.stamp() {
        Some(stamp) if stamp.version <= version => Mark::Marked,
        _ => Mark::Plain,
    }
}

/// How values go out to somebody.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueMarks {
    /// Those that arrive after this come in the order of versions. `None`: none of them.
    pub(super) in_order_after: Option<Arrival>,
    /// The newest offset that the client was told.
    pub(super) told: Offset,
    /// Everything of streams up to here it has.
    pub(super) offset: Offset,
}

impl ValueMarks {
    /// How this one goes out. It is not to take the client back among streams: those would come twice.
    pub(super) fn of(self, arrival: Arrival, value: &Frames) -> Mark {
        let is_in_order = self.in_order_after.is_some_and(|after| arrival > after);
        match value.stamp() {
            Some(stamp)
                if is_in_order && self.told <= stamp.offset && stamp.offset <= self.offset =>
            {
                Mark::Marked
            }
            _ => Mark::Plain,
        }
    }
}
