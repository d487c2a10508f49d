//! Replies that are owed: whoever asked is told something, also where what was asked for is dropped by a desk
//! that ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_wire::problem::Problem;

use crate::relay::{Effect, in_doubt};

/// Called with what has come of something.
type Reply<T> = Box<dyn FnOnce(Result<T, Problem>) + Send>;

/// A reply that is owed once what it is for was queued.
pub(super) struct Owed<T>(Arc<Mutex<Ledger<T>>>);

/// What replies, or is dropped.
pub(super) struct Debt<T>(Arc<Mutex<Ledger<T>>>);

struct Ledger<T> {
    reply: Option<Reply<T>>,
    is_queued: bool,
    is_dropped: bool,
}

impl<T> Ledger<T> {
    /// The reply that nobody else will give.
    fn due(&mut self) -> Option<Reply<T>> {
        self.reply.take_if(|_| self.is_queued && self.is_dropped)
    }
}

/// Something is to be asked for, and what replies to that.
pub(super) fn owe<T>(reply: Reply<T>) -> (Owed<T>, Debt<T>) {
    let ledger = Ledger { reply: Some(reply), is_queued: false, is_dropped: false };
    let ledger = Arc::new(Mutex::new(ledger));
    (Owed(Arc::clone(&ledger)), Debt(ledger))
}

fn lock<T>(ledger: &Mutex<Ledger<T>>) -> MutexGuard<'_, Ledger<T>> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn settle<T>(reply: Option<Reply<T>>) {
    if let Some(reply) = reply {
        reply(Err(in_doubt("the node that had the alerts gave them up", Effect::Maybe)));
    }
}

impl<T> Owed<T> {
    /// It was queued, or not: whoever asked is told that another way, and is owed nothing.
    pub(super) fn queued(self, queued: Result<(), Problem>) -> Result<(), Problem> {
        let mut ledger = lock(&self.0);
        ledger.is_queued = queued.is_ok();
        let due = ledger.due();
        drop(ledger);
        settle(due);
        queued
    }
}

impl<T> Debt<T> {
    pub(super) fn reply(self, result: Result<T, Problem>) {
        let reply = lock(&self.0).reply.take();
        if let Some(reply) = reply {
            reply(result);
        }
    }
}

impl<T> Drop for Debt<T> {
    fn drop(&mut self) {
        let mut ledger = lock(&self.0);
        ledger.is_dropped = true;
        let due = ledger.due();
        drop(ledger);
        settle(due);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use bellwire_wire::problem::Code;

    use super::*;

    /// What whoever asked is told: how often, and the last.
    fn told(act: impl FnOnce(Owed<u8>, Debt<u8>)) -> Vec<Result<u8, Code>> {
        let (sender, told) = sync_channel(2);
        let reply = move |result: Result<u8, Problem>| {
            sender.send(result.map_err(|problem| problem.code)).expect("room");
        };
        let (owed, debt) = owe(Box::new(reply));
        act(owed, debt);
        told.try_iter().collect()
    }

    #[test]
    fn whoever_asked_is_told_once_also_where_nobody_has_looked() {
        let refused = || Err(Problem::new(Code::PublishersBusy, "no room"));
        let replied = told(|owed, debt| {
            debt.reply(Ok(7));
            owed.queued(Ok(())).expect("it is");
        });
        assert_eq!(replied, [Ok(7)]);
        let dropped = told(|owed, debt| {
            owed.queued(Ok(())).expect("it is");
            drop(debt);
        });
        let dropped_before = told(|owed, debt| {
            drop(debt);
            owed.queued(Ok(())).expect("it is");
        });
        assert_eq!((&dropped, &dropped_before), (&vec![Err(Code::DeskAway)], &dropped));
        let not_queued = told(|owed, debt| {
            drop(debt);
            owed.queued(refused()).expect_err("no room");
        });
        assert_eq!(not_queued, []);
    }
}
