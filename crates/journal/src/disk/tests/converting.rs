//! The journal of a server that stood alone as a replica.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bellwire_model::{Epoch, Offset};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{killed, open, options, try_open};
use crate::contract::ending::end;
use crate::contract::expiring::until;
use crate::contract::fences::fenced;
use crate::contract::records::{texts, write};
use crate::contract::replicas::Commit;
use crate::contract::state::values_after;
use crate::contract::{PLACE_OFFSETS, Rig, Seen, change, keyed, plain};
use crate::disk::block_number::BLOCK_OFFSETS;
use crate::disk::conversion::{Conversion, Converted, Owner};
use crate::disk::names::beside;
use crate::disk::snapshot::{Arrival, Snapshot};
use crate::disk::witness;
use crate::disk::{DiskJournal, DiskOptions, schema};
use crate::{ClockReading, Error, Journal, ReadLimit, RecordChange};

/// Something of all that a journal has, over the ends of blocks.
fn fill(rig: &Rig) {
    let often = vec![plain("often", "x"); BLOCK_OFFSETS as usize];
    rig.append_new(often.clone());
    rig.append_new(vec![
        keyed("a", "k", 0),
        fenced(plain("a", "y"), ("p", 3, 0)),
        plain("$sys/audit", "z"),
        plain("b", "last"),
        end("b"),
        change("s", "k", Some("1")),
        change("s", "k", Some("2")),
        change("s", "gone", Some("1")),
    ]);
    rig.append_new(vec![change("s", "gone", None), until("ttl", "3", 60_000)]);
    rig.append_new(often);
    write(&*rig.journal, &[("access/key/1", Some("1")), ("cluster/old", Some("2"))]).unwrap();
}

fn replica(options: DiskOptions) -> Rig {
    let seen = Seen::default();
    let opened = DiskJournal::open_replica(options, Box::new(seen.clone()), &mut ());
    Rig { journal: Arc::new(opened.expect("the replica opens")), seen }
}

/// All that a journal tells of what it has; of the events a hash, since there are very many.
fn told(rig: &Rig) -> impl PartialEq + std::fmt::Debug + use<> {
    let events = ["**", "$sys/**"].map(|filter| {
        let events = rig.read_all(filter);
        (events.len(), crc32fast::hash(format!("{events:?}").as_bytes()))
    });
    let values = format!("{:?}", values_after(rig, Offset::ZERO));
    (rig.journal.epoch(), rig.journal.bounds(), events, values, rig.journal.ended("b"))
}

fn begin(folder: &Path) -> Result<Conversion, Error> {
    // Nobody is to get this one.
    Conversion::begin(DiskOptions { fresh_epoch: Epoch::new(99), ..options(folder) })
}

fn convert(folder: &Path) -> Converted {
    let conversion = begin(folder).expect("it can be read");
    let converted = conversion.converted();
    let old = conversion.records("cluster/").expect("records");
    let gone = old.into_iter().map(|it| RecordChange { key: it.key, value: None });
    let new = RecordChange { key: "cluster/new".into(), value: Some("3".into()) };
    let changes = gone.chain([new]).collect();
    let kept_in = conversion.finish(changes).expect("made").install().expect("installed");
    assert!(kept_in.join(schema::FILE).exists());
    converted
}

fn commit(place: u64) -> Commit {
    let again = vec![
        keyed("a", "k", 0),
        fenced(plain("a", "y"), ("p", 3, 0)),
        plain("b", "behind its end"),
        plain("often", &place.to_string()),
        change("s", "k", Some(&place.to_string())),
    ];
    Commit { base: place * PLACE_OFFSETS, batches: vec![again], ..Commit::default() }
}

/// What counts once has counted, and what comes goes on behind.
fn goes_on(folder: &Path) {
    let seen = Seen::default();
    let opened = DiskJournal::open_replica(options(folder), Box::new(seen.clone()), &mut ());
    let journal = Arc::new(opened.expect("the replica opens"));
    let tail = journal.bounds().tail;
    let place = tail.get() / PLACE_OFFSETS + 1;
    for place in place..place + 3 {
        let (answers, applied) =
            commit(place).apply(&*journal, ClockReading::default()).unwrap().wait();
        applied.expect("applied");
        let answers = answers.into_iter().next().expect("one batch").expect("appended");
        assert_eq!(
            answers[..3].iter().map(|it| it.duplicate).collect::<Vec<_>>(),
            [true, true, false]
        );
        assert!(answers[2].has_ended);
        assert!(answers[3].offset > tail);
    }
    let rig = Rig { journal: Arc::clone(&journal) as Arc<dyn Journal>, seen };
    let often: Vec<u64> = rig.read_all("often").iter().map(|it| it.offset.get()).collect();
    assert_eq!(often.len(), 2 * BLOCK_OFFSETS as usize + 3);
    assert!(often.is_sorted());
    // From before, over the seam.
    let after = Offset::new(often[2 * BLOCK_OFFSETS as usize - 2]);
    let page = journal.read(after, &crate::contract::filters(&["often"]), ReadLimit::PAGE).unwrap();
    assert_eq!((page.entries.len(), page.trimmed, page.lost), (4, Offset::ZERO, 0));
    // Others get a copy, which is the same.
    let Snapshot { mut file, bytes, epoch, .. } = journal.snapshot().expect("copied");
    let other = TempDir::new().unwrap();
    let mut arrival = Arrival::begin(other.path(), bytes).unwrap();
    io::copy(&mut file, arrival.file()).unwrap();
    arrival.install(epoch).expect("installed");
    let copy = replica(options(other.path()));
    assert_eq!(told(&copy), told(&rig));
}

#[test]
fn all_that_a_journal_has_is_in_the_replica_and_goes_on_in_its_epoch() {
    let folder = TempDir::new().unwrap();
    assert_eq!(Owner::of(folder.path()).unwrap(), Owner::Nobody);
    let rig = open(options(folder.path()));
    fill(&rig);
    assert_eq!(Owner::of(folder.path()).unwrap(), Owner::Alone);
    let before = told(&rig);
    // As it would be found had its process been killed, and as it is once it was closed.
    let of_killed = killed(&folder);
    rig.journal.close().unwrap();
    drop(rig);
    for folder in [folder, of_killed] {
        let converted = convert(folder.path());
        let events = 2 * BLOCK_OFFSETS + 5;
        let expected = Converted { events, values: 2, records: 2, ..converted };
        assert_eq!(converted, expected);
        assert_eq!(Owner::of(folder.path()).unwrap(), Owner::Node(Epoch::new(7)));
        let rig = replica(options(folder.path()));
        assert_eq!(
            (rig.journal.epoch(), rig.journal.bounds().tail),
            (converted.epoch, converted.tail)
        );
        assert_eq!(told(&rig), before);
        let records = [("access/key/1", "1"), ("cluster/new", "3")];
        let records = records.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(texts(&*rig.journal, ""), records);
        rig.journal.close().unwrap();
        drop(rig);
        goes_on(folder.path());
        // What it was made of is there as it was.
        let kept = folder.path().join("alone-1");
        assert_eq!(told(&open(options(&kept))), before);
        // A replica is none that stood alone.
        assert!(matches!(begin(folder.path()), Err(Error::Replica)));
        assert!(!folder.path().join("join.tmp").exists());
    }
}

#[test]
fn what_is_kept_elsewhere_from_now_on_is_told_anew_and_streams_go_on() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    fill(&rig);
    let (tail, events) = (rig.journal.bounds().tail, rig.texts("**"));
    rig.journal.close().unwrap();
    drop(rig);
    let with = DiskOptions { state_places: "others".into(), ..options(folder.path()) };
    let conversion = Conversion::begin(with).unwrap();
    let further = Offset::new(tail.get() + 1);
    assert_eq!(conversion.converted().tail, further);
    conversion.finish(Vec::new()).unwrap().install().unwrap();
    let rig = replica(options(folder.path()));
    assert_eq!((rig.journal.bounds().tail, rig.texts("**")), (further, events));
    assert_eq!(rig.journal.state_horizons().unwrap().forgotten, further);
}

#[test]
fn whoever_is_killed_begins_again_and_no_server_takes_less_than_there_was() {
    let source = TempDir::new().unwrap();
    let rig = open(options(source.path()));
    fill(&rig);
    let before = told(&rig);
    let of_killed = killed(&source);
    rig.journal.close().unwrap();
    drop(rig);
    for source in [&source, &of_killed] {
        for steps in 0..=5 {
            let folder = killed(source);
            let path = folder.path();
            // Nothing of it is changed while the copy is made.
            let [main, wal] = ["", "-wal"].map(|suffix| beside(&path.join(schema::FILE), suffix));
            let as_it_was = [&main, &wal].map(|file| fs::read(file).ok());
            let made = begin(path).unwrap().finish(Vec::new()).unwrap();
            assert_eq!([&main, &wal].map(|file| fs::read(file).ok()), as_it_was);
            drop(made);
            let (scratch, kept) = (path.join("join.tmp"), path.join("alone-1"));
            let ways: [&dyn Fn() -> io::Result<()>; 5] = [
                &|| fs::create_dir(&kept),
                &|| {
                    for name in [schema::FILE, witness::FILE] {
                        fs::hard_link(path.join(name), kept.join(name))?;
                    }
                    Ok(())
                },
                &|| {
                    if wal.exists() {
                        fs::rename(&wal, beside(&kept.join(schema::FILE), "-wal"))
                    } else {
                        Ok(())
                    }
                },
                &|| fs::rename(scratch.join(witness::FILE), path.join(witness::FILE)),
                &|| fs::rename(scratch.join(schema::FILE), &main),
            ];
            ways.iter().take(steps).for_each(|step| step().expect("done"));
            let is_done = steps == ways.len();
            assert_eq!(Owner::of(path).unwrap() == Owner::Node(Epoch::new(7)), is_done);
            if is_done {
                assert_eq!(told(&replica(options(path))), before);
                continue;
            }
            // A server that is started on a copy of that finds all, or refuses it.
            let looked_at = killed(&folder);
            match try_open(options(looked_at.path())) {
                Ok(rig) => assert_eq!(told(&rig), before, "{steps}"),
                Err(error) => assert!(matches!(error, Error::Less { .. }), "{steps}: {error}"),
            }
            convert(path);
            assert_eq!(told(&replica(options(path))), before, "{steps}");
            // Nothing had come into the first one.
            let kept = if steps == 1 { path.join("alone-2") } else { kept };
            assert_eq!(told(&open(options(&kept))), before, "{steps}");
        }
    }
}

#[test]
fn what_is_damaged_missing_or_in_use_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let missing = begin(&folder.path().join("nothing"));
    assert!(matches!(missing, Err(Error::Open { .. })), "{missing:?}");
    assert!(!folder.path().join("nothing").exists());
    let rig = open(options(folder.path()));
    fill(&rig);
    let used = begin(folder.path());
    assert!(matches!(used, Err(Error::Locked { .. })), "{used:?}");
    rig.journal.close().unwrap();
    drop(rig);
    let file = folder.path().join(schema::FILE);
    for sql in [
        "UPDATE events SET time = 7 WHERE offset = 2",
        "DELETE FROM events WHERE offset = 3",
        "UPDATE state SET data = x'78' WHERE data IS NOT NULL",
        "UPDATE records SET value = x'78'",
        "DELETE FROM events WHERE offset > 1000",
    ] {
        let copy = killed(&folder);
        let damaged = copy.path().join(schema::FILE);
        Connection::open(&damaged).unwrap().execute_batch(sql).unwrap();
        let bytes = fs::read(&damaged).unwrap();
        let refused = begin(copy.path()).expect_err("it is damaged");
        let text = refused.to_string();
        assert!(text.contains("`bellwire repair`"), "{sql}: {text}");
        assert!(text.contains(damaged.to_str().unwrap()), "{sql}: {text}");
        assert_eq!(fs::read(&damaged).unwrap(), bytes);
        assert!(!copy.path().join("join.tmp").exists() && !copy.path().join("alone-1").exists());
    }
    fs::write(&file, "something else").unwrap();
    let foreign = begin(folder.path());
    assert!(matches!(foreign, Err(Error::Foreign { .. })), "{foreign:?}");
}
