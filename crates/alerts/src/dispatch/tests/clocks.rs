//! What the wall clock does to notifications where it is set: nothing, but for what is shown and
//! for times of day.

use super::*;

const HOUR: i64 = 3_600_000;

#[test]
fn no_wait_and_no_repeat_goes_by_the_wall_clock() {
    for step in [-24 * HOUR, -HOUR, HOUR, 24 * HOUR] {
        let mut story = Story::new(QUICK, 1);
        story.fires("one");
        story.until(0.5);
        // While a group waits, while it is told, and between a notification and its repeat.
        story.steps(step);
        story.until(2.0);
        story.told(&["1s a0 first notification: +one"]);
        story.steps(step);
        story.fires("two");
        story.until(4.0);
        story.steps(-3 * step);
        story.until(7.5);
        story.told(&["3s a0 new alerts added: +one +two"]);
        story.until(9.5);
        story.told(&["9s a0 repeat interval elapsed: +one +two"]);
        // Who comes back goes by the clock as it is now.
        story.restarts();
        story.update("one", None, Sound::Audible);
        story.update("two", None, Sound::Audible);
        story.passes(4_000);
        story.told(&[]);
        story.passes(4_000);
        assert!(story.told.ends_with("repeat interval elapsed: +one +two\n"), "{}", story.told);
    }
}

#[test]
fn a_clock_that_is_set_while_the_process_is_down_makes_a_repeat_early_or_late() {
    for step in [-24 * HOUR, -HOUR, HOUR / 6] {
        let mut story = Story::new(QUICK, 1);
        story.fires("one");
        story.until(2.0);
        story.told(&["1s a0 first notification: +one"]);
        // It is set while the process is down: nobody has seen that.
        story.ahead_ms = step;
        story.restarts();
        story.update("one", None, Sound::Audible);
        let at = story.now.as_ms() as f64 / 1e3;
        story.passes(5_500);
        // As far as anybody knows the repeat is due, or the notification is of now; a group whose
        // alerts are from ahead waits, too.
        let expected = if step > 0 { at } else { at + 5.0 };
        story.told(&[&format!("{expected}s a0 repeat interval elapsed: +one")]);
    }
}

#[test]
fn times_of_day_are_the_wall_clocks() {
    let routes = "  routes: [{receiver: a, mute_time_intervals: [early]}]";
    let mut story = Story::new(&format!("{QUICK}\n{routes}"), 1);
    story.fires("one");
    story.until(3.5);
    story.told(&[]);
    story.steps(HOUR);
    story.until(5.5);
    story.told(&["5s a0 first notification: +one"]);
}

#[test]
fn a_new_group_waits_wherever_the_clock_has_been_set_before() {
    for step in [-24 * HOUR, -HOUR, HOUR, 24 * HOUR] {
        let mut story = Story::new(QUICK, 1);
        story.until(5.0);
        story.steps(step);
        story.fires("one");
        story.until(5.5);
        story.fires("two");
        story.until(6.5);
        story.told(&["6s a0 first notification: +one +two"]);
    }
}
