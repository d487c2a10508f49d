//! Access among nodes: what one of them makes or takes back, all others know as soon as the log has it.
//!
//! ```text
//! node A: taken back ─▶ record ─▶ log ─▶ each node: told ─▶ counts no more ─▶ its streams end
//! ```
//!
//! What a record says is written once and does not change, or only grows: nodes that write at once take
//! nothing away from each other, and none has to be asked first.

use std::sync::{Arc, Mutex, PoisonError};

use bellwire_journal::{Error, Journal, RecordChange};
use bellwire_model::Principal;
use bellwire_process::clock;
use tokio::sync::watch;

use super::Authenticator;
use crate::{ended, issued, keys, lived, revocations, tickets};

/// What all records of access begin with.
const ACCESS: &str = "access/";

/// What other nodes have changed, for whoever ends streams.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// How often something came that may end streams.
    count: watch::Sender<u64>,
    /// Whose tickets are in use elsewhere by now, with one more holder of each number.
    displaced: Mutex<Vec<Principal>>,
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

    /// Whose tickets other nodes have opened since this was asked last. One more holder of each is counted.
    pub fn displaced(&self) -> Vec<Principal> {
        let mut displaced = self.heard.displaced.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut displaced)
    }

    fn hear(&self, changes: &[RecordChange]) {
        let mut ends = false;
        for RecordChange { key, value } in changes {
            let value = value.as_deref();
            let of = |prefix: &str| key.strip_prefix(prefix);
            if let Some(id) = of(keys::PREFIX) {
                ends |= self.keys.on_change(id, value);
            } else if let Some(id) = of(keys::USED) {
                self.keys.on_use_change(id, value);
            } else if let Some(id) = of(revocations::PREFIX) {
                ends |= self.revocations.on_change(id, value);
            } else if of(ended::PREFIX).is_some() {
                ends |= self.ended.on_change(value);
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
        let mut all = self.heard.displaced.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(displaced);
        true
    }
}

#[cfg(test)]
mod tests {
    use bellwire_access::key::NewKey;
    use bellwire_access::ticket::Bound;
    use bellwire_access::{Identity, StoredKey};
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
