//! Clauses about what is trimmed: it is gone, said to be gone, and never handed on as if it were not.

use bytes::Bytes;

use super::rig::{Answer, Handle, Rig, fence, numbered};
use super::{Fault, Make};
use crate::{BATCH_BYTES_MAX, Ended, Error, Generation, Position};

/// Up to and with the place that was said, and no more.
pub fn trimmed_batches_are_gone_and_said_to_be(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let positions = log.store_all(&numbered("a", 10));
    assert!(log.span().trimmed < positions[0], "nothing is gone yet");
    // What is gone already does not come back.
    for (until, gone) in [(0, 0), (3, 3), (3, 3), (1, 3), (6, 6)] {
        log.trim(positions[until]);
        for log in [&log, &other] {
            assert_trimmed(log, &positions, gone);
            let mut reader = log.follow(positions[gone]);
            reader.read_to(positions[9]);
            assert_eq!(reader.positions(), positions[gone + 1..]);
        }
    }
}

/// The log goes on behind what was answered, also when it was restarted empty.
pub fn a_log_that_is_trimmed_empty_goes_on_where_it_was(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let mut last = log.store_all(&numbered("a", 7))[6];
    log.trim(last);
    assert_eq!(log.entry(last), None);
    assert!(log.span().tail >= last, "never before what was answered");
    if rig.fault(Fault::Kill) {
        rig.cure(Fault::Start);
        let span = log.reached();
        assert!(span.tail >= last && span.trimmed >= last, "{span:?} behind {last}");
    }
    for text in numbered("b", 3) {
        let mut reader = log.follow_again(last);
        let position = log.store(text);
        assert!(position > last, "{position} behind {last}");
        reader.read_to(position);
        assert_eq!(reader.positions(), [position]);
        log.trim(position);
        last = position;
    }
}

/// What is not there yet is not trimmed when it comes.
pub fn trimming_beyond_the_tail_removes_what_is_there(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let before = log.store_all(&numbered("a", 3));
    log.trim(Position::new(log.span().tail.get() + 1000));
    for &position in &before {
        assert_eq!(log.entry(position), None);
    }
    let position = log.store("behind");
    assert!(position > before[2]);
    let span = log.span();
    assert!(span.trimmed < position && span.tail >= position, "{span:?} around {position}");
    assert_eq!(log.entry(position).expect("it is there").batch, "behind");
    let mut reader = log.follow(span.trimmed);
    reader.read_to(position);
    assert_eq!(reader.positions(), [position]);
}

/// Registers, and with them the fences, are never trimmed.
pub fn trimming_leaves_registers(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let first = log.set("epoch", Generation::NEVER, "first");
    log.store_all(&numbered("a", 5));
    let lease = log.set("lease", Generation::NEVER, "holder");
    let last = log.store_all(&numbered("b", 5))[4];
    log.trim(last);
    rig.fault(Fault::TrimByHand(last));
    for restarts in 0..2 {
        let register = log.register("epoch");
        assert_eq!((register.generation, register.value), (first, "first".into()));
        assert_eq!(log.registers(""), ["epoch", "lease"]);
        log.append("fenced", Some(&fence("lease", lease))).stored();
        let zombie = log.append("zombie", Some(&fence("lease", first))).given();
        assert_eq!(zombie, Err(Error::Fenced("lease".into())));
        if restarts == 1 || !rig.fault(Fault::Kill) {
            return;
        }
        rig.cure(Fault::Start);
        log.works_again();
    }
}

/// Nothing ends for whoever has been handed what goes.
pub fn trimming_does_not_disturb_who_is_further(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let mut readers = [log.follow(Position::START), other.follow(Position::START)];
    let mut handed_on = Vec::new();
    for round in 0..6 {
        let positions = log.store_all(&numbered(&round.to_string(), 5));
        for reader in &mut readers {
            reader.read_to(positions[4]);
        }
        // Now what was handed on last stays, now it goes as well.
        other.trim(positions[if round % 2 == 0 { 2 } else { 4 }]);
        handed_on.extend(positions);
    }
    assert!(readers.iter().all(|reader| reader.positions() == handed_on));
}

/// Before it was handed on: then all of it comes yet, or the following ends where it goes.
pub fn a_following_ends_where_batches_are_gone(make: Make<'_>) {
    const COUNT: usize = 48;
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let batch = |number: usize| Bytes::from(vec![number as u8; BATCH_BYTES_MAX]);
    // More than anybody fetches ahead.
    let mut reader = other.follow(Position::START);
    let answers: Vec<Answer> = (0..COUNT).map(|number| log.append(batch(number), None)).collect();
    let positions: Vec<Position> = answers.into_iter().map(Answer::stored).collect();
    let gone = COUNT - 2;
    if !rig.fault(Fault::TrimByHand(positions[gone])) {
        return;
    }
    let ended = reader.read_to_or_end(positions[COUNT - 1]);
    let seen = reader.positions();
    assert_eq!(seen, positions[..seen.len()], "nothing is skipped");
    let mut left = other.follow(positions[gone]);
    left.read_to(positions[COUNT - 1]);
    assert_eq!(left.positions(), positions[gone + 1..]);
    assert_trimmed(&other, &positions, gone);
    let Some(ended) = ended else { return };
    if let Ended::Trimmed(until) = ended {
        let place = positions[gone]..positions[gone + 1];
        assert!(place.contains(&until), "{until} in {place:?}");
        assert!(seen.len() <= gone, "nothing is gone that was not handed on");
    }
    if seen.len() <= gone {
        let error = other.try_follow(reader.after()).err();
        assert!(matches!(error, Some(Error::Trimmed(_))), "{error:?}");
    }
}

/// Everything up to and with `positions[gone]` is gone, and nothing behind it.
#[track_caller]
fn assert_trimmed(log: &Handle, positions: &[Position], gone: usize) {
    let place = positions[gone]..positions[gone + 1];
    let span = log.span();
    assert!(place.contains(&span.trimmed), "{} in {place:?}", span.trimmed);
    assert!(span.tail >= positions[positions.len() - 1]);
    for (index, &position) in positions.iter().enumerate() {
        let entry = log.entry(position);
        assert_eq!(entry.is_some(), index > gone, "{position}, trimmed up to {}", positions[gone]);
    }
    let before = std::iter::once(Position::START).chain(positions[..gone].iter().copied());
    for after in before {
        match log.try_follow(after) {
            Err(Error::Trimmed(until)) => assert!(place.contains(&until), "{until} in {place:?}"),
            Err(other) => panic!("not trimmed: {other:?}"),
            Ok(_) => panic!("followed from {after}, trimmed up to {}", positions[gone]),
        }
    }
}
