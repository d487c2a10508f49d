//! Stream tickets: made of a credential, shown in an address, and each used by one connection.

mod left;
mod told;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bellwire_access::ticket::{Bound, Ticket, TicketId, TicketRefusal, TicketTable};
use bellwire_access::{Claims, Identity, Means, Policy, Rights};
use bellwire_journal::{Error, Record, RecordChange};
use bellwire_model::limits::{TICKET_UNUSED_MAX, TICKETS_MAX, TICKETS_TOLD_RETRY};
use bellwire_model::{Principal, Timestamp};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::Notify;

pub(crate) use self::told::PREFIX as TOLD;
use self::told::{Teller, Told};
use crate::issued::Moment;
use crate::records::Records;
use crate::refusal::{self, Invalid};
use crate::secret::{self, Seal};

/// What tickets are sealed with, and which are in use.
#[derive(Debug)]
pub(crate) struct Tickets {
    secret: Seal,
    /// How long a ticket counts whose credential does not end.
    lasts: Duration,
    table: Mutex<TicketTable>,
    /// Among nodes, what they tell each other, and where. Its lock is taken within that of the table.
    telling: OnceLock<(Mutex<Teller>, Notify)>,
}

/// A ticket that was just made.
pub struct MadeTicket {
    /// What the address has.
    pub text: String,
    /// Until when it may be opened for the first time.
    pub opens_until: Timestamp,
    /// Until when it counts.
    pub ends_at: Option<Timestamp>,
}

/// Says nothing of what opens a stream.
impl std::fmt::Debug for MadeTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeTicket").finish_non_exhaustive()
    }
}

impl Tickets {
    pub(crate) fn new(secret: Seal, lasts: Duration, now: Timestamp) -> Self {
        let table = Mutex::new(TicketTable::new(TICKETS_MAX, now));
        Self { secret, lasts, table, telling: OnceLock::new() }
    }

    /// From now on nodes share them, of which `run` tells this process from all others.
    pub(crate) fn share(&self, run: u64) {
        self.telling.get_or_init(|| (Mutex::new(Teller::new(run)), Notify::new()));
    }

    /// Asks what tells other nodes, where there are any.
    fn tell<T>(&self, ask: impl FnOnce(&mut Teller) -> T) -> Option<T> {
        let (teller, something) = self.telling.get()?;
        let answer = ask(&mut teller.lock().unwrap_or_else(PoisonError::into_inner));
        something.notify_one();
        Some(answer)
    }

    /// Tells other nodes of tickets, as they are opened and let go of, for ever.
    pub(crate) async fn tell_others(&self, records: &Records) {
        let Some((teller, something)) = self.telling.get() else { return };
        let teller = || teller.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            something.notified().await;
            let pending = teller().pending();
            if pending.is_empty() {
                continue;
            }
            if let Err(error) = records.write_however_long(pending, |_| ()).await {
                tracing::warn!(%error, "Other nodes are not told of tickets yet; trying again.");
                teller().failed();
                tokio::time::sleep(TICKETS_TOLD_RETRY).await;
                something.notify_one();
            }
        }
    }

    /// Takes in what nodes have told. Blocks on the disk.
    pub(crate) fn restore_told(&self, records: &Records, now: Timestamp) -> Result<(), Error> {
        self.take_in_told(|| records.read(told::PREFIX), now)
    }

    fn take_in_told(
        &self,
        read: impl FnOnce() -> Result<Vec<Record>, Error>,
        now: Timestamp,
    ) -> Result<(), Error> {
        // What nodes tell meanwhile waits: it is newer than what is read.
        let mut table = self.table();
        let found = read()?;
        // What was opened before is known.
        table.go_on(std::iter::empty(), now);
        for record in found {
            if let (Some(id), Some(told)) = (told::id(&record.key), Told::read(&record.value)) {
                self.hear(&mut table, (id, &told), now);
            }
        }
        Ok(())
    }

    /// A record of a ticket was changed, maybe by another node. `displaced` is told of the connection that
    /// had the ticket here, while that still has its number.
    pub(crate) fn on_change<T>(
        &self,
        key: &str,
        value: Option<&[u8]>,
        (now, displaced): (Timestamp, impl FnOnce(Principal) -> T),
    ) -> Option<T> {
        let id = told::id(key)?;
        let mut table = self.table();
        let Some(value) = value else {
            self.tell(|teller| teller.hear_gone(id));
            return None;
        };
        let before = self.hear(&mut table, (id, &Told::read(value)?), now)?;
        u32::try_from(before).ok().map(|before| displaced(Principal(before)))
    }

    /// Another node has told of a ticket. The connection that had it here.
    fn hear(
        &self,
        table: &mut TicketTable,
        (id, told): (TicketId, &Told),
        now: Timestamp,
    ) -> Option<u64> {
        let is_elsewhere = self.tell(|teller| teller.hear(id, told, moment(now)))?;
        let of = (told.ends_at, told.until, told.whose.as_deref());
        is_elsewhere.then(|| table.elsewhere(id, of, now))?
    }

    /// Lets go of what nodes have told that is over.
    pub(crate) async fn keep_house(&self, records: &Records, now: Timestamp) -> Result<(), Error> {
        let over = self.tell(|teller| teller.over(moment(now))).unwrap_or_default();
        if over.is_empty() {
            return Ok(());
        }
        records.write_however_long(over, |_| ()).await
    }

    /// Takes in what the process before has left, if it has ended in order. Blocks on the disk.
    pub(crate) fn restore(&self, records: &Records, now: Timestamp) -> Result<(), Error> {
        let found = records.read(left::PREFIX)?;
        if found.is_empty() {
            return Ok(());
        }
        self.table().go_on(found.iter().flat_map(|record| left::read(&record.value)), now);
        // What is in use from now on these do not say.
        let gone = found.into_iter().map(|it| RecordChange { key: it.key, value: None });
        records.queue(gone.collect())
    }

    /// Leaves to the next process which are in use.
    pub(crate) async fn leave(&self, records: &Records) -> Result<(), Error> {
        let now = clock::now();
        let until = now.saturating_add(TICKET_UNUSED_MAX);
        let told = self.tell(|teller| {
            teller.leave(until, moment(now));
            teller.pending()
        });
        if let Some(told) = told {
            // Nodes tell all else as it comes.
            return if told.is_empty() { Ok(()) } else { records.write(told, |_| ()).await };
        }
        let left: Vec<_> = self.table().left().collect();
        records.write(left::written(&left), |_| ()).await
    }

    /// Makes a ticket of whoever has shown a credential.
    pub(crate) fn make(
        &self,
        identity: &Identity,
        bound: Bound,
        Moment { at, now }: Moment,
    ) -> Result<MadeTicket, Problem> {
        match &identity.means {
            Means::Anonymous => return Err(refusal::missing()),
            Means::Open | Means::Ticket(_) => {
                let detail = "a ticket is made of a credential that is no ticket itself";
                return Err(Problem::new(Code::TicketUnavailable, detail));
            }
            _ => {}
        }
        let behind = identity.behind();
        let random = secret::name(Code::TicketUnavailable)?;
        let ends_at = identity.claims.ends_at.unwrap_or(now.saturating_add(self.lasts));
        let claims = Claims { ends_at: Some(ends_at), ..identity.claims.clone() };
        let holder = (claims, &*identity.roles);
        let ticket = Ticket::new(TicketId::new(random), holder, bound, now);
        let claims = ticket.claims.clone().issued(Some(at));
        let ticket = Ticket { behind, claims, issued_at: at, ..ticket };
        let text = ticket.seal(self.secret.get()).map_err(|error| {
            let detail = format!("with what the credential says, and these topics: {error}");
            Problem::new(Code::TicketUnavailable, detail)
        })?;
        Ok(MadeTicket { text, opens_until: ticket.opens_until, ends_at: ticket.claims.ends_at })
    }

    /// The ticket that an address has.
    pub(crate) fn read(&self, text: &str) -> Result<Ticket, Invalid> {
        Ticket::open(text, self.secret.get()).ok_or_else(|| {
            tracing::debug!("A ticket was refused: this server has not made it.");
            Invalid
        })
    }

    /// A connection comes with a ticket that is good for what it asks. `displaced` is told of the one
    /// that had it until now, while that still has its number.
    pub(crate) fn open<T>(
        &self,
        ticket: &Ticket,
        principal: Principal,
        now: Timestamp,
        displaced: impl FnOnce(Principal) -> T,
    ) -> Result<Option<T>, TicketRefusal> {
        let whose = self.whose(ticket);
        let mut table = self.table();
        let before = table.open(ticket, (principal.0.into(), &whose), now)?;
        let ends_at = ticket.claims.ends_at.unwrap_or(ticket.issued_at);
        self.tell(|teller| teller.open(ticket.id, (ends_at, &whose), moment(now)));
        Ok(before.and_then(|before| u32::try_from(before).ok()).map(|it| displaced(Principal(it))))
    }

    /// A connection with a ticket has ended, and still has its number.
    pub(crate) fn closed(&self, ticket: &Ticket, principal: Principal, now: Timestamp) {
        let mut table = self.table();
        if let Some(until) = table.closed(ticket.id, principal.0.into(), now) {
            self.tell(|teller| teller.close(ticket.id, until, moment(now)));
        }
    }

    /// What names somebody's tickets as theirs. Among nodes it is read by whoever can read the engine.
    fn whose(&self, ticket: &Ticket) -> String {
        let subject = &*ticket.claims.subject;
        match self.telling.get() {
            Some(_) => self.secret.get().holder(subject),
            None => subject.to_owned(),
        }
    }

    fn table(&self) -> MutexGuard<'_, TicketTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moment(now: Timestamp) -> told::Moment {
    told::Moment { now, uptime: clock::uptime() }
}

/// Whose ticket it is: they may follow what it is for, as far as their roles allow today, and nothing
/// else.
pub(crate) fn held(policy: &Policy, ticket: Ticket) -> Result<Identity, Invalid> {
    let (claims, roles) = (ticket.claims.clone(), ticket.roles.clone());
    let all = policy.rights(roles.iter().map(|role| &**role), &claims);
    let subscribe = all.subscribe.intersection(&ticket.bound.filters).map_err(|_| Invalid)?;
    let Rights { query, alerts, is_cut, limits, .. } = all;
    let rights = Rights { subscribe, query, alerts, is_cut, limits, ..Rights::none() };
    Ok(Identity { claims, means: Means::Ticket(Arc::new(ticket)), roles, rights })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwire_access::ServerSecret;
    use bellwire_journal::{MemoryJournal, Observer};
    use bellwire_model::{Entry, Epoch, Filter, FilterSet};

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn tickets(records: &Records, now: Timestamp) -> Tickets {
        let secret = ServerSecret::new(&[7; 32]).expect("long enough");
        let tickets = Tickets::new(Seal::of(secret), 12 * HOUR, now);
        tickets.restore(records, now).expect("records");
        tickets
    }

    fn made(tickets: &Tickets) -> Ticket {
        made_at(tickets, Moment { at: NOW, now: NOW })
    }

    fn made_at(tickets: &Tickets, at: Moment) -> Ticket {
        let filters = FilterSet::new(["a".parse::<Filter>().expect("a filter")]).expect("filters");
        let claims = Claims::new("ada", BTreeMap::new(), None).expect("claims");
        let ada = Identity { claims, means: Means::Password, ..Identity::open() };
        let made = tickets.make(&ada, Bound { filters, origin: None }, at).expect("a ticket");
        tickets.read(&made.text).expect("its own")
    }

    fn open(tickets: &Tickets, ticket: &Ticket, now: Timestamp) -> Result<(), TicketRefusal> {
        tickets.open(ticket, Principal(7), now, |_| ()).map(|_| ())
    }

    #[test]
    fn a_ticket_opens_and_ends_by_the_clock_however_late_it_says_to_be_issued() {
        let moment = Moment { at: NOW.saturating_add(24 * 365 * HOUR), now: NOW };
        let ticket = made_at(&tickets(&Records::default(), NOW), moment);
        assert_eq!((ticket.issued_at, ticket.claims.issued_at), (moment.at, Some(moment.at)));
        assert_eq!(ticket.opens_until, NOW.saturating_add(Duration::from_mins(1)));
        assert_eq!(ticket.claims.ends_at, Some(NOW.saturating_add(12 * HOUR)));
    }

    #[test]
    fn what_a_node_tells_while_another_reads_at_its_start_counts() {
        let tickets = tickets(&Records::default(), NOW);
        tickets.share(7);
        let key = format!("{}AAAAAAAAAAAAAAAAAAAAAA", told::PREFIX);
        let [older, newer] = [HOUR, 2 * HOUR].map(|it| NOW.saturating_add(it));
        let said = |by: &str, end: Timestamp| format!("{by} {0} {0} open", end.as_ms());
        let (first, second) = (said("a-1", older), said("b-1", newer));
        std::thread::scope(|scope| {
            let read = || {
                let hear = || tickets.on_change(&key, Some(second.as_bytes()), (NOW, |_| ()));
                scope.spawn(hear);
                // Whoever would not wait is done by then.
                while tickets.table.try_lock().is_ok_and(|table| table.is_empty()) {
                    std::thread::yield_now();
                }
                Ok(vec![Record { key: key.as_str().into(), value: first.into() }])
            };
            tickets.take_in_told(read, NOW).expect("read");
        });
        let ends: Vec<Timestamp> = tickets.table().left().map(|(_, ends_at)| ends_at).collect();
        assert_eq!(ends, [newer]);
    }

    #[tokio::test]
    async fn a_ticket_that_was_never_opened_is_late_after_a_restart_too() {
        let records = Records::default();
        records.keep_in(Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody))));
        let first = tickets(&records, NOW);
        let (used, never) = (made(&first), made(&first));
        assert_eq!(open(&first, &used, NOW), Ok(()));
        first.leave(&records).await.expect("kept");
        let later = NOW.saturating_add(HOUR);
        let second = tickets(&records, later);
        assert_eq!(open(&second, &never, later), Err(TicketRefusal::Late));
        assert_eq!(open(&second, &used, later), Ok(()));
        // What was queued is through once something behind it is.
        let behind = RecordChange { key: "access/behind".into(), value: None };
        records.write(vec![behind], |_| ()).await.expect("kept");
        // After a crash nobody knows which were in use.
        let third = tickets(&records, later);
        assert_eq!(open(&third, &never, later), Ok(()));
        // One that has none in use says so.
        tickets(&records, later).leave(&records).await.expect("kept");
        assert_eq!(open(&tickets(&records, later), &used, later), Err(TicketRefusal::Late));
    }
}
