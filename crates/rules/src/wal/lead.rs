//! What a process has written down whose clock was far ahead.

use std::sync::Arc;

use bellwire_model::{Alert, Timestamp};

use super::State;

/// How far a clock was ahead that has been corrected since.
///
/// It may have been right for a while before it went wrong: only what it said later than it is now
/// is corrected. So the order of times is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockLead {
    /// What the clock says now.
    now: Timestamp,
    ahead_ms: i64,
}

impl ClockLead {
    /// That of a clock that says what it says now, and has been at another time already.
    pub fn of(now: Timestamp, reached: Timestamp) -> Self {
        Self { now, ahead_ms: reached.as_ms().saturating_sub(now.as_ms()).max(0) }
    }

    /// How far it was ahead.
    pub fn ahead_ms(self) -> i64 {
        self.ahead_ms
    }

    pub(crate) fn corrected(self, time: Timestamp) -> Timestamp {
        if time <= self.now {
            return time;
        }
        Timestamp::from_ms(time.as_ms().saturating_sub(self.ahead_ms))
    }

    /// Corrects the times of an alert.
    pub fn correct(self, alert: &mut Alert) {
        let Alert { active_at, sample_time, fired_at, resolved_at, .. } = alert;
        let sometimes = [fired_at, resolved_at].into_iter().filter_map(Option::as_mut);
        for time in [active_at, sample_time].into_iter().chain(sometimes) {
            *time = self.corrected(*time);
        }
    }
}

impl State {
    /// Corrects all times, but those of what was not announced: its ids stand. How long nothing ran
    /// is not known, so that it counts as long.
    pub fn correct(&mut self, lead: ClockLead) {
        self.now = lead.corrected(self.now);
        self.is_pause_unknown = true;
        for point in self.series.values_mut().flat_map(|series| &mut series.points) {
            point.time = lead.corrected(Timestamp::from_ms(point.time)).as_ms();
        }
        for saved in self.alerts.values_mut() {
            lead.correct(Arc::make_mut(&mut saved.alert));
            saved.kept_since = saved.kept_since.map(|since| lead.corrected(since));
        }
    }
}
