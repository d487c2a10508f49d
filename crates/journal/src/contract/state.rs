//! Clauses about state topics: the newest change of each key is kept.

use std::sync::mpsc::sync_channel;

use bellwire_model::limits::DELETIONS_OF_TOPIC_MIN;
use bellwire_model::{Condition, Entry, Keep, KeyVersion, Life, Offset, Version};

use super::{Open, Rig, change, plain, rule, text};
use crate::{Append, Appended, Error, Found, ReadLimit, RetentionRule, StateHorizon};

/// The newest change of each key by its topic and key, with its text, or none where it is gone.
pub(crate) type Values = std::collections::BTreeMap<(String, String), (Offset, Option<String>)>;

/// What the journal has of state topics after an offset, read page by page.
pub(crate) fn values_after(rig: &Rig, after: Offset) -> Values {
    let mut values = Values::new();
    for Entry { offset, event, keep } in state_after(rig, after) {
        assert_eq!(keep, Keep::Newest);
        let key = (event.topic.as_str().to_owned(), event.key.as_deref().unwrap_or("").to_owned());
        values.insert(key, (offset, event.body.is_some().then(|| text(&event))));
    }
    values
}

/// The changes of state topics that the journal has.
fn state_after(rig: &Rig, mut after: Offset) -> Vec<Entry> {
    let (tail, mut entries) = (rig.journal.bounds().tail, Vec::new());
    while after < tail {
        let page = rig.journal.state(after, ReadLimit { events: 7, bytes: 4096 });
        let page = page.expect("the journal reads");
        assert!(page.end > after, "a page before the tail makes progress");
        entries.extend(page.entries);
        after = page.end;
    }
    assert!(entries.is_sorted_by(|one, next| one.offset < next.offset));
    entries
}

fn value(
    topic: &str,
    key: &str,
    found: (Offset, Option<&str>),
) -> ((String, String), (Offset, Option<String>)) {
    ((topic.into(), key.into()), (found.0, found.1.map(Into::into)))
}

/// A batch of both is one batch: offsets of one order, told in that order; streams have nothing of
/// state topics, whatever their names.
pub fn changes_of_state_have_a_place_in_the_one_order(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let offsets = rig.append_new(vec![
        plain("a", "1"),
        change("a", "k", Some("2")),
        plain("b", "3"),
        change("s", "k", Some("4")),
    ]);
    assert!(offsets.is_sorted_by(|one, next| one < next));
    assert_eq!(rig.journal.bounds().tail, offsets[3]);
    let seen = rig.seen.entries();
    let told: Vec<_> = seen.iter().map(|entry| (entry.offset, entry.keep)).collect();
    let keeps = [Keep::Every, Keep::Newest, Keep::Every, Keep::Newest];
    assert_eq!(told, offsets.iter().copied().zip(keeps).collect::<Vec<_>>());
    assert_eq!(rig.texts("**"), ["1", "3"]);
    assert_eq!(rig.journal.topics().len(), 2, "figures are those of streams");
    let expected =
        [value("a", "k", (offsets[1], Some("2"))), value("s", "k", (offsets[3], Some("4")))];
    assert_eq!(values_after(&rig, Offset::ZERO), Values::from(expected));
    assert_eq!(rig.journal.state_horizons().expect("read").topics, []);
}

/// A key has one value, or is remembered to be gone, and retention has nothing to say of it.
pub fn the_newest_change_of_each_key_is_kept_whatever_retention_says(open: Open<'_>) {
    let none = RetentionRule { events_max: Some(0), ..rule("**") };
    let rig = Rig::open(open, vec![none]);
    rig.append_new(vec![change("s", "a", Some("1")), change("s", "b", Some("2"))]);
    let [a, gone] = rig.append_new(vec![change("s", "a", Some("3")), change("s", "b", None)])[..]
    else {
        panic!("two changes")
    };
    rig.append_texts("stream", &["x"]);
    rig.retain(1_000_000);
    assert_eq!(rig.texts("**"), Vec::<String>::new());
    let expected = [value("s", "a", (a, Some("3"))), value("s", "b", (gone, None))];
    assert_eq!(values_after(&rig, Offset::ZERO), Values::from(expected.clone()));
    assert_eq!(values_after(&rig, a), Values::from([expected[1].clone()]));
    assert_eq!(values_after(&rig, gone), Values::new());
    // A key that comes back is no longer gone.
    let again = rig.append_new(vec![change("s", "b", Some("4"))])[0];
    let expected = [expected[0].clone(), value("s", "b", (again, Some("4")))];
    assert_eq!(values_after(&rig, Offset::ZERO), Values::from(expected));
}

/// Nothing is appended, and the answer says when the key went.
pub fn a_key_that_is_not_there_is_not_deleted(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let tail = rig.append_one(plain("a", "x")).offset;
    let nothing = |offset| Appended::again(offset);
    assert_eq!(rig.append_one(change("s", "a", None)), nothing(tail));
    let batch = vec![change("s", "a", Some("1")), change("s", "a", None), change("s", "a", None)];
    let appended = rig.append(batch).expect("appended");
    let gone = appended[1].offset;
    assert_eq!(appended[2], nothing(gone));
    assert_eq!(rig.append_one(change("s", "a", None)), nothing(gone));
    assert!(rig.journal.bounds().tail >= gone);
    assert_eq!(rig.seen.entries().len(), 3);
}

/// A change is made where its key is as it has to be when the order is made; else nothing of its batch
/// is, and the error says what there is.
pub fn a_change_is_made_where_its_key_is_as_it_has_to_be(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let epoch = rig.journal.epoch();
    let at = |offset| Condition::At(KeyVersion::Journal { epoch, offset });
    let when = |condition, key: &str, text| Append { condition, ..change("s", key, text) };
    let unmet = |batch: Vec<Append>| match rig.append(batch) {
        Err(Error::Condition(unmet)) => (unmet.index, unmet.found),
        other => panic!("{other:?}"),
    };
    let first = rig.append_new(vec![when(Condition::Absent, "a", Some("1"))])[0];
    let refused = vec![plain("stream", "x"), when(Condition::Absent, "a", Some("2"))];
    assert_eq!(unmet(refused), (1, Found::At(first)));
    assert_eq!(unmet(vec![when(at(first), "b", Some("2"))]), (0, Found::Nothing));
    let second = rig.append_new(vec![plain("stream", "y"), when(at(first), "a", Some("2"))])[1];
    assert_eq!(unmet(vec![when(at(first), "a", Some("3"))]), (0, Found::At(second)));
    let table = KeyVersion::Table { life: Life::new(1), version: Version::new(second.get()) };
    assert_eq!(unmet(vec![when(Condition::At(table), "a", None)]), (0, Found::At(second)));
    let twice = vec![change("s", "a", Some("3")), when(at(second), "a", Some("4"))];
    assert_eq!(unmet(twice), (1, Found::Again));
    assert_eq!(rig.append_new(vec![when(at(second), "a", None)]).len(), 1);
    // One that is gone is absent.
    assert_eq!(unmet(vec![when(at(second), "a", None)]), (0, Found::Nothing));
    let key = Some(Box::from("once"));
    let once = Append { idempotency_key: key, ..when(Condition::Absent, "a", Some("5")) };
    let made = rig.append_one(once.clone());
    // It has been made: what it asked for is so no more, since it was.
    assert_eq!(rig.append_one(once), Appended { duplicate: true, ..made });
    assert_eq!(rig.texts("**"), ["y"]);
    assert_eq!(rig.seen.entries().len(), 5, "nothing of what was refused");
    let expected = [value("s", "a", (made.offset, Some("5")))];
    assert_eq!(values_after(&rig, Offset::ZERO), Values::from(expected));
}

/// Of many who add to what they have seen, each counts once, though their batches are one commit.
pub fn of_changes_that_wait_together_each_sees_those_before_it(open: Open<'_>) {
    const WRITERS: usize = 50;
    let rig = Rig::open(open, Vec::new());
    let (sender, replies) = sync_channel(WRITERS);
    for number in 0..WRITERS {
        let text = number.to_string();
        let append = Append { condition: Condition::Absent, ..change("s", "a", Some(&text)) };
        let sender = sender.clone();
        let reply = move |result: Result<_, _>| sender.send(result.is_ok()).expect("it waits");
        rig.journal.append(vec![append], Box::new(reply)).expect("room");
    }
    drop(sender);
    let made: Vec<bool> = replies.into_iter().collect();
    assert_eq!(made.iter().filter(|is_made| **is_made).count(), 1);
    assert!(made[0]);
}

/// An idempotency key holds for state topics, too.
pub fn a_change_of_state_with_a_remembered_key_counts_once(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let with_key =
        |text| Append { idempotency_key: Some("once".into()), ..change("s", "a", Some(text)) };
    let first = rig.append_one(with_key("1"));
    rig.append_one(change("s", "a", Some("2")));
    assert_eq!(rig.append_one(with_key("1")), Appended { duplicate: true, ..first });
    let values = values_after(&rig, Offset::ZERO);
    assert_eq!(values.values().next().expect("a value").1.as_deref(), Some("2"));
}

/// However small the pages, each key comes.
pub fn pages_of_state_join_without_holes(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let large = "x".repeat(5000);
    for number in 0..40 {
        let text = if number % 5 == 0 { &large } else { "small" };
        let key = number.to_string();
        rig.append_new(vec![plain("stream", "x"), change("s", &key, Some(text))]);
    }
    assert_eq!(values_after(&rig, Offset::ZERO).len(), 40);
}

/// However often a few keys change, there is a bound to what is kept of them.
pub fn what_was_replaced_goes_and_what_counts_stays(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let mut newest = Values::new();
    for round in 0..20 {
        let keys: Vec<String> =
            (0..400).map(|number| ((number * round) % 300).to_string()).collect();
        let changes = keys.iter().map(|key| change("s", key, Some(&format!("{round} {key}"))));
        let offsets = rig.append_new(changes.collect());
        for (key, offset) in keys.iter().zip(offsets) {
            newest.extend([value("s", key, (offset, Some(&format!("{round} {key}"))))]);
        }
    }
    rig.retain(1);
    let rows = state_after(&rig, Offset::ZERO).len();
    assert!(rows < 20 * 400 / 2, "{rows} rows");
    assert_eq!(values_after(&rig, Offset::ZERO), newest);
}

/// As many deletions of a topic are remembered as there are keys, and some at least.
pub fn deletions_are_forgotten_beyond_a_horizon(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let keys: Vec<String> = (0..3 * DELETIONS_OF_TOPIC_MIN).map(|key| key.to_string()).collect();
    rig.append_new(keys.iter().map(|key| change("s", key, Some("x"))).collect());
    rig.append_new(vec![change("other", "a", Some("x")), change("other", "a", None)]);
    let gone = rig.append_new(keys[1..].iter().map(|key| change("s", key, None)).collect());
    rig.append_new(keys[1..2].iter().map(|key| change("s", key, Some("again"))).collect());
    // What no longer counts is removed with what comes, or by and by.
    (0..3).for_each(|_| rig.retain(1));
    let values = values_after(&rig, Offset::ZERO);
    let kept = values.values().filter(|(_, text)| text.is_none()).count();
    let there: Vec<_> =
        values.iter().filter(|(_, (_, text))| text.is_some()).map(|((_, key), _)| key).collect();
    assert_eq!(there, ["0", "1"]);
    let horizons = rig.journal.state_horizons().expect("the journal reads");
    let forgotten = gone[gone.len() - 1 - DELETIONS_OF_TOPIC_MIN];
    let [StateHorizon { topic, offset }] = &horizons.topics[..] else { panic!("{horizons:?}") };
    assert_eq!((topic.as_str(), horizons.forgotten), ("s", Offset::ZERO));
    // Those that are forgotten are there until their rows have gone.
    assert!(*offset <= forgotten, "{offset} {forgotten}");
    let told = gone.iter().filter(|gone| **gone > *offset).count();
    assert_eq!(kept, told + 1, "and that of the other topic");
    assert!(kept <= 2 * DELETIONS_OF_TOPIC_MIN + 1, "{kept}");
}
