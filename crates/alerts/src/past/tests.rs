//! The index against a plain list of the same events.

use proptest::prelude::*;

use super::*;

fn alert(number: u64) -> Fingerprint {
    Fingerprint::from_u64(number)
}

/// The plain list that the index has to agree with.
#[derive(Debug, Default)]
struct Plain(Vec<(Fingerprint, Place)>);

impl Plain {
    fn before(&self, alert: Fingerprint, end: Offset) -> Vec<Place> {
        let of_it = |(of, place): &&(Fingerprint, Place)| *of == alert && place.offset < end;
        self.0.iter().filter(of_it).map(|(_, place)| *place).rev().collect()
    }

    fn at(&self, time: Timestamp) -> Vec<Then> {
        let mut alerts: Vec<Fingerprint> = self.0.iter().map(|(alert, _)| *alert).collect();
        alerts.sort_unstable();
        alerts.dedup();
        let then = |alert| {
            let places = self.0.iter().filter(|(of, _)| *of == alert).map(|(_, place)| *place);
            let before = places.clone().rfind(|place| place.time <= time);
            let after = places.clone().next().filter(|_| before.is_none());
            let is_told = match (before, after) {
                (Some(place), _) => place.what != Happened::Resolved,
                (None, Some(place)) => place.what != Happened::Fired,
                (None, None) => false,
            };
            is_told.then_some(Then { alert, before, after })
        };
        alerts.into_iter().filter_map(then).collect()
    }
}

fn what() -> impl Strategy<Value = Happened> {
    prop_oneof![
        Just(Happened::Fired),
        Just(Happened::FiresOn),
        Just(Happened::LostData),
        Just(Happened::Resolved),
        Just(Happened::Acknowledged),
    ]
}

proptest! {
    #[test]
    fn it_says_what_a_plain_list_does(
        events in proptest::collection::vec((0_u64..6, 0_u64..3, 0_i64..40, what()), 0..80),
        entries_max in 1_usize..90,
        removed in 0_u64..60,
    ) {
        let mut past = Past::with_entries_max(entries_max);
        let (mut plain, mut offset) = (Plain::default(), 0);
        for (number, step, time, what) in events {
            // Several alerts may be told of by one event.
            offset += step;
            let place = Place { offset: Offset::new(offset), time: Timestamp::from_ms(time), what };
            past.note(alert(number), place);
            plain.0.push((alert(number), place));
        }
        let too_many = plain.0.len().saturating_sub(entries_max);
        let crowded_out = plain.0[..too_many].last().map(|(_, place)| place.offset);
        prop_assert_eq!(past.crowded_out(), crowded_out);
        plain.0.drain(..too_many);
        past.forget_before(Offset::new(removed));
        plain.0.retain(|(_, place)| place.offset.get() >= removed);
        prop_assert_eq!(past.len(), plain.0.len());
        for number in 0..6 {
            prop_assert_eq!(past.has(alert(number)), plain.0.iter().any(|(of, _)| *of == alert(number)));
            for end in (0..=offset + 1).chain([u64::MAX]).map(Offset::new) {
                let found: Vec<Place> = past.before(alert(number), end).collect();
                prop_assert_eq!(found, plain.before(alert(number), end));
            }
            let of_it: Vec<Place> = plain.before(alert(number), Offset::MAX);
            // An event tells once of an alert where it tells what is to be looked for.
            let is_alone = |offset| of_it.iter().filter(|it| it.offset == offset).count() == 1;
            for pair in of_it.windows(2).filter(|pair| is_alone(pair[1].offset)) {
                let next = past.next_behind(alert(number), pair[1].offset);
                prop_assert_eq!(next.map(|place| place.offset), Some(pair[0].offset));
            }
        }
        for time in (-1..41).map(Timestamp::from_ms) {
            prop_assert_eq!(past.at(time), plain.at(time));
        }
        for behind in (0..=offset).map(Offset::new) {
            let first = plain.0.iter().map(|(_, place)| *place).find(|place| place.offset > behind);
            prop_assert_eq!(past.first_behind(behind), first);
        }
    }
}

#[test]
fn a_page_from_the_middle_is_found_in_few_steps() {
    // One alert with half of all events among very many with one each, and one with few.
    const EVENTS: u64 = 200_000;
    let mut past = Past::with_entries_max(usize::MAX);
    for number in 0..EVENTS {
        let of = if number % 2 == 0 { alert(0) } else { alert(number) };
        let (offset, time) = (Offset::new(number + 1), Timestamp::from_ms(0));
        past.note(of, Place { offset, time, what: Happened::Fired });
    }
    let end = Offset::new(EVENTS / 2);
    assert_eq!(past.before(alert(0), end).count() as u64, EVENTS / 4);
    assert_eq!(past.before(alert(99), end).count(), 1);
    assert_eq!(past.before(alert(EVENTS - 1), end).count(), 0);
}
