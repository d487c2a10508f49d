//! How the rules' time goes on: with what arrives, then with the clock, and over pauses.
//!
//! A batch is applied at the time at which it arrived, however long it has waited, and the clock
//! counts only when nothing waits. Where samples may have been missed for longer than a restart may
//! take, the rules go on as after a restart: the process was stopped, the machine slept, the clock
//! was set forward, or those who sent were refused.

use std::time::Duration;

use bellwire_model::limits::RESTART_GAP;
use bellwire_model::{Sample, Timestamp};
use bellwire_rules::{Change, Engine, RuleSet};

/// The way of an engine through time.
#[derive(Debug)]
pub(super) struct Course {
    /// The time that the rules have come to.
    reached: Timestamp,
    /// When the evaluator was awake last.
    awake_at: Timestamp,
    /// The end of a pause that the rules have not come to yet.
    pause_ends: Option<Timestamp>,
}

impl Course {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { reached: now, awake_at: now, pause_ends: None }
    }

    /// The evaluator is awake; whoever waits for something says so at least once a second.
    pub(super) fn awake(&mut self, now: Timestamp) {
        let pause = now.saturating_since(self.awake_at);
        if pause > RESTART_GAP {
            tracing::warn!(
                pause_s = pause.as_secs(),
                "The process was stopped, or the clock was set forward. Rules go on as after a restart."
            );
            self.pause_ends = Some(now);
        }
        self.awake_at = self.awake_at.max(now);
    }

    /// Applies samples at the time at which they arrived, `ahead` of what sensors hold for now.
    pub(super) fn apply(
        &mut self,
        engine: &mut Engine,
        (arrived, ahead): (Timestamp, Duration),
        samples: &mut [Sample],
    ) -> Vec<Change> {
        if !ahead.is_zero() {
            for sample in &mut *samples {
                sample.time = sample.time.saturating_add(ahead);
            }
        }
        let mut changes = self.reach(engine, arrived);
        changes.extend(engine.apply(arrived, samples));
        changes
    }

    /// Nothing waits that arrived before this time.
    pub(super) fn advance(&mut self, engine: &mut Engine, now: Timestamp) -> Vec<Change> {
        let mut changes = self.reach(engine, now);
        changes.extend(engine.advance(now));
        changes
    }

    /// Goes on with other rules, which came at this time.
    pub(super) fn replace(
        &mut self,
        engine: &mut Engine,
        arrived: Timestamp,
        rules: RuleSet,
    ) -> Vec<Change> {
        let mut changes = self.reach(engine, arrived);
        changes.extend(engine.replace(arrived, rules));
        changes
    }

    /// Those who sent samples were refused until now. Where the rules have to catch up with more
    /// than a restart may take, nothing is known of what those had to say.
    pub(super) fn refused(&mut self, now: Timestamp) {
        if now.saturating_since(self.reached) > RESTART_GAP {
            tracing::warn!("Samples were refused for long. Rules go on as after a restart.");
            self.pause_ends = Some(now);
        }
    }

    fn reach(&mut self, engine: &mut Engine, time: Timestamp) -> Vec<Change> {
        self.reached = self.reached.max(time);
        let ended = self.pause_ends.take_if(|ends| *ends <= time);
        ended.map(|ends| engine.pass_over(ends)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::{Labels, METRIC_NAME};
    use bellwire_rules::{RuleFile, load};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds * 1_000)
    }

    fn sample(value: f64, seconds: i64) -> Sample {
        let series = Labels::from_pairs([(METRIC_NAME, "t")]).expect("labels");
        Sample { series, value, time: at(seconds) }
    }

    fn rules(rules: &str) -> RuleSet {
        let text = format!("groups:\n- name: g\n  rules:\n{rules}");
        load(&[RuleFile { name: "f", text: &text }]).expect("rules")
    }

    const HOT: &str = "  - {alert: Hot, expr: t > 90, for: 10s}\n  \
                       - {alert: Silent, expr: absent(t)}\n";

    /// An evaluator in virtual time; what it says are seconds and kinds.
    struct Virtual {
        engine: Engine,
        course: Course,
        told: Vec<(i64, &'static str)>,
    }

    impl Virtual {
        fn new() -> Self {
            let mut engine = Engine::new(rules(HOT));
            engine.apply(at(0), &[sample(1.0, 0)]);
            Self { engine, course: Course::new(at(0)), told: Vec::new() }
        }

        fn apply(&mut self, arrived: i64, value: f64) {
            self.ahead(arrived, value, 0);
        }

        /// A sample of now, of a sensor whose clock is so far behind the rules' time.
        fn ahead(&mut self, arrived: i64, value: f64, ahead_s: i64) {
            let ahead = Duration::from_secs(ahead_s as u64);
            let mut samples = [sample(value, arrived - ahead_s)];
            let arrived = (at(arrived), ahead);
            let changes = self.course.apply(&mut self.engine, arrived, &mut samples);
            self.tell(&changes);
        }

        fn advance(&mut self, now: i64) {
            self.course.awake(at(now));
            let changes = self.course.advance(&mut self.engine, at(now));
            self.tell(&changes);
        }

        fn tell(&mut self, changes: &[Change]) {
            self.told.extend(changes.iter().filter_map(|change| match change {
                Change::Transition(told) => {
                    Some((told.time.as_ms() / 1_000, told.kind.event_type()))
                }
                _ => None,
            }));
        }
    }

    #[test]
    fn what_waited_counts_as_of_when_it_arrived() {
        let mut evaluator = Virtual::new();
        evaluator.apply(1, 95.0);
        // An append takes until 12 s; what clears the condition came before `for` had passed.
        evaluator.course.awake(at(12));
        evaluator.apply(9, 20.0);
        evaluator.apply(11, 95.0);
        evaluator.advance(12);
        let expected = [(1, "alert.pending"), (9, "alert.inactive"), (11, "alert.pending")];
        assert_eq!(evaluator.told, expected);
    }

    #[test]
    fn what_arrived_while_the_disk_was_full_is_not_late_and_nothing_was_silent() {
        let mut evaluator = Virtual::new();
        evaluator.apply(1, 95.0);
        evaluator.advance(12);
        for second in 13..400 {
            // It waits for the disk, and is awake.
            evaluator.course.awake(at(second));
        }
        for second in (20..400).step_by(20) {
            evaluator.apply(second, 95.0);
        }
        evaluator.advance(400);
        assert_eq!(evaluator.told, [(1, "alert.pending"), (11, "alert.firing")]);
        assert_eq!(evaluator.engine.figures().dropped.late, 0);
    }

    #[test]
    fn those_who_were_refused_may_have_had_something_to_say() {
        let mut evaluator = Virtual::new();
        evaluator.apply(1, 95.0);
        evaluator.advance(12);
        (13..500).for_each(|second| evaluator.course.awake(at(second)));
        evaluator.apply(30, 95.0);
        evaluator.course.refused(at(500));
        evaluator.advance(500);
        evaluator.apply(501, 96.0);
        let fires = [(1, "alert.pending"), (11, "alert.firing")];
        assert_eq!(evaluator.told[..2], fires);
        let of_hot = evaluator.told.iter().filter(|(at, _)| *at > 12);
        // `absent` has begun and ended, as after a restart; what fires goes on.
        assert_eq!(
            of_hot.copied().collect::<Vec<_>>(),
            [(500, "alert.firing"), (501, "alert.resolved")]
        );
    }

    #[test]
    fn a_process_that_was_stopped_goes_on_as_after_a_restart() {
        let mut evaluator = Virtual::new();
        evaluator.apply(1, 95.0);
        evaluator.advance(12);
        evaluator.course.awake(at(130));
        evaluator.apply(130, 96.0);
        evaluator.advance(131);
        assert_eq!(evaluator.told, [(1, "alert.pending"), (11, "alert.firing")]);
        evaluator.course.awake(at(3_600));
        evaluator.advance(3_600);
        evaluator.advance(3_601);
        evaluator.apply(3_602, 97.0);
        assert_eq!(
            evaluator.told[2..],
            [(3_600, "alert.firing"), (3_602, "alert.resolved")],
            "only what says that there is nothing"
        );
    }

    #[test]
    fn samples_of_now_are_of_now_though_the_clock_has_stepped_back() {
        let mut evaluator = Virtual::new();
        evaluator.advance(1);
        for second in 2..30 {
            evaluator.ahead(second, 95.0, 3_600);
        }
        assert_eq!(evaluator.told, [(2, "alert.pending"), (12, "alert.firing")]);
        assert_eq!(evaluator.engine.figures().dropped.late, 0);
        assert_eq!(evaluator.engine.figures().samples_ahead, 0);
    }
}
