//! How often it is looked what is followed, and begun anew for that.

use std::time::Duration;

use bellwire_model::limits::{MIRROR_LOAD_SHARE, MIRROR_PACE};

/// Each look reads what all follow here, and each beginning brings all values. A pure state machine, which is told
/// the time.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Others follow something than when it was looked last.
    is_told: bool,
    /// When it was looked last because of that.
    told_at: Option<Duration>,
    /// When it was looked last.
    looked_at: Option<Duration>,
    /// How long all values took to come the last time.
    load: Duration,
}

impl Pace {
    /// Others follow something than before.
    pub(super) fn tell(&mut self) {
        self.is_told = true;
    }

    /// It is looked now.
    pub(super) fn look(&mut self, now: Duration) {
        if std::mem::take(&mut self.is_told) {
            self.told_at = Some(now);
        }
        self.looked_at = Some(now);
    }

    /// How long not to look yet, though others follow something. Of some who come only the first is looked for
    /// at once.
    pub(super) fn rest(&self, now: Duration) -> Duration {
        self.told_at.map_or(Duration::ZERO, |at| (at + MIRROR_PACE).saturating_sub(now))
    }

    /// Whether to look: others follow something, or what nobody follows any more may be over by itself.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let may_be_over = self.looked_at.is_none_or(|at| now.saturating_sub(at) >= MIRROR_PACE);
        may_be_over || self.is_told && self.rest(now).is_zero()
    }

    /// All values have come, in so long.
    pub(super) fn loaded(&mut self, took: Duration) {
        self.load = took;
    }

    /// The least time between two beginnings.
    pub(super) fn between_beginnings(&self) -> Duration {
        MIRROR_PACE.max(self.load * MIRROR_LOAD_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_who_comes_is_looked_for_at_once_and_others_together_behind() {
        let (mut pace, after) = (Pace::default(), |part: u32| MIRROR_PACE / 4 * part);
        pace.look(after(3));
        assert!(!pace.is_due(after(4)), "nobody has come");
        pace.tell();
        assert!(pace.is_due(after(4)));
        assert_eq!(pace.rest(after(4)), Duration::ZERO);
        pace.look(after(4));
        pace.tell();
        assert!(!pace.is_due(after(5)));
        assert_eq!(pace.rest(after(5)), after(3));
        assert!(pace.is_due(after(8)));
        pace.look(after(8));
        assert!(!pace.is_due(after(11)));
        assert!(pace.is_due(after(12)), "something may be over");
    }

    #[test]
    fn beginnings_take_a_part_of_the_time_alone() {
        let mut pace = Pace::default();
        assert_eq!(pace.between_beginnings(), MIRROR_PACE);
        pace.loaded(MIRROR_PACE / 100);
        assert_eq!(pace.between_beginnings(), MIRROR_PACE);
        pace.loaded(MIRROR_PACE);
        assert_eq!(pace.between_beginnings(), MIRROR_PACE * MIRROR_LOAD_SHARE);
    }
}
