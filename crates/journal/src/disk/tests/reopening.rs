//! What a journal is after its process has ended, one way or the other.

use std::path::Path;
use std::time::Duration;

use bellwire_model::limits::{CHECKPOINT_BYTES, DELETIONS_OF_TOPIC_MIN, IDEMPOTENCY_AGE};
use bellwire_model::{Epoch, Offset, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{killed, open, options};
use crate::contract::{Rig, change, filters, keyed, plain, records, rule, state, timed};
use crate::disk::bounds::StoreBounds;
use crate::disk::{DiskOptions, Durability, schema, store, witness};
use crate::role::Role;
use crate::{ClockReading, RetentionRule};

/// Everything that a journal tells.
fn portrait(rig: &Rig) -> impl PartialEq + std::fmt::Debug + use<> {
    let trimmed = ["**", "a/*", "b"].map(|filter| rig.journal.trimmed(&filters(&[filter])));
    let journal = &rig.journal;
    (journal.epoch(), journal.bounds(), journal.topics(), trimmed, rig.read_all("**"))
}

fn retention() -> Vec<RetentionRule> {
    let age = Some(Duration::from_millis(100));
    vec![RetentionRule { age, ..rule("a/*") }, rule("**")]
}

/// A few thousand events, some removed again.
fn fill(rig: &Rig) {
    for batch in 0..40 {
        let topic = format!("a/{}", batch % 3);
        let mut events = vec![timed(&topic, "x", batch); 100];
        events.push(timed("b", "y", batch));
        rig.append_new(events);
        if batch == 30 {
            rig.retain(120);
        }
    }
    rig.append_one(keyed("b", "k", 50));
}

#[test]
fn a_closed_journal_opens_as_it_was() {
    let folder = TempDir::new().unwrap();
    let with_retention = || DiskOptions { retention: retention(), ..options(folder.path()) };
    let rig = open(with_retention());
    fill(&rig);
    let before = portrait(&rig);
    rig.journal.close().unwrap();
    drop(rig);
    let mut names: Vec<_> =
        folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["bellwire.lock", schema::FILE, witness::FILE],
        "no other file is left behind"
    );
    for _ in 0..2 {
        assert_eq!(portrait(&open(with_retention())), before);
    }
}

#[test]
fn a_killed_journal_loses_nothing_acknowledged() {
    for durability in [Durability::Sync, Durability::Interval] {
        let folder = TempDir::new().unwrap();
        let boot_id = Some("boot".to_owned());
        let with = |path| DiskOptions {
            durability,
            retention: retention(),
            boot_id: boot_id.clone(),
            ..options(path)
        };
        let rig = open(with(folder.path()));
        fill(&rig);
        let copy = killed(&folder);
        let again = open(with(copy.path()));
        assert_eq!(portrait(&again), portrait(&rig), "{durability:?}");
        assert!(again.append_one(keyed("b", "k", 60)).duplicate);
        let tail = rig.journal.bounds().tail;
        assert!(again.append_one(plain("b", "new")).offset > tail);
    }
}

#[test]
fn small_commits_go_to_the_main_file_before_they_are_many_bytes_of_pages() {
    let folder = TempDir::new().unwrap();
    let durability = Durability::Interval;
    let rig = open(DiskOptions { durability, ..options(folder.path()) });
    let size = || std::fs::metadata(folder.path().join(schema::FILE)).unwrap().len();
    let before = size();
    // Some bytes each, and a page at least.
    for _ in 0..CHECKPOINT_BYTES / 4096 {
        rig.append_texts("a", &["x"]);
    }
    for _ in 0..3000 {
        if size() > before {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("nothing has come to the main file");
}

#[test]
fn a_killed_journal_has_its_records() {
    for durability in [Durability::Sync, Durability::Interval] {
        let folder = TempDir::new().unwrap();
        let with = |path| DiskOptions { durability, ..options(path) };
        let rig = open(with(folder.path()));
        records::write(&*rig.journal, &[("a", Some("1")), ("b", Some("2"))]).unwrap();
        records::write(&*rig.journal, &[("a", None), ("c", Some("3"))]).unwrap();
        let copy = killed(&folder);
        let again = open(with(copy.path()));
        let expected = [("b", "2"), ("c", "3")].map(|(key, text)| (key.into(), text.into()));
        assert_eq!(records::texts(&*again.journal, ""), expected, "{durability:?}");
    }
}

/// Makes a file what it was in format 1.
const FORMAT_1: &str = "
    DROP TABLE producers;
    DROP TABLE state;
    DROP TABLE state_topics;
    DROP TABLE deadlines;
    DROP TABLE records;
    DROP TABLE holes;
    UPDATE events SET kind = kind & 3;
    ALTER TABLE topics DROP COLUMN checksum;
    ALTER TABLE topics DROP COLUMN ended;
    ALTER TABLE blocks DROP COLUMN checksum;
    ALTER TABLE idempotency DROP COLUMN checksum;
    DELETE FROM meta WHERE name IN ('clock', 'open');
    PRAGMA user_version = 1;
";

#[test]
fn a_file_of_format_1_gets_its_records() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    let offset = rig.append_one(plain("a", "x")).offset;
    rig.journal.close().unwrap();
    drop(rig);
    make_older(&folder, FORMAT_1);
    let rig = open(options(folder.path()));
    records::write(&*rig.journal, &[("a", Some("1"))]).unwrap();
    assert_eq!(rig.journal.bounds().tail, offset);
    assert_eq!(rig.texts("**"), ["x"]);
    assert_eq!(records::texts(&*rig.journal, "").len(), 1);
}

/// Makes a journal that is closed what it was in an older format.
pub(super) fn make_older(folder: &TempDir, format: &str) {
    let connection = Connection::open(folder.path().join(schema::FILE)).unwrap();
    connection.execute_batch(format).unwrap();
    drop(connection);
    std::fs::remove_file(folder.path().join(witness::FILE)).unwrap();
}

/// Makes a file what it was in format 2.
const FORMAT_2: &str = "
    DROP TABLE producers;
    DROP TABLE state;
    DROP TABLE state_topics;
    DROP TABLE deadlines;
    DROP TABLE holes;
    UPDATE events SET kind = kind & 3;
    ALTER TABLE topics DROP COLUMN checksum;
    ALTER TABLE topics DROP COLUMN ended;
    ALTER TABLE blocks DROP COLUMN checksum;
    ALTER TABLE idempotency DROP COLUMN checksum;
    ALTER TABLE records DROP COLUMN checksum;
    DELETE FROM meta WHERE name = 'open';
    PRAGMA user_version = 2;
";

#[test]
fn a_file_of_format_2_is_as_it_was_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let with = || DiskOptions { retention: retention(), ..options(folder.path()) };
    let rig = open(with());
    fill(&rig);
    records::write(&*rig.journal, &[("a", Some("1"))]).unwrap();
    rig.journal.close().unwrap();
    let before = portrait(&rig);
    drop(rig);
    make_older(&folder, FORMAT_2);
    for _ in 0..2 {
        let rig = open(with());
        assert_eq!(portrait(&rig), before);
        assert_eq!(records::texts(&*rig.journal, "").len(), 1);
        assert!(rig.append_one(keyed("b", "k", 50)).duplicate);
    }
    let rig = open(with());
    let new = rig.append_new(vec![timed("b", "new", 50); 2000]);
    let all = rig.read_all("**");
    assert!(all.iter().rev().zip(new.iter().rev()).all(|(entry, new)| entry.offset == *new));
    assert_eq!(rig.journal.damaged(), 0);
}

/// Makes a file what it was in format 3.
const FORMAT_3: &str = "
    DROP TABLE producers;
    DROP TABLE state;
    DROP TABLE state_topics;
    DROP TABLE deadlines;
    ALTER TABLE topics DROP COLUMN ended;
    PRAGMA user_version = 3;
";

#[test]
fn a_file_of_format_3_gets_its_state_topics() {
    let folder = TempDir::new().unwrap();
    let with = || DiskOptions { retention: retention(), ..options(folder.path()) };
    let rig = open(with());
    fill(&rig);
    rig.journal.close().unwrap();
    let before = portrait(&rig);
    drop(rig);
    let connection = Connection::open(folder.path().join(schema::FILE)).unwrap();
    connection.execute_batch(FORMAT_3).unwrap();
    drop(connection);
    for _ in 0..2 {
        assert_eq!(portrait(&open(with())), before);
    }
    let rig = open(with());
    rig.append_new(vec![change("s", "a", Some("x"))]);
    assert_eq!(state::values_after(&rig, Offset::ZERO).len(), 1);
}

#[test]
fn a_killed_journal_has_the_newest_change_of_each_key_and_what_is_gone() {
    for durability in [Durability::Sync, Durability::Interval] {
        let folder = TempDir::new().unwrap();
        let with = |path| DiskOptions { durability, boot_id: Some("boot".into()), ..options(path) };
        let rig = open(with(folder.path()));
        rig.append_new(vec![
            change("s", "a", Some("1")),
            plain("x", "1"),
            change("t", "b", Some("2")),
        ]);
        rig.append_new(vec![change("s", "a", Some("3")), change("t", "b", None)]);
        let copy = killed(&folder);
        let again = open(with(copy.path()));
        assert_eq!(portrait(&again), portrait(&rig), "{durability:?}");
        assert_eq!(
            state::values_after(&again, Offset::ZERO),
            state::values_after(&rig, Offset::ZERO)
        );
        // The newest offset may be that of a value.
        assert!(again.append_one(plain("x", "new")).offset > rig.journal.bounds().tail);
        assert!(again.append_one(change("t", "b", None)).duplicate, "it is gone");
    }
}

#[test]
fn who_knows_state_that_was_kept_elsewhere_meanwhile_has_seen_nothing_of_it() {
    let folder = TempDir::new().unwrap();
    let with =
        |path: &Path, places: &str| DiskOptions { state_places: places.into(), ..options(path) };
    let forgotten = |rig: &Rig| rig.journal.state_horizons().expect("the journal reads").forgotten;
    let rig = open(with(folder.path(), "a/** disk"));
    let seen = rig.append_one(change("a/x", "key", Some("1"))).offset;
    assert_eq!(forgotten(&rig), Offset::ZERO, "a first run has had no other places");
    let copy = killed(&folder);
    let again = open(with(copy.path(), "a/** disk"));
    assert_eq!((forgotten(&again), again.journal.bounds().tail), (Offset::ZERO, seen));
    drop((rig, again));
    let other = open(with(copy.path(), "b/** disk"));
    let horizon = forgotten(&other);
    assert!(horizon > seen, "whoever has seen all that there was is told, too");
    assert_eq!(other.journal.bounds().tail, horizon);
    assert_eq!(state::values_after(&other, Offset::ZERO).len(), 1, "values stay");
    // It holds for whoever comes back later, though the process was killed at once.
    let later = killed(&copy);
    drop(other);
    let rig = open(with(later.path(), "b/** disk"));
    assert_eq!((forgotten(&rig), rig.journal.bounds().tail), (horizon, horizon));
    assert!(rig.append_one(plain("x", "1")).offset > horizon);
}

#[test]
fn a_start_forgets_no_deletion_for_keys_that_it_has_not_come_to() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    let (gone, keys) = (2 * DELETIONS_OF_TOPIC_MIN, 5 * DELETIONS_OF_TOPIC_MIN);
    let change = |key: usize, text| change("s", &key.to_string(), text);
    rig.append_new((0..keys).map(|key| change(key, Some("1"))).collect());
    rig.append_new((0..gone).map(|key| change(key, None)).collect());
    // Now all that there is comes behind what is gone.
    rig.append_new((gone..keys).map(|key| change(key, Some("2"))).collect());
    rig.retain(1);
    let values = state::values_after(&rig, Offset::ZERO);
    assert_eq!(values.len(), keys);
    drop(rig);
    let again = open(options(folder.path()));
    again.retain(1);
    assert!(state::values_after(&again, Offset::ZERO) == values);
    assert_eq!(again.journal.state_horizons().expect("the journal reads").topics, []);
}

#[test]
fn a_start_that_is_killed_while_it_upgrades_is_no_damage() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    let offset = rig.append_one(plain("a", "x")).offset;
    rig.journal.close().unwrap();
    drop(rig);
    let file = folder.path().join(schema::FILE);
    make_older(&folder, FORMAT_1);
    let connection = store::connect(&file).unwrap();
    let copy = killed(&folder);
    drop(connection);
    let rig = open(options(copy.path()));
    assert_eq!(rig.journal.bounds().tail, offset);
    assert_eq!(rig.texts("**"), ["x"]);
}

#[test]
fn a_start_that_is_killed_while_it_begins_an_epoch_is_no_damage() {
    let folder = TempDir::new().unwrap();
    let with = |path: &Path, boot: &str, epoch| DiskOptions {
        durability: Durability::Interval,
        boot_id: Some(boot.into()),
        fresh_epoch: Epoch::new(epoch),
        ..options(path)
    };
    let rig = open(with(folder.path(), "before", 7));
    rig.append_one(plain("a", "x"));
    let copy = killed(&folder);
    drop(rig);
    let after = with(copy.path(), "after", 8);
    let (connection, _) = store::connect(&copy.path().join(schema::FILE)).unwrap();
    let after = (&after, Role::Alone);
    let last = schema::last_run(&connection, after).unwrap();
    store::begin_run(&connection, after, (last, Offset::new(1))).unwrap();
    let again = killed(&copy);
    drop(connection);
    let rig = open(with(again.path(), "after", 9));
    assert_eq!(rig.journal.epoch(), Epoch::new(8));
    assert_eq!(rig.texts("**"), ["x"]);
}

#[test]
fn offsets_go_on_after_the_newest_events_were_removed_and_the_process_killed() {
    let folder = TempDir::new().unwrap();
    let age = Some(Duration::ZERO);
    let with = |path| DiskOptions {
        retention: vec![RetentionRule { age, ..rule("**") }],
        bounds: StoreBounds { topics: 3, ..StoreBounds::default() },
        ..options(path)
    };
    let rig = open(with(folder.path()));
    rig.append_texts("a", &["1"]);
    let last = rig.append_texts("b", &["2", "3"])[1];
    // With more than half of the topics in use, the emptied ones are forgotten as well.
    rig.retain(1);
    assert_eq!(rig.journal.topics(), []);
    let copy = killed(&folder);
    let again = open(with(copy.path()));
    assert_eq!(again.journal.bounds().tail, last);
    assert_eq!(again.journal.trimmed(&filters(&["never"])), last);
    assert!(again.append_one(plain("c", "4")).offset > last);
}

#[test]
fn every_full_block_is_saved_before_a_later_one() {
    let kept = vec![plain("kept", "x"); 3000];
    let removed = vec![plain("removed", "x"); 3000];
    let together = [kept.clone(), removed.clone()].concat();
    for batches in [vec![together], vec![kept, removed]] {
        let folder = TempDir::new().unwrap();
        let few = RetentionRule { events_max: Some(5), ..rule("removed") };
        let with = |path| DiskOptions { retention: vec![few.clone()], ..options(path) };
        let rig = open(with(folder.path()));
        for batch in batches {
            rig.append_new(batch);
        }
        rig.retain(0);
        let copy = killed(&folder);
        let again = open(with(copy.path()));
        assert_eq!(portrait(&again), portrait(&rig));
        assert_eq!(again.read_all("**").len(), 3005);
    }
}

#[test]
fn a_new_epoch_begins_when_acknowledged_events_may_be_lost() {
    use Durability::{Interval, Sync};

    let (one, other) = (Some("1"), Some("2"));
    // How the first run synced, the boots of both runs, whether it was closed; the second epoch.
    let cases = [
        (Interval, one, other, false, 8),
        (Interval, one, one, false, 7),
        (Interval, None, None, false, 8),
        (Interval, one, None, false, 8),
        (Interval, one, other, true, 7),
        (Sync, one, other, false, 7),
        (Sync, None, None, false, 7),
    ];
    for (durability, first_boot, second_boot, is_closed, expected) in cases {
        let folder = TempDir::new().unwrap();
        let with = |boot: Option<&str>, durability| DiskOptions {
            durability,
            boot_id: boot.map(Into::into),
            ..options(folder.path())
        };
        let rig = open(with(first_boot, durability));
        let offset = rig.append_one(plain("a", "x")).offset;
        let copy = if is_closed { None } else { Some(killed(&folder)) };
        drop(rig);
        let path = copy.as_ref().unwrap_or(&folder).path().to_owned();
        let fresh_epoch = Epoch::new(8);
        let again = open(DiskOptions { path, fresh_epoch, ..with(second_boot, Sync) });
        let case = format!("{durability:?} {first_boot:?} {second_boot:?} {is_closed}");
        assert_eq!(again.journal.epoch(), Epoch::new(expected), "{case}");
        assert!(again.append_one(plain("a", "y")).offset > offset);
        assert_eq!(again.texts("a"), ["x", "y"]);
    }
}

#[test]
fn a_fresh_epoch_is_never_the_old_one() {
    let folder = TempDir::new().unwrap();
    let with = |path| DiskOptions { durability: Durability::Interval, ..options(path) };
    let rig = open(with(folder.path()));
    let copy = killed(&folder);
    let again = open(with(copy.path()));
    assert_ne!(again.journal.epoch(), rig.journal.epoch());
}

#[test]
fn emptied_topics_make_room_for_new_ones() {
    let folder = TempDir::new().unwrap();
    let age = Some(Duration::ZERO);
    let rig = open(DiskOptions {
        retention: vec![RetentionRule { age, ..rule("**") }],
        bounds: StoreBounds { topics: 4, ..StoreBounds::default() },
        ..options(folder.path())
    });
    rig.append_new(["a", "b", "c", "d"].map(|topic| plain(topic, "x")).into());
    let refused = rig.append(vec![plain("a", "x"), plain("e", "x")]);
    assert!(matches!(refused, Err(crate::Error::TooManyTopics)), "{refused:?}");
    assert_eq!(rig.texts("a"), ["x"], "nothing of the refused batch is there");
    rig.append_new(vec![plain("a", "known topics go on")]);
    rig.retain(1);
    rig.append_new(["e", "f", "g", "a"].map(|topic| plain(topic, "x")).into());
    assert_eq!(rig.journal.topics().len(), 4);
}

#[test]
fn the_oldest_keys_are_forgotten_beyond_their_number() {
    let folder = TempDir::new().unwrap();
    let bounds = StoreBounds { keys: 10, ..StoreBounds::default() };
    let boot_id = Some("the same".to_owned());
    let with = || DiskOptions { bounds, boot_id: boot_id.clone(), ..options(folder.path()) };
    let later =
        |uptime| ClockReading { wall: Timestamp::from_ms(0).saturating_add(uptime), uptime };
    let is_remembered = |rig: &Rig, key| rig.append_one(keyed("a", key, 0)).duplicate;
    let rig = open(with());
    rig.append_new((0..12).map(|key| keyed("a", &key.to_string(), 0)).collect());
    assert!(is_remembered(&rig, "2"));
    assert!(!is_remembered(&rig, "1"));
    drop(rig);
    let now = later(IDEMPOTENCY_AGE);
    let rig = open(DiskOptions { now, ..with() });
    assert!(is_remembered(&rig, "1") && is_remembered(&rig, "3"));
    drop(rig);
    let now = later(IDEMPOTENCY_AGE + Duration::from_millis(1));
    let rig = open(DiskOptions { now, ..with() });
    assert!(!is_remembered(&rig, "11"));
    assert!(rig.journal.bounds().tail > Offset::ZERO);
}

/// How many transactions are in the write-ahead file of a journal that has begun no other yet.
fn transactions(folder: &TempDir) -> usize {
    const HEADER_BYTES: usize = 32;
    const FRAME_BYTES: usize = 24 + 4096;
    let bytes = std::fs::read(folder.path().join("journal.sqlite-wal")).unwrap();
    // The last frame of each tells how many pages the main file has with it.
    let is_last = |frame: &&[u8]| frame[4..8] != [0; 4];
    bytes[HEADER_BYTES..].chunks_exact(FRAME_BYTES).filter(is_last).count()
}

#[test]
fn keys_beyond_their_number_are_forgotten_many_at_a_time() {
    let folder = TempDir::new().unwrap();
    let bounds = StoreBounds { keys: 20_000, ..StoreBounds::default() };
    let rig = open(DiskOptions { bounds, ..options(folder.path()) });
    let key = |number: usize| keyed("a", &number.to_string(), 0);
    for first in (0..bounds.keys).step_by(4000) {
        rig.append_new((first..first + 4000).map(key).collect());
    }
    let before = transactions(&folder);
    for number in bounds.keys..bounds.keys + 100 {
        rig.append_one(key(number));
    }
    let new = transactions(&folder) - before;
    assert!((101..=110).contains(&new), "{new} transactions for 100 events");
    assert!(!rig.append_one(key(0)).duplicate);
    assert!(rig.append_one(key(bounds.keys / 2)).duplicate);
}

#[test]
fn a_clock_that_is_set_while_the_server_is_down_makes_nothing_older() {
    const DAY: Duration = Duration::from_hours(24);
    let age = Some(DAY);
    let start = ClockReading {
        wall: Timestamp::from_ms(0).saturating_add(1000 * DAY),
        uptime: Duration::from_mins(1),
    };
    let ahead = |reading: ClockReading, days: u32| ClockReading {
        wall: reading.wall.saturating_add(days * DAY),
        ..reading
    };
    let back = |reading: ClockReading, days: u32| ClockReading {
        wall: reading.wall.saturating_sub(days * DAY),
        ..reading
    };
    let after = |reading: ClockReading, passed: Duration| ClockReading {
        wall: reading.wall.saturating_add(passed),
        uptime: reading.uptime + passed,
    };
    for is_same_boot in [true, false] {
        for set in [ahead(start, 2), ahead(start, 366), back(start, 2), back(start, 366)] {
            let folder = TempDir::new().unwrap();
            let with = |path, now, boot: &str| DiskOptions {
                retention: vec![RetentionRule { age, ..rule("**") }],
                boot_id: Some(boot.into()),
                now,
                ..options(path)
            };
            let case = format!("{is_same_boot} {set:?}");
            let rig = open(with(folder.path(), start, "one"));
            rig.append_new(vec![keyed("a", "k", start.wall.as_ms())]);
            rig.journal.apply_retention(start).unwrap();
            let copy = killed(&folder);
            let boot = if is_same_boot { "one" } else { "other" };
            let rig = open(with(copy.path(), set, boot));
            let passed = after(set, Duration::from_mins(30));
            assert_eq!(rig.journal.apply_retention(passed).unwrap(), None, "{case}");
            assert_eq!(rig.texts("a"), ["k"], "{case}");
            assert!(rig.append_one(keyed("a", "k", passed.wall.as_ms())).duplicate, "{case}");
            // Where the system was down, its clock is believed once it has run for an hour.
            let later = after(set, Duration::from_hours(2));
            rig.journal.apply_retention(later).unwrap();
            let is_believed = !is_same_boot && set.wall > start.wall;
            assert_eq!(rig.texts("a").is_empty(), is_believed, "{case}");
            rig.journal.apply_retention(after(set, DAY + Duration::from_hours(1))).unwrap();
            assert_eq!(rig.texts("a"), [""; 0], "{case}");
        }
    }
}

#[test]
fn a_clock_that_is_wrong_after_a_boot_and_put_right_makes_nothing_older() {
    const DAY: Duration = Duration::from_hours(24);
    let start = ClockReading {
        wall: Timestamp::from_ms(0).saturating_add(20_000 * DAY),
        uptime: Duration::from_hours(100),
    };
    let right = ClockReading { uptime: Duration::from_secs(100), ..start };
    for wrong in [Timestamp::from_ms(0), start.wall.saturating_add(3_000 * DAY)] {
        let folder = TempDir::new().unwrap();
        let with = |path, now, boot: &str| DiskOptions {
            retention: vec![RetentionRule { age: Some(DAY), ..rule("**") }],
            boot_id: Some(boot.into()),
            now,
            ..options(path)
        };
        let rig = open(with(folder.path(), start, "one"));
        rig.append_new(vec![timed("a", "1", start.wall.as_ms())]);
        rig.journal.apply_retention(start).unwrap();
        let copy = killed(&folder);
        let booted = ClockReading { wall: wrong, uptime: Duration::from_secs(10) };
        let rig = open(with(copy.path(), booted, "other"));
        rig.append_new(vec![timed("a", "2", wrong.as_ms())]);
        rig.journal.apply_retention(booted).unwrap();
        assert_eq!(rig.texts("a"), ["1", "2"]);
        assert!(rig.journal.apply_retention(right).unwrap().is_some());
        for hours in [0, 2, 23] {
            let uptime = right.uptime + Duration::from_hours(hours);
            let wall = right.wall.saturating_add(Duration::from_hours(hours));
            rig.journal.apply_retention(ClockReading { wall, uptime }).unwrap();
            assert_eq!(rig.texts("a"), ["1", "2"], "{wrong:?} after {hours} h");
        }
    }
}
