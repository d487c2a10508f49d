//! The laws of delivery, against a naive model: whatever the interleaving of publishing, trimming,
//! retention, joining, uniting, narrowing and slow reading, a subscriber sees the same events, none
//! out of order, and none missing without a gap that covers it; and of every state key the newest
//! value.

mod subscriber;
mod world;

use proptest::prelude::*;

use world::{FILTERS, JoinAt, Step, World};

fn join_at() -> impl Strategy<Value = JoinAt> {
    prop_oneof![
        Just(JoinAt::Latest),
        Just(JoinAt::Earliest),
        (0..40u64).prop_map(JoinAt::Back),
        Just(JoinAt::OtherEpoch),
        Just(JoinAt::Future),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let filters = || 0..FILTERS.len();
    let step = prop_oneof![
        8 => (0..3usize).prop_map(|topic| Step::Publish { topic }),
        2 => (3..5usize, 0..3u8).prop_map(|(topic, key)| Step::Put { topic, key }),
        2 => (3..5usize, 0..3u8).prop_map(|(topic, key)| Step::Delete { topic, key }),
        4 => Just(Step::Feed),
        1 => (0..3usize, 1..6usize).prop_map(|(topic, count)| Step::Trim { topic, count }),
        3 => (filters(), join_at()).prop_map(|(filters, start)| Step::Join { filters, start }),
        3 => (any::<usize>(), filters(), join_at()).prop_map(|(subscriber, filters, start)| {
            Step::Subscribe { subscriber, filters, start }
        }),
        4 => any::<usize>().prop_map(|subscriber| Step::Unite { subscriber }),
        2 => (any::<usize>(), filters()).prop_map(|(subscriber, filters)| {
            Step::Narrow { subscriber, filters }
        }),
        12 => (any::<usize>(), any::<usize>(), 1..9usize).prop_map(|(subscriber, place, count)| {
            Step::Take { subscriber, place, count }
        }),
        1 => any::<usize>().prop_map(|subscriber| Step::Leave { subscriber }),
        1 => Just(Step::Compact),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn every_subscriber_gets_it_all_or_a_gap(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.judge();
    }
}
