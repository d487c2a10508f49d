//! The pump of long polls: moves what one is missing from its hub to its collector.

use bellwire_hub::{Delivery, Next};
use bellwire_model::Offset;
use bellwire_model::limits::LOOKS_PER_VISIT_MAX;

use super::collector::Collector;
use super::pump::{Pumped, Tools};
use crate::ends;

/// How far a poll came.
enum Came {
    /// It has all there is.
    Complete,
    /// The answer is full.
    Full,
    /// It had its share.
    Share,
    /// It needs a page of history from here.
    History(Offset),
}

/// Moves what a poll is missing to its collector, and answers when that is something.
pub(super) fn pump(
    collector: &mut Collector,
    delivery: &mut Delivery,
    tools: &mut Tools<'_>,
) -> Pumped {
    let mut pumped = Pumped { has_ended: collector.is_given_up(), ..Pumped::default() };
    if pumped.has_ended {
        return pumped;
    }
    match collect(collector, delivery, tools) {
        Came::Share => pumped.has_more = true,
        Came::History(after) => pumped.history = Some((delivery.lane(), after)),
        Came::Complete if collector.is_empty() && tools.account.now < collector.due => {}
        came @ (Came::Complete | Came::Full) => {
            let more = matches!(came, Came::Full);
            collector.answer((collector.marks.cursor(tools.hub, delivery), more));
            pumped.has_ended = true;
        }
    }
    pumped
}

/// What a poll may take though others have had all there is for one turn: small ones are answered.
const COLLECTED_AT_LEAST: usize = 64;

fn collect(collector: &mut Collector, delivery: &mut Delivery, tools: &mut Tools<'_>) -> Came {
    let granted = tools.looks_left.clamp(COLLECTED_AT_LEAST, LOOKS_PER_VISIT_MAX);
    let mut share = granted;
    let came = collect_within(&mut share, (collector, delivery), tools);
    tools.account.work.looks += (granted - share) as u64;
    came
}

fn collect_within(
    share: &mut usize,
    (collector, delivery): (&mut Collector, &mut Delivery),
    tools: &mut Tools<'_>,
) -> Came {
    let hub = &mut *tools.hub;
    let looks_before = hub.looks();
    loop {
        if collector.is_full() {
            return Came::Full;
        }
        if *share == 0 || hub.looks() - looks_before >= LOOKS_PER_VISIT_MAX as u64 {
            return Came::Share;
        }
        match hub.next(delivery) {
            Next::Nothing => return Came::Complete,
            Next::Later => return Came::Share,
            Next::History(after) => return Came::History(after),
            Next::Ready(_) => delivery.took_ready(),
            // A gap stands before the events of an answer: this one is for the next.
            Next::Gap(_) if !collector.takes_gap() => return Came::Full,
            Next::Gap(gap) => {
                delivery.took_gap(&gap);
                let filters = hub.filters(delivery.lane());
                collector.tell_ends(ends::missed(tools.journal, filters, &gap));
                collector.tell_gap(gap, filters);
            }
            Next::Values(values) => collector.take_values(values, delivery, share),
            Next::Entries(entries) => collector.take_entries(entries, delivery, share),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwire_hub::{Begin, Hub, HubLimits, Start, StateLimits, StateTable};
    use bellwire_journal::{MemoryJournal, Observer};
    use bellwire_model::limits::LOOKS_PER_TURN_MAX;
    use bellwire_model::{
        Body, Cursor, EffectiveFilter, Epoch, Event, Filter, FilterSet, Life, NameHasher, Timestamp,
    };

    use super::super::inbox::poll_and_handle;
    use super::super::outlet::Account;
    use super::super::past::PastSource;
    use super::super::segments::Segments;
    use super::super::work::Work;
    use super::*;
    use crate::frames::Frames;
    use crate::state::new_table;
    use crate::topics::TopicRules;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<bellwire_model::Entry>) {}
    }

    const KEYS: usize = 3 * LOOKS_PER_TURN_MAX;

    fn table() -> StateTable<Frames> {
        let room = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
        let mut table = StateTable::new(Life::new(5), NameHasher::new([1, 2]));
        for key in 0..KEYS {
            let event = Event {
                topic: "board/1".parse().expect("a topic"),
                key: Some(key.to_string().into()),
                event_type: None,
                time: Timestamp::from_ms(1),
                body: Some(Body::Json(bytes::Bytes::from_static(b"{}"))),
            };
            let (topic, size_bytes) = (event.topic.clone(), event.size_bytes());
            let payload = (Frames::new(Epoch::new(7), None, event), size_bytes);
            table.put((&topic, &key.to_string()), payload, room).expect("room");
        }
        table
    }

    /// A poll may follow very many values: each turn of a shard takes some of them, as pointers,
    /// and encodes none.
    #[test]
    fn a_turn_takes_a_bounded_number_of_pointers_for_all_polls_and_encodes_nothing() {
        let mut table = table();
        let tail = Cursor::new(Epoch::new(7), Offset::ZERO);
        let mut hub = Hub::new(tail, HubLimits::default(), NameHasher::new([1, 2]));
        let filters = FilterSet::from("board/**".parse::<Filter>().expect("a filter"));
        let mut changes: Vec<_> = table.values().collect();
        changes.sort_unstable_by_key(|value| value.version);
        hub.push_values(&changes, 0, &mut Vec::new());
        let begin = Begin { start: Start::Latest, tail: Offset::ZERO, trimmed: Offset::ZERO };
        let follows = EffectiveFilter::from(filters.clone());
        let mut polls: Vec<_> = (0..40)
            .map(|_| {
                let joined = hub.join(&follows, begin, |_| table.snapshot(&filters));
                let delivery = joined.expect("room").delivery;
                (Collector::new(Duration::ZERO), delivery)
            })
            .collect();

        let shared = new_table(Life::new(5), NameHasher::new([1, 2]));
        let (_poll, inbox) = poll_and_handle(mio::Token(0)).expect("a poll");
        let journal = MemoryJournal::new(tail.epoch, Vec::new(), Box::new(Nobody));
        let topics = TopicRules::new(Vec::new(), Duration::from_hours(1));
        let mut segments = Segments::default();
        let mut turns = 0;
        while !polls.is_empty() {
            turns += 1;
            assert!(turns < 10_000, "everybody gets on");
            let mut work = Work::default();
            polls.retain_mut(|((collector, asked), delivery)| {
                let looks_left = LOOKS_PER_TURN_MAX.saturating_sub(work.looks as usize);
                let account = Account { now: 0, work: &mut work, segments: &mut segments };
                let heartbeat_interval = Duration::MAX;
                let past = PastSource {
                    table: &shared,
                    inbox: &inbox,
                    epoch: tail.epoch,
                    now_ms: 0,
                    serial: &mut 0,
                    touched: Vec::new(),
                };
                let mut tools = Tools {
                    hub: &mut hub,
                    journal: &journal,
                    topics: &topics,
                    heartbeat_interval,
                    looks_left,
                    past,
                    main_past: None,
                    account,
                };
                if !pump(collector, delivery, &mut tools).has_ended {
                    return true;
                }
                let collected = asked.answer.try_recv().expect("an answer").expect("no problem");
                let values = &collected.parts.values;
                assert_eq!(values.len(), KEYS);
                assert!(!values.iter().any(|value| value.payload.is_encoded()));
                false
            });
            let bound = LOOKS_PER_TURN_MAX + 40 * COLLECTED_AT_LEAST;
            assert!(work.looks <= bound as u64, "{}", work.looks);
        }
        assert!(turns > KEYS / LOOKS_PER_VISIT_MAX, "{turns}");
    }
}
