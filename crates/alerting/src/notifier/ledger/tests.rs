//! What the journal takes, and what it does not: with a journal that is as full as it may be.

use bellwire_journal::MemoryJournal;
use bellwire_model::Epoch;
use bellwire_model::limits::RECORD_BYTES_MAX;

use super::*;
use crate::tests::fixture::Nobody;

fn change(key: &str, value: Option<usize>) -> NotificationRecordChange {
    NotificationRecordChange {
        key: format!("notified/{key}"),
        value: value.map(|bytes| vec![1; bytes]),
        turn: Turn::Next,
    }
}

/// So many dead letters have come, and so many of them are kept.
fn course(pushed: u64, kept: u64) -> LetterCourse {
    LetterCourse { pushed: Some(pushed), kept }
}

fn behind_letters(change: NotificationRecordChange) -> NotificationRecordChange {
    NotificationRecordChange { turn: Turn::BehindLetters, ..change }
}

/// A ledger with its journal, and the time that passes.
struct Book {
    ledger: Ledger,
    journal: MemoryJournal,
    figures: Arc<Figures>,
    has_news: Arc<Notify>,
    passed: Duration,
}

impl Book {
    fn new() -> Self {
        let has_news = Arc::new(Notify::new());
        Self {
            ledger: Ledger::new([], Arc::clone(&has_news)),
            journal: MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody)),
            figures: Arc::default(),
            has_news,
            passed: Duration::ZERO,
        }
    }

    /// Offers what there is until nothing is left, or the journal has refused it so many times.
    async fn save(&mut self, refusals: u64) {
        let before = self.figures.journal_failures.get();
        loop {
            self.passed += RETRY_PAUSE_MAX;
            self.ledger.save(&self.journal, &self.figures, self.passed).settled().await;
            if self.ledger.on_its_way.is_some() && self.ledger.answer().is_none() {
                self.has_news.notified().await;
                continue;
            }
            self.ledger.take_answer(&self.figures, self.passed);
            let refused = self.figures.journal_failures.get() - before;
            if self.ledger.unsaved.is_empty() || refused >= refusals {
                return;
            }
        }
    }

    fn keys(&self) -> Vec<String> {
        let records = self.journal.records("notified").expect("records");
        records.iter().map(|record| record.key["notified/".len()..].to_owned()).collect()
    }
}

#[tokio::test]
async fn what_the_journal_refuses_leaves_no_trace_and_stops_nothing_that_goes() {
    let mut book = Book::new();
    book.ledger.note(vec![change("a", Some(10)), change("b", Some(10))]);
    book.save(1).await;
    assert_eq!(book.keys(), ["a", "b"]);
    // One that is never taken, and one that goes.
    let large = RECORD_BYTES_MAX + 1;
    book.ledger.note(vec![change("large", Some(large)), change("a", None)]);
    book.save(2).await;
    assert_eq!(book.keys(), ["b"], "what goes finds room");
    // For days records come and go that the journal never has.
    for number in 0..1_000 {
        let key = format!("n{number}");
        book.ledger.note(vec![change(&key, Some(10))]);
        book.ledger.note(vec![change(&key, None)]);
    }
    book.ledger.note(vec![behind_letters(change("never", None))]);
    book.ledger.on_letters(course(0, 0));
    assert_eq!(book.ledger.unsaved.len(), 1);
    // Once it takes all again nothing is missing.
    book.ledger.note(vec![change("large", None), change("c", Some(10))]);
    book.save(9).await;
    assert_eq!(book.keys(), ["b", "c"]);
    assert!(book.ledger.unsaved.is_empty() && book.ledger.stored.len() == 2);
}

#[tokio::test]
async fn who_waits_for_a_record_waits_until_it_is_kept() {
    let mut book = Book::new();
    book.ledger.note(vec![change("a", Some(10))]);
    let first = book.ledger.save(&book.journal, &book.figures, Duration::ZERO);
    book.ledger.note(vec![change("b", Some(10))]);
    let second = book.ledger.save(&book.journal, &book.figures, Duration::ZERO);
    first.settled().await;
    assert_eq!(book.keys()[0], "a");
    book.ledger.save(&book.journal, &book.figures, Duration::ZERO);
    second.settled().await;
    assert_eq!(book.keys(), ["a", "b"]);
}

#[tokio::test]
async fn a_record_that_lacks_what_a_dead_letter_stands_for_waits_until_the_letter_is_kept() {
    let mut book = Book::new();
    book.ledger.note(vec![change("a", Some(10)), change("b", Some(10))]);
    book.save(1).await;
    let length = |book: &Book| {
        let records = book.journal.records("notified/a").expect("records");
        records.first().map(|record| record.value.len())
    };
    // What is owed goes, and the webhook is told something else at once.
    book.ledger.note(vec![behind_letters(change("a", Some(9))), change("a", Some(8))]);
    book.ledger.on_letters(course(1, 0));
    book.ledger.note(vec![change("b", None), change("c", Some(10))]);
    book.save(1).await;
    assert_eq!((book.keys(), length(&book)), (vec!["a".to_owned(), "c".to_owned()], Some(10)));
    let kept = book.ledger.save(&book.journal, &book.figures, book.passed);
    let is_kept = tokio::spawn(kept.settled());
    // It is forgotten and told anew while its letter waits.
    book.ledger.note(vec![behind_letters(change("a", None)), change("a", Some(7))]);
    book.ledger.on_letters(course(2, 1));
    book.save(1).await;
    is_kept.await.expect("kept");
    assert_eq!(length(&book), Some(8));
    book.ledger.on_letters(course(3, 2));
    book.save(1).await;
    assert_eq!(length(&book), Some(7));
}

#[tokio::test]
async fn nobody_waits_for_what_leaves_no_trace() {
    let mut book = Book::new();
    book.ledger.note(vec![behind_letters(change("never", None))]);
    let waits = book.ledger.save(&book.journal, &book.figures, Duration::ZERO);
    assert_eq!(waits.0.released, 1);
    book.ledger.on_letters(course(1, 1));
    book.ledger.save(&book.journal, &book.figures, Duration::ZERO);
    assert_eq!(*waits.1.borrow(), waits.0);
}
