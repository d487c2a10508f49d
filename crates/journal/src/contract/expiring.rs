//! Clauses about keys that go by themselves.

use std::time::Duration;

use bellwire_model::limits::STATE_LOOKS_MAX;
use bellwire_model::{Condition, Entry, Event, KeyVersion, Offset, Timestamp};

use super::state::values_after;
use super::{Open, Rig, change, plain};
use crate::{Append, Appended, ClockReading, Error};

/// A key with a text that goes at an uptime.
pub(crate) fn until(key: &str, text: &str, uptime_ms: u64) -> Append {
    let expires_at = Some(Duration::from_millis(uptime_ms));
    Append { expires_at, ..change("s", key, Some(text)) }
}

/// What has a key go at an uptime.
pub(crate) fn renewal(key: &str, uptime_ms: u64) -> Append {
    Append::renewal(change("s", key, None).event, Duration::from_millis(uptime_ms))
}

/// Deletes what is over by an uptime, all of it. Returns when the next key goes.
pub(crate) fn expire(rig: &Rig, uptime_ms: u64) -> Option<u64> {
    loop {
        let next = expire_some(rig, uptime_ms);
        if next.is_none_or(|next| next > uptime_ms) {
            return next;
        }
    }
}

fn expire_some(rig: &Rig, uptime_ms: u64) -> Option<u64> {
    let uptime = Duration::from_millis(uptime_ms);
    let now = ClockReading { wall: Timestamp::from_ms(77), uptime };
    let next = rig.journal.expire(now).expect("the journal takes it");
    next.map(|next| next.as_millis() as u64)
}

/// The keys that are there.
pub(crate) fn keys(rig: &Rig) -> Vec<String> {
    let values = values_after(rig, Offset::ZERO).into_iter();
    values.filter(|(_, (_, text))| text.is_some()).map(|((_, key), _)| key).collect()
}

/// Each is deleted as an event of the one order that says why, by the order of their times.
pub fn keys_go_when_their_time_is_over_in_its_order(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    assert_eq!(expire(&rig, 5_000), None);
    let batch = vec![until("b", "1", 9_000), until("a", "1", 7_000), plain("s", "x")];
    rig.append_new(batch);
    rig.append_new(vec![change("s", "stays", Some("1")), until("c", "1", 7_001)]);
    assert_eq!(expire(&rig, 6_999), Some(7_000));
    assert_eq!(keys(&rig), ["a", "b", "c", "stays"]);
    let before = rig.seen.entries().len();
    assert_eq!(expire(&rig, 8_000), Some(9_000));
    assert_eq!(expire(&rig, 9_000), None);
    assert_eq!(keys(&rig), ["stays"]);
    let told = rig.seen.entries().split_off(before);
    let what = |Entry { event, .. }: &Entry| (event.key.clone(), event.reason().map(str::to_owned));
    let expected = ["a", "c", "b"].map(|key| (Some(key.into()), Some(Event::EXPIRED.to_owned())));
    assert_eq!(told.iter().map(what).collect::<Vec<_>>(), expected);
    assert!(
        told.iter().all(|it| it.event.time == Timestamp::from_ms(77) && it.event.body.is_none())
    );
    assert_eq!(rig.journal.bounds().tail, told[2].offset);
    // Who comes back learns of it as of any deletion.
    let gone = values_after(&rig, told[1].offset);
    assert_eq!(gone.into_iter().next(), Some((("s".into(), "b".into()), (told[2].offset, None))));
}

/// To renew a key changes nothing but when it goes; where there is no such key nothing is done.
pub fn a_renewal_is_no_change(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let value = rig.append_one(until("a", "1", 1_000)).offset;
    let other = rig.append_one(change("s", "b", Some("1"))).offset;
    for (key, at, uptime_ms) in [("a", value, 5_000), ("b", other, 3_000), ("a", value, 4_000)] {
        assert_eq!(rig.append_one(renewal(key, uptime_ms)), Appended::new(at));
    }
    let tail = rig.journal.bounds().tail;
    assert!(tail >= other);
    assert_eq!(rig.append_one(renewal("none", 1)), Appended::again(tail));
    assert_eq!(rig.seen.entries().len(), 2);
    let epoch = rig.journal.epoch();
    let at = |offset| Condition::At(KeyVersion::Journal { epoch, offset });
    let with = |condition| Append { condition, ..renewal("a", 9_000) };
    let unmet = rig.append(vec![with(at(other))]);
    assert!(matches!(unmet, Err(Error::Condition(_))), "{unmet:?}");
    assert_eq!(rig.append_one(with(at(value))).offset, value);
    assert_eq!(expire(&rig, 8_999), Some(9_000));
    assert_eq!(keys(&rig), ["a"]);
    assert_eq!(expire(&rig, 9_000), None);
    let gone = rig.journal.bounds().tail;
    assert_eq!(rig.append_one(renewal("a", 1)), Appended::again(gone));
}

/// What is written has the time that it says, or none; in a batch as one after the other.
pub fn a_change_takes_the_time_of_what_it_replaces(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    rig.append_new(vec![
        until("stays", "1", 1_000),
        until("later", "1", 1_000),
        until("gone", "1", 1_000),
        until("back", "1", 1_000),
    ]);
    rig.append_new(vec![
        change("s", "stays", Some("2")),
        until("later", "2", 2_000),
        change("s", "gone", None),
        change("s", "back", None),
        change("s", "back", Some("2")),
    ]);
    assert_eq!(expire(&rig, 1_999), Some(2_000));
    assert_eq!(keys(&rig), ["back", "later", "stays"]);
    // Within one batch, and in one commit.
    rig.append(vec![
        until("x", "1", 2_000),
        renewal("x", 2_500),
        change("s", "x", Some("2")),
        renewal("later", 2_000),
        until("later", "3", 3_000),
        renewal("later", 4_000),
        until("y", "1", 2_000),
        change("s", "y", None),
    ])
    .expect("appended");
    assert_eq!(expire(&rig, 3_999), Some(4_000));
    assert_eq!(keys(&rig), ["back", "later", "stays", "x"]);
    assert_eq!(expire(&rig, 4_000), None);
    assert_eq!(keys(&rig), ["back", "stays", "x"]);
}

/// A commit takes some of them, so that others wait no longer than for any other.
pub fn very_many_keys_go_some_at_a_time(open: Open<'_>) {
    let rig = Rig::open(open, Vec::new());
    let count = 2 * STATE_LOOKS_MAX + 10;
    rig.append_new((0..count).map(|key| until(&format!("{key:05}"), "x", 1_000)).collect());
    let before = rig.seen.entries().len();
    for round in 0..2 {
        assert_eq!(expire_some(&rig, 1_000), Some(1_000), "more are over");
        rig.append_texts("log", &["x"]);
        assert_eq!(rig.seen.entries().len(), before + (round + 1) * (STATE_LOOKS_MAX + 1));
    }
    assert_eq!(expire_some(&rig, 1_000), None);
    let told = rig.seen.entries().split_off(before);
    let keys: Vec<_> = told.iter().filter_map(|entry| entry.event.key.as_deref()).collect();
    assert_eq!(keys.len(), count);
    assert!(keys.is_sorted(), "those of one time as they came");
}

/// Nobody's key goes for a clock that is set.
pub fn a_key_goes_by_the_time_that_passes(open: Open<'_>) {
    const HOUR_MS: i64 = 60 * 60 * 1_000;
    let rig = Rig::open(open, Vec::new());
    let look = |wall_ms: i64, uptime_ms: u64| {
        let uptime = Duration::from_millis(uptime_ms);
        let now = ClockReading { wall: Timestamp::from_ms(wall_ms), uptime };
        rig.journal.apply_retention(now).expect("it is applied");
        rig.journal.expire(now).expect("the journal takes it").map(|next| next.as_millis() as u64)
    };
    let start_ms = 1_000_000 * HOUR_MS;
    look(start_ms, 1_000);
    rig.append_new(vec![until("a", "1", 60_000)]);
    for (by_ms, uptime_ms) in [(HOUR_MS, 20_000), (-9_000 * HOUR_MS, 30_000), (0, 59_999)] {
        assert_eq!(look(start_ms + by_ms, uptime_ms), Some(60_000), "{by_ms}");
        assert_eq!(keys(&rig), ["a"]);
    }
    assert_eq!(look(start_ms - HOUR_MS, 60_000), None);
    assert!(keys(&rig).is_empty());
}
