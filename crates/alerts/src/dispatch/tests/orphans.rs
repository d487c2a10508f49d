//! What a webhook is owed at a start, and nobody tells it any more.

use super::*;

/// A webhook of `a` that is being told of `one` and `two` when the process is killed.
fn killed() -> Story {
    let mut story = Story::new(QUICK, 1);
    story.fires("one");
    story.fires("two");
    story.falls_silent(0);
    story.until(1.5);
    story.told(&["1s a0 hears: +one +two"]);
    story
}

#[test]
fn alerts_that_do_not_come_back_are_told_of_once() {
    let mut story = killed();
    story.restarts();
    story.update("one", None, Sound::Audible);
    let reason = "the alerts are not there any more, or go elsewhere";
    assert_eq!(story.settles(), [format!("a0 1 {reason}")]);
    story.revives(0);
    story.restarts();
    story.update("one", None, Sound::Audible);
    assert_eq!(story.settles(), Vec::<String>::new(), "a dead letter stands for it");
    story.until(4.0);
    assert!(story.told.contains("first notification: +one"), "{}", story.told);
}

#[test]
fn a_group_that_does_not_come_back_is_told_of() {
    let mut story = killed();
    story.restarts();
    let reason = "none of the group's alerts is there any more, or they go elsewhere";
    assert_eq!(story.settles(), [format!("a0 2 {reason}")]);
    assert_eq!(story.stored.len(), 0);
}

#[test]
fn what_was_owed_to_a_receiver_or_webhook_that_is_gone_is_told_of() {
    let other = |text: &str| Arc::new(Config::parse(text).expect("a configuration"));
    let gone = other("route: {receiver: c}\nreceivers: [{name: c}]\n");
    let fewer = other("route: {receiver: a}\nreceivers: [{name: a}]\n");
    let regrouped = other(
        "route: {receiver: a, group_by: [alertname]}\nreceivers: [{name: a, webhook_configs: \
         [{url: 'http://localhost'}]}]\n",
    );
    for (config, reason) in [
        (gone, "the configuration has no such receiver any more"),
        (fewer, "the receiver has fewer webhooks than before"),
        (regrouped, "none of the group's alerts is there any more, or they go elsewhere"),
    ] {
        let mut story = killed();
        story.restarts_with(Arc::clone(&config));
        story.update("one", None, Sound::Audible);
        story.update("two", None, Sound::Audible);
        assert_eq!(story.settles(), [format!("a0 2 {reason}")]);
        // The same without a restart.
        let mut story = killed();
        assert_eq!(story.reloads(config), [format!("a0 2 {reason}")]);
    }
}

#[test]
fn what_waited_for_a_look_is_told_of_where_its_receiver_is_gone() {
    let other = |text: &str| Arc::new(Config::parse(text).expect("a configuration"));
    let gone = other("route: {receiver: c}\nreceivers: [{name: c}]\n");
    let regrouped = other(
        "route: {receiver: a, group_by: [alertname]}\nreceivers: [{name: a, webhook_configs: \
         [{url: 'http://localhost'}]}]\n",
    );
    let story = || {
        let mut story = Story::new(QUICK, 1);
        story.fires("known");
        story.fires("ended");
        story.until(1.5);
        // One that it has not heard to fire, and one that it has not heard to end.
        story.fires("new");
        story.resolves("ended");
        story.update("quiet", None, Sound::Muted);
        story
    };
    let reason = "the configuration has no such receiver any more";
    assert_eq!(story().reloads(Arc::clone(&gone)), [format!("a0 2 {reason}")]);
    // In a group of its own the new one is told, and the end is not.
    let reason = "none of the group's alerts is there any more, or they go elsewhere";
    assert_eq!(story().reloads(regrouped), [format!("a0 1 {reason}")]);
    let same = Arc::clone(&story().config);
    assert_eq!(story().reloads(same), Vec::<String>::new());
    // Together with what was on its way, once.
    let mut story = killed();
    story.fires("three");
    let reason = "the configuration has no such receiver any more";
    assert_eq!(story.reloads(Arc::clone(&gone)), [format!("a0 3 {reason}")]);
    assert_eq!(story.reloads(gone), Vec::<String>::new());
}

#[test]
fn nothing_is_owed_to_who_has_taken_all() {
    let mut story = Story::new(QUICK, 2);
    story.fires("one");
    story.until(1.5);
    story.restarts();
    assert_eq!(story.settles(), Vec::<String>::new());
}
