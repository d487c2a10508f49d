//! Up to where the log may be let go of, by what nodes say that they have applied. Pure, told the time.
//!
//! ```text
//! log   ··· gone ···│ kept for ───────── margin ──┤ A         B       C (away for long: it gets a
//!                   └ trimmed                     └ the least of those who are there      snapshot)
//! ```
//!
//! - Acknowledged events must not hang on one disk: without the log it takes two nodes that have them, and
//!   that were seen to be there.
//! - Whoever is away holds the log for [`AWAY_AGE`], and so does whoever has not said anything yet. Whoever
//!   wants what is gone already gets a snapshot, and holds nothing.
//! - What is let go of was said by all at the look before, so that it is on their disks, however they sync.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::Epoch;
use bellwire_shared_log::Position;

use crate::nodes::{Applied, NodeMark};

/// How often it is looked how much may go.
pub(crate) const TRIM_INTERVAL: Duration = Duration::from_secs(10);

/// How many of the newest positions stay, although all nodes have applied them.
pub(crate) const TRIM_MARGIN: u64 = 256;

/// How many positions go at once, so that the engine and who trims go on with other things.
pub(crate) const TRIM_STEP_MAX: u64 = 100_000;

/// A node that has said nothing for so long is away, and gets a snapshot when it is back.
const AWAY_AGE: Duration = Duration::from_mins(5);

/// How many nodes have to have what the log lets go of.
const NODES_MIN: usize = 2;

/// What was seen of nodes.
#[derive(Debug, Default)]
pub(crate) struct Trimming {
    nodes: BTreeMap<Box<str>, Seen>,
    /// What all had applied at the look before.
    agreed: Option<Applied>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    said: (u64, u64),
    since: Duration,
    /// It has said something new since it was seen first.
    is_there: bool,
}

impl Trimming {
    /// Looks at what nodes say now. Returns up to where the log of this epoch may go, which is gone up to
    /// `trimmed`.
    pub(crate) fn look(
        &mut self,
        marks: &[NodeMark],
        (epoch, trimmed): (Epoch, Position),
        now: Duration,
    ) -> Option<Position> {
        let mut before = std::mem::take(&mut self.nodes);
        let (mut there, mut least) = (0, Some(Position::new(u64::MAX)));
        for mark in marks {
            let said = (mark.run, mark.beat);
            let seen = match before.remove(&mark.id) {
                Some(seen) if seen.said == said => seen,
                Some(_) => Seen { said, since: now, is_there: true },
                None => Seen { said, since: now, is_there: false },
            };
            self.nodes.insert(mark.id.clone(), seen);
            if now.saturating_sub(seen.since) >= AWAY_AGE {
                continue;
            }
            let applied = mark.applied.filter(|applied| applied.epoch == epoch);
            if applied.is_some_and(|applied| applied.position < trimmed) {
                continue;
            }
            there += usize::from(seen.is_there);
            least = least.zip(applied).map(|(least, applied)| least.min(applied.position));
        }
        let least = least.filter(|_| there >= NODES_MIN);
        let agreed = least.map(|position| Applied { epoch, position });
        let before = std::mem::replace(&mut self.agreed, agreed)?;
        let until = (before.epoch == epoch).then_some(before.position)?.min(least?);
        Some(Position::new(until.get().saturating_sub(TRIM_MARGIN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch::new(7);

    fn mark(id: &str, beat: u64, applied: Option<u64>) -> NodeMark {
        let applied =
            applied.map(|position| Applied { epoch: EPOCH, position: Position::new(position) });
        NodeMark {
            id: id.into(),
            version: "1".into(),
            address: "x".into(),
            run: 1,
            beat,
            applied,
            reached: applied,
        }
    }

    /// Looks at these nodes, each time one interval later.
    struct Looks(Trimming, u64, Position);

    impl Looks {
        fn look(&mut self, nodes: &[(&str, u64, Option<u64>)]) -> Option<u64> {
            let marks: Vec<_> =
                nodes.iter().map(|(id, beat, applied)| mark(id, *beat, *applied)).collect();
            self.1 += 1;
            let now = TRIM_INTERVAL * u32::try_from(self.1).unwrap();
            let until = self.0.look(&marks, (EPOCH, self.2), now)?;
            Some(until.get() + TRIM_MARGIN)
        }
    }

    #[test]
    fn what_two_nodes_have_applied_for_a_while_may_go() {
        let mut looks = Looks(Trimming::default(), 0, Position::START);
        assert_eq!(looks.look(&[("a", 1, Some(1_000)), ("b", 1, Some(1_100))]), None, "seen once");
        assert_eq!(
            looks.look(&[("a", 2, Some(2_000)), ("b", 2, Some(1_200))]),
            None,
            "for how long"
        );
        assert_eq!(looks.look(&[("a", 3, Some(3_000)), ("b", 3, Some(3_000))]), Some(1_200));
        assert_eq!(looks.look(&[("a", 4, Some(3_000)), ("b", 4, Some(2_000))]), Some(2_000));
        // Alone nothing more goes.
        let alone = (0..2 * AWAY_AGE.as_secs() / TRIM_INTERVAL.as_secs())
            .map(|beat| looks.look(&[("a", 5 + beat, Some(9_000)), ("b", 4, Some(2_000))]));
        assert!(alone.flatten().all(|until| until == 2_000));
        assert_eq!(looks.look(&[("a", 99, Some(9_000)), ("b", 4, Some(2_000))]), None);
        assert_eq!(looks.look(&[("a", 100, Some(9_000))]), None);
    }

    #[test]
    fn who_is_away_holds_the_log_for_a_while_and_who_has_said_nothing_as_long() {
        let mut looks = Looks(Trimming::default(), 0, Position::START);
        let mut at = |beat: u64, third: Option<u64>| {
            let applied = Some(1_000 + beat);
            looks.look(&[("a", beat, applied), ("b", beat, applied), ("c", 1, third)])
        };
        let rounds = AWAY_AGE.as_secs() / TRIM_INTERVAL.as_secs();
        for beat in 0..rounds {
            assert!(matches!(at(beat, Some(500)), None | Some(500)), "{beat}");
        }
        assert_eq!(at(rounds, Some(500)), Some(500));
        assert_eq!(at(rounds + 1, Some(500)), Some(1_000 + rounds));
        // Away or not, what says nothing of what it has is of an older version, or just begins.
        let mut looks = Looks(Trimming::default(), 0, Position::START);
        for beat in 0..rounds {
            let applied = Some(1_000 + beat);
            let until =
                looks.look(&[("a", beat, applied), ("b", beat, applied), ("c", beat, None)]);
            assert_eq!(until, None);
        }
    }

    /// Such as a node that was paused, and reaches nobody who has a snapshot.
    #[test]
    fn who_wants_what_is_gone_already_holds_nothing() {
        let mut looks = Looks(Trimming::default(), 0, Position::new(400));
        let mut until = None;
        for beat in 0..4 {
            let applied = Some(1_000 + beat);
            until = looks.look(&[("a", beat, applied), ("b", beat, applied), ("c", beat, Some(5))]);
        }
        assert_eq!(until, Some(1_002));
        // It is none of the two that have to have it either.
        let mut looks = Looks(Trimming::default(), 0, Position::new(400));
        for beat in 0..4 {
            assert_eq!(looks.look(&[("a", beat, Some(1_000)), ("c", beat, Some(5))]), None);
        }
    }

    #[test]
    fn nothing_goes_of_an_epoch_that_somebody_is_not_in() {
        let mut trimming = Trimming::default();
        let mut look = |beat: u64, epoch: Epoch| {
            let other = Applied { epoch, position: Position::new(5_000) };
            let marks = [
                mark("a", beat, Some(1_000)),
                NodeMark { applied: Some(other), ..mark("b", beat, None) },
            ];
            trimming.look(
                &marks,
                (EPOCH, Position::START),
                TRIM_INTERVAL * u32::try_from(beat).unwrap(),
            )
        };
        for beat in 0..4 {
            assert_eq!(look(beat, Epoch::new(8)), None);
        }
        assert_eq!((look(5, EPOCH), look(6, EPOCH).is_some()), (None, true));
    }
}
