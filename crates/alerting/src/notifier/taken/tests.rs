//! What becomes of events for which the journal has no room, or no topic.

use std::sync::atomic::{AtomicBool, Ordering};

use bellwire_alerts::notification::{Address, NotificationReason};
use bellwire_alerts::route::Variant;
use bellwire_journal::{MemoryJournal, ReadLimit};
use bellwire_model::{Alert, AlertStatus, Epoch, Filter, Labels, Offset, Timestamp};

use super::*;
use crate::tests::fixture::{Nobody, posted};
use crate::tests::refused::Refusing;

fn update(name: &str, resolved_at: Option<Timestamp>) -> Update {
    let firing = posted(&[("alertname", name)], Timestamp::from_ms(1));
    let alert = Alert { resolved_at, ..firing };
    Update { alert: Arc::new(alert), status: AlertStatus::default() }
}

fn notification(receiver: &str) -> Notification {
    Notification {
        address: Address {
            receiver: receiver.into(),
            webhook: 0,
            group_key: "{}:{}".into(),
            variant: Variant::ALONE,
        },
        group_labels: Labels::empty(),
        alerts: vec![update("B", None), update("A", Some(Timestamp::from_ms(5)))],
        reason: NotificationReason::First,
        time: Timestamp::from_ms(2),
        deadline: Timestamp::from_ms(9),
    }
}

fn push(log: &mut TakenLog, receiver: &str, attempts: u32, figures: &Figures) {
    let delivered = Delivered { attempts, at: Timestamp::from_ms(3) };
    log.push((&notification(receiver), None), delivered, figures);
}

/// Appends until the journal has so many; what it has is told by topic and attempts.
async fn kept(log: &mut TakenLog, journal: &dyn Journal, count: usize) -> Vec<(String, u64)> {
    let filter: Filter = "alerts/notifications/*".parse().expect("a filter");
    let mut passed = Duration::ZERO;
    loop {
        passed += RETRY_PAUSE;
        log.append(journal, &Figures::default(), passed);
        let filters = filter.clone().into();
        let page = journal.read(Offset::ZERO, &filters, ReadLimit::PAGE).expect("a page");
        if page.entries.len() >= count {
            let told = page.entries.iter().map(|entry| {
                let Some(Body::Json(body)) = &entry.event.body else { panic!("{entry:?}") };
                let body: serde_json::Value = serde_json::from_slice(body).expect("JSON");
                let topic = entry.event.topic.segments().nth(2).expect("a receiver");
                (topic.to_owned(), body["attempts"].as_u64().expect("a number"))
            });
            return told.collect();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_the_journal_refuses_waits_in_its_order_and_the_oldest_go() {
    let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody));
    let journal = Refusing { journal, refuses: AtomicBool::new(true) };
    let (mut log, figures) = (TakenLog::new(Arc::default()), Figures::default());
    push(&mut log, "ops", 1, &figures);
    log.append(&journal, &figures, Duration::ZERO);
    push(&mut log, "ops", 2, &figures);
    log.append(&journal, &figures, Duration::ZERO);
    assert_eq!((log.waiting.len(), figures.journal_failures.get()), (2, 1), "it is left alone");
    let each = log.bytes / 2;
    log.bytes_max = 3 * each;
    for attempts in 3..=5 {
        push(&mut log, "ops", attempts, &figures);
    }
    assert_eq!(figures.notifications_untold.get(), 2);
    journal.refuses.store(false, Ordering::SeqCst);
    let told = kept(&mut log, &journal, 3).await;
    assert_eq!(told, [3, 4, 5].map(|attempts| ("ops".to_owned(), attempts)));
    assert_eq!(log.bytes, 0);
}

#[tokio::test]
async fn what_has_no_topic_is_told_where_there_always_is_one() {
    let topics_max = (Epoch::new(1), 0);
    let journal = MemoryJournal::with_topics_max(topics_max, Vec::new(), Box::new(Nobody));
    let full = (0..bellwire_model::limits::TOPICS_RESERVED).map(|number| {
        let mut append = event(
            (&notification("ops"), None),
            Delivered { attempts: 0, at: Timestamp::from_ms(1) },
        );
        append.event.topic = format!("alerts/events/w/{number}").parse().expect("a topic");
        append
    });
    journal.append(full.collect(), Box::new(|_| {})).expect("queued");
    let (mut log, figures) = (TakenLog::new(Arc::default()), Figures::default());
    push(&mut log, "ops", 1, &figures);
    assert_eq!(kept(&mut log, &journal, 1).await, [("_".to_owned(), 1)]);
}

#[test]
fn a_webhook_that_takes_some_alerts_was_told_of_those_alone() {
    let delivered = Delivered { attempts: 1, at: Timestamp::from_ms(3) };
    let named = |alerts_max| {
        let append = event((&notification("ops"), alerts_max), delivered);
        let Some(Body::Json(body)) = append.event.body else { panic!("no JSON") };
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        serde_json::json!([body["alerts"], body["firing"], body["resolved"]])
    };
    let [a, b] = ["A", "B"].map(|name| update(name, None).fingerprint().to_string());
    assert_eq!(named(None), serde_json::json!([2, [b], [a]]));
    assert_eq!(named(Some(1)), serde_json::json!([1, [], [a]]));
}
