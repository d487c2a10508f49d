//! Which tickets are in use, and by which connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_model::Timestamp;
use bellwire_model::limits::TICKET_UNUSED_MAX;

use super::{Ticket, TicketId, TicketRefusal};

/// The tickets that have been opened. Each is used by one connection, the newest; whoever opens it
/// again takes it over, since an `EventSource` that has lost its connection comes back before the
/// server knows.
///
/// A subject has as many at most as are left for all others: whoever opens very many leaves room for
/// whoever comes then, however many do so.
///
/// A restart ends no stream: what a process [leaves](Self::left) the next one [goes on](Self::go_on)
/// with. Where it could leave nothing, a ticket that was made before the table began may have been opened
/// before it, so it can be taken up for as long as an unused one can.
#[derive(Debug)]
pub struct TicketTable {
    /// Which were opened before is not known. `None`: it is.
    began_at: Option<Timestamp>,
    entries: BTreeMap<TicketId, Entry>,
    /// When each of them goes.
    deadlines: BTreeSet<(Timestamp, TicketId)>,
    /// How many each subject has.
    by_subject: BTreeMap<Arc<str>, usize>,
    tickets_max: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    subject: Arc<str>,
    /// The connection that uses it, while one does.
    connection: Option<u64>,
    deadline: Timestamp,
    ends_at: Timestamp,
    /// Until when it could be opened if it were not here: it must stay here for as long.
    opens_until: Timestamp,
}

impl TicketTable {
    /// An empty table of at most `tickets_max`, which begins now.
    pub fn new(tickets_max: usize, now: Timestamp) -> Self {
        let (entries, deadlines) = (BTreeMap::new(), BTreeSet::new());
        Self { began_at: Some(now), entries, deadlines, by_subject: BTreeMap::new(), tickets_max }
    }

    /// A connection comes with a ticket that is good for its request, of somebody whom all their tickets name so.
    /// Says which other connection it takes the ticket from: that one has to end.
    pub fn open(
        &mut self,
        ticket: &Ticket,
        (connection, whose): (u64, &str),
        now: Timestamp,
    ) -> Result<Option<u64>, TicketRefusal> {
        self.expire(now);
        let ends_at = ticket.ends_at();
        if now >= ends_at {
            return Err(TicketRefusal::Expired);
        }
        let opens_until = self.opens_until(ticket);
        let before = match self.entries.get(&ticket.id) {
            Some(entry) => entry.connection,
            None if now >= opens_until => return Err(TicketRefusal::Late),
            None if !self.has_room_for(whose) => return Err(TicketRefusal::Full),
            None => None,
        };
        let (subject, connection) = (self.known(whose), Some(connection));
        let entry = Entry { subject, connection, deadline: ends_at, ends_at, opens_until };
        self.put(ticket.id, entry);
        Ok(before.filter(|other| Some(*other) != connection))
    }

    /// A connection with a ticket has ended. Where another has taken the ticket over, nothing changes. Until
    /// when it may be taken up, where it was this one's.
    pub fn closed(&mut self, id: TicketId, connection: u64, now: Timestamp) -> Option<Timestamp> {
        self.expire(now);
        let entry = self.entries.get(&id).filter(|entry| entry.connection == Some(connection))?;
        let unused_until = now.saturating_add(TICKET_UNUSED_MAX).max(entry.opens_until);
        let deadline = unused_until.min(entry.ends_at);
        let entry = Entry { connection: None, deadline, ..entry.clone() };
        self.put(id, entry);
        Some(deadline)
    }

    /// Those that are in use, or were of late, and until when each of them counts.
    pub fn left(&self) -> impl Iterator<Item = (TicketId, Timestamp)> {
        self.entries.iter().map(|(id, entry)| (*id, entry.ends_at))
    }

    /// Goes on with what another table has left: all that may have been opened before this one.
    pub fn go_on(&mut self, left: impl Iterator<Item = (TicketId, Timestamp)>, now: Timestamp) {
        self.began_at = None;
        // Whose they are shows when they are taken up.
        let subject: Arc<str> = "".into();
        for (id, ends_at) in left.take(self.tickets_max) {
            let deadline = now.saturating_add(TICKET_UNUSED_MAX).min(ends_at);
            let (subject, opens_until) = (Arc::clone(&subject), now);
            self.put(id, Entry { subject, connection: None, deadline, ends_at, opens_until });
        }
    }

    /// It is in use at another node, or was until now: until when it may be taken up here, at most, and whose it
    /// is where that is known. Says which connection it is taken from.
    pub fn elsewhere(
        &mut self,
        id: TicketId,
        (ends_at, until, whose): (Timestamp, Timestamp, Option<&str>),
        now: Timestamp,
    ) -> Option<u64> {
        self.expire(now);
        let before = self.entries.get(&id);
        if before.is_none() && self.entries.len() >= self.tickets_max {
            return None;
        }
        let connection = before.and_then(|before| before.connection);
        let subject = match (whose, before) {
            (Some(whose), _) => self.known(whose),
            (None, Some(before)) => Arc::clone(&before.subject),
            (None, None) => "".into(),
        };
        let opens_until = before.map_or(now, |before| before.opens_until);
        // One that could be opened if it were not here has to stay for as long.
        let deadline = until.max(opens_until).min(ends_at);
        self.put(id, Entry { subject, connection: None, deadline, ends_at, opens_until });
        self.expire(now);
        connection
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn opens_until(&self, ticket: &Ticket) -> Timestamp {
        match self.began_at {
            Some(began_at) if ticket.issued_at < began_at => {
                ticket.opens_until.max(began_at.saturating_add(TICKET_UNUSED_MAX))
            }
            _ => ticket.opens_until,
        }
    }

    fn has_room_for(&self, subject: &str) -> bool {
        let left = self.tickets_max.saturating_sub(self.entries.len());
        self.by_subject.get(subject).copied().unwrap_or_default() < left
    }

    fn known(&self, whose: &str) -> Arc<str> {
        let known = self.by_subject.get_key_value(whose);
        known.map_or_else(|| whose.into(), |(it, _)| Arc::clone(it))
    }

    fn put(&mut self, id: TicketId, entry: Entry) {
        self.remove(id);
        *self.by_subject.entry(Arc::clone(&entry.subject)).or_default() += 1;
        self.deadlines.insert((entry.deadline, id));
        self.entries.insert(id, entry);
    }

    fn remove(&mut self, id: TicketId) {
        let Some(Entry { subject, deadline, .. }) = self.entries.remove(&id) else { return };
        self.deadlines.remove(&(deadline, id));
        if let Some(count) = self.by_subject.get_mut(&subject) {
            *count -= 1;
            if *count == 0 {
                self.by_subject.remove(&subject);
            }
        }
    }

    /// Lets go of those whose time is over.
    fn expire(&mut self, now: Timestamp) {
        while let Some((deadline, id)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::limits::TICKET_OPENS_WITHIN;
    use bellwire_model::{Filter, FilterSet};
    use proptest::prelude::*;

    use super::*;
    use crate::claims::Claims;
    use crate::ticket::Bound;

    impl TicketTable {
        /// By somebody whom all their tickets name by their subject.
        fn opened(
            &mut self,
            ticket: &Ticket,
            connection: u64,
            now: Timestamp,
        ) -> Result<Option<u64>, TicketRefusal> {
            self.open(ticket, (connection, &ticket.claims.subject), now)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_ms(1_800_000_000_000 + second * 1000)
    }

    /// Those with odd names are of one subject, the others of another.
    fn ticket(name: u8, issued: i64, ends: i64) -> Ticket {
        let subject = if name % 2 == 1 { "ann" } else { "bob" };
        let claims = Claims::new(subject, BTreeMap::new(), Some(at(ends))).unwrap();
        let filters = FilterSet::new(["**".parse::<Filter>().unwrap()]).unwrap();
        let bound = Bound { filters, origin: None };
        Ticket::new(TicketId::new([name; 16]), (claims, &[]), bound, at(issued))
    }

    #[test]
    fn a_ticket_that_another_node_opens_is_taken_from_the_connection_here_and_resumes() {
        let mut table = TicketTable::new(10, at(0));
        let ticket = ticket(1, 0, 3600);
        assert_eq!(table.opened(&ticket, 1, at(1)), Ok(None));
        assert_eq!(table.elsewhere(ticket.id, (at(3600), at(3600), None), at(2)), Some(1));
        assert_eq!(table.elsewhere(ticket.id, (at(3600), at(3600), None), at(3)), None);
        // The one that it was taken from ends, and says nothing of it any more.
        table.closed(ticket.id, 1, at(4));
        assert_eq!(table.opened(&ticket, 2, at(3000)), Ok(None));
        // It is let go of there, and nobody takes it up in time.
        assert_eq!(table.elsewhere(ticket.id, (at(3600), at(3120), None), at(3000)), Some(2));
        assert_eq!(table.opened(&ticket, 3, at(3119)), Ok(None));
        assert_eq!(table.elsewhere(ticket.id, (at(3600), at(3200), None), at(3119)), Some(3));
        assert_eq!(table.opened(&ticket, 4, at(3200)), Err(TicketRefusal::Late));
        // One that was never opened here is known, and no more than there is room for.
        let mut small = TicketTable::new(1, at(0));
        let [one, other] = [3, 5].map(|name| super::tests::ticket(name, 0, 3600));
        for ticket in [&one, &other] {
            assert_eq!(small.elsewhere(ticket.id, (at(3600), at(3600), None), at(100)), None);
        }
        assert_eq!(small.opened(&one, 1, at(200)), Ok(None));
        assert_eq!(small.opened(&other, 1, at(200)), Err(TicketRefusal::Late));
    }

    #[test]
    fn what_somebody_has_in_use_at_other_nodes_counts_in_their_share() {
        let mut table = TicketTable::new(8, at(0));
        let ends = (at(3600), at(3600), Some("ann"));
        for name in [1, 3, 5] {
            let there = ticket(name, 100, 3600);
            assert_eq!(table.elsewhere(there.id, ends, at(100)), None);
        }
        assert_eq!(table.opened(&ticket(7, 100, 3600), 1, at(100)), Ok(None));
        let more = ticket(9, 100, 3600);
        assert_eq!(table.opened(&more, 2, at(100)), Err(TicketRefusal::Full));
        assert_eq!(table.opened(&ticket(2, 100, 3600), 3, at(100)), Ok(None));
        // What is let go of there is theirs no more.
        let gone = (at(3600), at(101), Some("ann"));
        table.elsewhere(ticket(1, 100, 3600).id, gone, at(100));
        table.elsewhere(ticket(3, 100, 3600).id, gone, at(100));
        assert_eq!(table.opened(&more, 2, at(150)), Ok(None));
    }

    #[test]
    fn a_ticket_opens_once_in_time_and_then_only_resumes() {
        let mut table = TicketTable::new(10, at(0));
        let ticket = ticket(1, 0, 3600);
        assert_eq!(table.opened(&ticket, 1, at(59)), Ok(None));
        table.closed(ticket.id, 1, at(1000));
        assert_eq!(table.opened(&ticket, 2, at(1119)), Ok(None));
        table.closed(ticket.id, 2, at(1200));
        assert_eq!(table.opened(&ticket, 3, at(1320)), Err(TicketRefusal::Late));
        let late = super::tests::ticket(2, 0, 3600);
        assert_eq!(table.opened(&late, 4, at(1320)), Err(TicketRefusal::Late));
    }

    #[test]
    fn the_newest_connection_wins() {
        let mut table = TicketTable::new(10, at(0));
        let ticket = ticket(1, 0, 3600);
        assert_eq!(table.opened(&ticket, 1, at(0)), Ok(None));
        assert_eq!(table.opened(&ticket, 2, at(500)), Ok(Some(1)));
        table.closed(ticket.id, 1, at(501));
        assert_eq!(
            table.opened(&ticket, 3, at(900)),
            Ok(Some(2)),
            "the second had it all the time"
        );
        assert_eq!(table.opened(&ticket, 4, at(3600)), Err(TicketRefusal::Expired));
        assert!(table.is_empty());
    }

    #[test]
    fn a_restart_ends_no_stream_and_opens_no_old_ticket_for_long() {
        let ticket = ticket(1, 0, 3600);
        let mut table = TicketTable::new(10, at(1000));
        assert_eq!(table.opened(&ticket, 1, at(1119)), Ok(None));
        let mut later = TicketTable::new(10, at(1000));
        assert_eq!(later.opened(&ticket, 1, at(1120)), Err(TicketRefusal::Late));
    }

    #[test]
    fn no_more_are_kept_than_the_bound_and_unused_ones_make_room() {
        let mut table = TicketTable::new(2, at(0));
        let [one, two, three] = [1, 2, 3].map(|name| ticket(name, 100, 3600));
        table.opened(&one, 1, at(100)).unwrap();
        table.opened(&two, 2, at(100)).unwrap();
        assert_eq!(table.opened(&three, 3, at(100)), Err(TicketRefusal::Full));
        assert_eq!(table.opened(&one, 4, at(100)), Ok(Some(1)), "one that is there needs no room");
        table.closed(one.id, 4, at(101));
        let three = ticket(3, 200, 3600);
        assert_eq!(table.opened(&three, 3, at(221)), Ok(None));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn what_a_table_has_left_is_taken_up_and_nothing_else_is_opened_late() {
        let [used, never] = [1, 2].map(|name| ticket(name, 0, 3600));
        let mut table = TicketTable::new(10, at(0));
        table.opened(&used, 1, at(59)).unwrap();
        let mut next = TicketTable::new(10, at(1000));
        next.go_on(table.left(), at(1000));
        assert_eq!(next.opened(&never, 1, at(1001)), Err(TicketRefusal::Late));
        assert_eq!(next.opened(&used, 2, at(1119)), Ok(None));
        assert_eq!(next.opened(&used, 3, at(1500)), Ok(Some(2)));
        let mut later = TicketTable::new(10, at(1000));
        later.go_on(table.left(), at(1000));
        assert_eq!(later.opened(&used, 1, at(1120)), Err(TicketRefusal::Late));
    }

    #[test]
    fn whoever_opens_very_many_leaves_room_for_others() {
        let mut table = TicketTable::new(100, at(0));
        let mut opened = |names: std::ops::Range<u8>| {
            let mut open = |name| table.opened(&ticket(name, 100, 3600), name.into(), at(100));
            names.filter(|name| name % 2 == 1).filter(|name| open(*name).is_ok()).count()
        };
        assert_eq!(opened(0..200), 50, "a half of all");
        let mut open = |name| table.opened(&ticket(name, 100, 3600), name.into(), at(100));
        let bobs = (0..200).filter(|name| name % 2 == 0).filter(|name| open(*name).is_ok());
        assert_eq!(bobs.count(), 25, "a half of what is left");
        assert_eq!(table.len(), 75);
    }

    /// A ticket as a person would keep account of it.
    #[derive(Clone, Copy, Debug)]
    enum Account {
        Unopened,
        Used { by: u64 },
        Unused { since: i64 },
    }

    const BEGAN: i64 = 1_000;
    const MAX: usize = 4;

    struct Model {
        tickets: Vec<(Ticket, i64, i64, Account)>,
    }

    impl Model {
        fn is_kept(&self, place: usize, second: i64) -> bool {
            let (_, issued, ends, account) = &self.tickets[place];
            let (issued, ends) = (*issued, *ends);
            match *account {
                _ if second >= ends => false,
                Account::Unopened => false,
                Account::Used { .. } => true,
                Account::Unused { since } => second < (since + 120).max(Self::opens(issued)),
            }
        }

        fn opens(issued: i64) -> i64 {
            let within = issued + TICKET_OPENS_WITHIN.as_secs() as i64;
            if issued < BEGAN { within.max(BEGAN + 120) } else { within }
        }

        fn open(
            &mut self,
            place: usize,
            by: u64,
            second: i64,
        ) -> Result<Option<u64>, TicketRefusal> {
            let kept = || (0..self.tickets.len()).filter(|place| self.is_kept(*place, second));
            let subject = |place: usize| &self.tickets[place].0.claims.subject;
            let own = kept().filter(|other| subject(*other) == subject(place)).count();
            let left = MAX - kept().count();
            let (_, issued, ends, account) = &self.tickets[place];
            let (issued, ends, account) = (*issued, *ends, *account);
            if second >= ends {
                return Err(TicketRefusal::Expired);
            }
            if !self.is_kept(place, second) {
                if second >= Self::opens(issued) {
                    return Err(TicketRefusal::Late);
                }
                if own >= left {
                    return Err(TicketRefusal::Full);
                }
            }
            let before = if let Account::Used { by } = account { Some(by) } else { None };
            self.tickets[place].3 = Account::Used { by };
            Ok(before)
        }

        fn closed(&mut self, place: usize, by: u64, second: i64) {
            if let Account::Used { by: user } = self.tickets[place].3
                && user == by
            {
                self.tickets[place].3 = Account::Unused { since: second };
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Open(prop::sample::Index),
        Close { ticket: prop::sample::Index, back: u64 },
        Pass(i64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => any::<prop::sample::Index>().prop_map(Act::Open),
            2 => (any::<prop::sample::Index>(), 0_u64..4)
                .prop_map(|(ticket, back)| Act::Close { ticket, back }),
            3 => prop_oneof![0..5_i64, 50..70_i64, 110..130_i64, 0..2_000_i64].prop_map(Act::Pass),
        ]
    }

    proptest! {
        /// Whatever happens, the table says what a list with every ticket's account says, and keeps no
        /// more than its bound.
        #[test]
        fn the_table_agrees_with_a_plain_account(
            made in prop::collection::vec((900_i64..2_500, 1_i64..3_000), 1..6),
            acts in prop::collection::vec(act(), 1..80),
        ) {
            let tickets = made.iter().zip(0..).map(|((issued, lasts), name)| {
                (ticket(name, *issued, issued + lasts), *issued, issued + lasts, Account::Unopened)
            });
            let mut model = Model { tickets: tickets.collect() };
            let mut table = TicketTable::new(MAX, at(BEGAN));
            let (mut second, mut connection) = (BEGAN, 0);
            for act in acts {
                match act {
                    Act::Pass(seconds) => second += seconds,
                    Act::Open(index) => {
                        let place = index.index(model.tickets.len());
                        connection += 1;
                        let opened = table.opened(&model.tickets[place].0, connection, at(second));
                        prop_assert_eq!(opened, model.open(place, connection, second));
                    }
                    Act::Close { ticket, back } => {
                        let place = ticket.index(model.tickets.len());
                        let by = connection.saturating_sub(back);
                        table.closed(model.tickets[place].0.id, by, at(second));
                        model.closed(place, by, second);
                    }
                }
                prop_assert!(table.len() <= MAX);
                prop_assert_eq!(table.entries.len(), table.deadlines.len());
                prop_assert_eq!(table.entries.len(), table.by_subject.values().sum::<usize>());
            }
        }
    }
}
