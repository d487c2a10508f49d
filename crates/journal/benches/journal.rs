//! How many events a second the disk engine takes and gives back.
//!
//! Publishers run in a closed loop: each waits for its reply before it appends again. Events
//! have 256 bytes, on 100 topics.

use std::sync::mpsc::sync_channel;
use std::thread;

use bellwire_journal::{
    Append, Appended, ClockReading, DiskJournal, DiskOptions, Durability, Error, Journal, Observer,
    ReadLimit,
};
use bellwire_model::{Body, Entry, Epoch, Event, Filter, FilterSet, Offset, Timestamp, Topic};
use bytes::Bytes;
use divan::counter::ItemsCount;
use tempfile::TempDir;

const TOPICS: usize = 100;
const BODY: &[u8] = &[b'7'; 256];
const REPLAYED_EVENTS: usize = 200_000;

fn main() {
    divan::main();
}

struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        drop(entries);
    }
}

fn open(folder: &TempDir, durability: Durability) -> DiskJournal {
    let options = DiskOptions {
        path: folder.path().to_owned(),
        durability,
        retention: Vec::new(),
        state_places: String::new(),
        fresh_epoch: Epoch::new(1),
        boot_id: None,
        now: ClockReading::default(),
    };
    DiskJournal::open(options, Box::new(Nobody)).expect("the journal opens")
}

/// Keys of state topics, and batches of their changes that wait for the writer.
const STATE_KEYS: usize = 100_000;
const AHEAD: usize = 16;

fn topics() -> Vec<Topic> {
    let topic = |number| format!("bench/topic-{number}").parse().expect("a topic");
    (0..TOPICS).map(topic).collect()
}

fn batch(topics: &[Topic], first: usize, events: usize) -> Vec<Append> {
    let append = |number: usize| {
        Append::new(
            Event {
                topic: topics[number % TOPICS].clone(),
                key: None,
                event_type: None,
                time: Timestamp::from_ms(number as i64),
                body: Some(Body::Json(Bytes::from_static(BODY))),
            },
            None,
        )
    };
    (first..first + events).map(append).collect()
}

/// Each publisher appends `batches` of `size` events, one after the other.
fn publish(journal: &DiskJournal, publishers: usize, (batches, size): (usize, usize)) {
    let topics = &topics();
    thread::scope(|scope| {
        for publisher in 0..publishers {
            scope.spawn(move || {
                let (sender, replies) = sync_channel(1);
                for number in 0..batches {
                    let sender = sender.clone();
                    let reply = move |result| sender.send(result).expect("the publisher waits");
                    let events = batch(topics, publisher + number, size);
                    journal.append(events, Box::new(reply)).expect("the queue has room");
                    replies.recv().expect("a reply").expect("the batch is appended");
                }
            });
        }
    });
}

#[divan::bench(args = [Durability::Sync, Durability::Interval], sample_count = 5, sample_size = 1)]
fn append_single_events_by_64_publishers(bencher: divan::Bencher<'_, '_>, durability: Durability) {
    const BATCHES: usize = 1000;
    bencher
        .with_inputs(|| TempDir::new().expect("a folder"))
        .input_counter(|_| ItemsCount::new(64 * BATCHES))
        .bench_local_values(|folder| {
            let journal = open(&folder, durability);
            publish(&journal, 64, (BATCHES, 1));
            (journal, folder)
        });
}

#[divan::bench(args = [Durability::Sync, Durability::Interval], sample_count = 5, sample_size = 1)]
fn append_batches_of_100_by_64_publishers(bencher: divan::Bencher<'_, '_>, durability: Durability) {
    const BATCHES: usize = 60;
    bencher
        .with_inputs(|| TempDir::new().expect("a folder"))
        .input_counter(|_| ItemsCount::new(64 * BATCHES * 100))
        .bench_local_values(|folder| {
            let journal = open(&folder, durability);
            publish(&journal, 64, (BATCHES, 100));
            (journal, folder)
        });
}

#[divan::bench(args = ["**", "bench/topic-7", "bench/never"], sample_count = 10, sample_size = 1)]
fn replay_in_pages_of_1000(bencher: divan::Bencher<'_, '_>, filter: &str) {
    let folder = TempDir::new().expect("a folder");
    let journal = open(&folder, Durability::Interval);
    publish(&journal, 1, (REPLAYED_EVENTS / 1000, 1000));
    let filters = FilterSet::from(filter.parse::<Filter>().expect("a filter"));
    // Of a filter that skips: events passed by.
    bencher.counter(ItemsCount::new(REPLAYED_EVENTS)).bench_local(|| {
        let (mut after, mut events) = (Offset::ZERO, 0);
        while after < journal.bounds().tail {
            let limit = ReadLimit { events: 1000, bytes: 1 << 20 };
            let page = journal.read(after, &filters, limit).expect("a page");
            events += page.entries.len();
            after = page.end;
        }
        events
    });
}

/// Keys that change in an order of no meaning.
fn changes(topics: &[Topic], first: usize, events: usize) -> Vec<Append> {
    let change = |number: usize| {
        let key = number.wrapping_mul(0x9E37_79B9) % STATE_KEYS;
        Append::of_state(
            Event {
                topic: topics[key % TOPICS].clone(),
                key: Some(key.to_string().into()),
                event_type: None,
                time: Timestamp::from_ms(number as i64),
                body: Some(Body::Json(Bytes::from_static(BODY))),
            },
            None,
        )
    };
    (first..first + events).map(change).collect()
}

#[divan::bench(args = [Durability::Sync, Durability::Interval], sample_count = 3, sample_size = 1)]
fn change_keys_in_batches_of_1000(bencher: divan::Bencher<'_, '_>, durability: Durability) {
    const BATCHES: usize = 1000;
    bencher
        .with_inputs(|| TempDir::new().expect("a folder"))
        .input_counter(|_| ItemsCount::new(BATCHES * 1000))
        .bench_local_values(|folder| {
            let journal = open(&folder, durability);
            change(&journal, BATCHES);
            (journal, folder)
        });
}

/// Batches of changes, some ahead of the replies.
fn change(journal: &DiskJournal, batches: usize) {
    let topics = &topics();
    let (sender, replies) = sync_channel::<Result<Vec<Appended>, Error>>(AHEAD);
    for number in 0..batches {
        if number >= AHEAD {
            replies.recv().expect("a reply").expect("the batch is appended");
        }
        let sender = sender.clone();
        let reply = move |result| sender.send(result).expect("it is waited for");
        let events = changes(topics, number * 1000, 1000);
        journal.append(events, Box::new(reply)).expect("the queue has room");
    }
    drop(sender);
    for result in replies {
        result.expect("the batch is appended");
    }
}
