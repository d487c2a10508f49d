//! What nodes tell each other of tickets: who has opened one last, and whether it is in use.
//!
//! ```text
//! access/ticket/<name>: "<by whom> <ends at> <until when it may be taken up> <whose it is>"
//! ```
//!
//! Whose it is no subject: what stands for one, keyed with what nodes share.
//! The newest record counts: whoever has opened the ticket before lets go of it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_access::ID_BYTES;
use bellwire_access::ticket::TicketId;
use bellwire_journal::RecordChange;
use bellwire_model::Timestamp;

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
    /// Nothing where the node of before has not said it.
    pub(super) whose: Option<Box<str>>,
}

impl Told {
    pub(super) fn change(&self, id: TicketId) -> RecordChange {
        let mut text = format!("{} {} {}", self.by, self.ends_at.as_ms(), self.until.as_ms());
        if let Some(whose) = &self.whose {
            text.push(' ');
            text.push_str(whose);
        }
        RecordChange { key: key(id), value: Some(text.into_bytes().into()) }
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(value).ok()?.split(' ');
        let (by, ends_at, until) = (parts.next()?, parts.next()?, parts.next()?);
        let time = |text: &str| text.parse().ok().map(Timestamp::from_ms);
        let whose = parts.next().map(Into::into);
        Some(Self { by: by.into(), ends_at: time(ends_at)?, until: time(until)?, whose })
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
    told: HashMap<TicketId, Told>,
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
    pub(super) fn open(&mut self, id: TicketId, (ends_at, whose): (Timestamp, &str)) {
        self.opened += 1;
        let by = format!("{:016x}-{}", self.run, self.opened).into();
        self.tell(id, Told { by, ends_at, until: ends_at, whose: Some(whose.into()) });
    }

    /// One that was opened here is used no more, unless another has it.
    pub(super) fn close(&mut self, id: TicketId, until: Timestamp) {
        if let Some(told) = self.told.get(&id).filter(|told| self.is_own(told)) {
            let told = Told { until: until.min(told.ends_at), ..told.clone() };
            self.tell(id, told);
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
    pub(super) fn leave(&mut self, until: Timestamp) {
        let open = self.told.iter().filter(|(_, told)| self.is_own(told) && told.until > until);
        let open: Vec<TicketId> = open.map(|(id, _)| *id).collect();
        for id in open {
            self.close(id, until);
        }
    }

    /// A record says this. Whether another node has the ticket now.
    pub(super) fn hear(&mut self, id: TicketId, told: &Told) -> bool {
        if self.is_own(told) {
            if self.under_way.get(&id) == Some(told) {
                self.under_way.remove(&id);
            }
            return false;
        }
        if self.under_way.contains_key(&id) || self.pending.contains_key(&id) {
            return false;
        }
        self.told.insert(id, told.clone());
        true
    }

    /// The records of which all is over.
    pub(super) fn over(&mut self, now: Timestamp) -> Vec<RecordChange> {
        let over = self.told.extract_if(|_, told| told.until <= now);
        over.map(|(id, _)| RecordChange { key: key(id), value: None }).collect()
    }

    fn tell(&mut self, id: TicketId, told: Told) {
        self.told.insert(id, told.clone());
        self.pending.insert(id, told);
    }

    fn is_own(&self, told: &Told) -> bool {
        let run = format!("{:016x}-", self.run);
        told.by.starts_with(&*run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    #[test]
    fn whoever_opens_last_has_it_and_says_when_it_is_let_go_of() {
        let id = TicketId::new([7; ID_BYTES]);
        let later = |s: u64| NOW.saturating_add(std::time::Duration::from_secs(s));
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
        one.open(id, (later(3600), "ada"));
        let first = tell(&mut one);
        assert_eq!((first.until, first.whose.as_deref()), (later(3600), Some("ada")));
        assert!(!one.hear(id, &first) && other.hear(id, &first));
        // What another has said before that is over with it, whenever it comes.
        one.open(id, (later(3600), "ada"));
        let theirs = Told { by: "x".into(), ..first.clone() };
        assert!(!one.hear(id, &theirs));
        let again = tell(&mut one);
        assert!(!one.hear(id, &theirs));
        assert!(!one.hear(id, &again) && other.hear(id, &again));
        other.close(id, later(9));
        assert!(other.pending().is_empty(), "it is not its own");
        other.open(id, (later(3600), "ada"));
        let second = tell(&mut other);
        assert!(one.hear(id, &second) && !other.hear(id, &second));
        one.close(id, later(9));
        assert!(one.pending().is_empty(), "another has it");
        other.close(id, later(9));
        let closed = tell(&mut other);
        assert_eq!((closed.until, &closed.by), (later(9), &second.by));
        assert!(one.hear(id, &closed));
        // What could not be told is told again, unless something newer is.
        one.open(id, (later(3600), "ada"));
        let failed = tell(&mut one);
        one.failed();
        assert!(!one.hear(id, &closed));
        assert_eq!(tell(&mut one), failed);
        one.open(id, (later(3600), "ada"));
        one.failed();
        assert_ne!(tell(&mut one).by, failed.by);
        // What is open when the process ends is let go of soon, and all else stays as it is.
        one.leave(later(60));
        let left = tell(&mut one);
        assert_eq!(left.until, later(60));
        one.leave(later(60));
        assert!(one.pending().is_empty());
        assert!(!one.hear(id, &left));
        let (mut one, taken) = (Teller::new(1), other);
        assert!(one.hear(id, &closed) && taken.told.contains_key(&id));
        assert!(one.over(later(8)).is_empty());
        let over = one.over(later(9));
        assert_eq!(over, [RecordChange { key: key(id), value: None }]);
        assert!(one.over(later(9)).is_empty());
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
