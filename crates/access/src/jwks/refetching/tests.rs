//! A set of keys over a day, in virtual time.

use proptest::prelude::*;

use super::*;
use crate::jwks::read;
use crate::tests::vectors::RFC8037_EDDSA_X;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(1_800_000_000_000 + seconds * 1000)
}

fn keys(id: &str) -> KeySet {
    let x = RFC8037_EDDSA_X;
    let document =
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{id}"}}]}}"#);
    read(document.as_bytes()).unwrap().keys
}

/// A set that was fetched at second 0.
fn fetched(max_age: Option<Duration>) -> Refetching {
    let mut refetching = Refetching::default();
    refetching.begin(at(0));
    refetching.fetched(at(0), keys("a"), max_age);
    refetching
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_first_fetch_is_due_at_once_and_one_at_a_time() {
    let mut refetching = Refetching::default();
    assert!(refetching.is_due(at(0)));
    assert_eq!(refetching.standing(at(0)), Standing::Missing);
    assert!(refetching.keys(at(0)).is_none());
    refetching.begin(at(0));
    refetching.ask();
    assert!(!refetching.is_due(at(0)) && !refetching.is_due(at(100_000)));
    refetching.fetched(at(1), keys("a"), None);
    assert!(refetching.keys(at(1)).unwrap().has("a"));
}

#[test]
fn a_set_is_fetched_anew_when_it_was_said_to_be_old() {
    for (max_age, due) in [
        (None, JWKS_AGE_DEFAULT.as_secs()),
        (Some(seconds(0)), 60),
        (Some(seconds(59)), 60),
        (Some(seconds(3600)), 3600),
        (Some(seconds(86_400)), 86_400),
        (Some(seconds(u64::MAX)), 86_400),
    ] {
        let refetching = fetched(max_age);
        assert!(!refetching.is_due(at(due as i64 - 1)), "{max_age:?}");
        assert!(refetching.is_due(at(due as i64)), "{max_age:?}");
    }
}

#[test]
fn an_unknown_key_is_asked_for_every_ten_seconds_at_most() {
    let mut refetching = fetched(Some(seconds(3600)));
    let mut fetches = 0;
    for second in 1..=100 {
        refetching.ask();
        if refetching.is_due(at(second)) {
            refetching.begin(at(second));
            refetching.fetched(at(second), keys("a"), Some(seconds(3600)));
            fetches += 1;
        }
    }
    assert_eq!(fetches, 10);
    assert!(!refetching.is_due(at(200)), "nobody has asked since");
}

#[test]
fn a_fetch_that_fails_is_tried_again_less_and_less_often() {
    let mut refetching = fetched(Some(seconds(60)));
    let mut tries = Vec::new();
    for second in 60..1500 {
        if refetching.is_due(at(second)) {
            tries.push(second);
            refetching.begin(at(second));
            refetching.failed();
        }
    }
    assert_eq!(tries, [60, 70, 90, 130, 210, 370, 670, 970, 1270]);
    refetching.ask();
    assert!(refetching.is_due(at(1500)), "whoever has a token with a new key is not kept waiting");
    refetching.begin(at(1500));
    refetching.fetched(at(1500), keys("b"), None);
    assert_eq!(refetching.failures(), 0);
}

#[test]
fn stale_keys_count_for_a_day_and_no_longer() {
    let mut refetching = fetched(Some(seconds(3600)));
    let day = 86_400;
    for (second, word) in [
        (0, "fresh"),
        (3599, "fresh"),
        (3600, "stale"),
        (3600 + day - 1, "stale"),
        (3600 + day, "refused"),
        (30 * day, "refused"),
    ] {
        let standing = refetching.standing(at(second));
        assert_eq!(standing.word(), word, "{second}");
        assert_eq!(refetching.keys(at(second)).is_some(), standing.counts(), "{second}");
    }
    assert!(refetching.is_due(at(30 * day)));
    refetching.begin(at(30 * day));
    refetching.fetched(at(30 * day), keys("b"), None);
    assert!(refetching.keys(at(30 * day)).unwrap().has("b"));
}

#[test]
fn a_set_is_swapped_as_a_whole_and_a_failure_changes_nothing() {
    let mut refetching = fetched(None);
    let before = refetching.keys(at(1)).unwrap();
    refetching.begin(at(400));
    refetching.failed();
    assert!(Arc::ptr_eq(&before, &refetching.keys(at(400)).unwrap()));
    assert_eq!(refetching.failures(), 1);
    refetching.begin(at(410));
    refetching.fetched(at(410), keys("b"), None);
    let after = refetching.keys(at(410)).unwrap();
    assert!(after.has("b") && !after.has("a"));
    assert!(before.has("a"), "whoever verifies with the old set goes on with it");
}

#[test]
fn a_clock_that_is_set_back_makes_no_set_count_for_longer() {
    let mut refetching = fetched(Some(seconds(60)));
    let day = 86_400;
    assert!(refetching.keys(at(day)).is_some());
    assert!(refetching.is_due(at(-5)));
    assert!(refetching.keys(at(-5)).is_some());
    assert_eq!(refetching.standing(at(-5)).word(), "stale");
    assert!(refetching.keys(at(day + 60)).is_none());
    assert!(refetching.keys(at(-5)).is_none(), "it was too old once");
}

#[derive(Clone, Debug)]
enum Act {
    Ask,
    Turn { is_answered: bool, max_age_s: Option<u64> },
    Pass { seconds: i64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Ask),
        (any::<bool>(), prop::option::of(0..200_000_u64))
            .prop_map(|(is_answered, max_age_s)| Act::Turn { is_answered, max_age_s }),
        prop_oneof![0..30_i64, 0..10_000_i64, 0..200_000_i64]
            .prop_map(|seconds| Act::Pass { seconds }),
    ]
}

proptest! {
    /// Whatever happens: no two fetches begin within ten seconds, and keys count exactly as long as
    /// the last set is no older than its age and a day.
    #[test]
    fn fetches_are_spaced_and_keys_grow_old(acts in prop::collection::vec(act(), 1..60)) {
        let mut refetching = Refetching::default();
        let (mut second, mut last_fetch, mut refused_from) = (0, None, None);
        for act in acts {
            match act {
                Act::Ask => refetching.ask(),
                Act::Pass { seconds } => second += seconds,
                Act::Turn { is_answered, max_age_s } => if refetching.is_due(at(second)) {
                    prop_assert!(last_fetch.is_none_or(|last| second - last >= 10));
                    last_fetch = Some(second);
                    refetching.begin(at(second));
                    prop_assert!(!refetching.is_due(at(second + 1_000_000)));
                    if is_answered {
                        let max_age = max_age_s.map(Duration::from_secs);
                        refetching.fetched(at(second), keys("a"), max_age);
                        let kept = max_age_s.unwrap_or(JWKS_AGE_DEFAULT.as_secs());
                        refused_from = Some(second + kept.clamp(60, 86_400) as i64 + 86_400);
                    } else {
                        refetching.failed();
                    }
                }
            }
            let counts = refused_from.is_some_and(|end| second < end);
            prop_assert_eq!(refetching.keys(at(second)).is_some(), counts);
            prop_assert_eq!(refetching.standing(at(second)).counts(), counts);
        }
    }
}
