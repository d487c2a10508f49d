//! Who shares a lane, and who does not.

use bellwire_hub::{Arrival, Begin, Delivery, Hub, HubLimits, Start, StateLimits, StateTable};
use bellwire_model::{
    Cursor, EffectiveFilter, Epoch, Filter, FilterSet, Labels, Life, NameHasher, Offset, Scope,
    Sight,
};

use crate::thing::Thing;

fn hub() -> Hub<Thing> {
    let tail = Cursor::new(Epoch::new(7), Offset::ZERO);
    Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]))
}

fn set(filters: &[&str]) -> FilterSet {
    FilterSet::new(filters.iter().map(|it| it.parse().expect("a filter"))).expect("a set")
}

fn join(hub: &mut Hub<Thing>, follows: &EffectiveFilter) -> Delivery {
    let begin = Begin { start: Start::Latest, tail: Offset::ZERO, trimmed: Offset::ZERO };
    let mut nothing = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
    hub.join(follows, begin, |_| nothing.snapshot(follows.filters())).expect("room").delivery
}

/// What somebody of a team, who has topics of their own besides, follows of what they ask for.
fn follow(asked: &str, (person, team): (usize, &str)) -> EffectiveFilter {
    let own = format!("devices/{person}/**");
    let scope = Scope::of(vec![format!("team={team}").parse().expect("matchers")]);
    let sight = Sight { alerts: scope.clone(), series: scope };
    let asked = EffectiveFilter::from(FilterSet::from(asked.parse::<Filter>().expect("a filter")));
    asked.within(&set(&[&own, "news/**", "alerts/**"]), &sight).expect("few filters")
}

#[test]
fn rights_that_come_to_the_same_share_a_lane() {
    let mut hub = hub();
    for (asked, lanes) in [("news/today", 1), ("alerts/active", 2), ("devices/*/x", 100)] {
        let before = hub.lanes();
        for person in 0..100 {
            let team = if person % 2 == 0 { "a" } else { "b" };
            join(&mut hub, &follow(asked, (person, team)));
        }
        assert_eq!(hub.lanes() - before, lanes, "{asked}");
    }
}

#[test]
#[should_panic(expected = "nobody sees more or less by following less")]
fn nobody_sees_more_by_following_less() {
    let mut hub = hub();
    let mut delivery = join(&mut hub, &follow("alerts/**", (1, "a")));
    hub.narrow(&mut delivery, &follow("alerts/active", (1, "b")));
}

#[test]
fn what_a_screen_remembers_counts_as_the_lanes_and_goes() {
    let (mut hub, mut table) = (hub(), StateTable::new(Life::new(5), NameHasher::new([1, 2])));
    let topic = "alerts/active".parse().expect("a topic");
    let room = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
    let team = |name| Labels::from_pairs([("team", name)]).ok();
    let delivery = join(&mut hub, &follow("alerts/active", (1, "a")));
    let empty_bytes = hub.size().lane_bytes;
    for (name, keys) in [("a", 0..100), ("b", 100..10_000)] {
        let put = |key: usize| {
            let thing = Thing { number: 1, labels: team(name) };
            table.put((&topic, &key.to_string()), (thing, 8), room).expect("room")
        };
        let values: Vec<_> = keys.map(put).collect();
        hub.push_values(&values, 0, &mut Vec::new());
    }
    let bytes_each = (hub.size().lane_bytes - empty_bytes) / 100;
    assert!((48..128).contains(&bytes_each), "{bytes_each} bytes for each that is seen, no other");
    let delete = |key: usize| table.delete((&topic, &key.to_string()), (Thing::from(0), 0));
    let gone: Vec<_> = (0..10_000).filter_map(delete).collect();
    hub.push_values(&gone, 0, &mut Vec::new());
    assert_eq!(hub.compact(delivery.lane(), Arrival::MAX), 0);
    assert_eq!(hub.size().lane_bytes, empty_bytes, "nothing is left");
}
