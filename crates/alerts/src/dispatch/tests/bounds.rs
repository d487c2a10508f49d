//! What webhooks that take nothing for days make grow: nothing beyond its bound.

use super::*;

/// Alerts fire and resolve, each after the other, while the webhook fails each time.
fn churn(story: &mut Story, arrival: Arrival, rounds: std::ops::Range<usize>) -> (usize, usize) {
    let address = address_of_all(0);
    let (mut bytes, mut stored) = (0, 0);
    for round in rounds {
        story.fires(&format!("n{round}"));
        story.passes(2_000);
        story.resolves(&format!("n{round}"));
        let changes = story.dispatcher.on_given_up(&address, arrival);
        story.store(changes);
        story.passes(2_000);
        let changes = story.dispatcher.on_given_up(&address, arrival);
        story.store(changes);
        bytes = bytes.max(story.dispatcher.resolved_bytes);
        stored = stored.max(story.stored.values().map(Vec::len).sum());
    }
    (bytes, stored)
}

#[test]
fn who_finds_no_room_for_a_group_gets_one_when_there_is() {
    let mut story = Story::new(&format!("{QUICK}\n  group_by: ['...']"), 1);
    story.dispatcher.groups_max = 2;
    for name in ["one", "two", "three", "four"] {
        story.fires(name);
        // Told once more, it is still one alert without a group.
        story.update(name, None, Sound::Audible);
    }
    assert_eq!((story.dispatcher.group_count(), story.dispatcher.groups_refused()), (2, 2));
    story.until(2.0);
    story.resolves("one");
    story.resolves("four");
    story.until(8.0);
    let mut told: Vec<_> = story.told.lines().map(str::to_owned).collect();
    told.sort_unstable();
    let mut expected = ["+one", "+two", "+three", "-one", "+two"].to_vec();
    expected.sort_unstable();
    let mut names: Vec<_> = told.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    names.sort_unstable();
    assert_eq!(names, expected, "{told:?}");
    assert!(story.dispatcher.homeless.is_empty());
}

#[test]
fn what_a_refused_webhook_never_knew_of_is_not_kept_for_it() {
    let mut story = Story::new(QUICK, 1);
    story.fires("lasting");
    story.dies(0);
    let (bytes, stored) = churn(&mut story, Arrival::Impossible, 0..300);
    assert!(bytes < 4_000 && stored < 100, "{bytes} {stored}");
    story.dead.clear();
    story.told.clear();
    story.passes(4_000);
    let told = std::mem::take(&mut story.told);
    assert!(told.ends_with("first notification: +lasting\n"), "{told}");
    assert_eq!(story.forgone, Vec::<String>::new());
}

#[test]
fn what_a_silent_webhook_may_know_is_kept_within_bounds_and_then_told_of() {
    let mut story = Story::new(QUICK, 1);
    story.dispatcher.resolved_bytes_max = 20_000;
    story.fires("lasting");
    story.falls_silent(0);
    let (bytes, stored) = churn(&mut story, Arrival::Possible, 0..300);
    assert!((15_000..21_000).contains(&bytes) && stored < 1_000, "{bytes} {stored}");
    let given_up = story.forgone.iter().map(|told| {
        assert!(told.starts_with("a0 ") && told.ends_with("more wait to be told than may"));
        told.split(' ').nth(1).and_then(|count| count.parse::<usize>().ok()).expect("a number")
    });
    let given_up: usize = given_up.sum();
    // What is left is told once the webhook is back: nobody is forgotten.
    story.silent.clear();
    story.told.clear();
    story.passes(4_000);
    let told = story.told.lines().last().expect("a notification").to_owned();
    let ended = told.matches(" -n").count();
    assert!(told.contains("+lasting") && ended > 5, "{told}");
    assert_eq!(given_up + ended, 300);
    story.resolves("lasting");
    story.passes(4_000);
    assert_eq!((story.dispatcher.resolved_bytes, story.dispatcher.group_count()), (0, 0));
}

#[test]
fn a_group_that_comes_in_the_place_of_one_that_was_given_up_is_looked_at_when_its_webhook_is_free()
{
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.falls_silent(0);
    story.until(1.5);
    story.dispatcher.resolved_bytes_max = 0;
    story.resolves("one");
    story.advance();
    assert_eq!(story.dispatcher.group_count(), 0);
    story.fires("two");
    story.until(2.7);
    story.told.clear();
    story.revives(0);
    story.advance();
    story.told(&["2.7s a0 first notification: +two"]);
}
