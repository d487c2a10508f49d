//! What holds however alerts, webhooks and the process come and go.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{QUICK, Story};
use crate::notification::Notification;

const ALERTS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Fires(usize),
    Resolves(usize),
    Passes(u32),
    Dies(usize),
    FallsSilent(usize),
    Revives(usize),
    Restarts,
    /// The wall clock is set, by so many milliseconds.
    Steps(i64),
}

const DAY: i64 = 86_400_000;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..ALERTS.len()).prop_map(Step::Fires),
        4 => (0..ALERTS.len()).prop_map(Step::Resolves),
        6 => (1..4_000_u32).prop_map(Step::Passes),
        1 => (0..2_usize).prop_map(Step::Dies),
        1 => (0..2_usize).prop_map(Step::FallsSilent),
        2 => (0..2_usize).prop_map(Step::Revives),
        1 => Just(Step::Restarts),
        1 => prop::sample::select(&[-DAY, -3_600_000, 3_600_000, DAY][..]).prop_map(Step::Steps),
    ]
}

/// What a webhook has been told last.
#[derive(Debug, Default, PartialEq)]
struct Told {
    firing: BTreeSet<String>,
    resolved: BTreeSet<String>,
    at_ms: i64,
}

impl Told {
    fn of(notification: &Notification) -> Self {
        let mut told = Self { at_ms: notification.time.as_ms(), ..Self::default() };
        for update in &notification.alerts {
            let name = update.alert.name().to_owned();
            let side = if update.is_resolved() { &mut told.resolved } else { &mut told.firing };
            side.insert(name);
        }
        told
    }

    /// Whether the webhook learns something from the next one, or is reminded in time.
    fn is_followed_by(&self, next: &Self) -> bool {
        self.firing != next.firing
            || !next.resolved.is_subset(&self.resolved)
            || next.at_ms >= self.at_ms + 5_000
    }
}

proptest! {
    #[test]
    fn in_the_end_every_webhook_knows_what_fires_and_none_was_told_the_same_twice(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut story = Story::new(QUICK, 2);
        let mut firing = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for step in steps {
            match step {
                Step::Fires(index) => {
                    if firing.insert(ALERTS[index].to_owned()) {
                        story.fires(ALERTS[index]);
                        seen.insert(ALERTS[index]);
                    }
                }
                Step::Resolves(index) => {
                    if firing.remove(ALERTS[index]) {
                        story.resolves(ALERTS[index]);
                    }
                }
                Step::Passes(ms) => story.passes(ms),
                Step::Dies(webhook) => story.dies(webhook),
                Step::FallsSilent(webhook) => story.falls_silent(webhook),
                Step::Revives(webhook) => story.revives(webhook),
                Step::Steps(ms) => story.steps(ms),
                Step::Restarts => {
                    story.restarts();
                    for name in &seen {
                        if firing.contains(*name) { story.fires(name) } else { story.resolves(name) }
                    }
                    // Whoever is owed something is told it, since all alerts are there.
                    prop_assert_eq!(story.settles(), Vec::<String>::new());
                }
            }
        }
        story.revives(0);
        story.revives(1);
        story.passes(10_000);
        for webhook in 0..2 {
            let told = story.delivered.iter().enumerate();
            let told: Vec<(usize, Told)> = told
                .filter(|(_, notification)| notification.address.webhook == webhook)
                .map(|(at, notification)| (at, Told::of(notification)))
                .collect();
            for pair in told.windows(2) {
                let [(first, told), (second, next)] = pair else { unreachable!("two") };
                // What may have been told in between counts, too.
                let between = *first + 1..=*second;
                let is_sure = !story.heard.contains(first)
                    && !story.lost.iter().any(|(of, at)| *of == webhook && between.contains(at));
                prop_assert!(!is_sure || told.is_followed_by(next), "{pair:?}");
            }
            let known = told.last().map(|(_, told)| told.firing.clone()).unwrap_or_default();
            prop_assert_eq!(&known, &firing, "webhook {}", webhook);
        }
        prop_assert!(story.owed.is_empty(), "neither told nor a dead letter: {:?}", story.owed);
        // Whatever has ended is forgotten, but for the group that still fires.
        prop_assert_eq!(story.dispatcher.group_count(), usize::from(!firing.is_empty()));
    }
}
