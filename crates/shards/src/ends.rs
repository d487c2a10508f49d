//! Topics that have ended, as those see it who follow topics by their names.
//!
//! An end is an entry of the journal, and comes to whoever is there in its place. Whoever comes later
//! is told of it before `ready`, and so is who cannot get the entry any more. Nothing is kept of
//! that for a connection: the journal knows.

use bellwire_hub::{Gap, Start};
use bellwire_journal::{Ended, Journal};
use bellwire_model::{Cursor, Filter, FilterSet, Offset, Topic};
use bellwire_wire::problem::{Code, Problem};

use crate::topics::{Kind, TopicRules};

/// The topics among these filters that have ended, where `wanted` says so.
pub(crate) fn ended(
    journal: &dyn Journal,
    filters: &FilterSet,
    wanted: impl Fn(Ended) -> bool,
) -> Vec<(Topic, Ended)> {
    let end = |filter: &Filter| {
        let end = journal.ended(filter.as_str()).filter(|end| wanted(*end))?;
        Some((filter.topic()?, end))
    };
    filters.iter().filter_map(end).collect()
}

/// Those whose entries somebody who is there has not got, and will not get any more.
pub(crate) fn missed(journal: &dyn Journal, filters: &FilterSet, gap: &Gap) -> Vec<(Topic, Ended)> {
    let is_within = |end: Ended| gap.from.offset < end.at && end.at <= gap.to.offset;
    ended(journal, filters, |end| !end.is_kept && is_within(end))
}

/// Whether whoever has everything up to an offset has all that these filters will ever pass. What
/// has a wildcard never ends.
pub(crate) fn are_over(journal: &dyn Journal, filters: &FilterSet, upto: Offset) -> bool {
    let is_over =
        |filter: &Filter| journal.ended(filter.as_str()).is_some_and(|end| end.at <= upto);
    !filters.is_empty() && filters.iter().all(is_over)
}

/// Nothing more is published to a topic that has ended there.
pub(crate) fn refusal(cursor: Cursor) -> Problem {
    let detail = format!(
        "the topic has ended with `{cursor}`: publish elsewhere, or reopen it by `Bellwire-End: false`"
    );
    Problem::new(Code::TopicEnded, detail)
}

/// Fails where a topic has ended. What is in memory alone is changed behind this, under the table's
/// lock: an end is told under the same one.
pub(crate) fn check_open(journal: &dyn Journal, topic: &Topic) -> Result<(), Problem> {
    match journal.ended(topic.as_str()) {
        Some(end) => Err(refusal(Cursor::new(journal.epoch(), end.at))),
        None => Ok(()),
    }
}

/// What is told with `ready`, to whoever has everything up to an offset: the ends whose entries are
/// gone, and, where they are owed, those of state topics, whose values have come by then.
pub(crate) fn at_ready(
    journal: &dyn Journal,
    (filters, topics): (&FilterSet, &TopicRules),
    (upto, are_owed): (Offset, bool),
) -> Vec<(Topic, Ended)> {
    let mut ended = ended(journal, filters, |end| end.at <= upto);
    ended.retain(|(topic, end)| !end.is_kept || (are_owed && topics.kind(topic) == Kind::State));
    ended
}

/// Whether somebody comes back to nothing: has been told of the end of all that these filters pass.
pub(crate) fn is_at_end(journal: &dyn Journal, filters: &FilterSet, start: Start) -> bool {
    match start {
        Start::After(cursor) if cursor.epoch == journal.epoch() => {
            are_over(journal, filters, cursor.offset)
        }
        Start::After(_) | Start::Earliest | Start::Latest => false,
    }
}

/// The ends that whoever begins behind `begun` is to be told of beside the entries that come:
/// those before it, unless it has come back from behind them, and those whose entries are gone.
pub(crate) fn owed(
    journal: &dyn Journal,
    filters: &FilterSet,
    (start, begun): (Start, Offset),
) -> Vec<(Topic, Ended)> {
    let knows_upto = match start {
        Start::After(_) => begun,
        Start::Earliest | Start::Latest => Offset::ZERO,
    };
    ended(journal, filters, |end| end.at > knows_upto && (end.at <= begun || !end.is_kept))
}
