//! Access among nodes: what one of them makes or takes back, all others know as soon as the log has it.
//!
//! ```text
//! node A: taken back ─▶ record ─▶ log ─▶ each node: told ─▶ counts no more ─▶ its streams end
//! ```
//!
//! What a record says is written once and does not change, or only grows: nodes that write at once take
//! nothing away from each other, and none has to be asked first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_journal::{Error, Journal, RecordChange};
use bellwire_model::{NameSet, Principal};
use bellwire_process::clock;
use tokio::sync::watch;

use super::Authenticator;
use crate::{ended, issued, keys, lived, revocations, tickets};

/// What all records of access begin with.
const ACCESS: &str = "access/";

/// So many subjects are kept apart: where it is more of whom something was taken back, all are looked at.
const SUBJECTS_MAX: usize = 256;

/// What other nodes have changed, for whoever ends streams.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// How often something came that may end streams.
    count: watch::Sender<u64>,
    ends: Mutex<EndedElsewhere>,
}

/// Whose streams may have to end, since another node has changed something.
#[derive(Debug, Default)]
pub struct EndedElsewhere {
    /// Whose tickets are in use there by now. One more holder of each number is counted.
    pub displaced: Vec<Principal>,
    /// Of whom something was taken back.
    pub of: Affected,
}

/// Some of those who are connected.
#[derive(Debug, PartialEq, Eq)]
pub enum Affected {
    /// Those of these subjects.
    Subjects(NameSet<Box<str>>),
    /// It may be of anybody.
    All,
}

impl Default for Affected {
    fn default() -> Self {
        Self::Subjects(NameSet::default())
    }
}

impl Affected {
    fn add(&mut self, subject: Option<Box<str>>) {
        match (&mut *self, subject) {
            (Self::Subjects(subjects), Some(subject)) if subjects.len() < SUBJECTS_MAX => {
                subjects.insert(subject);
            }
            _ => *self = Self::All,
        }
    }
}

impl Authenticator {
    /// As [`begin`](Self::begin), of a node that shares the journal and this secret with others.
    pub fn begin_among(
        self: &Arc<Self>,
        journal: Arc<dyn Journal>,
        secret: &[u8],
    ) -> Result<(), Error> {
        self.seal.share(secret);
        let run = getrandom::u64().map_err(|error| {
            let error = std::io::Error::other(error.to_string());
            Error::Away(Arc::new(error))
        })?;
        if let Some(tickets) = &self.tickets {
            tickets.share(run);
        }
        let told = Arc::downgrade(self);
        // Before what there is: nothing that comes behind it may be missed.
        journal.watch_records(
            ACCESS,
            Arc::new(move |changes| {
                if let Some(authenticator) = told.upgrade() {
                    authenticator.hear(changes);
                }
            }),
        );
        self.begin(journal)?;
        match &self.tickets {
            Some(tickets) => tickets.restore_told(&self.records, clock::now()),
            None => Ok(()),
        }
    }

    /// Becomes another number whenever another node may have ended streams of this one.
    pub fn heard(&self) -> watch::Receiver<u64> {
        self.heard.count.subscribe()
    }

    /// What other nodes have changed since this was asked last.
    pub fn ended_elsewhere(&self) -> EndedElsewhere {
        std::mem::take(&mut self.heard_ends())
    }

    fn heard_ends(&self) -> MutexGuard<'_, EndedElsewhere> {
        self.heard.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, changes: &[RecordChange]) {
        let mut ends = false;
        for RecordChange { key, value } in changes {
            let value = value.as_deref();
            let of = |prefix: &str| key.strip_prefix(prefix);
            if let Some(id) = of(keys::PREFIX) {
                let subject = self.keys.subject(id);
                ends |= self.keys.on_change(id, value) && self.affects(subject);
            } else if let Some(id) = of(keys::USED) {
                self.keys.on_use_change(id, value);
            } else if let Some(id) = of(revocations::PREFIX) {
                let subject = value.and_then(revocations::subject);
                ends |= self.revocations.on_change(id, value) && self.affects(subject);
            } else if of(ended::PREFIX).is_some() {
                let subject = value.and_then(ended::subject);
                ends |= self.ended.on_change(value) && self.affects(subject);
            } else if of(tickets::TOLD).is_some() {
                ends |= self.hear_of_ticket(key, value);
            } else if **key == *issued::RECORD {
                self.issued.on_change(value);
            } else if **key == *lived::RECORD {
                self.lived.on_change(value);
            }
        }
        if ends {
            self.heard.count.send_modify(|count| *count += 1);
        }
    }

    /// Whether a stream here has to end for it.
    fn hear_of_ticket(&self, key: &str, value: Option<&[u8]>) -> bool {
        let Some(tickets) = &self.tickets else { return false };
        let displaced = |other| self.displace_holder(other);
        let Some(displaced) = tickets.on_change(key, value, (clock::now(), displaced)) else {
            return false;
        };
        self.heard_ends().displaced.push(displaced);
        true
    }

    /// Something was taken back of this subject, or of nobody knows whom.
    fn affects(&self, subject: Option<Box<str>>) -> bool {
        self.heard_ends().of.add(subject);
        true
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
    use bellwire_access::key::NewKey;
    use bellwire_access::ticket::Bound;
    use bellwire_access::{Identity, Means, Standing, StoredKey};
    use bellwire_journal::{MemoryJournal, Observer};
    use bellwire_model::{Entry, Epoch, Filter, FilterSet, Timestamp};

    use super::*;
    use crate::Shown;
    use crate::config::AccessConfig;
    use crate::secret::SecretPlace;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    /// When ada's key was made: long ago.
    const MADE_AT: Timestamp = Timestamp::from_ms(1_700_000_000_000);

    fn key() -> NewKey {
        NewKey::make([7; NewKey::RANDOM_BYTES])
    }

    /// A node that begins when the log has these records.
    fn node(records: &[(String, String)]) -> Arc<Authenticator> {
        let holder = ("ada", ["admin".into()].into());
        let mut stored = StoredKey::new(key().id(), &key().hash(), holder, "").expect("a key");
        stored.made_at = Some(MADE_AT);
        let config = AccessConfig { keys: vec![stored], ..AccessConfig::default() };
        let made = Authenticator::new(Some(&config), SecretPlace::Nodes, Arc::default());
        let (made, journal) = (
            Arc::new(made.expect("made")),
            MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody)),
        );
        let change = |(key, value): &(String, String)| RecordChange {
            key: key.as_str().into(),
            value: Some(value.clone().into_bytes().into()),
        };
        let (sender, written) = std::sync::mpsc::sync_channel(1);
        let done = Box::new(move |result| drop(sender.send(result)));
        journal.write_records(records.iter().map(change).collect(), done).expect("queued");
        written.recv().expect("answered").expect("written");
        made.begin_among(Arc::new(journal), &[7; 32]).expect("begun");
        made
    }

    async fn log_in(node: &Authenticator) -> (Shown, Arc<Identity>) {
        let login = node.log_in(&Shown::Bearer(key().text().into()), None).await.expect("a login");
        let (_, cookie) = login.cookie.split_once('=').expect("a cookie");
        let cookie = cookie.split(';').next().expect("a value");
        let shown = Shown::Session(cookie.into());
        let identity = node.identify(&shown, None).await.expect("it counts");
        (shown, identity)
    }

    fn ticket(node: &Authenticator, identity: &Identity) -> Shown {
        let filters = FilterSet::from("a".parse::<Filter>().expect("a filter"));
        let made = node.make_ticket(identity, Bound { filters, origin: None }).expect("a ticket");
        Shown::Ticket(made.text.as_str().into())
    }

    fn says(key: String, value: &str) -> RecordChange {
        RecordChange { key: key.into(), value: Some(value.to_owned().into_bytes().into()) }
    }

    fn of(subjects: &[&str]) -> Affected {
        Affected::Subjects(subjects.iter().map(|it| (*it).into()).collect())
    }

    #[tokio::test]
    async fn only_those_are_looked_at_of_whom_another_node_has_taken_something_back() {
        let node = node(&[]);
        let revoked = |id: u32, of: &str| {
            let text = format!(r#"{{"id":"{id}",{of},"made_at":0,"until":9,"made_by":"root"}}"#);
            says(format!("{}{id}", revocations::PREFIX), &text)
        };
        let until = clock::now().as_ms();
        let ended = format!(r#"{{"subject":"eve","until":{until}}}"#);
        let bob = revoked(1, r#""subject":"bob""#);
        node.hear(&[bob.clone(), says(format!("{}x/until-1", ended::PREFIX), &ended)]);
        assert_eq!(node.ended_elsewhere().of, of(&["bob", "eve"]));
        // Nothing is new.
        node.hear(&[bob]);
        assert_eq!(node.ended_elsewhere().of, of(&[]));
        let holder = ("ada", ["admin".into()].into());
        let mut stored = StoredKey::new(key().id(), &key().hash(), holder, "").expect("a key");
        stored.revoked_at = Some(MADE_AT);
        let text = serde_json::to_string(&stored).expect("JSON");
        node.hear(&[says(format!("{}{}", keys::PREFIX, key().id()), &text)]);
        assert_eq!(node.ended_elsewhere().of, of(&["ada"]));
        // Whose a session is its name does not say; nor is it worth while to look for very many.
        node.hear(&[revoked(2, r#""session":"s""#)]);
        assert_eq!(node.ended_elsewhere().of, Affected::All);
        let many = 0..=SUBJECTS_MAX as u32;
        let many = many.map(|it| revoked(10 + it, &format!(r#""subject":"s{it}""#)));
        node.hear(&many.collect::<Vec<_>>());
        assert_eq!(node.ended_elsewhere().of, Affected::All);
    }

    #[tokio::test]
    async fn a_ticket_that_is_taken_elsewhere_ends_its_stream_and_has_nobody_else_looked_at() {
        let node = node(&[]);
        let heard = node.heard();
        let ada = node.identify(&Shown::Bearer(key().text().into()), None).await.expect("a key");
        let shown = ticket(&node, &ada);
        let identity = node.identify(&shown, None).await.expect("it counts");
        let Means::Ticket(ticket) = &identity.means else { panic!("it is one") };
        let principal = node.enter(&identity);
        assert_eq!(node.open_ticket(ticket, principal), Ok(None));
        let key = format!("{}{}", tickets::TOLD, BASE64_URL.encode(ticket.id.bytes()));
        let ends_at = identity.claims.ends_at.expect("it ends").as_ms();
        let taken = says(key, &format!("other-1 {ends_at} {ends_at} x"));
        // It counts once all have heard that it was opened here.
        node.finish().await;
        for record in node.records.read(tickets::TOLD).expect("records") {
            node.hear(&[RecordChange { key: record.key, value: Some(record.value) }]);
        }
        assert!(!heard.has_changed().expect("it is there"));
        node.hear(&[taken]);
        assert!(heard.has_changed().expect("it is there"));
        let EndedElsewhere { displaced, of: looked_at } = node.ended_elsewhere();
        assert_eq!((displaced, looked_at), (vec![principal], of(&[])));
        assert_eq!(node.standing(principal), Standing::Displaced);
    }

    #[tokio::test]
    async fn what_is_made_of_a_credential_that_was_taken_back_counts_nowhere() {
        // It has not heard of what was taken back.
        let away = node(&[]);
        let (session, identity) = log_in(&away).await;
        let key = away.identify(&Shown::Bearer(key().text().into()), None).await.expect("a key");
        let shown = [ticket(&away, &identity), ticket(&away, &key), session];
        for (until, counts) in [(MADE_AT.as_ms(), false), (MADE_AT.as_ms() - 1, true)] {
            let revoked = format!(
                r#"{{"id":"1","subject":"ada","made_at":0,"until":{until},"made_by":"root"}}"#
            );
            let node = node(&[(format!("{}1", revocations::PREFIX), revoked)]);
            for shown in &shown {
                let identified = node.identify(shown, None).await;
                assert_eq!(identified.is_ok(), counts, "{until} {identified:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_ticket_of_a_session_that_was_logged_out_counts_nowhere() {
        let away = node(&[]);
        let (_, identity) = log_in(&away).await;
        let begun_at = identity.claims.issued_at.expect("it says so");
        // Made later than all sessions of before have ended.
        let of_session = loop {
            let shown = ticket(&away, &identity);
            let made = away.identify(&shown, None).await.expect("it counts");
            if made.claims.issued_at > Some(begun_at) {
                break shown;
            }
        };
        let key = away.identify(&Shown::Bearer(key().text().into()), None).await.expect("a key");
        let of_key = ticket(&away, &key);
        for (until, counts) in [(begun_at.as_ms(), false), (begun_at.as_ms() - 1, true)] {
            let ended = format!(r#"{{"subject":"ada","until":{until}}}"#);
            let node = node(&[(format!("{}x/until-1", ended::PREFIX), ended)]);
            let identified = node.identify(&of_session, None).await;
            assert_eq!(identified.is_ok(), counts, "{until} {identified:?}");
            assert!(node.identify(&of_key, None).await.is_ok(), "it is of no session");
        }
    }
}
