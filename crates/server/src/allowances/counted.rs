//! A connection of somebody whose connections are limited.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_access::ticket::TicketId;
use bellwire_access::{Identity, Means};
use bellwire_shards::Tally;
use bellwire_wire::problem::Problem;

use super::Allowances;
use super::account::Account;
use crate::lately;

/// One connection of somebody whose connections or filters are limited, counted until this is dropped.
/// It goes with the connection, whoever that is of later: a subject renews what it shows and stays the
/// same.
#[derive(Debug)]
pub(crate) struct Counted {
    allowances: Arc<Allowances>,
    name: Box<str>,
    /// `None` once this is being dropped.
    account: Option<Arc<Account>>,
    /// The ticket that it was opened with, if it was.
    ticket: Option<TicketId>,
    /// Filters that it follows. Nobody but its shard changes it, and who has its ticket next.
    filters: Mutex<usize>,
    /// How many all may. `None`: they are not counted.
    filters_max: Option<u64>,
}

impl Counted {
    /// Somebody's connection, which is yet to be counted.
    pub(super) fn new(
        allowances: &Arc<Allowances>,
        (who, account): (&Identity, &Arc<Account>),
    ) -> Arc<Self> {
        Arc::new(Self {
            allowances: Arc::clone(allowances),
            name: who.own_name(""),
            account: Some(Arc::clone(account)),
            filters: Mutex::new(0),
            ticket: ticket_of(who),
            filters_max: who.rights.limits.subscriptions,
        })
    }

    /// How many filters it follows.
    pub(super) fn filters(&self) -> usize {
        *self.own()
    }

    fn own(&self) -> MutexGuard<'_, usize> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self) -> &Account {
        self.account.as_ref().expect("it is there until this is dropped")
    }
}

/// The ticket that somebody shows, if one is shown.
pub(super) fn ticket_of(who: &Identity) -> Option<TicketId> {
    if let Means::Ticket(ticket) = &who.means { Some(ticket.id) } else { None }
}

impl Tally for Counted {
    fn follow(&self, filters: usize) -> Result<(), Problem> {
        let Some(most) = self.filters_max else { return Ok(()) };
        let mut own = self.own();
        if filters > *own {
            if !self.account().try_follow(filters - *own, most) {
                return Err(self.allowances.too_many_filters(most, filters));
            }
        } else {
            self.account().follow_now(*own, filters);
        }
        *own = filters;
        Ok(())
    }

    fn follow_now(&self, filters: usize) {
        if self.filters_max.is_some() {
            let mut own = self.own();
            self.account().follow_now(*own, filters);
            *own = filters;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(account) = self.account.take() else { return };
        account.follow_now(*self.own(), 0);
        account.used().connections -= 1;
        if let Some(ticket) = self.ticket {
            self.allowances.forget_ticket(ticket);
        }
        // It may say nothing any more, which shows once nobody holds it.
        drop(account);
        self.allowances.accounts().settle(&self.name, lately::now(), |_| ());
    }
}
