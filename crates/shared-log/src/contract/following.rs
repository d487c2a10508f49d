//! Clauses about followings while nothing fails.

use super::Make;
use super::rig::{Answer, Rig, numbered};
use crate::{Ended, Position};

/// How often one may end, where it may, before it is said to get nowhere.
const ENDS_MAX: usize = 50;

/// From the start, from every place between, and from the end.
pub fn a_following_hands_on_everything_behind_its_start(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let mut texts = numbered("a", 12);
    let mut positions = log.store_all(&texts);
    let begins = std::iter::once(Position::START).chain(positions.clone());
    let mut readers: Vec<_> = begins
        .enumerate()
        .map(|(skipped, after)| {
            let log = if skipped % 2 == 0 { &log } else { &other };
            (skipped, log.follow(after))
        })
        .collect();
    for text in numbered("b", 5) {
        positions.push(log.store(text.clone()));
        texts.push(text);
    }
    for (skipped, reader) in &mut readers {
        reader.read_to(positions[positions.len() - 1]);
        assert_eq!(reader.positions(), positions[*skipped..]);
        assert_eq!(reader.texts(), texts[*skipped..]);
    }
}

/// Of one handle, and of several; one that is dropped does not disturb the others.
pub fn followings_at_once_are_handed_the_same(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let mut readers = [&log, &log, &other].map(|log| log.follow(Position::START));
    let mut dropped = log.follow(Position::START);
    let first = log.store_all(&numbered("a", 50));
    dropped.read_to(first[0]);
    drop(dropped);
    for _ in 0..20 {
        drop(log.follow(first[10]));
    }
    let second = other.store_all(&numbered("b", 50));
    let positions = [first, second].concat();
    for reader in &mut readers {
        reader.read_to(positions[positions.len() - 1]);
        assert_eq!(reader.positions(), positions);
    }
}

/// It waits, and does not end.
pub fn a_following_at_the_tail_waits(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let mut readers = vec![log.follow(Position::START)];
    for text in numbered("a", 4) {
        for reader in &mut readers {
            for _ in 0..5 {
                assert_eq!(reader.next(), Ok(0), "nothing is there");
            }
        }
        let position = log.store(text);
        for reader in &mut readers {
            reader.read_to(position);
        }
        readers.push(log.follow(position));
    }
}

/// What comes while nobody asks for it is handed on later, or the following ends.
pub fn who_is_slow_to_follow_misses_nothing(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let mut reader = other.follow(Position::START);
    let first = log.store("first");
    reader.read_to(first);
    let mut positions = vec![first];
    for large in 0..6 {
        positions.extend(log.store_all(&numbered(&format!("small-{large}"), 500)));
        let batches = (0..8).map(|_| log.append(vec![large; 256 * 1024], None)).collect::<Vec<_>>();
        positions.extend(batches.into_iter().map(Answer::stored));
    }
    let last = positions[positions.len() - 1];
    let (mut seen, mut ends) = (Vec::new(), 0);
    while let Some(ended) = reader.read_to_or_end(last) {
        assert!(matches!(ended, Ended::Lost(_)), "nothing was trimmed: {ended:?}");
        seen.extend(reader.positions());
        ends += 1;
        assert!(ends < ENDS_MAX, "it ends again and again");
        reader = other.follow_again(reader.after());
    }
    seen.extend(reader.positions());
    assert_eq!(seen, positions);
}

/// Where the log was restored there may be less than somebody has: he is handed nothing of it.
pub fn a_following_from_beyond_the_tail_hands_on_nothing_before_it(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let log = rig.open();
    let positions = log.store_all(&numbered("a", 3));
    let beyond = Position::new(log.span().tail.get() + 1000);
    // It may be refused as well. The reader complains about what is before its start.
    let Ok(mut reader) = log.try_follow(beyond) else { return };
    let more = log.store_all(&numbered("b", 3));
    let mut other = log.follow(positions[2]);
    other.read_to(more[2]);
    assert!(!matches!(reader.next(), Ok(1..)), "nothing is behind {beyond}");
}
