//! Whatever is damaged: the journal is refused by name, or what it has is whole and what it lacks
//! is told. Never silently less.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwire_model::{Entry, Epoch, Offset};
use tempfile::TempDir;

use super::{killed, open, options, try_open};
use crate::contract::{Rig, filters, keyed, records, rule, timed};
use crate::disk::{DiskOptions, repair, schema, witness};
use crate::{Append, Error, ReadLimit, RetentionRule};

const ROUNDS: u64 = 240;
/// Events that one topic keeps; it has fewer.
const KEPT: u64 = 500;
const RECORDS: [(&str, Option<&str>); 2] = [("a/1", Some("one")), ("b/2", Some("two"))];

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn with(path: &Path) -> DiskOptions {
    let age = Some(Duration::from_millis(100));
    DiskOptions {
        retention: vec![
            RetentionRule { age, ..rule("short") },
            RetentionRule { events_max: Some(KEPT), ..rule("a/6") },
            rule("**"),
        ],
        boot_id: Some("the same".into()),
        ..options(path)
    }
}

/// A journal of a few thousand events with holes, keys and records.
fn fill(path: &Path) -> Rig {
    let rig = open(with(path));
    for round in 0..40 {
        let topic = format!("a/{}", round % 7);
        let mut events: Vec<Append> = (0..90)
            .map(|number| timed(&topic, &format!("{round} {number} {}", "x".repeat(number)), 1000))
            .collect();
        events.push(timed("short", "gone", 0));
        rig.append_new(events);
        if round == 20 {
            rig.retain(200);
        }
    }
    rig.append_one(keyed("b", "key", 1000));
    records::write(&*rig.journal, &RECORDS).unwrap();
    rig
}

/// A data directory before the damage, and what was in it.
struct Original {
    folder: TempDir,
    entries: Vec<Entry>,
    /// Those that retention has removed, too.
    ever: Vec<Entry>,
    tail: Offset,
    trimmed: Offset,
}

impl Original {
    fn of(rig: &Rig, folder: TempDir) -> Self {
        let bounds = rig.journal.bounds();
        let entries = rig.read_all("**");
        let ever = rig.seen.entries();
        Self { folder, entries, ever, tail: bounds.tail, trimmed: bounds.trimmed }
    }
}

fn damage(path: &Path, random: &mut Random) -> String {
    let files = [schema::FILE, "journal.sqlite-wal", witness::FILE];
    let existing: Vec<PathBuf> =
        files.map(|name| path.join(name)).into_iter().filter(|path| path.exists()).collect();
    // The events are most of it: they get most of the damage.
    let file = &existing[random.below(existing.len() + 3).saturating_sub(3)];
    let mut bytes = fs::read(file).unwrap();
    let kind = random.below(8);
    let at = random.below(bytes.len().max(1));
    match kind {
        0 => bytes.truncate(at),
        1 => bytes.clear(),
        2 => {
            fs::remove_file(file).unwrap();
            return format!("{} removed", file.display());
        }
        3 | 4 if !bytes.is_empty() => {
            let block = at / 4096 * 4096;
            let end = bytes.len().min(block + 4096);
            bytes[block..end].fill(if kind == 3 { 0 } else { 0xA5 });
        }
        _ if !bytes.is_empty() => {
            for _ in 0..[1, 1, 100][kind - 5] {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        _ => {}
    }
    fs::write(file, bytes).unwrap();
    format!("{} damaged, kind {kind}, at {at}", file.display())
}

/// What was read, page by page: every event is one that was written, and what is missing is told.
fn check_events(rig: &Rig, original: &Original, case: &str) -> Result<u64, Error> {
    let filters = filters(&["**"]);
    let (mut after, mut lost) = (Offset::ZERO, 0);
    let mut expected = original.entries.iter().peekable();
    assert_eq!(rig.journal.bounds().tail, original.tail, "{case}");
    while after < original.tail {
        let limit = ReadLimit { events: 500, bytes: 1 << 20 };
        let page = rig.journal.read(after, &filters, limit)?;
        assert!(page.end > after, "{case}: no progress after {after}");
        assert!(page.trimmed >= original.trimmed, "{case}");
        let mut found = page.entries.iter().peekable();
        while let Some(entry) = expected.next_if(|entry| entry.offset <= page.end) {
            if found.next_if(|found| *found == entry).is_none() {
                assert!(page.lost > 0, "{case}: {} is missing", entry.offset);
                assert!(page.trimmed > original.trimmed || page.trimmed == original.tail, "{case}");
            }
        }
        assert_eq!(found.next(), None, "{case}: nobody has written that");
        lost += page.lost;
        after = page.end;
    }
    Ok(lost)
}

fn check(original: &Original, path: &Path, case: &str) -> Result<u64, Error> {
    let rig = try_open(with(path))?;
    let lost = check_events(&rig, original, case)?;
    let records = records::try_texts(&*rig.journal, "")?;
    let expected = RECORDS.map(|(key, text)| (key.to_owned(), text.unwrap().to_owned()));
    assert_eq!(records, expected, "{case}");
    let again = rig.append(vec![keyed("b", "key", 1001)])?;
    assert!(again[0].duplicate, "{case}");
    // Whatever is damaged, the newest stay that a rule keeps.
    let new = rig.append_new((0..KEPT).map(|_| timed("a/6", "new", 1000)).collect());
    rig.retain(1000);
    let limit = ReadLimit { events: new.len(), bytes: 1 << 20 };
    let before = Offset::new(new[0].get() - 1);
    let kept = rig.journal.read(before, &filters(&["a/6"]), limit)?.entries;
    assert!(kept.iter().map(|entry| entry.offset).eq(new), "{case}: {} are left", kept.len());
    Ok(lost)
}

#[test]
fn a_damaged_journal_is_refused_by_name_or_whole_or_says_what_it_lacks() {
    let closed = TempDir::new().unwrap();
    let rig = fill(closed.path());
    let copy = killed(&closed);
    let after_a_kill = Original::of(&rig, copy);
    rig.journal.close().unwrap();
    let closed = Original::of(&rig, closed);
    drop(rig);
    let mut counts = [0; 3];
    for seed in 0..ROUNDS {
        let mut random = Random(seed * 7919 + 1);
        let original = if seed % 2 == 0 { &closed } else { &after_a_kill };
        let copy = killed(&original.folder);
        let case = format!("seed {seed}: {}", damage(copy.path(), &mut random));
        match check(original, copy.path(), &case) {
            Ok(0) => counts[0] += 1,
            Ok(_) => counts[1] += 1,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(&*copy.path().to_string_lossy()), "{case}: {text}");
                counts[2] += 1;
            }
        }
    }
    let [whole, told, refused] = counts;
    assert!(whole > 0 && told > 20 && refused > 20, "{counts:?}");
}

#[test]
fn changes_of_records_that_are_lost_after_the_last_event_are_noticed() {
    let folder = TempDir::new().unwrap();
    let rig = fill(folder.path());
    let earlier = killed(&folder);
    records::write(&*rig.journal, &[("c/3", Some("three"))]).unwrap();
    records::write(&*rig.journal, &[("a/1", None)]).unwrap();
    let later = killed(&folder);
    drop(rig);
    let name = "journal.sqlite-wal";
    fs::copy(earlier.path().join(name), later.path().join(name)).unwrap();
    let error = try_open(with(later.path())).map(drop).expect_err("it is refused");
    assert!(matches!(error, Error::Less { .. }), "{error}");
    assert!(error.to_string().contains("lacks the last 2 changes of silences"), "{error}");

    let repaired = repair(later.path(), Epoch::new(9)).unwrap();
    assert_eq!((repaired.record_changes_lost, repaired.events_lost), (2, 0));
    let rig = open(with(later.path()));
    assert_eq!(records::texts(&*rig.journal, "").len(), RECORDS.len());
    records::write(&*rig.journal, &[("c/3", Some("three"))]).unwrap();
    let again = killed(&later);
    drop(rig);
    open(with(again.path()));
}

#[test]
fn an_event_that_is_lost_is_noticed_though_other_state_topics_are_kept_now() {
    let folder = TempDir::new().unwrap();
    let rig = fill(folder.path());
    let earlier = killed(&folder);
    rig.append_new(vec![timed("a/1", "the last", 1000)]);
    let later = killed(&folder);
    drop(rig);
    let others = |path: &Path| DiskOptions { state_places: "b/**".into(), ..with(path) };
    open(others(killed(&later).path()));
    let name = "journal.sqlite-wal";
    fs::copy(earlier.path().join(name), later.path().join(name)).unwrap();
    let error = try_open(others(later.path())).map(drop).expect_err("it is refused");
    assert!(matches!(error, Error::Less { .. }), "{error}");
}

#[test]
fn a_repaired_journal_has_what_was_whole_behind_a_new_epoch() {
    let folder = TempDir::new().unwrap();
    let rig = fill(folder.path());
    let original = Original::of(&rig, killed(&folder));
    drop(rig);
    let mut kept_some = 0;
    for seed in 0..ROUNDS / 4 {
        let copy = killed(&original.folder);
        let case = format!("seed {seed}: {}", damage(copy.path(), &mut Random(seed * 104_729 + 3)));
        let before: Vec<_> = files(copy.path());
        let repaired = match repair(copy.path(), Epoch::new(9)) {
            Ok(repaired) => repaired,
            Err(error) => {
                assert!(!copy.path().join(schema::FILE).exists(), "{case}: {error}");
                continue;
            }
        };
        assert_eq!(files(&repaired.damaged_files), before, "{case}: the damaged files are kept");
        let rig = open(with(copy.path()));
        assert_eq!(rig.journal.epoch(), Epoch::new(9), "{case}");
        let found = rig.read_all("**");
        assert_eq!(found.len() as u64, repaired.events, "{case}");
        // An older state may have events that retention had removed.
        assert!(found.iter().all(|entry| is_among(&original.ever, entry)), "{case}");
        let missing = original.entries.iter().filter(|entry| !is_among(&found, entry)).count();
        let told = repaired.events_lost > 0 || !repaired.unreadable.is_empty();
        assert!(missing == 0 || told, "{case}: {missing} are missing");
        kept_some += usize::from(found.len() > original.entries.len() / 2);
        rig.append_new(vec![timed("a", "goes on", 1000)]);
    }
    assert!(kept_some > 30, "{kept_some}");
}

/// Whether an entry is one of those, which are in order.
fn is_among(entries: &[Entry], entry: &Entry) -> bool {
    let place = entries.binary_search_by_key(&entry.offset, |entry| entry.offset);
    place.is_ok_and(|place| entries[place] == *entry)
}

/// The journal's files, but for the index of the write-ahead file, and what is in them.
fn files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let names = [schema::FILE, "journal.sqlite-wal", witness::FILE];
    let existing = names.into_iter().filter(|name| path.join(name).exists());
    existing.map(|name| (name.into(), fs::read(path.join(name)).unwrap())).collect()
}
