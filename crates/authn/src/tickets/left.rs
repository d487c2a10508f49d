//! What a process that ends in order leaves to the next: which tickets are in use.
//!
//! Records of names and ends, in bytes, at least one: that there is any says that it is all of them. The
//! next process takes them away, so that after a crash there is none.

use bellwire_access::ID_BYTES;
use bellwire_access::ticket::TicketId;
use bellwire_journal::RecordChange;
use bellwire_model::Timestamp;

/// What the records begin with.
pub(super) const PREFIX: &str = "access/tickets/";

/// Tickets of one record, which is then less than half of what one may have.
const TICKETS_OF_RECORD: usize = 20_000;

/// The name, and the end in milliseconds.
const ENTRY_BYTES: usize = ID_BYTES + size_of::<i64>();

/// The records that say so.
pub(super) fn written(left: &[(TicketId, Timestamp)]) -> Vec<RecordChange> {
    let chunks = left.chunks(TICKETS_OF_RECORD);
    let of_none = left.is_empty().then_some(&[][..]);
    let records = chunks.chain(of_none).enumerate().map(|(number, chunk)| {
        let bytes = chunk
            .iter()
            .flat_map(|(id, ends_at)| id.bytes().into_iter().chain(ends_at.as_ms().to_le_bytes()));
        let value = Some(bytes.collect::<Vec<u8>>().into());
        RecordChange { key: format!("{PREFIX}{number}").into(), value }
    });
    records.collect()
}

/// What one record says.
pub(super) fn read(bytes: &[u8]) -> impl Iterator<Item = (TicketId, Timestamp)> {
    bytes.chunks_exact(ENTRY_BYTES).filter_map(|entry| {
        let (id, ends_at) = entry.split_first_chunk()?;
        let ends_at = Timestamp::from_ms(i64::from_le_bytes(ends_at.try_into().ok()?));
        Some((TicketId::new(*id), ends_at))
    })
}
