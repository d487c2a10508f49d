//! The newest issue of a credential that was seen. What is taken back while the clock is behind is all
//! that was issued until then all the same.

use std::sync::atomic::{AtomicI64, Ordering};

use bellwire_model::Timestamp;

/// The newest issue.
#[derive(Debug)]
pub(crate) struct Issued(AtomicI64);

impl Default for Issued {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Issued {
    /// A credential was seen that was issued then.
    pub(crate) fn saw(&self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.0.fetch_max(at.as_ms(), Ordering::Relaxed);
        }
    }

    /// Until when that was issued which is there now. It is asked under the lock of whoever takes
    /// something back, since whoever issues something says so before that lock is asked whether they
    /// may.
    pub(crate) fn until(&self, now: Timestamp) -> Timestamp {
        now.max(Timestamp::from_ms(self.0.load(Ordering::Relaxed)))
    }

    /// Issues something at this time of what [counts](super::Authenticator::counts). `None`: it does
    /// not any more.
    ///
    /// Whoever takes that back does so before `counts` looks, and it is refused; or afterwards, and
    /// then finds this time: what is issued counts no more either. Clocks have no part in it.
    pub(crate) fn issue(&self, at: Timestamp, counts: impl FnOnce() -> bool) -> Option<Timestamp> {
        self.saw(Some(at));
        counts().then_some(at)
    }
}
