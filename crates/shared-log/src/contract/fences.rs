//! Clauses about fences: who sets a register keeps out what was fenced by what it was.

use std::thread;

use super::rig::{Answer, Handle, Rig, fence, numbered};
use super::{Fault, Make};
use crate::{Error, Fence, Generation, Position};

/// By any handle; another register does not matter.
pub fn a_fenced_append_is_stored_while_its_register_is_so(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let generation = log.set("lease", Generation::NEVER, "holder");
    let fence = fence("lease", generation);
    let mut positions = Vec::new();
    for text in numbered("a", 5) {
        positions.push(log.append(text.clone(), Some(&fence)).stored());
        positions.push(other.append(text, Some(&fence)).stored());
        log.take("lease-of-another", "anybody");
        positions.push(log.store("not fenced"));
    }
    let mut reader = other.follow(Position::START);
    reader.read_to(positions[positions.len() - 1]);
    assert_eq!(reader.positions(), positions);
}

/// And nothing of it is there; nor is what expects what the register never was.
pub fn who_sets_a_register_keeps_out_what_was_fenced_before(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (old, new) = (rig.open(), rig.open());
    let mut generation = old.set("lease", Generation::NEVER, "old");
    for round in 0..3 {
        let before = fence("lease", generation);
        old.append("counts", Some(&before)).stored();
        generation = new.set("lease", generation, format!("new-{round}"));
        let future = fence("lease", Generation::new(generation.get() + 1));
        let never = fence("lease", Generation::NEVER);
        for kept_out in [&before, &future, &never] {
            for log in [&old, &new] {
                assert_fenced(log.append("zombie", Some(kept_out)));
            }
        }
        new.append("counts", Some(&fence("lease", generation))).stored();
    }
    let end = new.store("end");
    let texts = new.texts_up_to(end);
    assert_eq!(texts, ["counts", "counts", "counts", "counts", "counts", "counts", "end"]);
}

/// It lets through what expects just that, until somebody sets it.
pub fn a_fence_may_expect_that_a_register_was_never_set(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let never = fence("lease", Generation::NEVER);
    log.append("first", Some(&never)).stored();
    assert_fenced(log.append("zombie", Some(&fence("lease", Generation::new(1)))));
    log.append("second", Some(&never)).stored();
    other.set("lease", Generation::NEVER, "");
    assert_fenced(log.append("zombie", Some(&never)));
    let end = log.store("end");
    assert_eq!(log.texts_up_to(end), ["first", "second", "end"]);
}

/// Of those in a pipeline each is judged by itself, and those around it are there.
pub fn what_is_fenced_is_kept_out_by_itself(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let generation = log.set("lease", Generation::NEVER, "holder");
    let good = fence("lease", generation);
    let bad = fence("lease", Generation::NEVER);
    let answers: Vec<(Answer, bool)> = (0..90)
        .map(|number| match number % 3 {
            0 => (log.append(format!("a-{number}"), Some(&good)), true),
            1 => (log.append("zombie", Some(&bad)), false),
            _ => (log.append(format!("a-{number}"), None), true),
        })
        .collect();
    let mut positions = Vec::new();
    for (answer, is_good) in answers {
        if is_good {
            positions.push(answer.stored());
        } else {
            assert_fenced(answer);
        }
    }
    assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    let mut reader = log.follow(Position::START);
    reader.read_to(positions[positions.len() - 1]);
    assert_eq!(reader.positions(), positions);
    assert!(!reader.texts().contains(&"zombie".to_owned()));
}

/// While somebody appends hundreds of batches, another one takes the lease.
pub fn a_set_register_keeps_out_what_is_under_way(make: Make<'_>) {
    let mut rig = Rig::new(make);
    for round in 0..5 {
        let (old, new) = (rig.open(), rig.open());
        let before = fence("lease", old.take("lease", "old"));
        let thread = {
            let (old, before) = (old.clone(), before.clone());
            thread::spawn(move || {
                old.pipeline(&numbered(&format!("old-{round}"), 300), Some(&before))
            })
        };
        let generation = new.take("lease", "new");
        let marker = new.append("taken", Some(&fence("lease", generation))).stored();
        for answer in thread.join().expect("appends wait for nobody") {
            match answer.given() {
                Ok(position) => assert!(position < marker, "{position} behind {marker}"),
                Err(error) => assert_eq!(error, Error::Fenced("lease".into())),
            }
        }
        assert_nothing_behind(&new, &format!("old-{round}"), marker);
    }
}

/// Whoever had appended before the engine was stopped, or cut off, and another one takes the lease
/// when it is back.
pub fn a_set_register_keeps_out_what_a_fault_has_held_up(make: Make<'_>) {
    for (fault, cure) in [(Fault::Pause, Fault::Resume), (Fault::Cut, Fault::Mend)] {
        let mut rig = Rig::new(make);
        let (old, new) = (rig.open(), rig.open());
        let before = fence("lease", old.take("lease", "old"));
        if !rig.fault(fault) {
            continue;
        }
        let answers = old.pipeline(&numbered("old", 50), Some(&before));
        rig.cure(cure);
        let generation = new.take("lease", "new");
        let marker = first_marker(&new, &fence("lease", generation));
        for answer in answers {
            match answer.given() {
                Ok(position) => assert!(position < marker, "{position} behind {marker}"),
                Err(Error::Away(_) | Error::Fenced(_)) => {}
                Err(other) => panic!("neither stored, fenced nor away: {other:?}"),
            }
        }
        old.works_again();
        assert_fenced(old.append("old-late", Some(&before)));
        assert_nothing_behind(&new, "old-", marker);
    }
}

#[track_caller]
fn assert_fenced(answer: Answer) {
    assert_eq!(answer.given(), Err(Error::Fenced("lease".into())));
}

/// Stores a marker, and finds the first that is there.
#[track_caller]
fn first_marker(log: &Handle, fence: &Fence) -> Position {
    log.works_again();
    let stored = log.append("taken", Some(fence)).stored();
    let mut reader = log.follow_again(Position::START);
    reader.read_to(stored);
    let marker = reader.seen().iter().find(|entry| entry.batch == "taken");
    marker.expect("what was read to").position
}

#[track_caller]
fn assert_nothing_behind(log: &Handle, begin: &str, marker: Position) {
    let end = log.store("end");
    let mut reader = log.follow(marker);
    reader.read_to(end);
    let behind = reader.texts().into_iter().find(|text| text.starts_with(begin));
    assert_eq!(behind, None, "behind the marker");
}
