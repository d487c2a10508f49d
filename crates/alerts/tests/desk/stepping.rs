//! A wall clock that is set, forward or back.

use bellwire_alerts::silence::{Ending, NewSilence};

use crate::script::{Script, silence};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const STEPS: [i64; 4] = [-DAY, -HOUR, HOUR, DAY];

#[test]
fn a_silence_that_has_begun_is_in_force_until_its_end_on_the_clock() {
    for step in STEPS {
        let mut script = Script::new();
        script.fires("Hot");
        script.silences(silence("alertname=Hot", 0, 2 * HOUR)).expect("a silence");
        script.pass(600);
        script.steps(step);
        let (now, end) = (600 + step, 2 * HOUR);
        let word = if now < end { "silenced" } else { "firing" };
        assert_eq!(script.word("Hot"), word, "{step}");
        // A restart finds the same.
        script.restart();
        assert_eq!(script.word("Hot"), word, "{step}");
        script.pass(now.max(end - 1));
        assert_eq!(script.word("Hot"), word, "{step}");
        script.pass(now.max(end));
        assert_eq!(script.word("Hot"), "firing", "{step}");
    }
}

#[test]
fn a_silence_that_has_ended_does_not_come_back_and_one_that_is_to_begin_still_does() {
    for step in [-DAY, -HOUR] {
        let mut script = Script::new();
        script.fires("Hot");
        script.silences(silence("alertname=Hot", 0, 60)).expect("a silence");
        script.silences(silence("alertname=Hot", 2 * HOUR, 3 * HOUR)).expect("a silence");
        script.pass(120);
        script.steps(step);
        assert_eq!(script.word("Hot"), "firing");
        script.restart();
        for (at, word) in [(30, "firing"), (2 * HOUR - 1, "firing"), (2 * HOUR, "silenced")] {
            script.pass(at);
            assert_eq!(script.word("Hot"), word, "{step} {at}");
        }
        script.pass(3 * HOUR);
        assert_eq!(script.word("Hot"), "firing");
    }
}

#[test]
fn who_posts_without_an_end_has_as_long_as_before_and_an_end_that_was_said_is_the_clocks() {
    for step in STEPS {
        let mut script = Script::new();
        assert_eq!(script.posts("Timeout", None, None), 0);
        assert_eq!(script.posts("Said", Some(0), Some(600)), 0);
        script.pass(100);
        script.steps(step);
        let now = 100 + step;
        // What has resolved is forgotten after a quarter of an hour.
        let said = if now < 600 { "firing" } else { "none" };
        assert_eq!((script.word("Timeout"), script.word("Said")), ("firing", said), "{step}");
        script.restart();
        script.pass(now + 199);
        assert_eq!(script.word("Timeout"), "firing", "{step}");
        script.pass(now + 200);
        assert_eq!(script.word("Timeout"), "resolved", "{step}");
        script.pass(now.max(600));
        assert_eq!(script.word("Said"), if now < 600 { "resolved" } else { said }, "{step}");
        assert_eq!(script.announced.len(), 4, "each fires and resolves once");
    }
}

#[test]
fn a_silence_that_has_begun_is_in_force_for_an_alert_that_comes_before_the_step_is_noticed() {
    let mut script = Script::new();
    script.pass(2 * HOUR);
    let ending = Ending::Resolution { has_matched: false };
    let new = NewSilence { ending, ..silence("alertname=~Hot|Cold", 2 * HOUR, 4 * HOUR) };
    script.silences(new).expect("a silence");
    script.pass(2 * HOUR + 600);
    script.is_set(-HOUR);
    script.fires("Hot");
    script.fires("Cold");
    assert_eq!((script.word("Hot"), script.word("Cold")), ("silenced", "silenced"));
    script.notices(-HOUR);
    script.restart();
    assert_eq!((script.word("Hot"), script.word("Cold")), ("silenced", "silenced"));
}

#[test]
fn who_is_found_at_a_start_behind_the_time_of_a_post_waits_as_long_as_from_then() {
    let mut script = Script::new();
    script.pass(DAY);
    script.posts("Timeout", None, None);
    script.pass(DAY + 100);
    // It begins with a clock that is wrong, which is then set right.
    script.wake_at(HOUR);
    script.pass(HOUR + 50);
    script.steps(DAY);
    let now = DAY + HOUR + 50;
    script.pass(now + 249);
    assert_eq!(script.word("Timeout"), "firing");
    script.pass(now + 250);
    assert_eq!(script.word("Timeout"), "resolved");
}
