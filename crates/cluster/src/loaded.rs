//! What a replica says of itself: how far it has followed which log, and what is known of that.

use bellwire_journal::{RecordChange, Replica};
use bellwire_shared_log::Position;

use crate::Error;
use crate::epoch::Own;
use crate::fields::{Fields, put_number};
use crate::identity::ClusterId;
use crate::order::{Kept, Order, PREFIX, Tail};
use crate::places::place_of;

/// Where the ordinal of the replica's epoch is kept.
const ORDINAL: &str = "cluster/ordinal";

/// What the replica is to say of the epoch that it is in.
pub(crate) fn kept_ordinal(ordinal: u64) -> RecordChange {
    let mut value = Vec::new();
    put_number(&mut value, ordinal);
    RecordChange { key: ORDINAL.into(), value: Some(value.into()) }
}

/// What a replica says of itself.
pub(crate) struct Loaded {
    pub(crate) own: Own,
    pub(crate) order: Order,
    /// How far its places are beyond those of the log.
    pub(crate) shift: u64,
}

impl Loaded {
    /// That of a replica, of a node that knows of this ordinal.
    pub(crate) fn of(replica: &dyn Replica, ordinal: u64) -> Result<Self, Error> {
        let records = replica.records(PREFIX)?;
        let place = place_of(replica.bounds().tail);
        let Kept { order, tail, began, fingerprint } = Order::load(&records, place)?;
        let kept = records.iter().find(|record| *record.key == *ORDINAL);
        let kept_ordinal = kept.map_or(Ok(0), |record| Fields::of(&record.value).number())?;
        let shift = began.map_or(0, |began| began.shift);
        let in_log = |place: Position| Position::new(place.get().saturating_sub(shift));
        let own = Own {
            epoch: replica.epoch(),
            ordinal: ordinal.max(kept_ordinal),
            kept_ordinal,
            place,
            began: in_log(place),
            tail: tail.map(|tail| Tail { position: in_log(tail.position), ..tail }),
            fingerprint,
            cluster: ClusterId::of(&records)?,
        };
        Ok(Self { own, order, shift })
    }
}
