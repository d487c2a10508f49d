//! A start behind a clock that was far ahead and has been corrected since.
//!
//! A small step back of the clock is slewed, over a restart too. A large one would take fifty times
//! as long as it is, so a start takes the clock's word: what is ahead of it is moved back by as much
//! as the state is ahead.

use bellwire_model::limits::CLOCK_LEAD_MAX;
use bellwire_model::{Alert, Timestamp};
use bellwire_rules::{ClockLead, State};

/// A clock that says that it is earlier, 2020, has not been set yet, as on a board without a battery
/// until the network is there: it will catch up at once.
const CLOCK_SET_SINCE: Timestamp = Timestamp::from_ms(1_577_836_800_000);

/// Corrects the times of a state and of restored alerts, where they are too far ahead of the wall
/// clock.
pub(super) fn correct(state: &mut State, restored: &mut [Alert], wall: Timestamp) {
    let newest = |alert: &Alert| alert.resolved_at.unwrap_or(alert.sample_time);
    let told = restored.iter().map(newest).max().unwrap_or(Timestamp::MIN);
    // What sensors say of themselves may be ahead by itself.
    let told = told.saturating_sub(CLOCK_LEAD_MAX);
    let reached = state.ended_at().max(told);
    if reached.saturating_since(wall) <= CLOCK_LEAD_MAX || wall < CLOCK_SET_SINCE {
        return;
    }
    let lead = ClockLead::of(wall, reached);
    tracing::warn!(
        lead_s = lead.ahead_ms() / 1_000,
        "The rules' state is from far ahead of the wall clock, which was corrected meanwhile. The state's times are moved back by as much, and rules go on as after a long pause."
    );
    state.correct(lead);
    for alert in restored {
        lead.correct(alert);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_model::limits::LOOKBACK;
    use bellwire_model::{AlertState, Labels, METRIC_NAME, Sample};
    use bellwire_rules::{Change, Engine, RuleFile, RuleSet, Settings, load};

    use super::*;

    const RULES: &str = "groups:\n- name: g\n  rules:\n  - {alert: Hot, expr: t > 90}\n  \
                         - {alert: Warm, expr: t > 50, for: 1m}\n";
    const WALL: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const YEAR: Duration = Duration::from_hours(24 * 365);

    fn rules() -> RuleSet {
        load(&[RuleFile { name: "f", text: RULES }]).expect("rules")
    }

    fn sample(site: &str, value: f64, time: Timestamp) -> Sample {
        let series = Labels::from_pairs([(METRIC_NAME, "t"), ("site", site)]).expect("labels");
        Sample { series, value, time }
    }

    fn kinds(changes: &[Change]) -> Vec<(i64, &'static str)> {
        let kinds = changes.iter().filter_map(|change| match change {
            Change::Transition(told) => {
                Some((told.time.as_ms() - WALL.as_ms(), told.kind.event_type()))
            }
            _ => None,
        });
        kinds.collect()
    }

    /// What a process has left behind whose clock was so far ahead for the last ten seconds of it:
    /// its state, and the alert that the journal knows.
    fn left_behind(ahead: Duration) -> (State, Vec<Alert>) {
        let (mut engine, mut state) = (Engine::new(rules()), State::default());
        engine.keep_log();
        let jumped_at = WALL.saturating_sub(Duration::from_secs(20));
        let right = [jumped_at];
        let wrong = [10, 20].map(|s| jumped_at.saturating_add(ahead + Duration::from_secs(s)));
        for now in right.into_iter().chain(wrong) {
            // As the evaluator does where the clock is set forward.
            engine.pass_over(now);
            // Oslo was hot before, and bergen is hot since.
            let bergen = if now == jumped_at { 20.0 } else { 95.0 };
            engine.apply(now, &[sample("oslo", 95.0, now), sample("bergen", bergen, now)]);
            engine.mark_announced();
            state.read(&engine.take_log()).expect("whole records");
        }
        let hot = engine.active().filter(|alert| alert.state == AlertState::Firing);
        let hot = hot.map(std::sync::Arc::unwrap_or_clone).collect();
        (state, hot)
    }

    #[test]
    fn rules_go_on_at_the_time_of_a_clock_that_was_a_year_ahead() {
        let (mut state, mut restored) = left_behind(YEAR);
        assert!(state.ended_at() > WALL);
        correct(&mut state, &mut restored, WALL);
        assert_eq!(state.ended_at(), WALL);
        let (mut engine, changes) = Engine::resume(rules(), Settings::default(), state, WALL);
        engine.restore(WALL, restored);
        assert_eq!(kinds(&changes), []);
        let earliest = WALL.saturating_sub(Duration::from_secs(20));
        for alert in engine.active() {
            let fired_at = alert.fired_at.unwrap_or(alert.active_at);
            for time in [alert.active_at, fired_at, alert.sample_time] {
                assert!((earliest..=WALL).contains(&time), "{alert:?}");
            }
        }
        // What is sent now counts now: one resolves, and the other fires on and gets warm.
        let at = |ms: u64| WALL.saturating_add(Duration::from_millis(ms));
        let samples = [sample("oslo", 20.0, at(5)), sample("bergen", 96.0, at(5))];
        let changes = engine.apply(at(5), &samples);
        assert_eq!(kinds(&changes), [(5, "alert.resolved"), (5, "alert.resolved")]);
        let changes = engine.advance(at(120_000));
        assert_eq!(kinds(&changes), [(50_000, "alert.firing")]);
        // Nothing of it is left in a year.
        let changes = engine.advance(at(3_600_000));
        let silent = (LOOKBACK.as_millis() as i64 + 5, "alert.resolved");
        assert_eq!(kinds(&changes), [silent, silent]);
        assert_eq!(engine.active().count(), 0);
    }

    #[test]
    fn alerts_that_only_the_journal_knows_are_moved_back_too() {
        let (_, mut restored) = left_behind(YEAR);
        let mut state = State::default();
        correct(&mut state, &mut restored, WALL);
        assert_eq!(state.ended_at(), Timestamp::MIN);
        for alert in restored {
            assert!(alert.sample_time <= WALL.saturating_add(CLOCK_LEAD_MAX));
        }
    }

    #[test]
    fn a_small_lead_is_slewed_and_a_clock_that_was_never_set_is_not_believed() {
        let small = CLOCK_LEAD_MAX;
        for (ahead, wall) in [(small, WALL), (YEAR, Timestamp::from_ms(60_000))] {
            let (mut state, mut restored) = left_behind(ahead);
            let before = (state.ended_at(), restored.clone());
            correct(&mut state, &mut restored, wall);
            assert_eq!((state.ended_at(), restored), before);
        }
    }
}
