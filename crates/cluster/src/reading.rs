//! What entries of the log say.

use bellwire_journal::{PlacedBatch, RecordChange};
use bellwire_model::Timestamp;
use bellwire_shared_log::{Entry, Position};
use bytes::Bytes;

use crate::batch::{self, Item};
use crate::envelope::{self, MINOR, Piece, Unread};
use crate::shared::{Shared, Stop};
use crate::window::Waiter;

/// What an entry is; nothing where it is none of ours.
pub(crate) fn read(shared: &Shared, entry: Entry) -> Result<Option<Piece>, Stop> {
    let position = entry.position;
    if let Ok(piece) = envelope::decode(&entry.batch) {
        return Ok(Some(piece));
    }
    // It may have been damaged on the way; what is left out has to be left out by all.
    let Some(again) = shared.log.entry(position)? else {
        let why = format!("{position} cannot be read, and is gone");
        return Err(Stop::Doubt(why.into()));
    };
    match envelope::decode(&again.batch) {
        Ok(piece) => Ok(Some(piece)),
        Err(Unread::Foreign) => {
            tracing::error!(%position, "An entry of the log is not of Bellwire; it is left out.");
            Ok(None)
        }
        Err(Unread::Major(major)) => {
            let what = format!("entries of version {major}").into();
            Err(Stop::TooOld { position, what })
        }
    }
}

/// What a payload says. What cannot be read stops the node: left out it would be missing for good.
pub(crate) fn items(
    payload: &Bytes,
    (time, minor): (Timestamp, u8),
    position: Position,
) -> Result<Vec<Item>, Stop> {
    batch::decode(payload, time).map_err(|error| {
        let of_version = if minor > MINOR { "of a newer version: " } else { "" };
        Stop::TooOld { position, what: format!("{of_version}{error}").into() }
    })
}

/// Batches with who waits for them, changes of records, and who waits for those.
pub(crate) fn joined(
    items: Vec<Item>,
    waiters: Vec<Waiter>,
) -> (Vec<PlacedBatch>, Vec<RecordChange>, Vec<Waiter>) {
    let (mut batches, mut records, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let mut waiters = waiters.into_iter();
    for item in items {
        match (item, waiters.next()) {
            (Item::Appends(appends), Some(Waiter::Appends(reply))) => {
                batches.push(PlacedBatch { appends, reply: Some(reply) });
            }
            (Item::Appends(appends), _) => batches.push(PlacedBatch { appends, reply: None }),
            (Item::Records(changes), waiter) => {
                records.extend(changes);
                waiting.extend(waiter);
            }
        }
    }
    (batches, records, waiting)
}
