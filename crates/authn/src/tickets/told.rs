//! What nodes tell each other of tickets: who has opened one last, and whether it is in use.
//!
//! ```text
//! access/ticket/<name>: "<by whom> <ends at> <until when it may be taken up> <open|closed> <for how long> <whose it is> <when it was opened>"
//! ```
//!
//! Whose it is no subject: what stands for one, keyed with what nodes share. What is not known is `-`.
//! The newest that was opened counts: whoever has opened the ticket before lets go of it. That one was let
//! go of says nothing of any other: it may have been on its way while another was opened, and is told once
//! more what it is then. Whoever has told of one takes its record away; others do where that one is gone,
//! and by no clock that may be ahead.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_access::ID_BYTES;
use bellwire_access::ticket::TicketId;
use bellwire_journal::RecordChange;
use bellwire_model::Timestamp;
use bellwire_model::limits::SESSION_DEFAULT;

/// What the records begin with.
pub(crate) const PREFIX: &str = "access/ticket/";

/// What one says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Which opening of which process it is.
    pub(super) by: Box<str>,
    pub(super) ends_at: Timestamp,
    /// Until when it may be taken up, as long as nobody else says something.
    pub(super) until: Timestamp,
    /// Whether that opening is over.
    is_closed: bool,
    /// For how long it may be taken up from when it was told, in milliseconds. Versions before say nothing
    /// of it.
    left_ms: Option<u64>,
    /// Nothing where the node of before has not said it.
    pub(super) whose: Option<Box<str>>,
    /// When it was opened, later than all that was known of it there: it may be on its way for longer than the
    /// opening that follows it. Nothing where a node of before does not say it.
    opened_ms: Option<i64>,
}

/// Stands for what is not known.
const UNKNOWN: &str = "-";

/// One, and the system's uptime at which this node heard of it.
#[derive(Clone, Debug)]
struct Known {
    told: Told,
    heard_at: Duration,
}

/// What the clocks say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) uptime: Duration,
}

impl Told {
    pub(super) fn change(&self, id: TicketId) -> RecordChange {
        let Self { by, ends_at, until, is_closed, left_ms, whose, opened_ms } = self;
        let word = if *is_closed { "closed" } else { "open" };
        let left = left_ms.map_or_else(|| UNKNOWN.to_owned(), |left_ms| left_ms.to_string());
        let opened =
            opened_ms.map_or_else(|| UNKNOWN.to_owned(), |opened_ms| opened_ms.to_string());
        let (whose, ends_at) = (whose.as_deref().unwrap_or(UNKNOWN), ends_at.as_ms());
        let text = format!("{by} {ends_at} {} {word} {left} {whose} {opened}", until.as_ms());
        RecordChange { key: key(id), value: Some(text.into_bytes().into()) }
    }

    /// How much of it is left by its own clock, for nodes to which another one says something else.
    fn from(self, now: Timestamp) -> Self {
        let left = self.until.saturating_since(now).as_millis();
        Self { left_ms: Some(u64::try_from(left).unwrap_or(u64::MAX)), ..self }
    }

    /// For how long others leave its record.
    fn lasts(&self) -> Duration {
        self.left_ms.map_or(SESSION_DEFAULT, Duration::from_millis)
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(value).ok()?.split(' ');
        let (by, ends_at, until) = (parts.next()?, parts.next()?, parts.next()?);
        let time = |text: &str| text.parse().ok().map(Timestamp::from_ms);
        let (ends_at, until) = (time(ends_at)?, time(until)?);
        let is_closed = parts.next() == Some("closed") || until < ends_at;
        let left_ms = parts.next().and_then(|left| left.parse().ok());
        let whose = parts.next().filter(|whose| *whose != UNKNOWN).map(Into::into);
        let opened_ms = parts.next().and_then(|opened| opened.parse().ok());
        Some(Self { by: by.into(), ends_at, until, is_closed, left_ms, whose, opened_ms })
    }

    /// Whether it was opened behind another, as all nodes see it, in whichever order the log has the two.
    fn is_behind(&self, other: &Self) -> bool {
        let [own, others] = [self, other].map(|it| it.opened_ms.map(|at| (at, &it.by)));
        own.zip(others).is_some_and(|(own, others)| own > others)
    }
}

/// The ticket that a record is of.
pub(super) fn id(key: &str) -> Option<TicketId> {
    let bytes = BASE64_URL.decode(key.strip_prefix(PREFIX)?).ok()?;
    Some(TicketId::new(<[u8; ID_BYTES]>::try_from(bytes).ok()?))
}

pub(super) fn key(id: TicketId) -> Box<str> {
    format!("{PREFIX}{}", BASE64_URL.encode(id.bytes())).into()
}

/// What this node knows of what was told.
#[derive(Debug)]
pub(super) struct Teller {
    /// Tells this process from all others.
    run: u64,
    opened: u64,
    told: HashMap<TicketId, Known>,
    /// What is to be told, and what was and has not come back yet: it stands behind all that others have said
    /// until then.
    pending: HashMap<TicketId, Told>,
    under_way: HashMap<TicketId, Told>,
}

impl Teller {
    pub(super) fn new(run: u64) -> Self {
        let (told, pending, under_way) = Default::default();
        Self { run, opened: 0, told, pending, under_way }
    }

    /// A ticket is opened here.
    pub(super) fn open(&mut self, id: TicketId, (ends_at, whose): (Timestamp, &str), at: Moment) {
        self.opened += 1;
        let by = format!("{:016x}-{}", self.run, self.opened).into();
        let (until, whose) = (ends_at, Some(whose.into()));
        let before = self.told.get(&id).and_then(|known| known.told.opened_ms);
        let opened_ms = before.map_or(i64::MIN, |before| before + 1).max(at.now.as_ms());
        let opened_ms = Some(opened_ms);
        let told = Told { by, ends_at, until, is_closed: false, left_ms: None, whose, opened_ms };
        self.tell(id, told, at);
    }

    /// One that was opened here is used no more, unless another has it.
    pub(super) fn close(&mut self, id: TicketId, until: Timestamp, at: Moment) {
        if let Some(told) = self.own(id) {
            let told = Told { until: until.min(told.ends_at), is_closed: true, ..told.clone() };
            self.tell(id, told, at);
        }
    }

    /// What is to be told, which is under way from now on.
    pub(super) fn pending(&mut self) -> Vec<RecordChange> {
        let pending: Vec<(TicketId, Told)> = self.pending.drain().collect();
        let changes = pending.iter().map(|(id, told)| told.change(*id)).collect();
        self.under_way.extend(pending);
        changes
    }

    /// What was under way could not be told: it is to be told yet, as far as nothing newer is.
    pub(super) fn failed(&mut self) {
        for (id, told) in self.under_way.drain() {
            self.pending.entry(id).or_insert(told);
        }
    }

    /// The process ends, and with it all use of tickets here, which others may take up for so long.
    pub(super) fn leave(&mut self, until: Timestamp, at: Moment) {
        let is_open = |known: &Known| self.is_own(&known.told) && known.told.until > until;
        let open = self.told.iter().filter(|(_, known)| is_open(known));
        let open: Vec<TicketId> = open.map(|(id, _)| *id).collect();
        for id in open {
            self.close(id, until, at);
        }
    }

    /// A record says this. Whether another node has the ticket now.
    pub(super) fn hear(&mut self, id: TicketId, told: &Told, at: Moment) -> bool {
        if self.is_own(told) {
            if self.under_way.get(&id) == Some(told) {
                self.under_way.remove(&id);
            }
            return false;
        }
        let is_older = |known: &Known| {
            known.told.by != told.by && (told.is_closed || known.told.is_behind(told))
        };
        if self.told.get(&id).is_some_and(is_older) {
            // It was on its way when another was opened, whose record it has taken the place of.
            self.tell_again(id);
            return false;
        }
        if self.is_to_come(id) {
            let is_over = |own: &Told| own.is_closed || told.is_behind(own);
            if told.is_closed || !self.own(id).is_some_and(is_over) {
                return false;
            }
            // That an older one is closed says nothing of this.
            self.pending.remove(&id);
            self.under_way.remove(&id);
        }
        self.told.insert(id, Known { told: told.clone(), heard_at: at.uptime });
        true
    }

    /// A record is gone: that of one that is here is to be there.
    pub(super) fn hear_gone(&mut self, id: TicketId) {
        if self.own(id).is_some() {
            self.tell_again(id);
        } else {
            self.told.remove(&id);
        }
    }

    /// The records of which all is over: its own by its clock. Those of others are over by the time that they
    /// would last, which no clock says, since it may be ahead.
    pub(super) fn over(&mut self, at: Moment) -> Vec<RecordChange> {
        let own = self.own_prefix();
        let over = self.told.extract_if(|_, Known { told, heard_at }| {
            let is_own = told.by.starts_with(&*own);
            let is_due = || at.uptime.saturating_sub(*heard_at) >= told.lasts();
            told.until <= at.now && (is_own || is_due())
        });
        over.map(|(id, _)| RecordChange { key: key(id), value: None }).collect()
    }

    fn tell(&mut self, id: TicketId, told: Told, at: Moment) {
        let told = told.from(at.now);
        self.told.insert(id, Known { told: told.clone(), heard_at: at.uptime });
        self.pending.insert(id, told);
    }

    /// Has the record of one that was told here be right, unless it is on its way.
    fn tell_again(&mut self, id: TicketId) {
        if let Some(told) = self.own(id).filter(|_| !self.is_to_come(id)).cloned() {
            self.pending.insert(id, told);
        }
    }

    /// Whether something of it comes behind all that was heard.
    fn is_to_come(&self, id: TicketId) -> bool {
        self.under_way.contains_key(&id) || self.pending.contains_key(&id)
    }

    /// What was told here, where no other has it.
    fn own(&self, id: TicketId) -> Option<&Told> {
        self.told.get(&id).map(|known| &known.told).filter(|told| self.is_own(told))
    }

    fn is_own(&self, told: &Told) -> bool {
        told.by.starts_with(&*self.own_prefix())
    }

    fn own_prefix(&self) -> String {
        format!("{:016x}-", self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const AT: Moment = Moment { now: NOW, uptime: Duration::ZERO };

    #[test]
    fn whoever_opens_last_has_it_and_says_when_it_is_let_go_of() {
        let id = TicketId::new([7; ID_BYTES]);
        let (mut one, mut other) = (Teller::new(1), Teller::new(2));
        let said = |change: &RecordChange| {
            assert_eq!(super::id(&change.key), Some(id));
            Told::read(change.value.as_ref().expect("it says something")).expect("it is read")
        };
        let tell = |teller: &mut Teller| -> Told {
            let mut changes = teller.pending();
            assert_eq!(changes.len(), 1, "one for each ticket: {changes:?}");
            said(&changes.remove(0))
        };
        one.open(id, (later(3600), "ada"), AT);
        let first = tell(&mut one);
        assert_eq!((first.until, first.whose.as_deref()), (later(3600), Some("ada")));
        assert!(!one.hear(id, &first, AT) && other.hear(id, &first, AT));
        // What another has said before that is over with it, whenever it comes.
        one.open(id, (later(3600), "ada"), AT);
        let theirs = Told { by: "x".into(), ..first.clone() };
        assert!(!one.hear(id, &theirs, AT));
        let again = tell(&mut one);
        assert!(!one.hear(id, &theirs, AT));
        assert!(!one.hear(id, &again, AT) && other.hear(id, &again, AT));
        other.close(id, later(9), AT);
        assert!(other.pending().is_empty(), "it is not its own");
        other.open(id, (later(3600), "ada"), AT);
        let second = tell(&mut other);
        assert!(one.hear(id, &second, AT) && !other.hear(id, &second, AT));
        one.close(id, later(9), AT);
        assert!(one.pending().is_empty(), "another has it");
        other.close(id, later(9), AT);
        let closed = tell(&mut other);
        assert_eq!((closed.until, &closed.by), (later(9), &second.by));
        assert!(one.hear(id, &closed, AT));
        // What could not be told is told again, unless something newer is.
        one.open(id, (later(3600), "ada"), AT);
        let failed = tell(&mut one);
        one.failed();
        assert!(!one.hear(id, &closed, AT));
        assert_eq!(tell(&mut one), failed);
        one.open(id, (later(3600), "ada"), AT);
        one.failed();
        assert_ne!(tell(&mut one).by, failed.by);
        // What is open when the process ends is let go of soon, and all else stays as it is.
        one.leave(later(60), AT);
        let left = tell(&mut one);
        assert_eq!(left.until, later(60));
        one.leave(later(60), AT);
        assert!(one.pending().is_empty());
        assert!(!one.hear(id, &left, AT));
    }

    fn at(s: u64) -> Moment {
        Moment { now: NOW.saturating_add(Duration::from_secs(s)), uptime: Duration::from_secs(s) }
    }

    fn later(s: u64) -> Timestamp {
        at(s).now
    }

    /// Everything that one has to tell.
    fn said(teller: &mut Teller) -> Vec<Told> {
        let changes = teller.pending();
        let read = |it: &RecordChange| Told::read(it.value.as_ref().expect("it says something"));
        changes.iter().map(|it| read(it).expect("it is read")).collect()
    }

    fn one_of(teller: &mut Teller) -> Told {
        let mut all = said(teller);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn that_an_older_one_is_closed_takes_nothing_from_who_has_the_ticket_since() {
        let id = TicketId::new([7; ID_BYTES]);
        // The last one ends soon: when it may be taken up does not say that it was let go of.
        for ends_in in [3600, 60] {
            let [mut one, mut other, mut third] = [1, 2, 3].map(Teller::new);
            one.open(id, (later(ends_in), "ada"), AT);
            let first = one_of(&mut one);
            assert!(!one.hear(id, &first, AT) && other.hear(id, &first, AT));
            assert!(third.hear(id, &first, AT));
            // Its connection ends, and before it has heard of that the client has come to the other.
            one.close(id, later(120), AT);
            let closed = one_of(&mut one);
            other.open(id, (later(ends_in), "ada"), AT);
            let second = one_of(&mut other);
            // The log has the opening before the end of the older one.
            assert!(one.hear(id, &second, AT) && third.hear(id, &second, AT));
            assert!(!other.hear(id, &second, AT));
            assert!(!other.hear(id, &closed, AT), "it is in use here");
            assert!(!one.hear(id, &closed, AT) && !third.hear(id, &closed, AT));
            // Its record is right again, for whoever reads it at a start.
            let again = one_of(&mut other);
            assert_eq!(again, second);
            assert!(!other.hear(id, &again, AT) && said(&mut other).is_empty());
            assert!(one.hear(id, &again, AT), "no connection here has it");
            one.failed();
            assert!(said(&mut one).is_empty(), "what is over is not told again");
            // What is told behind another's opening takes it from that one.
            one.open(id, (later(ends_in), "ada"), AT);
            let third_time = one_of(&mut one);
            assert!(!one.hear(id, &second, AT) && other.hear(id, &third_time, AT));
        }
    }

    /// As where a node is cut off from the engine while a client opens there, and then elsewhere.
    #[test]
    fn an_opening_that_was_long_on_its_way_takes_nothing_from_the_one_behind_it() {
        let id = TicketId::new([7; ID_BYTES]);
        let [mut one, mut other, mut third] = [1, 2, 3].map(Teller::new);
        one.open(id, (later(3600), "ada"), at(0));
        let first = one_of(&mut one);
        other.open(id, (later(3600), "ada"), at(1));
        let second = one_of(&mut other);
        // The log has the newer one first.
        assert!(one.hear(id, &second, at(2)), "it is behind the own one, which is on its way");
        assert!(!other.hear(id, &second, at(2)) && third.hear(id, &second, at(2)));
        assert!(!one.hear(id, &first, at(3)) && said(&mut one).is_empty());
        assert!(!other.hear(id, &first, at(3)) && !third.hear(id, &first, at(3)));
        // Its record is right again.
        let again = one_of(&mut other);
        assert_eq!(again, second);
        assert!(!other.hear(id, &again, at(4)) && one.hear(id, &again, at(4)));
        // A clock that is behind makes no opening older than what its node has heard of.
        one.open(id, (later(3600), "ada"), AT);
        let last = one_of(&mut one);
        assert!(last.is_behind(&second) && other.hear(id, &last, at(5)));
    }

    #[test]
    fn a_clock_that_is_ahead_takes_nobodys_record_away() {
        let id = TicketId::new([7; ID_BYTES]);
        let gone = RecordChange { key: key(id), value: None };
        let [mut one, mut ahead] = [1, 2].map(Teller::new);
        one.open(id, (later(3600), "ada"), AT);
        let open = one_of(&mut one);
        assert!(!one.hear(id, &open, AT) && ahead.hear(id, &open, AT));
        let year = NOW.saturating_add(Duration::from_hours(24 * 365));
        for uptime in [0, 3599].map(Duration::from_secs) {
            assert!(ahead.over(Moment { now: year, uptime }).is_empty());
        }
        assert!(one.over(at(3599)).is_empty());
        // Where it does all the same its record comes back.
        one.hear_gone(id);
        assert_eq!(one_of(&mut one), open);
        assert!(!one.hear(id, &open, AT));
        // Whoever has told of it takes it away, and then nobody else does.
        assert_eq!(one.over(at(3600)), std::slice::from_ref(&gone));
        assert!(one.over(at(3600)).is_empty());
        one.hear_gone(id);
        assert!(said(&mut one).is_empty());
        ahead.hear_gone(id);
        assert!(ahead.over(at(7200)).is_empty());
        // Of one whose node is gone others do once its time has passed.
        ahead.hear(id, &open, at(10));
        assert!(ahead.over(at(3609)).is_empty());
        assert_eq!(ahead.over(at(3610)), [gone]);
    }

    #[test]
    fn what_older_versions_say_is_read() {
        let read = |text: &str| Told::read(text.as_bytes()).expect("it is read");
        let open = read("x-1 1800000000000 1800000000000");
        assert!(!open.is_closed && open.lasts() == SESSION_DEFAULT);
        assert!(read("x-1 1800000000000 1799999999999").is_closed);
    }

    #[test]
    fn what_is_no_record_of_a_ticket_says_nothing() {
        // One of a node of before.
        let told = Told::read(b"x 1 2").expect("it is read");
        assert_eq!((told.until.as_ms(), told.whose), (2, None));
        for text in ["", "x", "x 1", "x 1 y", "\u{0}"] {
            assert_eq!(Told::read(text.as_bytes()), None, "{text}");
        }
        for key in ["", "access/ticket/", "access/ticket/!!", "access/ticket/AAAA"] {
            assert_eq!(id(key), None, "{key}");
        }
    }
}
