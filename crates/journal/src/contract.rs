//! The contract as an executable suite: every engine passes it, each clause a function.
//!
//! ```no_run
//! # use bellwire_journal::{MemoryJournal, contract};
//! # let epoch = bellwire_model::Epoch::new(1);
//! contract::run_all(&mut |retention, observer| {
//!     Box::new(MemoryJournal::new(epoch, retention, observer))
//! });
//! ```

mod appending;
mod clocks;
pub(crate) mod ending;
pub(crate) mod expiring;
pub(crate) mod fences;
mod idempotency;
mod ordered;
mod reading;
pub(crate) mod records;
pub(crate) mod replicas;
mod retaining;
pub(crate) mod state;

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_model::{Body, Entry, Event, Filter, FilterSet, Offset, Timestamp};
use bytes::Bytes;

use crate::{
    Append, Appended, ClockReading, Error, Journal, Observer, Page, ReadLimit, Replica,
    RetentionRule,
};

pub use appending::*;
pub use clocks::*;
pub use ending::{
    a_state_topic_stays_as_it_was_at_its_end, an_end_is_repeated_with_the_event_before_it,
    an_end_is_the_last_event_of_its_topic, an_end_outlives_retention,
    an_ended_topic_goes_on_once_it_is_reopened, what_comes_behind_an_end_is_refused_by_itself,
};
pub use expiring::{
    a_change_takes_the_time_of_what_it_replaces, a_key_goes_by_the_time_that_passes,
    a_renewal_is_no_change, keys_go_when_their_time_is_over_in_its_order,
    very_many_keys_go_some_at_a_time,
};
pub use fences::{
    a_newer_epoch_keeps_out_the_older_ones, a_producer_is_known_for_its_topic_only,
    a_whole_batch_is_made_or_nothing_of_it, an_end_is_refused_with_the_event_before_it,
    an_idle_producer_is_forgotten, of_a_producer_each_event_sees_those_before_it,
    what_a_producer_sends_again_adds_nothing, what_rides_on_an_event_shares_its_fence,
};
pub use idempotency::*;
pub use ordered::{Ordered, PLACE_OFFSETS};
pub use reading::*;
pub use records::{
    a_closed_journal_takes_no_records, a_record_is_replaced_and_deleted,
    a_record_too_large_is_refused, records_are_no_events, records_are_read_by_prefix_in_order,
};
pub use replicas::{
    a_key_goes_by_what_is_left_of_its_time, a_renewal_that_is_ordered_before_wins,
    a_replica_takes_only_what_is_placed, a_replica_that_begins_anew_has_forgotten_all,
    a_replica_that_enters_an_epoch_has_all_that_it_had, ages_count_by_the_time_of_the_order,
    no_answer_depends_on_what_retention_has_removed, what_is_placed_is_where_its_place_is,
    what_waits_together_is_applied_one_after_the_other, what_was_applied_is_not_applied_again,
};
pub use retaining::*;
pub use state::{
    a_change_is_made_where_its_key_is_as_it_has_to_be,
    a_change_of_state_with_a_remembered_key_counts_once, a_key_that_is_not_there_is_not_deleted,
    changes_of_state_have_a_place_in_the_one_order, deletions_are_forgotten_beyond_a_horizon,
    of_changes_that_wait_together_each_sees_those_before_it, pages_of_state_join_without_holes,
    the_newest_change_of_each_key_is_kept_whatever_retention_says,
    what_was_replaced_goes_and_what_counts_stays,
};

/// Opens an empty journal of the engine under test.
pub type Open<'a> = &'a mut dyn FnMut(Vec<RetentionRule>, Box<dyn Observer>) -> Box<dyn Journal>;

/// One sentence of the contract: panics where the engine breaks it.
pub type Clause = fn(Open<'_>);

/// Runs every clause.
pub fn run_all(open: Open<'_>) {
    for clause in CLAUSES {
        clause(open);
    }
}

/// Opens an empty replica of the engine under test.
pub type OpenReplica<'a> =
    &'a mut dyn FnMut(Vec<RetentionRule>, Box<dyn Observer>) -> Arc<dyn Replica>;

/// One sentence of the contract of replicas.
pub type ReplicaClause = fn(OpenReplica<'_>);

/// What replicas keep beside the contract of all.
pub const REPLICA_CLAUSES: &[ReplicaClause] = &[
    what_is_placed_is_where_its_place_is,
    what_was_applied_is_not_applied_again,
    a_replica_takes_only_what_is_placed,
    what_waits_together_is_applied_one_after_the_other,
    ages_count_by_the_time_of_the_order,
    no_answer_depends_on_what_retention_has_removed,
    a_renewal_that_is_ordered_before_wins,
    a_key_goes_by_what_is_left_of_its_time,
    a_replica_that_begins_anew_has_forgotten_all,
    a_replica_that_enters_an_epoch_has_all_that_it_had,
];

/// Runs every clause of replicas, and every other one on replicas that apply what is appended, but for
/// what the lane of the server itself and a clock that is set are about: these are matters of who makes
/// the order.
pub fn run_all_of_replicas(open: OpenReplica<'_>) {
    for clause in REPLICA_CLAUSES {
        clause(open);
    }
    let of_others: [Clause; 3] = [
        an_alert_goes_before_what_clients_flood_the_queue_with,
        a_clock_that_is_set_makes_nothing_older,
        ages_count_on_after_the_clock_was_set,
    ];
    for clause in CLAUSES {
        if !of_others.iter().any(|other| std::ptr::fn_addr_eq(*other, *clause)) {
            clause(&mut |retention, observer| Box::new(Ordered::new(open(retention, observer))));
        }
    }
}

/// The whole contract.
pub const CLAUSES: &[Clause] = &[
    offsets_strictly_increase,
    a_batch_is_appended_whole_and_in_order,
    an_empty_batch_adds_nothing,
    batches_of_many_publishers_do_not_mingle,
    the_observer_sees_each_event_once_in_order_before_the_reply,
    a_full_queue_refuses_and_appends_nothing_of_what_it_refused,
    an_alert_goes_before_what_clients_flood_the_queue_with,
    a_closed_journal_commits_what_was_queued_and_refuses_the_rest,
    figures_tell_each_topic,
    every_body_and_envelope_reads_back,
    read_returns_what_matches_in_order,
    pages_join_without_holes,
    the_first_matching_event_always_fits,
    a_read_from_the_tail_or_beyond_is_empty,
    readers_miss_nothing_that_the_page_does_not_tell,
    retention_removes_what_is_too_old,
    retention_removes_the_oldest_beyond_a_count,
    retention_removes_the_oldest_beyond_a_size,
    the_first_matching_rule_alone_holds_for_a_topic,
    trimmed_tells_the_newest_removed_event_of_a_filter,
    offsets_are_not_reused_after_everything_was_removed,
    a_remembered_key_adds_nothing_and_answers_with_the_first_offset,
    a_key_is_remembered_for_its_topic_only,
    a_key_counts_once_within_a_batch_and_a_commit,
    an_old_key_is_forgotten,
    a_removed_event_still_has_its_key,
    a_clock_that_is_set_makes_nothing_older,
    ages_count_on_after_the_clock_was_set,
    an_end_is_the_last_event_of_its_topic,
    what_comes_behind_an_end_is_refused_by_itself,
    an_end_is_repeated_with_the_event_before_it,
    an_ended_topic_goes_on_once_it_is_reopened,
    an_end_outlives_retention,
    a_state_topic_stays_as_it_was_at_its_end,
    what_a_producer_sends_again_adds_nothing,
    a_newer_epoch_keeps_out_the_older_ones,
    a_producer_is_known_for_its_topic_only,
    of_a_producer_each_event_sees_those_before_it,
    what_rides_on_an_event_shares_its_fence,
    an_end_is_refused_with_the_event_before_it,
    an_idle_producer_is_forgotten,
    a_whole_batch_is_made_or_nothing_of_it,
    records_are_read_by_prefix_in_order,
    a_record_is_replaced_and_deleted,
    records_are_no_events,
    a_record_too_large_is_refused,
    a_closed_journal_takes_no_records,
    changes_of_state_have_a_place_in_the_one_order,
    the_newest_change_of_each_key_is_kept_whatever_retention_says,
    a_key_that_is_not_there_is_not_deleted,
    a_change_of_state_with_a_remembered_key_counts_once,
    a_change_is_made_where_its_key_is_as_it_has_to_be,
    of_changes_that_wait_together_each_sees_those_before_it,
    pages_of_state_join_without_holes,
    what_was_replaced_goes_and_what_counts_stays,
    deletions_are_forgotten_beyond_a_horizon,
    keys_go_when_their_time_is_over_in_its_order,
    a_renewal_is_no_change,
    a_change_takes_the_time_of_what_it_replaces,
    very_many_keys_go_some_at_a_time,
    a_key_goes_by_the_time_that_passes,
];

/// A journal and what its observer saw.
pub(crate) struct Rig {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) seen: Seen,
}

impl Rig {
    pub(crate) fn open(open: Open<'_>, retention: Vec<RetentionRule>) -> Self {
        let seen = Seen::default();
        let journal = open(retention, Box::new(seen.clone()));
        Self { journal: Arc::from(journal), seen }
    }

    /// Appends a batch and waits for the reply.
    pub(crate) fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>, Error> {
        append_to(&*self.journal, batch)
    }

    /// Appends a batch of new events.
    pub(crate) fn append_new(&self, batch: Vec<Append>) -> Vec<Offset> {
        let appended = self.append(batch).expect("the batch is appended");
        assert!(appended.iter().all(|appended| !appended.duplicate), "{appended:?}");
        appended.iter().map(|appended| appended.offset).collect()
    }

    /// Appends one event.
    pub(crate) fn append_one(&self, append: Append) -> Appended {
        let appended = self.append(vec![append]).expect("the event is appended");
        assert_eq!(appended.len(), 1, "one answer for each event");
        appended[0]
    }

    /// Appends one event after the other, each of a text.
    pub(crate) fn append_texts(&self, topic: &str, texts: &[&str]) -> Vec<Offset> {
        texts.iter().flat_map(|text| self.append_new(vec![plain(topic, text)])).collect()
    }

    /// Everything that matches, page by page.
    pub(crate) fn read_all(&self, filter: &str) -> Vec<Entry> {
        let filters = filters(&[filter]);
        let (mut after, mut entries) = (Offset::ZERO, Vec::new());
        loop {
            let page = self.read(after, &filters);
            entries.extend(page.entries);
            if page.end >= self.journal.bounds().tail {
                return entries;
            }
            assert!(page.end > after, "a page before the tail makes progress");
            after = page.end;
        }
    }

    pub(crate) fn read(&self, after: Offset, filters: &FilterSet) -> Page {
        let limit = ReadLimit { events: 7, bytes: 4096 };
        self.journal.read(after, filters, limit).expect("the journal reads")
    }

    /// The texts of everything that matches.
    pub(crate) fn texts(&self, filter: &str) -> Vec<String> {
        self.read_all(filter).iter().map(|entry| text(&entry.event)).collect()
    }

    pub(crate) fn retain(&self, now_ms: i64) {
        // Nobody sets the clock.
        let uptime = Duration::from_millis(now_ms.unsigned_abs());
        let now = ClockReading { wall: Timestamp::from_ms(now_ms), uptime };
        let step = self.journal.apply_retention(now).expect("retention is applied");
        assert_eq!(step, None);
    }
}

/// Appends a batch and waits for the reply.
pub(crate) fn append_to(journal: &dyn Journal, batch: Vec<Append>) -> Result<Vec<Appended>, Error> {
    let (sender, reply) = sync_channel(1);
    journal.append(batch, Box::new(move |result| sender.send(result).expect("somebody waits")))?;
    reply.recv().expect("every queued append is answered")
}

/// An observer that keeps what it sees.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Entry>>>);

impl Seen {
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Seen {
    fn on_commit(&mut self, entries: Vec<Entry>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(entries);
    }
}

/// A text event of time 0.
pub(crate) fn plain(topic: &str, text: &str) -> Append {
    Append::new(event(topic, text, 0), None)
}

/// A text event of a time.
pub(crate) fn timed(topic: &str, text: &str, time_ms: i64) -> Append {
    Append::new(event(topic, text, time_ms), None)
}

/// A text event of a time, with an idempotency key.
pub(crate) fn keyed(topic: &str, key: &str, time_ms: i64) -> Append {
    Append::new(event(topic, key, time_ms), Some(key.into()))
}

/// A change of a key to a text; none deletes it.
pub(crate) fn change(topic: &str, key: &str, text: Option<&str>) -> Append {
    let mut event = event(topic, text.unwrap_or_default(), 0);
    event.key = Some(key.into());
    event.body.take_if(|_| text.is_none());
    Append::of_state(event, None)
}

fn event(topic: &str, text: &str, time_ms: i64) -> Event {
    Event {
        topic: topic.parse().expect(topic),
        key: None,
        event_type: None,
        time: Timestamp::from_ms(time_ms),
        body: Some(Body::Text(Bytes::copy_from_slice(text.as_bytes()))),
    }
}

/// An event's text.
pub(crate) fn text(event: &Event) -> String {
    let body = event.body.as_ref().map(|body| body.bytes().to_vec());
    String::from_utf8(body.unwrap_or_default()).expect("the event has a text")
}

pub(crate) fn filters(texts: &[&str]) -> FilterSet {
    let parse = |text: &&str| text.parse::<Filter>().expect(text);
    FilterSet::new(texts.iter().map(parse)).expect("the filters are a set")
}

/// A rule that keeps everything.
pub(crate) fn rule(pattern: &str) -> RetentionRule {
    let pattern = pattern.parse().expect(pattern);
    RetentionRule { pattern, age: None, bytes_max: None, events_max: None }
}
