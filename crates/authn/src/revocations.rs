//! What was taken back: all that was issued to a subject before, or one session.
//!
//! Times that are compared are of credentials and of revocations, never of the clock: one that is set
//! back revives nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bellwire_access::{Claims, Identity, Means};
use bellwire_journal::{Error, RecordChange};
use bellwire_model::limits::{
    REVOCATIONS_BYTES_MAX, REVOCATIONS_MAX, SESSION_ID_BYTES_MAX, SESSION_MAX,
};
use bellwire_model::{Timestamp, excerpt};
use bellwire_wire::problem::{Code, Problem};
use serde::{Deserialize, Serialize};

use crate::issued::Issued;
use crate::lived::{Lived, in_ms};
use crate::records::{self, Records};

/// What their records begin with.
pub(crate) const PREFIX: &str = "access/revoked/";

/// What was taken back.
#[derive(Debug)]
pub struct Revocations {
    kept: RwLock<Kept>,
    records: Arc<Records>,
    /// Held by who changes them until the journal has answered: changes are made one after the other.
    turn: Arc<tokio::sync::Mutex<()>>,
    issued: Arc<Issued>,
    lived: Arc<Lived>,
    /// What the names begin with of those that this process makes.
    run: u32,
}

#[derive(Debug, Default)]
struct Kept {
    by_id: BTreeMap<Box<str>, Arc<Remembered>>,
    /// Both by what was taken back. Strangers choose the texts: the hashes are keyed.
    subjects: HashMap<Box<str>, Arc<Remembered>>,
    sessions: HashMap<Box<str>, Arc<Remembered>>,
    /// By the name of one those whose records are there still though it says all that they do, such as of
    /// two nodes that take back the same at once: they go with it.
    hidden: HashMap<Box<str>, Vec<Box<str>>>,
    /// Those whose records went last. They are gone for good: what another node was still writing of one
    /// does not bring it back.
    gone: VecDeque<Box<str>>,
}

#[derive(Debug)]
struct Remembered {
    revocation: Revocation,
    /// How long servers had been at work when it was taken back.
    lived: Duration,
}

/// Something that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its own name.
    pub id: Box<str>,
    /// What was taken back.
    pub of: Revoked,
    /// When.
    pub made_at: Timestamp,
    /// Of a subject what was issued until then counts no more.
    pub until: Timestamp,
    /// Who did it.
    pub made_by: Box<str>,
}

/// What is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// All that was issued to this subject before, and all of theirs that does not say when it was.
    Subject(Box<str>),
    /// The session of this name.
    Session(Box<str>),
}

/// Of whom a record takes something back, where it says that.
pub(crate) fn subject(record: &[u8]) -> Option<Box<str>> {
    match Revocation::read(record)?.0.of {
        Revoked::Subject(subject) => Some(subject),
        Revoked::Session(_) => None,
    }
}

/// As records have it.
#[derive(Serialize, Deserialize)]
struct RevocationText {
    id: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Box<str>>,
    made_at: i64,
    until: i64,
    made_by: Box<str>,
    /// How long servers had been at work then, in milliseconds. Versions before say nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lived: Option<u64>,
}

impl Revoked {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Subject(subject) => {
                let claims = Claims::new(subject, BTreeMap::new(), None);
                claims.map(|_| ()).map_err(|error| error.to_string())
            }
            Self::Session(id) => {
                let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                if !id.is_empty() && id.len() <= SESSION_ID_BYTES_MAX && id.bytes().all(is_one) {
                    return Ok(());
                }
                Err("a session's name is letters, digits, `-` and `_`: it is not the cookie".into())
            }
        }
    }
}

impl Revocation {
    /// With how long servers had been at work when it was made, where it says that.
    fn read(json: &[u8]) -> Option<(Self, Option<Duration>)> {
        let text: RevocationText = serde_json::from_slice(json).ok()?;
        let of = match (text.subject, text.session) {
            (Some(subject), None) => Revoked::Subject(subject),
            (None, Some(session)) => Revoked::Session(session),
            _ => return None,
        };
        let (made_at, until) = (Timestamp::from_ms(text.made_at), Timestamp::from_ms(text.until));
        let revocation = Self { id: text.id, of, made_at, until, made_by: text.made_by };
        Some((revocation, text.lived.map(Duration::from_millis)))
    }

    fn json(&self, lived: Duration) -> Vec<u8> {
        let (subject, session) = match &self.of {
            Revoked::Subject(subject) => (Some(subject.clone()), None),
            Revoked::Session(session) => (None, Some(session.clone())),
        };
        let text = RevocationText {
            id: self.id.clone(),
            subject,
            session,
            made_at: self.made_at.as_ms(),
            until: self.until.as_ms(),
            made_by: self.made_by.clone(),
            lived: Some(in_ms(lived)),
        };
        serde_json::to_vec(&text).expect("texts and numbers are JSON")
    }

    fn record_bytes(&self) -> usize {
        PREFIX.len() + self.id.len() + self.json(Duration::MAX).len()
    }
}

impl Remembered {
    fn change(&self) -> RecordChange {
        let (key, json) = (record_key(&self.revocation.id), self.revocation.json(self.lived));
        RecordChange { key, value: Some(json.into()) }
    }

    /// Whether all that it is of has ended by itself, where servers have been at work for so long. By both
    /// clocks: one that was set ahead, and is set back, must not revive a session.
    fn is_over(&self, now: Timestamp, lived: Duration) -> bool {
        self.is_over_at(now) && lived.saturating_sub(self.lived) >= SESSION_MAX
    }

    fn is_over_at(&self, now: Timestamp) -> bool {
        let is_session = matches!(self.revocation.of, Revoked::Session(_));
        // One that was begun while the clock was ahead lasts until then.
        is_session && self.revocation.until.saturating_add(SESSION_MAX) <= now
    }
}

impl Kept {
    /// Returns what it takes the place of: one more of a subject says all that the one before did.
    fn insert(&mut self, revocation: Revocation, lived: Duration) -> Option<Arc<Remembered>> {
        let remembered = Arc::new(Remembered { revocation, lived });
        let (of, id) = (&remembered.revocation.of, &remembered.revocation.id);
        let by_name = match of {
            Revoked::Subject(subject) => self.subjects.insert(subject.clone(), remembered.clone()),
            Revoked::Session(session) => self.sessions.insert(session.clone(), remembered.clone()),
        };
        let before = by_name.and_then(|before| self.by_id.remove(&before.revocation.id));
        self.by_id.insert(id.clone(), remembered);
        before
    }

    /// What there is of the same, whichever record says it.
    fn of(&self, of: &Revoked) -> Option<&Revocation> {
        let remembered = match of {
            Revoked::Subject(subject) => self.subjects.get(subject),
            Revoked::Session(session) => self.sessions.get(session),
        };
        remembered.map(|it| &it.revocation)
    }

    /// Takes in what a record says. Whether that is anything new. Of several of the same that goes before
    /// which is of later, and all nodes say the same.
    fn take_in(&mut self, revocation: Revocation, lived: Duration) -> bool {
        let id = revocation.id.clone();
        let there = self.of(&revocation.of).map(|it| (it.until, it.id.clone()));
        if let Some((until, other)) = there {
            if other != id && (until, &other) > (revocation.until, &id) {
                self.hide(&other, id);
                return false;
            }
            if other == id && until >= revocation.until {
                return false;
            }
        }
        if let Some(before) = self.insert(revocation, lived).filter(|it| it.revocation.id != id) {
            for hidden in self.with_hidden(&before.revocation.id) {
                self.hide(&id, hidden);
            }
        }
        true
    }

    /// Whether a record of this name was there before.
    fn knows(&self, id: &str) -> bool {
        self.by_id.contains_key(id) || self.hidden.values().flatten().any(|it| **it == *id)
    }

    /// Takes in that a record is gone.
    fn bury(&mut self, id: &str) {
        self.hidden.remove(id);
        self.remove(id);
        if self.gone.len() >= REVOCATIONS_MAX {
            self.gone.pop_front();
        }
        self.gone.push_back(id.into());
    }

    fn hide(&mut self, behind: &str, id: Box<str>) {
        let hidden = self.hidden.entry(behind.into()).or_default();
        if !hidden.contains(&id) {
            hidden.push(id);
        }
    }

    /// The names of one and of those that it hides, whose records go with it.
    fn with_hidden(&mut self, id: &str) -> Vec<Box<str>> {
        let mut all = self.hidden.remove(id).unwrap_or_default();
        all.push(id.into());
        all
    }

    fn remove(&mut self, id: &str) {
        let Some(remembered) = self.by_id.remove(id) else { return };
        match &remembered.revocation.of {
            Revoked::Subject(subject) => drop(self.subjects.remove(subject)),
            Revoked::Session(session) => drop(self.sessions.remove(session)),
        }
    }

    /// What the journal is to have of what was taken back, as it is now: of several who take back the
    /// same each writes the newest down. `None`: it was forgotten.
    fn record_of(&self, of: &Revoked) -> Option<RecordChange> {
        let remembered = match of {
            Revoked::Subject(subject) => self.subjects.get(subject),
            Revoked::Session(session) => self.sessions.get(session),
        };
        Some(remembered?.change())
    }

    /// Lets go of those of which all has ended by itself. Returns their names.
    fn expire(&mut self, now: Timestamp, lived: Duration) -> Vec<Box<str>> {
        let over = self.by_id.values().filter(|it| it.is_over(now, lived));
        let over: Vec<Box<str>> = over.map(|it| it.revocation.id.clone()).collect();
        for id in &over {
            self.remove(id);
        }
        over
    }

    /// Whether there is room for one more.
    fn has_room(&self, new: &Revocation) -> bool {
        let sizes = self.by_id.values().map(|it| it.revocation.record_bytes());
        let bytes = sizes.sum::<usize>() + new.record_bytes();
        self.by_id.len() < REVOCATIONS_MAX && bytes <= REVOCATIONS_BYTES_MAX
    }
}

impl Revocations {
    pub(crate) fn new((records, issued, lived): (Arc<Records>, Arc<Issued>, Arc<Lived>)) -> Self {
        let run = getrandom::u32().expect("the system has given random numbers at the start");
        Self { kept: RwLock::default(), records, turn: Arc::default(), issued, lived, run }
    }

    /// Takes in what the journal has. Blocks on the disk.
    pub(crate) fn restore(&self) -> Result<(), Error> {
        let (mut kept, lived) = (self.kept_mut(), self.lived.now());
        let mut unsaid = Vec::new();
        for record in self.records.read(PREFIX)? {
            let Some((revocation, since)) = Revocation::read(&record.value) else {
                tracing::error!(
                    key = &*record.key,
                    "A record of what was taken back cannot be read: look at `GET /v1/revocations`."
                );
                continue;
            };
            self.issued.saw(Some(revocation.until));
            if since.is_none() {
                unsaid.push(revocation.id.clone());
            }
            // Where one could not be written that took another's place, that one is still there.
            kept.take_in(revocation, since.unwrap_or(lived));
        }
        // They matter for as long from now on, and not from each start.
        let said = unsaid.iter().filter_map(|id| kept.by_id.get(id)).map(|it| it.change());
        let said: Vec<RecordChange> = said.collect();
        drop(kept);
        self.tell(said);
        Ok(())
    }

    /// A record was changed, maybe by another node. Whether more was taken back.
    ///
    /// What was issued here until one is heard of is of before, whatever the clock of its node says: it is said
    /// so then, where the record does not yet. Only then: what is issued later counts, and nodes that went on
    /// answering each other would never be done.
    pub(crate) fn on_change(&self, id: &str, value: Option<&[u8]>) -> bool {
        let (is_new, told) = self.take_in(id, value);
        // Without the lock, which every request asks for: there may be a look at the disk.
        self.tell(told.into_iter().collect());
        is_new
    }

    /// The same, and what others are to know for it.
    fn take_in(&self, id: &str, value: Option<&[u8]>) -> (bool, Option<RecordChange>) {
        let mut kept = self.kept_mut();
        let Some(value) = value else {
            kept.bury(id);
            return (false, None);
        };
        let Some((mut revocation, lived)) = Revocation::read(value) else {
            tracing::error!(id, "A record of what was taken back cannot be read.");
            return (false, None);
        };
        if kept.gone.iter().any(|gone| **gone == *id) {
            return (false, Some(removal(id)));
        }
        let said = revocation.until;
        revocation.until = self.until(&kept, &revocation);
        self.issued.saw(Some(revocation.until));
        let is_new = kept.take_in(revocation.clone(), lived.unwrap_or_else(|| self.lived.now()));
        let own = kept.by_id.get(id).filter(|it| it.revocation == revocation);
        (is_new, own.filter(|_| revocation.until > said).map(|own| own.change()))
    }

    /// Until when that counts here which a record says.
    fn until(&self, kept: &Kept, told: &Revocation) -> Timestamp {
        if let Some(known) = kept.by_id.get(&told.id) {
            // Of two nodes that raise it at once the one that says less may come last.
            return told.until.max(known.revocation.until);
        }
        let is_subject = matches!(told.of, Revoked::Subject(_));
        if !is_subject || kept.knows(&told.id) || told.id.starts_with(&*self.own_prefix()) {
            return told.until;
        }
        let until = self.issued.until(told.until);
        // Another that the others know as well says it already.
        let is_said = kept.of(&told.of).is_some_and(|it| it.until >= until);
        if is_said { told.until } else { until }
    }

    /// Has others know. Nobody waits for it; where it cannot be written it counts here all the same.
    fn tell(&self, changes: Vec<RecordChange>) {
        if !changes.is_empty()
            && let Err(error) = self.records.queue(changes)
        {
            tracing::warn!(%error, "What was taken back is not told on.");
        }
    }

    fn own_prefix(&self) -> String {
        format!("{:08x}", self.run)
    }

    /// Whether nothing was taken back that somebody has shown.
    pub(crate) fn counts(&self, identity: &Identity) -> bool {
        let kept = self.kept();
        match &identity.means {
            // They have shown nothing.
            Means::Open | Means::Anonymous | Means::Pending => return true,
            Means::Session(id, _) if kept.sessions.contains_key(id) => return false,
            _ => {}
        }
        let Some(revoked) = kept.subjects.get(identity.subject()) else { return true };
        // A node that has not heard of it yet may have made something of what was taken back.
        let claims = &identity.claims;
        let is_later = |at: Timestamp| at > revoked.revocation.until;
        [claims.issued_at, claims.first_issue().at()].into_iter().all(|at| at.is_some_and(is_later))
    }

    /// Whether the session of this name was taken back.
    pub(crate) fn has_session(&self, id: &str) -> bool {
        self.kept().sessions.contains_key(id)
    }

    /// Takes something back. It counts no more from the moment on at which `on_revoked` is called,
    /// which nobody's disk delays, and whatever becomes of its record: an error then says that it would
    /// again after a restart.
    pub async fn revoke(
        self: &Arc<Self>,
        of: Revoked,
        (by, now): (&str, impl FnOnce() -> Timestamp),
        on_revoked: impl FnOnce(),
    ) -> Result<Revocation, Problem> {
        of.check().map_err(|reason| Problem::new(Code::BodyInvalid, reason))?;
        let (revocation, mut changes) = self.take_back(of, (by, now))?;
        on_revoked();
        let (all, of) = (Arc::clone(self), revocation.of.clone());
        // It has to come to the journal however long that takes, and nobody waits that long.
        let written = records::to_its_end(async move {
            let turn = Arc::clone(&all.turn).lock_owned().await;
            changes.extend(all.kept().record_of(&of));
            all.records.write(changes, move |_| drop(turn)).await
        });
        written.await.map_err(not_kept)?;
        Ok(revocation)
    }

    /// The part that counts at once, and what the journal is to let go of for it. The time is read under
    /// the lock: it is of all that was issued until now.
    fn take_back(
        &self,
        of: Revoked,
        (by, now): (&str, impl FnOnce() -> Timestamp),
    ) -> Result<(Revocation, Vec<RecordChange>), Problem> {
        let mut kept = self.kept_mut();
        let now = now();
        let mut changes: Vec<RecordChange> =
            kept.expire(now, self.lived.now()).iter().map(|id| removal(id)).collect();
        let (id, until) = (self.drawn(&kept), self.issued.until(now));
        let revocation = Revocation { id, of, made_at: now, until, made_by: by.into() };
        if !kept.has_room(&revocation) {
            let detail = "as much was taken back as may be: delete some that is not needed";
            return Err(Problem::new(Code::RecordsExhausted, detail));
        }
        self.issued.saw(Some(until));
        if let Some(before) = kept.insert(revocation.clone(), self.lived.now()) {
            let gone = kept.with_hidden(&before.revocation.id);
            changes.extend(gone.iter().map(|id| removal(id)));
        }
        Ok((revocation, changes))
    }

    /// All of them, in the order in which they were made.
    pub fn list(&self) -> Vec<Revocation> {
        let kept = self.kept();
        let mut listed: Vec<Revocation> =
            kept.by_id.values().map(|it| it.revocation.clone()).collect();
        drop(kept);
        listed.sort_by(|one, other| (one.made_at, &one.id).cmp(&(other.made_at, &other.id)));
        listed
    }

    /// Forgets one: what it was of counts again, where it does by itself.
    pub async fn forget(self: &Arc<Self>, id: &str) -> Result<(), Problem> {
        let turn = records::turn(&self.turn).await?;
        if !self.kept().by_id.contains_key(id) {
            let detail = format!("there is no revocation `{}`", excerpt(id.to_owned()));
            return Err(Problem::new(Code::NotFound, detail));
        }
        let gone = self.kept_mut().with_hidden(id);
        let (revocations, own): (_, Box<str>) = (Arc::clone(self), id.into());
        let changes = gone.iter().map(|id| removal(id)).collect();
        let taken = move |result: &Result<(), Error>| {
            let mut kept = revocations.kept_mut();
            if result.is_ok() {
                kept.remove(&own);
            } else {
                gone.into_iter().filter(|id| *id != own).for_each(|id| kept.hide(&own, id));
            }
            drop(turn);
        };
        Ok(self.records.write(changes, taken).await?)
    }

    /// A name that no other has, and that says that it was made here.
    fn drawn(&self, kept: &Kept) -> Box<str> {
        loop {
            let number =
                getrandom::u32().expect("the system has given random numbers at the start");
            let id: Box<str> = format!("{}{number:08x}", self.own_prefix()).into();
            if !kept.knows(&id) && !kept.gone.contains(&id) {
                return id;
            }
        }
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_mut(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record_key(id: &str) -> Box<str> {
    format!("{PREFIX}{id}").into()
}

fn removal(id: &str) -> RecordChange {
    RecordChange { key: record_key(id), value: None }
}

fn not_kept(error: Error) -> Problem {
    let detail = "it counts no more, but the journal does not take that now, and after a restart it \
                  would count again: ask once more";
    records::not_kept(error, detail)
}

#[cfg(test)]
mod tests;
