//! Where a subscriber begins, and what it is told of what is gone.

use bellwire_hub::{
    Begin, Entries, Gap, GapReason, Gone, HistoryPage, Hub, HubLimits, Joined, Next, Start,
    StateTable,
};
use bellwire_model::{Cursor, EffectiveFilter, Epoch, Filter, FilterSet, Life, NameHasher, Offset};

const EPOCH: Epoch = Epoch::new(7);
const TAIL: Offset = Offset::new(100);
/// What is gone, of whatever topic, when somebody begins.
const TRIMMED: Offset = Offset::new(50);

fn cursor(offset: Offset) -> Cursor {
    Cursor::new(EPOCH, offset)
}

/// What comes first for somebody whose page says that events up to `gone_to` are gone.
fn first(start: Start, (gone_to, gone): (Offset, Gone)) -> (Option<Gap>, Option<Gap>) {
    let mut hub: Hub<()> = Hub::new(cursor(TAIL), HubLimits::default(), NameHasher::new([1, 2]));
    let filters = FilterSet::from("a/**".parse::<Filter>().expect("a filter"));
    let follows = EffectiveFilter::from(filters.clone());
    let mut nothing = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
    let begin = Begin { start, tail: TAIL, trimmed: TRIMMED };
    let joined = hub.join(&follows, begin, |_| nothing.snapshot(&filters)).expect("room");
    let Joined { mut delivery, gap: told, reset } = joined;
    assert_eq!(
        reset.is_some(),
        matches!(start, Start::After(_)),
        "it says nothing of state topics"
    );
    let Next::History(after) = hub.next(&mut delivery) else { panic!("it needs a page") };
    let (lane, entries) = (delivery.lane(), Vec::new());
    let page = HistoryPage { lane, after, end: TAIL, trimmed: gone_to, gone, entries };
    hub.push_history(page, |()| 0);
    match hub.next(&mut delivery) {
        Next::Gap(gap) => (told, Some(gap)),
        Next::Entries(Entries::Page(..)) => (told, None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_tells_a_beginner_what_is_gone() {
    let expired = |from: u64, to: u64| {
        let (from, to) = (cursor(Offset::new(from)), cursor(Offset::new(to)));
        Some(Gap { from, to, reason: GapReason::Expired })
    };
    let foreign = Cursor::new(Epoch::new(6), Offset::new(9));
    let other_epoch = Some(Gap { from: foreign, to: cursor(TRIMMED), reason: GapReason::Epoch });
    let (after_zero, after_nine) =
        (Start::After(cursor(Offset::ZERO)), Start::After(cursor(Offset::new(9))));
    let cases = [
        // Who asks for what there is does not miss what is gone, be it gone since a moment ago.
        (Start::Earliest, (40, Gone::Retired), (None, None)),
        (Start::Earliest, (60, Gone::Retired), (None, None)),
        (Start::Earliest, (60, Gone::Damaged), (None, expired(0, 60))),
        (after_zero, (40, Gone::Retired), (None, expired(0, 40))),
        (after_nine, (40, Gone::Retired), (None, expired(9, 40))),
        (after_nine, (9, Gone::Retired), (None, None)),
        // It is told at once, of all that may be gone.
        (Start::After(foreign), (40, Gone::Retired), (other_epoch, None)),
        (Start::After(foreign), (60, Gone::Retired), (other_epoch, expired(0, 60))),
    ];
    for (start, (gone_to, gone), expected) in cases {
        let told = first(start, (Offset::new(gone_to), gone));
        assert_eq!(told, expected, "{start:?}: {gone:?} up to {gone_to}");
    }
}

#[test]
fn among_others_a_cursor_may_be_ahead_of_what_is_here() {
    let foreign = Cursor::new(Epoch::new(6), Offset::new(101));
    let ahead = |offset| cursor(Offset::new(offset));
    let known = Offset::new(200);
    for (from, offset, has_gap) in [
        (ahead(99), 99, false),
        (ahead(101), 101, false),
        (ahead(200), 200, false),
        // No node has given it out.
        (ahead(201), 0, true),
        (foreign, 0, true),
    ] {
        let begin = Begin { start: Start::After(from), tail: TAIL, trimmed: TRIMMED };
        let at = begin.among_others(known).begun(cursor(TAIL));
        assert_eq!((at.offset.get(), at.gap.is_some()), (offset, has_gap), "{from}");
    }
    let latest = Begin { start: Start::Latest, tail: TAIL, trimmed: TRIMMED };
    assert_eq!(latest.among_others(known), latest, "who wants what is new begins here");
}
