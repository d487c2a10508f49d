//! What becomes of dead letters for which there is no room, in bytes or in topics.

use bellwire_alerts::route::Variant;
use bellwire_journal::{MemoryJournal, ReadLimit};
use bellwire_model::limits::{TOPIC_BYTES_MAX, TOPICS_RESERVED};
use bellwire_model::{Epoch, Filter, Fingerprint, Offset};

use super::*;
use crate::tests::fixture::{Nobody, take_topics};

fn forgone(receiver: &str, group: &str, alerts: std::ops::Range<u64>) -> Forgone {
    Forgone {
        address: Address {
            receiver: receiver.into(),
            webhook: 0,
            group_key: group.into(),
            variant: Variant::ALONE,
        },
        alerts: alerts.map(Fingerprint::from_u64).collect(),
        reason: "nobody is there",
        time: Timestamp::from_ms(1),
        expires_at: Timestamp::from_ms(2),
    }
}

/// Appends until the journal has all of them.
async fn append_all(letters: &mut DeadLetters, journal: &dyn Journal) {
    let (figures, has_news) = (Arc::default(), Arc::clone(&letters.has_news));
    let mut passed = Duration::ZERO;
    loop {
        passed += RETRY_PAUSE;
        letters.append(journal, &figures, passed);
        if letters.course().pushed == Some(letters.kept) {
            return;
        }
        has_news.notified().await;
    }
}

/// The letters that a journal has: topic, reason, and how many alerts are named.
fn kept(journal: &dyn Journal) -> Vec<(String, String, usize)> {
    let filter: Filter = "alerts/dead-letters/**".parse().expect("a filter");
    let page = journal.read(Offset::ZERO, &filter.into(), ReadLimit::PAGE).expect("a page");
    let letters = page.entries.iter().map(|entry| {
        let Some(Body::Json(body)) = &entry.event.body else { panic!("{entry:?}") };
        let body: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let reason = body["reason"].as_str().expect("a text").to_owned();
        let named = body["fingerprints"].as_array().map_or(0, Vec::len);
        (entry.event.topic.as_str().to_owned(), reason, named)
    });
    letters.collect()
}

#[tokio::test]
async fn what_has_no_room_is_told_by_one_letter_of_each_webhook() {
    let mut letters = DeadLetters { bytes_max: 1_500, ..DeadLetters::new(Arc::default()) };
    for number in 0..100 {
        let receiver = if number % 2 == 0 { "ops" } else { "dev" };
        letters.push_forgone(
            forgone(receiver, &format!("g{number}"), number..number + 20),
            Timestamp::from_ms(9),
        );
    }
    letters.bytes_max = DEAD_LETTERS_WAITING_BYTES_MAX;
    let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody));
    append_all(&mut letters, &journal).await;
    let kept = kept(&journal);
    let (early, crowds) = kept.split_at(kept.len() - 2);
    assert!(!early.is_empty() && early.len() < 5, "{}", early.len());
    assert!(
        early
            .iter()
            .all(|(_, reason, named)| { reason == "nobody is there (alerts: 20)" && *named == 20 })
    );
    let groups = 100 - early.len();
    let alerts: usize = crowds.iter().map(|(_, _, named)| named).sum();
    assert_eq!(alerts, groups * 20);
    assert_eq!(
        (&*crowds[0].0, &*crowds[1].0),
        ("alerts/dead-letters/dev", "alerts/dead-letters/ops")
    );
    assert!(crowds[0].1.contains("other groups whose dead letters had no room"), "{}", crowds[0].1);
}

#[tokio::test]
async fn a_letter_for_whose_topic_there_is_no_room_goes_where_there_always_is() {
    let journal = MemoryJournal::with_topics_max((Epoch::new(1), 0), Vec::new(), Box::new(Nobody));
    let mut letters = DeadLetters::new(Arc::default());
    let push = |letters: &mut DeadLetters, receiver: &str, group: &str| {
        letters.push_forgone(forgone(receiver, group, 0..1), Timestamp::from_ms(9));
    };
    // The last topics that there is room for.
    take_topics(&journal, TOPICS_RESERVED - 1);
    push(&mut letters, "known", "first");
    append_all(&mut letters, &journal).await;
    for receiver in ["new", "known", "other", "newer"] {
        push(&mut letters, receiver, "later");
    }
    append_all(&mut letters, &journal).await;
    let topics: Vec<String> = kept(&journal).into_iter().map(|(topic, ..)| topic).collect();
    let expected = ["known", "_", "known", "_", "_"];
    assert_eq!(topics, expected.map(|segment| format!("alerts/dead-letters/{segment}")));
}

#[test]
fn every_receiver_has_a_topic() {
    let long = "ø".repeat(300);
    let table = [("ops", "ops"), ("a/b*c\n", "a_b_c_"), ("team x", "team x")];
    for (receiver, segment) in table {
        assert_eq!(
            topic_of_receiver(DEAD_LETTERS, receiver).as_str(),
            format!("alerts/dead-letters/{segment}")
        );
    }
    assert!(topic_of_receiver(DEAD_LETTERS, &long).as_str().len() <= TOPIC_BYTES_MAX);
}
