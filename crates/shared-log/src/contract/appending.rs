//! Clauses about appends: their order, their size, and that what is answered is there.

use std::thread;

use bytes::Bytes;

use super::Make;
use super::rig::{Answer, Handle, Rig, numbered};
use super::waiting::within;
use crate::{BATCH_BYTES_MAX, Error, Position};

/// Each one behind the one before, and there as soon as it is answered.
pub fn positions_increase_in_the_order_of_appends(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let mut last = Position::START;
    for text in numbered("a", 20) {
        let position = log.store(text.clone());
        assert!(position > last, "{position} behind {last}");
        let entry = log.entry(position).expect("what was answered is there");
        assert_eq!((entry.position, entry.batch), (position, Bytes::from(text)));
        assert!(log.span().tail >= position, "the tail is never before what was answered");
        last = position;
    }
}

/// Hundreds of them, with nobody waiting for an answer.
pub fn batches_appended_without_waiting_are_stored_in_order(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let texts = numbered("a", 700);
    let mut reader = log.follow(Position::START);
    let positions = log.store_all(&texts);
    reader.read_to(positions[texts.len() - 1]);
    assert_eq!(reader.texts(), texts);
    assert_eq!(reader.positions(), positions);
}

/// Whoever follows on any handle sees the same order, in which that of each handle holds.
pub fn appends_of_many_handles_are_in_one_order(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let handles: Vec<Handle> = (0..3).map(|_| rig.open()).collect();
    let append = |(number, log): (usize, &Handle)| {
        let log = log.clone();
        thread::spawn(move || log.store_all(&numbered(&number.to_string(), 150)))
    };
    let threads: Vec<_> = handles.iter().enumerate().map(append).collect();
    let positions = threads.into_iter().map(|thread| thread.join().expect("all are stored"));
    let positions: Vec<Vec<Position>> = positions.collect();
    let last = *positions.iter().flatten().max().expect("some were appended");
    for log in &handles {
        let mut reader = log.follow(Position::START);
        reader.read_to(last);
        assert_eq!(reader.seen().len(), positions.iter().flatten().count());
        for (number, positions) in positions.iter().enumerate() {
            let begin = format!("{number}-");
            let of = reader.seen().iter().filter(|entry| entry.batch.starts_with(begin.as_bytes()));
            let (of, texts): (Vec<Position>, Vec<Bytes>) =
                of.map(|entry| (entry.position, entry.batch.clone())).unzip();
            assert_eq!(&of, positions);
            assert_eq!(texts, numbered(&number.to_string(), 150));
        }
    }
}

/// Read, and followed, by every handle.
pub fn what_is_answered_is_there_for_every_handle(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (writer, other) = (rig.open(), rig.open());
    let mut readers = [writer.follow(Position::START), other.follow(Position::START)];
    for text in numbered("a", 10) {
        let position = writer.store(text.clone());
        let late = rig.open();
        for log in [&writer, &other, &late] {
            let entry = log.entry(position).expect("what was answered is there");
            assert_eq!(entry.batch, text);
            assert!(log.span().tail >= position);
        }
        for reader in &mut readers {
            reader.read_to(position);
            assert_eq!(reader.texts().last(), Some(&text));
        }
    }
}

/// Whatever bytes it has, up to the largest.
pub fn a_batch_is_stored_whole(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut batches = vec![Bytes::from_static(b"\r\n"), Bytes::from_static(b"\0")];
    batches.push(every_byte.clone().into());
    for bytes in [4096, BATCH_BYTES_MAX - 1, BATCH_BYTES_MAX] {
        batches.push(every_byte.iter().copied().cycle().take(bytes).collect());
    }
    let mut reader = log.follow(Position::START);
    for batch in &batches {
        let position = log.store(batch.clone());
        reader.read_to(position);
        let entry = log.entry(position).expect("it is there");
        assert!(entry.batch == *batch, "{} bytes are read as they were", batch.len());
    }
    assert!(reader.seen().iter().map(|entry| &entry.batch).eq(&batches), "followed as they were");
}

/// More than fits between client and server at once.
pub fn many_large_batches_are_stored_in_order(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (writer, other) = (rig.open(), rig.open());
    let batch = |number: u8| Bytes::from(vec![number; BATCH_BYTES_MAX]);
    let answers = {
        let writer = writer.clone();
        within("large appends are queued without waiting for anybody", move || {
            (0..24).map(|number| writer.append(batch(number), None)).collect::<Vec<_>>()
        })
    };
    let positions: Vec<Position> = answers.into_iter().map(Answer::stored).collect();
    let mut reader = other.follow(Position::START);
    reader.read_to(positions[positions.len() - 1]);
    assert_eq!(reader.positions(), positions);
    for (number, entry) in (0..).zip(reader.seen()) {
        assert!(entry.batch == batch(number), "batch {number} as it was");
    }
}

/// It is refused by itself: what was appended around it is there.
pub fn a_batch_too_large_is_refused(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let bytes = BATCH_BYTES_MAX + 1;
    let before = log.append("before", None);
    let large = log.append(vec![0; bytes], None);
    let behind = log.append("behind", None);
    assert_eq!(large.given(), Err(Error::TooLarge { bytes, max: BATCH_BYTES_MAX }));
    let (before, behind) = (before.stored(), behind.stored());
    let mut reader = log.follow(Position::START);
    reader.read_to(behind);
    assert_eq!(reader.positions(), [before, behind]);
}

/// Nobody has to wait for the answer, or to keep the handle.
pub fn a_dropped_handle_answers_what_is_queued(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let answers = log.pipeline(&numbered("a", 100), None);
    within("a handle is dropped", move || drop(log));
    let stored = answers.into_iter().zip(numbered("a", 100));
    let stored = stored.filter_map(|(answer, text)| Some((answer.stored_unless_away()?, text)));
    for (position, text) in stored {
        assert_eq!(other.entry(position).expect("what was answered is there").batch, text);
    }
}
