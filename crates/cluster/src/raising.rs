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

use std::time::Duration;

use bellwire_model::Epoch;
use bellwire_shared_log::SharedLog;

use crate::Error;
use crate::epoch::Own;
use crate::nodes::{self, Roster};

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
    /// An epoch of which nobody is there, and since when that is so.
    without: Option<(Epoch, Duration)>,
    roster: Roster,
}

impl Raising {
    /// Something is lost: whether this node raises the epoch now.
    pub(crate) fn may_raise(
        &mut self,
        log: &dyn SharedLog,
        own: &Own,
        now: Duration,
    ) -> Result<bool, Error> {
        let waited = now.saturating_sub(*self.lost.get_or_insert(now));
        if waited < HEARD_AGE {
            return Ok(false);
        }
        let others = nodes::nodes(log)?.into_iter().filter_map(|mark| mark.reached);
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
        let seen = self.roster.look(nodes::nodes(log)?, now);
        let is_there = seen.iter().any(|(mark, silent)| {
            *silent < SILENT_AGE && mark.reached.is_some_and(|reached| reached.epoch == epoch)
        });
        let since = match self.without {
            Some((of, since)) if of == epoch && !is_there => since,
            _ => now,
        };
        self.without = Some((epoch, since));
        Ok(now.saturating_sub(since) >= BASE_AGE)
    }

    /// All is well.
    pub(crate) fn is_over(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use bellwire_shared_log::{MemoryLogs, Position};

    use super::*;
    use crate::nodes::{Announcer, Applied, NodeMark};

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

    fn at(epoch: Epoch, place: u64) -> (Option<Applied>, Option<Applied>) {
        (None, Some(Applied { epoch, position: Position::new(place) }))
    }

    fn own(place: u64) -> Own {
        let (place, began) = (Position::new(place), Position::START);
        let (ordinal, kept_ordinal, tail, fingerprint) = (1, 1, None, Some(1));
        Own { epoch: EPOCH, ordinal, kept_ordinal, place, began, tail, fingerprint }
    }

    #[test]
    fn who_has_most_raises_once_all_were_heard_and_who_has_less_waits_longer() {
        let log = MemoryLogs::immediate().handle();
        let (mut one, mut two) = (announcer("one"), announcer("two"));
        one.announce(&*log, at(EPOCH, 10)).expect("said");
        two.announce(&*log, at(Epoch::new(8), 99)).expect("said");
        for (place, from) in [(10, HEARD_AGE), (11, HEARD_AGE), (9, BETTER_AGE)] {
            let mut raising = Raising::default();
            let mut may = |after: Duration| {
                let now = Duration::from_secs(100) + after;
                raising.may_raise(&*log, &own(place), now).expect("read")
            };
            let before = from.saturating_sub(Duration::from_millis(1));
            assert!(!may(Duration::ZERO) && !may(before) && may(from), "{place}");
        }
    }

    #[test]
    fn a_base_is_given_up_once_nobody_was_there_for_long_who_has_it() {
        let log = MemoryLogs::immediate().handle();
        let (mut one, mut two) = (announcer("one"), announcer("two"));
        let mut raising = Raising::default();
        let mut abandoned_at = None;
        for second in 0..2_000_u64 {
            two.announce(&*log, at(EPOCH, 10)).expect("said");
            if second < 500 {
                one.announce(&*log, at(Epoch::new(8), 10)).expect("said");
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
