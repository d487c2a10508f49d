//! The middle of Bellwire: which subscriber gets what, and in which order.
//!
//! ```text
//! journal ──▶ Hub::push ─┬─▶ Ring   recent entries, shared by all
//!                        └─▶ Lane   one per distinct filter and sight: the entries that match it
//!                              ▲
//! connection: Delivery { lane, offset, arrival } ── Hub::next ──▶ what to send now
//! ```
//!
//! A connection has no queue. It is a [`Delivery`]: the offset it has seen, the newest value it
//! has seen, and its lane. [`Hub::next`] says what comes next for it: entries of its lane, values
//! of state topics, pages of history that somebody must read from the journal, or a gap.
//!
//! Everything here is a pure state machine: no I/O, no clock, no threads, and no encoding (the
//! payload `P` is the owner's business). Each shard owns a [`Hub`]; the [`StateTable`] is shared
//! by all of them.
//!
//! `docs/internals/delivery.md` tells the whole, with the shards around it.

mod delivery;
mod ends;
mod entry;
mod heights;
mod history;
mod hub;
mod index;
mod key;
mod lane;
mod lanes;
mod next;
mod pacer;
mod past;
mod ring;
mod routes;
mod scopes;
mod screen;
mod state;

pub use delivery::{Begin, Begun, Delivery, Gap, GapReason, Known, Start};
pub use entry::{Arrival, Entry, Payload, Value};
pub use history::{Gone, HistoryPage};
pub use hub::{Hub, HubLimits, HubSize, Joined, Lag, LaneEnd, LaneEnds, LanesExhausted};
pub use lane::LaneId;
pub use next::{Entries, Next, Values};
pub use past::{PastCopy, PastLimits, Point};
pub use state::{
    Change, ChangeError, Fate, Kept, KeyPlace, KeysWalk, Look, PastPage, PastPageLimits, PastPlace,
    Reserved, Snapshot, StateError, StateFigures, StateLimits, StateTable,
};
