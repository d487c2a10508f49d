//! The laws of delivery, against a naive model: whatever the interleaving of publishing, trimming,
//! retention, joining, uniting, narrowing and slow reading, a subscriber sees the same events, none
//! out of order, and none missing without a gap that covers it; and of every state key the newest
//! value. All that it may see, and nothing of what it may not, whoever else there is. And whoever comes
//! back with any cursor that it has had sees the same as if it had stayed, deletions included.

mod beginning;
mod conditions;
mod costs;
mod deadlines;
mod ending;
mod lasting;
mod rates;
mod reserving;
mod resuming;
mod sights;
mod subscriber;
mod table;
mod thing;
mod world;

use proptest::prelude::*;

use world::{JoinAt, SIGHTS, Step, TEAMS, World};

fn join_at() -> impl Strategy<Value = JoinAt> {
    prop_oneof![
        Just(JoinAt::Latest),
        Just(JoinAt::Earliest),
        (0..40u64).prop_map(JoinAt::Back),
        Just(JoinAt::OtherEpoch),
        Just(JoinAt::Future),
    ]
}

/// What subscribers do, of the given things to follow.
fn following(followed: &'static [usize]) -> impl Strategy<Value = Step> {
    let followed = || prop::sample::select(followed);
    prop_oneof![
        3 => (followed(), join_at(), 0..SIGHTS)
            .prop_map(|(followed, start, sight)| Step::Join { followed, start, sight }),
        3 => (any::<usize>(), followed(), join_at()).prop_map(|(subscriber, followed, start)| {
            Step::Subscribe { subscriber, followed, start }
        }),
        4 => any::<usize>().prop_map(|subscriber| Step::Unite { subscriber }),
        2 => (any::<usize>(), followed()).prop_map(|(subscriber, followed)| {
            Step::Narrow { subscriber, followed }
        }),
        1 => (any::<usize>(), followed()).prop_map(|(subscriber, followed)| {
            Step::Lose { subscriber, followed }
        }),
        12 => (any::<usize>(), any::<usize>(), 1..9usize).prop_map(|(subscriber, place, count)| {
            Step::Take { subscriber, place, count }
        }),
        1 => any::<usize>().prop_map(|subscriber| Step::Leave { subscriber }),
        4 => any::<usize>().prop_map(|subscriber| Step::Note { subscriber }),
        4 => any::<usize>().prop_map(|note| Step::Resume { note }),
        1 => Just(Step::Compact),
    ]
}

/// What happens to streams.
fn streaming() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3usize, 0..TEAMS).prop_map(|(topic, team)| Step::Publish { topic, team }),
        1 => (0..3usize, 1..6usize).prop_map(|(topic, count)| Step::Trim { topic, count }),
    ]
}

/// What happens to state topics, and when.
fn changing(keys: u8) -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (3..5usize, 0..keys, 0..TEAMS, prop::bool::weighted(0.1))
            .prop_map(|(topic, key, team, is_tight)| Step::Put { topic, key, team, is_tight }),
        1 => (3..5usize, 0..keys).prop_map(|(topic, key)| Step::Delete { topic, key }),
        2 => Just(Step::Feed),
        1 => (0..30u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

fn run(steps: &[Step], lane_entries_max: usize) {
    let mut world = World::new(lane_entries_max);
    for step in steps {
        world.run(step);
    }
    world.judge();
}

const ALL: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// Those of state topics, of which most have a rate: lanes that are shared, made of each other, and
/// hold back what others show.
const PACED: &[usize] = &[5, 6, 9, 12, 13, 14, 15, 16];
/// Those of state topics that have no rate.
const STATES: &[usize] = &[2, 4, 5, 6, 7, 8];
/// Those whose events have labels, and so are not the same for all who follow them.
const LABELLED: &[usize] = &[2, 3, 6, 10, 15];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn every_subscriber_gets_it_all_or_a_gap(
        steps in prop::collection::vec(
            prop_oneof![9 => streaming(), 8 => changing(3), 24 => following(ALL)],
            1..150,
        ),
        // With few of them lanes have let go of most of what the ring has.
        lane_entries_max in prop::sample::select(&[0, 3, 8, 16]),
    ) {
        run(&steps, lane_entries_max);
    }

    #[test]
    fn nobody_sees_what_is_anothers(
        steps in prop::collection::vec(
            prop_oneof![2 => streaming(), 4 => changing(2), 6 => following(LABELLED)],
            1..150,
        ),
        lane_entries_max in prop::sample::select(&[3, 16]),
    ) {
        run(&steps, lane_entries_max);
    }

    #[test]
    fn rates_lose_nothing_though_subscriptions_change(
        steps in prop::collection::vec(
            prop_oneof![1 => changing(1), 1 => following(PACED)],
            1..150,
        ),
    ) {
        run(&steps, 16);
    }

    #[test]
    fn whoever_comes_back_sees_the_same_as_who_has_stayed(
        steps in prop::collection::vec(
            prop_oneof![1 => streaming(), 6 => changing(3), 6 => following(STATES)],
            1..200,
        ),
    ) {
        run(&steps, 16);
    }
}
