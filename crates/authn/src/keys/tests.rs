//! Keys over an API's life: made, used, taken back, restored, and changed while others come in.

use std::collections::BTreeMap;

use bellwire_access::Role;
use bellwire_access::key::NewKey;
use bellwire_journal::{Journal, MemoryJournal, Observer};
use bellwire_model::limits::{KEYS_MADE_MAX, NOTE_BYTES_MAX};
use bellwire_model::{Entry, Epoch};
use bellwire_wire::problem::Code;

use super::*;

struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}

fn journal() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody)))
}

fn policy() -> Policy {
    Policy::new(BTreeMap::new(), None)
}

fn keys_in(journal: &Arc<dyn Journal>, configured: &[StoredKey]) -> Arc<Keys> {
    let records = Arc::new(Records::default());
    records.keep_in(Arc::clone(journal));
    let keys = Keys::new(configured, records, Arc::default());
    keys.restore().expect("records");
    Arc::new(keys)
}

fn order(subject: &str) -> KeyOrder {
    let roles = [Role::ADMIN.into()].into();
    KeyOrder {
        subject: subject.into(),
        roles,
        claims: BTreeMap::new(),
        note: "".into(),
        ends_at: None,
    }
}

fn configured(fill: u8) -> (NewKey, StoredKey) {
    let key = NewKey::make([fill; NewKey::RANDOM_BYTES]);
    let stored = StoredKey::new(key.id(), &key.hash(), ("ada", Box::new([])), "");
    (key, stored.expect("its own words"))
}

const NOW: Timestamp = Timestamp::from_ms(1_800_000_030_000);

fn is_good(keys: &Keys, key: &NewKey) -> bool {
    keys.identity(&policy(), key.text(), NOW).is_ok() && keys.counts(key.id())
}

#[tokio::test]
async fn a_key_that_is_made_counts_until_it_is_taken_back_in_the_next_process_too() {
    let journal = journal();
    let keys = keys_in(&journal, &[]);
    let policy = policy();
    let make = |subject| keys.make(&policy, order(subject), ("root", NOW, || true));
    let (kept, stored) = make("sensor").await.expect("made");
    assert_eq!((&*stored.made_by, stored.made_at), ("root", Some(NOW)));
    let (gone, _) = make("thief").await.expect("made");
    let identity = keys.identity(&policy, kept.text(), NOW).expect("it counts");
    assert_eq!((identity.subject(), identity.claims.issued_at), ("sensor", Some(NOW)));
    keys.revoke(gone.id(), NOW, |_| ()).await.expect("taken back");
    for keys in [&keys, &keys_in(&journal, &[])] {
        assert!(is_good(keys, &kept) && !is_good(keys, &gone));
        assert_eq!(keys.list().len(), 1);
    }
    let again = keys.revoke(gone.id(), NOW, |_| ()).await.expect_err("it is not there");
    assert_eq!(again.code, Code::NotFound);
}

#[tokio::test]
async fn a_key_of_the_configuration_that_is_taken_back_stays_so_whatever_the_file_says() {
    let (journal, (key, stored)) = (journal(), configured(7));
    let keys = keys_in(&journal, std::slice::from_ref(&stored));
    assert!(is_good(&keys, &key));
    keys.revoke(key.id(), NOW, |_| ()).await.expect("taken back");
    assert!(!is_good(&keys, &key));
    let without = keys_in(&journal, &[]);
    assert_eq!(without.list()[0].stored.revoked_at, Some(NOW), "it is remembered");
    assert!(!is_good(&without, &key));
    let with = keys_in(&journal, std::slice::from_ref(&stored));
    assert!(!is_good(&with, &key));
    // A clock that is set back changes nothing.
    let before = NOW.saturating_sub(KEY_USE_STEP);
    assert!(with.identity(&policy(), key.text(), before).is_err());
    // Who takes it back once more when it is configured no more has it forgotten.
    without.revoke(key.id(), NOW, |_| ()).await.expect("forgotten");
    assert!(without.list().is_empty() && keys_in(&journal, &[]).list().is_empty());
}

#[tokio::test]
async fn a_key_that_is_taken_back_counts_no_more_while_the_journal_is_still_busy() {
    let (journal, (key, stored)) = (journal(), configured(7));
    let keys = keys_in(&journal, &[stored]);
    let turn = Arc::clone(&keys.turn).lock_owned().await;
    let mut revoking = std::pin::pin!(keys.revoke(key.id(), NOW, |_| ()));
    let waits = std::future::poll_fn(|context| {
        std::task::Poll::Ready(revoking.as_mut().poll(context).is_pending())
    });
    assert!(waits.await && !is_good(&keys, &key));
    drop(turn);
    revoking.await.expect("taken back");
    assert!(!is_good(&keys_in(&journal, &[]), &key));
}

#[tokio::test]
async fn whoever_is_taken_back_while_very_many_wait_makes_no_more() {
    let keys = keys_in(&journal(), &[]);
    let (maker, _) = keys.make(&policy(), order("a"), ("root", NOW, || true)).await.expect("made");
    let turn = Arc::clone(&keys.turn).lock_owned().await;
    let (policy, counts) = (policy(), || keys.counts(maker.id()));
    let mut making = std::pin::pin!(keys.make(&policy, order("b"), ("a", NOW, counts)));
    let mut revoking = std::pin::pin!(keys.revoke(maker.id(), NOW, |_| ()));
    let wait = std::future::poll_fn(|context| {
        let waits = (making.as_mut().poll(context).is_pending(), revoking.as_mut().poll(context));
        std::task::Poll::Ready(waits.0 && waits.1.is_pending())
    });
    assert!(wait.await);
    drop(turn);
    assert_eq!(making.await.expect_err("of the revoked").code, Code::CredentialInvalid);
    revoking.await.expect("taken back");
    assert!(keys.list().is_empty());
}

#[tokio::test]
async fn what_was_made_takes_the_place_of_no_configured_key() {
    let journal = journal();
    let keys = keys_in(&journal, &[]);
    let (made, stored) =
        keys.make(&policy(), order("a"), ("root", NOW, || true)).await.expect("made");
    let other = NewKey::make([9; NewKey::RANDOM_BYTES]);
    let own = StoredKey::new(&stored.id, &other.hash(), ("ada", Box::new([])), "");
    let both = keys_in(&journal, &[own.expect("its own words")]);
    assert!(both.identity(&policy(), made.text(), NOW).is_err());
    assert_eq!(&*both.list()[0].stored.subject, "ada");
}

#[tokio::test]
async fn the_last_use_is_told_by_the_minute_and_kept_by_the_hour() {
    let journal = journal();
    let keys = keys_in(&journal, &[]);
    let (key, _) = keys.make(&policy(), order("a"), ("root", NOW, || true)).await.expect("made");
    let used_at = |keys: &Keys| keys.list()[0].stored.used_at;
    let kept = || used_at(&keys_in(&journal, &[]));
    assert_eq!(used_at(&keys), None);
    keys.on_use(key.id(), NOW);
    let minute = Some(NOW.saturating_sub(std::time::Duration::from_secs(30)));
    assert_eq!((used_at(&keys), kept()), (minute, None));
    keys.keep_uses().await.expect("kept");
    assert_eq!(kept(), minute);
    let later = |minutes: u64| NOW.saturating_add(std::time::Duration::from_mins(minutes));
    keys.on_use(key.id(), later(59));
    keys.keep_uses().await.expect("kept");
    assert_eq!(kept(), minute, "not every minute");
    keys.on_use(key.id(), later(61));
    keys.keep_uses().await.expect("kept");
    assert_eq!(kept(), used_at(&keys));
    keys.on_use(key.id(), later(70));
    keys.keep_all_uses().await.expect("kept");
    assert_eq!(kept(), used_at(&keys));
    keys.revoke(key.id(), NOW, |_| ()).await.expect("taken back");
    keys.keep_all_uses().await.expect("nothing is kept");
    assert!(keys_in(&journal, &[]).list().is_empty(), "no use brings it back");
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_so_are_more_than_there_may_be() {
    let keys = keys_in(&journal(), &[]);
    let long = "x".repeat(NOTE_BYTES_MAX + 1);
    for (order, reason) in [
        (KeyOrder { roles: ["gone".into()].into(), ..order("a") }, "there is no role `gone`"),
        (KeyOrder { roles: Box::new([]), ..order("a") }, "1 to"),
        (KeyOrder { note: long.into(), ..order("a") }, "a note has"),
        (KeyOrder { note: "a\nb".into(), ..order("a") }, "note has characters"),
        (KeyOrder { ends_at: Some(NOW), ..order("a") }, "over already"),
        (order("a\nb"), "cannot be seen"),
        (order(""), "empty"),
    ] {
        let refused = keys.make(&policy(), order, ("root", NOW, || true)).await.expect_err(reason);
        assert!(refused.detail().contains(reason), "{refused:?}");
    }
    // As if so many had been made.
    for number in 0..KEYS_MADE_MAX {
        let random = std::array::from_fn(|place| (number >> (5 * place.min(9))) as u8 & 31);
        let key = NewKey::make(random);
        let stored = StoredKey::new(key.id(), &key.hash(), ("ada", Box::new([])), "");
        let key = KeptKey::new(stored.expect("its own words"), Origin::Made);
        keys.by_id_mut().insert(key.stored.id.clone(), key);
    }
    let refused = keys.make(&policy(), order("a"), ("root", NOW, || true)).await.expect_err("full");
    assert_eq!(refused.code, Code::RecordsExhausted);
    keys.revoke("00000000", NOW, |_| ()).await.expect("taken back");
    keys.make(&policy(), order("a"), ("root", NOW, || true)).await.expect("there is room for one");
}

#[tokio::test]
async fn what_is_taken_back_counts_no_more_though_the_journal_does_not_take_it() {
    let (journal, (key, stored)) = (journal(), configured(7));
    let keys = keys_in(&journal, &[stored]);
    journal.close().expect("closed");
    for _ in 0..2 {
        let told = keys.revoke(key.id(), NOW, |_| ()).await.expect_err("not kept");
        assert_eq!(told.code, Code::Draining);
        assert!(told.detail().contains("ask once more"));
        assert!(!keys.counts(key.id()));
    }
    let made = keys.make(&policy(), order("a"), ("root", NOW, || true)).await;
    assert!(made.is_err() && keys.list().len() == 1, "what is not kept is not made");
}
