//! Access among nodes: what one of them makes or takes back, all others know as soon as the log has it.
//!
//! ```text
//! node A: taken back ─▶ record ─▶ log ─▶ each node: told ─▶ counts no more ─▶ its streams end
//! ```
//!
//! What a record says is written once and does not change, or only grows: nodes that write at once take
//! nothing away from each other, and none has to be asked first.

use std::sync::{Arc, Mutex, PoisonError};

use bellwire_journal::{Error, Journal, RecordChange};
use bellwire_model::Principal;
use bellwire_process::clock;
use tokio::sync::watch;

use super::Authenticator;
use crate::{ended, issued, keys, revocations, tickets};

/// What all records of access begin with.
const ACCESS: &str = "access/";

/// What other nodes have changed, for whoever ends streams.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// How often something came that may end streams.
    count: watch::Sender<u64>,
    /// Whose tickets are in use elsewhere by now, with one more holder of each number.
    displaced: Mutex<Vec<Principal>>,
}

impl Authenticator {
    /// As [`begin`](Self::begin), of a node that shares the journal and this secret with others.
    pub fn begin_among(
        self: &Arc<Self>,
        journal: Arc<dyn Journal>,
        secret: &[u8],
    ) -> Result<(), Error> {
        self.seal.share(secret);
        let run = getrandom::u64().map_err(|error| {
            let error = std::io::Error::other(error.to_string());
            Error::Away(Arc::new(error))
        })?;
        if let Some(tickets) = &self.tickets {
            tickets.share(run);
        }
        let told = Arc::downgrade(self);
        // Before what there is: nothing that comes behind it may be missed.
        journal.watch_records(
            ACCESS,
            Arc::new(move |changes| {
                if let Some(authenticator) = told.upgrade() {
                    authenticator.hear(changes);
                }
            }),
        );
        self.begin(journal)?;
        match &self.tickets {
            Some(tickets) => tickets.restore_told(&self.records, clock::now()),
            None => Ok(()),
        }
    }

    /// Becomes another number whenever another node may have ended streams of this one.
    pub fn heard(&self) -> watch::Receiver<u64> {
        self.heard.count.subscribe()
    }

    /// Whose tickets other nodes have opened since this was asked last. One more holder of each is counted.
    pub fn displaced(&self) -> Vec<Principal> {
        let mut displaced = self.heard.displaced.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut displaced)
    }

    fn hear(&self, changes: &[RecordChange]) {
        let mut ends = false;
        for RecordChange { key, value } in changes {
            let value = value.as_deref();
            let of = |prefix: &str| key.strip_prefix(prefix);
            if let Some(id) = of(keys::PREFIX) {
                ends |= self.keys.on_change(id, value);
            } else if let Some(id) = of(keys::USED) {
                self.keys.on_use_change(id, value);
            } else if let Some(id) = of(revocations::PREFIX) {
                ends |= self.revocations.on_change(id, value);
            } else if of(ended::PREFIX).is_some() {
                ends |= self.ended.on_change(value);
            } else if of(tickets::TOLD).is_some() {
                ends |= self.hear_of_ticket(key, value);
            } else if **key == *issued::RECORD {
                self.issued.on_change(value);
            }
        }
        if ends {
            self.heard.count.send_modify(|count| *count += 1);
        }
    }

    /// Whether a stream here has to end for it.
    fn hear_of_ticket(&self, key: &str, value: Option<&[u8]>) -> bool {
        let Some(tickets) = &self.tickets else { return false };
        let displaced = |other| self.displace_holder(other);
        let Some(displaced) = tickets.on_change(key, value, (clock::now(), displaced)) else {
            return false;
        };
        let mut all = self.heard.displaced.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(displaced);
        true
    }
}
