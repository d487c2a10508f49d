//! What is left to each subject of what its roles allow.
//!
//! Nothing is kept of anybody without limits, nor of anybody who has done nothing for a while.

mod account;
mod counted;
mod naming;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bellwire_access::ticket::TicketId;
use bellwire_access::{Bucket, Identity, Limits, Means};
use bellwire_model::Topic;
use bellwire_model::limits::{RENEWALS_PER_SECOND, SUBJECTS_LIMITED_MAX};
use bellwire_process::jittered;
use bellwire_shards::Tally as _;
use bellwire_wire::problem::{Code, Problem};

use self::account::{Account, Renewals, Used};
use crate::lately::{self, Lately};
use crate::observe::Figures;

pub(crate) use self::account::{Left, Named};
pub(crate) use self::counted::Counted;
use self::counted::ticket_of;
pub(crate) use self::naming::Naming;

/// What subjects with limits have used up.
#[derive(Debug)]
pub(crate) struct Allowances {
    accounts: Mutex<Lately<Box<str>, Arc<Account>>>,
    /// Those who have renewed within the last second.
    renewals: Mutex<Lately<Box<str>, Renewals>>,
    /// The connections that have been let in by tickets.
    tickets: Mutex<BTreeMap<TicketId, Weak<Counted>>>,
    /// Topics and series that are counted of all of them.
    names: Arc<AtomicUsize>,
    figures: Arc<Figures>,
}

/// What somebody sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent {
    Events(usize),
    Samples(usize),
    Bytes(usize),
}

impl Sent {
    /// How much it is.
    const fn amount(self) -> usize {
        match self {
            Self::Events(count) | Self::Samples(count) | Self::Bytes(count) => count,
        }
    }
}

/// When it is worth another try to connect at the earliest, and what is added at random: many are
/// refused at once, and must not return at once.
const RETURN: Duration = Duration::from_secs(5);
const RETURN_SPREAD: Duration = Duration::from_secs(10);

impl Allowances {
    pub(crate) fn new(figures: Arc<Figures>) -> Self {
        let accounts = Mutex::new(Lately::new(SUBJECTS_LIMITED_MAX));
        let renewals = Mutex::new(Lately::new(SUBJECTS_LIMITED_MAX));
        Self { accounts, renewals, tickets: Mutex::default(), names: Arc::default(), figures }
    }

    /// Whether somebody may have one connection more, which follows so many filters.
    pub(crate) fn check_connect(&self, who: &Identity, filters: usize) -> Result<(), Problem> {
        let limits = &who.rights.limits;
        if !limits.are_of_connections() {
            return Ok(());
        }
        let known = self.accounts().get(&*who.own_name("")).cloned();
        let Some(account) = known else { return self.check_filters(limits, 0, filters) };
        let before = self.connection_of(who);
        self.check(&account.used(), limits, before.as_deref())?;
        let own = before.as_ref().map_or(0, |before| before.filters());
        self.check_filters(limits, account.filters().saturating_sub(own), filters)
    }

    /// Counts one more connection of somebody, who may have as many already, and the filters that it
    /// follows. `None`: nothing is counted of it. Of a ticket the newest connection wins, so that it has
    /// the place of the one before.
    pub(crate) fn connect(
        self: &Arc<Self>,
        who: &Identity,
        filters: usize,
    ) -> Result<Option<Arc<Counted>>, Problem> {
        self.enter((who, filters), self.connection_of(who))
    }

    /// The same of a connection for which no other one ends.
    pub(crate) fn connect_beside(
        self: &Arc<Self>,
        who: &Identity,
        filters: usize,
    ) -> Result<Option<Arc<Counted>>, Problem> {
        self.enter((who, filters), None)
    }

    fn enter(
        self: &Arc<Self>,
        (who, filters): (&Identity, usize),
        before: Option<Arc<Counted>>,
    ) -> Result<Option<Arc<Counted>>, Problem> {
        let limits = &who.rights.limits;
        if !limits.are_of_connections() {
            return Ok(None);
        }
        let now = lately::now();
        let account = self.account(who, now)?;
        // `before` outlives this lock: where it is the last of its connection, that takes it.
        let mut used = account.used();
        self.check(&used, limits, before.as_deref())?;
        if let Some(per_second) = limits.connects_per_second {
            // It was looked at.
            let _ = used.connects.take(now, 1, per_second);
        }
        if !limits.count_connections() {
            return Ok(None);
        }
        let counted = before.unwrap_or_else(|| {
            used.connections += 1;
            Counted::new(self, (who, &account))
        });
        drop(used);
        if let Some(ticket) = ticket_of(who) {
            self.tickets().insert(ticket, Arc::downgrade(&counted));
        }
        counted.follow(filters)?;
        Ok(Some(counted))
    }

    /// The connection that has the ticket that is shown, if one is.
    fn connection_of(&self, who: &Identity) -> Option<Arc<Counted>> {
        self.tickets().get(&ticket_of(who)?)?.upgrade()
    }

    /// A connection with this ticket has ended. Another one may have it by now.
    fn forget_ticket(&self, ticket: TicketId) {
        let mut tickets = self.tickets();
        if tickets.get(&ticket).is_some_and(|counted| counted.strong_count() == 0) {
            tickets.remove(&ticket);
        }
    }

    fn tickets(&self) -> MutexGuard<'_, BTreeMap<TicketId, Weak<Counted>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for one connection more, which may have the place of one before.
    fn check(&self, used: &Used, limits: &Limits, before: Option<&Counted>) -> Result<(), Problem> {
        let is_full = |most: &u64| before.is_none() && used.connections >= *most;
        if let Some(most) = limits.connections.filter(is_full) {
            return Err(self.refusal(&format!("{most} connections at a time"), returning()));
        }
        let Some(most) = limits.connects_per_second else { return Ok(()) };
        let wait = used.connects.check(lately::now());
        wait.map_err(|wait| self.refusal(&format!("{most} new connections a second"), wait))
    }

    fn check_filters(&self, limits: &Limits, others: usize, filters: usize) -> Result<(), Problem> {
        match limits.subscriptions {
            Some(most) if others.saturating_add(filters) as u64 > most => {
                Err(self.too_many_filters(most, filters))
            }
            _ => Ok(()),
        }
    }

    /// Takes what somebody sends of what they may send in a second.
    pub(crate) fn spend(&self, who: &Identity, sent: Sent) -> Result<(), Problem> {
        let amount = sent.amount() as u64;
        if amount == 0 {
            return Ok(());
        }
        self.of_second(who, sent, |bucket, now, per_second| bucket.take(now, amount, per_second))
    }

    /// Looks at what somebody may send in a second, where there is a limit to it.
    fn of_second(
        &self,
        who: &Identity,
        sent: Sent,
        look: impl FnOnce(&mut Bucket, u64, u64) -> Result<(), Duration>,
    ) -> Result<(), Problem> {
        let limits = &who.rights.limits;
        let (limit, name) = match sent {
            Sent::Events(_) => (limits.events_per_second, "events"),
            Sent::Samples(_) => (limits.samples_per_second, "samples"),
            Sent::Bytes(_) => (limits.bytes_per_second, "bytes"),
        };
        let Some(per_second) = limit else { return Ok(()) };
        let now = lately::now();
        let account = self.account(who, now)?;
        let looked = look(account.used().bucket(sent), now, per_second);
        looked.map_err(|wait| self.refusal(&format!("{per_second} {name} a second"), wait))
    }

    /// Somebody renews what they have shown: so often, whatever their roles say. Who has shown nothing
    /// renews nothing.
    pub(crate) fn renew(&self, who: &Identity) -> Result<(), Problem> {
        if matches!(who.means, Means::Open | Means::Anonymous | Means::Pending) {
            return Ok(());
        }
        let now = lately::now();
        let mut renewals = self.renewals.lock().unwrap_or_else(PoisonError::into_inner);
        let own = renewals.entry(who.own_name(""), now).ok_or_else(|| self.is_crowded())?;
        let taken = own.0.take(now, 1, RENEWALS_PER_SECOND);
        drop(renewals);
        taken.map_err(|wait| {
            let detail =
                format!("{RENEWALS_PER_SECOND} renewals a second are taken of one subject");
            self.exhausted(detail, wait)
        })
    }

    /// What somebody may name of this, in a batch that is to be paid for once it is known what is left
    /// of it: where nothing could be, nothing is named. `None`: as much as they like.
    pub(crate) fn naming(
        &self,
        who: &Identity,
        named: Named,
    ) -> Result<Option<Naming<'_>>, Problem> {
        let sent = match named {
            Named::Topics => Sent::Events(0),
            Named::Series => Sent::Samples(0),
        };
        self.of_second(who, sent, |bucket, now, _| bucket.check(now))?;
        self.naming_paid(who, named)
    }

    /// The same of what is paid for.
    fn naming_paid(&self, who: &Identity, named: Named) -> Result<Option<Naming<'_>>, Problem> {
        let Some(most) = named.limit(&who.rights.limits) else { return Ok(None) };
        let now = lately::now();
        let account = self.account(who, now)?;
        Ok(Some(Naming::new(self, account, (named, most, now))))
    }

    /// Somebody publishes to a topic, which may be a new one of theirs.
    pub(crate) fn name_topic(&self, who: &Identity, topic: &Topic) -> Result<(), Problem> {
        self.naming_paid(who, Named::Topics)?.map_or(Ok(()), |naming| naming.take(topic))
    }

    /// What somebody's roles allow, and what is left of it.
    pub(crate) fn left(&self, who: &Identity) -> Vec<Left> {
        let (limits, now) = (&who.rights.limits, lately::now());
        if *limits == Limits::NONE {
            return Vec::new();
        }
        let known = self.accounts().get(&*who.own_name("")).cloned();
        known.unwrap_or_else(|| Arc::new(Account::new(&self.names))).left(limits, now)
    }

    /// What is kept of somebody, be it nothing yet.
    fn account(&self, who: &Identity, now: u64) -> Result<Arc<Account>, Problem> {
        let mut accounts = self.accounts();
        let new = || Arc::new(Account::new(&self.names));
        let account = accounts.entry_or(who.own_name(""), now, new);
        account.map(|account| Arc::clone(account)).ok_or_else(|| self.is_crowded())
    }

    fn is_crowded(&self) -> Problem {
        self.figures.door.principals_refused.add(1);
        let detail = "as much is counted of subjects with limits as is kept account of";
        Problem::new(Code::PrincipalExhausted, detail).retry_after(1)
    }

    /// A connection is to follow so many filters beside others, or by itself more than all may.
    fn too_many_filters(&self, most: u64, filters: usize) -> Problem {
        if filters as u64 <= most {
            return self.refusal(&format!("{most} filters at a time"), returning());
        }
        self.figures.door.principals_refused.add(1);
        let detail =
            format!("your roles allow {most} filters at a time, and this asks for {filters}");
        Problem::new(Code::Forbidden, detail)
    }

    fn refusal(&self, allowed: &str, wait: Duration) -> Problem {
        self.exhausted(format!("your roles allow {allowed}, which are used up"), wait)
    }

    fn exhausted(&self, detail: String, wait: Duration) -> Problem {
        self.figures.door.principals_refused.add(1);
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Problem::new(Code::PrincipalExhausted, detail).retry_after(seconds)
    }

    fn accounts(&self) -> MutexGuard<'_, Lately<Box<str>, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn returning() -> Duration {
    RETURN + jittered(RETURN_SPREAD)
}

#[cfg(test)]
mod tests;
