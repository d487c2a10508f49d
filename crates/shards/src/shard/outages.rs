//! Outages: clients are told that the server takes no events in, and that it does again.
//!
//! ```text
//! Spread::tell ─▶ inbox ─▶ Outages ── some connections a turn ─▶ Notices ─▶ their next visit
//! ```
//!
//! A connection remembers in one bit what it was told, so that nothing is kept for it. Whoever is slow is
//! told in the visit that their socket has room for, of what is so then: nothing, where an outage has
//! come and gone meanwhile. Whoever comes during one is told behind `ready`.

use bellwire_wire::Outage;

use super::Token;
use super::notices::Service;

/// What a shard tells its clients of.
#[derive(Debug, Default)]
pub(super) struct Outages {
    pub(super) now: Option<Outage>,
    /// The next place to look at, while some are yet to be told.
    pub(super) next: Option<Token>,
}

impl Outages {
    /// This is so from now on. A reason that changes is for those who come later.
    pub(super) fn set(&mut self, now: Option<Outage>) {
        if now.is_some() != self.now.is_some() {
            self.next = Some(0);
        }
        self.now = now;
    }

    /// Whether some are yet to be told.
    pub(super) fn is_under_way(&self) -> bool {
        self.next.is_some()
    }

    pub(super) fn service(&self) -> Service {
        if self.now.is_some() { Service::Degraded } else { Service::Good }
    }
}
