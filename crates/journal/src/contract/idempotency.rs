//! Clauses about idempotency keys: who publishes again after a lost answer adds nothing.

use std::time::Duration;

use bellwire_model::limits::IDEMPOTENCY_AGE;

use super::{Open, Rig, keyed, plain, rule};
use crate::{Appended, RetentionRule};

/// The second append adds nothing and is answered like the first.
pub fn a_remembered_key_adds_nothing_and_answers_with_the_first_offset(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let first = rig.append_one(keyed("a", "k", 0));
    assert!(!first.duplicate);
    let between = rig.append_one(plain("a", "x"));
    let again = rig.append_one(keyed("a", "k", 5));
    assert_eq!(again, Appended::again(first.offset));
    assert_eq!(rig.texts("a"), ["k", "x"]);
    assert!(rig.journal.bounds().tail >= between.offset);
    assert_eq!(rig.seen.entries().len(), 2);
}

/// The same key on another topic is another key.
pub fn a_key_is_remembered_for_its_topic_only(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    for (topic, key, duplicate) in [
        ("a", "k", false),
        ("b", "k", false),
        ("a", "l", false),
        ("a", "k", true),
        ("b", "k", true),
    ] {
        assert_eq!(rig.append_one(keyed(topic, key, 0)).duplicate, duplicate, "{topic} {key}");
    }
}

/// Duplicates side by side count once too.
pub fn a_key_counts_once_within_a_batch_and_a_commit(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let batch = vec![keyed("a", "k", 0), plain("a", "x"), keyed("a", "k", 0), keyed("a", "l", 0)];
    let appended = rig.append(batch).expect("the batch is appended");
    let duplicates: Vec<bool> = appended.iter().map(|appended| appended.duplicate).collect();
    assert_eq!(duplicates, [false, false, true, false]);
    assert_eq!(appended[2].offset, appended[0].offset);
    assert!(appended[3].offset > appended[1].offset);
    assert_eq!(rig.texts("a"), ["k", "x", "l"]);

    // From many publishers at once, as they meet in one commit.
    let offsets: Vec<_> = std::thread::scope(|scope| {
        let publish = || rig.append_one(keyed("a", "m", 0)).offset;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(publish)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a publisher")).collect()
    });
    assert!(offsets.iter().all(|offset| *offset == offsets[0]), "{offsets:?}");
    assert_eq!(rig.texts("a").len(), 4);
}

/// A key is remembered for as long as promised, until retention comes by after that.
pub fn an_old_key_is_forgotten(open: Open<'_>) {
    let age_ms = IDEMPOTENCY_AGE.as_millis() as i64;
    let rig = Rig::open(open, Vec::new());
    rig.append_one(keyed("a", "k", 0));
    rig.retain(0);
    rig.retain(age_ms);
    assert!(rig.append_one(keyed("a", "k", age_ms)).duplicate);
    rig.retain(age_ms + 1);
    assert!(!rig.append_one(keyed("a", "k", age_ms + 1)).duplicate);
    rig.retain(age_ms + 2);
    assert!(rig.append_one(keyed("a", "k", age_ms + 3)).duplicate);
    rig.retain(2 * age_ms + 2);
    assert!(!rig.append_one(keyed("a", "k", age_ms + 3)).duplicate);
}

/// Retention removes the event, not the memory of who published it.
pub fn a_removed_event_still_has_its_key(open: Open<'_>) {
    let age = Some(Duration::ZERO);
    let rig = Rig::open(open, vec![RetentionRule { age, ..rule("**") }]);
    let first = rig.append_one(keyed("a", "k", 0));
    rig.retain(1);
    assert_eq!(rig.texts("a"), [""; 0]);
    let again = rig.append_one(keyed("a", "k", 1));
    assert_eq!(again, Appended::again(first.offset));
}
