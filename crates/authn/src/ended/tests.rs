//! Logouts, against journals that are away, busy or slow, and other nodes.

use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use bellwire_journal::{Journal, MemoryJournal, Observer};
use bellwire_model::limits::SESSIONS_ENDED_OF_SUBJECT_MAX;
use bellwire_model::{Entry, Epoch};

use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const HOUR: Duration = Duration::from_hours(1);
const BEGUN_AT: Timestamp = Timestamp::from_ms(1_800_000_000_000 - 3_600_000);

fn ending<'a>(subject: &'a str, id: &'a str) -> Ending<'a> {
    Ending { subject, id, begun_at: BEGUN_AT, ends_at: NOW.saturating_add(HOUR) }
}

fn ended(subject: &str, id: &str) -> EndedSessions {
    let all = EndedSessions::new(Default::default());
    all.known_mut().end(ending(subject, id), (NOW, NOW, Duration::ZERO));
    all
}

struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}

fn journal() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody)))
}

fn ended_in(journal: &Arc<dyn Journal>) -> Arc<EndedSessions> {
    let records = Arc::new(Records::default());
    records.keep_in(Arc::clone(journal));
    let lived = Arc::new(Lived::default());
    lived.restore(&records).expect("records");
    let all = EndedSessions::new((records, Arc::default(), lived));
    all.restore().expect("records");
    Arc::new(all)
}

/// A journal that writes nothing until it is told to go on.
fn busy_journal() -> (Arc<dyn Journal>, mpsc::SyncSender<()>) {
    let (journal, (go_on, busy)) = (journal(), mpsc::sync_channel(1));
    let keep_busy = Box::new(move |_| {
        let _ = busy.recv();
    });
    let change = RecordChange { key: "busy".into(), value: Some(b"1".as_slice().into()) };
    journal.write_records(vec![change], keep_busy).expect("queued");
    (journal, go_on)
}

/// Polls it once.
async fn begun<T>(work: &mut std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_pending())).await
}

#[test]
fn an_ended_session_is_its_own_alone() {
    let all = ended("ada", "1");
    let begun = Some(BEGUN_AT);
    assert!(!all.counts("ada", "1", begun));
    assert!(all.counts("ada", "2", begun) && all.counts("bob", "1", begun));
}

#[test]
fn of_very_many_of_one_subject_all_that_were_begun_have_ended() {
    let all = ended("ada", "0");
    for id in 1..=SESSIONS_ENDED_OF_SUBJECT_MAX {
        all.known_mut().end(ending("ada", &id.to_string()), (NOW, NOW, Duration::ZERO));
    }
    let begun = Some(BEGUN_AT);
    assert!(!all.counts("ada", "never ended", begun) && !all.counts("ada", "0", begun));
    assert!(all.counts("ada", "later", Some(NOW.saturating_add(HOUR))));
    assert!(all.counts("bob", "0", begun));
    assert_eq!(all.until("ada"), Some(NOW), "one that begins now begins later");
    assert!(all.known_mut().gone.is_empty(), "no record of a name was made");
}

#[tokio::test]
async fn a_logout_that_the_journal_refuses_counts_and_can_be_asked_for_again() {
    let open = journal();
    let records = Arc::new(Records::default());
    let all = Arc::new(EndedSessions::new((Arc::clone(&records), Arc::default(), Arc::default())));
    let told = all.end(ending("ada", "1"), || ()).await.expect_err("there is no journal yet");
    assert!(told.detail().contains("ask once more"), "{told:?}");
    assert!(!all.counts("ada", "1", Some(BEGUN_AT)), "it has ended all the same");
    records.keep_in(Arc::clone(&open));
    assert!(all.end(ending("ada", "1"), || ()).await.expect("asked once more"));
    assert!(!all.end(ending("ada", "1"), || ()).await.expect("the journal has it"));
    assert!(!ended_in(&open).counts("ada", "1", Some(BEGUN_AT)));
}

#[tokio::test]
async fn what_the_journal_has_refused_is_written_though_nobody_asks_again() {
    let open = journal();
    let records = Arc::new(Records::default());
    let all = Arc::new(EndedSessions::new((Arc::clone(&records), Arc::default(), Arc::default())));
    for id in 0..=SESSIONS_ENDED_OF_SUBJECT_MAX {
        let told = all.end(ending("ada", &id.to_string()), || ()).await;
        told.expect_err("there is no journal yet");
    }
    records.keep_in(Arc::clone(&open));
    all.keep_all().await.expect("kept");
    assert!(!ended_in(&open).counts("ada", "another", Some(BEGUN_AT)));
    assert_eq!(open.records(PREFIX).expect("records").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn logouts_while_the_journal_is_away_are_in_doubt_and_written_once_it_is_back() {
    let (journal, go_on) = busy_journal();
    let all = ended_in_unread(&journal);
    let names = ["ada", "bob", "eve"];
    for (place, subject) in names.into_iter().enumerate() {
        let told = all.end(ending(subject, "1"), || ()).await.expect_err("it is away");
        assert_eq!(told.is_maybe_taken(), Some(true), "{place}: {told:?}");
        assert!(!all.counts(subject, "1", Some(BEGUN_AT)));
    }
    tokio::time::resume();
    go_on.send(()).expect("it waits");
    all.keep_all().await.expect("kept");
    let restored = ended_in(&journal);
    for subject in names {
        assert!(!restored.counts(subject, "1", Some(BEGUN_AT)), "{subject}");
    }
}

/// That reads nothing before: the journal is busy.
fn ended_in_unread(journal: &Arc<dyn Journal>) -> Arc<EndedSessions> {
    let records = Arc::new(Records::default());
    records.keep_in(Arc::clone(journal));
    Arc::new(EndedSessions::new((records, Arc::default(), Arc::default())))
}

#[tokio::test]
async fn of_very_many_logouts_nobody_waits_for_each_of_the_others() {
    let (journal, go_on) = busy_journal();
    let all = ended_in_unread(&journal);
    let mut first = std::pin::pin!(all.end(ending("ada", "1"), || ()));
    assert!(begun(&mut first).await);
    // Whoever asked has left, all of them of one who begins sessions to end them.
    let begun_at = |number: usize| NOW.saturating_add(Duration::from_secs(number as u64));
    for number in 0..2_000 {
        let id = number.to_string();
        let ending = Ending { begun_at: begun_at(number), ..ending("eve", &id) };
        let mut logout = std::pin::pin!(all.end(ending, || ()));
        assert!(begun(&mut logout).await);
    }
    let mut last = std::pin::pin!(all.end(ending("bob", "1"), || ()));
    assert!(begun(&mut last).await);
    assert!(!all.counts("bob", "1", Some(BEGUN_AT)), "it counts at once");
    // What waits is one batch.
    let batch = all.known_mut().batch().expect("something waits");
    let names: Vec<&str> = batch.subjects.iter().map(|subject| &**subject).collect();
    assert!(names.ends_with(&["eve", "bob"]), "{names:?}");
    all.known_mut().put_back(batch.gone, &batch.subjects);
    go_on.send(()).expect("it waits");
    assert!(last.await.expect("kept") && first.await.expect("kept"));
    all.keep_all().await.expect("kept");
    let restored = ended_in(&journal);
    for (subject, id, begun_at) in
        [("ada", "1", BEGUN_AT), ("bob", "1", BEGUN_AT), ("eve", "7", begun_at(7))]
    {
        assert!(!restored.counts(subject, id, Some(begun_at)), "{subject}");
    }
    assert!(journal.records(PREFIX).expect("records").len() < 10, "what is said no more goes");
}

#[tokio::test]
async fn what_ends_while_its_subject_is_written_down_is_written_behind_it() {
    let (journal, go_on) = busy_journal();
    let all = ended_in_unread(&journal);
    let [one, other] = ["1", "2"].map(|id| ending("ada", id));
    let (mut first, mut second) =
        (std::pin::pin!(all.end(one, || ())), std::pin::pin!(all.end(other, || ())));
    assert!(begun(&mut first).await);
    // The writer has taken what there was.
    tokio::task::yield_now().await;
    assert!(begun(&mut second).await);
    go_on.send(()).expect("it waits");
    assert!(first.await.expect("kept") && second.await.expect("kept"));
    let restored = ended_in(&journal);
    assert!(["1", "2"].iter().all(|id| !restored.counts("ada", id, Some(BEGUN_AT))));
}

#[tokio::test]
async fn what_others_had_room_for_is_said_in_one_record_and_the_others_go() {
    let journal = journal();
    let all = ended_in(&journal);
    let (one, other) = (ended_in(&journal), ended_in(&journal));
    for id in 0..SESSIONS_ENDED_OF_SUBJECT_MAX {
        for (node, who) in [(&one, "a"), (&other, "b")] {
            let id = format!("{who}{id}");
            assert!(node.end(ending("ada", &id), || ()).await.expect("kept"));
        }
    }
    let records = journal.records(PREFIX).expect("records");
    assert_eq!(records.len(), 2 * SESSIONS_ENDED_OF_SUBJECT_MAX);
    for record in &records {
        all.on_change(Some(&record.value));
        assert!(!all.on_change(Some(&record.value)), "it is known");
    }
    all.keep_all().await.expect("kept");
    // Those that came behind are among all that had ended by then: whoever comes next lets go of them.
    ended_in(&journal).keep_all().await.expect("kept");
    let records = journal.records(PREFIX).expect("records");
    let restored = ended_in(&journal);
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(!restored.counts("ada", "a0", Some(BEGUN_AT)) && restored.until("ada").is_some());
}

#[tokio::test]
async fn what_is_over_has_no_place_though_servers_restart_again_and_again() {
    let journal = journal();
    // As a version before has written it, and as this one does.
    let before = format!(r#"{{"subject":"eve","until":{}}}"#, BEGUN_AT.as_ms());
    let key = format!("{PREFIX}{}/until-{}", "ZXZl", BEGUN_AT.as_ms()).into();
    let record = RecordChange { key, value: Some(before.into_bytes().into()) };
    ended_in(&journal).records.write(vec![record], |_| ()).await.expect("written");
    let all = ended_in(&journal);
    all.keep_all().await.expect("kept");
    assert!(all.end(ending("ada", "1"), || ()).await.expect("kept"));
    let year = NOW.saturating_add(Duration::from_hours(24 * 365));
    let is_left = |subject: &str| {
        let all = ended_in(&journal);
        let mut known = all.known_mut();
        known.forget_what_is_over(year, all.lived.now());
        known.by_subject.contains_key(subject)
    };
    assert!(is_left("ada") && is_left("eve"), "only a clock says that it is over");
    // Servers have been at work for some hours, and then for days.
    for (hours, ada, eve) in [(1, true, true), (3, false, true), (24 * 91, false, false)] {
        let lived = (hours * HOUR).as_millis().to_string().into_bytes();
        let record = RecordChange { key: crate::lived::RECORD.into(), value: Some(lived.into()) };
        all.records.write(vec![record], |_| ()).await.expect("written");
        assert_eq!((is_left("ada"), is_left("eve")), (ada, eve), "{hours}");
    }
}
