//! Who raises the epoch, and when: of those who have applied most one, and nobody at once.
//!
//! ```text
//! lost ──▶ all say what they have ──▶ nobody has more: raise
//!               │ somebody has more: they may raise it
//!               └────────── not in time ──▶ raise
//! ```
//!
//! What others have is what they said of themselves last, whether or not they are there: somebody who starts
//! says nothing yet, and it is waited for so long at most.
//!
//! Where a node has just started and the register has another epoch, which is not a later one, the engine was
//! set back, or its data are of another cluster that has no number yet ([`crate::identity`]). Where anybody
//! lives in that epoch the node leaves it alone.
//!
//! Whoever lacks the base of an epoch waits for minutes for somebody who has it: a [`Vigil`], which outlasts the
//! node where its process begins another one, as it does after each try to get a snapshot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_model::Epoch;
use bellwire_shared_log::SharedLog;

use crate::Error;
use crate::epoch::Own;
use crate::nodes::{self, NodeMark, Roster};

/// How long whoever finds a loss waits for what others say: they set their registers once a second, and may
/// find first that those are gone as well.
const HEARD_AGE: Duration = Duration::from_secs(5);

/// How long it is waited for one who has more.
const BETTER_AGE: Duration = Duration::from_secs(15);

/// Who has said nothing new for so long is not there.
const SILENT_AGE: Duration = Duration::from_secs(10);

/// How long it is waited for one who has the base of the epoch. Then it begins on another one, and what only
/// that one had is gone.
const BASE_AGE: Duration = Duration::from_mins(5);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Raising {
    /// Since when something is lost.
    lost: Option<Duration>,
    vigil: Vigil,
    /// The run and the beat that each node in the register's epoch had at the last look.
    beats: BTreeMap<Box<str>, (u64, u64)>,
    /// An epoch that this node does not know, and in which somebody was seen to be there.
    foreign: Option<Epoch>,
}

/// For how long a process has waited for one who has the base of an epoch.
#[derive(Clone, Debug, Default)]
pub struct Vigil(Arc<Mutex<Waited>>);

#[derive(Debug, Default)]
struct Waited {
    /// An epoch of which nobody is there, and since when that is so.
    without: Option<(Epoch, Duration)>,
    roster: Roster,
}

impl Vigil {
    fn waited(&self) -> MutexGuard<'_, Waited> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Raising {
    /// One that goes on with how long was waited before.
    pub(crate) fn with(vigil: Vigil) -> Self {
        Self { vigil, ..Self::default() }
    }

    /// Something is lost: whether this node raises the epoch now. Fails where others live in `foreign`, an
    /// epoch that this node does not know.
    pub(crate) fn may_raise(
        &mut self,
        log: &dyn SharedLog,
        (own, foreign): (&Own, Option<Epoch>),
        now: Duration,
    ) -> Result<bool, Error> {
        let nodes = nodes::nodes(log)?;
        if let Some(epoch) = foreign
            && self.is_lived_in(&nodes, epoch)
        {
            return Err(Error::Foreign { epoch });
        }
        let waited = now.saturating_sub(*self.lost.get_or_insert(now));
        if waited < if foreign.is_some() { SILENT_AGE } else { HEARD_AGE } {
            return Ok(false);
        }
        let others = nodes.into_iter().filter_map(|mark| mark.reached);
        let mut of_epoch = others.filter(|reached| reached.epoch == own.epoch);
        Ok(waited >= BETTER_AGE || of_epoch.all(|reached| reached.position <= own.place))
    }

    /// This epoch has a base that this node does not have: whether nobody is there who has.
    pub(crate) fn is_abandoned(
        &mut self,
        log: &dyn SharedLog,
        epoch: Epoch,
        now: Duration,
    ) -> Result<bool, Error> {
        let nodes = nodes::nodes(log)?;
        let mut waited = self.vigil.waited();
        let seen = waited.roster.look(nodes, now);
        let is_there = seen.iter().any(|(mark, silent)| {
            *silent < SILENT_AGE && mark.reached.is_some_and(|reached| reached.epoch == epoch)
        });
        let since = match waited.without {
            Some((of, since)) if of == epoch && !is_there => since,
            _ => now,
        };
        waited.without = Some((epoch, since));
        Ok(now.saturating_sub(since) >= BASE_AGE)
    }

    /// Whether somebody was seen to say in this epoch that it is there. That stays so: whoever lives in it may
    /// just be starting again.
    fn is_lived_in(&mut self, nodes: &[NodeMark], epoch: Epoch) -> bool {
        let is_of = |mark: &&NodeMark| mark.reached.is_some_and(|reached| reached.epoch == epoch);
        for mark in nodes.iter().filter(is_of) {
            // An older copy of the register is no word of it.
            let before = self.beats.insert(mark.id.clone(), (mark.run, mark.beat));
            if before.is_some_and(|(run, beat)| run == mark.run && beat < mark.beat) {
                self.foreign = Some(epoch);
            }
        }
        self.foreign == Some(epoch)
    }

    /// Nothing is lost, or it is not known: only what is so at each look without a break counts.
    pub(crate) fn is_not_lost(&mut self) {
        self.lost = None;
    }

    /// All is well.
    pub(crate) fn is_over(&mut self) {
        *self.vigil.waited() = Waited::default();
        *self = Self::with(self.vigil.clone());
    }
}

#[cfg(test)]
mod tests {
    use bellwire_shared_log::{MemoryLogs, Position};

    use super::*;
    use crate::nodes::{Announcer, Applied};

    const EPOCH: Epoch = Epoch::new(7);

    fn announcer(id: &str) -> Announcer {
        Announcer::new(NodeMark {
            id: id.into(),
            version: "1".into(),
            address: "x".into(),
            run: 1,
            beat: 0,
            applied: None,
            reached: None,
        })
    }

    fn at_place(epoch: Epoch, place: u64) -> (Option<Applied>, Option<Applied>) {
        (None, Some(Applied { epoch, position: Position::new(place) }))
    }

    fn own(place: u64) -> Own {
        let (place, began) = (Position::new(place), Position::START);
        let (ordinal, kept_ordinal, tail, fingerprint) = (1, 1, None, Some(1));
        let cluster = None;
        Own { epoch: EPOCH, ordinal, kept_ordinal, place, began, tail, fingerprint, cluster }
    }

    #[test]
    fn who_has_most_raises_once_all_were_heard_and_who_has_less_waits_longer() {
        let log = MemoryLogs::immediate().handle();
        let (mut one, mut two) = (announcer("one"), announcer("two"));
        one.announce(&*log, at_place(EPOCH, 10)).expect("said");
        two.announce(&*log, at_place(Epoch::new(8), 99)).expect("said");
        for (place, from) in [(10, HEARD_AGE), (11, HEARD_AGE), (9, BETTER_AGE)] {
            let mut raising = Raising::default();
            let mut may = |after: Duration| {
                let now = Duration::from_secs(100) + after;
                raising.may_raise(&*log, (&own(place), None), now).expect("read")
            };
            let before = from.saturating_sub(Duration::from_millis(1));
            assert!(!may(Duration::ZERO) && !may(before) && may(from), "{place}");
        }
    }

    #[test]
    fn who_comes_from_elsewhere_raises_nothing_where_somebody_is_there() {
        let log = MemoryLogs::immediate().handle();
        let (mut one, other) = (announcer("one"), Epoch::new(8));
        let at = |second: u64| Duration::from_secs(second);
        one.announce(&*log, at_place(other, 3)).expect("said");
        let mut raising = Raising::default();
        let mut may = |second| raising.may_raise(&*log, (&own(9), Some(other)), at(second));
        assert!(!may(0).expect("nobody is seen yet"));
        one.announce(&*log, at_place(other, 3)).expect("said");
        assert!(matches!(may(1), Err(Error::Foreign { epoch }) if epoch == other));
        // Nor once that one is silent.
        assert!(may(1_000).is_err());
        // What was said before anybody looked keeps nobody from it, nor does who is in one's own epoch.
        let (mut two, mut raising) = (announcer("two"), Raising::default());
        let mut may_raise_at = None;
        for second in 0..100 {
            two.announce(&*log, at_place(EPOCH, 9)).expect("said");
            if raising.may_raise(&*log, (&own(9), Some(other)), at(second)).expect("nobody") {
                may_raise_at = Some(at(second));
                break;
            }
        }
        assert_eq!(may_raise_at, Some(SILENT_AGE));
    }

    #[test]
    fn a_base_is_given_up_once_nobody_was_there_for_long_who_has_it() {
        let log = MemoryLogs::immediate().handle();
        let (mut one, mut two) = (announcer("one"), announcer("two"));
        let mut raising = Raising::default();
        let mut abandoned_at = None;
        for second in 0..2_000_u64 {
            two.announce(&*log, at_place(EPOCH, 10)).expect("said");
            if second < 500 {
                one.announce(&*log, at_place(Epoch::new(8), 10)).expect("said");
            }
            let now = Duration::from_secs(second);
            if raising.is_abandoned(&*log, Epoch::new(8), now).expect("read") {
                abandoned_at = Some(second);
                break;
            }
        }
        let expected = 499 + SILENT_AGE.as_secs() + BASE_AGE.as_secs();
        assert!(abandoned_at.is_some_and(|at| at.abs_diff(expected) <= 1), "{abandoned_at:?}");
        // Of an epoch of which somebody is there.
        assert!(!raising.is_abandoned(&*log, EPOCH, Duration::from_secs(9_999)).expect("read"));
    }
}
