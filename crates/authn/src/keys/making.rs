//! Changes of keys over the API: made, taken back, and when they were last used. What counts is in
//! the journal before it is answered; what is taken back counts no more before it is in the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bellwire_access::key::{NewKey, check_note};
use bellwire_access::{Claim, Claims, Policy, StoredKey};
use bellwire_journal::{Error, RecordChange};
use bellwire_model::Timestamp;
use bellwire_model::limits::{
    KEY_USE_KEPT_INTERVAL, KEYS_MADE_BYTES_MAX, KEYS_MADE_MAX, ROLES_OF_KEY_MAX,
};
use bellwire_wire::problem::{Code, Problem};

use super::{KeptKey, Keys, NEVER, Origin, PREFIX, USED};
use crate::{records, refusal};

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct KeyOrder {
    /// Whose it is.
    pub subject: Box<str>,
    /// The names of its roles.
    pub roles: Box<[Box<str>]>,
    /// What else is said of whoever shows it.
    pub claims: BTreeMap<Box<str>, Claim>,
    /// What it is for.
    pub note: Box<str>,
    /// When it ends; nothing where it does not by itself.
    pub ends_at: Option<Timestamp>,
}

impl KeyOrder {
    fn check(&self, policy: &Policy, now: Timestamp) -> Result<(), String> {
        let Self { subject, roles, claims, note, ends_at } = self;
        if let Some(role) = roles.iter().find(|role| !policy.has(role)) {
            let known: Vec<&str> = policy.names().take(ROLES_NAMED_MAX).collect();
            let role = bellwire_model::excerpt(role.to_string());
            return Err(format!("there is no role `{role}`; there are {}", known.join(", ")));
        }
        if roles.is_empty() || roles.len() > ROLES_OF_KEY_MAX {
            return Err(format!("a key has 1 to {ROLES_OF_KEY_MAX} roles"));
        }
        check_note(note).map_err(|error| error.to_string())?;
        if ends_at.is_some_and(|ends_at| ends_at <= now) {
            return Err("`ends_at` is over already: it is in milliseconds".to_owned());
        }
        let checked = Claims::new(subject, claims.clone(), *ends_at);
        checked.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Roles that are named to who has named another.
const ROLES_NAMED_MAX: usize = 16;

impl Keys {
    /// Makes a key, which is there to be read this once. Whether its maker still counts is asked when its
    /// turn comes: of very many that wait none is made once their maker was taken back. It is asked once more
    /// when the key is there: what another node has taken back before is known then.
    pub async fn make(
        self: &Arc<Self>,
        policy: &Policy,
        order: KeyOrder,
        (by, now, counts): (&str, Timestamp, impl Fn() -> bool),
    ) -> Result<(NewKey, StoredKey), Problem> {
        order.check(policy, now).map_err(|reason| Problem::new(Code::BodyInvalid, reason))?;
        let turn = records::turn(&self.turn).await?;
        if !counts() {
            return Err(refusal::invalid());
        }
        let key = self.draw();
        let KeyOrder { subject, roles, claims, note, ends_at } = order;
        let stored = StoredKey::new(key.id(), &key.hash(), (&subject, roles), &note);
        let mut stored = stored.expect("its own words, and a subject that was checked");
        (stored.claims, stored.ends_at) = (claims, ends_at);
        (stored.made_at, stored.made_by) = (Some(now), by.into());
        self.issued.saw(stored.made_at);
        self.check_room(&stored)?;
        let (keys, kept) = (Arc::clone(self), KeptKey::new(stored.clone(), Origin::Made));
        let taken = move |result: &Result<(), Error>| {
            if result.is_ok() {
                keys.by_id_mut().insert(kept.stored.id.clone(), kept);
            }
            drop(turn);
        };
        self.records.write(vec![change(&stored)], taken).await?;
        if !counts() {
            self.revoke(&stored.id, now, |_| ()).await?;
            return Err(refusal::invalid());
        }
        Ok((key, stored))
    }

    /// Takes a key back. It counts no more from the moment on at which `on_revoked` is called with its
    /// subject, which nobody's disk delays, and whatever becomes of its record: an error then says that
    /// it would again after a restart.
    pub async fn revoke(
        self: &Arc<Self>,
        id: &str,
        now: Timestamp,
        on_revoked: impl FnOnce(&str),
    ) -> Result<StoredKey, Problem> {
        let kept = self.get(id).ok_or_else(|| missing(id))?;
        kept.is_revoked.store(true, Ordering::SeqCst);
        on_revoked(&kept.stored.subject);
        let (keys, own): (_, Box<str>) = (Arc::clone(self), id.into());
        // It has to come to the journal however long that takes, and nobody waits that long.
        let written = records::to_its_end(async move { keys.write_revoked(&own, now).await });
        written.await.map_err(not_kept)?.ok_or_else(|| missing(id))
    }

    /// Writes down that a key is taken back. `None`: another has meanwhile.
    async fn write_revoked(
        self: &Arc<Self>,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<StoredKey>, Error> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let Some(kept) = self.get(id) else { return Ok(None) };
        let mut revoked = kept.now();
        revoked.revoked_at = kept.stored.revoked_at.or(Some(now));
        // Of one that the configuration has, a record says that it counts no more. Of one that it had
        // nothing is left, if that is asked for once more.
        let left = (kept.origin == Origin::Configured).then(|| revoked.clone());
        let changes = match &left {
            Some(left) => vec![change(left)],
            None => {
                [record_key(id), used_key(id)].map(|key| RecordChange { key, value: None }).into()
            }
        };
        let keys = Arc::clone(self);
        let taken = move |result: &Result<(), Error>| {
            if result.is_ok() {
                let mut by_id = keys.by_id_mut();
                match left {
                    Some(left) => {
                        let id = left.id.clone();
                        drop(by_id.insert(id, KeptKey::new(left, Origin::Configured)));
                    }
                    None => drop(by_id.remove(&kept.stored.id)),
                }
            }
            drop(turn);
        };
        self.records.write(changes, taken).await?;
        Ok(Some(revoked))
    }

    /// Writes down when keys were used, of those of which that was not done for an hour.
    pub async fn keep_uses(self: &Arc<Self>) -> Result<(), Error> {
        self.keep_uses_after(KEY_USE_KEPT_INTERVAL.as_millis()).await
    }

    /// Writes down when keys were used, as the server ends.
    pub async fn keep_all_uses(self: &Arc<Self>) -> Result<(), Error> {
        self.keep_uses_after(1).await
    }

    async fn keep_uses_after(self: &Arc<Self>, ms: u128) -> Result<(), Error> {
        let turn = records::turn(&self.turn).await?;
        let is_due = |kept: &&Arc<KeptKey>| {
            let of = |at: &AtomicI64| i128::from(at.load(Ordering::Relaxed));
            let (used_at, use_kept) = (of(&kept.used_at), of(&kept.use_kept));
            kept.origin == Origin::Made
                && !kept.is_revoked()
                && used_at != i128::from(NEVER)
                && (used_at - use_kept).unsigned_abs() >= ms
        };
        let due: Vec<Arc<KeptKey>> = self.by_id().values().filter(is_due).cloned().collect();
        if due.is_empty() {
            return Ok(());
        }
        let due: Vec<(Arc<KeptKey>, StoredKey)> =
            due.into_iter().map(|kept| (Arc::clone(&kept), kept.now())).collect();
        let used = |(_, now): &(Arc<KeptKey>, StoredKey)| {
            let at = now.used_at?.as_ms().to_string();
            Some(RecordChange { key: used_key(&now.id), value: Some(at.into_bytes().into()) })
        };
        let changes = due.iter().filter_map(used).collect();
        let taken = move |result: &Result<(), Error>| {
            if result.is_ok() {
                for (kept, now) in due {
                    let used_at = now.used_at.map_or(NEVER, Timestamp::as_ms);
                    kept.use_kept.store(used_at, Ordering::Relaxed);
                }
            }
            drop(turn);
        };
        self.records.write(changes, taken).await
    }

    /// A key with an id that no other has.
    fn draw(&self) -> NewKey {
        loop {
            let mut random = [0; NewKey::RANDOM_BYTES];
            getrandom::fill(&mut random).expect("the system has given random numbers at the start");
            let key = NewKey::make(random);
            if self.get(key.id()).is_none() {
                return key;
            }
        }
    }

    /// Whether there is room for one more.
    fn check_room(&self, new: &StoredKey) -> Result<(), Problem> {
        let by_id = self.by_id();
        let has_record = |kept: &&Arc<KeptKey>| kept.origin == Origin::Made || kept.is_revoked();
        let with_record = by_id.values().filter(has_record);
        let sizes = with_record.map(|kept| record_bytes(&kept.stored));
        let (count, bytes) = sizes.fold((0, 0), |(count, bytes), it| (count + 1, bytes + it));
        if count < KEYS_MADE_MAX && bytes + record_bytes(new) <= KEYS_MADE_BYTES_MAX {
            return Ok(());
        }
        let detail = "there are as many keys as there may be: take some back that nobody uses";
        Err(Problem::new(Code::RecordsExhausted, detail))
    }
}

fn record_key(id: &str) -> Box<str> {
    format!("{PREFIX}{id}").into()
}

fn used_key(id: &str) -> Box<str> {
    format!("{USED}{id}").into()
}

fn change(stored: &StoredKey) -> RecordChange {
    RecordChange { key: record_key(&stored.id), value: Some(json(stored).into()) }
}

fn json(stored: &StoredKey) -> Vec<u8> {
    serde_json::to_vec(stored).expect("texts and numbers are JSON")
}

/// What the record of a key takes, with room for all that may come to it.
fn record_bytes(stored: &StoredKey) -> usize {
    let some_time = Some(Timestamp::MAX);
    let mut full = stored.clone();
    (full.used_at, full.revoked_at) = (some_time, some_time);
    PREFIX.len() + full.id.len() + json(&full).len()
}

fn missing(id: &str) -> Problem {
    let id = bellwire_model::excerpt(id.to_owned());
    Problem::new(Code::NotFound, format!("there is no key `{id}`"))
}

fn not_kept(error: Error) -> Problem {
    let detail = "the key counts no more, but the journal does not take that now, and after a \
                  restart it would count again: ask once more";
    records::not_kept(error, detail)
}
