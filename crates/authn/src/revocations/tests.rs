//! What was taken back, against clocks, restarts and journals.

use std::time::Duration;

use bellwire_access::Behind;
use bellwire_journal::{Journal, MemoryJournal, Observer};
use bellwire_model::{Entry, Epoch};
use proptest::prelude::*;

use super::*;

struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}

fn journal() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody)))
}

fn revocations_in(journal: &Arc<dyn Journal>) -> Arc<Revocations> {
    let records = Arc::new(Records::default());
    records.keep_in(Arc::clone(journal));
    let lived = Arc::new(Lived::default());
    lived.restore(&records).expect("records");
    let revocations = Revocations::new((records, Arc::default(), lived));
    revocations.restore().expect("records");
    Arc::new(revocations)
}

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const HOUR: Duration = Duration::from_hours(1);

fn after(time: Duration) -> Timestamp {
    NOW.saturating_add(time)
}

fn shown(subject: &str, issued_at: Option<Timestamp>) -> Identity {
    let claims = Claims::new(subject, BTreeMap::new(), None).expect("claims").issued(issued_at);
    Identity { claims, means: Means::Password, ..Identity::open() }
}

fn session(id: &str) -> Identity {
    Identity { means: Means::Session(id.into(), Behind::Other), ..shown("ada", Some(after(HOUR))) }
}

async fn revoke(revocations: &Arc<Revocations>, subject: &str, now: Timestamp) -> Revocation {
    let of = Revoked::Subject(subject.into());
    revocations.revoke(of, ("root", || now), || ()).await.expect("taken back")
}

#[tokio::test]
async fn what_was_issued_before_counts_no_more_and_what_comes_after_does() {
    let journal = journal();
    let revocations = revocations_in(&journal);
    let revocation = revoke(&revocations, "ada", NOW).await;
    for revocations in [&revocations, &revocations_in(&journal)] {
        let counts = |subject, issued_at| revocations.counts(&shown(subject, issued_at));
        assert!(!counts("ada", None) && !counts("ada", Some(NOW)));
        assert!(counts("ada", Some(after(Duration::from_millis(1)))));
        assert!(counts("bob", None) && revocations.counts(&Identity::open()));
        assert_eq!(revocations.list(), std::slice::from_ref(&revocation));
    }
    revocations.forget(&revocation.id).await.expect("forgotten");
    for revocations in [&revocations, &revocations_in(&journal)] {
        assert!(revocations.counts(&shown("ada", None)) && revocations.list().is_empty());
    }
    let again = revocations.forget(&revocation.id).await.expect_err("it is not there");
    assert_eq!(again.code, Code::NotFound);
}

#[tokio::test]
async fn one_more_of_a_subject_takes_the_place_of_the_one_before() {
    let journal = journal();
    let revocations = revocations_in(&journal);
    revoke(&revocations, "ada", NOW).await;
    let second = revoke(&revocations, "ada", after(HOUR)).await;
    for revocations in [&revocations, &revocations_in(&journal)] {
        assert_eq!(revocations.list(), std::slice::from_ref(&second));
        assert!(!revocations.counts(&shown("ada", Some(after(HOUR)))));
    }
    revocations.forget(&second.id).await.expect("forgotten");
    assert!(revocations.counts(&shown("ada", None)));
}

#[tokio::test]
async fn of_several_records_of_a_subject_the_newest_counts() {
    let journal = journal();
    let revocations = revocations_in(&journal);
    // What another took the place of, and the journal did not let go of: before and behind it.
    let older = ["!", "~"].map(|id| {
        let of = Revoked::Subject("ada".into());
        let old =
            Revocation { id: id.into(), of, made_at: NOW, until: NOW, made_by: "root".into() };
        RecordChange { key: record_key(id), value: Some(old.json(HOUR).into()) }
    });
    revocations.records.write(older.into(), |_| ()).await.expect("written");
    revoke(&revocations, "ada", after(HOUR)).await;
    let restored = revocations_in(&journal);
    assert!(!restored.counts(&shown("ada", Some(after(HOUR)))));
    assert_eq!(restored.list().len(), 1);
}

#[tokio::test]
async fn a_session_is_taken_back_by_its_name_alone() {
    let journal = journal();
    let revocations = revocations_in(&journal);
    let of = Revoked::Session("s-1_A".into());
    revocations.revoke(of, ("root", || NOW), || ()).await.expect("taken back");
    for revocations in [&revocations, &revocations_in(&journal)] {
        assert!(!revocations.counts(&session("s-1_A")) && revocations.counts(&session("s-2")));
    }
    let long = "a".repeat(SESSION_ID_BYTES_MAX + 1);
    for wrong in ["", "bws_é", "a b", &long] {
        let refused = revocations.revoke(Revoked::Session(wrong.into()), ("root", || NOW), || ());
        assert_eq!(refused.await.expect_err(wrong).code, Code::BodyInvalid);
    }
}

#[tokio::test]
async fn no_clock_that_is_set_revives_what_was_taken_back() {
    let journal = journal();
    let revocations = revocations_in(&journal);
    // Issued by a clock that is an hour ahead of the one that takes it back.
    let issued_at = Some(after(HOUR));
    revocations.issued.saw(issued_at);
    revoke(&revocations, "ada", NOW).await;
    let of = Revoked::Session("s".into());
    revocations.revoke(of, ("root", || NOW), || ()).await.expect("taken back");
    // A year ahead nothing is forgotten either: that may be a slip of the clock.
    revoke(&revocations, "bob", after(24 * 365 * HOUR)).await;
    for revocations in [&revocations, &revocations_in(&journal)] {
        assert!(!revocations.counts(&shown("ada", issued_at)));
        assert!(!revocations.counts(&session("s")));
    }
}

#[tokio::test]
async fn there_are_only_so_many_and_what_is_not_kept_counts_no_more_all_the_same() {
    let journal = journal();
    let revocations = revocations_in(&journal);
    for number in 0..REVOCATIONS_MAX {
        let (id, of) = (number.to_string().into(), Revoked::Subject(number.to_string().into()));
        let made_by = "root".into();
        let revocation = Revocation { id, of, made_at: NOW, until: NOW, made_by };
        revocations.kept_mut().insert(revocation, HOUR);
    }
    let one_more = || revocations.revoke(Revoked::Subject("ada".into()), ("root", || NOW), || ());
    assert_eq!(one_more().await.expect_err("full").code, Code::RecordsExhausted);
    assert!(revocations.counts(&shown("ada", None)));
    revocations.forget("7").await.expect("forgotten");
    journal.close().expect("closed");
    let told = one_more().await.expect_err("not kept");
    assert_eq!(told.code, Code::Draining);
    assert!(told.detail().contains("ask once more"));
    assert!(!revocations.counts(&shown("ada", None)));
}

#[tokio::test]
async fn what_is_taken_back_counts_no_more_while_the_journal_is_still_busy() {
    let journal = journal();
    let revocations = revocations_in(&journal);
    let turn = Arc::clone(&revocations.turn).lock_owned().await;
    let ended = std::cell::Cell::new(false);
    let of = |at| (Revoked::Subject("ada".into()), ("root", move || at));
    let ((first, by), (second, by_later)) = (of(NOW), of(after(HOUR)));
    let mut first = std::pin::pin!(revocations.revoke(first, by, || ended.set(true)));
    let mut second = std::pin::pin!(revocations.revoke(second, by_later, || ()));
    let wait = std::future::poll_fn(|context| {
        // The later one comes to its turn first.
        let waits = [second.as_mut().poll(context), first.as_mut().poll(context)];
        std::task::Poll::Ready(waits.iter().all(std::task::Poll::is_pending))
    });
    assert!(wait.await && ended.get());
    assert!(!revocations.counts(&shown("ada", Some(after(HOUR)))));
    drop(turn);
    second.await.expect("kept");
    first.await.expect("kept");
    for revocations in [&revocations, &revocations_in(&journal)] {
        assert!(!revocations.counts(&shown("ada", Some(NOW))));
        let listed = revocations.list();
        assert_eq!(listed.len(), 1);
        revocations.forget(&listed[0].id).await.expect("forgotten");
    }
    assert!(revocations_in(&journal).list().is_empty(), "nothing is left");
}

#[tokio::test]
async fn a_session_of_a_clock_that_was_ahead_stays_taken_back() {
    let revocations = revocations_in(&journal());
    let year = 4 * SESSION_MAX;
    revocations.issued.saw(Some(after(year)));
    let of = Revoked::Session("s".into());
    let revocation = revocations.revoke(of, ("root", || NOW), || ()).await.expect("taken back");
    let is_over = |now| Remembered { revocation: revocation.clone(), lived: HOUR }.is_over_at(now);
    assert!(!is_over(after(year)) && is_over(after(year + SESSION_MAX)));
}

#[tokio::test]
async fn a_session_that_is_over_has_no_place_though_servers_restart_again_and_again() {
    let journal = journal();
    let revocations = revocations_in(&journal);
    let of = Revoked::Session("s".into());
    revocations.revoke(of, ("root", || NOW), || ()).await.expect("taken back");
    // As a version before has written it.
    let before = format!(
        r#"{{"id":"1","session":"t","made_at":0,"until":{},"made_by":"root"}}"#,
        NOW.as_ms()
    );
    let record = RecordChange { key: record_key("1"), value: Some(before.into_bytes().into()) };
    revocations.records.write(vec![record], |_| ()).await.expect("written");
    let read = revocations_in(&journal);
    // What was queued is through once something behind it is.
    for (days, left) in [(1, 2), (89, 2), (91, 0)] {
        let lived = (days * 24 * HOUR).as_millis().to_string().into_bytes();
        let record = RecordChange { key: crate::lived::RECORD.into(), value: Some(lived.into()) };
        read.records.write(vec![record], |_| ()).await.expect("written");
        let next = revocations_in(&journal);
        next.kept_mut().expire(after(2 * SESSION_MAX), next.lived.now());
        assert_eq!(next.list().len(), left, "{days}");
    }
}

/// Two nodes of one journal, and what it has told each so far.
struct Nodes {
    journal: Arc<dyn Journal>,
    nodes: [Arc<Revocations>; 2],
}

impl Nodes {
    fn new() -> Self {
        let journal = journal();
        Self { nodes: [revocations_in(&journal), revocations_in(&journal)], journal }
    }

    fn record(&self, id: &str) -> Option<Vec<u8>> {
        let records = self.journal.records(PREFIX).expect("records");
        records.into_iter().find(|it| *it.key == *record_key(id)).map(|it| it.value.to_vec())
    }

    /// What was queued is through once something behind it is.
    async fn settle(&self) {
        let behind = RecordChange { key: "access/behind".into(), value: None };
        self.nodes[0].records.write(vec![behind], |_| ()).await.expect("written");
    }

    /// Has all hear of what the journal has of one, while all issue more. Whether the record stays.
    async fn echo(&self, id: &str, newest: Timestamp) -> bool {
        self.settle().await;
        let record = self.record(id);
        for node in &self.nodes {
            node.issued.saw(Some(newest));
            node.on_change(id, record.as_deref());
        }
        self.settle().await;
        self.record(id) == record
    }
}

#[tokio::test]
async fn what_is_issued_later_has_nobody_write_a_revocation_again() {
    let nodes = Nodes::new();
    let [one, other] = &nodes.nodes;
    // Issued before the other hears of it, by a clock that is ahead.
    other.issued.saw(Some(after(HOUR)));
    let id = revoke(one, "ada", NOW).await.id;
    other.on_change(&id, nodes.record(&id).as_deref());
    nodes.echo(&id, after(HOUR)).await;
    assert!(!one.counts(&shown("ada", Some(after(HOUR)))));
    for hours in 2..5 {
        assert!(nodes.echo(&id, after(hours * HOUR)).await, "{hours}");
        for node in &nodes.nodes {
            assert!(node.counts(&shown("ada", Some(after(hours * HOUR)))));
        }
    }
}

#[tokio::test]
async fn what_others_are_to_know_is_told_without_the_lock_that_requests_ask_for() {
    let nodes = Nodes::new();
    let [one, other] = &nodes.nodes;
    let id = revoke(one, "ada", NOW).await.id;
    other.issued.saw(Some(after(HOUR)));
    let (is_new, told) = other.take_in(&id, nodes.record(&id).as_deref());
    assert!(is_new && told.is_some());
    nodes.settle().await;
    let (kept, _) = Revocation::read(&nodes.record(&id).expect("a record")).expect("it is read");
    assert_eq!(kept.until, NOW, "nothing was queued under the lock");
}

#[tokio::test]
async fn of_nodes_that_raise_a_revocation_at_once_the_later_time_stays() {
    let nodes = Nodes::new();
    let [one, other] = &nodes.nodes;
    let id = revoke(one, "ada", NOW).await.id;
    let first = nodes.record(&id);
    other.issued.saw(Some(after(HOUR)));
    other.on_change(&id, first.as_deref());
    // A third one that has not heard of it says less, behind it.
    nodes.echo(&id, NOW).await;
    let less = Revocation { until: after(HOUR / 2), ..one.list().remove(0) };
    let less = RecordChange { key: record_key(&id), value: Some(less.json(HOUR).into()) };
    one.records.write(vec![less], |_| ()).await.expect("written");
    nodes.echo(&id, NOW).await;
    let kept = nodes.record(&id).expect("it is there");
    let (kept, _) = Revocation::read(&kept).expect("it is read");
    assert_eq!(kept.until, after(HOUR));
}

#[tokio::test]
async fn what_is_forgotten_stays_so_whatever_another_node_was_writing_of_it() {
    let nodes = Nodes::new();
    let [one, other] = &nodes.nodes;
    let id = revoke(one, "ada", NOW).await.id;
    let late = nodes.record(&id).expect("it is there");
    other.on_change(&id, Some(&late));
    one.forget(&id).await.expect("forgotten");
    for node in &nodes.nodes {
        assert!(!node.on_change(&id, None));
    }
    let late = RecordChange { key: record_key(&id), value: Some(late.into()) };
    one.records.write(vec![late], |_| ()).await.expect("written");
    nodes.echo(&id, after(HOUR)).await;
    assert_eq!(nodes.record(&id), None);
    for node in &nodes.nodes {
        assert!(node.list().is_empty() && node.counts(&shown("ada", None)));
    }
}

proptest! {
    /// Something is issued while its subject is taken back, and clocks say what they like: wherever
    /// that comes in between, what is issued counts no more if what it was made of does not, and counts
    /// if it was issued.
    #[test]
    fn whatever_comes_in_between_nothing_escapes_and_nothing_is_refused_wrongly(
        made_of in -5..5_i64,
        clocks in (-5..5_i64, -5..5_i64, -5..5_i64),
        earlier in prop::option::of(-5..5_i64),
        place in 0..5_usize,
    ) {
        let at = |ms: i64| Timestamp::from_ms(NOW.as_ms() + ms);
        let revocations = Revocations::new(Default::default());
        let take_back = |clock: i64| {
            let of = Revoked::Subject("ada".into());
            revocations.take_back(of, ("root", || at(clock))).expect("room");
        };
        earlier.into_iter().for_each(take_back);
        let credential = shown("ada", Some(at(made_of)));
        // As whoever verifies it does.
        revocations.issued.saw(credential.claims.issued_at);
        let in_between = |here: usize| {
            if place == here {
                take_back(clocks.1);
            }
        };
        in_between(0);
        let time = at(clocks.0).max(at(made_of));
        in_between(1);
        let issued = revocations.issued.issue(time, || {
            in_between(2);
            let counts = revocations.counts(&credential);
            in_between(3);
            counts
        });
        in_between(4);
        let made = issued.map(|issued| shown("ada", Some(issued)));
        let counts = |made: &Identity| revocations.counts(made);
        prop_assert!(made.as_ref().is_none_or(|made| !counts(made)), "all of it was taken back");
        // What was issued behind all that counts, whatever the clock says, and so does what is made of it.
        let behind = revocations.issued.until(at(clocks.2)).saturating_add(Duration::from_millis(1));
        let newer = shown("ada", Some(behind));
        let time = at(clocks.2).max(newer.claims.issued_at.expect("it says so"));
        let issued = revocations.issued.issue(time, || revocations.counts(&newer));
        prop_assert!(counts(&shown("ada", Some(issued.expect("it counts")))));
    }
}
