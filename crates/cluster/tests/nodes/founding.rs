//! A cluster that began with what a server had that stood alone.

use bellwire_cluster::{Foundation, RECORDS, Standing};
use bellwire_journal::{Append, Conversion, DiskJournal, Journal, Observer};
use bellwire_model::{Body, Entry, Epoch, Event, Offset, Timestamp};
use bellwire_shared_log::contract::Fault;
use bellwire_shared_log::{MemoryLogs, SharedLog};
use tempfile::TempDir;

use crate::rig::{Disks, World, options};
use crate::seed;

type Events = Vec<(Offset, String)>;

/// More than an entry of the log has places, so that what the log has has to come behind.
const EVENTS: usize = 20_000;

struct Unseen;

impl Observer for Unseen {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}

/// The data directory of a server that stood alone, and its epoch.
fn alone() -> (TempDir, Epoch) {
    let folder = TempDir::new().expect("a folder");
    let journal = DiskJournal::open(options(folder.path()), Box::new(Unseen)).expect("opened");
    let event = |number: usize| Event {
        topic: "alone".parse().expect("a topic"),
        key: None,
        event_type: None,
        time: Timestamp::from_ms(1),
        body: Some(Body::Json(format!("alone-{number:06}").into_bytes().into())),
    };
    let numbers: Vec<usize> = (0..EVENTS).collect();
    for part in numbers.chunks(1_000) {
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let batch = part.iter().map(|number| Append::new(event(*number), None)).collect();
        let reply = Box::new(move |result| drop(sender.send(result)));
        journal.append(batch, reply).expect("queued");
        answer.recv().expect("answered").expect("appended");
    }
    let epoch = journal.epoch();
    journal.close().expect("closed");
    (folder, epoch)
}

/// Makes it what a log begins with, as far as that is asked for.
fn convert(folder: &TempDir, (log, is_told): (&dyn SharedLog, bool)) {
    let conversion = Conversion::begin(options(folder.path())).expect("it is whole");
    let converted = conversion.converted();
    let before = conversion.records(RECORDS).expect("read");
    let foundation = Foundation::new(converted.epoch, converted.tail);
    let changes = foundation.records(before.iter().map(|record| &*record.key));
    let journal = conversion.finish(changes).expect("made");
    if is_told {
        foundation.found(log).expect("begun");
    }
    journal.install().expect("installed");
}

/// A world that began so, with two more machines, and what there was.
fn founded() -> (World, Epoch, Events) {
    let mut world = World::on((seed(), 0), Disks::Real);
    let (folder, epoch) = alone();
    convert(&folder, (&*world.logs.handle(), true));
    world.add(folder);
    let events = world.machines[0].events();
    assert_eq!(events.len(), EVENTS);
    (0..2).for_each(|_| world.add(TempDir::new().expect("a folder")));
    (world, epoch, events)
}

#[test]
fn all_have_what_it_had_in_its_epoch_and_what_comes_stands_behind() {
    let (mut world, epoch, before) = founded();
    for _ in 0..2_000 {
        world.step();
    }
    // Before anybody has said anything.
    for machine in &world.machines[1..] {
        assert_eq!(machine.journal().needs_snapshot(), Some(epoch));
        let Standing::Unfit { why } = machine.journal().standing() else { panic!("it is well") };
        assert!(why.contains("began with the data of a server"), "{why}");
    }
    world.run();
    for round in 0..6 {
        (0..3).for_each(|index| world.publish(index, 2, 0));
        world.run();
        world.restart(round % 3);
    }
    world.run();
    let events = world.check();
    assert!(events.starts_with(&before));
    assert_eq!(world.check_acknowledged(&events), events.len() - EVENTS);
    for machine in &world.machines {
        assert_eq!((machine.journal().epoch(), &*machine.seen().begun), (epoch, &[][..]));
    }
}

#[test]
fn what_the_log_loses_later_is_there_with_it() {
    let (mut world, epoch, before) = founded();
    world.run();
    // Once before anything came.
    for (round, fault) in [Fault::Lose, Fault::Restore, Fault::Lose].into_iter().enumerate() {
        let first = world.machines[0].journal().epoch();
        assert_eq!(first == epoch, round == 0);
        if round > 0 {
            world.logs.fail(Fault::Copy);
            world.publish(round, 3, 0);
            world.run();
        }
        let had = world.check();
        world.logs.fail(fault);
        world.run();
        world.publish(0, 1, 0);
        world.run();
        let events = world.check();
        assert!(events.starts_with(&before) && events.starts_with(&had), "{round}");
        assert_eq!(events.len(), had.len() + 1);
        assert_ne!(world.machines[0].journal().epoch(), first);
        world.restart(round);
        world.run();
        assert_eq!(world.check(), events);
    }
}

/// Killed between, the server was started once more; or the engine forgot all before its node was started.
#[test]
fn who_was_not_a_node_yet_begins_the_log_that_it_finds_empty_and_no_other() {
    let logs = MemoryLogs::stepped(seed());
    for (is_told, is_taken) in [(false, false), (true, true), (false, true)] {
        let mut world = World::on((seed(), 0), Disks::Real);
        let (folder, epoch) = alone();
        let elsewhere = logs.handle();
        convert(&folder, (&*elsewhere, is_told));
        if is_taken {
            world.add(TempDir::new().expect("a folder"));
            world.run();
        }
        world.add(folder);
        for _ in 0..2_000 {
            world.step();
        }
        let machine = world.machines.last().expect("it was added");
        assert_eq!(machine.events().len(), EVENTS);
        assert_eq!(machine.journal().epoch(), epoch);
        let standing = machine.journal().standing();
        match standing {
            Standing::Unfit { why } if is_taken => {
                assert!(why.contains("has begun already"), "{why}");
            }
            standing => assert!(!is_taken && standing.is_well(), "{standing:?}"),
        }
    }
}
